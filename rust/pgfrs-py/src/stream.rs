//! Streams as sets of segments, and the options of making them.

use numpy::{PyArrayDyn, PyUntypedArray};
use pgf::Rect;
use pgf_resilient::{Kind, Order, Payload, Profile, StreamOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::arrays::{Data, Picture};
use crate::container;
use crate::errors;
use crate::info::FATES;

/// How a stream is made, checked.
#[derive(Clone, Copy)]
pub struct Streaming(StreamOptions);

pub fn parse_payload(name: &str) -> PyResult<Payload> {
    match name {
        "packed" => Ok(Payload::Packed),
        "tokens" => Ok(Payload::Tokens),
        _ => Err(PyValueError::new_err(format!("payload={name:?}: \"packed\" or \"tokens\" is possible"))),
    }
}

impl Streaming {
    pub fn new(
        payload: &str,
        profile: &str,
        order: &str,
        first: Option<(i64, i64, i64, i64)>,
        chroma_weight: f64,
        bare: bool,
        checks: bool,
    ) -> PyResult<Streaming> {
        let profile = match profile {
            "default" => Profile::Default,
            "lean" => Profile::Lean,
            "tough" => Profile::Tough,
            _ => {
                let message = format!("profile={profile:?}: \"default\", \"lean\" or \"tough\" is possible");
                return Err(PyValueError::new_err(message));
            }
        };
        let order = match order {
            "best" => Order::Best,
            "levels" => Order::Levels,
            _ => return Err(PyValueError::new_err(format!("order={order:?}: \"best\" or \"levels\" is possible"))),
        };
        if !(chroma_weight > 0.0 && chroma_weight.is_finite()) {
            return Err(PyValueError::new_err(format!("chroma_weight={chroma_weight}: more than 0 is needed")));
        }
        let first = first.map(|r| crate::_pgfrs::rect_of("first", r)).transpose()?;
        let payload = parse_payload(payload)?;
        Ok(Streaming(StreamOptions {
            payload,
            profile,
            order,
            first,
            chroma: chroma_weight,
            bare,
            checks,
            ..StreamOptions::default()
        }))
    }

    pub fn options(&self, max_bytes: Option<usize>) -> StreamOptions {
        StreamOptions { max_bytes, ..self.0 }
    }

    /// Refuses options that only streams have.
    pub fn none_asked(self) -> PyResult<Option<Streaming>> {
        if self.0 == StreamOptions::default() {
            return Ok(None);
        }
        Err(PyValueError::new_err(
            "payload, profile, order, first, chroma_weight, bare and checks go with format=\"pgfr\"",
        ))
    }
}

/// One segment of a stream.
#[pyclass(frozen, module = "pgfrs", name = "Segment")]
pub struct Segment(pgf_resilient::Segment);

#[pymethods]
impl Segment {
    /// "picture" (a copy of the header), "base", "planes", "palette", "user_data", "file", "check", "end" or "unknown".
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind {
            Kind::Picture => "picture",
            Kind::Base { .. } => "base",
            Kind::Planes { .. } => "planes",
            Kind::Palette => "palette",
            Kind::UserData => "user_data",
            Kind::File => "file",
            Kind::Check => "check",
            Kind::End => "end",
            Kind::Unknown => "unknown",
        }
    }

    /// Its first byte, the marker's FF.
    #[getter]
    fn start(&self) -> usize {
        self.0.bytes.start
    }

    /// Behind its last byte.
    #[getter]
    fn end(&self) -> usize {
        self.0.bytes.end
    }

    /// Of "planes": the channel group (0 the first channel, 1 the colour differences, 2 the fourth; in deep streams
    /// every channel its own). Of "base": the channel. Else None.
    #[getter]
    fn group(&self) -> Option<u8> {
        match self.0.kind {
            Kind::Planes { group, .. } => Some(group),
            Kind::Base { plane } => Some(plane),
            _ => None,
        }
    }

    /// Of "planes": the block in its group.
    #[getter]
    fn index(&self) -> Option<usize> {
        if let Kind::Planes { index, .. } = self.0.kind { Some(index) } else { None }
    }

    /// Of "planes": (coarsest, finest) level of its block; 1 is the finest of all.
    #[getter]
    fn levels(&self) -> Option<(u8, u8)> {
        if let Kind::Planes { levels, .. } = self.0.kind { Some(levels) } else { None }
    }

    /// Of "planes": the highest plane in it.
    #[getter]
    fn plane(&self) -> Option<u8> {
        if let Kind::Planes { plane, .. } = self.0.kind { Some(plane) } else { None }
    }

    /// Of "planes": how many planes it holds, 1 to 3.
    #[getter]
    fn count(&self) -> Option<u8> {
        if let Kind::Planes { count, .. } = self.0.kind { Some(count) } else { None }
    }

    /// Of "planes": whether the planes above are zero.
    #[getter]
    fn first(&self) -> Option<bool> {
        if let Kind::Planes { first, .. } = self.0.kind { Some(first) } else { None }
    }

    /// Of "planes": (left, top, right, bottom) of the pixels that it bears on, without the filters' reach.
    #[getter]
    fn region(&self) -> Option<(u32, u32, u32, u32)> {
        match self.0.kind {
            Kind::Planes { region: Rect { left, top, right, bottom }, .. } => Some((left, top, right, bottom)),
            _ => None,
        }
    }

    /// Of "planes": what decoding does with it, see `DecodeReport.segments`.
    #[getter]
    fn fate(&self) -> Option<&'static str> {
        match self.0.kind {
            Kind::Planes { fate, .. } => FATES.iter().find(|(f, _)| *f == fate).map(|(_, name)| *name),
            _ => None,
        }
    }

    fn __repr__(&self) -> String {
        match &self.0.kind {
            Kind::Planes { group, index, levels, plane, count, fate, .. } => {
                let name = FATES.iter().find(|(f, _)| f == fate).map_or("", |(_, name)| *name);
                format!(
                    "Segment({}:{}, planes {plane}..{}, group {group}, block {index}, levels {}..{}, {name})",
                    self.0.bytes.start,
                    self.0.bytes.end,
                    i32::from(*plane) + 1 - i32::from(*count),
                    levels.0,
                    levels.1
                )
            }
            _ => format!("Segment({}:{}, {})", self.0.bytes.start, self.0.bytes.end, self.kind()),
        }
    }
}

/// The segments of a `.pgfr` stream, in its order.
///
/// Raises:
///     TruncatedError: no header is there.
///     FormatError: a `.pgf` file is given.
#[pyfunction]
#[pyo3(signature = (data: "typing_extensions.Buffer", /) -> "list[Segment]")]
pub fn segments(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Vec<Segment>> {
    let data = Data::extract(data)?;
    let bytes = data.bytes();
    let found =
        py.detach(|| pgf_resilient::segments(bytes, &pgf::Limits::default())).map_err(|e| errors::raise(py, &e))?;
    Ok(found.into_iter().map(Segment).collect())
}

/// One clean `.pgfr` stream of all that several streams of the same picture tell; later versions of a block replace
/// earlier ones.
///
/// Each stream may be cut anywhere, and what its last piece still holds is kept where nothing else tells it: its whole planes,
/// and, of the one cut piece that adds most, every byte; it ends the new stream. Beginnings of one stream give the picture
/// of the longest. :func:`repair` closes a stream instead: nothing is cut in what it returns.
///
/// Raises:
///     ValueError: no stream is given, or their headers differ (size, mode, quality, payload, bare, ...; the first field that
///         does is named).
///     TruncatedError: no header is there.
///     FormatError: a `.pgf` file is given.
#[pyfunction]
#[pyo3(signature = (*streams: "typing_extensions.Buffer"))]
pub fn merge<'py>(py: Python<'py>, streams: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyBytes>> {
    let data: Vec<Data<'_>> = streams.iter().map(|s| Data::extract(&s)).collect::<PyResult<_>>()?;
    let views: Vec<&[u8]> = data.iter().map(Data::bytes).collect();
    let merged =
        py.detach(|| pgf_resilient::merge(&views, &pgf::Limits::default())).map_err(|e| errors::raise(py, &e))?;
    Ok(PyBytes::new(py, &merged))
}

/// A stream with more detail: up to ``planes`` more planes of every block that meets ``region`` are appended, and the base
/// values, palette entries and user data that it lacks (an array brings no palette and no user data). A last piece that is cut
/// is replaced by a whole one; else nothing before the end changes.
///
/// Args:
///     data: the `.pgfr` stream.
///     image: what the stream was made from: the array, or a whole `.pgf` or `.pgfr` file, lossless or equally quantised.
///     region: (left, top, right, bottom) in pixels of the picture; ``None`` means all.
///     planes: planes to add, at least 1.
///
/// Raises:
///     ValueError: the picture is of another size, mode or quality, or a stream that is not whole; the region is empty or not
///         in the picture.
#[pyfunction]
#[pyo3(signature = (data: "typing_extensions.Buffer",
    image: "numpy.typing.NDArray[typing.Any] | typing_extensions.Buffer", /, *,
    region: "tuple[int, int, int, int] | None" = None, planes=1))]
pub fn refine<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    image: &Bound<'py, PyAny>,
    region: Option<(i64, i64, i64, i64)>,
    planes: i64,
) -> PyResult<Bound<'py, PyBytes>> {
    let planes = usize::try_from(planes)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| PyValueError::new_err(format!("planes={planes}: at least 1 is needed")))?;
    let region = region.map(|r| crate::_pgfrs::rect_of("region", r)).transpose()?;
    let data = Data::extract(data)?;
    let bytes = data.bytes();
    let limits = pgf::Limits::default();
    let header = pgf_resilient::read_picture(bytes).map_err(|e| errors::raise(py, &e))?.header;
    let is_array = image.cast::<PyUntypedArray>().is_ok() && !is_file(image);
    let refined = if is_array {
        let picture = Picture::extract(image, Some(header.mode.name()))?;
        let view = picture.image();
        py.detach(|| {
            let options = pgf::EncodeOptions {
                quality: header.quality,
                levels: (header.levels > 0).then_some(header.levels),
                used_bits: Some(header.used_bits),
                ..pgf::EncodeOptions::default()
            };
            let coefficients = pgf::analyse(&view, &options)?;
            pgf_resilient::refine(bytes, &coefficients, region, planes, &limits)
        })
    } else {
        let file = Data::extract(image)?;
        let file = file.bytes();
        py.detach(|| {
            let coefficients = if container::is_stream(file) {
                let options = pgf_resilient::DecodeOptions { strict: true, limits, ..Default::default() };
                let (coefficients, report) = pgf_resilient::read_coefficients(file, &options)?;
                if report.open > 0 || report.base_known < report.base_total {
                    return Err(pgf::Error::Usage(format!(
                        "image: a stream that is not whole (of {} blocks planes are missing, of {} base values {} are there): \
                         what it lacks would be invented",
                        report.open, report.base_total, report.base_known
                    )));
                }
                coefficients
            } else {
                pgf::read_coefficients(file, true, &limits)?.0
            };
            pgf_resilient::refine(bytes, &coefficients, region, planes, &limits)
        })
    };
    Ok(PyBytes::new(py, &refined.map_err(|e| errors::raise(py, &e))?))
}

/// Whether an array is the bytes of a file rather than pixels.
fn is_file(object: &Bound<'_, PyAny>) -> bool {
    let flat = object.cast::<PyArrayDyn<u8>>().is_ok_and(|a| numpy::PyUntypedArrayMethods::ndim(a) == 1);
    flat && Data::extract(object).is_ok_and(|d| container::check(d.bytes()) == Some(true))
}

/// The stream without some of its segments; the rest stays as it is.
///
/// Args:
///     data: the `.pgfr` stream.
///     which: segments as :func:`segments` lists them, or the positions at which they start.
///
/// Raises:
///     ValueError: no segment starts at a position.
#[pyfunction(name = "drop")]
#[pyo3(signature = (data: "typing_extensions.Buffer", which: "collections.abc.Iterable[Segment | int]", /))]
pub fn drop_segments<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    which: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let starts = which
        .try_iter()?
        .map(|item| {
            let item = item?;
            match item.cast::<Segment>() {
                Ok(segment) => Ok(segment.get().0.bytes.start),
                Err(_) => {
                    let start: i64 = item.extract()?;
                    let refused = || PyValueError::new_err(format!("no segment begins at byte {start}"));
                    usize::try_from(start).map_err(|_| refused())
                }
            }
        })
        .collect::<PyResult<Vec<usize>>>()?;
    let data = Data::extract(data)?;
    let left = pgf_resilient::remove(data.bytes(), &starts).map_err(|e| errors::raise(py, &e))?;
    Ok(PyBytes::new(py, &left))
}
