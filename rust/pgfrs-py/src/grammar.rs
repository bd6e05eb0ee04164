//! Legal bytes of streams, and what would help a stream most.

use numpy::{PyArray2, PyArrayMethods, PyReadwriteArray2, PyUntypedArrayMethods};
use pgf::Limits;
use pgf_resilient::{Mask, Room, Rules, Suggestion};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::Data;
use crate::errors;
use crate::info::PyLimits;

const NAMES: [(Rules, &str); 3] =
    [(Rules::Framing, "framing"), (Rules::Addresses, "addresses"), (Rules::Payload, "payload")];

/// What may come next in a `.pgfr` stream: an automaton that takes bytes and says which ones are legal.
///
/// Args:
///     rules: how much of the format is asked for: "framing" (headers, markers, stuffing), "addresses" (also the base,
///         addresses, chains of planes, sums of checks) or "payload" (also that every segment holds its planes exactly).
///     limits: headers of larger pictures are not legal.
#[pyclass(module = "pgfrs", name = "Grammar")]
#[derive(Clone)]
pub struct Grammar(pgf_resilient::Grammar);

#[pymethods]
impl Grammar {
    #[new]
    #[pyo3(signature = (rules="payload", *, limits=None))]
    fn new(rules: &str, limits: Option<&Bound<'_, PyLimits>>) -> PyResult<Grammar> {
        let limits = limits.map_or_else(Limits::default, |l| l.get().0);
        let rules = NAMES.iter().find(|(_, name)| *name == rules).map(|(rules, _)| *rules).ok_or_else(|| {
            PyValueError::new_err(format!("rules={rules:?}: \"framing\", \"addresses\" or \"payload\" is possible"))
        })?;
        Ok(Grammar(pgf_resilient::Grammar::new(rules, limits)))
    }

    /// Take bytes, any buffer; returns how many of them were legal. Behind one that was not, bytes up to the next marker
    /// count for nothing.
    #[pyo3(signature = (data: "typing_extensions.Buffer", /))]
    fn advance(&mut self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = Data::extract(data)?;
        Ok(data.bytes().iter().filter(|byte| self.0.advance(**byte)).count())
    }

    /// Take one byte, 0 to 255; returns whether it was legal.
    fn advance_byte(&mut self, byte: u8) -> bool {
        self.0.advance(byte)
    }

    /// Whether a byte may come next.
    fn is_allowed(&self, byte: u8) -> bool {
        self.0.is_allowed(byte)
    }

    /// The bytes that may come next, ascending. Never empty.
    fn allowed<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.allowed().bytes().collect::<Vec<u8>>())
    }

    /// How many of these bytes are legal one after the other; the state stays as it is.
    #[pyo3(signature = (data: "typing_extensions.Buffer", /))]
    fn legal_prefix(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = Data::extract(data)?;
        Ok(self.0.legal_prefix(data.bytes()))
    }

    /// A state of its own that goes on from here.
    fn copy(&self) -> Grammar {
        self.clone()
    }

    fn __copy__(&self) -> Grammar {
        self.clone()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Grammar {
        self.clone()
    }

    /// Whether the stream may end here with no piece cut. A prefix that ends elsewhere decodes too.
    #[getter]
    fn may_end(&self) -> bool {
        self.0.may_end()
    }

    /// Whether the present piece holds a byte that is not legal: nothing but a marker goes on from it.
    #[getter]
    fn lost(&self) -> bool {
        self.0.is_lost()
    }

    /// Whether the header is whole.
    #[getter]
    fn begun(&self) -> bool {
        self.0.picture().is_some()
    }

    /// Inside the content of a segment of planes: (planes not whole, coefficients left in the present list or pass,
    /// refinement bits left in the present plane). ``None`` elsewhere, and with rules that do not look into contents.
    #[getter]
    fn room(&self) -> Option<(u8, u32, u32)> {
        self.0.room().map(|Room { planes, coefficients, refinement }| (planes, coefficients, refinement))
    }

    /// The segment of planes whose content the next byte belongs to: (channel group, block, highest plane, planes).
    /// ``None`` elsewhere.
    #[getter]
    fn segment(&self) -> Option<(u8, usize, u8, u8)> {
        self.0.segment()
    }

    fn __repr__(&self) -> String {
        format!("Grammar({} bytes may come, segment {:?})", self.0.allowed().len(), self.0.segment())
    }
}

/// Which bytes may come next in each of several streams.
///
/// Args:
///     states: n states.
///     out: a bool array of shape (n, at least 256 + offset) to fill in columns ``offset`` to ``offset + 255`` of;
///         ``None`` makes one of shape (n, 256).
///
/// Raises:
///     ValueError: ``out`` has another shape.
#[pyfunction]
#[pyo3(signature = (states: "list[Grammar]", *, out: "numpy.typing.NDArray[numpy.bool_] | None" = None, offset=0) -> "numpy.typing.NDArray[numpy.bool_]")]
pub fn legal_masks<'py>(
    py: Python<'py>,
    states: Vec<PyRef<'py, Grammar>>,
    out: Option<Bound<'py, PyArray2<bool>>>,
    offset: usize,
) -> PyResult<Bound<'py, PyArray2<bool>>> {
    if offset > i32::MAX as usize {
        return Err(PyValueError::new_err(format!("offset={offset}: at most {} is possible", i32::MAX)));
    }
    let out = out.unwrap_or_else(|| PyArray2::zeros(py, [states.len(), offset + 256], false));
    let shape = [out.shape()[0], out.shape()[1]];
    if shape[0] != states.len() || shape[1] < offset.saturating_add(256) {
        let message = format!("out of shape {shape:?}: ({}, at least {offset} + 256) is needed", states.len());
        return Err(PyValueError::new_err(message));
    }
    {
        let mut view: PyReadwriteArray2<'_, bool> = out.try_readwrite()?;
        let mut view = view.as_array_mut();
        for (mut row, state) in view.rows_mut().into_iter().zip(&states) {
            let Mask(words) = state.0.allowed();
            for (i, slot) in row.iter_mut().skip(offset).take(256).enumerate() {
                *slot = words[i / 64] >> (i % 64) & 1 == 1;
            }
        }
    }
    Ok(out)
}

/// A segment of planes that a stream lacks and that would help it.
#[pyclass(frozen, module = "pgfrs", name = "Wanted")]
pub struct Wanted(Suggestion);

#[pymethods]
impl Wanted {
    /// The channel group: 0 the first channel, 1 the colour differences, 2 the fourth; in deep streams every channel its
    /// own.
    #[getter]
    fn group(&self) -> u8 {
        self.0.group
    }

    /// The block in its group.
    #[getter]
    fn index(&self) -> usize {
        self.0.index
    }

    /// (coarsest, finest) level of its block; 1 is the finest of all.
    #[getter]
    fn levels(&self) -> (u8, u8) {
        self.0.levels
    }

    /// The plane.
    #[getter]
    fn plane(&self) -> u8 {
        self.0.plane
    }

    /// Whether it is the first of its block; the plane is then a guess from other blocks.
    #[getter]
    fn first(&self) -> bool {
        self.0.first
    }

    /// (left, top, right, bottom) of the pixels that it bears on, without the filters' reach.
    #[getter]
    fn region(&self) -> (u32, u32, u32, u32) {
        let r = self.0.region;
        (r.left, r.top, r.right, r.bottom)
    }

    /// Expected fall of the squared error, summed over all samples.
    #[getter]
    fn gain(&self) -> f64 {
        self.0.gain
    }

    /// Expected bytes, marker and address included.
    #[getter]
    fn size(&self) -> usize {
        self.0.bytes
    }

    /// Marker and address: what a model goes on from.
    #[getter]
    fn head<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.head)
    }

    fn __repr__(&self) -> String {
        let Suggestion { group, index, plane, levels, gain, bytes, .. } = &self.0;
        format!(
            "Wanted(plane {plane}, group {group}, block {index}, levels {}..{}, gain {gain:.0}, about {bytes} bytes)",
            levels.0, levels.1
        )
    }
}

/// The segments that would help a stream most, one plane each, the best first, in about ``budget`` bytes together; and how
/// many bytes of the stream they can follow (a segment that the end cuts is to be written again).
///
/// Raises:
///     TruncatedError: no header is there.
///     LimitsError: the header claims a picture beyond ``limits``.
#[pyfunction]
#[pyo3(signature = (data: "typing_extensions.Buffer", /, budget, *, limits=None) -> "tuple[list[Wanted], int]")]
pub fn wanted_segments(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    budget: usize,
    limits: Option<&Bound<'_, PyLimits>>,
) -> PyResult<(Vec<Wanted>, usize)> {
    let limits = limits.map_or_else(Limits::default, |l| l.get().0);
    let data = Data::extract(data)?;
    let bytes = data.bytes();
    let (found, whole) =
        py.detach(|| pgf_resilient::wanted(bytes, budget, &limits)).map_err(|e| errors::raise(py, &e))?;
    Ok((found.into_iter().map(Wanted).collect(), whole))
}
