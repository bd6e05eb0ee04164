//! Pixels to files: the stages forwards.

use crate::bitplane::BlockEncoder;
use crate::coefficients::{Band, Coefficients, PlaneData, PlaneLayout, Planes, Target, plane_size};
use crate::colour::{Colour, MAX_PLANES, Plane, Sample};
use crate::error::{Error, Result};
use crate::header::{FileHeader, Header, MAX_LEVELS, Palette, WRITER_VERSION, flags};
use crate::image::{ImageRef, Mode, SamplesRef};
use crate::macroblock::tile_header;
use crate::plane_wise::{self, MOST_PLANES, planes_on_threads};
use crate::planes::{BLOCK_VALUES, Coefficient};
use crate::quantize::{Quantize, quantize, shift};
use crate::scan::{Block, Kind, Order, Run, Style, block_parts, gather, interleaved};
use crate::subsample::average_rows;
use crate::threads::clamped;
use crate::wavelet::{Forward, Frame, Rows};

/// How to encode; [`Default`] is lossless with automatic levels.
#[derive(Debug, Clone, Default)]
pub struct EncodeOptions<'a> {
    /// 0 (lossless) to 30 (worst). Above 3 the colour planes of most modes are halved.
    pub quality: u8,
    /// Wavelet levels, 1 to 30; `None` leaves it to the picture's size. Reduced until every level has at least five
    /// pixels on the smaller side; below ten pixels there is none.
    pub levels: Option<u8>,
    /// Cut every level in tiles that decode on their own. Ignored below ten pixels on the smaller side.
    pub roi: bool,
    /// Bits of each sample that carry data, in modes of more than 8 bits a channel; counted from the top of a 16-bit
    /// sample. `None` means all. Lower bits are dropped.
    pub used_bits: Option<u8>,
    /// Opaque bytes to carry along.
    pub user_data: &'a [u8],
    /// Palette of an indexed picture.
    pub palette: Option<&'a Palette>,
    /// Leave out an attempt at coding signs (libPGF's "favor speed"): faster, rarely a few bytes longer.
    pub favor_speed: bool,
    /// Most threads to use, 0 and 1 meaning none but the caller's; the bytes are the same for any number.
    pub num_threads: usize,
}

/// Encodes a picture; the bytes are those that libPGF 7.21.7 writes for the same pixels and settings.
///
/// # Errors
/// [`Error::Usage`] if the picture or an option does not fit; [`Error::Unsupported`] for 31-bit samples so noisy that
/// no macroblock holds them.
pub fn encode(image: &ImageRef<'_>, options: &EncodeOptions<'_>) -> Result<Vec<u8>> {
    let header = header_for(image, options)?;
    if let SamplesRef::U8(samples) = image.samples
        && plane_wise::suits(&header, options, samples.len())
    {
        check_range(image)?;
        let mut out = Vec::new();
        FileHeader::write(&header, flags::CURRENT, options.palette, options.user_data, &mut out)?;
        plane_wise::write(&header, options, samples, &mut out)?;
        return Ok(out);
    }
    write_coefficients(&analyse(image, options)?)
}

/// Number of wavelet levels for a request, 0 or `None` meaning automatic (format section 7).
pub fn levels_for(width: u32, height: u32, requested: Option<u8>) -> u8 {
    let smaller = u64::from(width.min(height));
    let mut levels = match requested {
        Some(n) if (1..=MAX_LEVELS).contains(&n) => n,
        _ => {
            let (mut n, mut side) = (1, smaller);
            while side > 100 {
                n += 1;
                side >>= 1;
            }
            n
        }
    };
    while levels > 0 && smaller < 5 << levels {
        levels -= 1;
    }
    levels
}

/// The header of a picture to be encoded.
pub(crate) fn header_for(image: &ImageRef<'_>, options: &EncodeOptions<'_>) -> Result<Header> {
    image.validate()?;
    if options.quality > 30 {
        return Err(Error::Usage(format!("quality {}: between 0 and 30 is possible", options.quality)));
    }
    if options.levels.is_some_and(|n| !(1..=MAX_LEVELS).contains(&n)) {
        let n = options.levels.unwrap_or(0);
        return Err(Error::Usage(format!("levels {n}: between 1 and {MAX_LEVELS} are possible")));
    }
    if options.palette.is_some() && image.mode != Mode::Indexed {
        return Err(Error::Usage(format!("a palette goes with mode indexed, not {}", image.mode.name())));
    }
    let channels = image.channels as u8;
    let bits_per_pixel = Header::depth_of(image.mode, channels);
    let depth = (bits_per_pixel / channels).min(31);
    let used_bits = options.used_bits.unwrap_or(depth);
    if !(1..=depth).contains(&used_bits) {
        let mode = image.mode.name();
        return Err(Error::Usage(format!("used_bits {used_bits}: mode {mode} has between 1 and {depth}")));
    }
    Ok(Header {
        width: image.width,
        height: image.height,
        levels: levels_for(image.width, image.height, options.levels),
        quality: options.quality,
        bits_per_pixel,
        channels,
        mode: image.mode,
        used_bits,
        writer_version: WRITER_VERSION,
    })
}

/// Refuses samples outside the range of a mode whose memory type is wider than its samples.
fn check_range(image: &ImageRef<'_>) -> Result<()> {
    let out = |what: String| Err(Error::Usage(format!("mode {}: {what}", image.mode.name())));
    match (image.mode, image.samples) {
        (Mode::Rgb12, SamplesRef::U8(s)) => match s.iter().max() {
            Some(max) if *max > 15 => out(format!("a sample of {max}, at most 15 is possible")),
            _ => Ok(()),
        },
        (Mode::Rgb16, SamplesRef::U8(s)) => {
            for (name, c, bound) in [("red", 0, 31), ("green", 1, 63), ("blue", 2, 31)] {
                if let Some(max) = s.iter().skip(c).step_by(3).max().filter(|max| **max > bound) {
                    return out(format!("a {name} sample of {max}, at most {bound} is possible"));
                }
            }
            Ok(())
        }
        (Mode::Gray31, SamplesRef::U32(s)) => match s.iter().max() {
            Some(max) if *max > i32::MAX as u32 => out(format!("a sample of {max}, at most {} is possible", i32::MAX)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Transforms and quantises a picture: everything but the container.
///
/// # Errors
/// As [`encode`].
pub fn analyse(image: &ImageRef<'_>, options: &EncodeOptions<'_>) -> Result<Coefficients> {
    let header = header_for(image, options)?;
    analyse_as(image, options, &header, header.quantizer())
}

/// As [`analyse`], but the coefficients are not quantised yet; the quality only decides whether planes are halved.
pub(crate) fn analyse_unquantised(image: &ImageRef<'_>, options: &EncodeOptions<'_>) -> Result<Coefficients> {
    analyse_as(image, options, &header_for(image, options)?, 0)
}

fn analyse_as(
    image: &ImageRef<'_>,
    options: &EncodeOptions<'_>,
    header: &Header,
    quantizer: i32,
) -> Result<Coefficients> {
    check_range(image)?;
    let threads = clamped(options.num_threads);
    let planes = match image.samples {
        // Planes of 8-bit samples stay below `FORWARD_16_BIT`: differences reach 255.
        SamplesRef::U8(s) => Planes::Narrow(transform_on(threads, header, quantizer, s)?),
        SamplesRef::U16(s) => Planes::Wide(transform_on(threads, header, quantizer, s)?),
        SamplesRef::U32(s) => Planes::Wide(transform_on(threads, header, quantizer, s)?),
        SamplesRef::I32(s) => Planes::Wide(transform_on(threads, header, quantizer, s)?),
    };
    let roi = options.roi && header.levels > 0;
    Ok(Coefficients {
        header: *header,
        flags: flags::CURRENT | if roi { flags::ROI } else { 0 },
        planes,
        palette: options.palette.map(|p| Box::new(*p)),
        user_data: options.user_data.to_vec(),
        favor_speed: options.favor_speed,
    })
}

/// How the samples of a picture with this header become planes.
pub(crate) fn colour_of(header: &Header) -> Colour {
    Colour {
        class: header.mode.class(),
        channels: usize::from(header.channels),
        depth: header.depth(),
        blue_first: matches!(header.mode, Mode::Cmyk | Mode::Cmyk64),
    }
}

/// All planes of a picture: with several threads and not too many planes each on its own.
fn transform_on<S: Sample, T: Quantize + Plane + Send>(
    threads: usize,
    header: &Header,
    quantizer: i32,
    samples: &[S],
) -> Result<Vec<PlaneData<T>>> {
    if threads > 1 && (2..=MOST_PLANES).contains(&header.channels) {
        return planes_on_threads(header, quantizer, threads, samples);
    }
    transform(header, quantizer, samples, None)
}

/// All planes of a picture, or one: then the others are left empty.
pub(crate) fn transform<S: Sample, T: Quantize + Plane>(
    header: &Header,
    quantizer: i32,
    samples: &[S],
    only: Option<usize>,
) -> Result<Vec<PlaneData<T>>> {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        return unsafe { transform_avx2(header, quantizer, samples, only) };
    }
    transform_planes(header, quantizer, samples, only)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn transform_avx2<S: Sample, T: Quantize + Plane>(
    header: &Header,
    quantizer: i32,
    samples: &[S],
    only: Option<usize>,
) -> Result<Vec<PlaneData<T>>> {
    transform_planes(header, quantizer, samples, only)
}

/// Colour, subsampling and the first level in one sweep over the rows, then the other levels plane by plane.
#[inline(always)]
fn transform_planes<S: Sample, T: Quantize + Plane>(
    header: &Header,
    quantizer: i32,
    samples: &[S],
    only: Option<usize>,
) -> Result<Vec<PlaneData<T>>> {
    let target = Target::new(header, 0, None)?;
    let channels = usize::from(header.channels);
    let layouts: Vec<_> = (0..channels).map(|c| PlaneLayout::new(header, c, &target)).collect();
    let wanted = |c: usize| only.is_none_or(|only| only == c);
    let mut planes: Vec<PlaneData<T>> = (layouts.iter().enumerate())
        .map(|(c, layout)| if wanted(c) { PlaneData::new(layout) } else { PlaneData { buffers: Vec::new() } })
        .collect();
    let colour = colour_of(header);
    let (width, height) = plane_size(header, 0);
    let halve = header.subsampled();
    let mut first: Vec<Option<Forward<T>>> = (layouts.iter().enumerate())
        .map(|(c, l)| l.steps.first().filter(|_| wanted(c)).map(|step| Forward::new(step.frame)))
        .collect();
    // Rows of the planes that are not wanted.
    let mut spare = vec![T::default(); channels * width];
    // Full-width chroma rows, two by two.
    let mut chroma = vec![T::default(); if halve { 2 * (channels - 1) * width } else { 0 }];
    for (y, row) in samples.chunks_exact(width * channels).enumerate() {
        if halve {
            let (luma, others) = planes.split_first_mut().expect("at least one plane");
            let mut rows: [&mut [T]; MAX_PLANES] = Default::default();
            rows[0] = if wanted(0) { layouts[0].samples.row_mut(&mut luma.buffers[0], y) } else { &mut spare[..width] };
            for (slot, pair) in rows[1..].iter_mut().zip(chroma.chunks_exact_mut(2 * width)) {
                *slot = if y % 2 == 0 { &mut pair[..width] } else { &mut pair[width..] };
            }
            S::import(&colour, row, &mut rows);
            if y % 2 == 1 || y + 1 == height {
                let chroma = chroma.chunks_exact(2 * width);
                for (c, ((plane, layout), pair)) in others.iter_mut().zip(&layouts[1..]).zip(chroma).enumerate() {
                    if !wanted(c + 1) {
                        continue;
                    }
                    let (top, bottom) = pair.split_at(width);
                    let bottom = (y % 2 == 1).then_some(bottom);
                    average_rows(top, bottom, layout.samples.row_mut(&mut plane.buffers[0], y / 2));
                }
            }
        } else {
            let mut rows: [&mut [T]; MAX_PLANES] = Default::default();
            let planes = planes.iter_mut().zip(&layouts).zip(spare.chunks_exact_mut(width));
            for (c, (slot, ((plane, layout), spare))) in rows.iter_mut().zip(planes).enumerate() {
                *slot = if wanted(c) { layout.samples.row_mut(&mut plane.buffers[0], y) } else { spare };
            }
            S::import(&colour, row, &mut rows);
        }
        if y % 2 == 1 || y + 1 == height {
            for (c, (plane, level)) in planes.iter_mut().zip(&mut first).enumerate() {
                let ready = if halve && c > 0 { y / 2 + 1 } else { y + 1 };
                if let Some(level) = level {
                    advance((header.levels, quantizer), 1, level, &mut plane.buffers[0], ready);
                }
            }
        }
    }
    for (_, (plane, layout)) in planes.iter_mut().zip(&layouts).enumerate().filter(|(c, _)| wanted(*c)) {
        for (index, step) in layout.steps.iter().enumerate().skip(1) {
            let mut level = Forward::new(step.frame);
            advance((header.levels, quantizer), index as u8 + 1, &mut level, &mut plane.buffers[0], step.frame.height);
        }
    }
    Ok(planes)
}

/// Carries one level on and quantises the rows that are final.
#[inline(always)]
pub(crate) fn advance<T: Quantize>(
    (levels, quantizer): (u8, i32),
    level: u8,
    forward: &mut Forward<T>,
    data: &mut [T],
    ready: usize,
) {
    let frame = *forward.frame();
    let shifts = [Band::LL, Band::HL, Band::LH, Band::HH].map(|band| shift(quantizer, level, band));
    forward.advance(data, ready, Quantizing { frame, shifts, highest: level == levels });
}

/// Quantises the rows of a level.
struct Quantizing {
    frame: Frame,
    /// Of LL, HL, LH, HH.
    shifts: [u32; 4],
    /// LL is final at the highest level only.
    highest: bool,
}

impl<T: Quantize> Rows<T> for Quantizing {
    #[inline(always)]
    fn visit(&mut self, data: &mut [T], y: usize) {
        let [ll, hl, lh, hh] = self.shifts;
        let (low, high) = self.frame.row_mut(data, y).split_at_mut(self.frame.width.div_ceil(2));
        if y.is_multiple_of(2) {
            if self.highest {
                quantize(low, ll, false);
            }
            quantize(high, hl, true);
        } else {
            quantize(low, lh, true);
            quantize(high, hh, true);
        }
    }
}

/// Writes coefficients as a `.pgf` file.
///
/// # Errors
/// [`Error::Unsupported`] if a macroblock needs more words than the format allows; [`Error::Usage`] for user data of
/// 4 GiB and more.
pub fn write_coefficients(coefficients: &Coefficients) -> Result<Vec<u8>> {
    let favor_speed = coefficients.favor_speed;
    let header = &coefficients.header;
    let flags = if coefficients.roi() { coefficients.flags } else { coefficients.flags & !flags::ROI };
    let mut out = Vec::new();
    FileHeader::write(header, flags, coefficients.palette.as_deref(), &coefficients.user_data, &mut out)?;
    match &coefficients.planes {
        Planes::Narrow(planes) => write_planes(header, flags, planes, favor_speed, &mut out)?,
        Planes::Wide(planes) => write_planes(header, flags, planes, favor_speed, &mut out)?,
    }
    Ok(out)
}

fn write_planes<T: Coefficient>(
    header: &Header,
    flags: u8,
    planes: &[PlaneData<T>],
    favor_speed: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    if header.levels == 0 {
        for v in planes.iter().flat_map(|plane| &plane.buffers[0]) {
            out.extend_from_slice(&v.to_i32().to_le_bytes());
        }
        return Ok(());
    }
    let target = Target::new(header, 0, None)?;
    let layouts: Vec<_> = (0..planes.len()).map(|c| PlaneLayout::new(header, c, &target)).collect();
    let order = Order::new(header, Style::of_flags(flags, header), 0, usize::MAX);
    let blocks = order.blocks(usize::MAX);
    let mut coder = BlockEncoder::new(favor_speed);
    let mut values = vec![T::default(); BLOCK_VALUES];
    write_blocks(&order, &blocks, usize::MAX, out, |index, out| {
        let block = &blocks[index];
        collect(&order, &layouts, planes, block, &mut values);
        out.extend_from_slice(coder.encode(&values[..block.values]).ok_or_else(too_noisy)?);
        Ok(())
    })
    .map(|_| ())
}

pub(crate) fn too_noisy() -> Error {
    Error::Unsupported("coefficients so noisy that a macroblock would need over 16384 words".into())
}

/// Writes the macroblocks of an order behind the header that `out` holds, and fills in the level lengths.
///
/// `code(index, out)` appends the code words of a macroblock. Gives up and returns false once `out` is longer than
/// `most` bytes.
pub(crate) fn write_blocks(
    order: &Order,
    blocks: &[Block],
    most: usize,
    out: &mut Vec<u8>,
    mut code: impl FnMut(usize, &mut Vec<u8>) -> Result<()>,
) -> Result<bool> {
    let levels = order.level_ends.len();
    let table = out.len() - 4 * levels;
    let mut lengths = vec![0u32; levels];
    // The level that the next macroblock is counted for (format section 11.3).
    let mut counted = 0;
    for (index, block) in blocks.iter().enumerate() {
        let start = out.len();
        out.extend_from_slice(&[0; 2]);
        if order.roi {
            out.extend_from_slice(&tile_header(block).to_le_bytes());
            counted = order.level_ends.partition_point(|end| *end <= block.group as u64);
        }
        let head = out.len();
        code(index, out)?;
        let words = (out.len() - head) / 4;
        out[start..start + 2].copy_from_slice(&(words as u16).to_le_bytes());
        if out.len() > most {
            return Ok(false);
        }
        let length = &mut lengths[counted];
        *length = u32::try_from(u64::from(*length) + (out.len() - start) as u64)
            .map_err(|_| Error::Unsupported("a level of over 4 GiB of code".into()))?;
        if !order.roi {
            let emitted = block.start + block.held as u64;
            counted = order.level_ends.partition_point(|end| *end <= emitted).min(lengths.len() - 1);
        }
    }
    for (slot, length) in out[table..].chunks_exact_mut(4).zip(lengths) {
        slot.copy_from_slice(&length.to_le_bytes());
    }
    Ok(true)
}

/// Fills `values` with what a macroblock holds; its padding with zeros.
pub(crate) fn collect<T: Coefficient>(
    order: &Order,
    layouts: &[PlaneLayout],
    planes: &[PlaneData<T>],
    block: &Block,
    values: &mut [T],
) {
    let group = &order.groups[block.group];
    for (run, from, position, length) in block_parts(order.runs_of(group), block) {
        let plane = usize::from(run.plane);
        collect_part(&layouts[plane], &planes[plane], run, from, &mut values[position..position + length]);
    }
    values[block.held..block.values].fill(T::default());
}

/// Fills `out` with values `from ..` of a run's scan.
pub(crate) fn collect_part<T: Coefficient>(
    layout: &PlaneLayout,
    plane: &PlaneData<T>,
    run: &Run,
    from: usize,
    out: &mut [T],
) {
    match run.kind {
        Kind::Band(band) => {
            let (buffer, _, _, frame) = layout.band(0, run.level, band);
            gather(&plane.buffers[buffer], &frame, (run.x as usize, run.y as usize), run, from, out);
        }
        Kind::Interleaved => {
            let (buffer, _, _, hl) = layout.band(0, run.level, Band::HL);
            let (_, _, _, lh) = layout.band(0, run.level, Band::LH);
            let data = &plane.buffers[buffer];
            for (value, (is_lh, x, y)) in out.iter_mut().zip(interleaved(run, from)) {
                *value = if is_lh { lh.row(data, y)[x] } else { hl.row(data, y)[x] };
            }
        }
    }
}
