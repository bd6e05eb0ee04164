//! Coding of macroblocks.

use super::runs::{longest_runs, shortest_runs, write_event, write_runs};
use super::sign_runs::{sign_runs, sign_runs_length};
use super::{CODE_BYTES, MAX_LENGTH, MAX_WORDS, align, valid_word};
use crate::bits::{BitMoves, CodeSink, Portable, WordSink, copy_bits, set_bits};
use crate::planes::{BLOCK_VALUES, BLOCK_WORDS, BitPlanes, BitPlanesHandle, Coefficient, MAX_PLANES, Plane};

/// Bytes of the scratch area: 32 incompressible planes, one more run-length code, and room to store words of 8 bytes.
const SCRATCH_BYTES: usize = 4 * (513 + 516 * MAX_PLANES) + CODE_BYTES + 64;

/// Where one coefficient in so many becomes significant, events are written from lists, eight coefficients at a time.
const LISTED_DENSITY: usize = 6;

/// Codes macroblocks; keeps its buffers between them.
pub(crate) struct BlockEncoder {
    store: BitPlanes,
    significant: Plane,
    /// Planes of the macroblock at hand.
    planes: usize,
    /// Newly significant coefficients of each of its planes, and how many there are.
    new: Vec<Plane>,
    new_counts: [usize; MAX_PLANES],
    /// The plain significance and sign lists of the plane at hand.
    list: Vec<u8>,
    signs: Vec<u8>,
    code: Vec<u8>,
    /// The block's code words; beyond them what earlier attempts left, which libPGF's padding bits repeat.
    scratch: Vec<u8>,
    dirty: usize,
    skipped: Option<Skipped>,
    favor_speed: bool,
}

/// A run-length code of the lowest plane that was not written: its start, the coefficients of its lists, which are
/// still there, and the end of the macroblock.
struct Skipped {
    start: usize,
    open: usize,
    end: usize,
}

impl BlockEncoder {
    pub fn new(favor_speed: bool) -> Self {
        BlockEncoder {
            store: BitPlanes::new(),
            significant: [0; BLOCK_WORDS],
            planes: 0,
            new: Vec::new(),
            new_counts: [0; MAX_PLANES],
            list: vec![0; BLOCK_VALUES / 8 + 24],
            signs: vec![0; BLOCK_VALUES / 8 + 24],
            code: vec![0; CODE_BYTES],
            scratch: vec![0; SCRATCH_BYTES],
            dirty: 0,
            skipped: None,
            favor_speed,
        }
    }

    /// The code words of up to 16384 values, as bytes (a multiple of 4), or `None` if they are over 16384 words.
    pub fn encode<T: Coefficient>(&mut self, values: &[T]) -> Option<&[u8]> {
        assert!(!values.is_empty() && values.len() <= BLOCK_VALUES);
        let planes = (32 - T::magnitude_bits(values).leading_zeros()).max(1) as usize;
        T::to_planes(values, planes, &mut BitPlanesHandle(&mut self.store));
        self.encode_planes_of(values.len(), planes)
    }

    /// The planes that [`encode_planes_of`](Self::encode_planes_of) codes, to be filled in.
    pub fn store(&mut self) -> &mut BitPlanes {
        &mut self.store
    }

    /// As [`encode`](Self::encode) for `count` values that lie in the store's first `planes` planes.
    pub fn encode_planes_of(&mut self, count: usize, planes: usize) -> Option<&[u8]> {
        if let Some(skipped) = self.skipped.take()
            && 4 * count < self.dirty
        {
            // A smaller macroblock can show what it would have left.
            self.write_skipped(&skipped);
        }
        let stale = (4 * count).min(self.dirty);
        self.scratch[..stale].fill(0);
        if stale == self.dirty {
            self.dirty = 0;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(bmi2) = crate::bits::Bmi2::detect() {
            // SAFETY: `bmi2` proves that the processor has the features.
            let words = unsafe { self.encode_bmi2(bmi2, count, planes) };
            return self.finished(words);
        }
        let words = self.encode_planes(Portable, count, planes);
        self.finished(words)
    }

    /// Stores what a run-length code that was not written would have left behind its macroblock.
    #[cold]
    fn write_skipped(&mut self, skipped: &Skipped) {
        let Skipped { start, open, end } = *skipped;
        let mut sink = CodeSink::new(&mut self.code, (start & 7) as u32);
        write_runs(Portable, &self.list, &self.signs, open, &mut sink);
        let code_end = (start & !7) + sink.position();
        if code_end > end {
            copy_bits(&mut self.scratch, end, &self.code[(end >> 3) - (start >> 3)..], code_end - end);
        }
    }

    fn finished(&self, words: usize) -> Option<&[u8]> {
        (words <= MAX_WORDS).then(|| &self.scratch[..4 * words])
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi1,bmi2,lzcnt,popcnt")]
    fn encode_bmi2(&mut self, moves: crate::bits::Bmi2, count: usize, planes: usize) -> usize {
        self.encode_planes(moves, count, planes)
    }

    #[inline(always)]
    fn encode_planes<M: BitMoves>(&mut self, moves: M, count: usize, planes: usize) -> usize {
        let words = count.div_ceil(64);
        self.planes = planes;
        if self.new.len() < planes {
            self.new.resize(planes, [0; BLOCK_WORDS]);
        }
        self.significant[..words].fill(0);
        set_bits(&mut self.scratch, 0, 5, planes as u64 & 31);
        let mut insignificant = count;
        let mut position = 5;
        for p in (0..planes).rev() {
            let known = count - insignificant;
            let new = self.mark_new(p, count);
            let plain = align(insignificant) + align(new) + 30;
            let end_if_plain = position + 34 + plain + align(known);
            // Where form A is certainly longer, and nothing of it could show between or behind the plain lists, it is
            // left out. It could show behind the lengths of the first plane and behind form B; behind the last plane
            // it can only show in a later macroblock.
            let longest = position + 16 + longest_runs(insignificant);
            let dense = 8 * new > 3 * insignificant;
            let listed = dense || M::FAST && LISTED_DENSITY * new > insignificant;
            let hidden =
                position != 5 && (p == 0 || longest <= end_if_plain) && longest.max(end_if_plain) <= 32 * count;
            if listed {
                self.list_new(moves, p, count);
                self.list_signs(moves, p, count);
            }
            let plain_only = dense
                && hidden
                && shortest_runs(&self.list, insignificant) >= plain
                && !self.try_sign_runs(position, new);
            let mut refinement = None;
            if !plain_only {
                let code_end = self.run_length(moves, p, count, position, insignificant, listed);
                let start = position + 16;
                let length = code_end - start;
                // Whatever form is chosen, the run-length code is stored first: its tail can show in padding bits.
                let room = (8 * (SCRATCH_BYTES - 16)).saturating_sub(start);
                copy_bits(&mut self.scratch, start, &self.code[(start >> 3) - (position >> 3)..], length.min(room));
                self.dirty = self.dirty.max((code_end >> 3) + 1);
                if insignificant > 0 && length <= MAX_LENGTH && length < plain {
                    set_bits(&mut self.scratch, position, 16, 1 | (length as u64) << 1);
                    refinement = Some(align(code_end));
                } else if !listed {
                    self.list_new(moves, p, count);
                    self.list_signs(moves, p, count);
                }
            }
            let refinement = refinement.unwrap_or_else(|| {
                let sign_runs = !plain_only && self.try_sign_runs(position, new);
                self.plain_lists(p, count, position, insignificant, sign_runs)
            });
            let start = position + 16;
            position = self.refine(moves, p, count, refinement, known);
            if plain_only && longest > position {
                self.skipped = Some(Skipped { start, open: insignificant, end: position });
                self.dirty = self.dirty.max(longest / 8 + 1);
            }
            insignificant -= new;
        }
        self.dirty = self.dirty.max(position / 8);
        position / 32
    }

    /// Marks the newly significant coefficients of plane `p` and counts them.
    #[inline(always)]
    fn mark_new(&mut self, p: usize, count: usize) -> usize {
        let words = count.div_ceil(64);
        let mut new = 0;
        for w in 0..words {
            let hits = self.store.planes[p][w] & !self.significant[w] & valid_word(w, count);
            self.new[p][w] = hits;
            new += hits.count_ones() as usize;
        }
        self.new_counts[p] = new;
        new
    }

    /// Makes the significance list of plane `p`.
    #[inline(always)]
    fn list_new<M: BitMoves>(&mut self, moves: M, p: usize, count: usize) {
        let mut sink = WordSink::new(&mut self.list, 0);
        for w in 0..count.div_ceil(64) {
            let open = !self.significant[w] & valid_word(w, count);
            sink.push(moves.compact(self.new[p][w], open), open.count_ones());
        }
        sink.finish();
    }

    /// Writes form A's code of plane `p` to the code buffer and returns the bit position at which it will end.
    ///
    /// The code buffer's bit 0 is bit `position & !7` of the scratch area. `listed` says that the lists are there.
    #[inline(always)]
    fn run_length<M: BitMoves>(
        &mut self,
        moves: M,
        p: usize,
        count: usize,
        position: usize,
        open: usize,
        listed: bool,
    ) -> usize {
        let words = count.div_ceil(64);
        let new = &self.new[p][..words];
        let signs = &self.store.signs[..words];
        let significant = &self.significant[..words];
        let mut sink = CodeSink::new(&mut self.code, 0);
        sink.push(0, (position & 7) as u32 + 16);
        if listed && M::FAST {
            write_runs(moves, &self.list, &self.signs, open, &mut sink);
            return (position & !7) + sink.position();
        }
        let (mut k, mut run) = (3u32, 0u64);
        for w in 0..words {
            let open = !significant[w] & valid_word(w, count);
            let hits = new[w];
            if hits == 0 {
                run += u64::from(open.count_ones());
                continue;
            }
            let mut list = moves.compact(hits, open);
            let mut negative = moves.compact(signs[w], hits);
            // Positions are counted from the event before: a run that began in an earlier word enters as a
            // negative start.
            let mut after = run.wrapping_neg();
            while list != 0 {
                let at = u64::from(list.trailing_zeros());
                list &= list - 1;
                k = write_event(&mut sink, k, at.wrapping_sub(after), negative & 1);
                after = at + 1;
                negative >>= 1;
            }
            run = u64::from(open.count_ones()).wrapping_sub(after);
        }
        // The terminator: a one at the position behind the last coefficient, with a negative sign.
        write_event(&mut sink, k, run, 1);
        (position & !7) + sink.position()
    }

    /// Makes the sign list of the newly significant coefficients of plane `p`.
    #[inline(always)]
    fn list_signs<M: BitMoves>(&mut self, moves: M, p: usize, count: usize) {
        let mut sink = WordSink::new(&mut self.signs, 0);
        for w in 0..count.div_ceil(64) {
            let hits = self.new[p][w];
            sink.push(moves.compact(self.store.signs[w], hits), hits.count_ones());
        }
        sink.finish();
    }

    /// Whether form B is to be tried on the sign list of `new` coefficients.
    ///
    /// Behind the first plane, form C overwrites all of a form B that was tried, so that its length is enough.
    fn try_sign_runs(&self, position: usize, new: usize) -> bool {
        new > 0 && !self.favor_speed && (position == 5 || sign_runs_length(&self.signs, new) < new)
    }

    /// Writes the lists of plane `p` in form C, or in form B if that is to be tried and is shorter; returns where
    /// refinement bits start.
    fn plain_lists(
        &mut self,
        p: usize,
        count: usize,
        position: usize,
        insignificant: usize,
        try_sign_runs: bool,
    ) -> usize {
        let new = self.new_counts[p];
        set_bits(&mut self.scratch, position, 16, (insignificant as u64) << 1);
        let mut significance = None;
        if try_sign_runs {
            let start = position + 32;
            let mut sink = CodeSink::new(&mut self.code, (start & 7) as u32);
            sign_runs(&self.signs, new, &mut sink);
            let length = sink.position() - (start & 7);
            copy_bits(&mut self.scratch, start, &self.code, length);
            self.dirty = self.dirty.max((start + length) / 8 + 1);
            if length <= MAX_LENGTH && length < new {
                set_bits(&mut self.scratch, position + 16, 16, 1 | (length as u64) << 1);
                significance = Some(align(start + length));
            }
        }
        let significance = significance.unwrap_or_else(|| {
            set_bits(&mut self.scratch, position + 16, 16, (new as u64) << 1);
            self.stale_signs(p, count, new);
            let start = align(position + 32);
            let bytes = align(new) / 8;
            self.scratch[start / 8..start / 8 + bytes].copy_from_slice(&self.signs[..bytes]);
            start + 8 * bytes
        });
        let bytes = align(insignificant) / 8;
        self.scratch[significance / 8..significance / 8 + bytes].copy_from_slice(&self.list[..bytes]);
        significance + 8 * bytes
    }

    /// Fills the sign list's last 32-bit word as libPGF's sign array does, which keeps the entries of earlier planes
    /// behind those of the plane at hand (format section 16, step 3).
    #[cold]
    fn stale_signs(&mut self, p: usize, count: usize, new: usize) {
        let words = count.div_ceil(64);
        let mut known = new;
        let end = align(new);
        let list = &mut self.signs;
        // Bits behind the list are not defined yet.
        for entry in new..end {
            list[entry / 8] &= !(1 << (entry % 8));
        }
        for q in p + 1..self.planes {
            if known >= end {
                break;
            }
            if self.new_counts[q] <= known {
                continue;
            }
            let mut entry = 0;
            for w in 0..words {
                let mut hits = self.new[q][w];
                let behind = entry + hits.count_ones() as usize;
                if behind <= known {
                    entry = behind;
                    continue;
                }
                while hits != 0 && entry < end {
                    if entry >= known {
                        let sign = (self.store.signs[w] >> hits.trailing_zeros() & 1) as u8;
                        list[entry / 8] |= sign << (entry % 8);
                    }
                    entry += 1;
                    hits &= hits - 1;
                }
                if entry >= end {
                    break;
                }
            }
            known = known.max(entry);
        }
    }

    /// Writes the refinement bits of plane `p`, takes its newly significant coefficients in, and returns the
    /// position of the next plane.
    #[inline(always)]
    fn refine<M: BitMoves>(&mut self, moves: M, p: usize, count: usize, position: usize, known: usize) -> usize {
        let words = count.div_ceil(64);
        if known == 0 {
            self.significant[..words].copy_from_slice(&self.store.planes[p][..words]);
            return position;
        }
        let end = position / 8 + align(known) / 8;
        let behind: [u8; 16] = self.scratch[end..end + 16].try_into().expect("16 bytes");
        // The last word's unused bits are 0, and the eight-byte stores reach behind it.
        let mut sink = WordSink::new(&mut self.scratch, position / 8);
        let plane = &self.store.planes[p][..words];
        for (word, known) in plane.iter().zip(&mut self.significant[..words]) {
            sink.push(moves.compact(*word, *known), known.count_ones());
            *known |= word;
        }
        sink.finish();
        self.scratch[end..end + 16].copy_from_slice(&behind);
        8 * end
    }
}
