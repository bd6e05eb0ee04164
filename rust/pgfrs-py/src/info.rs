//! What callers are told: headers, reports, progress.

use numpy::{PyArray, PyArrayMethods};
use pgf::{FileHeader, MAX_LEVELS, Report};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::arrays::{dtype_of, shape_of};
use crate::container::{About, Found};
use pgf_resilient::{Fate, Payload, StreamReport};

/// Bounds checked before anything is allocated.
///
/// `max_pixels` bounds the pixels of what is decoded (level and region counted in), `max_bytes` the bytes that its
/// coefficients and samples take together. What is over a bound raises `LimitsError`.
#[pyclass(frozen, module = "pgfrs", name = "Limits", from_py_object)]
#[derive(Clone, Copy)]
pub struct PyLimits(pub pgf::Limits);

#[pymethods]
impl PyLimits {
    #[new]
    #[pyo3(signature = (max_pixels=1 << 28, max_bytes=1 << 32))]
    fn new(max_pixels: u64, max_bytes: u64) -> Self {
        PyLimits(pgf::Limits { max_pixels, max_bytes })
    }

    /// Most pixels of what is decoded.
    #[getter]
    fn max_pixels(&self) -> u64 {
        self.0.max_pixels
    }

    /// Most bytes of coefficients and samples together.
    #[getter]
    fn max_bytes(&self) -> u64 {
        self.0.max_bytes
    }

    /// What makes the same limits again, for pickle and copy.
    fn __getnewargs__(&self) -> (u64, u64) {
        (self.0.max_pixels, self.0.max_bytes)
    }

    fn __repr__(&self) -> String {
        format!("Limits(max_pixels={}, max_bytes={})", self.0.max_pixels, self.0.max_bytes)
    }
}

/// What the header of a file says.
#[pyclass(frozen, module = "pgfrs", name = "ImageInfo")]
pub struct ImageInfo {
    file: FileHeader,
    user_data: Py<PyBytes>,
    stream: Option<pgf_resilient::Picture>,
}

impl ImageInfo {
    pub fn new(py: Python<'_>, about: About) -> Self {
        let user_data = PyBytes::new(py, &about.user_data).unbind();
        ImageInfo { file: about.file, user_data, stream: about.stream }
    }
}

/// The name of a payload.
pub fn payload_name(payload: Payload) -> &'static str {
    match payload {
        Payload::Packed => "packed",
        Payload::Tokens => "tokens",
    }
}

fn container_name(stream: bool) -> &'static str {
    if stream { "pgfr" } else { "pgf" }
}

#[pymethods]
impl ImageInfo {
    /// The container: "pgf" or "pgfr".
    #[getter]
    fn format(&self) -> &'static str {
        container_name(self.stream.is_some())
    }

    /// How a `.pgfr` stream codes its planes, "packed" or "tokens"; None for `.pgf`.
    #[getter]
    fn payload(&self) -> Option<&'static str> {
        self.stream.map(|picture| payload_name(picture.payload))
    }

    /// Whether a `.pgfr` stream is bare (see encode); None for `.pgf`.
    #[getter]
    fn bare(&self) -> Option<bool> {
        self.stream.map(|picture| picture.bare)
    }

    /// Major version of the format that wrote the file: 2 to 7 for `.pgf`, 1 for `.pgfr`.
    #[getter]
    fn version(&self) -> u8 {
        if self.stream.is_some() { 1 } else { self.file.major_version() }
    }

    /// The version byte: bits 0x08 ROI, 0x10 version 5, 0x20 version 6, 0x40 version 7.
    #[getter]
    fn version_flags(&self) -> u8 {
        self.file.flags
    }

    /// Columns in pixels.
    #[getter]
    fn width(&self) -> u32 {
        self.file.header.width
    }

    /// Rows in pixels.
    #[getter]
    fn height(&self) -> u32 {
        self.file.header.height
    }

    /// Wavelet levels, 0 to 30; level k has ceil(size / 2^k) pixels a side.
    #[getter]
    fn levels(&self) -> u8 {
        self.file.header.levels
    }

    /// Quality, 0 (lossless) to 31 (worst).
    #[getter]
    fn quality(&self) -> u8 {
        self.file.header.quality
    }

    /// Name of the image mode.
    #[getter]
    fn mode(&self) -> &'static str {
        self.file.header.mode.name()
    }

    /// Samples per pixel, 1 to 8.
    #[getter]
    fn channels(&self) -> u8 {
        self.file.header.channels
    }

    /// Bits per pixel as the header states them.
    #[getter]
    fn bits_per_pixel(&self) -> u8 {
        self.file.header.bits_per_pixel
    }

    /// Bits of a sample that carry data, from the top in 16-bit modes.
    #[getter]
    fn used_bits_per_channel(&self) -> u8 {
        self.file.header.used_bits
    }

    /// Whether the file is cut in tiles that decode on their own.
    #[getter]
    fn roi(&self) -> bool {
        self.file.roi()
    }

    /// Whether all planes but the first have half the size.
    #[getter]
    fn chroma_subsampled(&self) -> bool {
        self.file.header.subsampled()
    }

    /// Shape of the decoded array: (H, W) or (H, W, C).
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let h = &self.file.header;
        PyTuple::new(py, shape_of(h.mode, h.width, h.height, usize::from(h.channels)))
    }

    /// NumPy's name of the decoded array's type.
    #[getter]
    fn dtype(&self) -> &'static str {
        dtype_of(self.file.header.mode)
    }

    /// Opaque bytes that the file carries; empty if there are none.
    #[getter]
    fn user_data(&self, py: Python<'_>) -> Py<PyBytes> {
        self.user_data.clone_ref(py)
    }

    /// Palette of an indexed picture, uint8 of shape (256, 4): red, green, blue, reserved; else None.
    #[getter]
    fn palette<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(palette) = &self.file.palette else { return Ok(None) };
        let flat = PyArray::from_vec(py, palette.as_flattened().to_vec());
        Ok(Some(flat.reshape([256, 4])?.into_any()))
    }

    /// Bytes of each level's coded data as the file states them, smallest image first. Only hints.
    #[getter]
    fn level_lengths<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.file.level_lengths)
    }

    /// Offset of the first byte of coded data.
    #[getter]
    fn data_offset(&self) -> usize {
        self.file.data_offset
    }

    /// (width, height) of level `k`, 0 (full size) to `levels`.
    fn level_size(&self, k: u8) -> PyResult<(u32, u32)> {
        let h = &self.file.header;
        if k > h.levels.min(MAX_LEVELS) {
            return Err(PyValueError::new_err(format!("level {k}: the picture has levels 0 to {}", h.levels)));
        }
        let at = |n: u32| ((u64::from(n) + (1 << k) - 1) >> k) as u32;
        Ok((at(h.width), at(h.height)))
    }

    fn __repr__(&self) -> String {
        let h = &self.file.header;
        format!(
            "ImageInfo({}, {}x{}, {}, quality={}, levels={}, roi={})",
            self.format(),
            h.width,
            h.height,
            h.mode.name(),
            h.quality,
            h.levels,
            if self.file.roi() { "True" } else { "False" }
        )
    }
}

/// One damaged place of a file.
#[pyclass(frozen, module = "pgfrs", name = "DamageSpan", get_all)]
pub struct DamageSpan {
    /// First byte concerned.
    start: usize,
    /// Behind the last byte concerned.
    end: usize,
    /// "header", "word_length", "tile_header", "code", "stray" or "truncated"; in streams "segment".
    kind: &'static str,
    /// Whether nothing was lost by it.
    repaired: bool,
    /// For people.
    message: String,
}

#[pymethods]
impl DamageSpan {
    fn __repr__(&self) -> String {
        let repaired = if self.repaired { "True" } else { "False" };
        format!("DamageSpan({}, {}, {:?}, repaired={repaired}, {:?})", self.start, self.end, self.kind, self.message)
    }
}

/// What decoding found. Counts are of the macroblocks that the wanted level and region need; of a `.pgfr` stream they
/// are of its segments of planes, and `truncated` is never true: any prefix of a stream is a whole stream.
#[pyclass(frozen, module = "pgfrs", name = "DecodeReport")]
pub struct DecodeReport {
    report: Report,
    stream: Option<Box<StreamReport>>,
    pub width: u32,
    pub height: u32,
    pub level: u8,
    pub region: Option<(u32, u32, u32, u32)>,
    pub bytes_total: usize,
}

impl DecodeReport {
    pub fn new(
        found: Found,
        (width, height): (u32, u32),
        level: u8,
        region: Option<pgf::Rect>,
        bytes_total: usize,
    ) -> DecodeReport {
        let region = region.map(|r| (r.left, r.top, r.right, r.bottom));
        let (report, stream) = match found {
            Found::Pgf(report) => (report, None),
            Found::Stream(stream) => {
                let count = |fates: &[Fate]| fates.iter().map(|f| stream.fates[*f as usize] as u64).sum();
                let report = Report {
                    macroblocks: count(&[Fate::Used, Fate::Cut, Fate::Doubted, Fate::Lost]),
                    intact: count(&[Fate::Used]),
                    partial: count(&[Fate::Cut, Fate::Doubted]),
                    missing: count(&[Fate::Lost]),
                    repaired: stream.repaired as u64,
                    damaged: !stream.clean(),
                    bytes_used: bytes_total,
                    ..Report::default()
                };
                (report, Some(stream))
            }
        };
        DecodeReport { report, stream, width, height, level, region, bytes_total }
    }

    /// What to warn of, if anything.
    pub fn warning(&self) -> Option<String> {
        let r = &self.report;
        if r.complete() {
            return None;
        }
        let what = if r.damaged { "damaged" } else { "cut short" };
        let units = if self.stream.is_some() { "segments" } else { "macroblocks" };
        let concealed = match self.concealed() {
            0 => String::new(),
            n => format!(", {n} base values are concealed"),
        };
        Some(format!(
            "the data are {what}: of {} {units} {} are intact, {} partial, {} missing{concealed}",
            r.macroblocks, r.intact, r.partial, r.missing
        ))
    }
}

#[pymethods]
impl DecodeReport {
    /// The container: "pgf" or "pgfr".
    #[getter]
    fn format(&self) -> &'static str {
        container_name(self.stream.is_some())
    }

    /// Segments of planes of a stream by what became of them: "used", "cut" (the end of the data), "doubted" (a
    /// contradiction; the part that may be right is in the picture), "lost", "duplicate", "unneeded". Empty for `.pgf`.
    #[getter]
    fn segments(&self) -> std::collections::BTreeMap<&'static str, usize> {
        self.stream.iter().flat_map(|s| FATES.iter().map(|(fate, name)| (*name, s.fates[*fate as usize]))).collect()
    }

    /// Base values of a stream that are there, and all that there should be; None for `.pgf`.
    #[getter]
    fn base(&self) -> Option<(usize, usize)> {
        self.stream.as_ref().map(|s| (s.base_known, s.base_total))
    }

    /// Base values of a stream that are missing although it goes on behind them, and estimated. 0 for `.pgf`.
    #[getter]
    fn concealed(&self) -> usize {
        self.stream.as_ref().map_or(0, |s| s.concealed)
    }

    /// Blocks of a stream that begin and do not reach their lowest plane, as they do where a stream was cut or made for a
    /// budget; one of which nothing is there looks like one that is flat and is not counted. 0 for `.pgf`.
    #[getter]
    fn unfinished(&self) -> usize {
        self.stream.as_ref().map_or(0, |s| s.open)
    }

    /// How much of a stream's picture is known where: uint8 of shape (levels, rows, columns), the finest level first,
    /// for tiles of 64 x 64 pixels the number of lowest planes of the first channel that are missing, 0 = all are
    /// known, 255 = nothing is. None for `.pgf`.
    #[getter]
    fn confidence<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(stream) = &self.stream else { return Ok(None) };
        let flat = PyArray::from_vec(py, stream.missing.clone());
        Ok(Some(flat.reshape([usize::from(stream.levels), stream.grid.0, stream.grid.1])?.into_any()))
    }

    /// Columns of the decoded picture.
    #[getter]
    fn width(&self) -> u32 {
        self.width
    }

    /// Rows of the decoded picture.
    #[getter]
    fn height(&self) -> u32 {
        self.height
    }

    /// The level that was decoded.
    #[getter]
    fn level(&self) -> u8 {
        self.level
    }

    /// The region that was decoded, (left, top, right, bottom) in full-size pixels, or None for all.
    #[getter]
    fn region(&self) -> Option<(u32, u32, u32, u32)> {
        self.region
    }

    /// Whether everything asked for was there as it was written. Of a stream: whether all of the data was used as it
    /// was written; whether more could come is not known, see `unfinished`.
    #[getter]
    fn complete(&self) -> bool {
        self.report.complete()
    }

    /// Whether the data end before the picture does. Never of a stream: any prefix of one is a whole stream.
    #[getter]
    fn truncated(&self) -> bool {
        self.report.truncated
    }

    /// Whether something contradicts the format. Of a stream: whether anything of it was lost, doubted, repaired, adopted or
    /// concealed, so that its picture is not all that it says and nothing else. The prefix of an undamaged stream is not
    /// damaged.
    #[getter]
    fn damaged(&self) -> bool {
        self.report.damaged
    }

    /// Bytes given.
    #[getter]
    fn bytes_total(&self) -> usize {
        self.bytes_total
    }

    /// Offset behind the last byte used.
    #[getter]
    fn bytes_used(&self) -> usize {
        self.report.bytes_used
    }

    /// Macroblocks needed.
    #[getter]
    fn macroblocks(&self) -> u64 {
        self.report.macroblocks
    }

    /// Macroblocks decoded completely and without contradiction.
    #[getter]
    fn intact(&self) -> u64 {
        self.report.intact
    }

    /// Macroblocks of which some planes, or bits of a plane, are missing.
    #[getter]
    fn partial(&self) -> u64 {
        self.report.partial
    }

    /// Macroblocks of which nothing is known.
    #[getter]
    fn missing(&self) -> u64 {
        self.report.missing
    }

    /// Macroblocks read after their length or header had been mended; segments that were corrected, found under another
    /// address, or adopted from bytes without a sure one.
    #[getter]
    fn repaired(&self) -> u64 {
        self.report.repaired
    }

    /// The finest level, none finer than the one asked for, of which every macroblock is intact, or None.
    #[getter]
    fn finest_complete_level(&self) -> Option<u8> {
        self.report.finest_complete_level
    }

    /// The damaged places, by position.
    #[getter]
    fn damage(&self) -> Vec<DamageSpan> {
        let span = |d: &pgf::Damage| DamageSpan {
            start: d.bytes.start,
            end: d.bytes.end,
            kind: d.kind.name(),
            repaired: d.repaired,
            message: d.message.clone(),
        };
        let fault = |f: &pgf_resilient::Fault| DamageSpan {
            start: f.bytes.start,
            end: f.bytes.end,
            kind: "segment",
            repaired: false,
            message: f.message.clone(),
        };
        let faults = self.stream.iter().flat_map(|s| s.faults.iter().map(fault));
        self.report.damage.iter().map(span).chain(faults).collect()
    }

    fn __repr__(&self) -> String {
        let r = &self.report;
        format!(
            "DecodeReport({}={}, intact={}, partial={}, missing={}, repaired={}, truncated={}, damaged={})",
            if self.stream.is_some() { "segments" } else { "macroblocks" },
            r.macroblocks,
            r.intact,
            r.partial,
            r.missing,
            r.repaired,
            if r.truncated { "True" } else { "False" },
            if r.damaged { "True" } else { "False" }
        )
    }
}

/// The names of what becomes of segments.
pub const FATES: [(Fate, &str); 6] = [
    (Fate::Used, "used"),
    (Fate::Cut, "cut"),
    (Fate::Doubted, "doubted"),
    (Fate::Lost, "lost"),
    (Fate::Duplicate, "duplicate"),
    (Fate::Unneeded, "unneeded"),
];

/// How much of a picture has arrived. Of a `.pgfr` stream segments count in place of macroblocks, and as a stream may
/// always go on, the total is None and `complete` False.
#[pyclass(frozen, module = "pgfrs", name = "Progress", eq)]
#[derive(PartialEq)]
pub struct Progress(pub pgf::Progress);

#[pymethods]
impl Progress {
    /// Bytes fed so far.
    #[getter]
    fn bytes_received(&self) -> usize {
        self.0.bytes_received
    }

    /// Whether everything has arrived.
    #[getter]
    fn complete(&self) -> bool {
        self.0.complete
    }

    /// The finest level for which everything has arrived, or None.
    #[getter]
    fn level(&self) -> Option<u8> {
        self.0.level
    }

    /// Macroblocks that have arrived whole.
    #[getter]
    fn macroblocks(&self) -> u64 {
        self.0.macroblocks
    }

    /// Macroblocks of the picture, or None before the header is whole.
    #[getter]
    fn macroblocks_total(&self) -> Option<u64> {
        self.0.macroblocks_total
    }

    fn __repr__(&self) -> String {
        let p = &self.0;
        let total = p.macroblocks_total.map_or("None".into(), |n| n.to_string());
        format!("Progress({} bytes, {} of {total} macroblocks)", p.bytes_received, p.macroblocks)
    }
}
