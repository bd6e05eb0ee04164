//! `ByteMap`: which bytes of a file a level and a region need.

use pgf::{Error, Limits, Rect};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::Data;
use crate::errors;
use crate::info::PyLimits;

/// Which bytes of a file a level and a region need, for readers that fetch only those; see :func:`pgfrs.open`.
///
/// ``head`` are the first bytes of the file, the whole header among them, ``size`` is the length of the file, which with
/// the header may not announce more macroblocks than ``limits.max_bytes`` has room for.
#[pyclass(module = "pgfrs", name = "ByteMap")]
pub struct ByteMap {
    map: pgf::ByteMap,
    head: Vec<u8>,
}

fn rect(region: Option<(u32, u32, u32, u32)>) -> Option<Rect> {
    region.map(|(left, top, right, bottom)| Rect { left, top, right, bottom })
}

/// Runs `work` with a `read` that calls `read` of Python.
fn reading<T>(
    py: Python<'_>,
    read: &Bound<'_, PyAny>,
    work: impl FnOnce(&mut dyn FnMut(u64, usize) -> pgf::Result<Vec<u8>>) -> pgf::Result<T>,
) -> PyResult<T> {
    let mut failure: Option<PyErr> = None;
    let result = work(&mut |offset, blocks| {
        let answer = read.call1((offset, blocks)).and_then(|data| Ok(Data::extract(&data)?.bytes().to_vec()));
        answer.map_err(|error| {
            failure = Some(error);
            Error::Usage("the bytes could not be read".into())
        })
    });
    match failure {
        Some(error) => Err(error),
        None => result.map_err(|e| errors::raise(py, &e)),
    }
}

#[pymethods]
impl ByteMap {
    #[new]
    #[pyo3(signature = (head: "typing_extensions.Buffer", size, /, *, limits=None))]
    fn new(py: Python<'_>, head: &Bound<'_, PyAny>, size: u64, limits: Option<&Bound<'_, PyLimits>>) -> PyResult<Self> {
        let limits = limits.map_or_else(Limits::default, |l| l.get().0);
        let data = Data::extract(head)?;
        let file = pgf::read_header(data.bytes()).map_err(|e| errors::raise(py, &e))?;
        let head = data.bytes()[..file.data_offset].to_vec();
        Ok(ByteMap { map: pgf::ByteMap::with_limits(file, size, &limits).map_err(|e| errors::raise(py, &e))?, head })
    }

    /// Macroblocks of the file.
    #[getter]
    fn macroblocks(&self) -> usize {
        self.map.macroblocks()
    }

    /// The bytes that a level and a region need, ascending, as (start, end).
    ///
    /// ``read(offset, macroblocks)`` is called where the position of a macroblock is not known: it returns bytes from
    /// ``offset`` on, at least four where the file has them; ``macroblocks`` have to be passed from there.
    ///
    /// Raises:
    ///     FormatError, TruncatedError: the lengths in the file lead nowhere.
    ///     ValueError: a level or region that the picture does not have.
    #[pyo3(signature = (level, region, read: "collections.abc.Callable[[int, int], typing_extensions.Buffer]", /))]
    fn ranges(
        &mut self,
        py: Python<'_>,
        level: u8,
        region: Option<(u32, u32, u32, u32)>,
        read: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<(u64, u64)>> {
        let wanted = self.map.wanted(level, rect(region)).map_err(|e| errors::raise(py, &e))?;
        let map = &mut self.map;
        reading(py, read, |read| map.find(&wanted, read))?;
        map.ranges(&wanted).map_err(|e| errors::raise(py, &e))
    }

    /// A file that holds only what a level and a region need; ``pieces`` are the bytes of :meth:`ranges`.
    ///
    /// Raises:
    ///     ValueError: pieces of other lengths.
    #[pyo3(signature = (level, region, pieces: "collections.abc.Sequence[typing_extensions.Buffer]", /))]
    fn assemble<'py>(
        &self,
        py: Python<'py>,
        level: u8,
        region: Option<(u32, u32, u32, u32)>,
        pieces: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let wanted = self.map.wanted(level, rect(region)).map_err(|e| errors::raise(py, &e))?;
        let pieces: Vec<_> = pieces.try_iter()?.map(|p| p.and_then(|p| Data::extract(&p))).collect::<PyResult<_>>()?;
        let slices: Vec<&[u8]> = pieces.iter().map(Data::bytes).collect();
        let file = self.map.assemble(&self.head, &wanted, &slices).map_err(|e| errors::raise(py, &e))?;
        Ok(PyBytes::new(py, &file))
    }

    /// The lengths of all macroblocks in words, two bytes each, little-endian; ``read`` as for :meth:`ranges`.
    #[pyo3(signature = (read: "collections.abc.Callable[[int, int], typing_extensions.Buffer]", /))]
    fn word_lengths<'py>(&mut self, py: Python<'py>, read: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let map = &mut self.map;
        let lengths = reading(py, read, |read| map.word_lengths(read))?;
        Ok(PyBytes::new(py, &lengths))
    }

    /// Take the result of :meth:`word_lengths` for the same file, so that nothing needs to be searched.
    ///
    /// Raises:
    ///     FormatError: the lengths are not those of this file.
    #[pyo3(signature = (lengths: "typing_extensions.Buffer", /))]
    fn use_word_lengths(&mut self, py: Python<'_>, lengths: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = Data::extract(lengths)?;
        self.map.use_word_lengths(data.bytes()).map_err(|e| errors::raise(py, &e))
    }
}
