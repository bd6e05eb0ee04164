//! The packed payload: three-class adaptive run lengths, signs and refinement as bits, forward and inverse side by side.
//!
//! A plane of a block is coded in four passes over all its parts: significance of class 2, refinement, significance of
//! class 1, of class 0. The insignificant coefficients of a class, in the order of parts and rows, are a string of
//! bits, most of them 0; state is fresh in every plane.

use crate::block::Part;
use crate::runs::{RunReader, RunWriter};
use crate::tile::{Classes, Rows, Tile, Tiles, add, is_active, low_bits, words, words_mut};
use pgf::bits::{BitMoves, CodeSink, bits_at};

/// The order of the significance passes; refinement comes behind the first.
pub(crate) const PASSES: [usize; 3] = [2, 1, 0];

/// Bytes that a plane of a block takes at most: 14 parts of 1024 coefficients of at most 15 bits, and slack.
const MOST_BYTES: usize = 14 * 1024 * 2 + 64;

/// Codes planes of blocks.
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    classes: Vec<Classes>,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { bytes: vec![0; MOST_BYTES], classes: Vec::new() }
    }

    /// Codes plane `p` of a block, and makes its ones significant. The result is the bytes and the number of bits.
    #[inline(always)]
    pub fn plane<B: BitMoves>(&mut self, moves: B, parts: &[Part], tiles: &mut Tiles, p: usize) -> (&[u8], usize) {
        let (tiles, classes) = tiles.classes(parts, p, &mut self.classes);
        let mut sink = CodeSink::new(&mut self.bytes, 0);
        write_significance::<2, B>(moves, parts, tiles, classes, p, &mut sink);
        for (part, tile) in active(parts, tiles, p) {
            let n = p - usize::from(part.lift);
            // Nothing is significant above the highest plane.
            if n >= tile.top {
                continue;
            }
            for (mask, bits) in words(tile.rows()).zip(words(&tile.planes[n])) {
                if mask == 0 {
                    continue;
                }
                let (bits, count) = (moves.compact(bits, mask), mask.count_ones());
                sink.push(bits & low_bits(count.min(MOST_PUSHED)), count.min(MOST_PUSHED));
                if count > MOST_PUSHED {
                    sink.push(bits >> MOST_PUSHED, count - MOST_PUSHED);
                }
            }
        }
        write_significance::<1, B>(moves, parts, tiles, classes, p, &mut sink);
        write_significance::<0, B>(moves, parts, tiles, classes, p, &mut sink);
        let bits = sink.position();
        for (part, tile) in active(parts, tiles, p) {
            tile.absorb(p - usize::from(part.lift));
        }
        (&self.bytes[..bits.div_ceil(8)], bits)
    }
}

/// Codes which coefficients of a class become significant in plane `p`.
#[inline(always)]
fn write_significance<const CLASS: usize, B: BitMoves>(
    moves: B,
    parts: &[Part],
    tiles: &[Tile],
    classes: &[Classes],
    p: usize,
    sink: &mut CodeSink<'_>,
) {
    let mut runs = RunWriter::<CLASS>::new(length(classes, CLASS));
    for ((part, tile), classes) in parts.iter().zip(tiles).zip(classes) {
        let length = classes.lengths[CLASS];
        if length == 0 {
            continue;
        }
        let n = p - usize::from(part.lift);
        if n >= tile.top {
            runs.zeros(length);
            continue;
        }
        let bits = words(&classes.rows[CLASS]).zip(words(&tile.planes[n])).zip(words(&tile.negative));
        for ((mask, bits), negative) in bits {
            let (hits, count) = (bits & mask, mask.count_ones());
            if hits == 0 {
                runs.zeros(count);
            } else {
                let (hits, negative) = (moves.compact(hits, mask), moves.compact(negative, mask));
                runs.word(hits, negative, count, sink);
            }
        }
    }
    runs.finish(sink);
}

/// Undoes [`write_significance`], reading from bit `at` on; how many coefficients are known, and what ended the reading.
#[inline(always)]
fn read_significance<const CLASS: usize, B: BitMoves>(
    moves: B,
    parts: &[Part],
    tiles: &mut [Tile],
    classes: &[Classes],
    p: usize,
    (payload, at, end): (&[u8], &mut usize, usize),
) -> (usize, Reading) {
    let mut runs = RunReader::<CLASS>::new(length(classes, CLASS), *at);
    runs.seek(payload, end);
    for ((part, tile), classes) in parts.iter().zip(tiles).zip(classes) {
        let length = classes.lengths[CLASS] as usize;
        if runs.gap >= length {
            runs.gap -= length;
            continue;
        }
        let n = p - usize::from(part.lift);
        let rows = words_mut(&mut tile.planes[n]).zip(words_mut(&mut tile.negative));
        for (mask, (plane, negative)) in words(&classes.rows[CLASS]).zip(rows) {
            let count = mask.count_ones() as usize;
            if runs.gap >= count {
                runs.gap -= count;
                continue;
            }
            let (mut hits, mut minus, mut from) = (0, 0, 0);
            while runs.gap < count - from {
                let place = from + runs.gap;
                hits |= 1 << place;
                minus |= u64::from(runs.negative) << place;
                from = place + 1;
                runs.seek(payload, end);
            }
            runs.gap -= count - from;
            add(plane, moves.expand(hits, mask));
            add(negative, moves.expand(minus, mask));
        }
    }
    *at = runs.position;
    (runs.at, runs.reading)
}

/// Bits that a [`CodeSink`] takes at once, and that can be read at once.
const MOST_PUSHED: u32 = 56;

/// Coefficients of a class in all parts.
#[inline(always)]
fn length(classes: &[Classes], class: usize) -> usize {
    classes.iter().map(|c| c.lengths[class] as usize).sum()
}

/// The parts with bits in plane `p`, with their tiles.
#[inline(always)]
fn active<'a>(parts: &'a [Part], tiles: &'a mut [Tile], p: usize) -> impl Iterator<Item = (&'a Part, &'a mut Tile)> {
    parts.iter().zip(tiles).filter(move |(part, _)| is_active(part, p))
}

/// What became of a plane that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All of it was there.
    Whole,
    /// The payload ended in it; what was there is used.
    Short,
    /// A code that no encoder writes.
    Wrong,
}

/// Reads plane `p` of a block from bit `at` on, of which there are `end`; `at` moves behind it.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn read_plane<B: BitMoves>(
    moves: B,
    parts: &[Part],
    tiles: &mut Tiles,
    p: usize,
    room: &mut Vec<Classes>,
    payload: &[u8],
    (at, end): (&mut usize, usize),
) -> Reading {
    let (tiles, classes) = tiles.classes(parts, p, room);
    for (part, tile) in active(parts, tiles, p) {
        let n = p - usize::from(part.lift);
        tile.reserve(n + 1);
        tile.planes[n] = [0; 32];
    }
    // What of the passes is known; the second is refinement.
    let mut known = [0; 4];
    let mut reading;
    (known[0], reading) = read_significance::<2, B>(moves, parts, tiles, classes, p, (payload, &mut *at, end));
    if reading != Reading::Whole {
        return stop(moves, parts, (tiles, classes), p, known, reading);
    }
    let mut short = false;
    for (part, tile) in active(parts, tiles, p) {
        let n = p - usize::from(part.lift);
        let (significant, plane) = (&tile.significant[1..33], &mut tile.planes[n]);
        let significant: &Rows = significant.try_into().expect("as many rows");
        for (mask, plane) in words(significant).zip(words_mut(plane)) {
            if mask == 0 {
                continue;
            }
            let count = mask.count_ones();
            let there = (end - *at).min(count as usize) as u32;
            let low = there.min(MOST_PUSHED);
            let mut bits = bits_at(payload, *at, low);
            if there > low {
                bits |= bits_at(payload, *at + low as usize, there - low) << low;
            }
            add(plane, moves.expand(bits, mask));
            *at += there as usize;
            known[1] += there as usize;
            short |= there < count;
        }
    }
    if short {
        return stop(moves, parts, (tiles, classes), p, known, Reading::Short);
    }
    (known[2], reading) = read_significance::<1, B>(moves, parts, tiles, classes, p, (payload, &mut *at, end));
    if reading != Reading::Whole {
        return stop(moves, parts, (tiles, classes), p, known, reading);
    }
    (known[3], reading) = read_significance::<0, B>(moves, parts, tiles, classes, p, (payload, &mut *at, end));
    if reading != Reading::Whole {
        return stop(moves, parts, (tiles, classes), p, known, reading);
    }
    for (part, tile) in active(parts, tiles, p) {
        let n = p - usize::from(part.lift);
        tile.top = tile.top.max(n + 1);
        tile.low = n;
        tile.partial = [0; 32];
        tile.absorb(n);
    }
    Reading::Whole
}

/// Keeps what a plane gave before it ended early: of the passes the first `known` coefficients.
#[cold]
fn stop<B: BitMoves>(
    moves: B,
    parts: &[Part],
    (tiles, classes): (&mut [Tile], &[Classes]),
    p: usize,
    mut known: [usize; 4],
    reading: Reading,
) -> Reading {
    for ((part, tile), classes) in parts.iter().zip(tiles).zip(classes).filter(|((part, _), _)| is_active(part, p)) {
        let n = p - usize::from(part.lift);
        tile.partial = [0; 32];
        let of = |class: usize| if classes.lengths[class] > 0 { &classes.rows[class] } else { &[0; 32] };
        let passes = [of(PASSES[0]), tile.rows(), of(PASSES[1]), of(PASSES[2])];
        let mut partial = [0; 32];
        for (known, rows) in known.iter_mut().zip(passes) {
            for (mask, out) in words(rows).zip(words_mut(&mut partial)) {
                let there = (*known).min(mask.count_ones() as usize);
                add(out, moves.expand(low_bits(there as u32), mask));
                *known -= there;
            }
        }
        tile.partial = partial;
        tile.top = tile.top.max(n + 1);
        tile.low = n + 1;
        tile.absorb(n);
    }
    reading
}
