//! Python bindings: arguments are parsed and checked here, the lock of the interpreter is released, `pgf` and `pgf-resilient` do the work.

mod arrays;
mod bytemap;
mod container;
mod errors;
mod grammar;
mod info;
mod ingest;
mod positions;
mod progressive;
mod stream;
mod streammap;

use pyo3::prelude::*;

/// The compiled part of pgfrs.
#[pymodule(gil_used = false)]
mod _pgfrs {
    use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
    use pgf::{DecodeOptions, EncodeOptions, Image, ImageRef, Mode, Palette, Rect};
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use pyo3::types::{PyBytes, PyList};
    use rayon::prelude::*;

    use crate::arrays::{Data, Out, Picture, array_of, parse_mode, shape_of};
    #[pymodule_export]
    use crate::bytemap::ByteMap;
    use crate::container;
    use crate::errors;
    #[pymodule_export]
    use crate::grammar::{Grammar, Wanted, legal_masks, wanted_segments};
    #[pymodule_export]
    use crate::info::{DamageSpan, DecodeReport, ImageInfo, Progress, PyLimits};
    #[pymodule_export]
    use crate::ingest::{ConvertedImage, convert_batch, prepare_image};
    #[pymodule_export]
    use crate::positions::Positions;
    #[pymodule_export]
    use crate::progressive::ProgressiveDecoder;
    #[pymodule_export]
    use crate::stream::{Segment, drop_segments, merge, refine, segments};
    use crate::stream::{Streaming, parse_payload};
    #[pymodule_export]
    use crate::streammap::{StreamMap, index_stream};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// What `encode` is asked for, checked.
    struct Encoding {
        quality: u8,
        levels: Option<u8>,
        roi: bool,
        used_bits: Option<u8>,
        max_bytes: Option<usize>,
        user_data: Vec<u8>,
        palette: Option<Box<Palette>>,
        /// How a stream is made; `None` for `.pgf`.
        stream: Option<Streaming>,
        favor_speed: bool,
        /// Threads within one picture.
        num_threads: usize,
    }

    impl Encoding {
        fn run(&self, image: &ImageRef<'_>) -> pgf::Result<Vec<u8>> {
            let options = EncodeOptions {
                quality: self.quality,
                levels: self.levels,
                roi: self.roi,
                used_bits: self.used_bits,
                user_data: &self.user_data,
                palette: self.palette.as_deref(),
                favor_speed: self.favor_speed,
                num_threads: self.num_threads,
            };
            if let Some(stream) = &self.stream {
                return pgf_resilient::encode(image, &options, &stream.options(self.max_bytes));
            }
            match self.max_bytes {
                Some(bytes) => pgf::encode_max_bytes(image, &options, bytes),
                None => pgf::encode(image, &options),
            }
        }
    }

    fn small(name: &str, value: i64, low: i64, high: i64) -> PyResult<u8> {
        if (low..=high).contains(&value) {
            return Ok(value as u8);
        }
        Err(PyValueError::new_err(format!("{name}={value}: between {low} and {high} is possible")))
    }

    /// Whether a container's name is that of the stream.
    fn is_stream(format: &str) -> PyResult<bool> {
        match format {
            "pgf" => Ok(false),
            "pgfr" => Ok(true),
            _ => Err(PyValueError::new_err(format!("format={format:?}: \"pgf\" or \"pgfr\" is possible"))),
        }
    }

    fn check_threads(num_threads: i64) -> PyResult<usize> {
        if num_threads < 1 {
            return Err(PyValueError::new_err(format!("num_threads={num_threads}: at least 1 is needed")));
        }
        Ok(num_threads as usize)
    }

    fn parse_palette(object: &Bound<'_, PyAny>) -> PyResult<Box<Palette>> {
        let array = object
            .cast::<PyArrayDyn<u8>>()
            .map_err(|_| PyValueError::new_err("palette must be a uint8 array of shape (n, 3) or (n, 4)"))?;
        let shape = array.shape().to_vec();
        let &[entries @ 0..=256, columns @ (3 | 4)] = &shape[..] else {
            let message = format!("palette of shape {shape:?}: (n, 3) or (n, 4) with n at most 256 is needed");
            return Err(PyValueError::new_err(message));
        };
        let view = array.try_readonly()?;
        let view = view.as_array();
        let mut palette = Box::new([[0; 4]; 256]);
        for (entry, slot) in palette.iter_mut().enumerate().take(entries) {
            for (column, value) in slot.iter_mut().enumerate().take(columns) {
                *value = view[[entry, column]];
            }
        }
        Ok(palette)
    }

    #[allow(clippy::too_many_arguments)]
    fn encoding(
        format: &str,
        quality: i64,
        levels: Option<i64>,
        roi: bool,
        max_bytes: Option<i64>,
        user_data: Option<&Bound<'_, PyAny>>,
        palette: Option<&Bound<'_, PyAny>>,
        used_bits: Option<i64>,
        stream: Streaming,
        favor_speed: bool,
        num_threads: usize,
    ) -> PyResult<Encoding> {
        let stream = if is_stream(format)? { Some(stream) } else { stream.none_asked()? };
        let max_bytes = match max_bytes {
            Some(n) if n < 0 => {
                return Err(PyValueError::new_err(format!("max_bytes={n}: at least 0 is needed")));
            }
            n => n.map(|n| n as usize),
        };
        Ok(Encoding {
            quality: small("quality", quality, 0, 30)?,
            levels: levels.map(|n| small("levels", n, 1, 30)).transpose()?,
            roi,
            used_bits: used_bits.map(|n| small("used_bits", n, 1, 31)).transpose()?,
            max_bytes,
            user_data: user_data.map(|d| Data::extract(d).map(|d| d.bytes().to_vec())).transpose()?.unwrap_or_default(),
            palette: palette.map(parse_palette).transpose()?,
            stream,
            favor_speed,
            num_threads,
        })
    }

    /// Encode a picture.
    ///
    /// Args:
    ///     image: array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), channels in the order red, green, blue,
    ///         alpha; ``uint8``, ``uint16``, ``uint32`` (31-bit gray), ``bool`` (bitmap) or, for the multichannel
    ///         modes, ``int32`` of shape (H, W, C) with C from 1 to 8. It must not change during the call.
    ///     format: ``"pgf"``, or ``"pgfr"`` for a resilient stream.
    ///     quality: 0 (lossless) to 30 (worst). Above 3 most modes store their colour planes at half size. With
    ///         ``max_bytes``, the finest quality that may be used.
    ///     levels: wavelet levels, 1 to 30, reduced until each has at least five pixels on the smaller side; ``None``
    ///         leaves it to the picture's size.
    ///     mode: name of the image mode; ``None`` picks it by type and shape.
    ///     roi: cut every level in tiles, so that regions decode on their own.
    ///     payload: of a stream: ``"packed"`` (smallest) or ``"tokens"`` (one byte an event, for models).
    ///     max_bytes: make the best picture that fits in so many bytes, header and user data included. User data that
    ///         do not fit whole are refused.
    ///     profile: of a stream: ``"default"``, ``"lean"`` (larger blocks, a little smaller) or ``"tough"`` (the opening
    ///         comes twice).
    ///     order: of a stream: ``"best"`` (the best picture at every prefix) or ``"levels"`` (coarse levels first).
    ///     first: of a stream: (left, top, right, bottom) in pixels, a region whose detail comes first.
    ///     chroma_weight: of a stream: weight of the colour differences in the order, above 0; 1 is least squared error
    ///         of red, green and blue, less brings the luma earlier.
    ///     bare: of a stream: what byte-level models learn most easily. No small checks, which tell most wrong bytes and
    ///         mend some but are noise to a model that writes without a mask, and a base of four times as many values.
    ///     checks: of a stream: add advisory CRC-32 checks about every 512 bytes.
    ///     user_data: opaque bytes to carry along.
    ///     palette: for mode ``"indexed"``, uint8 of shape (n, 3) or (n, 4), n at most 256.
    ///     used_bits: bits of each sample that carry data, in modes of more than 8 bits; the lower bits are dropped.
    ///     favor_speed: leave out an attempt at coding signs, as libPGF's option does: rarely a few bytes longer.
    ///         ``max_bytes`` ignores it.
    ///     num_threads: most threads to use; the bytes are the same for any number. More than one serve streams, and
    ///         8-bit pictures of format ``"pgf"`` without ``roi`` and ``max_bytes``.
    ///     out: writable buffer of bytes to put the file into.
    ///
    /// Returns:
    ///     The file as ``bytes``, identical to what libPGF 7.21.7 writes for the same pixels and settings; with
    ///     ``out`` a ``memoryview`` of the part of ``out`` that was written.
    ///
    /// Raises:
    ///     ValueError: the array's type or shape, or an option, does not fit.
    ///     UnsupportedError: a format or payload that is not there, or samples too noisy for the format.
    #[pyfunction]
    #[pyo3(signature = (image: "numpy.typing.ArrayLike", /, *, format="pgf", quality=0, levels=None, mode=None, roi=false, payload="packed",
        max_bytes=None, user_data: "typing_extensions.Buffer | None" = None,
        palette: "numpy.typing.NDArray[numpy.uint8] | None" = None, used_bits=None, favor_speed=false,
        profile="default", order="best", first: "tuple[int, int, int, int] | None" = None, chroma_weight=1.0, bare=false,
        checks=false, num_threads=1, out: "typing_extensions.Buffer | None" = None) -> "bytes")]
    #[allow(clippy::too_many_arguments)]
    fn encode<'py>(
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        format: &str,
        quality: i64,
        levels: Option<i64>,
        mode: Option<&str>,
        roi: bool,
        payload: &str,
        max_bytes: Option<i64>,
        user_data: Option<&Bound<'py, PyAny>>,
        palette: Option<&Bound<'py, PyAny>>,
        used_bits: Option<i64>,
        favor_speed: bool,
        profile: &str,
        order: &str,
        first: Option<(i64, i64, i64, i64)>,
        chroma_weight: f64,
        bare: bool,
        checks: bool,
        num_threads: i64,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let threads = check_threads(num_threads)?;
        let stream = Streaming::new(payload, profile, order, first, chroma_weight, bare, checks)?;
        #[rustfmt::skip]
        let encoding = encoding(
            format, quality, levels, roi, max_bytes, user_data, palette, used_bits, stream, favor_speed,
            threads,
        )?;
        let picture = Picture::extract(image, mode)?;
        let view = picture.image();
        let file = py.detach(|| encoding.run(&view)).map_err(|e| errors::raise(py, &e))?;
        match out {
            None => Ok(PyBytes::new(py, &file).into_any()),
            Some(out) => fill(py, out, &file),
        }
    }

    /// Writes `file` to the start of a caller's buffer and returns a view of that part.
    fn fill<'py>(py: Python<'py>, out: &Bound<'py, PyAny>, file: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let view = py.import("builtins")?.getattr("memoryview")?.call1((out,))?.call_method1("cast", ("B",))?;
        let room: usize = view.len()?;
        if room < file.len() {
            let message = format!("out of {room} bytes: the file needs {}", file.len());
            return Err(PyValueError::new_err(message));
        }
        let part = view.get_item(pyo3::types::PySlice::new(py, 0, file.len() as isize, 1))?;
        part.set_item(pyo3::types::PySlice::full(py), PyBytes::new(py, file))?;
        Ok(part)
    }

    /// What `decode` is asked for, checked.
    struct Decoding {
        options: DecodeOptions,
        mode: Option<Mode>,
    }

    /// A rectangle given as (left, top, right, bottom).
    pub(crate) fn rect_of(name: &str, (l, t, r, b): (i64, i64, i64, i64)) -> PyResult<Rect> {
        let side = |n: i64| {
            u32::try_from(n).map_err(|_| {
                PyValueError::new_err(format!("{name} ({l}, {t}, {r}, {b}): it must be inside the picture"))
            })
        };
        Ok(Rect { left: side(l)?, top: side(t)?, right: side(r)?, bottom: side(b)? })
    }

    fn decoding(
        level: i64,
        region: Option<(i64, i64, i64, i64)>,
        mode: Option<&str>,
        strict: bool,
        limits: Option<&Bound<'_, PyLimits>>,
        num_threads: usize,
    ) -> PyResult<Decoding> {
        let level = small("level", level, 0, 30)?;
        let region = region.map(|r| rect_of("region", r)).transpose()?;
        let limits = limits.map_or_else(pgf::Limits::default, |l| l.get().0);
        let mode = mode.map(parse_mode).transpose()?;
        Ok(Decoding { options: DecodeOptions { level, region, strict, limits, num_threads }, mode })
    }

    impl Decoding {
        fn run(&self, data: &[u8]) -> pgf::Result<(Image, container::Found)> {
            let (image, report) = container::decode(data, &self.options)?;
            let Some(mode) = self.mode else { return Ok((image, report)) };
            let indexed = image.mode == Mode::Indexed;
            let palette = if indexed { container::palette(data, &self.options.limits)? } else { None };
            Ok((pgf::convert(image, mode, palette.as_deref())?, report))
        }

        /// Decodes into a new array or the caller's.
        fn array<'py>(
            &self,
            py: Python<'py>,
            data: &Data<'py>,
            out: Option<&Bound<'py, PyAny>>,
        ) -> PyResult<(Bound<'py, PyAny>, DecodeReport)> {
            let bytes = data.bytes();
            let Some(out) = out else {
                let (image, report) = py.detach(|| self.run(bytes)).map_err(|e| errors::raise(py, &e))?;
                let report = self.report(report, (image.width, image.height), bytes.len());
                return Ok((array_of(py, image)?, report));
            };
            let header = container::read_header(bytes).map_err(|e| errors::raise(py, &e))?;
            let size = pgf::decoded_size(&header, &self.options).map_err(|e| errors::raise(py, &e))?;
            let report = match self.mode {
                Some(mode) if mode != header.mode => {
                    let (image, report) = py.detach(|| self.run(bytes)).map_err(|e| errors::raise(py, &e))?;
                    // The conversion needs samples of its own; this checks and fills the caller's.
                    drop(Out::extract(out, image.mode, &shape_of(image.mode, size.0, size.1, image.channels))?);
                    let array = array_of(py, image)?;
                    py.import("numpy")?
                        .call_method1("copyto", (out.call_method1("reshape", (array.getattr("shape")?,))?, array))?;
                    report
                }
                _ => {
                    let shape = shape_of(header.mode, size.0, size.1, usize::from(header.channels));
                    let mut target = Out::extract(out, header.mode, &shape)?;
                    let samples = target.samples()?;
                    py.detach(|| container::decode_into(bytes, &self.options, samples))
                        .map_err(|e| errors::raise(py, &e))?
                }
            };
            Ok((out.clone(), self.report(report, size, bytes.len())))
        }

        fn report(&self, found: container::Found, size: (u32, u32), bytes_total: usize) -> DecodeReport {
            DecodeReport::new(found, size, self.options.level, self.options.region, bytes_total)
        }
    }

    /// Decode a picture.
    ///
    /// Args:
    ///     data: the file, any buffer of bytes.
    ///     level: 0 is full size; level k has ceil(size / 2^k) pixels a side and reads only that much of the file.
    ///     region: (left, top, right, bottom) in full-size pixels; at level k its corners become ceil(x / 2^k).
    ///     mode: convert to this mode (palette to ``"rgb"``, deeper to 8 bits and the like); ``None`` keeps it.
    ///     strict: refuse cut and damaged data instead of making the best of them.
    ///     limits: checked before anything is allocated; ``None`` means ``Limits()``.
    ///     num_threads: most threads to use; the pixels are the same for any number.
    ///     out: C-contiguous array of the right shape and type to decode into.
    ///
    /// Returns:
    ///     Array of shape (H, W) for one channel, else (H, W, C); ``bool`` for bitmaps, ``uint8``, ``uint16``,
    ///     ``uint32`` (31-bit gray) or ``int32`` (multichannel modes). With ``out``, ``out`` itself.
    ///
    /// Raises:
    ///     TruncatedError: the header is cut; with ``strict`` also if coded data are missing.
    ///     FormatError: the header contradicts itself; with ``strict`` also for damaged coded data.
    ///     LimitsError: the picture is over the limits.
    ///     UnsupportedError: a conversion that is not there.
    ///     ValueError: a level, region, mode or ``out`` that does not fit.
    ///
    /// Warns:
    ///     DamageWarning: the data are cut or damaged; what is missing is zero in the wavelet domain.
    #[pyfunction]
    #[pyo3(signature = (data: "typing_extensions.Buffer", /, *, level=0, region=None, mode=None, strict=false, limits=None,
        num_threads=1, out: "numpy.typing.NDArray[typing.Any] | None" = None) -> "numpy.typing.NDArray[typing.Any]")]
    #[allow(clippy::too_many_arguments)]
    fn decode<'py>(
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        level: i64,
        region: Option<(i64, i64, i64, i64)>,
        mode: Option<&str>,
        strict: bool,
        limits: Option<&Bound<'py, PyLimits>>,
        num_threads: i64,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let threads = check_threads(num_threads)?;
        let (array, report) =
            decoding(level, region, mode, strict, limits, threads)?.array(py, &Data::extract(data)?, out)?;
        errors::warn_of_damage(py, &report)?;
        Ok(array)
    }

    /// Decode a picture and tell what was found; never warns.
    ///
    /// Takes the arguments of :func:`decode` and returns the array and a :class:`DecodeReport`.
    #[pyfunction]
    #[pyo3(signature = (data: "typing_extensions.Buffer", /, *, level=0, region=None, mode=None, strict=false, limits=None,
        num_threads=1, out: "numpy.typing.NDArray[typing.Any] | None" = None)
        -> "tuple[numpy.typing.NDArray[typing.Any], DecodeReport]")]
    #[allow(clippy::too_many_arguments)]
    fn decode_with_report<'py>(
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        level: i64,
        region: Option<(i64, i64, i64, i64)>,
        mode: Option<&str>,
        strict: bool,
        limits: Option<&Bound<'py, PyLimits>>,
        num_threads: i64,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, DecodeReport)> {
        let threads = check_threads(num_threads)?;
        decoding(level, region, mode, strict, limits, threads)?.array(py, &Data::extract(data)?, out)
    }

    /// Read the header of a file; the coded data need not be there.
    ///
    /// Raises:
    ///     TruncatedError: the header is cut.
    ///     FormatError: the header contradicts itself beyond recovery.
    #[pyfunction]
    #[pyo3(signature = (data: "typing_extensions.Buffer", /))]
    fn read_info(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<ImageInfo> {
        let data = Data::extract(data)?;
        let about = container::read_about(data.bytes(), &pgf::Limits::default()).map_err(|e| errors::raise(py, &e))?;
        Ok(ImageInfo::new(py, about))
    }

    /// Whether data start like a file of this package; ``None`` if they are too short to tell.
    #[pyfunction]
    #[pyo3(signature = (data: "typing_extensions.Buffer", /))]
    fn check(data: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        Ok(container::check(Data::extract(data)?.bytes()))
    }

    /// Make a clean, complete file of cut or damaged data.
    ///
    /// Whatever coefficients the data still tell are kept, the others become zero; user data and palette are kept.
    /// A `.pgf` result decodes without a warning, also in libPGF. ``format`` is ``"pgf"``, ``"pgfr"`` or ``None`` for
    /// the container that the data have.
    ///
    /// Raises:
    ///     FormatError: the header is cut or contradicts itself beyond recovery.
    #[pyfunction]
    #[pyo3(signature = (data: "typing_extensions.Buffer", /, *, format=None))]
    fn repair<'py>(py: Python<'py>, data: &Bound<'py, PyAny>, format: Option<&str>) -> PyResult<Bound<'py, PyBytes>> {
        let stream = format.map(is_stream).transpose()?;
        let data = Data::extract(data)?;
        let bytes = data.bytes();
        let limits = pgf::Limits::default();
        let file = py.detach(|| container::repair(bytes, stream, &limits)).map_err(|e| errors::raise(py, &e))?;
        Ok(PyBytes::new(py, &file))
    }

    /// Change the container, or the payload of a stream; the coefficients stay the same and the wavelet is not redone.
    ///
    /// ``format`` is ``"pgf"`` or ``"pgfr"``; ``payload``, for ``"pgfr"``, is ``"packed"``, ``"tokens"`` or ``None`` for
    /// that of a stream and ``"packed"`` of a file, ``bare`` whether it is bare (see :func:`encode`; a
    /// stream that is cut gets estimates for what is missing, then).
    /// Missing planes of a stream become estimates in a `.pgf`.
    ///
    /// Raises:
    ///     FormatError: the data are damaged; ``repair`` takes those.
    ///     TruncatedError: a `.pgf` that is cut.
    #[pyfunction]
    #[pyo3(signature = (data: "typing_extensions.Buffer", format, /, *, payload=None, bare=None))]
    fn transcode<'py>(
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        format: &str,
        payload: Option<&str>,
        bare: Option<bool>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let stream = is_stream(format)?;
        let payload = payload.map(parse_payload).transpose()?;
        let data = Data::extract(data)?;
        let bytes = data.bytes();
        let file = py
            .detach(|| container::transcode(bytes, stream, (payload, bare), &pgf::Limits::default()))
            .map_err(|e| errors::raise(py, &e))?;
        Ok(PyBytes::new(py, &file))
    }

    fn pool(num_threads: usize) -> PyResult<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(num_threads)
            .build()
            .map_err(|e| PyValueError::new_err(format!("num_threads={num_threads}: {e}")))
    }

    /// Runs `work` over the items that could be extracted, on the caller's thread or a pool of the call's own.
    fn over<T: Sync, R: Send>(
        num_threads: usize,
        items: &[T],
        work: impl Fn(&T) -> R + Send + Sync,
    ) -> PyResult<Vec<R>> {
        if num_threads == 1 || items.len() < 2 {
            return Ok(items.iter().map(work).collect());
        }
        Ok(pool(num_threads.min(items.len()))?.install(|| items.par_iter().map(work).collect()))
    }

    /// Encode many pictures in one call, on ``num_threads`` threads.
    ///
    /// Takes a sequence of arrays and the options of :func:`encode`; returns a list that holds, picture by picture,
    /// the file as ``bytes`` or the ``PgfError`` that stands in its way. One bad picture never stops the others.
    #[pyfunction]
    #[pyo3(signature = (images: "collections.abc.Iterable[numpy.typing.ArrayLike]", /, *, num_threads=1, format="pgf", quality=0, levels=None, mode=None, roi=false,
        payload="packed", max_bytes=None, user_data: "typing_extensions.Buffer | None" = None,
        palette: "numpy.typing.NDArray[numpy.uint8] | None" = None, used_bits=None, favor_speed=false, profile="default", order="best",
        first: "tuple[int, int, int, int] | None" = None, chroma_weight=1.0, bare=false, checks=false) -> "list[bytes | Exception]")]
    #[allow(clippy::too_many_arguments)]
    fn encode_batch<'py>(
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        num_threads: i64,
        format: &str,
        quality: i64,
        levels: Option<i64>,
        mode: Option<&str>,
        roi: bool,
        payload: &str,
        max_bytes: Option<i64>,
        user_data: Option<&Bound<'py, PyAny>>,
        palette: Option<&Bound<'py, PyAny>>,
        used_bits: Option<i64>,
        favor_speed: bool,
        profile: &str,
        order: &str,
        first: Option<(i64, i64, i64, i64)>,
        chroma_weight: f64,
        bare: bool,
        checks: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let threads = check_threads(num_threads)?;
        let stream = Streaming::new(payload, profile, order, first, chroma_weight, bare, checks)?;
        #[rustfmt::skip]
        let encoding = encoding(
            format, quality, levels, roi, max_bytes, user_data, palette, used_bits, stream, favor_speed,
            1,
        )?;
        mode.map(parse_mode).transpose()?;
        let pictures: Vec<_> = images.try_iter()?.map(|i| i.and_then(|i| Picture::extract(&i, mode))).collect();
        let views: Vec<Option<ImageRef<'_>>> = pictures.iter().map(|p| p.as_ref().ok().map(Picture::image)).collect();
        let files = py.detach(|| over(threads, &views, |view| view.as_ref().map(|view| encoding.run(view))))?;
        let results = PyList::empty(py);
        for (file, picture) in files.into_iter().zip(&pictures) {
            match (file, picture) {
                (Some(Ok(file)), _) => results.append(PyBytes::new(py, &file))?,
                (Some(Err(error)), _) => results.append(errors::item(py, &error)?)?,
                (None, Err(error)) => results.append(errors::item_of_exception(py, error)?)?,
                (None, Ok(_)) => unreachable!("every extracted picture has a view"),
            }
        }
        Ok(results)
    }

    /// Decode many files in one call, on ``num_threads`` threads.
    ///
    /// Takes a sequence of buffers and the options of :func:`decode`; returns a list that holds, file by file, the
    /// array or the ``PgfError`` that stands in its way. Cut and damaged files give the best picture without a
    /// warning, unless ``strict``.
    #[pyfunction]
    #[pyo3(signature = (blobs: "collections.abc.Iterable[typing_extensions.Buffer]", /, *, num_threads=1, level=0,
        region=None, mode=None, strict=false, limits=None) -> "list[numpy.typing.NDArray[typing.Any] | Exception]")]
    #[allow(clippy::too_many_arguments)]
    fn decode_batch<'py>(
        py: Python<'py>,
        blobs: &Bound<'py, PyAny>,
        num_threads: i64,
        level: i64,
        region: Option<(i64, i64, i64, i64)>,
        mode: Option<&str>,
        strict: bool,
        limits: Option<&Bound<'py, PyLimits>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let threads = check_threads(num_threads)?;
        let decoding = decoding(level, region, mode, strict, limits, 1)?;
        let data: Vec<_> = blobs.try_iter()?.map(|b| b.and_then(|b| Data::extract(&b))).collect();
        let views: Vec<Option<&[u8]>> = data.iter().map(|d| d.as_ref().ok().map(Data::bytes)).collect();
        let images = py.detach(|| over(threads, &views, |view| view.map(|view| decoding.run(view))))?;
        let results = PyList::empty(py);
        for (image, data) in images.into_iter().zip(&data) {
            match (image, data) {
                (Some(Ok((image, _))), _) => results.append(array_of(py, image)?)?,
                (Some(Err(error)), _) => results.append(errors::item(py, &error)?)?,
                (None, Err(error)) => results.append(errors::item_of_exception(py, error)?)?,
                (None, Ok(_)) => unreachable!("every extracted buffer has a view"),
            }
        }
        Ok(results)
    }
}
