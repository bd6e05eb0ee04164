//! The order in which coefficients are coded (format sections 10, 13 and 17).
//!
//! A [`Run`] is a rectangle of one band scanned in 8x8 blocks. A [`Group`] is a sequence of runs that is cut into
//! macroblocks: everything in a plain file, one tile in a ROI file.

use std::ops::Range;

use crate::coefficients::{Band, PlaneLayout, band_size, level_size};
use crate::header::{FileHeader, Header, flags};
use crate::planes::{BLOCK_VALUES, Coefficient};
use crate::wavelet::Frame;

/// What a run scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Band(Band),
    /// HL and LH of a file before version 5, value by value in turn.
    Interleaved,
}

/// A rectangle of a band, in coding order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub plane: u8,
    pub level: u8,
    pub kind: Kind,
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
    /// Values of the group in front of this run.
    pub start: u64,
    /// Values of this run.
    pub count: u64,
}

impl Run {
    /// Values of the group up to the end of this run; headers may announce more than can be counted.
    fn end(&self) -> u64 {
        self.start.saturating_add(self.count)
    }

    /// The values of the run, by number, that [`run_is_wanted`] is true for.
    fn wanted_values(&self, layout: &PlaneLayout, base: u8) -> Range<u64> {
        let Kind::Band(band) = self.kind else { return 0..if layout.holds(Band::HL) { self.count } else { 0 } };
        if self.count == 0 || !layout.holds(band) {
            return 0..0;
        }
        let (_, x, y, frame) = layout.band(base, self.level, band);
        let overlap = |at: u32, size: u32, from: usize, wanted: usize| {
            let (at, end) = (u64::from(at), u64::from(at) + u64::from(size));
            let (from, until) = (from as u64, (from + wanted) as u64);
            (at < until && end > from).then(|| from.max(at) - at..until.min(end) - at)
        };
        let (Some(_), Some(rows)) =
            (overlap(self.x, self.width, x, frame.width), overlap(self.y, self.height, y, frame.height))
        else {
            return 0..0;
        };
        // Rows of 8x8 blocks.
        let per_row = 8 * u64::from(self.width);
        rows.start / 8 * per_row..rows.end.div_ceil(8).saturating_mul(per_row).min(self.count)
    }
}

/// Runs that share macroblocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub first_run: usize,
    pub runs: usize,
    pub count: u64,
}

/// The coding order of a picture down to some level.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub runs: Vec<Run>,
    pub groups: Vec<Group>,
    /// For each coded level, highest first: values up to its end (plain files), groups up to its end (ROI files).
    pub level_ends: Vec<u64>,
    pub roi: bool,
    most_groups: usize,
}

/// Which order a file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub roi: bool,
    /// HL and LH are interleaved (files before version 5, without ROI).
    pub interleaved: bool,
}

impl Style {
    pub fn of(file: &FileHeader) -> Style {
        Style::of_flags(file.flags, &file.header)
    }

    pub fn of_flags(flags: u8, header: &Header) -> Style {
        let roi = flags & flags::ROI != 0 && header.levels > 0;
        Style { roi, interleaved: flags & flags::V5 == 0 && !roi }
    }
}

/// Values of a run of this size.
fn values_of(kind: Kind, width: usize, height: usize) -> u64 {
    let (w, h) = (width as u64, height as u64);
    match kind {
        Kind::Band(_) => w * h,
        // All of the level but its LL and HH.
        Kind::Interleaved => (w / 2) * h.div_ceil(2) + w.div_ceil(2) * (h / 2),
    }
}

/// Position and size of part `index` of `length` cut into `parts` (a power of two) by halving, larger half first.
pub(crate) fn tile_span(length: usize, parts: usize, index: usize) -> (usize, usize) {
    let (mut position, mut size) = (0, length);
    let mut bit = parts >> 1;
    while bit > 0 {
        if index & bit == 0 {
            size = size.div_ceil(2);
        } else {
            position += size.div_ceil(2);
            size /= 2;
        }
        bit >>= 1;
    }
    (position, size)
}

impl Order {
    /// The coding order of levels `header.levels` down to `base + 1`, which is what level `base` needs.
    ///
    /// A header can announce more tiles than memory holds: the list ends after `most_groups` groups, which is more
    /// than the caller's data can contain.
    pub fn new(header: &Header, style: Style, base: u8, most_groups: usize) -> Order {
        let (runs, groups, level_ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut order = Order { runs, groups, level_ends, roi: style.roi, most_groups };
        let channels = header.channels;
        // The highest level's LL is coded among that level's other bands.
        let lowest = (base + 1).min(header.levels.max(1));
        for level in (lowest..=header.levels).rev() {
            for plane in 0..channels {
                let size = |band| band_size(header, usize::from(plane), level, band);
                if level == header.levels {
                    order.push(plane, level, Kind::Band(Band::LL), (0, 0), size(Band::LL));
                    order.end_tile();
                }
                if style.roi {
                    let tiles = 1usize << (header.levels - level);
                    for ty in 0..tiles {
                        for tx in 0..tiles {
                            for band in [Band::HL, Band::LH, Band::HH] {
                                let (w, h) = size(band);
                                let ((x, w), (y, h)) = (tile_span(w, tiles, tx), tile_span(h, tiles, ty));
                                order.push(plane, level, Kind::Band(band), (x, y), (w, h));
                            }
                            order.end_tile();
                            if order.groups.len() >= order.most_groups {
                                return order;
                            }
                        }
                    }
                } else if style.interleaved {
                    let (w, h) = level_size(header, usize::from(plane), level - 1);
                    order.push(plane, level, Kind::Interleaved, (0, 0), (w, h));
                    order.push(plane, level, Kind::Band(Band::HH), (0, 0), size(Band::HH));
                } else {
                    for band in [Band::HL, Band::LH, Band::HH] {
                        order.push(plane, level, Kind::Band(band), (0, 0), size(band));
                    }
                }
            }
            let end = if style.roi { order.groups.len() as u64 } else { order.pending() };
            order.level_ends.push(end);
        }
        if !style.roi {
            let count = order.pending();
            order.groups.push(Group { first_run: 0, runs: order.runs.len(), count });
        }
        order
    }

    fn push(&mut self, plane: u8, level: u8, kind: Kind, (x, y): (usize, usize), (width, height): (usize, usize)) {
        let start = self.pending();
        let count = values_of(kind, width, height);
        let (x, y, width, height) = (x as u32, y as u32, width as u32, height as u32);
        self.runs.push(Run { plane, level, kind, x, y, width, height, start, count });
    }

    /// Values in the group that is being built.
    fn pending(&self) -> u64 {
        let first = self.groups.last().map_or(0, |g| g.first_run + g.runs);
        self.runs[first..].last().map_or(0, Run::end)
    }

    fn end_tile(&mut self) {
        if !self.roi {
            return;
        }
        let first_run = self.groups.last().map_or(0, |g| g.first_run + g.runs);
        let count = self.pending();
        self.groups.push(Group { first_run, runs: self.runs.len() - first_run, count });
    }

    /// The runs of a group.
    pub fn runs_of(&self, group: &Group) -> &[Run] {
        &self.runs[group.first_run..group.first_run + group.runs]
    }

    /// The first `most` macroblocks of all groups, in order.
    pub fn blocks(&self, most: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (group, g) in self.groups.iter().enumerate() {
            let mut start = 0;
            while start < g.count && blocks.len() < most {
                let held = (g.count - start).min(BLOCK_VALUES as u64) as usize;
                let last = start + held as u64 == g.count;
                // Plain files pad their last macroblock with zeros.
                let values = if self.roi { held } else { BLOCK_VALUES };
                blocks.push(Block { group, start, held, values, last });
                start += held as u64;
            }
        }
        blocks
    }
}

/// A macroblock's place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub group: usize,
    /// First value, counted in the group.
    pub start: u64,
    /// Values of the picture that it holds.
    pub held: usize,
    /// Values that it codes, padding included.
    pub values: usize,
    /// Whether its group ends with it.
    pub last: bool,
}

/// The widths (or heights) that low and high bands have in the tiles of a level, and how many tiles have them.
///
/// A level may announce 2^29 tiles a side; all of them have one of four pairs of sizes.
fn tile_sizes(low: usize, high: usize, halvings: u8) -> Vec<((u64, u64), u64)> {
    let mut sizes = vec![((low as u64, high as u64), 1)];
    for _ in 0..halvings {
        let mut halves: Vec<((u64, u64), u64)> = Vec::with_capacity(4);
        for ((low, high), count) in sizes {
            for half in [(low.div_ceil(2), high.div_ceil(2)), (low / 2, high / 2)] {
                match halves.iter_mut().find(|(other, _)| *other == half) {
                    Some((_, sum)) => *sum += count,
                    None => halves.push((half, count)),
                }
            }
        }
        sizes = halves;
    }
    sizes
}

/// Macroblocks up to the end of each level from the highest down to `base + 1`, without listing them.
pub(crate) fn block_counts(header: &Header, style: Style, base: u8) -> Vec<u64> {
    let most = BLOCK_VALUES as u64;
    let (mut values, mut blocks, mut ends) = (0u64, 0u64, Vec::new());
    for level in (base + 1..=header.levels).rev() {
        for plane in 0..usize::from(header.channels) {
            let size = |band| band_size(header, plane, level, band);
            let (lw, lh) = size(Band::LL);
            let (hw, hh) = size(Band::HH);
            if level == header.levels {
                values = values.saturating_add(lw as u64 * lh as u64);
                blocks += (lw as u64 * lh as u64).div_ceil(most);
            }
            values = values.saturating_add(hw as u64 * lh as u64 + lw as u64 * hh as u64 + hw as u64 * hh as u64);
            if !style.roi {
                continue;
            }
            let halvings = header.levels - level;
            let (across, down) = (tile_sizes(lw, hw, halvings), tile_sizes(lh, hh, halvings));
            for &((lw, hw), columns) in &across {
                for &((lh, hh), rows) in &down {
                    let values = hw * lh + lw * hh + hw * hh;
                    blocks = blocks.saturating_add((columns * rows).saturating_mul(values.div_ceil(most)));
                }
            }
        }
        ends.push(if style.roi { blocks } else { values.div_ceil(most) });
    }
    ends
}

/// The first number below `end` from which on a condition holds; `end` if there is none.
fn first_where(end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Counts the macroblocks of a group that hold something wanted, run after run.
#[derive(Default)]
struct GroupCount {
    /// Values of the runs so far.
    values: u64,
    /// Behind the last macroblock that was counted.
    end: u64,
    wanted: u64,
}

impl GroupCount {
    fn add(&mut self, layout: &PlaneLayout, base: u8, mut run: Run) {
        run.start = self.values;
        self.values = run.end();
        let wanted = run.wanted_values(layout, base);
        if wanted.is_empty() {
            return;
        }
        let most = BLOCK_VALUES as u64;
        let first = (run.start.saturating_add(wanted.start) / most).max(self.end);
        self.end = run.start.saturating_add(wanted.end).div_ceil(most).max(first);
        self.wanted += self.end - first;
    }
}

/// The parts of a level that tiles are of, one way.
struct Tiles {
    low: usize,
    high: usize,
    /// Position and size of what is wanted of either.
    wanted_low: (usize, usize),
    wanted_high: (usize, usize),
    /// Number of tiles.
    count: usize,
}

impl Tiles {
    /// Tiles of which something may be wanted.
    fn range(&self) -> Range<usize> {
        let of = |length, (from, size): (usize, usize)| {
            let behind = |t| {
                let (position, size) = tile_span(length, self.count, t);
                position + size > from
            };
            first_where(self.count, behind)..first_where(self.count, |t| {
                tile_span(length, self.count, t).0 >= from + size
            })
        };
        let (low, high) = (of(self.low, self.wanted_low), of(self.high, self.wanted_high));
        low.start.min(high.start)..low.end.max(high.end)
    }

    /// How many tiles have something wanted of the low part only, and of any.
    fn hits(&self) -> (u64, u64) {
        let hit = |length, t, (from, wanted): (usize, usize)| {
            let (position, size) = tile_span(length, self.count, t);
            size > 0 && position < from + wanted && position + size > from
        };
        let (mut only_low, mut any) = (0, 0);
        for t in self.range() {
            let (low, high) = (hit(self.low, t, self.wanted_low), hit(self.high, t, self.wanted_high));
            only_low += u64::from(low && !high);
            any += u64::from(low || high);
        }
        (only_low, any)
    }

    /// Values of the largest tile this way.
    fn largest(&self) -> usize {
        self.low.div_ceil(self.count) + self.high.div_ceil(self.count)
    }
}

/// Of the macroblocks up to the end of each level from the highest down to `base + 1` (the highest at least), how many
/// the layouts want: without listing them, as [`block_counts`] does for all.
pub(crate) fn wanted_counts(header: &Header, style: Style, layouts: &[PlaneLayout], base: u8) -> Vec<u64> {
    let (mut all, mut plain, mut ends) = (0u64, GroupCount::default(), Vec::new());
    for level in ((base + 1).min(header.levels)..=header.levels).rev() {
        for (plane, layout) in layouts.iter().enumerate() {
            let size = |band| band_size(header, plane, level, band);
            let run = |kind, (x, width): (usize, usize), (y, height): (usize, usize)| {
                let count = values_of(kind, width, height);
                let (x, y, width, height) = (x as u32, y as u32, width as u32, height as u32);
                Run { plane: plane as u8, level, kind, x, y, width, height, start: 0, count }
            };
            let whole = |band| run(Kind::Band(band), (0, size(band).0), (0, size(band).1));
            if !style.roi {
                if level == header.levels {
                    plain.add(layout, base, whole(Band::LL));
                }
                if style.interleaved {
                    let (w, h) = level_size(header, plane, level - 1);
                    plain.add(layout, base, run(Kind::Interleaved, (0, w), (0, h)));
                } else {
                    plain.add(layout, base, whole(Band::HL));
                    plain.add(layout, base, whole(Band::LH));
                }
                plain.add(layout, base, whole(Band::HH));
                continue;
            }
            if level == header.levels {
                let mut group = GroupCount::default();
                group.add(layout, base, whole(Band::LL));
                all = all.saturating_add(group.wanted);
            }
            if !layout.holds(Band::HH) {
                continue;
            }
            let count = 1usize << (header.levels - level);
            let ((low_w, low_h), (high_w, high_h)) = (size(Band::LL), size(Band::HH));
            let (_, hl_x, hl_y, hl) = layout.band(base, level, Band::HL);
            let (_, lh_x, lh_y, lh) = layout.band(base, level, Band::LH);
            let (wanted_low, wanted_high) = ((lh_x, lh.width), (hl_x, hl.width));
            let across = Tiles { low: low_w, high: high_w, wanted_low, wanted_high, count };
            let (wanted_low, wanted_high) = ((hl_y, hl.height), (lh_y, lh.height));
            let down = Tiles { low: low_h, high: high_h, wanted_low, wanted_high, count };
            if across.largest() * down.largest() <= BLOCK_VALUES {
                // Each is one macroblock at most. Low both ways is LL, which is not in it.
                let ((low_columns, columns), (low_rows, rows)) = (across.hits(), down.hits());
                all = all.saturating_add(columns * rows - low_columns * low_rows);
                continue;
            }
            for ty in down.range() {
                for tx in across.range() {
                    let mut group = GroupCount::default();
                    for band in [Band::HL, Band::LH, Band::HH] {
                        let (w, h) = size(band);
                        let tile = run(Kind::Band(band), tile_span(w, count, tx), tile_span(h, count, ty));
                        group.add(layout, base, tile);
                    }
                    all = all.saturating_add(group.wanted);
                }
            }
        }
        ends.push(if style.roi { all } else { plain.wanted });
    }
    ends
}

/// Calls `piece(position, length, x, y)` for every stretch of a row in the 8x8 scan of a `width` x `height` rectangle,
/// for scan positions `from .. to`; `position` counts from `from`.
#[inline(always)]
fn stretches(
    (width, height): (usize, usize),
    from: usize,
    to: usize,
    mut piece: impl FnMut(usize, usize, usize, usize),
) {
    if from >= to {
        return;
    }
    let mut at = from;
    let mut block_y = at / (8 * width) * 8;
    let mut rows = (height - block_y).min(8);
    let in_band = at - block_y * width;
    let mut block_x = in_band / (8 * rows) * 8;
    let mut columns = (width - block_x).min(8);
    let in_block = in_band - block_x * rows;
    let (mut row, mut column) = (in_block / columns, in_block % columns);
    loop {
        if row == 0 && column == 0 && rows == 8 && columns == 8 && to - at >= 64 {
            // A whole block, which is nearly all: lengths that the compiler knows.
            for row in 0..8 {
                piece(at - from + 8 * row, 8, block_x, block_y + row);
            }
            at += 64;
            if at == to {
                return;
            }
            row = 8;
        }
        while row < rows {
            let length = (columns - column).min(to - at);
            piece(at - from, length, block_x + column, block_y + row);
            at += length;
            if at == to {
                return;
            }
            column = 0;
            row += 1;
        }
        row = 0;
        block_x += 8;
        if block_x >= width {
            block_x = 0;
            block_y += 8;
            rows = (height - block_y).min(8);
        }
        columns = (width - block_x).min(8);
    }
}

/// Copies values `from .. to` of a rectangle's scan from a frame into `out`; the rectangle starts at `(x, y)` of it.
pub(crate) fn gather<T: Coefficient>(
    data: &[T],
    frame: &Frame,
    (x, y): (usize, usize),
    run: &Run,
    from: usize,
    out: &mut [T],
) {
    let size = (run.width as usize, run.height as usize);
    stretches(size, from, from + out.len(), |position, length, column, row| {
        let source = frame.offset + (y + row) * frame.stride + x + column;
        if length == 8 {
            let block: [T; 8] = data[source..source + 8].try_into().expect("eight values");
            out[position..position + 8].copy_from_slice(&block);
        } else {
            out[position..position + length].copy_from_slice(&data[source..source + length]);
        }
    });
}

/// Copies values `from ..` of a run's scan into a frame that holds the band from `(x, y)` on; values outside are
/// dropped.
pub(crate) fn scatter<T: Coefficient>(
    data: &mut [T],
    frame: &Frame,
    (x, y): (usize, usize),
    run: &Run,
    from: usize,
    values: &[T],
) {
    let size = (run.width as usize, run.height as usize);
    let (run_x, run_y) = (run.x as usize, run.y as usize);
    let inside = run_x >= x && run_y >= y && run_x + size.0 <= x + frame.width && run_y + size.1 <= y + frame.height;
    if inside {
        let base = frame.offset + (run_y - y) * frame.stride + (run_x - x);
        stretches(size, from, from + values.len(), |position, length, column, row| {
            let to = base + row * frame.stride + column;
            if length == 8 {
                let block: [T; 8] = values[position..position + 8].try_into().expect("eight values");
                data[to..to + 8].copy_from_slice(&block);
            } else {
                data[to..to + length].copy_from_slice(&values[position..position + length]);
            }
        });
        return;
    }
    stretches(size, from, from + values.len(), |position, length, column, row| {
        let (column, row) = (run_x + column, run_y + row);
        if row < y || row >= y + frame.height {
            return;
        }
        let first = column.max(x);
        let end = (column + length).min(x + frame.width);
        if first < end {
            let to = frame.offset + (row - y) * frame.stride + first - x;
            let source = position + first - column;
            data[to..to + end - first].copy_from_slice(&values[source..source + end - first]);
        }
    });
}

/// Positions of an interleaved run (format section 17): `(is LH, x, y)` of its values from `from` on, in order.
pub(crate) fn interleaved(run: &Run, from: usize) -> impl Iterator<Item = (bool, usize, usize)> {
    let (width, height) = (run.width as usize, run.height as usize);
    // Columns of HL, rows of LH; LH may have one more column, HL one more row.
    let (columns, rows) = (width / 2, height / 2);
    let extra_column = width % 2 == 1;
    // Every row of both has `width` values: the four rows at a time that lie in front are not gone through.
    let top = from / width.max(1) / 4 * 4;
    let common = (top..rows).step_by(4).flat_map(move |block_y| {
        // The block that is cropped exists even when nothing but the extra column of LH is left for it.
        (0..=columns / 4).flat_map(move |block| {
            let first = 4 * block;
            let end = (first + 4).min(columns);
            let last = block == columns / 4;
            (block_y..(block_y + 4).min(rows)).flat_map(move |y| {
                let pairs = (first..end).flat_map(move |x| [(false, x, y), (true, x, y)]);
                pairs.chain((last && extra_column).then_some((true, columns, y)))
            })
        })
    });
    let extra_row = (height % 2 == 1).then(|| (0..columns).map(move |x| (false, x, rows)));
    common.chain(extra_row.into_iter().flatten()).skip(from - top * width)
}

/// The part of the runs of a group that a macroblock holds: `(run, first value of the run, first value of the block,
/// length)`.
pub(crate) fn block_parts<'a>(runs: &'a [Run], block: &Block) -> impl Iterator<Item = (&'a Run, usize, usize, usize)> {
    let (start, end) = (block.start, block.start + block.held as u64);
    let first = runs.partition_point(|r| r.end() <= start);
    runs[first..].iter().take_while(move |r| r.start < end).filter(|r| r.count > 0).map(move |r| {
        let from = start.max(r.start);
        let to = end.min(r.end());
        (r, (from - r.start) as usize, (from - start) as usize, (to - from) as usize)
    })
}

/// Whether any value of a run lies in what is held of its band.
pub(crate) fn run_is_wanted(run: &Run, layout: &PlaneLayout, base: u8, from: usize, length: usize) -> bool {
    let Kind::Band(band) = run.kind else { return layout.holds(Band::HL) };
    if !layout.holds(band) {
        return false;
    }
    let (_, x, y, frame) = layout.band(base, run.level, band);
    let (x, y) = (x as u64, y as u64);
    let rows = run_rows(run, from, length);
    let (left, right) = (u64::from(run.x), u64::from(run.x) + u64::from(run.width));
    left < x + frame.width as u64 && right > x && rows.start < y + frame.height as u64 && rows.end > y
}

/// Rows of the band, or of HL and LH, that some values of a run lie in, and perhaps a few more.
pub(crate) fn run_rows(run: &Run, from: usize, length: usize) -> Range<u64> {
    let (first, last) = (from as u64, (from + length - 1) as u64);
    match run.kind {
        Kind::Band(_) => {
            // Rows of 8x8 blocks that the values touch.
            let per_row = 8 * u64::from(run.width);
            let top = u64::from(run.y);
            top + first / per_row * 8..top + (last / per_row * 8 + 8).min(u64::from(run.height))
        }
        // Four rows of both bands at a time, the odd row of HL last.
        Kind::Interleaved => {
            let per_row = 4 * u64::from(run.width);
            (first / per_row * 4).min(u64::from(run.height / 2))..last / per_row * 4 + 4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coefficients::{Rect, Target};

    #[test]
    fn tile_sizes_are_those_of_the_tiles() {
        for (low, high, halvings) in [(1, 0, 0), (3, 2, 1), (19, 18, 3), (100, 100, 5), (1025, 1024, 9), (77, 76, 4)] {
            let tiles = 1 << halvings;
            let mut listed: Vec<_> = tile_sizes(low, high, halvings)
                .into_iter()
                .flat_map(|(pair, count)| std::iter::repeat_n(pair, count as usize))
                .collect();
            let side = |length, index| tile_span(length, tiles, index).1 as u64;
            let mut expected: Vec<_> = (0..tiles).map(|t| (side(low, t), side(high, t))).collect();
            listed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(listed, expected, "{low} and {high} in {tiles} tiles");
        }
    }

    #[test]
    fn interleaved_runs_begin_anywhere() {
        for (width, height) in [(1, 1), (1, 9), (2, 8), (3, 17), (7, 4), (8, 5), (9, 6), (16, 31), (33, 12)] {
            let (w, h) = (width as usize, height as usize);
            let count = (w / 2) * h.div_ceil(2) + w.div_ceil(2) * (h / 2);
            let kind = Kind::Interleaved;
            let run = Run { plane: 0, level: 1, kind, x: 0, y: 0, width, height, start: 0, count: count as u64 };
            let all: Vec<_> = interleaved(&run, 0).collect();
            assert_eq!(all.len(), count);
            for from in 0..count {
                assert!(interleaved(&run, from).eq(all[from..].iter().copied()), "{width} x {height} from {from}");
            }
        }
    }

    #[test]
    fn wanted_counts_are_those_of_the_list() {
        let mut seen = 0;
        // Versions 7 plain and in tiles, and 2, which interleaves bands.
        for flags in [0x76, 0x7E, 0x02] {
            for (width, height, levels, mode, channels) in [
                (300u32, 211u32, 4u8, 1u8, 1u8),
                (97, 403, 5, 3, 3),
                (700, 650, 1, 1, 1),
                (1025, 777, 2, 3, 3),
                (64, 64, 6, 1, 1),
            ] {
                let mut bytes = [&b"PGF"[..], &[flags]].concat();
                bytes.extend_from_slice(&[16, 0, 0, 0][..if flags & flags::V6 != 0 { 4 } else { 2 }]);
                bytes.extend_from_slice(&[width.to_le_bytes(), height.to_le_bytes()].concat());
                bytes.extend_from_slice(&[levels, 5, 8 * channels, channels, mode, 8, 0, 0]);
                bytes.resize(bytes.len() + 4 * usize::from(levels), 0);
                let Ok(file) = FileHeader::parse(&bytes) else { continue };
                let (header, style) = (&file.header, Style::of(&file));
                for base in 0..=levels {
                    let order = Order::new(header, style, base, usize::MAX);
                    let blocks = order.blocks(usize::MAX);
                    for (left, top, right, bottom) in
                        [(0, 0, width, height), (0, 0, 1, 1), (width - 9, height - 2, width, height), (30, 41, 60, 50)]
                    {
                        let region = Rect { left, top, right, bottom };
                        let target = Target::new(header, base, Some(region)).unwrap();
                        let layouts: Vec<_> =
                            (0..usize::from(channels)).map(|c| PlaneLayout::new(header, c, &target)).collect();
                        let listed = |above: u8| {
                            let wanted = |block: &&Block| {
                                let parts: Vec<_> =
                                    block_parts(order.runs_of(&order.groups[block.group]), block).collect();
                                // Counted with the highest level that it holds values of.
                                parts.iter().any(|(run, ..)| run.level > above)
                                    && parts.iter().any(|(run, from, _, length)| {
                                        run_is_wanted(run, &layouts[usize::from(run.plane)], base, *from, *length)
                                    })
                            };
                            blocks.iter().filter(wanted).count() as u64
                        };
                        let counts = wanted_counts(header, style, &layouts, base);
                        assert_eq!(counts.len(), usize::from((levels - base).max(1)));
                        let total = listed(0);
                        assert_eq!(counts.last(), Some(&total), "{file:?} level {base} {region:?}");
                        if style.roi {
                            let expected: Vec<u64> = (base.min(levels - 1)..levels).rev().map(listed).collect();
                            assert_eq!(counts, expected, "{file:?} level {base} {region:?}");
                        }
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 150, "only {seen} cases");
    }

    #[test]
    fn counting_takes_no_longer_for_huge_pictures() {
        let bytes = [0xFF; 8];
        let mut file = b"PGF\x7E\x10\0\0\0".to_vec();
        file.extend_from_slice(&bytes);
        file.extend_from_slice(&[30, 0, 24, 3, 3, 8, 0, 0]);
        file.resize(24 + 120, 0);
        let file = FileHeader::parse(&file).unwrap();
        let counts = block_counts(&file.header, Style::of(&file), 0);
        assert_eq!(counts.len(), 30);
        // Three planes of (2^32 - 1)^2 values, in macroblocks of 2^14: tiles are of up to 4 x 4 values.
        assert!(counts.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(counts[29], 3 + 3 * (0..30).map(|k| 1u64 << (2 * k)).sum::<u64>());
    }
}
