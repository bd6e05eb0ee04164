//! Batches of picture files to PGF: arguments for `pgf-ingest`, its results as Python objects.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pgf::ImageRef;
use pgf_ingest::{
    Alpha, Channels, Colour, Converted, Failure, FailureKind, Filter, Icc, Input, Options, Output, Resize, Rule, Select,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};
use std::path::PathBuf;

use crate::arrays::{Data, Picture, array_of};
use crate::stream::parse_payload;
use pgf_resilient::{Payload, StreamOptions};

/// One converted picture.
#[pyclass(frozen, module = "pgfrs.corpus", name = "ConvertedImage")]
pub struct ConvertedImage {
    data: Py<PyBytes>,
    length: usize,
    /// Without its data.
    row: Converted,
}

#[pymethods]
impl ConvertedImage {
    /// The encoded picture.
    #[getter]
    fn data(&self, py: Python<'_>) -> Py<PyBytes> {
        self.data.clone_ref(py)
    }

    /// Pixels of the result.
    #[getter]
    fn width(&self) -> u32 {
        self.row.width
    }

    /// Pixels of the result.
    #[getter]
    fn height(&self) -> u32 {
        self.row.height
    }

    /// Mode of the result: "gray", "rgb", "rgba", "gray16" or "rgb48".
    #[getter]
    fn mode(&self) -> &'static str {
        self.row.mode.name()
    }

    /// Pixels of the source, upright.
    #[getter]
    fn source_width(&self) -> u32 {
        self.row.source_width
    }

    /// Pixels of the source, upright.
    #[getter]
    fn source_height(&self) -> u32 {
        self.row.source_height
    }

    /// Format of the source: "jpeg", "png", "webp", "gif", "bmp", "tiff", "pgf", "pgfr" or, for arrays, "pixels".
    #[getter]
    fn source_format(&self) -> &'static str {
        self.row.source_format.name()
    }

    /// Bytes of the source.
    #[getter]
    fn source_bytes(&self) -> u64 {
        self.row.source_bytes
    }

    /// SHA-256 of the source's bytes, or ``None`` where ``digest`` did not ask for it.
    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.row.digest.map(|digest| PyBytes::new(py, &digest))
    }

    /// Peak signal to noise ratio in dB beside the pixels that were encoded (infinite if equal), or ``None`` where
    /// ``measure`` did not ask for it.
    #[getter]
    fn psnr(&self) -> Option<f64> {
        self.row.psnr
    }

    fn __repr__(&self) -> String {
        let Converted { width, height, .. } = self.row;
        let (mode, length) = (self.mode(), self.length);
        format!("ConvertedImage({width}x{height} {mode}, {length} bytes from {})", self.source_format())
    }
}

/// A picture in one of the forms that batches take.
enum Row<'py> {
    Bytes(Data<'py>),
    File(PathBuf),
    Part(PathBuf, u64, u64),
    Picture(Picture<'py>),
}

impl<'py> Row<'py> {
    fn extract(object: &Bound<'py, PyAny>) -> PyResult<Row<'py>> {
        if let Ok(tuple) = object.cast::<PyTuple>() {
            let (path, offset, length) = tuple.extract()?;
            return Ok(Row::Part(path, offset, length));
        }
        match object.cast::<PyUntypedArray>() {
            Ok(array) if array.ndim() >= 2 => {
                // No mode of the format holds 16-bit RGBA; one of the same layout stands for it.
                let rgba64 = array.shape().get(2) == Some(&4) && array.dtype().itemsize() == 2;
                let mode = rgba64.then_some("cmyk64");
                Ok(Row::Picture(Picture::extract(object, mode)?))
            }
            _ if object.is_instance_of::<PyBytes>() => Ok(Row::Bytes(Data::extract(object)?)),
            _ => match object.extract::<PathBuf>() {
                Ok(path) => Ok(Row::File(path)),
                Err(_) => Ok(Row::Bytes(Data::extract(object)?)),
            },
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Row::Bytes(data) => Input::Bytes(data.bytes()),
            Row::File(path) => Input::File(path.clone()),
            Row::Part(path, offset, length) => Input::Part(path.clone(), *offset, *length),
            Row::Picture(picture) => {
                let image: ImageRef<'_> = picture.image();
                Input::Pixels(image)
            }
        }
    }
}

/// One of the named values of an option.
fn choose<T: Copy>(option: &str, value: &str, choices: &[(&str, T)]) -> PyResult<T> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
        return Ok(*choice);
    }
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    Err(PyValueError::new_err(format!("{option}={value:?}: {} are possible", names.join(", "))))
}

fn within<T: PartialOrd + std::fmt::Display>(option: &str, value: T, low: T, high: T) -> PyResult<T> {
    if value >= low && value <= high {
        return Ok(value);
    }
    Err(PyValueError::new_err(format!("{option}={value}: between {low} and {high} is possible")))
}

#[allow(clippy::too_many_arguments)]
fn options(
    size: Option<i64>,
    resize: &str,
    enlarge: bool,
    filter: &str,
    min_side: Option<i64>,
    max_side: Option<i64>,
    max_aspect: Option<f64>,
    max_pixels: i64,
    channels: &str,
    alpha: &str,
    depth: i64,
    icc: &str,
    format: &str,
    quality: i64,
    max_bytes: Option<i64>,
    payload: &str,
    bare: bool,
    levels: Option<i64>,
    roi: bool,
) -> PyResult<Options> {
    let rules = [
        ("shortest", Some(Rule::Shortest)),
        ("longest", Some(Rule::Longest)),
        ("crop", Some(Rule::Crop)),
        ("none", None),
    ];
    let rule = choose("resize", resize, &rules)?;
    let size = size.map(|n| within("size", n, 1, 65535)).transpose()?;
    let filters = [
        ("box", Filter::Box),
        ("bilinear", Filter::Bilinear),
        ("bicubic", Filter::Bicubic),
        ("lanczos", Filter::Lanczos),
    ];
    let payload = parse_payload(payload)?;
    let quality = within("quality", quality, 0, 30)? as u8;
    let max_bytes = max_bytes.map(|n| within("max_bytes", n, 1, i64::MAX)).transpose()?.map(|n| n as usize);
    let levels = levels.map(|n| within("levels", n, 1, 30)).transpose()?.map(|n| n as u8);
    let output = match format {
        "pgf" if payload == Payload::Tokens => {
            return Err(PyValueError::new_err("payload=\"tokens\": goes with format=\"pgfr\""));
        }
        "pgf" if bare => return Err(PyValueError::new_err("bare=True: goes with format=\"pgfr\"")),
        "pgf" => Output::Pgf { quality, levels, roi, max_bytes },
        "pgfr" if roi => return Err(PyValueError::new_err("roi=True: goes with format=\"pgf\"")),
        "pgfr" => Output::Pgfr {
            quality,
            levels,
            stream: StreamOptions { payload, bare, max_bytes, ..StreamOptions::default() },
        },
        _ => return Err(PyValueError::new_err(format!("format={format:?}: \"pgf\", \"pgfr\" are possible"))),
    };
    let side =
        |name, n: Option<i64>| Ok::<_, PyErr>(n.map(|n| within(name, n, 1, 1 << 31)).transpose()?.map(|n| n as u32));
    if let Some(bound) = max_aspect.filter(|bound| bound.is_nan() || *bound < 1.0) {
        return Err(PyValueError::new_err(format!("max_aspect={bound}: at least 1 is needed")));
    }
    Ok(Options {
        select: Select { min_side: side("min_side", min_side)?, max_side: side("max_side", max_side)?, max_aspect },
        max_pixels: within("max_pixels", max_pixels, 1, 1 << 40)? as u64,
        resize: size.zip(rule).map(|(size, rule)| Resize { rule, size: size as u32, enlarge }),
        filter: choose("filter", filter, &filters)?,
        colour: Colour {
            alpha: choose("alpha", alpha, &[("keep", Alpha::Keep), ("white", Alpha::White), ("black", Alpha::Black)])?,
            channels: choose(
                "channels",
                channels,
                &[("source", Channels::Source), ("rgb", Channels::Rgb), ("gray", Channels::Gray)],
            )?,
            deep: match depth {
                8 => false,
                16 => true,
                _ => return Err(PyValueError::new_err(format!("depth={depth}: 8 or 16 is possible"))),
            },
            icc: choose("icc", icc, &[("srgb", Icc::Srgb), ("ignore", Icc::Ignore)])?,
        },
        ..Options::new(output)
    })
}

/// The exception that stands for a row without a picture.
fn exception<'py>(py: Python<'py>, failure: &Failure) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.import(py, "pgfrs._errors", "IngestError")?;
    class.call1((failure.kind.name(), failure.message.as_str(), failure.kind.skipped()))
}

/// Convert picture files in one call: decode, select, turn upright, resize, encode.
///
/// JPEG, PNG, WebP, GIF (first frame), BMP, TIFF (first page) and PGF are told by their first bytes. A JPEG is
/// decoded at 1/2, 1/4 or 1/8 of its size where the result is that much smaller.
///
/// Args:
///     rows: each a file in memory (``bytes`` or another buffer), a path, a part of a file as
///         ``(path, offset, length)``, or an array of shape (H, W), (H, W, 3) or (H, W, 4) of ``uint8`` or
///         ``uint16``.
///     size: pixels, 1 to 65535; ``None`` leaves the size.
///     resize: what ``size`` means: ``"shortest"`` side, ``"longest"`` side, ``"crop"`` (the shorter side, then the
///         centre square), or ``"none"``.
///     enlarge: also enlarge smaller pictures.
///     filter: ``"box"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``, stretched when pictures shrink.
///     min_side, max_side, max_aspect: drop pictures whose shorter side, longer side or ratio of sides, upright and
///         before resizing, is below or over.
///     max_pixels: refuse files that claim more.
///     channels: ``"source"``, ``"rgb"`` or ``"gray"``. CMYK always becomes RGB, without its profile.
///     alpha: ``"keep"``, or lay pictures on ``"white"`` or ``"black"``. An opaque alpha channel is left out.
///     depth: 8, or 16 to keep 16 bits of gray and RGB sources.
///     icc: ``"srgb"`` converts 8-bit gray and RGB samples by their profile, ``"ignore"`` leaves them as they are.
///     format, quality, max_bytes, payload, bare, levels, roi: as in :func:`pgfrs.encode`.
///     digest: also give the SHA-256 of every source, to find copies.
///     measure: for each row whether to decode the result and compare; missing entries mean no.
///     num_threads: most threads to use; the results are the same for any number.
///
/// Returns:
///     A list that holds, row by row, a :class:`ConvertedImage` or the :class:`pgfrs.IngestError` that stands in its
///     way. One bad picture never stops the others.
///
/// Raises:
///     ValueError: an option does not fit.
#[pyfunction]
#[pyo3(signature = (rows: "collections.abc.Iterable[typing.Any]", /, *, size=None, resize="shortest", enlarge=false,
    filter="bicubic", min_side=None, max_side=None, max_aspect=None, max_pixels=1 << 28, channels="source",
    alpha="keep", depth=8, icc="srgb", format="pgf", quality=0, max_bytes=None, payload="packed", bare=false,
    levels=None, roi=false, digest=false, measure=vec![], num_threads=1) -> "list[ConvertedImage | Exception]")]
#[allow(clippy::too_many_arguments)]
pub fn convert_batch<'py>(
    py: Python<'py>,
    rows: &Bound<'py, PyAny>,
    size: Option<i64>,
    resize: &str,
    enlarge: bool,
    filter: &str,
    min_side: Option<i64>,
    max_side: Option<i64>,
    max_aspect: Option<f64>,
    max_pixels: i64,
    channels: &str,
    alpha: &str,
    depth: i64,
    icc: &str,
    format: &str,
    quality: i64,
    max_bytes: Option<i64>,
    payload: &str,
    bare: bool,
    levels: Option<i64>,
    roi: bool,
    digest: bool,
    measure: Vec<bool>,
    num_threads: i64,
) -> PyResult<Bound<'py, PyList>> {
    let mut options = options(
        size, resize, enlarge, filter, min_side, max_side, max_aspect, max_pixels, channels, alpha, depth, icc, format,
        quality, max_bytes, payload, bare, levels, roi,
    )?;
    options.digest = digest;
    let threads = within("num_threads", num_threads, 1, 65536)? as usize;
    if rows.is_instance_of::<PyString>() || rows.is_instance_of::<PyBytes>() {
        let message = format!("rows: a sequence of pictures is needed, this is one {}", rows.get_type().name()?);
        return Err(PyTypeError::new_err(message));
    }
    let rows: Vec<_> = rows.try_iter()?.map(|row| row.and_then(|row| Row::extract(&row))).collect();
    // A row that is none of the forms fails alone; its place holds no bytes meanwhile.
    let inputs: Vec<_> = rows.iter().map(|row| row.as_ref().map_or(Input::Bytes(&[]), Row::input)).collect();
    let done = py
        .detach(|| pgf_ingest::convert_batch(&inputs, &options, &measure, threads))
        .map_err(|e| PyValueError::new_err(format!("num_threads={num_threads}: {e}")))?;
    let results = PyList::empty(py);
    for (row, done) in rows.iter().zip(done) {
        match (row, done) {
            (Err(error), _) => {
                let message = error.value(py).str()?.to_string();
                results.append(exception(py, &Failure { kind: FailureKind::Unsupported, message })?)?;
            }
            (Ok(_), Err(failure)) => results.append(exception(py, &failure)?)?,
            (Ok(_), Ok(mut row)) => {
                let (data, length) = (PyBytes::new(py, &row.data).unbind(), row.data.len());
                row.data = Vec::new();
                results.append(Bound::new(py, ConvertedImage { data, length, row })?)?;
            }
        }
    }
    Ok(results)
}

/// The pixels that :func:`convert_batch` would encode, for one row; options as there.
///
/// Returns:
///     Array of shape (H, W), (H, W, 3) or (H, W, 4), ``uint8`` or ``uint16``.
///
/// Raises:
///     IngestError: what stands in the way.
#[pyfunction]
#[pyo3(signature = (row: "typing.Any", /, *, size=None, resize="shortest", enlarge=false, filter="bicubic",
    min_side=None, max_side=None, max_aspect=None, max_pixels=1 << 28, channels="source", alpha="keep", depth=8,
    icc="srgb") -> "numpy.typing.NDArray[typing.Any]")]
#[allow(clippy::too_many_arguments)]
pub fn prepare_image<'py>(
    py: Python<'py>,
    row: &Bound<'py, PyAny>,
    size: Option<i64>,
    resize: &str,
    enlarge: bool,
    filter: &str,
    min_side: Option<i64>,
    max_side: Option<i64>,
    max_aspect: Option<f64>,
    max_pixels: i64,
    channels: &str,
    alpha: &str,
    depth: i64,
    icc: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options(
        size, resize, enlarge, filter, min_side, max_side, max_aspect, max_pixels, channels, alpha, depth, icc, "pgf",
        0, None, "packed", false, None, false,
    )?;
    let row = Row::extract(row)?;
    let input = row.input();
    match py.detach(|| pgf_ingest::prepare(&input, &options)) {
        Ok(prepared) => array_of(py, prepared.image),
        Err(failure) => Err(PyErr::from_value(exception(py, &failure)?)),
    }
}
