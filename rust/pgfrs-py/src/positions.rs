//! Where the bytes of a stream stand.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pgf::{Band, Limits};
use pgf_resilient::{Next, Position};
use pyo3::prelude::*;

use crate::arrays::Data;
use crate::info::PyLimits;

/// Numbers of a position.
const COLUMNS: usize = 7;

fn row(position: Position) -> [i32; COLUMNS] {
    let next = match position.next {
        Next::Marker => 0,
        Next::Address => 1,
        Next::Header => 2,
        Next::Base => 3,
        Next::List => 4,
        Next::Refinement => 5,
        Next::Content => 6,
        Next::Lost => 7,
    };
    let Some(spot) = position.spot else { return [next, -1, -1, -1, -1, -1, -1] };
    let band = match spot.band {
        Band::LL => 0,
        Band::HL => 1,
        Band::LH => 2,
        Band::HH => 3,
    };
    // Sides of 2^31 and more, which limits have to allow first, end at the largest number there is.
    let pixels = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    [next, spot.channel.into(), spot.level.into(), band, spot.weight.into(), pixels(spot.row), pixels(spot.column)]
}

/// Where every byte of a `.pgfr` stream stands; follows one stream. :mod:`pgfrs.llm.positions` says what the numbers mean.
///
/// Args:
///     limits: headers of larger pictures are taken for damage.
#[pyclass(module = "pgfrs", name = "Positions")]
#[derive(Clone)]
pub struct Positions(pgf_resilient::Positions);

#[pymethods]
impl Positions {
    #[new]
    #[pyo3(signature = (*, limits=None))]
    fn new(limits: Option<&Bound<'_, PyLimits>>) -> Positions {
        Positions(pgf_resilient::Positions::new(limits.map_or_else(Limits::default, |l| l.get().0)))
    }

    /// Take n bytes, any buffer; returns an int32 array of shape (n, 7): behind each of them, where the next stands.
    #[pyo3(signature = (data: "typing_extensions.Buffer", /) -> "numpy.typing.NDArray[numpy.int32]")]
    fn advance<'py>(&mut self, py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let data = Data::extract(data)?;
        let bytes = data.bytes();
        let rows: Vec<i32> = py.detach(|| bytes.iter().flat_map(|byte| row(self.0.advance(*byte))).collect());
        PyArray1::from_vec(py, rows).reshape([bytes.len(), COLUMNS])
    }

    /// Where the next byte stands: an int32 array of shape (7,).
    #[pyo3(signature = () -> "numpy.typing.NDArray[numpy.int32]")]
    fn position<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        PyArray1::from_slice(py, &row(self.0.position()))
    }

    /// A state of its own that goes on from here.
    fn copy(&self) -> Positions {
        self.clone()
    }

    fn __copy__(&self) -> Positions {
        self.clone()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Positions {
        self.clone()
    }
}
