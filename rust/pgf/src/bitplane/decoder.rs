//! Decoding of macroblocks, whole, cut and damaged.

use super::runs::{RunEnd, read_runs};
use super::sign_runs::read_sign_runs;
use super::{MAX_WORDS, align, valid_word};
use crate::bits::{BitMoves, Portable, bits_at, load, word_inside};
use crate::planes::{BLOCK_VALUES, BLOCK_WORDS, BitPlanes, BitPlanesHandle, Coefficient, MAX_PLANES, Plane};

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

/// Which of the three codes a plane's significance list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Run-length coded significance and signs.
    A,
    /// Plain significance, run-length coded signs.
    B,
    /// Plain significance, plain signs.
    C,
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

/// Zero bytes behind the code words.
const PADDING: usize = BLOCK_VALUES / 8 + 32;

/// Decodes macroblocks; keeps its buffers between them.
pub(crate) struct BlockDecoder {
    store: BitPlanes,
    significant: Plane,
    /// Form A: the significance list. One word more than the list, for reads across its end.
    list: Vec<u8>,
    /// Forms A and B: the sign list.
    signs: Vec<u8>,
    /// The code words and behind them zeros, as many as a list can be longer than its field says.
    code: Vec<u8>,
    /// Bits of run-length codes read so far, in all macroblocks.
    pub runs_read: usize,
}

impl BlockDecoder {
    pub fn new() -> Self {
        BlockDecoder {
            store: BitPlanes::new(),
            significant: [0; BLOCK_WORDS],
            list: vec![0; BLOCK_VALUES / 8 + 16],
            signs: vec![0; BLOCK_VALUES / 8 + 16],
            code: vec![0; 4 * MAX_WORDS + PADDING],
            runs_read: 0,
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

    /// The outcome of [`decode`](Self::decode) without its coefficients, of which there would be `count`.
    pub fn outcome(&mut self, code: &[u8], cut: bool, checks: Checks, count: usize) -> BlockOutcome {
        match code.first() {
            Some(first) => {
                let planes = announced_planes(*first);
                self.decode_lists(Job { code, cut, checks, examine: false, count, planes })
            }
            None => BlockOutcome { planes: 0, lowest: 0, ending: Ending::Cut, words: 0 },
        }
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

    /// The bytes of `code` that tell whether its first plane contradicts itself, if its first fields could be those of
    /// a macroblock; a quick look before [`examine`](Self::examine).
    pub fn first_plane<'a>(&self, code: &'a [u8], count: usize) -> Option<&'a [u8]> {
        let fields = PlaneFields::read(code, 5);
        let lists = fields.form == Form::A || fields.stated == count;
        // Lists can be longer than their fields say.
        let bytes = (fields.refinement / 8 + PADDING).next_multiple_of(4);
        (lists && fields.refinement <= 8 * code.len()).then(|| &code[..bytes.min(code.len())])
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
        self.code[..code.len()].copy_from_slice(code);
        self.code[code.len()..code.len() + PADDING].fill(0);
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
                    let end = read_runs(code, fields.code, open, &mut self.list, &mut self.signs);
                    self.runs_read += end.at.saturating_sub(fields.code);
                    end.agrees(fields.code + fields.code_length, checks)
                }
                Form::B => {
                    let ones = count_ones(&self.code, fields.significance, open);
                    let end = read_sign_runs(code, fields.code, ones, &mut self.signs);
                    self.runs_read += end.saturating_sub(fields.code);
                    fields.stated == open && end == fields.code + fields.code_length
                }
                Form::C => {
                    fields.stated == open && fields.code_length == count_ones(&self.code, fields.significance, open)
                }
            };
            if !sound && checks != Checks::None && (examine || p + 1 == planes) {
                // In the first plane it may be their number that is wrong, which would scale everything.
                return BlockOutcome { planes, lowest: p + 1, ending: Ending::Broken, words: position / 32 };
            }
            broken |= !sound && checks != Checks::None;
            let list = if fields.form == Form::A { (&*self.list, 0) } else { (&*self.code, fields.significance) };
            let signs = if fields.form == Form::C { (&*self.code, fields.code) } else { (&*self.signs, 0) };
            let out = (&mut self.store.planes[p], &mut self.store.signs, &mut self.significant);
            let new = if known == 0 {
                apply::<M, false>(moves, out, count, list, signs, (&[0; 16], 0))
            } else {
                apply::<M, true>(moves, out, count, list, signs, (&self.code, fields.refinement))
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
        // A macroblock has no more coefficients than 16 bits count.
        let mut found: Vec<(u16, bool)> = Vec::new();
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
                        Some(i) => found.push((i as u16, negative)),
                        None => break,
                    }
                }
            }
            Form::B | Form::C => {
                let mut hits: Vec<u16> = Vec::new();
                for (j, i) in open.enumerate() {
                    let Some(one) = bit(fields.significance + j) else { break };
                    arrived = true;
                    if one {
                        hits.push(i as u16);
                    }
                }
                if fields.form == Form::B {
                    read_sign_runs(code, fields.code, hits.len(), &mut self.signs);
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
            let i = usize::from(i);
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

/// Number of ones among `count` bits at bit `at`; 8 bytes must follow them.
fn count_ones(code: &[u8], at: usize, count: usize) -> usize {
    let whole = (0..count / 64).map(|w| word_inside(code, at + 64 * w).count_ones() as usize).sum::<usize>();
    let rest = count % 64;
    let last = word_inside(code, at + count - rest) & ((1 << rest) - 1);
    whole + last.count_ones() as usize
}

/// Spreads a plane's lists over the coefficients: `significance` bits to those still zero, one of `signs` to each new
/// one, with `REFINE` `refinement` bits to the others. Returns the number of newly significant coefficients.
#[inline(always)]
fn apply<M: BitMoves, const REFINE: bool>(
    moves: M,
    (plane, signs_out, significant): (&mut Plane, &mut Plane, &mut Plane),
    count: usize,
    (list, mut list_at): (&[u8], usize),
    (signs, mut signs_at): (&[u8], usize),
    (refinement, mut refinement_at): (&[u8], usize),
) -> usize {
    let first_sign = signs_at;
    for w in 0..count.div_ceil(64) {
        let known = significant[w];
        let open = !known & valid_word(w, count);
        let hits = moves.expand(word_inside(list, list_at), open);
        list_at += open.count_ones() as usize;
        signs_out[w] |= moves.expand(word_inside(signs, signs_at), hits);
        signs_at += hits.count_ones() as usize;
        if REFINE {
            plane[w] = hits | moves.expand(word_inside(refinement, refinement_at), known);
            refinement_at += known.count_ones() as usize;
        } else {
            plane[w] = hits;
        }
        significant[w] = known | hits;
    }
    signs_at - first_sign
}
