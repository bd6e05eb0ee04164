//! Decoding while the bytes arrive.

use pyo3::prelude::*;

use crate::arrays::{Data, array_of};
use crate::errors;
use crate::info::{DecodeReport, ImageInfo, Progress, PyLimits};

/// Takes a file piece by piece and shows the picture as far as it is known.
///
/// ``feed`` any chunks of bytes, ``render`` at any moment once the header is there (``info`` is not ``None``).
/// ``limits`` are checked as soon as the header is whole.
#[pyclass(module = "pgfrs", name = "ProgressiveDecoder")]
pub struct ProgressiveDecoder {
    decoder: pgf::ProgressiveDecoder,
    info: Option<Py<ImageInfo>>,
}

#[pymethods]
impl ProgressiveDecoder {
    #[new]
    #[pyo3(signature = (*, limits=None))]
    fn new(limits: Option<&Bound<'_, PyLimits>>) -> Self {
        let limits = limits.map_or_else(pgf::Limits::default, |l| l.get().0);
        ProgressiveDecoder { decoder: pgf::ProgressiveDecoder::new(limits), info: None }
    }

    /// Take the next bytes, any buffer; returns what has arrived.
    ///
    /// Raises:
    ///     FormatError: the header is wrong beyond recovery.
    ///     LimitsError: the picture is over the limits.
    #[pyo3(signature = (chunk: "typing_extensions.Buffer", /))]
    fn feed(&mut self, py: Python<'_>, chunk: &Bound<'_, PyAny>) -> PyResult<Progress> {
        let data = Data::extract(chunk)?;
        let (bytes, decoder) = (data.bytes(), &mut self.decoder);
        let progress = py.detach(|| decoder.feed(bytes)).map_err(|e| errors::raise(py, &e))?;
        Ok(Progress(progress))
    }

    /// The picture at a level as far as it is known; ``None`` means full size.
    ///
    /// Returns:
    ///     An array as :func:`decode` returns it. Never warns: what is missing is expected here.
    ///
    /// Raises:
    ///     TruncatedError: the header is not whole yet.
    ///     ValueError: a level that the picture does not have.
    #[pyo3(signature = (level=None) -> "numpy.typing.NDArray[typing.Any]")]
    fn render<'py>(&self, py: Python<'py>, level: Option<u8>) -> PyResult<Bound<'py, PyAny>> {
        let (image, _) = py.detach(|| self.decoder.render(level.unwrap_or(0))).map_err(|e| errors::raise(py, &e))?;
        array_of(py, image)
    }

    /// What decoding the bytes so far finds, as :func:`decode_with_report` tells it.
    fn report(&self, py: Python<'_>) -> PyResult<DecodeReport> {
        let (image, report) = py.detach(|| self.decoder.render(0)).map_err(|e| errors::raise(py, &e))?;
        let bytes_total = self.decoder.data().len();
        Ok(DecodeReport { report, width: image.width, height: image.height, level: 0, region: None, bytes_total })
    }

    /// The header, or ``None`` before it is whole.
    #[getter]
    fn info(&mut self, py: Python<'_>) -> PyResult<Option<Py<ImageInfo>>> {
        if let (None, Some(file)) = (&self.info, self.decoder.header()) {
            self.info = Some(Py::new(py, ImageInfo::new(py, file.clone(), self.decoder.data()))?);
        }
        Ok(self.info.as_ref().map(|info| info.clone_ref(py)))
    }

    /// What has arrived.
    #[getter]
    fn progress(&self) -> Progress {
        Progress(self.decoder.progress())
    }
}
