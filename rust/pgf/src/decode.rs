//! Files to pixels: the stages backwards, for any level and region, from whole, cut and damaged data.

use crate::bitplane::{BlockDecoder, BlockOutcome, Checks, Ending, announced_planes};
use crate::coefficients::{Band, Coefficients, PlaneData, PlaneLayout, Planes, Rect, Target, check_limits, plane_size};
use crate::colour::{MAX_PLANES, Plane, Sample};
use crate::encode::{colour_of, write_coefficients};
use crate::error::{Error, Result};
use crate::header::{FileHeader, Header, Limits, flags};
use crate::image::{Class, Image, Mode, Samples, SamplesMut};
use crate::macroblock::{Place, follow};
use crate::planes::{BLOCK_VALUES, Coefficient};
use crate::quantize::{dequantize, shift};
use crate::report::{Damage, DamageKind, Report};
use crate::salvage;
use crate::scan::{Block, Kind, Order, Run, Style, block_counts, block_parts, interleaved, run_is_wanted, scatter};
use crate::subsample::repeat_row;
use crate::wavelet::{Inverse, Lift};

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
    let read = read_planes(data, &file, found, &target, strict)?;
    let coefficients = Coefficients {
        header: file.header,
        flags: file.flags & (flags::ROI | flags::V5 | flags::V7) | flags::V2 | flags::PGF32 | flags::V6,
        planes: read.planes,
        palette: file.palette.clone(),
        user_data: data[file.user_data.clone()].to_vec(),
    };
    Ok((coefficients, read.report))
}

/// A clean, complete file of whatever cut or damaged data still tell, with the report of what that is.
///
/// # Errors
/// As [`decode_with_report`] without `strict`.
pub fn repair(data: &[u8], limits: &Limits) -> Result<(Vec<u8>, Report)> {
    let (coefficients, report) = read_coefficients(data, false, limits)?;
    Ok((write_coefficients(&coefficients)?, report))
}

/// Turns coefficients into pixels.
///
/// # Errors
/// [`Error::Limits`] if the picture is over the default limits.
pub fn synthesise(coefficients: Coefficients) -> Result<Image> {
    let header = coefficients.header;
    let target = Target::new(&header, 0, None)?;
    let (width, height, channels) = (header.width, header.height, usize::from(header.channels));
    let count = width as usize * height as usize * channels;
    let mut samples = Samples::zeroed(header.mode.sample_type(), count);
    let peaks = Peaks::measure(&coefficients, &target);
    let layouts = (0..channels).map(|c| PlaneLayout::new(&header, c, &target)).collect();
    let read = ReadPlanes { planes: coefficients.planes, layouts, peaks, report: Report::default() };
    export(&header, coefficients.flags, &target, read, samples.as_mut())?;
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
        let read = read_planes(data, file, found, &whole, options.strict)?;
        let report = read.report.clone();
        let (width, height) = (whole.width() as usize, whole.height() as usize);
        let mut all = vec![0u8; width * height];
        export(header, file.flags, &whole, read, SamplesMut::U8(&mut all))?;
        if let SamplesMut::U8(out) = samples {
            let r = target.rect;
            for (out, row) in
                out.chunks_exact_mut(target.width() as usize).zip(all.chunks_exact(width).skip(r.top as usize))
            {
                out.copy_from_slice(&row[r.left as usize..r.right as usize]);
            }
        }
        return Ok(report);
    }
    let read = read_planes(data, file, found, &target, options.strict)?;
    let report = read.report.clone();
    export(header, file.flags, &target, read, samples)?;
    Ok(report)
}

/// The largest magnitudes that each band may hold, after dequantization: what decides on 16-bit arithmetic.
#[derive(Debug, Clone)]
pub(crate) struct Peaks {
    /// By plane, level - 1 and band.
    bands: Vec<[u64; 4]>,
    levels: usize,
}

impl Peaks {
    fn new(header: &Header) -> Self {
        let levels = usize::from(header.levels).max(1);
        Peaks { bands: vec![[0; 4]; levels * usize::from(header.channels)], levels }
    }

    fn slot(&mut self, plane: u8, level: u8) -> &mut [u64; 4] {
        &mut self.bands[usize::from(plane) * self.levels + usize::from(level) - 1]
    }

    /// Notes that coefficients of a run have at most `planes` bit planes.
    fn note(&mut self, header: &Header, run: &Run, planes: usize) {
        let bands: &[Band] = match &run.kind {
            Kind::Band(band) => std::slice::from_ref(band),
            Kind::Interleaved => &[Band::HL, Band::LH],
        };
        for band in bands {
            let shift = shift(header.quantizer(), run.level, *band);
            let slot = &mut self.slot(run.plane, run.level)[*band as usize];
            *slot = (*slot).max(((1u64 << planes) - 1) << shift);
        }
    }

    fn measure(coefficients: &Coefficients, target: &Target) -> Peaks {
        let header = &coefficients.header;
        let mut peaks = Peaks::new(header);
        let order = Order::new(header, Style { roi: false, interleaved: false }, target.level, usize::MAX);
        for run in &order.runs {
            let Kind::Band(band) = run.kind else { continue };
            let layout = PlaneLayout::new(header, usize::from(run.plane), target);
            let (buffer, _, _, frame) = layout.band(target.level, run.level, band);
            let largest = (0..frame.height)
                .map(|y| match &coefficients.planes {
                    Planes::Narrow(p) => i16::largest(frame.row(&p[usize::from(run.plane)].buffers[buffer], y)),
                    Planes::Wide(p) => i32::largest(frame.row(&p[usize::from(run.plane)].buffers[buffer], y)),
                })
                .max()
                .unwrap_or(0);
            peaks.note(header, run, (32 - largest.leading_zeros()) as usize);
        }
        peaks
    }
}

/// Quantised coefficients of a target, with what the later stages need to know.
struct ReadPlanes {
    planes: Planes,
    layouts: Vec<PlaneLayout>,
    peaks: Peaks,
    report: Report,
}

/// Finds, decodes and places the macroblocks of a target.
fn read_planes(
    data: &[u8],
    file: &FileHeader,
    found: Vec<Damage>,
    target: &Target,
    strict: bool,
) -> Result<ReadPlanes> {
    let header = &file.header;
    let channels = usize::from(header.channels);
    let layouts: Vec<_> = (0..channels).map(|c| PlaneLayout::new(header, c, target)).collect();
    let mut report = Report { damaged: !found.is_empty(), damage: found, ..Report::default() };
    if header.levels == 0 {
        let planes = Planes::Wide(read_raw(data, file, &layouts, &mut report)?);
        finish_report(&mut report, data, strict)?;
        return Ok(ReadPlanes { planes, layouts, peaks: Peaks::new(header), report });
    }
    let style = Style::of(file);
    // No macroblock takes fewer than six bytes, no group less than a macroblock.
    let most = (data.len() - file.data_offset) / 6 + 1;
    let order = Order::new(header, style, target.level, most);
    let blocks = order.blocks(most);
    let chain = follow(data, file.data_offset, &blocks, style.roi);
    let mut places = chain.places;
    report.bytes_used = chain.end;
    let wanted: Vec<bool> = blocks.iter().map(|b| is_wanted(&order, &layouts, target.level, b)).collect();
    let listed = wanted.iter().filter(|w| **w).count() as u64;
    // All of a level is wanted as often as not; the list ends where the data cannot hold more.
    report.macroblocks = match block_counts(header, style, target.level).last() {
        Some(total) if target.whole && target.level < header.levels => *total,
        _ => listed,
    };

    let narrow_mode = !matches!(header.mode.class(), Class::Plain16 | Class::Yuv16 | Class::Gray31 | Class::Planes);
    let sound = chain.broken.is_none();
    let checks = salvage::checks_of(file);
    let mut attempt =
        Attempt { data, header, order: &order, blocks: &blocks, wanted: &wanted, layouts: &layouts, target };
    let mut outcomes = Vec::new();
    let mut read =
        if sound && !chain.cut { Some(attempt.decode(&places, narrow_mode, checks, &mut outcomes)) } else { None };
    let clean = |o: &[Option<BlockOutcome>]| o.iter().flatten().all(|o| o.ending == Ending::Whole);
    if read.is_none() || !clean(&outcomes) {
        let spare_only = read.is_some() && is_foreign(&outcomes);
        if spare_only {
            // Another writer's spare bits: legal, so they are read as libPGF reads them.
            read = Some(attempt.decode(&places, narrow_mode, Checks::None, &mut outcomes));
        } else {
            let all_order;
            let all_blocks;
            // The number of macroblocks of the whole file is what ties its end to its start.
            let everything = if target.level == 0 {
                &blocks
            } else {
                all_order = Order::new(header, style, 0, most);
                all_blocks = all_order.blocks(most);
                &all_blocks
            };
            if let Some(error) =
                salvage::contradiction(file, data, block_counts(header, style, 0).last().copied().unwrap_or(0))
            {
                return Err(error);
            }
            let mended = salvage::locate(data, file, everything);
            places.clone_from(&mended.places);
            places.resize(blocks.len(), Place::Missing);
            report.damage.extend(mended.damage);
            report.repaired = mended.repaired.iter().zip(&wanted).filter(|(r, w)| **r && **w).count() as u64;
            report.truncated = mended.truncated;
            report.bytes_used = report.bytes_used.max(mended.end.min(data.len()));
            attempt =
                Attempt { data, header, order: &order, blocks: &blocks, wanted: &wanted, layouts: &layouts, target };
            read = Some(attempt.decode(&places, narrow_mode, checks, &mut outcomes));
        }
    }
    let (planes, peaks) = read.expect("decoded above");
    summarise(&mut report, header, &order, &blocks, &wanted, &places, &outcomes);
    finish_report(&mut report, data, strict)?;
    Ok(ReadPlanes { planes, layouts, peaks, report })
}

/// Whether the contradictions look like another writer's habits rather than damage: nearly all macroblocks have them.
fn is_foreign(outcomes: &[Option<BlockOutcome>]) -> bool {
    let found = outcomes.iter().flatten().count();
    let odd = outcomes.iter().flatten().filter(|o| matches!(o.ending, Ending::Spare | Ending::Broken)).count();
    let only_spare = outcomes.iter().flatten().all(|o| matches!(o.ending, Ending::Whole | Ending::Spare));
    only_spare || (found >= 4 && 5 * odd > 4 * found)
}

fn is_wanted(order: &Order, layouts: &[PlaneLayout], base: u8, block: &Block) -> bool {
    let group = &order.groups[block.group];
    block_parts(order.runs_of(group), block)
        .any(|(run, from, _, length)| run_is_wanted(run, &layouts[usize::from(run.plane)], base, from, length))
}

/// One attempt at decoding the macroblocks at given places.
struct Attempt<'a> {
    data: &'a [u8],
    header: &'a Header,
    order: &'a Order,
    blocks: &'a [Block],
    wanted: &'a [bool],
    layouts: &'a [PlaneLayout],
    target: &'a Target,
}

impl Attempt<'_> {
    fn decode(
        &mut self,
        places: &[Place],
        narrow_mode: bool,
        checks: Checks,
        outcomes: &mut Vec<Option<BlockOutcome>>,
    ) -> (Planes, Peaks) {
        let most_planes = places
            .iter()
            .zip(self.wanted)
            .filter(|(_, wanted)| **wanted)
            .filter_map(|(place, _)| match *place {
                Place::Whole { start, end, .. } | Place::Part { start, end, .. } if end > start => {
                    Some(announced_planes(self.data[start]))
                }
                _ => None,
            })
            .max()
            .unwrap_or(0);
        // 15 planes fill the positive half of 16 bits; only deep modes and damaged data have more.
        if narrow_mode && most_planes <= 15 {
            let (planes, peaks) = self.decode_as::<i16>(places, checks, outcomes);
            (Planes::Narrow(planes), peaks)
        } else {
            let (planes, peaks) = self.decode_as::<i32>(places, checks, outcomes);
            (Planes::Wide(planes), peaks)
        }
    }

    fn decode_as<T: Coefficient>(
        &mut self,
        places: &[Place],
        checks: Checks,
        outcomes: &mut Vec<Option<BlockOutcome>>,
    ) -> (Vec<PlaneData<T>>, Peaks) {
        let mut planes: Vec<PlaneData<T>> = self.layouts.iter().map(PlaneData::new).collect();
        let mut peaks = Peaks::new(self.header);
        let mut coder = BlockDecoder::new();
        let mut values = [T::default(); BLOCK_VALUES];
        outcomes.clear();
        for ((block, place), wanted) in self.blocks.iter().zip(places).zip(self.wanted) {
            let (start, end, cut) = match *place {
                Place::Whole { start, end, .. } => (start, end, false),
                Place::Part { start, end, .. } => (start, end, true),
                Place::Missing => {
                    outcomes.push(None);
                    continue;
                }
            };
            if !wanted {
                outcomes.push(None);
                continue;
            }
            let values = &mut values[..block.values];
            let outcome = coder.decode(&self.data[start..end], cut, checks, values);
            outcomes.push(Some(outcome));
            if outcome.lowest < outcome.planes {
                self.place(block, values, outcome.planes, &mut planes, &mut peaks);
            }
        }
        (planes, peaks)
    }

    fn place<T: Coefficient>(
        &self,
        block: &Block,
        values: &[T],
        bit_planes: usize,
        planes: &mut [PlaneData<T>],
        peaks: &mut Peaks,
    ) {
        let group = &self.order.groups[block.group];
        for (run, from, position, length) in block_parts(self.order.runs_of(group), block) {
            peaks.note(self.header, run, bit_planes);
            let plane = usize::from(run.plane);
            let layout = &self.layouts[plane];
            if !layout.holds(if run.kind == Kind::Band(Band::LL) { Band::LL } else { Band::HL }) {
                continue;
            }
            let values = &values[position..position + length];
            match run.kind {
                Kind::Band(band) => {
                    let (buffer, x, y, frame) = layout.band(self.target.level, run.level, band);
                    scatter(&mut planes[plane].buffers[buffer], &frame, (x, y), run, from, values);
                }
                Kind::Interleaved => {
                    let (buffer, hl_x, hl_y, hl) = layout.band(self.target.level, run.level, Band::HL);
                    let (_, lh_x, lh_y, lh) = layout.band(self.target.level, run.level, Band::LH);
                    let data = &mut planes[plane].buffers[buffer];
                    for (value, (is_lh, x, y)) in values.iter().zip(interleaved(run).skip(from)) {
                        let (frame, x0, y0) = if is_lh { (&lh, lh_x, lh_y) } else { (&hl, hl_x, hl_y) };
                        if x >= x0 && x < x0 + frame.width && y >= y0 && y < y0 + frame.height {
                            frame.row_mut(data, y - y0)[x - x0] = *value;
                        }
                    }
                }
            }
        }
    }
}

/// Planes of a picture without levels: 32-bit samples (format section 11.4).
fn read_raw(
    data: &[u8],
    file: &FileHeader,
    layouts: &[PlaneLayout],
    report: &mut Report,
) -> Result<Vec<PlaneData<i32>>> {
    // A region can be taken of a picture so large that its end is behind all numbers.
    let mut at = file.data_offset as u64;
    let mut planes = Vec::new();
    report.finest_complete_level = Some(0);
    for (c, layout) in layouts.iter().enumerate() {
        let mut plane = PlaneData::new(layout);
        let (width, height) = plane_size(&file.header, c);
        let (width, height) = (width as u64, height as u64);
        let (x, y, frame) = (layout.x, layout.y, layout.samples);
        for row in 0..frame.height {
            let first = ((y + row) as u64).saturating_mul(width).saturating_add(x as u64);
            let start = at.saturating_add(first.saturating_mul(4)).min(data.len() as u64) as usize;
            let out = frame.row_mut(&mut plane.buffers[0], row);
            let mut words = data[start..].chunks_exact(4);
            for v in out {
                match words.next() {
                    Some(b) => *v = i32::from_le_bytes([b[0], b[1], b[2], b[3]]),
                    None => report.truncated = true,
                }
            }
        }
        at = at.saturating_add(width.saturating_mul(height).saturating_mul(4));
        planes.push(plane);
    }
    report.macroblocks = 1;
    report.bytes_used = at.min(data.len() as u64) as usize;
    if report.truncated {
        report.finest_complete_level = None;
        report.partial = 1;
        let message = format!("the planes need {} bytes", at - file.data_offset as u64);
        let bytes = data.len()..data.len();
        report.damage.push(Damage { bytes, kind: DamageKind::Truncated, repaired: false, message });
    } else {
        report.intact = 1;
    }
    Ok(planes)
}

/// Counts what was found and names what is missing.
fn summarise(
    report: &mut Report,
    header: &Header,
    order: &Order,
    blocks: &[Block],
    wanted: &[bool],
    places: &[Place],
    outcomes: &[Option<BlockOutcome>],
) {
    let mut first_bad_level: Option<u8> = None;
    let levels_complete_by = |block: &Block| order.runs_of(&order.groups[block.group]);
    for (index, ((block, place), outcome)) in blocks.iter().zip(places).zip(outcomes).enumerate() {
        if !wanted[index] {
            continue;
        }
        let whole = match (place, outcome) {
            (Place::Missing, _) | (_, None) => {
                report.missing += 1;
                false
            }
            (Place::Whole { .. } | Place::Part { .. }, Some(o)) => match o.ending {
                Ending::Whole | Ending::Spare => {
                    report.intact += 1;
                    true
                }
                Ending::Cut | Ending::Broken => {
                    if o.lowest < o.planes {
                        report.partial += 1;
                    } else {
                        report.missing += 1;
                    }
                    false
                }
            },
        };
        if !whole {
            // The highest level that any of the macroblock's values belongs to.
            let level = block_parts(levels_complete_by(block), block).map(|(run, ..)| run.level).max().unwrap_or(1);
            first_bad_level = Some(first_bad_level.map_or(level, |bad| bad.max(level)));
        }
        if let (Some(o), Place::Whole { start, end, .. }) = (outcome, place)
            && o.ending == Ending::Broken
            && !report.damage.iter().any(|d| d.bytes.start < *end && d.bytes.end > *start)
        {
            let at = start + 4 * o.words;
            let message = format!("macroblock {index}: plane {} contradicts itself", o.lowest.saturating_sub(1));
            report.damage.push(Damage { bytes: at..*end, kind: DamageKind::Code, repaired: false, message });
        }
    }
    let counted = report.intact + report.partial + report.missing;
    let beyond = report.macroblocks.saturating_sub(counted);
    report.missing += beyond;
    if beyond > 0 && first_bad_level.is_none() {
        first_bad_level = Some(1);
    }
    report.finest_complete_level = match first_bad_level {
        None => Some(0),
        Some(bad) if bad >= header.levels => None,
        Some(bad) => Some(bad),
    };
    report.damaged |= report.damage.iter().any(|d| d.kind != DamageKind::Truncated);
}

fn finish_report(report: &mut Report, data: &[u8], strict: bool) -> Result<()> {
    report.damage.sort_by_key(|d| d.bytes.start);
    report.bytes_used = report.bytes_used.min(data.len());
    if !strict {
        return Ok(());
    }
    if let Some(first) = report.damage.iter().find(|d| d.kind != DamageKind::Truncated) {
        return Err(Error::Format {
            field: "coded data",
            offset: first.bytes.start as u64,
            message: first.message.clone(),
        });
    }
    if report.truncated {
        let (need, have) = (data.len() as u64 + 1, data.len() as u64);
        return Err(Error::Truncated { field: "coded data", need, have });
    }
    Ok(())
}

/// Inverts the wavelet and the colour transform.
fn export(header: &Header, flags: u8, target: &Target, mut read: ReadPlanes, samples: SamplesMut<'_>) -> Result<()> {
    invert_coarse(header, target, &mut read);
    let ReadPlanes { planes, layouts, .. } = read;
    let l = &layouts;
    // Only 8-bit samples come with 16-bit planes.
    match (planes, samples) {
        (Planes::Narrow(p), SamplesMut::U8(s)) => finish(header, flags, target, l, p, s),
        (Planes::Wide(p), SamplesMut::U8(s)) => finish(header, flags, target, l, p, s),
        (Planes::Wide(p), SamplesMut::U16(s)) => finish(header, flags, target, l, p, s),
        (Planes::Wide(p), SamplesMut::U32(s)) => finish(header, flags, target, l, p, s),
        (Planes::Wide(p), SamplesMut::I32(s)) => finish(header, flags, target, l, p, s),
        (Planes::Narrow(_), _) => return Err(Error::Usage("16-bit planes of deep samples".into())),
    }
    Ok(())
}

/// Largest magnitude for which all sums of the inverse steps and of the colour transform fit in 16 bits.
const INVERSE_16_BIT: u64 = 16000;

/// Inverts all levels but the last, and widens the planes where 16 bits might not do.
fn invert_coarse(header: &Header, target: &Target, read: &mut ReadPlanes) {
    let ReadPlanes { planes, layouts, peaks, .. } = read;
    // Coarse levels first, each in 16 bits as long as no sum can overflow.
    let mut bounds: Vec<u64> =
        (0..layouts.len()).map(|c| peaks.bands[c * peaks.levels + peaks.levels - 1][Band::LL as usize]).collect();
    for level in (target.level + 1..=header.levels).rev() {
        for (c, layout) in layouts.iter().enumerate() {
            let index = usize::from(level - target.level - 1);
            let bands = &peaks.bands[c * peaks.levels + usize::from(level) - 1];
            if let Planes::Narrow(narrow) = &*planes {
                let grown = |low: u64| {
                    let [_, hl, lh, hh] = *bands;
                    // Rows of the two lifting steps: even = L + H/2, odd = H + even, in both directions.
                    low.saturating_add(hl.saturating_add(lh).saturating_mul(2)).saturating_add(hh.saturating_mul(3)) + 8
                };
                if grown(bounds[c]) > INVERSE_16_BIT {
                    let (_, _, ll) = layout.steps[index].band(Band::LL);
                    let data = &narrow[c].buffers[layout.steps[index].buffer];
                    let shift = if level == header.levels { shift(header.quantizer(), level, Band::LL) } else { 0 };
                    let largest = (0..ll.height).map(|y| i16::largest(ll.row(data, y))).max().unwrap_or(0);
                    bounds[c] = u64::from(largest) << shift;
                }
                bounds[c] = grown(bounds[c]);
            }
            if bounds[c] > INVERSE_16_BIT {
                widen(planes);
            }
            if index == 0 {
                continue;
            }
            match planes {
                Planes::Narrow(p) => invert_level(header, level, layout, index, &mut p[c]),
                Planes::Wide(p) => invert_level(header, level, layout, index, &mut p[c]),
            }
        }
    }
    if bounds.iter().any(|b| *b > INVERSE_16_BIT) {
        widen(planes);
    }
}

fn widen(planes: &mut Planes) {
    if let Planes::Narrow(narrow) = planes {
        let wide = narrow
            .iter_mut()
            .map(|plane| {
                let widen = |b: &mut Vec<i16>| std::mem::take(b).into_iter().map(i32::from).collect();
                PlaneData { buffers: plane.buffers.iter_mut().map(widen).collect() }
            })
            .collect();
        *planes = Planes::Wide(wide);
    }
}

/// Inverts one level of a plane entirely and hands its result to the next finer one.
fn invert_level<T: Lift>(header: &Header, level: u8, layout: &PlaneLayout, index: usize, plane: &mut PlaneData<T>) {
    let step = &layout.steps[index];
    let mut inverse = Inverse::new(step.frame);
    let data = &mut plane.buffers[step.buffer];
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        unsafe { advance_avx2(header, level, &mut inverse, data, step.frame.height) };
        return hand_over(layout, index, plane);
    }
    advance(header, level, &mut inverse, data, step.frame.height);
    hand_over(layout, index, plane);
}

/// Copies a window's result into the LL part of the next window, unless both share a buffer.
fn hand_over<T: Lift>(layout: &PlaneLayout, index: usize, plane: &mut PlaneData<T>) {
    let (from, to) = (&layout.steps[index], &layout.steps[index - 1]);
    if from.buffer == to.buffer {
        return;
    }
    let (x, y, ll) = to.band(Band::LL);
    let source = std::mem::take(&mut plane.buffers[from.buffer]);
    for row in 0..ll.height {
        let start = (y + row - from.y) * from.frame.stride + x - from.x;
        let (width, target) = (ll.width, &mut plane.buffers[to.buffer]);
        ll.row_mut(target, row).copy_from_slice(&source[start..start + width]);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn advance_avx2<T: Lift>(header: &Header, level: u8, inverse: &mut Inverse<T>, data: &mut [T], wanted: usize) {
    advance(header, level, inverse, data, wanted);
}

/// Carries one level on, dequantising rows as they are first used.
#[inline(always)]
fn advance<T: Lift>(header: &Header, level: u8, inverse: &mut Inverse<T>, data: &mut [T], wanted: usize) {
    let shift_of = |band| shift(header.quantizer(), level, band);
    let frame = *inverse.frame();
    inverse.advance(data, wanted, |data, y| {
        let (low, high) = frame.row_mut(data, y).split_at_mut(frame.width.div_ceil(2));
        if y % 2 == 0 {
            if level == header.levels {
                dequantize(low, shift_of(Band::LL));
            }
            dequantize(high, shift_of(Band::HL));
        } else {
            dequantize(low, shift_of(Band::LH));
            dequantize(high, shift_of(Band::HH));
        }
    });
}

/// The finest wanted level and the colour transform, in one sweep over the rows.
fn finish<S: Sample, T: Lift + Plane>(
    header: &Header,
    flags: u8,
    target: &Target,
    layouts: &[PlaneLayout],
    planes: Vec<PlaneData<T>>,
    samples: &mut [S],
) {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        unsafe { finish_avx2(header, flags, target, layouts, planes, samples) };
        return;
    }
    finish_rows(header, flags, target, layouts, planes, samples);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn finish_avx2<S: Sample, T: Lift + Plane>(
    header: &Header,
    flags: u8,
    target: &Target,
    layouts: &[PlaneLayout],
    planes: Vec<PlaneData<T>>,
    samples: &mut [S],
) {
    finish_rows(header, flags, target, layouts, planes, samples);
}

#[inline(always)]
fn finish_rows<S: Sample, T: Lift + Plane>(
    header: &Header,
    flags: u8,
    target: &Target,
    layouts: &[PlaneLayout],
    mut planes: Vec<PlaneData<T>>,
    samples: &mut [S],
) {
    let level = target.level + 1;
    let mut last: Vec<Option<Inverse<T>>> =
        layouts.iter().map(|l| l.steps.first().map(|step| Inverse::new(step.frame))).collect();
    if header.levels > 0 && last.iter().all(Option::is_none) {
        // LL of the highest level is all there is; it only needs its scale.
        let shift = shift(header.quantizer(), header.levels, Band::LL);
        for plane in &mut planes {
            dequantize(&mut plane.buffers[0], shift);
        }
    }
    let (width, height) = (target.width() as usize, target.height() as usize);
    if header.mode == Mode::Bitmap && flags & flags::V7 == 0 {
        if let Some(inverse) = &mut last[0] {
            advance(header, level, inverse, &mut planes[0].buffers[0], height);
        }
        let by_rows = flags & flags::V5 != 0;
        S::export_packed(&planes[0].buffers[0], width, height, by_rows, samples);
        return;
    }
    let channels = usize::from(header.channels);
    let colour = colour_of(header);
    let halve = header.subsampled();
    let (left, top) = (target.rect.left as usize, target.rect.top as usize);
    let mut chroma = vec![T::default(); if halve { (channels - 1) * width } else { 0 }];
    for (y, row) in samples.chunks_exact_mut(width * channels).enumerate() {
        // Rows in pairs, so that a chroma row serves both and the sweep stays in the cache.
        for (c, ((plane, layout), inverse)) in planes.iter_mut().zip(layouts).zip(&mut last).enumerate() {
            if let Some(inverse) = inverse {
                let row = if halve && c > 0 { (top + y) / 2 } else { top + y };
                let wanted = row - layout.steps[0].y + 1;
                advance(header, level, inverse, &mut plane.buffers[0], wanted);
            }
        }
        let mut rows: [&[T]; MAX_PLANES] = Default::default();
        if halve {
            for ((plane, layout), wide) in planes.iter().zip(layouts).skip(1).zip(chroma.chunks_exact_mut(width)) {
                let source = layout.samples.row(&plane.buffers[0], (top + y) / 2 - layout.y);
                repeat_row(source, left % 2, wide);
            }
            rows[0] = layouts[0].samples.row(&planes[0].buffers[0], y);
            for (slot, wide) in rows[1..].iter_mut().zip(chroma.chunks_exact(width)) {
                *slot = wide;
            }
        } else {
            for ((slot, plane), layout) in rows.iter_mut().zip(&planes).zip(layouts) {
                *slot = layout.samples.row(&plane.buffers[0], y);
            }
        }
        S::export(&colour, &rows, row);
    }
}
