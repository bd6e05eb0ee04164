//! Which planes of which blocks are coded: all, or those that a budget can have use for.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::{Order, StreamOptions};
use crate::block::{Geometry, Part};
use crate::coder::{PlaneCode, PlaneEncoder};
use crate::order::{PlaneWorth, weight, worth};
use crate::picture::{Payload, Picture};
use crate::pyramid::{Base, Pyramid};
use crate::threads::each;
use crate::tile::Tiles;

/// Everything of a picture that is coded, block by block.
pub(super) struct Coded {
    /// By block: number of planes, and those that are coded, the highest first.
    pub blocks: Vec<(usize, Vec<PlaneCode>, Vec<PlaneWorth>)>,
    /// The bytes of all codes.
    pub codes: Vec<u8>,
}

impl Coded {
    /// With the blocks that follow.
    fn and(mut self, next: Coded) -> Coded {
        let start = self.codes.len();
        self.codes.extend(next.codes);
        self.blocks.extend(next.blocks.into_iter().map(|(top, mut codes, worths)| {
            codes.iter_mut().for_each(|code| code.start += start);
            (top, codes, worths)
        }));
        self
    }
}

/// What is coded, and how it is cut.
pub(super) struct Source<'a> {
    pub picture: &'a Picture,
    pub geometry: &'a Geometry,
    pub pyramid: &'a Pyramid<'a>,
    pub bases: &'a [Base],
}

impl Source<'_> {
    fn weights(&self, block: usize, chroma: f64) -> Vec<f64> {
        self.geometry.parts_of(block).iter().map(|part| weight(&self.picture.header, part, chroma)).collect()
    }
}

/// Up to so many blocks are kept as they are loaded; of larger pictures they are loaded again.
const MOST_KEPT: usize = 256;

/// The blocks of a picture as planes.
pub(super) struct Loaded {
    /// The number of planes, by block.
    pub tops: Vec<usize>,
    /// The most bits of a magnitude.
    pub bits: usize,
    /// The planes, by block; of large pictures none.
    pub kept: Vec<Tiles>,
}

/// Blocks that a thread takes at a time.
const AT_A_TIME: usize = 32;

/// The blocks of a picture in parts for threads; with one thread all at once.
fn shares(geometry: &Geometry, threads: usize) -> impl Iterator<Item = Range<usize>> + Send {
    let count = geometry.blocks.len();
    let step = if threads < 2 { count.max(1) } else { AT_A_TIME };
    (0..count).step_by(step).map(move |start| start..count.min(start + step))
}

impl Loaded {
    pub fn new(geometry: &Geometry, pyramid: &Pyramid<'_>, bases: &[Base], threads: usize) -> Loaded {
        let keep = geometry.blocks.len() <= MOST_KEPT;
        let load = |tiles: &mut Tiles, share: Range<usize>| {
            let mut loaded = Loaded { tops: Vec::with_capacity(share.len()), bits: 0, kept: Vec::new() };
            for block in share {
                loaded.tops.push(pyramid.load(geometry, bases, block, tiles));
                let parts = geometry.parts_of(block).len();
                loaded.bits = tiles.tiles[..parts].iter().map(|t| t.top).fold(loaded.bits, usize::max);
                if keep {
                    loaded.kept.push(std::mem::take(tiles));
                }
            }
            loaded
        };
        let (all, _) = each(threads, shares(geometry, threads), Tiles::default, load);
        let join = |mut a: Loaded, b: Loaded| {
            a.tops.extend(b.tops);
            a.kept.extend(b.kept);
            Loaded { bits: a.bits.max(b.bits), ..a }
        };
        all.into_iter().reduce(join).unwrap_or(Loaded { tops: Vec::new(), bits: 0, kept: Vec::new() })
    }
}

/// Codes all planes of all blocks, or as many of the best as `max_bytes` can hold.
pub(super) fn code_planes(source: &Source<'_>, mut loaded: Loaded, options: &StreamOptions, opening: usize) -> Coded {
    let geometry = source.geometry;
    let budget = match options.max_bytes {
        Some(budget) if options.order == Order::Best && options.first.is_none() => {
            Some(budget.saturating_sub(opening) as f64)
        }
        _ => None,
    };
    let floors = match budget {
        Some(budget) if !loaded.kept.is_empty() => return code_steepest(source, loaded, options, budget),
        Some(budget) => floors(source, &loaded.tops, options, budget),
        None => vec![0; geometry.blocks.len()],
    };
    // The blocks of small pictures are there already, and not worth a thread.
    let threads = if loaded.kept.is_empty() { options.num_threads } else { 1 };
    let mut kept = Some(std::mem::take(&mut loaded.kept));
    let pieces = shares(geometry, threads).map(|share| (share, kept.take().unwrap_or_default()));
    let state = || (PlaneEncoder::new(source.picture.payload), Tiles::default());
    let code = |(encoder, room): &mut (PlaneEncoder, Tiles), (share, mut kept): (Range<usize>, Vec<Tiles>)| {
        let (mut blocks, mut all) = (Vec::with_capacity(share.len()), Vec::new());
        for block in share {
            let (top, floor) = (loaded.tops[block], floors[block]);
            let parts = geometry.parts_of(block);
            let (mut codes, mut worths) = (Vec::new(), Vec::new());
            if floor < top {
                let tiles = match kept.get_mut(block) {
                    Some(kept) => kept,
                    None => {
                        source.pyramid.load(geometry, source.bases, block, room);
                        &mut *room
                    }
                };
                let weights = source.weights(block, options.chroma);
                for p in (floor..top).rev() {
                    let (gain, _) = worth(parts, &weights, tiles, p);
                    let code = encoder.plane(parts, tiles, p, &mut all);
                    worths.push(PlaneWorth { gain, bits: code.bits });
                    codes.push(code);
                }
            }
            blocks.push((top, codes, worths));
        }
        Coded { blocks, codes: all }
    };
    let (all, _) = each(threads, pieces, state, code);
    all.into_iter().reduce(Coded::and).unwrap_or(Coded { blocks: Vec::new(), codes: Vec::new() })
}

/// How much of a budget is coded, beyond which nothing of the best order is used.
const REACH: f64 = 1.25;

/// Planes of up to so many bits, about, are coded beyond that.
const MOST_FILLING: f64 = 300.0;

/// Codes the steepest plane of all again and again, until a budget is full: of most planes nothing is ever computed.
fn code_steepest(source: &Source<'_>, mut loaded: Loaded, options: &StreamOptions, budget: f64) -> Coded {
    let geometry = source.geometry;
    let count = geometry.blocks.len();
    let weights: Vec<Vec<f64>> = (0..count).map(|block| source.weights(block, options.chroma)).collect();
    let mut encoder = PlaneEncoder::new(source.picture.payload);
    let mut blocks: Vec<_> = loaded.tops.iter().map(|top| (*top, Vec::new(), Vec::new())).collect();
    let mut codes = Vec::new();
    let mut queue: BinaryHeap<Candidate> = BinaryHeap::new();
    let expected = |tiles: &Tiles, block: usize, plane: usize, most: f64| {
        let (gain, bits) = worth(geometry.parts_of(block), &weights[block], tiles, plane);
        // A plane is worth no more than those above it, without which it cannot come.
        Candidate { slope: (gain / (bits + 8.0)).min(most), gain, bits, block, plane }
    };
    for (block, tiles) in loaded.kept.iter().enumerate() {
        if let Some(plane) = loaded.tops[block].checked_sub(1) {
            queue.push(expected(tiles, block, plane, f64::INFINITY));
        }
    }
    let mut sum = 0.0;
    // Segments take in planes that are less steep than the last that fits.
    let reach = budget * REACH + 200.0;
    while let Some(Candidate { slope, gain, bits, block, plane }) = queue.pop() {
        // Beyond that only what may fill a gap at the end.
        let full = sum > reach;
        if full && bits > MOST_FILLING {
            continue;
        }
        let tiles = &mut loaded.kept[block];
        let code = encoder.plane(geometry.parts_of(block), tiles, plane, &mut codes);
        sum += code.bits as f64 / 8.0 + 1.5;
        blocks[block].2.push(PlaneWorth { gain, bits: code.bits });
        blocks[block].1.push(code);
        if let Some(below) = plane.checked_sub(1).filter(|_| !full) {
            queue.push(expected(tiles, block, below, slope));
        }
    }
    Coded { blocks, codes }
}

/// The lowest plane of every block that a budget can have use for, by estimated slopes: all blocks are looked at once,
/// and none is kept.
fn floors(source: &Source<'_>, tops: &[usize], options: &StreamOptions, budget: f64) -> Vec<usize> {
    let geometry = source.geometry;
    // Slope and bytes by plane, the lowest first.
    let slopes = |tiles: &mut Tiles, share: Range<usize>| {
        let of_block = |block: usize| {
            let parts = geometry.parts_of(block);
            let top = source.pyramid.load(geometry, source.bases, block, tiles);
            let weights = source.weights(block, options.chroma);
            let mut below: Vec<(f64, f64)> = (0..top).rev().map(|p| slope(parts, &weights, tiles, p)).collect();
            below.reverse();
            below
        };
        share.map(of_block).collect::<Vec<_>>()
    };
    let threads = options.num_threads;
    let (ahead, _) = each(threads, shares(geometry, threads), Tiles::default, slopes);
    let mut ahead: Vec<_> = ahead.into_iter().flatten().collect();
    let first = |(block, below): (usize, &Vec<(f64, f64)>)| {
        let (slope, _) = below.last()?;
        Some(Candidate { slope: *slope, gain: 0.0, bits: 0.0, block, plane: below.len() - 1 })
    };
    let mut queue: BinaryHeap<Candidate> = ahead.iter().enumerate().filter_map(first).collect();
    let mut floors = tops.to_vec();
    let mut sum = 0.0;
    // A margin for what the estimate misses; tokens take half as much again.
    let reach = budget * if source.picture.payload == Payload::Tokens { 0.95 } else { 1.3 } + 200.0;
    while let Some(Candidate { slope: least, block, plane, .. }) = queue.pop() {
        floors[block] = plane;
        sum += ahead[block].pop().map_or(0.0, |(_, bytes)| bytes);
        if sum > reach {
            break;
        }
        if let Some((slope, _)) = ahead[block].last() {
            queue.push(Candidate { slope: slope.min(least), gain: 0.0, bits: 0.0, block, plane: plane - 1 });
        }
    }
    floors
}

/// What a byte of plane `p` gains and how many bytes it takes, about; its ones become significant.
fn slope(parts: &[Part], weights: &[f64], tiles: &mut Tiles, p: usize) -> (f64, f64) {
    let (gain, bits) = worth(parts, weights, tiles, p);
    for (part, tile) in parts.iter().zip(&mut tiles.tiles) {
        if crate::tile::is_active(part, p) {
            tile.absorb(p - usize::from(part.lift));
        }
    }
    (gain / (bits + 8.0), bits / 8.0 + 1.5)
}

/// The next plane of a block, in the order of slopes; of equal ones the first block's.
struct Candidate {
    slope: f64,
    gain: f64,
    bits: f64,
    block: usize,
    plane: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.slope.total_cmp(&other.slope).then(other.block.cmp(&self.block))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}
