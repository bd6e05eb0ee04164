//! NumPy arrays and buffers at the border: shapes and types are checked here, samples are never cast.

use numpy::{
    PyArray, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pgf::{Image, ImageRef, Mode, SampleType, Samples, SamplesMut, SamplesRef};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bytes of a caller: borrowed from an immutable `bytes` object, copied from anything else.
pub enum Data<'py> {
    Borrowed(Bound<'py, PyBytes>),
    Copied(Vec<u8>),
}

impl<'py> Data<'py> {
    /// From any object with the buffer protocol whose items are bytes.
    pub fn extract(object: &Bound<'py, PyAny>) -> PyResult<Data<'py>> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Data::Borrowed(bytes.clone()));
        }
        let buffer = PyBuffer::<u8>::get(object).map_err(|_| {
            let kind = object.get_type().name().map_or_else(|_| "object".into(), |n| n.to_string());
            PyTypeError::new_err(format!("data must be a buffer of bytes, not {kind}"))
        })?;
        Ok(Data::Copied(buffer.to_vec(object.py())?))
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::Borrowed(bytes) => bytes.as_bytes(),
            Data::Copied(bytes) => bytes,
        }
    }
}

/// Samples of a caller's array, kept borrowed while the lock of the interpreter is released.
pub enum Pixels<'py> {
    U8(PyReadonlyArrayDyn<'py, u8>),
    Bool(PyReadonlyArrayDyn<'py, bool>),
    U16(PyReadonlyArrayDyn<'py, u16>),
    U32(PyReadonlyArrayDyn<'py, u32>),
    I32(PyReadonlyArrayDyn<'py, i32>),
}

/// A caller's picture.
pub struct Picture<'py> {
    pixels: Pixels<'py>,
    width: u32,
    height: u32,
    channels: usize,
    mode: Mode,
}

/// `array`, itself if its rows lie behind one another, else a copy for which that holds.
fn contiguous<'py, T: numpy::Element>(array: &Bound<'py, PyArrayDyn<T>>) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    if array.is_c_contiguous() {
        return Ok(array.try_readonly()?);
    }
    let copy = array.py().import("numpy")?.call_method1("ascontiguousarray", (array,))?;
    Ok(copy.cast_into::<PyArrayDyn<T>>()?.try_readonly()?)
}

impl<'py> Picture<'py> {
    /// Checks an array's type and shape against a mode, or picks the mode by them.
    pub fn extract(object: &Bound<'py, PyAny>, mode: Option<&str>) -> PyResult<Picture<'py>> {
        let py = object.py();
        let array = if object.cast::<numpy::PyUntypedArray>().is_ok() {
            object.clone()
        } else {
            py.import("numpy")?.call_method1("asarray", (object,))?
        };
        let untyped = array.cast::<numpy::PyUntypedArray>()?;
        let shape: Vec<usize> = untyped.shape().to_vec();
        let (height, width, channels) = match shape[..] {
            [h, w] => (h, w, 1),
            [h, w, c] => (h, w, c),
            _ => {
                let message = format!("image of shape {shape:?}: (H, W) or (H, W, C) is needed");
                return Err(PyValueError::new_err(message));
            }
        };
        let dtype = untyped.dtype().to_string();
        let pixels = if let Ok(a) = array.cast::<PyArrayDyn<u8>>() {
            Pixels::U8(contiguous(a)?)
        } else if let Ok(a) = array.cast::<PyArrayDyn<bool>>() {
            Pixels::Bool(contiguous(a)?)
        } else if let Ok(a) = array.cast::<PyArrayDyn<u16>>() {
            Pixels::U16(contiguous(a)?)
        } else if let Ok(a) = array.cast::<PyArrayDyn<u32>>() {
            Pixels::U32(contiguous(a)?)
        } else if let Ok(a) = array.cast::<PyArrayDyn<i32>>() {
            Pixels::I32(contiguous(a)?)
        } else {
            return Err(PyValueError::new_err(format!(
                "image of dtype {dtype}: bool, uint8, uint16, uint32 or int32 in native byte order is needed"
            )));
        };
        let named = mode.map(parse_mode).transpose()?;
        let mode = match (named, &pixels, channels) {
            (Some(mode), ..) => mode,
            (None, Pixels::Bool(_), 1) => Mode::Bitmap,
            (None, Pixels::U8(_), 1) => Mode::Gray,
            (None, Pixels::U8(_), 3) => Mode::Rgb,
            (None, Pixels::U8(_), 4) => Mode::Rgba,
            (None, Pixels::U16(_), 1) => Mode::Gray16,
            (None, Pixels::U16(_), 3) => Mode::Rgb48,
            (None, Pixels::U32(_), 1) => Mode::Gray31,
            _ => {
                let message = format!(
                    "image of shape {shape:?} and dtype {dtype}: mode= must say what it is; by themselves go (H, W) of bool, \
                     uint8, uint16 and uint32, (H, W, 3) of uint8 and uint16, (H, W, 4) of uint8"
                );
                return Err(PyValueError::new_err(message));
            }
        };
        let fits = match (&pixels, mode) {
            (Pixels::Bool(_), Mode::Bitmap) => true,
            (_, Mode::Bitmap) | (Pixels::Bool(_), _) => false,
            (Pixels::U8(_), mode) => mode.sample_type() == SampleType::U8,
            (Pixels::U16(_), mode) => mode.sample_type() == SampleType::U16,
            (Pixels::U32(_), mode) => mode.sample_type() == SampleType::U32,
            (Pixels::I32(_), mode) => mode.sample_type() == SampleType::I32,
        };
        if !fits {
            let message = format!("image of dtype {dtype}: mode {} takes {}", mode.name(), dtype_of(mode));
            return Err(PyValueError::new_err(message));
        }
        let side = |name: &str, n: usize| {
            u32::try_from(n).map_err(|_| PyValueError::new_err(format!("{name} of {n}: at most 2^32 - 1 is possible")))
        };
        let picture = Picture { pixels, width: side("width", width)?, height: side("height", height)?, channels, mode };
        picture.image().validate().map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(picture)
    }

    /// The view that the codec takes.
    pub fn image(&self) -> ImageRef<'_> {
        const CONTIGUOUS: &str = "made contiguous when extracted";
        let samples = match &self.pixels {
            Pixels::U8(a) => SamplesRef::U8(a.as_slice().expect(CONTIGUOUS)),
            Pixels::Bool(a) => SamplesRef::U8(bytemuck::cast_slice(a.as_slice().expect(CONTIGUOUS))),
            Pixels::U16(a) => SamplesRef::U16(a.as_slice().expect(CONTIGUOUS)),
            Pixels::U32(a) => SamplesRef::U32(a.as_slice().expect(CONTIGUOUS)),
            Pixels::I32(a) => SamplesRef::I32(a.as_slice().expect(CONTIGUOUS)),
        };
        let (width, height, channels, mode) = (self.width, self.height, self.channels, self.mode);
        ImageRef { width, height, channels, mode, samples }
    }
}

/// The mode of a name.
pub fn parse_mode(name: &str) -> PyResult<Mode> {
    Mode::from_name(name).ok_or_else(|| {
        // Not `join`: unrolled over the constant list, it keeps LLVM busy for minutes.
        let mut names = String::new();
        for mode in Mode::ALL {
            names.push_str(if names.is_empty() { "" } else { ", " });
            names.push_str(mode.name());
        }
        PyValueError::new_err(format!("mode {name:?} is not one of {names}"))
    })
}

/// NumPy's name of a mode's samples.
pub fn dtype_of(mode: Mode) -> &'static str {
    match mode.sample_type() {
        _ if mode == Mode::Bitmap => "bool",
        SampleType::U8 => "uint8",
        SampleType::U16 => "uint16",
        SampleType::U32 => "uint32",
        SampleType::I32 => "int32",
    }
}

/// The shape of a picture's array: planes always have a third axis, one-channel pictures have none.
pub fn shape_of(mode: Mode, width: u32, height: u32, channels: usize) -> Vec<usize> {
    let (w, h) = (width as usize, height as usize);
    if channels == 1 && mode.sample_type() != SampleType::I32 { vec![h, w] } else { vec![h, w, channels] }
}

/// A new array that owns the picture's samples.
pub fn array_of(py: Python<'_>, image: Image) -> PyResult<Bound<'_, PyAny>> {
    fn shaped<'py, T: numpy::Element>(py: Python<'py>, v: Vec<T>, shape: Vec<usize>) -> PyResult<Bound<'py, PyAny>> {
        let flat: Bound<'py, PyArray1<T>> = PyArray::from_vec(py, v);
        Ok(flat.reshape(shape)?.into_any())
    }
    let shape = shape_of(image.mode, image.width, image.height, image.channels);
    match image.samples {
        Samples::U8(v) if image.mode == Mode::Bitmap => shaped(py, v, shape)?.call_method1("view", ("bool",)),
        Samples::U8(v) => shaped(py, v, shape),
        Samples::U16(v) => shaped(py, v, shape),
        Samples::U32(v) => shaped(py, v, shape),
        Samples::I32(v) => shaped(py, v, shape),
    }
}

/// A caller's array that a picture is decoded into.
pub enum Out<'py> {
    U8(PyReadwriteArrayDyn<'py, u8>),
    U16(PyReadwriteArrayDyn<'py, u16>),
    U32(PyReadwriteArrayDyn<'py, u32>),
    I32(PyReadwriteArrayDyn<'py, i32>),
}

impl<'py> Out<'py> {
    /// Checks that `object` is a writable, contiguous array of the mode's type and the given shape.
    pub fn extract(object: &Bound<'py, PyAny>, mode: Mode, shape: &[usize]) -> PyResult<Out<'py>> {
        let array =
            object.cast::<numpy::PyUntypedArray>().map_err(|_| PyTypeError::new_err("out must be a numpy array"))?;
        let fits = array.shape() == shape || (shape.len() == 2 && array.shape() == [shape, &[1]].concat());
        if !fits {
            let message = format!("out of shape {:?}: {shape:?} is needed", array.shape());
            return Err(PyValueError::new_err(message));
        }
        if !array.is_c_contiguous() {
            return Err(PyValueError::new_err("out must be C-contiguous"));
        }
        let wrong = || {
            let dtype = array.dtype().to_string();
            PyValueError::new_err(format!("out of dtype {dtype}: {} is needed", dtype_of(mode)))
        };
        let locked = |_| PyValueError::new_err("out must be writable and not in use");
        Ok(match mode.sample_type() {
            _ if mode == Mode::Bitmap => {
                object.cast::<PyArrayDyn<bool>>().map_err(|_| wrong())?;
                let bytes = object.call_method1("view", ("uint8",))?;
                Out::U8(bytes.cast_into::<PyArrayDyn<u8>>()?.try_readwrite().map_err(locked)?)
            }
            SampleType::U8 => {
                Out::U8(object.cast::<PyArrayDyn<u8>>().map_err(|_| wrong())?.try_readwrite().map_err(locked)?)
            }
            SampleType::U16 => {
                Out::U16(object.cast::<PyArrayDyn<u16>>().map_err(|_| wrong())?.try_readwrite().map_err(locked)?)
            }
            SampleType::U32 => {
                Out::U32(object.cast::<PyArrayDyn<u32>>().map_err(|_| wrong())?.try_readwrite().map_err(locked)?)
            }
            SampleType::I32 => {
                Out::I32(object.cast::<PyArrayDyn<i32>>().map_err(|_| wrong())?.try_readwrite().map_err(locked)?)
            }
        })
    }

    /// The samples to write.
    pub fn samples(&mut self) -> PyResult<SamplesMut<'_>> {
        let broken = |_| PyValueError::new_err("out must be C-contiguous");
        Ok(match self {
            Out::U8(a) => SamplesMut::U8(a.as_slice_mut().map_err(broken)?),
            Out::U16(a) => SamplesMut::U16(a.as_slice_mut().map_err(broken)?),
            Out::U32(a) => SamplesMut::U32(a.as_slice_mut().map_err(broken)?),
            Out::I32(a) => SamplesMut::I32(a.as_slice_mut().map_err(broken)?),
        })
    }
}
