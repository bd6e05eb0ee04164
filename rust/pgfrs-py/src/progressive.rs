//! Decoding while the bytes arrive, in either container.

use pyo3::prelude::*;

use crate::arrays::{Data, array_of};
use crate::container::{self, Found};
use crate::errors;
use crate::info::{DecodeReport, ImageInfo, Progress, PyLimits};
use pgf::{DecodeOptions, Error, Limits};
use pgf_resilient::SegmentCount;

/// What the first bytes have told.
enum State {
    /// Nothing yet.
    Unknown(Vec<u8>),
    Pgf(Box<pgf::ProgressiveDecoder>),
    Stream(Stream),
}

/// A stream as far as it has arrived.
#[derive(Default)]
struct Stream {
    data: Vec<u8>,
    segments: SegmentCount,
    /// The length from which its header is looked for again; `None` once it was found within the limits.
    next_look: Option<usize>,
}

/// Bytes up to which a header is looked for with every chunk; from then on whenever they have doubled, so that data
/// without one are not read again and again.
const EARLY: usize = 4096;

impl Stream {
    fn begin(data: Vec<u8>) -> Stream {
        let mut segments = SegmentCount::default();
        segments.feed(&data);
        Stream { data, segments, next_look: Some(0) }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.segments.feed(bytes);
    }

    /// Refuses a picture over the limits as soon as its header is there.
    fn check(&mut self, limits: &Limits) -> pgf::Result<()> {
        if self.next_look.is_none_or(|length| self.data.len() < length) {
            return Ok(());
        }
        match pgf_resilient::read_picture(&self.data) {
            Ok(picture) if picture.header.pixels() > limits.max_pixels => {
                let (value, bound) = (picture.header.pixels(), limits.max_pixels);
                return Err(Error::Limits { field: "pixels", value, bound });
            }
            Ok(_) => self.next_look = None,
            Err(_) if self.data.len() > EARLY => self.next_look = Some(2 * self.data.len()),
            Err(_) => {}
        }
        Ok(())
    }
}

/// Takes a file piece by piece and shows the picture as far as it is known.
///
/// ``feed`` any chunks of bytes, ``render`` at any moment once the header is there (``info`` is not ``None``).
/// ``limits`` are checked as soon as the header is whole.
#[pyclass(module = "pgfrs", name = "ProgressiveDecoder")]
pub struct ProgressiveDecoder {
    state: State,
    limits: Limits,
    info: Option<Py<ImageInfo>>,
}

impl ProgressiveDecoder {
    fn take(&mut self, bytes: &[u8]) -> pgf::Result<pgf::Progress> {
        match &mut self.state {
            State::Pgf(decoder) => return decoder.feed(bytes),
            State::Stream(stream) => stream.feed(bytes),
            State::Unknown(data) => {
                data.extend_from_slice(bytes);
                // The first byte of a stream is FF, that of a file is P; only a stream bears another.
                match data.first() {
                    Some(0xFF) => self.state = State::Stream(Stream::begin(std::mem::take(data))),
                    Some(b'P') => {
                        let mut decoder = Box::new(pgf::ProgressiveDecoder::new(self.limits));
                        let progress = decoder.feed(data);
                        self.state = State::Pgf(decoder);
                        return progress;
                    }
                    Some(_) if container::is_stream(data) => {
                        self.state = State::Stream(Stream::begin(std::mem::take(data)));
                    }
                    _ => {}
                }
            }
        }
        let progress = self.progress();
        if let State::Unknown(data) = &self.state
            && data.len() >= UNDECIDED
        {
            return Err(Error::Format {
                field: "magic",
                offset: 0,
                message: format!("{data:02X?}: neither PGF nor a stream begins so", data = &data[..4]),
            });
        }
        if let State::Stream(stream) = &mut self.state {
            stream.check(&self.limits)?;
        }
        Ok(progress)
    }

    fn progress(&self) -> pgf::Progress {
        match &self.state {
            State::Pgf(decoder) => decoder.progress(),
            State::Unknown(data) => pgf::Progress { bytes_received: data.len(), ..Default::default() },
            State::Stream(stream) => pgf::Progress {
                bytes_received: stream.data.len(),
                macroblocks: stream.segments.count as u64,
                ..Default::default()
            },
        }
    }

    fn data(&self) -> &[u8] {
        match &self.state {
            State::Pgf(decoder) => decoder.data(),
            State::Unknown(data) => data,
            State::Stream(stream) => &stream.data,
        }
    }

    fn image(&self, level: u8) -> pgf::Result<(pgf::Image, Found)> {
        match &self.state {
            State::Pgf(decoder) => decoder.render(level).map(|(image, report)| (image, Found::Pgf(report))),
            State::Unknown(_) | State::Stream(_) => {
                container::decode(self.data(), &DecodeOptions { level, limits: self.limits, ..Default::default() })
            }
        }
    }
}

/// After so many bytes that are neither container's there is no point in waiting: no header is longer.
const UNDECIDED: usize = 64;

#[pymethods]
impl ProgressiveDecoder {
    #[new]
    #[pyo3(signature = (*, limits=None))]
    fn new(limits: Option<&Bound<'_, PyLimits>>) -> Self {
        let limits = limits.map_or_else(Limits::default, |l| l.get().0);
        ProgressiveDecoder { state: State::Unknown(Vec::new()), limits, info: None }
    }

    /// Take the next bytes, any buffer; returns what has arrived.
    ///
    /// Raises:
    ///     FormatError: the header is wrong beyond recovery.
    ///     LimitsError: the picture is over the limits.
    #[pyo3(signature = (chunk: "typing_extensions.Buffer", /))]
    fn feed(&mut self, py: Python<'_>, chunk: &Bound<'_, PyAny>) -> PyResult<Progress> {
        let data = Data::extract(chunk)?;
        let bytes = data.bytes();
        let progress = py.detach(|| self.take(bytes)).map_err(|e| errors::raise(py, &e))?;
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
        let (image, _) = py.detach(|| self.image(level.unwrap_or(0))).map_err(|e| errors::raise(py, &e))?;
        array_of(py, image)
    }

    /// What decoding the bytes so far finds, as :func:`decode_with_report` tells it.
    fn report(&self, py: Python<'_>) -> PyResult<DecodeReport> {
        let (image, found) = py.detach(|| self.image(0)).map_err(|e| errors::raise(py, &e))?;
        Ok(DecodeReport::new(found, (image.width, image.height), 0, None, self.data().len()))
    }

    /// The header, or ``None`` before it is whole.
    #[getter]
    fn info(&mut self, py: Python<'_>) -> PyResult<Option<Py<ImageInfo>>> {
        let known = match &self.state {
            State::Unknown(_) => false,
            State::Pgf(decoder) => decoder.header().is_some(),
            State::Stream(stream) => pgf_resilient::read_picture(&stream.data).is_ok(),
        };
        // What a stream carries along may still arrive, so its info is read anew.
        if known && (self.info.is_none() || matches!(self.state, State::Stream(_))) {
            match container::read_about(self.data(), &self.limits) {
                Ok(about) => self.info = Some(Py::new(py, ImageInfo::new(py, about))?),
                Err(Error::Truncated { .. }) => {}
                Err(error) => return Err(errors::raise(py, &error)),
            }
        }
        Ok(self.info.as_ref().map(|info| info.clone_ref(py)))
    }

    /// What has arrived.
    #[getter(progress)]
    fn progress_so_far(&self) -> Progress {
        Progress(self.progress())
    }
}
