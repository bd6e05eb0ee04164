//! The packed payload: three-class adaptive run lengths, signs and refinement as bits, forward and inverse side by side.
//!
//! A plane of a block is coded in four passes over all its parts: significance of class 2, refinement, significance of
//! class 1, of class 0. The insignificant coefficients of a class, in the order of parts and rows, are a string of
//! bits, most of them 0; state is fresh in every plane.

use crate::block::Part;
use crate::tile::{BitString, Classes, Tile, Tiles, add_pair, low_bits, pair, pairs};
use pgf::bits::{BitMoves, CodeSink, bits_at};

/// The run-length state of a class: where it starts and how far it moves, in quarters of a bit.
pub(crate) struct Rule {
    pub start: i32,
    pub up: i32,
    pub down: i32,
}

/// By class 0, 1, 2. Measured on photographs; a coordinate search around them gains 0.3 %.
pub(crate) const RULES: [Rule; 3] =
    [Rule { start: 12, up: 4, down: 4 }, Rule { start: 6, up: 2, down: 2 }, Rule { start: 4, up: 1, down: 2 }];
pub(crate) const HIGHEST: i32 = 48;

/// The order of the significance passes; refinement comes behind the first.
pub(crate) const PASSES: [usize; 3] = [2, 1, 0];

/// Bytes that a plane of a block takes at most: 14 parts of 1024 coefficients of at most 15 bits, and slack.
const MOST_BYTES: usize = 14 * 1024 * 2 + 64;

/// Codes planes of blocks.
pub(crate) struct Encoder {
    hits: BitString,
    negative: BitString,
    bytes: Vec<u8>,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { hits: BitString::new(), negative: BitString::new(), bytes: vec![0; MOST_BYTES] }
    }

    /// Codes plane `p` of a block, and makes its ones significant. The result is the bytes and the number of bits.
    #[inline(always)]
    pub fn plane<B: BitMoves>(&mut self, moves: B, parts: &[Part], tiles: &mut Tiles, p: usize) -> (&[u8], usize) {
        let (tiles, classes) = tiles.classes(parts, p);
        let mut sink = CodeSink::new(&mut self.bytes, 0);
        for class in PASSES {
            self.hits.clear();
            self.negative.clear();
            for ((part, tile), classes) in active(parts, tiles, p).zip_classes(classes) {
                let n = p - usize::from(part.lift);
                let some = n < tile.top;
                for i in 0..pairs(part) {
                    let mask = pair(&classes.0[class], i);
                    if mask == 0 {
                        continue;
                    }
                    let hits = if some { pair(&tile.planes[n], i) } else { 0 };
                    let count = mask.count_ones();
                    self.hits.push(moves.compact(hits, mask), count);
                    self.negative.push(moves.compact(pair(&tile.negative, i) & hits, mask), count);
                }
            }
            write_runs(&RULES[class], &self.hits, &self.negative, &mut sink);
            if class == PASSES[0] {
                for (part, tile) in active(parts, tiles, p).pairs() {
                    let n = p - usize::from(part.lift);
                    if n >= tile.top {
                        let ones: u32 = tile.rows().iter().map(|s| s.count_ones()).sum();
                        debug_assert_eq!(ones, 0, "nothing is significant above the highest plane");
                        continue;
                    }
                    for i in 0..pairs(part) {
                        let mask = pair(tile.rows(), i);
                        let (bits, count) = (moves.compact(pair(&tile.planes[n], i), mask), mask.count_ones());
                        // A code is at most 56 bits long.
                        sink.push(bits & low_bits(count.min(32)), count.min(32));
                        sink.push(bits >> count.min(32), count.saturating_sub(32));
                    }
                }
            }
        }
        let bits = sink.position();
        for (part, tile) in parts.iter().zip(tiles) {
            if p >= usize::from(part.lift) {
                tile.absorb(p - usize::from(part.lift));
            }
        }
        (&self.bytes[..bits.div_ceil(8)], bits)
    }
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

/// Reads planes of blocks.
pub(crate) struct Decoder {
    hits: BitString,
    negative: BitString,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { hits: BitString::new(), negative: BitString::new() }
    }

    /// Reads plane `p` of a block from bit `at` on, of which there are `end`; `at` moves behind it.
    #[inline(always)]
    pub fn plane<B: BitMoves>(
        &mut self,
        moves: B,
        parts: &[Part],
        tiles: &mut Tiles,
        p: usize,
        payload: &[u8],
        (at, end): (&mut usize, usize),
    ) -> Reading {
        let (tiles, classes) = tiles.classes(parts, p);
        for (part, tile) in active(parts, tiles, p).pairs() {
            let n = p - usize::from(part.lift);
            tile.reserve(n + 1);
            tile.planes[n] = [0; 32];
            tile.partial = [0; 32];
        }
        for class in PASSES {
            let len = active(parts, tiles, p)
                .zip_classes(classes)
                .map(|((part, _), c)| {
                    c.0[class][..usize::from(part.height)].iter().map(|m| m.count_ones()).sum::<u32>()
                })
                .sum::<u32>() as usize;
            self.hits.zeros(len);
            self.negative.zeros(len);
            let (known, reading) = read_runs(&RULES[class], &mut self.hits, &mut self.negative, payload, &mut *at, end);
            let mut from = 0;
            for ((part, tile), classes) in active(parts, tiles, p).zip_classes(classes) {
                let n = p - usize::from(part.lift);
                for i in 0..pairs(part) {
                    let mask = pair(&classes.0[class], i);
                    if mask == 0 {
                        continue;
                    }
                    let count = mask.count_ones();
                    let hits = self.hits.get(from, count);
                    if hits != 0 {
                        add_pair(&mut tile.planes[n], i, moves.expand(hits, mask));
                        add_pair(&mut tile.negative, i, moves.expand(self.negative.get(from, count), mask));
                    }
                    if known >= from + count as usize {
                        add_pair(&mut tile.partial, i, mask);
                    } else if known > from {
                        add_pair(&mut tile.partial, i, moves.expand(low_bits((known - from) as u32), mask));
                    }
                    from += count as usize;
                }
            }
            if reading != Reading::Whole {
                return stop(parts, tiles, p, reading);
            }
            if class == PASSES[0] {
                let mut short = false;
                for (part, tile) in active(parts, tiles, p).pairs() {
                    let n = p - usize::from(part.lift);
                    for i in 0..pairs(part) {
                        let mask = pair(tile.rows(), i);
                        if mask == 0 {
                            continue;
                        }
                        let count = mask.count_ones();
                        let there = (end - *at).min(count as usize) as u32;
                        let (low, high) = (there.min(32), there.saturating_sub(32));
                        let bits = bits_at(payload, *at, low) | bits_at(payload, *at + low as usize, high) << low;
                        add_pair(&mut tile.planes[n], i, moves.expand(bits, mask));
                        add_pair(&mut tile.partial, i, moves.expand(low_bits(there), mask));
                        *at += there as usize;
                        short |= there < count;
                    }
                }
                if short {
                    return stop(parts, tiles, p, Reading::Short);
                }
            }
        }
        for (part, tile) in parts.iter().zip(tiles) {
            if p >= usize::from(part.lift) && part.width > 0 && part.height > 0 {
                let n = p - usize::from(part.lift);
                tile.top = tile.top.max(n + 1);
                tile.low = n;
                tile.partial = [0; 32];
                tile.absorb(n);
            }
        }
        Reading::Whole
    }
}

/// Keeps what a plane gave before it ended early.
fn stop(parts: &[Part], tiles: &mut [Tile], p: usize, reading: Reading) -> Reading {
    for (part, tile) in active(parts, tiles, p).pairs() {
        let n = p - usize::from(part.lift);
        tile.top = tile.top.max(n + 1);
        tile.low = n + 1;
        tile.absorb(n);
    }
    reading
}

#[inline(always)]
pub(crate) fn width_of(m: usize) -> u32 {
    usize::BITS - (m - 1).leading_zeros()
}

/// Codes a string of hits: zeros in steps of 2^k, a hit as a one, the zeros before it and its sign.
#[inline(always)]
fn write_runs(rule: &Rule, hits: &BitString, negative: &BitString, sink: &mut CodeSink<'_>) {
    let len = hits.len();
    let (mut at, mut kp) = (0, rule.start);
    while at < len {
        let next = hits.next_one(at).unwrap_or(len);
        loop {
            let m = (1 << (kp >> 2)).min(len - at);
            if next - at >= m {
                sink.push(0, 1);
                at += m;
                kp = (kp + rule.up).min(HIGHEST);
                if at >= len {
                    return;
                }
                continue;
            }
            let width = width_of(m);
            let run = (next - at) as u64;
            let sign = negative.get(next, 1);
            sink.push(1 | run << 1 | sign << (width + 1), width + 2);
            at = next + 1;
            kp = (kp - rule.down).max(0);
            break;
        }
    }
}

/// Undoes [`write_runs`]; says how much of the string is known and what ended the reading.
#[inline(always)]
fn read_runs(
    rule: &Rule,
    hits: &mut BitString,
    negative: &mut BitString,
    payload: &[u8],
    position: &mut usize,
    end: usize,
) -> (usize, Reading) {
    let len = hits.len();
    let (mut at, mut kp) = (0, rule.start);
    while at < len {
        let m = (1 << (kp >> 2)).min(len - at);
        let width = width_of(m);
        let code = bits_at(payload, *position, width + 2);
        if code & 1 == 0 {
            if *position >= end {
                return (at, Reading::Short);
            }
            *position += 1;
            at += m;
            kp = (kp + rule.up).min(HIGHEST);
            continue;
        }
        if *position + width as usize + 2 > end {
            *position = end;
            return (at, Reading::Short);
        }
        let run = (code >> 1) as usize & ((1 << width) - 1);
        if run >= m {
            return (at, Reading::Wrong);
        }
        *position += width as usize + 2;
        at += run;
        hits.set(at);
        if code >> (width + 1) & 1 == 1 {
            negative.set(at);
        }
        at += 1;
        kp = (kp - rule.down).max(0);
    }
    (len, Reading::Whole)
}

/// The parts with bits in plane `p`, with their tiles.
struct Active<'a> {
    parts: &'a [Part],
    tiles: &'a mut [Tile],
    p: usize,
}

fn active<'a>(parts: &'a [Part], tiles: &'a mut [Tile], p: usize) -> Active<'a> {
    Active { parts, tiles, p }
}

impl<'a> Active<'a> {
    fn pairs(self) -> impl Iterator<Item = (&'a Part, &'a mut Tile)> {
        let p = self.p;
        self.parts.iter().zip(self.tiles).filter(move |(part, _)| part.width > 0 && p >= usize::from(part.lift))
    }

    fn zip_classes(self, classes: &'a [Classes]) -> impl Iterator<Item = ((&'a Part, &'a mut Tile), &'a Classes)> {
        let p = self.p;
        self.parts
            .iter()
            .zip(self.tiles)
            .zip(classes)
            .filter(move |((part, _), _)| part.width > 0 && p >= usize::from(part.lift))
    }
}
