//! The token payload: one byte an event, no bit phase, no adaptive state, no FF; forward and inverse side by side.
//!
//! A plane of a block is a list of the coefficients that become significant, in the order of parts and rows, and the
//! refinement bits of those that were. A list is runs of insignificant coefficients, each ended by a sign; `REST` ends
//! it. Refinement bits follow, seven to a byte.

use crate::block::Part;
use crate::packed::Reading;
use crate::tile::{BitString, Rows, Tile, Tiles, add, columns, is_active, low_bits, words, words_mut};
use pgf::bits::BitMoves;

/// Runs below this many zeros end in a coefficient: the byte is `2 * run + sign`.
pub(crate) const LONGEST_RUN: usize = 88;
/// From here on two coefficients in a byte: `PAIRS + 4 * (PAIR_GAPS * run + gap) + 2 * sign + sign`, `run` zeros before
/// the first and `gap` zeros between. Where both forms are possible this one is used.
pub(crate) const PAIRS: u8 = 2 * LONGEST_RUN as u8;
/// Pairs come after runs below this.
pub(crate) const PAIR_RUNS: usize = 6;
/// And with gaps below this.
pub(crate) const PAIR_GAPS: usize = 3;
/// `LONGEST_RUN` zeros and no coefficient.
pub(crate) const ZEROS: u8 = PAIRS + 4 * (PAIR_RUNS * PAIR_GAPS) as u8;
/// All coefficients that are left stay insignificant: this or one of the next five. Which, is the check of what is before.
pub(crate) const REST: u8 = ZEROS + 1;
pub(crate) const RESTS: u8 = 0xFF - REST;
/// The last of them.
pub(crate) const MOST_REST: u8 = REST + RESTS - 1;
/// Refinement bits in a byte, the first at the low end.
pub(crate) const BITS_PER_BYTE: u32 = 7;

/// Codes planes of blocks.
pub(crate) struct Encoder {
    hits: BitString,
    negative: BitString,
    refinement: BitString,
}

/// Coefficients of a part that are not significant.
#[inline(always)]
fn free(part: &Part, tile: &Tile) -> Rows {
    let columns = columns(part);
    let mut free = [0; 32];
    for (out, s) in free.iter_mut().zip(tile.rows()).take(part.height.into()) {
        *out = !s & columns;
    }
    free
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { hits: BitString::new(), negative: BitString::new(), refinement: BitString::new() }
    }

    /// Appends plane `p` of a block, and makes its ones significant.
    #[inline(always)]
    pub fn plane<B: BitMoves>(&mut self, moves: B, parts: &[Part], tiles: &mut Tiles, p: usize, out: &mut Vec<u8>) {
        self.hits.clear();
        self.negative.clear();
        self.refinement.clear();
        for (part, tile) in parts.iter().zip(&mut tiles.tiles).filter(|(part, _)| is_active(part, p)) {
            let n = p - usize::from(part.lift);
            let free = free(part, tile);
            let plane = if n < tile.top { &tile.planes[n] } else { &[0; 32] };
            let bits = words(plane).zip(words(&tile.negative)).zip(words(tile.rows()));
            for (free, ((bits, negative), old)) in words(&free).zip(bits) {
                let hits = bits & free;
                let count = free.count_ones();
                self.hits.push(moves.compact(hits, free), count);
                self.negative.push(moves.compact(negative & hits, free), count);
                self.refinement.push(moves.compact(bits, old), old.count_ones());
            }
            tile.absorb(n);
        }
        let mut at = 0;
        while let Some(hit) = self.hits.next_one(at) {
            while hit - at >= LONGEST_RUN {
                out.push(ZEROS);
                at += LONGEST_RUN;
            }
            let (run, sign) = (hit - at, self.negative.get(hit, 1) as u8);
            at = hit + 1;
            if run < PAIR_RUNS
                && let Some(second) = self.hits.next_one(at).filter(|second| second - at < PAIR_GAPS)
            {
                let runs = (PAIR_GAPS * run + second - at) as u8;
                out.push(PAIRS + 4 * runs + 2 * sign + self.negative.get(second, 1) as u8);
                at = second + 1;
            } else {
                out.push(2 * run as u8 + sign);
            }
        }
        out.push(REST);
        let len = self.refinement.len();
        for at in (0..len).step_by(BITS_PER_BYTE as usize) {
            out.push(self.refinement.get(at, BITS_PER_BYTE.min((len - at) as u32)) as u8);
        }
    }
}

/// Reads planes of blocks.
pub(crate) struct Decoder {
    hits: BitString,
    negative: BitString,
    refinement: BitString,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { hits: BitString::new(), negative: BitString::new(), refinement: BitString::new() }
    }

    /// Notes a coefficient that becomes significant; the position behind it.
    #[inline(always)]
    fn found(&mut self, at: usize, sign: u8) -> usize {
        self.hits.set(at);
        if sign == 1 {
            self.negative.set(at);
        }
        at + 1
    }

    /// Reads plane `p` of a block from byte `at` on; `at` moves behind it.
    #[inline(always)]
    pub fn plane<B: BitMoves>(
        &mut self,
        moves: B,
        parts: &[Part],
        tiles: &mut Tiles,
        p: usize,
        payload: &[u8],
        at: &mut usize,
    ) -> Reading {
        let tiles = &mut tiles.tiles[..parts.len()];
        let (mut insignificant, mut significant) = (0, 0);
        for (part, tile) in parts.iter().zip(&mut *tiles).filter(|(part, _)| is_active(part, p)) {
            let ones: u32 = tile.rows().iter().map(|s| s.count_ones()).sum();
            significant += ones as usize;
            insignificant += usize::from(part.width) * usize::from(part.height) - ones as usize;
        }
        self.hits.zeros(insignificant);
        self.negative.zeros(insignificant);
        self.refinement.zeros(significant);
        let (mut known, mut reading) = (0, Reading::Whole);
        loop {
            let Some(&byte) = payload.get(*at) else {
                reading = Reading::Short;
                break;
            };
            *at += 1;
            match byte {
                REST..=MOST_REST => {
                    known = insignificant;
                    break;
                }
                ZEROS if insignificant - known > LONGEST_RUN => known += LONGEST_RUN,
                0..PAIRS if known + usize::from(byte / 2) < insignificant => {
                    known = self.found(known + usize::from(byte / 2), byte & 1);
                }
                PAIRS..ZEROS => {
                    let runs = usize::from((byte - PAIRS) / 4);
                    let first = known + runs / PAIR_GAPS;
                    let second = first + 1 + runs % PAIR_GAPS;
                    if second >= insignificant {
                        reading = Reading::Wrong;
                        break;
                    }
                    self.found(first, byte >> 1 & 1);
                    known = self.found(second, byte & 1);
                }
                _ => {
                    reading = Reading::Wrong;
                    break;
                }
            }
        }
        let mut refined = 0;
        while reading == Reading::Whole && refined < significant {
            match payload.get(*at) {
                Some(byte) if *byte < 0x80 => {
                    let count = (significant - refined).min(BITS_PER_BYTE as usize);
                    if u32::from(*byte) >> count != 0 {
                        reading = Reading::Wrong;
                        break;
                    }
                    for i in 0..count {
                        if byte >> i & 1 == 1 {
                            self.refinement.set(refined + i);
                        }
                    }
                    refined += count;
                    *at += 1;
                }
                Some(_) => reading = Reading::Wrong,
                None => reading = Reading::Short,
            }
        }
        let (mut hit, mut bit) = (0usize, 0usize);
        for (part, tile) in parts.iter().zip(tiles).filter(|(part, _)| is_active(part, p)) {
            let n = p - usize::from(part.lift);
            tile.reserve(n + 1);
            let free = free(part, tile);
            let mut plane = [0; 32];
            let mut partial = [0; 32];
            let significant: &Rows = tile.significant[1..33].try_into().expect("as many rows");
            let out = words_mut(&mut plane).zip(words_mut(&mut tile.negative)).zip(words_mut(&mut partial));
            for ((free, old), ((plane, negative), partial)) in words(&free).zip(words(significant)).zip(out) {
                let count = free.count_ones();
                add(plane, moves.expand(self.hits.get(hit, count), free));
                add(negative, moves.expand(self.negative.get(hit, count), free));
                add(partial, prefix(moves, known, hit, free));
                hit += count as usize;
                let count = old.count_ones();
                add(plane, moves.expand(self.refinement.get(bit, count), old));
                add(partial, prefix(moves, refined, bit, old));
                bit += count as usize;
            }
            tile.partial = partial;
            tile.planes[n] = plane;
            tile.top = tile.top.max(n + 1);
            tile.low = n + 1;
            if reading == Reading::Whole {
                tile.low = n;
                tile.partial = [0; 32];
            }
            tile.absorb(n);
        }
        reading
    }
}

/// Those ones of `mask`, counted from `from`, that come before `known`.
#[inline(always)]
fn prefix<B: BitMoves>(moves: B, known: usize, from: usize, mask: u64) -> u64 {
    moves.expand(low_bits(known.saturating_sub(from).min(64) as u32), mask)
}
