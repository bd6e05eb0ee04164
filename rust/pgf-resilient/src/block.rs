//! Blocks: which coefficients share a segment, and where they lie.

use std::ops::Range;

use crate::picture::Picture;
use pgf::{Band, Error, Header, Result};

/// Levels in a block of the coarsest ones, at most; in bare streams, whose base has taken one of them, one fewer.
const MERGED_LEVELS: u8 = 3;

/// Longest side of a part.
pub(crate) const SIDE: usize = 32;

/// A rectangle of one band, at most 32 x 32 coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub plane: u8,
    /// Counts from 1; LL (the residual of the base) has the highest level of the stream.
    pub level: u8,
    pub band: Band,
    pub x: u32,
    pub y: u32,
    /// 0 to 32; parts without coefficients keep the three bands of a level together.
    pub width: u8,
    pub height: u8,
    /// Plane `p` of the block is plane `p - lift` of this part's magnitudes.
    pub lift: u8,
}

/// The unit of independence: a few parts of one channel group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub group: u8,
    pub parts: Range<usize>,
}

/// All blocks of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Levels of the stream.
    pub levels: u8,
    pub parts: Vec<Part>,
    pub blocks: Vec<Block>,
    /// For every channel group the position of its first block in `blocks`; one more entry ends the last.
    pub groups: Vec<usize>,
    /// Bytes of a block index.
    pub digits: usize,
}

/// `size` after `level` halvings, each rounding up.
pub(crate) fn halved(size: usize, level: u8) -> usize {
    ((size as u64 + (1u64 << level) - 1) >> level) as usize
}

/// Size of a band of a plane; LL of level 0 is the plane.
pub(crate) fn band_size(header: &Header, plane: usize, level: u8, band: Band) -> (usize, usize) {
    let (w, h) = header.plane_size(plane);
    if band == Band::LL {
        return (halved(w, level), halved(h, level));
    }
    let (w, h) = (halved(w, level - 1), halved(h, level - 1));
    let (wide, high) = (matches!(band, Band::HL | Band::HH), matches!(band, Band::LH | Band::HH));
    (if wide { w / 2 } else { w.div_ceil(2) }, if high { h / 2 } else { h.div_ceil(2) })
}

/// Bits by which the integers of a band were shifted down, further levels included.
pub(crate) fn shift_of(header: &Header, level: u8, band: Band) -> u32 {
    if level <= header.levels && !(band == Band::LL && level < header.levels) {
        if header.levels == 0 { 0 } else { header.shift(level, band) }
    } else if header.levels == 0 {
        0
    } else {
        header.shift(header.levels, Band::LL)
    }
}

/// The planes of every channel group: the first, the colour differences, the fourth; one each in deep streams.
pub(crate) fn channel_groups(picture: &Picture) -> Vec<Range<usize>> {
    let n = usize::from(picture.header.channels);
    if picture.deep {
        return (0..n).map(|c| c..c + 1).collect();
    }
    [0..1, 1..3, 3..4].into_iter().filter(|r| r.start < n).map(|r| r.start..r.end.min(n)).collect()
}

/// Digits of base 255 (so that none is FF) for numbers below `count`.
pub(crate) fn digits_for(count: usize) -> usize {
    let mut digits = 1;
    let mut reach = 255usize;
    while reach < count {
        reach = reach.saturating_mul(255);
        digits += 1;
    }
    digits
}

/// Side of the tiles of a level in coefficients.
pub(crate) fn tile_side(picture: &Picture, level: u8) -> usize {
    let levels = picture.levels();
    if levels == 0 { SIDE } else { SIDE.min((1 << picture.coarse) << (levels - level).min(8)) }
}

const DETAIL: [Band; 3] = [Band::HL, Band::LH, Band::HH];

/// The finest of the coarsest levels, which share blocks.
fn merged_level(picture: &Picture) -> u8 {
    let levels = picture.levels();
    let most = MERGED_LEVELS - u8::from(picture.bare);
    let mut merged = levels;
    while merged >= 2 && levels - merged < most - 1 && tile_side(picture, merged - 1) < SIDE {
        merged -= 1;
    }
    merged
}

impl Geometry {
    /// How many parts and blocks a picture has.
    fn counts(picture: &Picture) -> (u64, u64) {
        let (levels, merged) = (picture.levels(), merged_level(picture));
        let (mut parts, mut blocks) = (0, 0);
        for planes in channel_groups(picture) {
            let (w, h) = picture.header.plane_size(planes.start);
            let tiles = |level: u8| {
                let side = tile_side(picture, level);
                halved(w, level).div_ceil(side) as u64 * halved(h, level).div_ceil(side) as u64
            };
            let (planes, detail) = (planes.len() as u64, DETAIL.len() as u64);
            let shared = u64::from((levels + 1).saturating_sub(merged.max(1)));
            parts += tiles(levels) * planes * (1 + detail * shared);
            blocks += tiles(levels);
            for level in 1..merged {
                parts += tiles(level) * planes * detail;
                blocks += tiles(level);
            }
        }
        (parts, blocks)
    }

    /// The memory that the geometry of a picture takes.
    pub fn bytes(picture: &Picture) -> u64 {
        let (parts, blocks) = Geometry::counts(picture);
        parts * size_of::<Part>() as u64 + blocks * size_of::<Block>() as u64
    }

    /// # Errors
    /// [`Error::Format`] for a pyramid that the size does not bear.
    pub fn new(picture: &Picture) -> Result<Geometry> {
        let header = &picture.header;
        let (levels, merged) = (picture.levels(), merged_level(picture));
        let counts = Geometry::counts(picture);
        let mut parts = Vec::with_capacity(counts.0 as usize);
        let mut blocks = Vec::with_capacity(counts.1 as usize);
        let mut groups = vec![0];
        for (g, planes) in channel_groups(picture).into_iter().enumerate() {
            let (w, h) = header.plane_size(planes.start);
            let last = halved(w.min(h), levels.saturating_sub(1));
            if levels > 0 && last < 2 {
                return Err(Error::Format {
                    field: "levels",
                    offset: 0,
                    message: format!("{levels} levels of a plane of {w}x{h}"),
                });
            }
            let tile = |level: u8| tile_side(picture, level);
            let side = tile(levels);
            let (lw, lh) = (halved(w, levels), halved(h, levels));
            for (ty, tx) in (0..lh.div_ceil(side)).flat_map(|y| (0..lw.div_ceil(side)).map(move |x| (y, x))) {
                let start = parts.len();
                for plane in planes.clone() {
                    parts.push(part(header, plane, levels, levels, Band::LL, side, (tx, ty)));
                }
                for level in (merged.max(1)..=levels).rev() {
                    push_level(header, &planes, levels, level, tile(level), (tx, ty), &mut parts);
                }
                finish_block(g, start, &mut parts, &mut blocks);
            }
            for level in (1..merged).rev() {
                let side = tile(level);
                let (lw, lh) = (halved(w, level), halved(h, level));
                for (ty, tx) in (0..lh.div_ceil(side)).flat_map(|y| (0..lw.div_ceil(side)).map(move |x| (y, x))) {
                    let start = parts.len();
                    push_level(header, &planes, levels, level, side, (tx, ty), &mut parts);
                    finish_block(g, start, &mut parts, &mut blocks);
                }
            }
            groups.push(blocks.len());
        }
        debug_assert_eq!((parts.len() as u64, blocks.len() as u64), counts);
        let most = groups.windows(2).map(|g| g[1] - g[0]).max().unwrap_or(0);
        Ok(Geometry { levels, parts, blocks, groups, digits: digits_for(most) })
    }

    /// The block of a group and an index, if there is such.
    pub fn block(&self, group: u8, index: usize) -> Option<usize> {
        let g = usize::from(group);
        let first = *self.groups.get(g)?;
        let end = *self.groups.get(g + 1)?;
        (index < end - first).then_some(first + index)
    }

    /// The index of a block in its group.
    pub fn index(&self, block: usize) -> usize {
        block - self.groups[usize::from(self.blocks[block].group)]
    }

    pub fn parts_of(&self, block: usize) -> &[Part] {
        &self.parts[self.blocks[block].parts.clone()]
    }
}

fn push_level(
    header: &Header,
    planes: &Range<usize>,
    levels: u8,
    level: u8,
    side: usize,
    tile: (usize, usize),
    parts: &mut Vec<Part>,
) {
    for plane in planes.clone() {
        for band in DETAIL {
            parts.push(part(header, plane, levels, level, band, side, tile));
        }
    }
}

/// The part of a band in a tile. `lift` is not relative to the block yet: it is the logarithm of the band's weight.
fn part(header: &Header, plane: usize, levels: u8, level: u8, band: Band, side: usize, tile: (usize, usize)) -> Part {
    let (w, h) = band_size(header, plane, level, band);
    let (x, y) = (tile.0 * side, tile.1 * side);
    Part {
        plane: plane as u8,
        level,
        band,
        x: x as u32,
        y: y as u32,
        width: w.saturating_sub(x).min(side) as u8,
        height: h.saturating_sub(y).min(side) as u8,
        lift: weight_of(header, levels, level, band),
    }
}

/// The logarithm of what the lowest bit of a coefficient is worth.
pub(crate) fn weight_of(header: &Header, levels: u8, level: u8, band: Band) -> u8 {
    // Doubling the level doubles it (L2 norms of the synthesis basis; HH a plane less).
    let norm = match band {
        Band::LL => levels + 2,
        Band::HL | Band::LH => level + 1,
        Band::HH => level,
    };
    norm + shift_of(header, level, band) as u8
}

fn finish_block(group: usize, start: usize, parts: &mut [Part], blocks: &mut Vec<Block>) {
    let parts_of = &mut parts[start..];
    let least = parts_of.iter().map(|p| p.lift).min().unwrap_or(0);
    for part in parts_of.iter_mut() {
        part.lift -= least;
    }
    blocks.push(Block { group: group as u8, parts: start..parts.len() });
}
