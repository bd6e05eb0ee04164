//! Finding, decoding and placing the macroblocks of a target.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::again::Again;
use super::export::stream;
use super::invert::{Peaks, Scale, invert};
use super::raw::Raw;
use super::wide::WideRows;
use crate::bitplane::{BlockDecoder, BlockOutcome, Checks, Ending, announced_planes};
use crate::coefficients::{Band, PlaneData, PlaneLayout, Planes, Target};
use crate::error::{Error, Result};
use crate::header::{FileHeader, Header};
use crate::image::{Class, SamplesMut};
use crate::macroblock::{Place, follow};
use crate::planes::{BLOCK_VALUES, Coefficient};
use crate::report::{Damage, DamageKind, Report};
use crate::salvage;
use crate::scan::{
    Block, Kind, Order, Style, block_counts, block_parts, interleaved, run_is_wanted, scatter, wanted_counts,
};
use crate::threads::start;

/// What planes are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be made pixels of, in little memory.
    Pixels,
    /// To be had as they are.
    Coefficients,
}

/// Quantised coefficients of a target.
pub(super) enum Found<'a> {
    /// All of them.
    Planes(Planes),
    /// Without those of macroblocks that need more than 16 bits.
    Most(Vec<PlaneData<i16>>, Box<Again<'a>>),
    /// Samples, where they are in the file.
    Raw(Raw<'a>),
}

/// Quantised coefficients of a target, with what the later stages need to know.
pub(super) struct ReadPlanes<'a> {
    pub found: Found<'a>,
    pub layouts: Vec<PlaneLayout>,
    pub peaks: Peaks,
    pub report: Report,
}

impl ReadPlanes<'_> {
    /// The coefficients, if they were read for that purpose.
    pub fn planes(self) -> Planes {
        match self.found {
            Found::Planes(planes) => planes,
            Found::Raw(raw) => Planes::Wide(raw.planes()),
            Found::Most(..) => unreachable!("coefficients that are wanted are not left out"),
        }
    }

    /// Inverts the wavelet and the colour transform.
    pub fn export(
        self,
        header: &Header,
        flags: u8,
        target: &Target,
        threads: usize,
        samples: SamplesMut<'_>,
    ) -> Result<()> {
        let ReadPlanes { found, layouts, peaks, .. } = self;
        match found {
            Found::Planes(planes) => {
                invert(header, header.quantizer(), flags, target, planes, &layouts, &peaks, threads, samples)
            }
            Found::Most(planes, again) => {
                let scale = Scale { levels: header.levels, quantizer: header.quantizer() };
                let steps = layouts[0].steps.len();
                let rows = WideRows::new(scale, target, &layouts, &planes, steps, Some(*again));
                stream(header, flags, target, &layouts, rows, samples);
                Ok(())
            }
            Found::Raw(raw) => {
                stream(header, flags, target, &layouts, raw, samples);
                Ok(())
            }
        }
    }
}

/// Finds, decodes and places the macroblocks of a target.
pub(super) fn read_planes<'a>(
    data: &'a [u8],
    file: &FileHeader,
    found: Vec<Damage>,
    target: &Target,
    purpose: Purpose,
    strict: bool,
    threads: usize,
) -> Result<ReadPlanes<'a>> {
    let header = &file.header;
    let channels = usize::from(header.channels);
    let layouts: Vec<_> = (0..channels).map(|c| PlaneLayout::new(header, c, target)).collect();
    let mut report = Report { damaged: !found.is_empty(), damage: found, ..Report::default() };
    if header.levels == 0 {
        let raw = Raw::new(data, file, &layouts);
        raw.report(&mut report);
        finish_report(&mut report, data, strict)?;
        return Ok(ReadPlanes { found: Found::Raw(raw), layouts, peaks: Peaks::new(header), report });
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
    let ends = if target.whole && target.level < header.levels {
        block_counts(header, style, target.level)
    } else if order.groups.len() >= most || blocks.len() >= most {
        wanted_counts(header, style, &layouts, target.level)
    } else {
        vec![listed]
    };
    report.macroblocks = ends.last().map_or(listed, |total| *total);

    let width = match header.mode.class() {
        Class::Plain16 | Class::Yuv16 | Class::Gray31 | Class::Planes => Width::Wide,
        _ if purpose == Purpose::Pixels => Width::Narrow,
        _ => Width::Needed,
    };
    let sound = chain.broken.is_none();
    let mut checks = salvage::checks_of(file);
    let attempt =
        Attempt { data, header, order: &order, blocks: &blocks, wanted: &wanted, layouts: &layouts, target, threads };
    let mut outcomes = Vec::new();
    let mut read = if sound && !chain.cut { Some(attempt.decode(&places, width, checks, &mut outcomes)) } else { None };
    let clean = |o: &[Option<BlockOutcome>]| o.iter().flatten().all(|o| o.ending == Ending::Whole);
    if read.is_none() || !clean(&outcomes) {
        let spare_only = read.is_some() && is_foreign(&outcomes);
        if spare_only {
            // Another writer's spare bits: legal, so they are read as libPGF reads them. What was read first is not
            // kept meanwhile.
            drop(read);
            checks = Checks::None;
            read = Some(attempt.decode(&places, width, Checks::None, &mut outcomes));
        } else {
            drop(read);
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
            read = Some(attempt.decode(&places, width, checks, &mut outcomes));
        }
    }
    let (planes, peaks, left_out) = read.expect("decoded above");
    summarise(&mut report, header, target.level, &ends, &order, &blocks, &wanted, &places, &outcomes);
    finish_report(&mut report, data, strict)?;
    let found = match planes {
        Planes::Narrow(planes) if !left_out.is_empty() => {
            // Planes, samples, a quarter of them for the windows of `WideRows`, and this: four times the picture.
            let bytes = target.width() as usize * target.height() as usize * channels;
            let held = planes.iter().flat_map(|plane| &plane.buffers).map(|buffer| 2 * buffer.len()).sum::<usize>();
            let room = (bytes / 2).min((3 * bytes - bytes / 4).saturating_sub(held));
            Found::Most(planes, Box::new(Again::new(order, blocks, left_out, checks, room)))
        }
        planes => Found::Planes(planes),
    };
    Ok(ReadPlanes { found, layouts, peaks, report })
}

/// How wide planes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// 32 bits.
    Wide,
    /// 16 bits where all macroblocks fit in them.
    Needed,
    /// 16 bits; macroblocks that need more are left out.
    Narrow,
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

/// A macroblock to decode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub index: usize,
    pub code: &'a [u8],
    pub cut: bool,
}

impl Job<'_> {
    /// Whether its values may need more than 16 bits: 15 planes fill their positive half. Only deep modes and damaged
    /// data have more.
    fn is_wide(&self) -> bool {
        self.code.first().is_some_and(|first| announced_planes(*first) > 15)
    }
}

/// Planes, what they hold at most, and the macroblocks that were left out.
type Decoded<'a> = (Planes, Peaks, Vec<Job<'a>>);

/// One attempt at decoding the macroblocks at given places.
struct Attempt<'a, 'd> {
    data: &'d [u8],
    header: &'a Header,
    order: &'a Order,
    blocks: &'a [Block],
    wanted: &'a [bool],
    layouts: &'a [PlaneLayout],
    target: &'a Target,
    threads: usize,
}

impl<'d> Attempt<'_, 'd> {
    fn decode(
        &self,
        places: &[Place],
        width: Width,
        checks: Checks,
        outcomes: &mut Vec<Option<BlockOutcome>>,
    ) -> Decoded<'d> {
        let mut jobs = Vec::new();
        for (index, (place, wanted)) in places.iter().zip(self.wanted).enumerate() {
            let (start, end, cut) = match *place {
                Place::Whole { start, end, .. } => (start, end, false),
                Place::Part { start, end, .. } => (start, end, true),
                Place::Missing => continue,
            };
            if *wanted {
                jobs.push(Job { index, code: &self.data[start..end], cut });
            }
        }
        if width == Width::Wide || width == Width::Needed && jobs.iter().any(Job::is_wide) {
            let (planes, peaks, _) = self.decode_as::<i32>(&jobs, false, checks, outcomes, places.len());
            (Planes::Wide(planes), peaks, Vec::new())
        } else {
            let (planes, peaks, left_out) = self.decode_as::<i16>(&jobs, true, checks, outcomes, places.len());
            (Planes::Narrow(planes), peaks, left_out)
        }
    }

    /// `narrow` says that macroblocks of more than 16 bits are left out.
    fn decode_as<T: Coefficient>(
        &self,
        jobs: &[Job<'d>],
        narrow: bool,
        checks: Checks,
        outcomes: &mut Vec<Option<BlockOutcome>>,
        count: usize,
    ) -> (Vec<PlaneData<T>>, Peaks, Vec<Job<'d>>) {
        let mut planes: Vec<PlaneData<T>> = self.layouts.iter().map(PlaneData::new).collect();
        let mut peaks = Peaks::new(self.header);
        let mut left_out = Vec::new();
        let decode = |coder: &mut BlockDecoder, job: &Job<'_>, values: &mut [T]| {
            if narrow && job.is_wide() {
                coder.outcome(job.code, job.cut, checks, values.len())
            } else {
                coder.decode(job.code, job.cut, checks, values)
            }
        };
        outcomes.clear();
        outcomes.resize(count, None);
        let mut take = |job: &Job<'d>, values: &[T], outcome: BlockOutcome| {
            outcomes[job.index] = Some(outcome);
            if outcome.lowest == outcome.planes {
                // Nothing is known of it.
            } else if narrow && job.is_wide() {
                left_out.push(*job);
            } else {
                self.place(&self.blocks[job.index], values, outcome.planes, &mut planes, &mut peaks);
            }
        };
        let next = AtomicUsize::new(0);
        let threads = self.threads.min(jobs.len());
        let (send, receive) = sync_channel(2 * threads);
        std::thread::scope(|scope| {
            // The caller's thread puts coefficients in their places and, while there are none, decodes as well.
            let next = &next;
            start(scope, threads, move |_| {
                let mut coder = BlockDecoder::new();
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut values = vec![T::default(); self.blocks[job.index].values];
                    let outcome = decode(&mut coder, job, &mut values);
                    if send.send((job, values, outcome)).is_err() {
                        break;
                    }
                }
            });
            let mut coder = BlockDecoder::new();
            let mut values = [T::default(); BLOCK_VALUES];
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let values = &mut values[..self.blocks[job.index].values];
                let outcome = decode(&mut coder, job, values);
                take(job, values, outcome);
                for (job, values, outcome) in receive.try_iter() {
                    take(job, &values, outcome);
                }
            }
            for (job, values, outcome) in receive {
                take(job, &values, outcome);
            }
        });
        (planes, peaks, left_out)
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
            peaks.note(self.header.quantizer(), run, bit_planes);
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
                    for (value, (is_lh, x, y)) in values.iter().zip(interleaved(run, from)) {
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

/// Counts what was found and names what is missing; `ends` says how many macroblocks are needed up to each level.
#[allow(clippy::too_many_arguments)]
fn summarise(
    report: &mut Report,
    header: &Header,
    base: u8,
    ends: &[u64],
    order: &Order,
    blocks: &[Block],
    wanted: &[bool],
    places: &[Place],
    outcomes: &[Option<BlockOutcome>],
) {
    let mut first_bad_level: Option<u8> = None;
    // By start, with the furthest end up to each; what is found here lies in macroblocks of its own.
    let mut known: Vec<(usize, usize)> = report.damage.iter().map(|d| (d.bytes.start, d.bytes.end)).collect();
    known.sort_unstable();
    for i in 1..known.len() {
        known[i].1 = known[i].1.max(known[i - 1].1);
    }
    let is_known = |start, end| match known.partition_point(|(from, _)| *from < end) {
        0 => false,
        before => known[before - 1].1 > start,
    };
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
            && !is_known(*start, *end)
        {
            let at = start + 4 * o.words;
            let message = format!("macroblock {index}: plane {} contradicts itself", o.lowest.saturating_sub(1));
            report.damage.push(Damage { bytes: at..*end, kind: DamageKind::Code, repaired: false, message });
        }
    }
    let counted = report.intact + report.partial + report.missing;
    let beyond = report.macroblocks.saturating_sub(counted);
    report.missing += beyond;
    if beyond > 0 {
        let complete = ends.partition_point(|end| *end <= counted) as u8;
        let level = header.levels.saturating_sub(complete).max(1);
        first_bad_level = Some(first_bad_level.map_or(level, |bad| bad.max(level)));
    }
    report.finest_complete_level = match first_bad_level {
        None => Some(base),
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
