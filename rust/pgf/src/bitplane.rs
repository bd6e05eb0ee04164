//! The bit-plane coder of one macroblock (format section 12), 64 coefficients at a time.
//!
//! A plane's bits fall in two lists: those of coefficients that are still zero (significance) and those of the
//! others (refinement). Both lists are made and read by compaction and expansion under the significance mask. The
//! run-length code of the significance list is closed over whole runs: with `v = run + 2^k`, the code is
//! `log2 v - k` zero bits, a one, and the bits of `v` below its top bit, after which `k = log2 v - 1`.

use crate::bits::{BitMoves, CodeSink, Portable, WordSink, bits_at, copy_bits, load, set_bits, word_at};
use crate::planes::{BLOCK_VALUES, BLOCK_WORDS, BitPlanes, BitPlanesHandle, Coefficient, MAX_PLANES, Plane};

/// Most 32-bit code words of a macroblock that a reader accepts (format section 11.1).
pub(crate) const MAX_WORDS: usize = 16384;
/// Longest list or code that its 15-bit length field can state.
const MAX_LENGTH: usize = 32767;
/// Bytes of the scratch area: 32 incompressible planes, one more run-length code, and room to store words of 8 bytes.
const SCRATCH_BYTES: usize = 4 * (513 + 516 * MAX_PLANES) + CODE_BYTES + 64;
/// Bytes that a run-length code can take: with N coefficients each of the at most N events pays 1 or 2 bits plus k
/// count bits, and all k together cannot exceed 3 plus the number of events that raised k; so 4 N + 8 bits.
const CODE_BYTES: usize = BLOCK_VALUES / 2 + 64;

#[inline(always)]
fn align(position: usize) -> usize {
    (position + 31) & !31
}

/// Ones at the coefficients that exist, of a macroblock of `count` values.
#[inline(always)]
fn valid_word(w: usize, count: usize) -> u64 {
    let left = count - 64 * w;
    if left >= 64 { u64::MAX } else { (1 << left) - 1 }
}

/// Which of the three codes of a plane's significance list was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Run-length coded significance and signs.
    A,
    /// Plain significance, run-length coded signs.
    B,
    /// Plain significance, plain signs.
    C,
}

/// Codes macroblocks; keeps its buffers between them.
pub(crate) struct BlockEncoder {
    store: BitPlanes,
    significant: Plane,
    /// Newly significant coefficients of each plane, for the sign list's leftovers.
    new_counts: [usize; MAX_PLANES],
    code: Vec<u8>,
    /// The block's code words; beyond them what earlier attempts left, which libPGF's padding bits repeat.
    scratch: Vec<u8>,
    dirty: usize,
    favor_speed: bool,
}

impl BlockEncoder {
    pub fn new(favor_speed: bool) -> Self {
        BlockEncoder {
            store: BitPlanes::new(),
            significant: [0; BLOCK_WORDS],
            new_counts: [0; MAX_PLANES],
            code: vec![0; CODE_BYTES],
            scratch: vec![0; SCRATCH_BYTES],
            dirty: 0,
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
        self.significant[..words].fill(0);
        set_bits(&mut self.scratch, 0, 5, planes as u64 & 31);
        let mut insignificant = count;
        let mut position = 5;
        for p in (0..planes).rev() {
            let (code_end, new) = self.run_length(moves, p, count, position);
            self.new_counts[p] = new;
            let start = position + 16;
            let length = code_end - start;
            // Whatever form is chosen, the run-length code is stored first: its tail can show in padding bits.
            let room = (8 * (SCRATCH_BYTES - 16)).saturating_sub(start);
            copy_bits(&mut self.scratch, start, &self.code[(start >> 3) - (position >> 3)..], length.min(room));
            self.dirty = self.dirty.max((code_end >> 3) + 1);
            let plain = align(insignificant) + align(new) + 30;
            let refinement = if insignificant > 0 && length <= MAX_LENGTH && length < plain {
                set_bits(&mut self.scratch, position, 16, 1 | (length as u64) << 1);
                align(code_end)
            } else {
                self.plain_lists(moves, p, count, position, insignificant, new)
            };
            position = self.refine(moves, p, count, refinement, count - insignificant);
            insignificant -= new;
        }
        self.dirty = self.dirty.max(position / 8);
        position / 32
    }

    /// Writes form A's code of plane `p` to the code buffer and returns the bit position at which it will end and
    /// the number of newly significant coefficients.
    ///
    /// The code buffer's bit 0 is bit `position & !7` of the scratch area.
    #[inline(always)]
    fn run_length<M: BitMoves>(&mut self, moves: M, p: usize, count: usize, position: usize) -> (usize, usize) {
        let words = count.div_ceil(64);
        let plane = &self.store.planes[p][..words];
        let signs = &self.store.signs[..words];
        let significant = &self.significant[..words];
        let mut sink = CodeSink::new(&mut self.code, 0);
        sink.push(0, (position & 7) as u32 + 16);
        let (mut k, mut run, mut new) = (3u32, 0u64, 0usize);
        for w in 0..words {
            let open = !significant[w] & valid_word(w, count);
            let hits = plane[w] & open;
            if hits == 0 {
                run += u64::from(open.count_ones());
                continue;
            }
            new += hits.count_ones() as usize;
            let mut list = moves.compact(plane[w], open);
            let mut negative = moves.compact(signs[w], hits);
            // Positions are counted from the event before: a run that began in an earlier word enters as a
            // negative start.
            let mut after = run.wrapping_neg();
            while list != 0 {
                let at = u64::from(list.trailing_zeros());
                list &= list - 1;
                let v = at.wrapping_sub(after) + (1 << k);
                after = at + 1;
                let log = 63 - v.leading_zeros();
                let zeros = log - k;
                sink.push(((v ^ 1 << log) << 1 | 1) << zeros | (negative & 1) << (zeros + 1 + log), zeros + log + 2);
                negative >>= 1;
                k = log.saturating_sub(1);
            }
            run = u64::from(open.count_ones()).wrapping_sub(after);
        }
        // The terminator: a one at the position behind the last coefficient, with a negative sign.
        let v = run + (1 << k);
        let log = 63 - v.leading_zeros();
        let zeros = log - k;
        sink.push(((v ^ 1 << log) << 1 | 1) << zeros | 1 << (zeros + 1 + log), zeros + log + 2);
        ((position & !7) + sink.position(), new)
    }

    /// Writes form B or C of plane `p` and returns where refinement bits start.
    #[inline(always)]
    fn plain_lists<M: BitMoves>(
        &mut self,
        moves: M,
        p: usize,
        count: usize,
        position: usize,
        insignificant: usize,
        new: usize,
    ) -> usize {
        let words = count.div_ceil(64);
        set_bits(&mut self.scratch, position, 16, (insignificant as u64) << 1);
        let mut list = [0u8; BLOCK_VALUES / 8 + 24];
        let mut sink = WordSink::new(&mut list, 0);
        for w in 0..words {
            let hits = self.store.planes[p][w] & !self.significant[w] & valid_word(w, count);
            sink.push(moves.compact(self.store.signs[w], hits), hits.count_ones());
        }
        sink.finish();
        let mut significance = None;
        // Behind the first plane, form C overwrites all of a form B that was tried, so that its length is enough.
        let tried = new > 0 && !self.favor_speed;
        if tried && (position == 5 || sign_runs_length(&list, new) < new) {
            let start = position + 32;
            let mut sink = CodeSink::new(&mut self.code, (start & 7) as u32);
            sign_runs(&list, new, &mut sink);
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
            self.stale_signs(p, count, new, &mut list);
            let start = align(position + 32);
            let bytes = align(new) / 8;
            self.scratch[start / 8..start / 8 + bytes].copy_from_slice(&list[..bytes]);
            start + 8 * bytes
        });
        let mut sink = WordSink::new(&mut list, 0);
        for w in 0..words {
            let open = !self.significant[w] & valid_word(w, count);
            sink.push(moves.compact(self.store.planes[p][w], open), open.count_ones());
        }
        sink.finish();
        let bytes = align(insignificant) / 8;
        self.scratch[significance / 8..significance / 8 + bytes].copy_from_slice(&list[..bytes]);
        significance + 8 * bytes
    }

    /// Fills the sign list's last 32-bit word as libPGF's sign array does, which keeps the entries of earlier planes
    /// behind those of the plane at hand (format section 16, step 3).
    #[cold]
    fn stale_signs(&self, p: usize, count: usize, new: usize, list: &mut [u8]) {
        let words = count.div_ceil(64);
        let mut known = new;
        let end = align(new);
        // Bits behind the list are not defined yet.
        for entry in new..end {
            list[entry / 8] &= !(1 << (entry % 8));
        }
        for q in p + 1..MAX_PLANES {
            if known >= end || q >= self.store.planes.len() {
                break;
            }
            if self.new_counts[q] <= known || q >= self.used_planes() {
                continue;
            }
            let mut entry = 0;
            for w in 0..words {
                let above = self.store.planes[q + 1..self.used_planes()].iter().fold(0, |or, plane| or | plane[w]);
                let mut hits = self.store.planes[q][w] & !above;
                while hits != 0 && entry < end {
                    if entry >= known {
                        let sign = (self.store.signs[w] >> hits.trailing_zeros() & 1) as u8;
                        list[entry / 8] |= sign << (entry % 8);
                    }
                    entry += 1;
                    hits &= hits - 1;
                }
            }
            known = known.max(entry);
        }
    }

    /// Planes of the macroblock at hand, as its first five bits say.
    fn used_planes(&self) -> usize {
        match self.scratch[0] & 31 {
            0 => MAX_PLANES,
            planes => usize::from(planes),
        }
    }

    /// Writes the refinement bits of plane `p`, takes its newly significant coefficients in, and returns the
    /// position of the next plane.
    #[inline(always)]
    fn refine<M: BitMoves>(&mut self, moves: M, p: usize, count: usize, position: usize, known: usize) -> usize {
        let words = count.div_ceil(64);
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

/// States of the sign run coder with `k` below this number: `2^k - 1` plus the ones of the run so far.
const SIGN_RUN_LEVELS: u32 = 5;
const SIGN_RUN_STATES: usize = (1 << SIGN_RUN_LEVELS) - 1;

/// For each state and each four signs: the state behind them and the bits that they cost. The last state stands for
/// `k` beyond the table.
static SIGN_RUN_STEPS: [[(u8, u8); 16]; SIGN_RUN_STATES] = sign_run_steps();

const fn sign_run_steps() -> [[(u8, u8); 16]; SIGN_RUN_STATES] {
    let mut steps = [[(0, 0); 16]; SIGN_RUN_STATES];
    let mut state = 0;
    while state < SIGN_RUN_STATES {
        let mut signs = 0;
        while signs < 16 {
            let mut k = (state + 1).ilog2();
            let mut ones = state + 1 - (1 << k);
            let (mut cost, mut i, mut beyond) = (0, 0, false);
            while i < 4 {
                if signs >> i & 1 == 1 {
                    ones += 1;
                    if ones == 1 << k {
                        cost += 1;
                        k += 1;
                        ones = 0;
                        beyond |= k >= SIGN_RUN_LEVELS;
                    }
                } else {
                    cost += 1 + k;
                    k = k.saturating_sub(1);
                    ones = 0;
                }
                i += 1;
            }
            let next = if beyond { u8::MAX } else { ((1 << k) - 1 + ones) as u8 };
            steps[state][signs] = (next, cost as u8);
            signs += 1;
        }
        state += 1;
    }
    steps
}

/// The length of form B's code for `count` sign bits; 0 where only writing it tells.
fn sign_runs_length(list: &[u8], count: usize) -> usize {
    let (mut state, mut length) = (0usize, 0usize);
    for byte in &list[..count / 8] {
        for signs in [byte & 15, byte >> 4] {
            let (next, cost) = SIGN_RUN_STEPS[state][usize::from(signs)];
            length += usize::from(cost);
            if next == u8::MAX {
                // Long runs of negative signs: this code may well be the shortest.
                return 0;
            }
            state = usize::from(next);
        }
    }
    let mut k = (state + 1).ilog2();
    let mut ones = state + 1 - (1 << k);
    for at in count / 8 * 8..count {
        if list[at / 8] >> (at % 8) & 1 == 1 {
            ones += 1;
            if ones == 1 << k {
                length += 1;
                k += 1;
                ones = 0;
            }
        } else {
            length += 1 + k as usize;
            k = k.saturating_sub(1);
            ones = 0;
        }
    }
    // A run that the list's end cuts is coded like one that a zero ends.
    length + if ones > 0 { 1 + k as usize } else { 0 }
}

/// Form B: runs of ones (negative signs) in `count` sign bits (format section 12.4).
fn sign_runs(list: &[u8], count: usize, sink: &mut CodeSink<'_>) {
    let (mut at, mut k) = (0, 0u32);
    while at < count {
        let longest = (1usize << k).min(count - at);
        let mut ones = 0;
        while ones < longest {
            let more = (word_at(list, at + ones).trailing_ones() as usize).min(longest - ones);
            ones += more;
            if more < 64 {
                break;
            }
        }
        if ones == 1 << k {
            sink.push(1, 1);
            k += 1;
            at += ones;
        } else {
            sink.push((ones as u64) << 1, k + 1);
            k = k.saturating_sub(1);
            at += ones + 1;
        }
    }
}

/// How far a macroblock's code carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every plane was there and ended where the macroblock ends.
    Whole,
    /// Every plane was there; spare words follow, which is legal but never written by libPGF.
    Spare,
    /// The bytes ended inside a plane; what had arrived of it is used.
    Cut,
    /// A plane contradicts itself.
    Broken,
}

/// How much of what writers always do is asked of a macroblock (format section 14.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks {
    /// What libPGF 7 and this codec write.
    Exact,
    /// Encoders of version 6 wrote the terminator of a run-length code with either sign, or not all of it.
    Older,
    /// Nothing: spare bits between the fields of a plane are legal (format section 14.5).
    None,
}

/// The end of a run-length code.
struct RunEnd {
    /// Behind the code that reached or passed the last coefficient.
    at: usize,
    /// Behind the code of the last newly significant coefficient.
    last_hit: usize,
    /// The terminator stood where it belongs, with its sign.
    closed: bool,
}

impl RunEnd {
    fn agrees(&self, end: usize, checks: Checks) -> bool {
        match checks {
            Checks::Exact => self.closed && self.at == end,
            Checks::Older => self.last_hit <= end && self.at >= end,
            Checks::None => true,
        }
    }
}

/// What decoding a macroblock found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockOutcome {
    /// Bit planes that the macroblock announces.
    pub planes: usize,
    /// The lowest plane of which anything is known; equal to `planes` if nothing is.
    pub lowest: usize,
    pub ending: Ending,
    /// Code words used by the planes that were decoded whole.
    pub words: usize,
}

/// Bit planes that a macroblock announces in its first byte.
pub(crate) fn announced_planes(first_byte: u8) -> usize {
    match first_byte & 31 {
        0 => MAX_PLANES,
        planes => usize::from(planes),
    }
}

/// Where the lists of one plane lie, as bit positions in the code.
struct PlaneFields {
    form: Form,
    /// Form A, B: start and stated length of the run-length code. Form C: of the plain signs.
    code: usize,
    code_length: usize,
    /// Form B, C: start and stated length of the plain significance bits.
    significance: usize,
    stated: usize,
    refinement: usize,
}

impl PlaneFields {
    fn read(code: &[u8], position: usize) -> PlaneFields {
        let length = bits_at(code, position + 1, 15) as usize;
        if bits_at(code, position, 1) == 1 {
            let start = position + 16;
            let refinement = align(start + length);
            return PlaneFields {
                form: Form::A,
                code: start,
                code_length: length,
                significance: 0,
                stated: 0,
                refinement,
            };
        }
        let runs = bits_at(code, position + 16, 1) == 1;
        let code_length = bits_at(code, position + 17, 15) as usize;
        let (form, start) = if runs { (Form::B, position + 32) } else { (Form::C, align(position + 32)) };
        let significance = align(start + code_length);
        PlaneFields {
            form,
            code: start,
            code_length,
            significance,
            stated: length,
            refinement: align(significance + length),
        }
    }
}

/// One macroblock to decode.
#[derive(Clone, Copy)]
struct Job<'a> {
    code: &'a [u8],
    /// More words belong to the macroblock than are there.
    cut: bool,
    checks: Checks,
    /// Stop at the first plane that fails the checks.
    examine: bool,
    /// Coefficients.
    count: usize,
    /// Bit planes.
    planes: usize,
}

/// Decodes macroblocks; keeps its buffers between them.
pub(crate) struct BlockDecoder {
    store: BitPlanes,
    significant: Plane,
    /// Form A: the significance list. One word more than the list, for reads across its end.
    list: Vec<u8>,
    /// Forms A and B: the sign list.
    signs: Vec<u8>,
}

impl BlockDecoder {
    pub fn new() -> Self {
        BlockDecoder {
            store: BitPlanes::new(),
            significant: [0; BLOCK_WORDS],
            list: vec![0; BLOCK_VALUES / 8 + 16],
            signs: vec![0; BLOCK_VALUES / 8 + 16],
        }
    }

    /// Decodes the code words `code` of a macroblock of `values.len()` coefficients.
    ///
    /// `cut` says that more words belong to the macroblock than are there. A first plane that fails
    /// the checks is left out with all below it. A lower one is used all the same: an error leaves the coefficients in
    /// front of it right in this and all lower planes, and those behind it are no worse off than without them.
    /// Coefficients of which nothing is known become 0. The number of announced planes must fit `T`.
    pub fn decode<T: Coefficient>(&mut self, code: &[u8], cut: bool, checks: Checks, values: &mut [T]) -> BlockOutcome {
        assert!(!values.is_empty() && values.len() <= BLOCK_VALUES);
        let Some(first) = code.first() else {
            values.fill(T::default());
            return BlockOutcome { planes: 0, lowest: 0, ending: Ending::Cut, words: 0 };
        };
        let planes = announced_planes(*first);
        let outcome = self.decode_lists(Job { code, cut, checks, examine: false, count: values.len(), planes });
        T::from_planes(values, planes, outcome.lowest, &BitPlanesHandle(&mut self.store));
        outcome
    }

    /// What decoding the code of a macroblock of `count` coefficients finds; no coefficients are made.
    pub fn examine(&mut self, code: &[u8], checks: Checks, count: usize) -> BlockOutcome {
        match code.first() {
            Some(first) => {
                let planes = announced_planes(*first);
                self.decode_lists(Job { code, cut: false, checks, examine: true, count, planes })
            }
            None => BlockOutcome { planes: 0, lowest: 0, ending: Ending::Cut, words: 0 },
        }
    }

    /// Whether the first fields of `code` could be those of a macroblock; a quick look before [`examine`](Self::examine).
    pub fn could_be(&self, code: &[u8], count: usize) -> bool {
        let fields = PlaneFields::read(code, 5);
        let lists = fields.form == Form::A || fields.stated == count;
        lists && fields.refinement <= 8 * code.len()
    }

    fn decode_lists(&mut self, job: Job<'_>) -> BlockOutcome {
        self.store.reserve(job.planes);
        #[cfg(target_arch = "x86_64")]
        if let Some(bmi2) = crate::bits::Bmi2::detect() {
            // SAFETY: `bmi2` proves that the processor has the features.
            return unsafe { self.decode_bmi2(bmi2, job) };
        }
        self.decode_planes(Portable, job)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi1,bmi2,lzcnt,popcnt")]
    fn decode_bmi2(&mut self, moves: crate::bits::Bmi2, job: Job<'_>) -> BlockOutcome {
        self.decode_planes(moves, job)
    }

    #[inline(always)]
    fn decode_planes<M: BitMoves>(&mut self, moves: M, job: Job<'_>) -> BlockOutcome {
        let Job { code, cut, checks, examine, count, planes } = job;
        let words = count.div_ceil(64);
        self.significant[..words].fill(0);
        self.store.signs[..words].fill(0);
        let available = 8 * code.len();
        let (mut position, mut known, mut broken) = (5, 0, false);
        for p in (0..planes).rev() {
            let open = count - known;
            let fields = PlaneFields::read(code, position);
            if fields.refinement + known > available {
                let some = !broken && self.part_of_plane(p, code, position, count);
                return BlockOutcome {
                    planes,
                    lowest: if some { p } else { p + 1 },
                    // Planes that run out of a whole macroblock contradict its length.
                    ending: if cut && !broken { Ending::Cut } else { Ending::Broken },
                    words: position / 32,
                };
            }
            let sound = match fields.form {
                Form::A => {
                    let end = self.read_runs(code, fields.code, open);
                    end.agrees(fields.code + fields.code_length, checks)
                }
                Form::B => {
                    let ones = count_ones(code, fields.significance, open);
                    let end = self.read_sign_runs(code, fields.code, ones);
                    fields.stated == open && end == fields.code + fields.code_length
                }
                Form::C => fields.stated == open && fields.code_length == count_ones(code, fields.significance, open),
            };
            if !sound && checks != Checks::None && (examine || p + 1 == planes) {
                // In the first plane it may be their number that is wrong, which would scale everything.
                return BlockOutcome { planes, lowest: p + 1, ending: Ending::Broken, words: position / 32 };
            }
            broken |= !sound && checks != Checks::None;
            let new = match fields.form {
                Form::A => apply(
                    moves,
                    (&mut self.store.planes[p], &mut self.store.signs, &mut self.significant),
                    count,
                    (&self.list, 0),
                    (&self.signs, 0),
                    (code, fields.refinement),
                ),
                form => apply(
                    moves,
                    (&mut self.store.planes[p], &mut self.store.signs, &mut self.significant),
                    count,
                    (code, fields.significance),
                    if form == Form::B { (&self.signs, 0) } else { (code, fields.code) },
                    (code, fields.refinement),
                ),
            };
            if p + 1 == planes && planes > 1 && new == 0 && checks != Checks::None {
                return BlockOutcome { planes, lowest: p + 1, ending: Ending::Broken, words: position / 32 };
            }
            // libPGF places the next plane by the true counts, not the stated ones.
            position = align(fields.refinement + known);
            known += new;
        }
        let ending = match position == available && !cut {
            _ if broken => Ending::Broken,
            true => Ending::Whole,
            false => Ending::Spare,
        };
        BlockOutcome { planes, lowest: 0, ending, words: position / 32 }
    }

    /// Reads form A's code of `open` coefficients at bit `at` into the significance and sign lists.
    #[inline(always)]
    fn read_runs(&mut self, code: &[u8], mut at: usize, open: usize) -> RunEnd {
        let mut last_hit = at;
        let used = open / 8 + 16;
        self.list[..used.min(BLOCK_VALUES / 8 + 16)].fill(0);
        self.signs[..used.min(BLOCK_VALUES / 8 + 16)].fill(0);
        let (mut k, mut index, mut hits) = (3u32, 0usize, 0usize);
        loop {
            let window = load(code, at >> 3) >> (at & 7);
            let zeros = window.trailing_zeros();
            if zeros > 15 {
                // A run of more than any macroblock holds.
                return RunEnd { at: at + zeros as usize, last_hit, closed: false };
            }
            let log = k + zeros;
            let rest = window >> (zeros + 1);
            let run = (rest & ((1 << log) - 1)) + (1 << log) - (1 << k);
            let negative = (rest >> log & 1) as u8;
            at += (zeros + log + 2) as usize;
            k = log.saturating_sub(1);
            index += run as usize;
            if index >= open {
                return RunEnd { at, last_hit, closed: index == open && negative == 1 };
            }
            self.list[index >> 3] |= 1 << (index & 7);
            self.signs[hits >> 3] |= negative << (hits & 7);
            index += 1;
            hits += 1;
            last_hit = at;
        }
    }

    /// Reads form B's code of `count` signs at bit `at` into the sign list; returns the position behind it.
    fn read_sign_runs(&mut self, code: &[u8], mut at: usize, count: usize) -> usize {
        self.signs.fill(0);
        let (mut k, mut index) = (0u32, 0usize);
        while index < count {
            let window = load(code, at >> 3) >> (at & 7);
            let ones;
            if window & 1 == 1 {
                ones = 1usize << k;
                at += 1;
                k += 1;
            } else {
                ones = (window >> 1) as usize & ((1 << k) - 1);
                at += 1 + k as usize;
                k = k.saturating_sub(1);
            }
            let end = (index + ones).min(count);
            for i in index..end {
                self.signs[i >> 3] |= 1 << (i & 7);
            }
            // Behind a run that was counted stands the zero that ended it.
            index = end + usize::from(window & 1 == 0);
        }
        at
    }

    /// Decodes what there is of plane `p`, whose bits run out; coefficient by coefficient.
    ///
    /// Returns whether any bit of the plane was found.
    #[cold]
    fn part_of_plane(&mut self, p: usize, code: &[u8], position: usize, count: usize) -> bool {
        let available = 8 * code.len();
        let bit = |at: usize| (at < available).then(|| bits_at(code, at, 1) == 1);
        let number = |at: usize, bits: u32| (at + bits as usize <= available).then(|| bits_at(code, at, bits));
        self.store.planes[p][..count.div_ceil(64)].fill(0);
        let before = self.significant;
        if position + 16 > available {
            return false;
        }
        let fields = PlaneFields::read(code, position);
        let mut open = (0..count).filter(|i| before[i / 64] >> (i % 64) & 1 == 0);
        let mut found = Vec::new();
        let mut arrived = false;
        match fields.form {
            Form::A => {
                let (mut at, mut k) = (fields.code, 3u32);
                loop {
                    let zeros = load(code, at >> 3) >> (at & 7);
                    let zeros = zeros.trailing_zeros();
                    if zeros > 15 {
                        break;
                    }
                    let log = k + zeros;
                    let Some(rest) = number(at + zeros as usize + 1, log) else { break };
                    let Some(negative) = bit(at + (zeros + 1 + log) as usize) else { break };
                    let run = rest as usize + (1 << log) - (1 << k);
                    at += (zeros + log + 2) as usize;
                    k = log.saturating_sub(1);
                    arrived = true;
                    match open.nth(run) {
                        Some(i) => found.push((i, negative)),
                        None => break,
                    }
                }
            }
            Form::B | Form::C => {
                let list: Vec<(usize, bool)> =
                    open.enumerate().map_while(|(j, i)| bit(fields.significance + j).map(|b| (i, b))).collect();
                arrived = !list.is_empty();
                let hits: Vec<usize> = list.into_iter().filter(|(_, one)| *one).map(|(i, _)| i).collect();
                if fields.form == Form::B {
                    self.read_sign_runs(code, fields.code, hits.len());
                }
                for (j, i) in hits.into_iter().enumerate() {
                    let negative = match fields.form {
                        Form::B => self.signs[j / 8] >> (j % 8) & 1 == 1,
                        _ => bit(fields.code + j).unwrap_or(false),
                    };
                    found.push((i, negative));
                }
            }
        }
        for (i, negative) in found {
            self.store.planes[p][i / 64] |= 1 << (i % 64);
            self.store.signs[i / 64] |= u64::from(negative) << (i % 64);
            self.significant[i / 64] |= 1 << (i % 64);
        }
        let known = (0..count).filter(|i| before[i / 64] >> (i % 64) & 1 == 1);
        for (j, i) in known.enumerate() {
            match bit(fields.refinement + j) {
                Some(one) => self.store.planes[p][i / 64] |= u64::from(one) << (i % 64),
                None => break,
            }
        }
        arrived
    }
}

/// Number of ones among `count` bits at bit `at`.
fn count_ones(code: &[u8], at: usize, count: usize) -> usize {
    let whole = (0..count / 64).map(|w| word_at(code, at + 64 * w).count_ones() as usize).sum::<usize>();
    let rest = count % 64;
    let last = word_at(code, at + count - rest) & ((1 << rest) - 1);
    whole + last.count_ones() as usize
}

/// Spreads a plane's lists over the coefficients: `significance` bits to those still zero, one of `signs` to each new
/// one, `refinement` bits to the others. Returns the number of newly significant coefficients.
#[inline(always)]
fn apply<M: BitMoves>(
    moves: M,
    (plane, signs_out, significant): (&mut Plane, &mut Plane, &mut Plane),
    count: usize,
    (list, mut list_at): (&[u8], usize),
    (signs, mut signs_at): (&[u8], usize),
    (refinement, mut refinement_at): (&[u8], usize),
) -> usize {
    let mut new = 0;
    for w in 0..count.div_ceil(64) {
        let known = significant[w];
        let open = !known & valid_word(w, count);
        let hits = moves.expand(word_at(list, list_at), open);
        list_at += open.count_ones() as usize;
        let negative = moves.expand(word_at(signs, signs_at), hits);
        let hit_count = hits.count_ones() as usize;
        signs_at += hit_count;
        new += hit_count;
        let refined = moves.expand(word_at(refinement, refinement_at), known);
        refinement_at += known.count_ones() as usize;
        plane[w] = hits | refined;
        signs_out[w] |= negative;
        significant[w] = known | hits;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lemma behind skipping the attempt: form B is at most 1.5 bits a sign and a few more.
    #[test]
    fn sign_run_lengths_are_those_of_the_code() {
        let mut seed = 11u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as u8
        };
        let mut code = vec![0; CODE_BYTES];
        for bias in 0..6 {
            for count in [1, 2, 3, 7, 8, 9, 31, 32, 33, 500, 4001] {
                let draw = |_| match bias {
                    0 => next(),
                    1 => next() & next(),
                    2 => next() & next() & next(),
                    3 => next() | next(),
                    4 => [0x77, 0x07, 0x7F, 0x03][usize::from(next() & 3)],
                    _ => 0xFF,
                };
                let list: Vec<u8> = (0..count / 8 + 24).map(draw).collect();
                let mut sink = CodeSink::new(&mut code, 0);
                sign_runs(&list, count, &mut sink);
                let length = sink.position();
                let found = sign_runs_length(&list, count);
                assert!(found == length || found == 0, "bias {bias} count {count}: {found} for {length}");
                assert!(2 * length <= 3 * count + 2, "bias {bias} count {count}: {length} bits");
            }
        }
    }
}
