//! Errors of the codec as Python exceptions, which `pgfrs._errors` defines.

use pgf::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

fn class<'py>(py: Python<'py>, cell: &PyOnceLock<Py<PyType>>, name: &str) -> PyResult<Bound<'py, PyType>> {
    cell.import(py, "pgfrs._errors", name).cloned()
}

/// An instance of the exception that stands for `error`.
pub fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static FORMAT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static TRUNCATED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static LIMITS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static UNSUPPORTED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let message = error.to_string();
    let (class, field, offset) = match error {
        Error::Truncated { field, have, .. } => (class(py, &TRUNCATED, "TruncatedError")?, Some(*field), Some(*have)),
        Error::Format { field, offset, .. } => (class(py, &FORMAT, "FormatError")?, Some(*field), Some(*offset)),
        Error::Limits { field, .. } => (class(py, &LIMITS, "LimitsError")?, Some(*field), None),
        Error::Unsupported(_) => (class(py, &UNSUPPORTED, "UnsupportedError")?, None, None),
        Error::Usage(_) => return py.get_type::<pyo3::exceptions::PyValueError>().call1((message,)),
        _ => (class(py, &FORMAT, "FormatError")?, None, None),
    };
    let value = class.call1((message,))?;
    value.setattr("field", field)?;
    value.setattr("offset", offset)?;
    Ok(value)
}

/// `error`, to be raised.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).map_or_else(|e| e, PyErr::from_value)
}

/// `error` as an item of a batch's result: always a `PgfError`.
pub fn item<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static BASE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match error {
        Error::Usage(message) => class(py, &BASE, "PgfError")?.call1((message,)),
        other => exception(py, other),
    }
}

/// Any Python exception as an item of a batch's result.
pub fn item_of_exception<'py>(py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyAny>> {
    item(py, &Error::Usage(error.value(py).str()?.to_string()))
}

/// Warns of cut or damaged data, once per call.
pub fn warn_of_damage(py: Python<'_>, report: &crate::info::DecodeReport) -> PyResult<()> {
    static WARNING: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let Some(message) = report.warning() else { return Ok(()) };
    let warnings = py.import("warnings")?;
    let options = PyDict::new(py);
    options.set_item("stacklevel", 1)?;
    warnings.call_method("warn", (message, class(py, &WARNING, "DamageWarning")?), Some(&options))?;
    Ok(())
}
