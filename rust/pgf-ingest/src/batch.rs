//! From files to encoded pictures, a batch at a time.

use crate::colour::{Colour, unify};
use crate::decode::{open, raw_of};
use crate::error::{Failure, FailureKind};
use crate::format::Format;
use crate::geometry::{Resize, Select, Target};
use crate::output::Output;
use crate::pixels::{Filter, lies, resize, turn};
use image::metadata::Orientation;
use pgf::{Image, ImageRef, Mode};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// What happens to every picture of a batch.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which pictures are taken.
    pub select: Select,
    /// Most pixels that a file may claim.
    pub max_pixels: u64,
    /// Most bytes that a file may have, where this crate reads it.
    pub max_file_bytes: u64,
    /// How they are resized; `None` leaves their size.
    pub resize: Option<Resize>,
    /// The kernel of resizing.
    pub filter: Filter,
    /// What samples become.
    pub colour: Colour,
    /// What they are encoded to.
    pub output: Output,
    /// Give the SHA-256 of every source.
    pub digest: bool,
}

impl Options {
    /// Neither selection nor resizing; at most 2^28 pixels in files of at most 2^30 bytes.
    pub fn new(output: Output) -> Options {
        Options {
            select: Select::default(),
            max_pixels: 1 << 28,
            max_file_bytes: 1 << 30,
            resize: None,
            filter: Filter::default(),
            colour: Colour::default(),
            output,
            digest: false,
        }
    }
}

/// One row of a batch.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A file in memory.
    Bytes(&'a [u8]),
    /// A file to read.
    File(PathBuf),
    /// A part of a file: offset and length in bytes.
    Part(PathBuf, u64, u64),
    /// Pixels from a decoder of the caller's: gray, gray with alpha, RGB or RGBA, by the number of channels.
    Pixels(ImageRef<'a>),
}

/// An encoded picture.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The file.
    pub data: Vec<u8>,
    /// Pixels of the result.
    pub width: u32,
    /// Pixels of the result.
    pub height: u32,
    /// Mode of the result.
    pub mode: Mode,
    /// Pixels of the source, upright.
    pub source_width: u32,
    /// Pixels of the source, upright.
    pub source_height: u32,
    /// Format of the source.
    pub source_format: Format,
    /// Bytes of the source's file; of pixels, their bytes.
    pub source_bytes: u64,
    /// Peak signal to noise ratio in dB beside the pixels that were encoded, where it was asked for.
    pub psnr: Option<f64>,
    /// SHA-256 of the source's bytes, where it was asked for.
    pub digest: Option<[u8; 32]>,
}

/// A picture ready to be encoded, and what it came from.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Upright, resized, in its final mode.
    pub image: Image,
    /// Pixels of the source, upright.
    pub source_size: (u32, u32),
    /// Format of the source.
    pub source_format: Format,
    /// Bytes of the source.
    pub source_bytes: u64,
    /// SHA-256 of the source's bytes, where it was asked for.
    pub digest: Option<[u8; 32]>,
}

/// Everything but the encoding: decodes, selects, unifies colours, resizes and turns upright.
///
/// # Errors
/// The [`Failure`] that stands in the way.
pub fn prepare(input: &Input<'_>, options: &Options) -> Result<Prepared, Failure> {
    let owned;
    let data = match input {
        Input::Bytes(data) => *data,
        Input::File(path) => {
            owned = read(path, None, options.max_file_bytes)?;
            &owned
        }
        Input::Part(path, offset, length) => {
            owned = read(path, Some((*offset, *length)), options.max_file_bytes)?;
            &owned
        }
        Input::Pixels(pixels) => {
            options.select.check(pixels.width.max(1), pixels.height.max(1))?;
            let image = unify(raw_of(pixels)?, None, &options.colour);
            let source_size = (image.width, image.height);
            let target = Target::of(options.resize, image.width, image.height);
            let bytes = pixels.samples.len() as u64;
            let source_bytes = if matches!(pixels.samples, pgf::SamplesRef::U8(_)) { bytes } else { 2 * bytes };
            let image = resize(image, &target, options.filter)?;
            let digest = options.digest.then(|| match pixels.samples {
                pgf::SamplesRef::U8(s) => Sha256::digest(s).into(),
                pgf::SamplesRef::U16(s) => {
                    s.iter().fold(Sha256::new(), |h, v| h.chain_update(v.to_le_bytes())).finalize().into()
                }
                _ => unreachable!("raw_of refuses other samples"),
            });
            return Ok(Prepared { image, source_size, source_format: Format::Pixels, source_bytes, digest });
        }
    };
    let opened = open(data, options.max_pixels)?;
    let (format, orientation, stored) = (opened.format, opened.orientation, (opened.width, opened.height));
    let upright = if lies(orientation) { (stored.1, stored.0) } else { stored };
    options.select.check(upright.0, upright.1)?;
    let mut target = Target::of(options.resize, upright.0, upright.1);
    if orientation != Orientation::NoTransforms {
        // Resized as it lies, turned when it is small; a centred part is the same part either way.
        target = if lies(orientation) { target.transposed() } else { target };
    }
    let profile = opened.profile.clone();
    let raw = opened.decode(target.reduction())?;
    let target = target.of_reduced(stored, (raw.width, raw.height));
    let image = unify(raw, profile.as_deref(), &options.colour);
    let image = turn(resize(image, &target, options.filter)?, orientation);
    let digest = options.digest.then(|| Sha256::digest(data).into());
    Ok(Prepared { image, source_size: upright, source_format: format, source_bytes: data.len() as u64, digest })
}

/// Converts one picture; with `measure` also reads it back and compares.
///
/// # Errors
/// The [`Failure`] that stands in the way.
pub fn convert(input: &Input<'_>, options: &Options, measure: bool) -> Result<Converted, Failure> {
    let prepared = prepare(input, options)?;
    let data = options.output.encode(&prepared.image)?;
    let psnr = measure.then(|| options.output.psnr(&prepared.image, &data)).transpose()?;
    Ok(Converted {
        data,
        width: prepared.image.width,
        height: prepared.image.height,
        mode: prepared.image.mode,
        source_width: prepared.source_size.0,
        source_height: prepared.source_size.1,
        source_format: prepared.source_format,
        source_bytes: prepared.source_bytes,
        psnr,
        digest: prepared.digest,
    })
}

/// Converts all rows; they keep their order, and the results are the same for every number of threads.
///
/// `measure` says for each row whether it is read back and compared; missing entries mean no. With `num_threads` of 1
/// everything happens on the caller's thread, whose buffers serve the next call again; otherwise on threads of the
/// call's own.
///
/// # Errors
/// Threads that cannot be started.
pub fn convert_batch(
    inputs: &[Input<'_>],
    options: &Options,
    measure: &[bool],
    num_threads: usize,
) -> Result<Vec<Result<Converted, Failure>>, rayon::ThreadPoolBuildError> {
    let row = |(index, input): (usize, &Input<'_>)| {
        let measure = measure.get(index).copied().unwrap_or(false);
        // The decoders are other people's; should one of them panic over a file, the other rows go on.
        catch_unwind(AssertUnwindSafe(|| convert(input, options, measure)))
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Corrupt, "the decoder of its format panicked")))
    };
    if num_threads <= 1 || inputs.len() < 2 {
        return Ok(inputs.iter().enumerate().map(row).collect());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(num_threads.min(inputs.len())).build()?;
    // Pictures differ a lot in size: one at a time keeps all threads busy to the end.
    Ok(pool.install(|| inputs.par_iter().enumerate().with_max_len(1).map(row).collect()))
}

fn read(path: &PathBuf, part: Option<(u64, u64)>, most: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |e: std::io::Error| Failure::new(FailureKind::Unreadable, format!("{}: {e}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let length = match part {
        Some((offset, length)) => {
            file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
            length
        }
        None => file.metadata().map_err(unreadable)?.len(),
    };
    if length > most {
        let message = format!("{}: {length} bytes are over max_file_bytes {most}", path.display());
        return Err(Failure::new(FailureKind::Limits, message));
    }
    let mut data = Vec::with_capacity(length as usize);
    file.take(if part.is_some() { length } else { most }).read_to_end(&mut data).map_err(unreadable)?;
    if part.is_some() && (data.len() as u64) < length {
        let message = format!("{}: {} bytes where {length} are needed", path.display(), data.len());
        return Err(Failure::new(FailureKind::Unreadable, message));
    }
    Ok(data)
}
