//! What a stream lacks that would help it most, for programs that refine it.
//!
//! Nothing is known of what is missing but what the planes that are there say: how many coefficients of a block became
//! significant so far, and how far other blocks are. The gain of a plane is that of the order of segments with an
//! expected number of new significant coefficients.

use crate::block::{Geometry, Part, digits_for};
use crate::chain::{BlockReader, Fate};
use crate::note::Note;
use crate::opening::{PALETTE_CHUNK, USER_CHUNK, USER_DIGITS};
use crate::order::{power_of_four, weight};
use crate::picture::Picture;
use crate::reader::{Contents, read};
use crate::segment::{Address, DETAIL, code, unstuff, write_address};
use crate::tile::is_active;
use crate::{base, conceal};
use pgf::{Limits, Rect, Result};

/// A segment of one plane that would help.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The channel group.
    pub group: u8,
    /// The block in its group.
    pub index: usize,
    /// Coarsest and finest level of the block; 1 is the finest of all.
    pub levels: (u8, u8),
    /// The plane.
    pub plane: u8,
    /// Whether it begins the block; the plane is then a guess.
    pub first: bool,
    /// The pixels that it bears on, without the filters' reach.
    pub region: Rect,
    /// Expected fall of the squared error, summed over all samples.
    pub gain: f64,
    /// Expected bytes, marker and address included.
    pub bytes: usize,
    /// Marker and address.
    pub head: Vec<u8>,
}

/// Of the coefficients that are significant when a plane begins, about this share of new ones comes with it: an
/// estimate, not a fit.
const GROWTH: f64 = 0.7;
/// But no more than this share of those that are insignificant.
const MOST_NEW: f64 = 0.3;
/// In a block of which nothing is there, this share becomes significant in the first plane.
const FIRST_NEW: f64 = 0.004;

/// What is known of one part of a block.
#[derive(Debug, Clone, Copy)]
struct Known {
    significant: f64,
    open: f64,
    weight: f64,
}

/// What plane `p` is expected to gain, and its bits; moves what becomes significant.
fn expect(parts: &[Part], known: &mut [Known], p: usize, first: bool) -> (f64, f64) {
    let (mut gain, mut bits) = (0.0, 0.0);
    for (part, k) in parts.iter().zip(known).filter(|(part, _)| is_active(part, p)) {
        let n = p - usize::from(part.lift);
        let new = if first { FIRST_NEW * k.open } else { (GROWTH * k.significant).max(0.25).min(MOST_NEW * k.open) };
        gain += k.weight * power_of_four(n) * (2.25 * new + 0.25 * k.significant);
        if new > 0.0 {
            bits += new * (2.5 + 0.8 * (k.open / new).log2());
        }
        bits += k.significant + k.open / 64.0;
        k.significant += new;
        k.open -= new;
    }
    (gain, bits)
}

/// The segments that would help most, one plane each, the best first, in about `budget` bytes together; of one block in
/// the order in which they must come. The second result is how many bytes of the stream they can follow: a piece that the
/// end cuts is to be written again.
///
/// # Errors
/// As [`decode`](crate::decode).
pub fn wanted(data: &[u8], budget: usize, limits: &Limits) -> Result<(Vec<Suggestion>, usize)> {
    let (whole, _) = whole(&read(data, limits)?);
    let contents = read(&data[..whole], limits)?;
    let geometry = &contents.geometry;
    let header = &contents.picture.header;
    let mut reader = BlockReader::new(&contents, false);
    let mut states = Vec::with_capacity(geometry.blocks.len());
    let mut known = Vec::with_capacity(geometry.parts.len());
    for block in 0..geometry.blocks.len() {
        let state = reader.block(block);
        states.push(state);
        for (part, tile) in geometry.parts_of(block).iter().zip(&reader.tiles.tiles) {
            let area = f64::from(part.width) * f64::from(part.height);
            let significant = f64::from(tile.rows().iter().map(|r| r.count_ones()).sum::<u32>());
            known.push(Known { significant, open: area - significant, weight: weight(header, part, 1.0) });
        }
    }
    let front = front(&contents, geometry, &states.iter().map(|s| (s.top, s.low)).collect::<Vec<_>>());
    let head = 2 + usize::from(contents.picture.deep) + geometry.digits;
    // By block: slope, gain, bytes, plane; slopes fall in a block.
    let mut all: Vec<(f64, usize, u8, bool, f64, usize)> = Vec::new();
    for (block, state) in states.iter().enumerate() {
        let parts = geometry.parts_of(block);
        let known = &mut known[geometry.blocks[block].parts.clone()];
        let begun = state.low < state.top;
        let next = if begun { state.low } else { front[block] };
        let mut least = f64::INFINITY;
        for p in (0..next).rev() {
            let first = !begun && p + 1 == next;
            let (gain, bits) = expect(parts, known, p, first);
            let bytes = (bits / 8.0).ceil() as usize + head + 1;
            least = least.min(gain / bytes as f64);
            all.push((least, block, p as u8, first, gain, bytes));
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut sum = 0;
    let mut out = Vec::new();
    for (_, block, plane, first, gain, bytes) in all {
        if sum >= budget {
            break;
        }
        sum += bytes;
        let address = Address { block, plane, count: 1, first };
        let mut head = Vec::new();
        write_address(&contents.picture, geometry, &address, &mut head);
        let parts = geometry.parts_of(block);
        let level = |p: &Part| p.level;
        out.push(Suggestion {
            group: geometry.blocks[block].group,
            index: geometry.index(block),
            levels: (parts.iter().map(level).max().unwrap_or(0), parts.iter().map(level).min().unwrap_or(0)),
            plane,
            first,
            region: region_of(&contents, block),
            gain,
            bytes,
            head,
        });
    }
    Ok((out, whole))
}

/// For every block one more than the plane that is worth asking for first: where other blocks of its group and level
/// stand.
fn front(contents: &Contents<'_>, geometry: &Geometry, states: &[(usize, usize)]) -> Vec<usize> {
    // Planes of blocks have one weight in the picture; lifts count from the least weight of a block.
    let finest = |block: usize| geometry.parts_of(block).iter().map(|p| p.level).min().unwrap_or(0);
    let key = |block: usize| (geometry.blocks[block].group, finest(block));
    let mut lows: std::collections::HashMap<(u8, u8), Vec<usize>> = std::collections::HashMap::new();
    for (block, (top, low)) in states.iter().enumerate() {
        if low < top {
            lows.entry(key(block)).or_default().push(*low);
        }
    }
    for low in lows.values_mut() {
        low.sort_unstable();
    }
    let median = |lows: &[usize]| lows[lows.len() / 2];
    (0..states.len())
        .map(|block| {
            let (group, level) = key(block);
            // Its own level, else the nearest coarser one: a level down, a plane has half the weight.
            let found = (level..=geometry.levels)
                .find_map(|l| lows.get(&(group, l)).map(|lows| median(lows) + usize::from(l - level).min(2)))
                .or_else(|| (0..=geometry.levels).find_map(|l| lows.get(&(0, l)).map(|lows| median(lows))));
            let most = if contents.picture.deep { 31 } else { 16 };
            found.unwrap_or(4).clamp(1, most)
        })
        .collect()
}

fn region_of(contents: &Contents<'_>, block: usize) -> Rect {
    let mut region = Rect { left: u32::MAX, top: u32::MAX, right: 0, bottom: 0 };
    let parts = contents.geometry.parts_of(block);
    for area in parts.iter().filter_map(|p| conceal::footprint(&contents.picture.header, contents.geometry.levels, p)) {
        region.left = region.left.min(area.left);
        region.top = region.top.min(area.top);
        region.right = region.right.max(area.right);
        region.bottom = region.bottom.max(area.bottom);
    }
    region
}

/// Bytes of the stream that something may follow: all but a last piece that is cut, and half a marker. The second result is
/// what the piece was, if it was a segment of planes.
pub(crate) fn whole(contents: &Contents<'_>) -> (usize, Option<Address>) {
    if let Some(segment) = contents.segments.last().filter(|s| s.last) {
        let mut reader = BlockReader::new(contents, false);
        reader.block(segment.address.block);
        if reader.fates.last() == Some(&Fate::Cut) {
            return (segment.bytes.start, Some(segment.address));
        }
        return (segment.bytes.end, None);
    }
    let Some(piece) = contents.pieces.last() else { return (contents.data.len(), None) };
    let rest = &contents.data[piece.start + 2..piece.end];
    let holds = |at: usize, bytes: usize| {
        let mut content = Vec::new();
        unstuff(rest.get(at..).unwrap_or_default(), &mut content);
        content.len() >= bytes
    };
    let is_whole = match contents.data[piece.start + 1] {
        code::PICTURE => Picture::parse(rest).is_some_and(|(_, length)| length == rest.len()),
        code::CHECK => rest.len() == 5,
        code::FILE => Note::parse(&contents.picture, rest).is_some(),
        code if code < code::PALETTE => {
            let plane = usize::from(code - code::BASE);
            let chunks = contents.bases.get(plane).map_or(1, |values| values.len().div_ceil(base::CHUNK));
            let begun = contents.cut_chunks.iter().any(|chunk| chunk.bytes == *piece);
            rest.len() >= digits_for(chunks) && !begun
        }
        code::PALETTE => holds(1, 4 * PALETTE_CHUNK),
        // A short one is the last, or cut.
        code::USER => holds(USER_DIGITS, USER_CHUNK),
        // An address that is cut is no segment.
        code => code < DETAIL,
    };
    (if is_whole { piece.end } else { piece.start }, None)
}
