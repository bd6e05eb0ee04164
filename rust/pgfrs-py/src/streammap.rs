//! `StreamMap`: which bytes of a stream with an index a level and a region need.

use std::ops::Range;

use pgf::{Limits, Rect};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::Data;
use crate::errors;
use crate::info::PyLimits;

/// Which bytes of a `.pgfr` stream with an index a level and a region need, for readers that fetch only those; see
/// :func:`pgfrs.open`. What one method names is fetched and given to the next, in the order in which they stand here.
///
/// ``head`` are the first bytes of the file, the picture header among them, ``size`` is the length of the file.
#[pyclass(module = "pgfrs", name = "StreamMap")]
pub struct StreamMap {
    map: pgf_resilient::StreamMap,
    opening: Vec<u8>,
    limits: Limits,
}

type Span = (usize, usize);

fn span(range: Range<usize>) -> Span {
    (range.start, range.end)
}

fn rect(region: Option<(u32, u32, u32, u32)>) -> Option<Rect> {
    region.map(|(left, top, right, bottom)| Rect { left, top, right, bottom })
}

fn all<'py>(pieces: &Bound<'py, PyAny>) -> PyResult<Vec<Data<'py>>> {
    pieces.try_iter()?.map(|p| p.and_then(|p| Data::extract(&p))).collect()
}

#[pymethods]
impl StreamMap {
    #[new]
    #[pyo3(signature = (head: "typing_extensions.Buffer", size, /, *, limits=None))]
    fn new(
        py: Python<'_>,
        head: &Bound<'_, PyAny>,
        size: usize,
        limits: Option<&Bound<'_, PyLimits>>,
    ) -> PyResult<Self> {
        let data = Data::extract(head)?;
        let limits = limits.map_or_else(Limits::default, |l| l.get().0);
        let map = pgf_resilient::StreamMap::new(data.bytes(), size, &limits).map_err(|e| errors::raise(py, &e))?;
        Ok(StreamMap { map, opening: Vec::new(), limits })
    }

    /// (start, end) of the bytes where the directory of an index would be; None in files too small for one.
    #[getter]
    fn directory(&self) -> Option<Span> {
        self.map.directory().map(span)
    }

    /// Take the bytes of :attr:`directory`.
    ///
    /// Raises:
    ///     FormatError: they are no directory of this file.
    #[pyo3(signature = (data: "typing_extensions.Buffer", /))]
    fn use_directory(&mut self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = Data::extract(data)?;
        self.map.use_directory(data.bytes()).map_err(|e| errors::raise(py, &e))
    }

    /// (start, end) of the bytes of header, base and whatever else comes before the first segment of planes.
    #[getter]
    fn opening(&self) -> Span {
        span(self.map.opening())
    }

    /// Take the bytes of :attr:`opening`.
    ///
    /// Raises:
    ///     FormatError: they are not those that the index was made for.
    #[pyo3(signature = (data: "typing_extensions.Buffer", /))]
    fn use_opening(&mut self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = Data::extract(data)?;
        self.map.use_opening(data.bytes(), &self.limits).map_err(|e| errors::raise(py, &e))?;
        self.opening = data.bytes().to_vec();
        Ok(())
    }

    /// The parts of the index that a level and a region need, ascending in each group of channels, as (start, end).
    ///
    /// Raises:
    ///     ValueError: a level or region that the picture does not have.
    fn pages(&self, py: Python<'_>, level: u8, region: Option<(u32, u32, u32, u32)>) -> PyResult<Vec<Span>> {
        let pages = self.map.pages(level, rect(region)).map_err(|e| errors::raise(py, &e))?;
        Ok(pages.into_iter().map(span).collect())
    }

    /// The bytes of the segments that a level and a region need, ascending, as (start, end); ``pages`` are the bytes
    /// of :meth:`pages`.
    ///
    /// Raises:
    ///     FormatError: damaged pages.
    #[pyo3(signature = (level, region, pages: "collections.abc.Sequence[typing_extensions.Buffer]", /))]
    fn ranges(
        &self,
        py: Python<'_>,
        level: u8,
        region: Option<(u32, u32, u32, u32)>,
        pages: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<Span>> {
        let pages = all(pages)?;
        let pages: Vec<&[u8]> = pages.iter().map(Data::bytes).collect();
        let ranges = self.map.ranges(level, rect(region), &pages).map_err(|e| errors::raise(py, &e))?;
        Ok(ranges.into_iter().map(span).collect())
    }

    /// A stream that holds only what a level and a region need; ``pieces`` are the bytes of :meth:`ranges`.
    ///
    /// Raises:
    ///     FormatError: they are not the segments that the index names.
    ///     ValueError: pieces of other lengths.
    #[pyo3(signature = (level, region, pages: "collections.abc.Sequence[typing_extensions.Buffer]",
        pieces: "collections.abc.Sequence[typing_extensions.Buffer]", /))]
    fn assemble<'py>(
        &self,
        py: Python<'py>,
        level: u8,
        region: Option<(u32, u32, u32, u32)>,
        pages: &Bound<'py, PyAny>,
        pieces: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (pages, pieces) = (all(pages)?, all(pieces)?);
        let pages: Vec<&[u8]> = pages.iter().map(Data::bytes).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Data::bytes).collect();
        let stream = self.map.assemble(level, rect(region), &pages, &self.opening, &pieces);
        Ok(PyBytes::new(py, &stream.map_err(|e| errors::raise(py, &e))?))
    }
}

/// An undamaged `.pgfr` stream with an index behind its last byte; see :func:`pgfrs.lazy.add_index`.
///
/// Raises:
///     FormatError: the stream is damaged.
///     TruncatedError: its last segment is cut.
///     UnsupportedError: header, base or palette come behind the first segment of planes.
#[pyfunction]
#[pyo3(signature = (data: "typing_extensions.Buffer", /, *, by_place = false))]
pub fn index_stream<'py>(py: Python<'py>, data: &Bound<'py, PyAny>, by_place: bool) -> PyResult<Bound<'py, PyBytes>> {
    let data = Data::extract(data)?;
    let bytes = data.bytes();
    let indexed = py.detach(|| pgf_resilient::add_index(bytes, by_place, &Limits::default()));
    Ok(PyBytes::new(py, &indexed.map_err(|e| errors::raise(py, &e))?))
}
