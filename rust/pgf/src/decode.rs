//! Files to pixels: the stages backwards, for any level and region, from whole, cut and damaged data.

mod again;
mod export;
mod invert;
mod raw;
mod read;
mod wide;

pub(crate) use invert::{Peaks, invert};

use crate::coefficients::{Coefficients, PlaneLayout, Rect, Target, check_limits};
use crate::encode::write_coefficients;
use crate::error::{Error, Result};
use crate::header::{FileHeader, Header, Limits, flags};
use crate::image::{Image, Mode, Samples, SamplesMut};
use crate::report::{Damage, Report};
use crate::salvage;
use crate::threads::clamped;
use read::{Found, Purpose, ReadPlanes, read_planes};

/// What to decode; [`Default`] is the whole picture with the default limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeOptions {
    /// 0 is full size, each level halves both sides (rounding up); at most the header's `levels`.
    pub level: u8,
    /// A rectangle in full-size pixels; `None` means all.
    pub region: Option<Rect>,
    /// Refuse cut and damaged data instead of making the best of them.
    pub strict: bool,
    /// Checked before anything is allocated.
    pub limits: Limits,
    /// Most threads to use, 0 and 1 meaning none but the caller's; the pixels are the same for any number.
    pub num_threads: usize,
}

/// Decodes a picture.
///
/// # Errors
/// See [`decode_with_report`].
pub fn decode(data: &[u8], options: &DecodeOptions) -> Result<Image> {
    decode_with_report(data, options).map(|(image, _)| image)
}

/// Decodes a picture and tells what was found.
///
/// # Errors
/// [`Error::Truncated`] and [`Error::Format`] if the header is cut or contradicts itself beyond recovery (with
/// `strict` also if the rest is cut or damaged), [`Error::Limits`] before anything over the limits is allocated,
/// [`Error::Usage`] for a level or region that the picture does not have.
pub fn decode_with_report(data: &[u8], options: &DecodeOptions) -> Result<(Image, Report)> {
    let (file, found) = header_of(data, options.strict)?;
    let (width, height) = decoded_size(&file.header, options)?;
    let header = &file.header;
    let channels = usize::from(header.channels);
    check_limits(&file, &Target::new(header, options.level, options.region)?, &options.limits)?;
    let mut samples = Samples::zeroed(header.mode.sample_type(), width as usize * height as usize * channels);
    let report = decode_file(data, &file, found, options, samples.as_mut())?;
    Ok((Image { width, height, channels, mode: header.mode, samples }, report))
}

/// As [`decode_with_report`], into samples of the caller.
///
/// # Errors
/// As [`decode_with_report`]; [`Error::Usage`] if `samples` has not the type or number that the picture needs.
pub fn decode_into(data: &[u8], options: &DecodeOptions, samples: SamplesMut<'_>) -> Result<Report> {
    let (file, found) = header_of(data, options.strict)?;
    check_limits(&file, &Target::new(&file.header, options.level, options.region)?, &options.limits)?;
    decode_file(data, &file, found, options, samples)
}

/// Width and height of what `options` ask for.
///
/// # Errors
/// [`Error::Usage`] for a level or region that the picture does not have.
pub fn decoded_size(header: &Header, options: &DecodeOptions) -> Result<(u32, u32)> {
    let target = Target::new(header, options.level, options.region)?;
    Ok((target.width(), target.height()))
}

/// Reads the quantised coefficients of a file without undoing the wavelet.
///
/// What is missing is zero, as the report says.
///
/// # Errors
/// As [`decode_with_report`].
pub fn read_coefficients(data: &[u8], strict: bool, limits: &Limits) -> Result<(Coefficients, Report)> {
    let (file, found) = header_of(data, strict)?;
    let target = Target::new(&file.header, 0, None)?;
    check_limits(&file, &target, limits)?;
    let read = read_planes(data, &file, found, &target, Purpose::Coefficients, strict, 1)?;
    let report = read.report.clone();
    let coefficients = Coefficients {
        header: file.header,
        flags: file.flags & (flags::ROI | flags::V5 | flags::V7) | flags::V2 | flags::PGF32 | flags::V6,
        planes: read.planes(),
        palette: file.palette.clone(),
        user_data: data[file.user_data.clone()].to_vec(),
        favor_speed: false,
    };
    Ok((coefficients, report))
}

/// A clean, complete file of whatever cut or damaged data still tell, with the report of what that is.
///
/// # Errors
/// As [`decode_with_report`] without `strict`.
pub fn repair(data: &[u8], limits: &Limits) -> Result<(Vec<u8>, Report)> {
    let (coefficients, report) = read_coefficients(data, false, limits)?;
    Ok((write_coefficients(&coefficients)?, report))
}

/// Turns coefficients into pixels, which take no more memory than they do: no limits are asked here.
///
/// # Errors
/// None for coefficients of this crate's making.
pub fn synthesise(coefficients: Coefficients) -> Result<Image> {
    let header = coefficients.header;
    let target = Target::new(&header, 0, None)?;
    let (width, height, channels) = (header.width, header.height, usize::from(header.channels));
    let count = width as usize * height as usize * channels;
    let mut samples = Samples::zeroed(header.mode.sample_type(), count);
    let layouts: Vec<_> = (0..channels).map(|c| PlaneLayout::new(&header, c, &target)).collect();
    let peaks = Peaks::of_windows(&header, header.quantizer(), &coefficients.planes, &layouts, &target);
    let found = Found::Planes(coefficients.planes);
    let read = ReadPlanes { found, layouts, peaks, report: Report::default() };
    read.export(&header, coefficients.flags, &target, 1, samples.as_mut())?;
    Ok(Image { width, height, channels, mode: header.mode, samples })
}

/// Reads the header of a file, mending fields that the rest gives away; the coded data need not be there.
///
/// # Errors
/// [`Error::Truncated`] if the header is cut, [`Error::Format`] if it contradicts itself beyond recovery.
pub fn read_header(data: &[u8]) -> Result<FileHeader> {
    salvage::parse_header(data).map(|(file, _)| file)
}

fn header_of(data: &[u8], strict: bool) -> Result<(FileHeader, Vec<Damage>)> {
    if strict { FileHeader::parse(data).map(|file| (file, Vec::new())) } else { salvage::parse_header(data) }
}

fn decode_file(
    data: &[u8],
    file: &FileHeader,
    found: Vec<Damage>,
    options: &DecodeOptions,
    samples: SamplesMut<'_>,
) -> Result<Report> {
    let header = &file.header;
    let threads = clamped(options.num_threads);
    let target = Target::new(header, options.level, options.region)?;
    let count = u64::from(target.width()) * u64::from(target.height()) * u64::from(header.channels);
    if samples.len() as u64 != count || samples.sample_type() != header.mode.sample_type() {
        return Err(Error::Usage(format!(
            "{} samples of type {:?}: the picture needs {count} of type {:?}",
            samples.len(),
            samples.sample_type(),
            header.mode.sample_type()
        )));
    }
    // Packed bits of old bitmaps cannot be windowed: their columns are not the plane's.
    let packed = file.flags & flags::V7 == 0 && header.mode == Mode::Bitmap;
    if packed && !target.whole {
        let whole = Target::new(header, options.level, None)?;
        check_limits(file, &whole, &options.limits)?;
        let read = read_planes(data, file, found, &whole, Purpose::Pixels, options.strict, threads)?;
        let report = read.report.clone();
        let (width, height) = (whole.width() as usize, whole.height() as usize);
        let mut all = vec![0u8; width * height];
        read.export(header, file.flags, &whole, 1, SamplesMut::U8(&mut all))?;
        crop(&all, width, &target, samples);
        return Ok(report);
    }
    let read = read_planes(data, file, found, &target, Purpose::Pixels, options.strict, threads)?;
    let report = read.report.clone();
    read.export(header, file.flags, &target, threads, samples)?;
    Ok(report)
}

/// The window of a target out of all pixels of a bitmap, `width` to the row.
pub(crate) fn crop(all: &[u8], width: usize, target: &Target, samples: SamplesMut<'_>) {
    if let SamplesMut::U8(out) = samples {
        let r = target.rect;
        let rows = all.chunks_exact(width).skip(r.top as usize);
        for (out, row) in out.chunks_exact_mut(target.width() as usize).zip(rows) {
            out.copy_from_slice(&row[r.left as usize..r.right as usize]);
        }
    }
}
