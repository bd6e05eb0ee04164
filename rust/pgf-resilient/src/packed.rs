//! The packed payload: three-class adaptive run lengths, signs and refinement as bits, forward and inverse side by side.
//!
//! A plane of a block is coded in four passes over all its parts: significance of class 2, refinement, significance of
//! class 1, of class 0. The insignificant coefficients of a class, in the order of parts and rows, are a string of
//! bits, most of them 0; state is fresh in every plane.

use crate::block::Part;
use crate::tile::{Classes, Rows, Tile, Tiles, add, is_active, low_bits, words, words_mut};
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
    bytes: Vec<u8>,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { bytes: vec![0; MOST_BYTES] }
    }

    /// Codes plane `p` of a block, and makes its ones significant. The result is the bytes and the number of bits.
    #[inline(always)]
    pub fn plane<B: BitMoves>(&mut self, moves: B, parts: &[Part], tiles: &mut Tiles, p: usize) -> (&[u8], usize) {
        let (tiles, classes) = tiles.classes(parts, p);
        let mut sink = CodeSink::new(&mut self.bytes, 0);
        for class in PASSES {
            let mut runs = RunWriter::new(class, length(classes, class));
            for ((part, tile), classes) in parts.iter().zip(&*tiles).zip(classes) {
                let length = classes.lengths[class];
                if length == 0 {
                    continue;
                }
                let n = p - usize::from(part.lift);
                if n >= tile.top {
                    runs.zeros(length);
                    continue;
                }
                let bits = words(&classes.rows[class]).zip(words(&tile.planes[n])).zip(words(&tile.negative));
                for ((mask, bits), negative) in bits {
                    let (hits, count) = (bits & mask, mask.count_ones());
                    if hits == 0 {
                        runs.zeros(count);
                    } else {
                        let (hits, negative) = (moves.compact(hits, mask), moves.compact(negative, mask));
                        runs.word(hits, negative, count, &mut sink);
                    }
                }
            }
            runs.finish(&mut sink);
            if class == PASSES[0] {
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
            }
        }
        let bits = sink.position();
        for (part, tile) in active(parts, tiles, p) {
            tile.absorb(p - usize::from(part.lift));
        }
        (&self.bytes[..bits.div_ceil(8)], bits)
    }
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
pub(crate) fn read_plane<B: BitMoves>(
    moves: B,
    parts: &[Part],
    tiles: &mut Tiles,
    p: usize,
    payload: &[u8],
    (at, end): (&mut usize, usize),
) -> Reading {
    let (tiles, classes) = tiles.classes(parts, p);
    for (part, tile) in active(parts, tiles, p) {
        let n = p - usize::from(part.lift);
        tile.reserve(n + 1);
        tile.planes[n] = [0; 32];
    }
    // What of the passes is known; the second is refinement.
    let mut known = [0; 4];
    for (pass, class) in [(0, PASSES[0]), (2, PASSES[1]), (3, PASSES[2])] {
        let mut runs = RunReader::new(class, length(classes, class), *at);
        runs.seek(payload, end);
        for ((part, tile), classes) in parts.iter().zip(&mut *tiles).zip(classes) {
            let length = classes.lengths[class] as usize;
            if runs.gap >= length {
                runs.gap -= length;
                continue;
            }
            let n = p - usize::from(part.lift);
            let rows = words_mut(&mut tile.planes[n]).zip(words_mut(&mut tile.negative));
            for (mask, (plane, negative)) in words(&classes.rows[class]).zip(rows) {
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
        known[pass] = runs.at;
        if runs.reading != Reading::Whole {
            return stop(moves, parts, (tiles, classes), p, known, runs.reading);
        }
        if pass == 0 {
            let mut short = false;
            for (part, tile) in active(parts, tiles, p) {
                let n = p - usize::from(part.lift);
                let (significant, planes) = (&tile.significant[1..33], &mut tile.planes[n]);
                let significant: &Rows = significant.try_into().expect("as many rows");
                for (mask, plane) in words(significant).zip(words_mut(planes)) {
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
        }
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

#[inline(always)]
pub(crate) fn width_of(m: usize) -> u32 {
    usize::BITS - (m - 1).leading_zeros()
}

/// Codes the string of a class: zeros in steps of 2^k, a one as the zeros before it and its sign.
struct RunWriter {
    class: usize,
    /// The state, in quarters of a bit.
    state: i32,
    /// Positions that are not coded yet.
    left: usize,
    /// Zeros among them that are known.
    zeros: usize,
}

impl RunWriter {
    #[inline(always)]
    fn new(class: usize, length: usize) -> RunWriter {
        RunWriter { class, state: RULES[class].start, left: length, zeros: 0 }
    }

    #[inline(always)]
    fn zeros(&mut self, count: u32) {
        self.zeros += count as usize;
    }

    /// Takes `count` positions, not all of them zeros.
    #[inline(always)]
    fn word(&mut self, mut hits: u64, negative: u64, count: u32, sink: &mut CodeSink<'_>) {
        let mut from = 0;
        while hits != 0 {
            let place = hits.trailing_zeros();
            hits &= hits - 1;
            self.zeros += (place - from) as usize;
            from = place + 1;
            let mut m = 1 << (self.state >> 2);
            while self.zeros >= m {
                sink.push(0, 1);
                self.zeros -= m;
                self.left -= m;
                self.state = (self.state + RULES[self.class].up).min(HIGHEST);
                m = 1 << (self.state >> 2);
            }
            let width = width_of(m.min(self.left));
            sink.push(1 | (self.zeros as u64) << 1 | (negative >> place & 1) << (width + 1), width + 2);
            self.left -= self.zeros + 1;
            self.zeros = 0;
            self.state = (self.state - RULES[self.class].down).max(0);
        }
        self.zeros += (count - from) as usize;
    }

    /// Codes the zeros behind the last one.
    #[inline(always)]
    fn finish(mut self, sink: &mut CodeSink<'_>) {
        while self.left > 0 {
            sink.push(0, 1);
            self.left = self.left.saturating_sub(1 << (self.state >> 2));
            self.state = (self.state + RULES[self.class].up).min(HIGHEST);
        }
    }
}

/// Undoes [`RunWriter`].
struct RunReader {
    class: usize,
    state: i32,
    /// Positions of the string.
    length: usize,
    /// Positions that are known.
    at: usize,
    /// Zeros before the next one, from where the caller is; more than there are positions if none comes.
    gap: usize,
    /// The sign of the next one.
    negative: bool,
    /// The next bit of the payload.
    position: usize,
    reading: Reading,
}

impl RunReader {
    #[inline(always)]
    fn new(class: usize, length: usize, position: usize) -> RunReader {
        let state = RULES[class].start;
        RunReader { class, state, length, at: 0, gap: 0, negative: false, position, reading: Reading::Whole }
    }

    /// Looks for the next one behind the last: how many zeros come first. Once nothing more can be read there is none.
    #[inline(always)]
    fn seek(&mut self, payload: &[u8], end: usize) {
        let from = self.at;
        self.gap = usize::MAX;
        while self.at < self.length && self.reading == Reading::Whole {
            let m = (1 << (self.state >> 2)).min(self.length - self.at);
            let width = width_of(m);
            let code = bits_at(payload, self.position, width + 2);
            if code & 1 == 0 {
                if self.position >= end {
                    self.reading = Reading::Short;
                    return;
                }
                self.position += 1;
                self.at += m;
                self.state = (self.state + RULES[self.class].up).min(HIGHEST);
                continue;
            }
            if self.position + width as usize + 2 > end {
                self.position = end;
                self.reading = Reading::Short;
                return;
            }
            let run = (code >> 1) as usize & ((1 << width) - 1);
            if run >= m {
                self.reading = Reading::Wrong;
                return;
            }
            self.position += width as usize + 2;
            self.gap = self.at + run - from;
            self.negative = code >> (width + 1) & 1 == 1;
            self.at += run + 1;
            self.state = (self.state - RULES[self.class].down).max(0);
            return;
        }
    }
}
