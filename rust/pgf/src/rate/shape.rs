//! Quantising one macroblock for the least distortion plus price times bits, by the coder's own code lengths.
//!
//! The format fixes the step of every band but not which values an encoder rounds to zero. The bit-plane coder makes
//! that choice expensive or cheap depending on the neighbours in coding order, because the run-length code adapts:
//! the planes are therefore gone through as the coder does, and for each coefficient that would become significant
//! the difference in code length is compared with the difference in distortion. Once significant, a coefficient
//! costs a bit in each plane below whatever its bits are.

use crate::bitplane::BlockEncoder;
use crate::planes::{BLOCK_VALUES, BLOCK_WORDS, BitPlanesHandle, MAX_PLANES, Plane};
use crate::quantize::shift;
use crate::rate::source::{Held, Source, log2, top_bits};

/// Bits that a new coefficient costs at least, more or less: what cannot earn them is not looked at.
const LEAST_COST: f64 = 3.0;
/// Bits of the smallest macroblock, beside which nothing is worth coding that does not pay for the rest.
const EMPTY_BITS: usize = 64;
/// Length beyond which a plane cannot be run-length coded (format section 12.2).
const MAX_LENGTH: u32 = 32767;

/// How many bits are at stake at which price, in eighths of octaves relative to the price of a trial.
#[derive(Debug, Clone)]
pub(crate) struct Stakes {
    bits: [u64; Stakes::BINS],
}

impl Stakes {
    const BINS: usize = 64;
    const MIDDLE: usize = Stakes::BINS / 2;

    pub fn new() -> Stakes {
        Stakes { bits: [0; Stakes::BINS] }
    }

    fn take(&mut self, notes: &mut Notes) {
        for (sum, bits) in self.bits.iter_mut().zip(&mut notes.0) {
            *sum += u64::from(std::mem::take(bits));
        }
    }

    /// Bits more (or, negative, fewer) than now if the price is multiplied by `factor`.
    pub fn change(&self, factor: f64) -> f64 {
        let at = 8.0 * log2(factor) + Stakes::MIDDLE as f64;
        let change = |(index, bits): (usize, &u64)| {
            let low = index as f64;
            let part = if index < Stakes::MIDDLE {
                // Dropped at present.
                (low + 1.0 - at).clamp(0.0, 1.0)
            } else {
                -(at - low).clamp(0.0, 1.0)
            };
            *bits as f64 * part
        };
        self.bits.iter().enumerate().map(change).sum()
    }
}

/// What one plane adds to [`Stakes`].
struct Notes([u32; Stakes::BINS]);

impl Notes {
    /// Notes a coefficient that is worth `worth` (more than 0) bits and costs `bits`.
    #[inline(always)]
    fn add(&mut self, worth: f32, bits: u32) {
        // Exponent and three bits of mantissa stand for the logarithm.
        let log = |x: f32| (x.to_bits() >> 20) as usize;
        let index = (Stakes::MIDDLE + log(worth)).saturating_sub(log(bits as f32));
        self.0[index.min(Stakes::BINS - 1)] += bits;
    }
}

/// A part of the macroblock, made ready for one step size and price.
struct Zone {
    /// Behind its last value.
    end: usize,
    shift: u32,
    /// Bits that a squared error of one step is worth.
    worth: f32,
    /// For every plane, how many bits dearer a new coefficient is in the plane below, about.
    below: [f32; MAX_PLANES],
}

/// A coefficient that may become significant, and how many of those still insignificant precede it.
#[derive(Clone, Copy)]
struct Hit {
    at: u16,
    rank: u16,
}

/// What is to happen to coefficients of a plane, one bit each.
struct Choices {
    drop: Plane,
    /// To become the largest magnitude of the planes below.
    lower: Plane,
}

/// What one way of coding a plane leads to.
#[derive(Clone, Copy)]
struct Draft {
    /// Bits of the significance list and signs, bits below that the choices entail, less the bits their gain is worth.
    cost: f32,
    /// Bits that the gain of those kept is worth.
    worth: f32,
    /// Bits of the significance list and signs.
    length: usize,
}

/// Quantises and codes macroblocks; keeps its buffers between them.
pub(crate) struct Shaper<T> {
    coder: BlockEncoder,
    /// Before quantization.
    exact: Vec<T>,
    values: Vec<T>,
    /// Bits that the gain of each quantised value is worth.
    worths: Vec<f32>,
    significant: Plane,
    zones: Vec<Zone>,
    hits: Vec<Hit>,
    /// For run-length coded and for plain lists.
    choices: [Choices; 2],
    notes: [Notes; 2],
}

/// Code length of a run of zeros and the one that ends it, sign included, and the next state (format section 12.3).
#[inline(always)]
fn run_cost(run: u32, k: u32) -> (u32, u32) {
    let log = 31 - (run + (1 << k)).leading_zeros();
    (2 * log + 2 - k, log.saturating_sub(1))
}

#[inline(always)]
fn align(position: usize) -> usize {
    (position + 31) & !31
}

/// Code words of a macroblock of `count` zeros.
pub(crate) fn words_of_zeros(count: usize) -> usize {
    align(5 + 16 + run_cost(count as u32, 3).0 as usize) / 32
}

impl<T: Held> Shaper<T> {
    pub fn new() -> Self {
        let choices = || Choices { drop: [0; BLOCK_WORDS], lower: [0; BLOCK_WORDS] };
        Shaper {
            coder: BlockEncoder::new(false),
            exact: vec![T::default(); BLOCK_VALUES],
            values: vec![T::default(); BLOCK_VALUES],
            worths: vec![0.0; BLOCK_VALUES],
            significant: [0; BLOCK_WORDS],
            zones: Vec::new(),
            hits: Vec::new(),
            choices: [choices(), choices()],
            notes: [const { Notes([0; Stakes::BINS]) }; 2],
        }
    }

    /// Quantises a macroblock at a price, which is what one bit may cost in squared error of the picture.
    ///
    /// Returns its code and by how much its values lower the picture's squared error below that of zeros; `None` if
    /// no macroblock can hold them.
    pub fn shape(
        &mut self,
        source: &Source<T>,
        index: usize,
        quantizer: i32,
        price: f64,
        stakes: Option<&mut Stakes>,
    ) -> Option<(&[u8], f64)> {
        let (planes, worth) = self.choose(source, index, quantizer, price, stakes);
        let code = self.coder.encode_planes_of(source.blocks[index].values, planes)?;
        Some((code, worth * price))
    }

    fn choose(
        &mut self,
        source: &Source<T>,
        index: usize,
        quantizer: i32,
        price: f64,
        stakes: Option<&mut Stakes>,
    ) -> (usize, f64) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            // SAFETY: the processor has these features.
            return unsafe { self.choose_avx2(source, index, quantizer, price, stakes) };
        }
        self.choose_values(source, index, quantizer, price, stakes)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn choose_avx2(
        &mut self,
        source: &Source<T>,
        index: usize,
        quantizer: i32,
        price: f64,
        stakes: Option<&mut Stakes>,
    ) -> (usize, f64) {
        self.choose_values(source, index, quantizer, price, stakes)
    }

    /// Leaves the values in the coder's planes; returns the number of planes and the worth of the gain in bits.
    #[inline(always)]
    fn choose_values(
        &mut self,
        source: &Source<T>,
        index: usize,
        quantizer: i32,
        price: f64,
        mut stakes: Option<&mut Stakes>,
    ) -> (usize, f64) {
        let count = source.blocks[index].values;
        let magnitudes = self.quantize(source, index, quantizer, price);
        let planes = (32 - magnitudes.leading_zeros()) as usize;
        T::to_planes(&self.values[..count], planes.max(1), &mut BitPlanesHandle(self.coder.store()));
        if planes == 0 {
            return (1, 0.0);
        }
        self.compare_planes(planes);
        let words = count.div_ceil(64);
        self.significant[..words].fill(0);
        let (mut used, mut known, mut total) = (0, 0, 0.0);
        // Bits of the whole macroblock, padding left out.
        let mut bits = 0;
        for p in (0..planes).rev() {
            let open = count - known;
            self.find_hits(p, count);
            let hits = self.hits.len();
            let mut chosen = 0;
            let mut draft = self.draft(p, open);
            // Plain lists can only win where ones are frequent; they ask for other choices.
            if 6 * hits >= open {
                let plain = self.draft_plain(p, open);
                if plain.cost < draft.cost {
                    (draft, chosen) = (plain, 1);
                }
            }
            if let Some(stakes) = &mut stakes {
                stakes.take(&mut self.notes[chosen]);
            }
            let kept = self.apply(p, words, chosen);
            if used == 0 {
                if kept == 0 {
                    // Nothing is left of the topmost plane.
                    continue;
                }
                used = p + 1;
            }
            // The plane's head and what alignment takes on average.
            bits += 32 + draft.length + p * kept;
            known += kept;
            total += f64::from(draft.worth);
        }
        if total <= bits.saturating_sub(EMPTY_BITS) as f64 {
            let store = self.coder.store();
            for plane in &mut store.planes[..planes] {
                plane[..words].fill(0);
            }
            return (1, 0.0);
        }
        (used.max(1), total)
    }

    /// Rounds every value to whole steps, those certainly not worth their bits to zero; returns the bitwise or of all
    /// magnitudes.
    #[inline(always)]
    fn quantize(&mut self, source: &Source<T>, index: usize, quantizer: i32, price: f64) -> u32 {
        let block = &source.blocks[index];
        source.collect(index, &mut self.exact);
        self.zones.clear();
        let mut all = 0;
        for part in source.parts(index) {
            let shift = shift(quantizer, part.level, part.band);
            let step = (1u64 << shift) as f64;
            let worth = part.weight * step * step / price;
            self.zones.push(Zone { end: part.end, shift, worth: worth as f32, below: [0.0; MAX_PLANES] });
            let values = &mut self.values[part.start..part.end];
            // A value of m steps becomes 1 at a gain of 2 m - 1 squared steps.
            let zone = step * (0.5 + 0.5 * LEAST_COST / worth);
            if f64::from(part.peak) < zone || shift > 30 {
                values.fill(T::default());
                continue;
            }
            // At most the part's peak, which is at most 2^31.
            let zone = zone.ceil() as u32;
            let half = if shift > 0 { 1u32 << (shift - 1) } else { 0 };
            let (scale, worth) = (1.0 / step as f32, worth as f32);
            let exact = &self.exact[part.start..part.end];
            let worths = &mut self.worths[part.start..part.end];
            for ((value, worth_of), exact) in values.iter_mut().zip(worths).zip(exact) {
                let exact = exact.to_i32();
                let magnitude = exact.unsigned_abs();
                let steps = if magnitude < zone { 0 } else { (magnitude + half) >> shift };
                // -2^31 would need a plane that libPGF misreads.
                let steps = steps.min(i32::MAX as u32);
                all |= steps;
                let signed = steps as i32;
                *value = T::from_i32(if exact < 0 { -signed } else { signed });
                let (steps, magnitude) = (signed as f32, magnitude.min(i32::MAX as u32) as i32 as f32);
                *worth_of = worth * steps * (2.0 * scale * magnitude - steps);
            }
        }
        self.values[block.held..block.values].fill(T::default());
        all
    }

    /// Fills in how much dearer a coefficient is in the next plane below, judged by how many there are in each.
    #[inline(always)]
    fn compare_planes(&mut self, planes: usize) {
        let mut start = 0;
        let store = self.coder.store();
        for zone in &mut self.zones {
            let tops = top_bits(store, planes, start, zone.end);
            let log = |n: u32| log2(f64::from(n + 1)) as f32;
            for p in 1..planes {
                zone.below[p] = log(tops[p]) - log(tops[p - 1]);
            }
            start = zone.end;
        }
    }

    /// Lists the coefficients whose highest one-bit lies in plane `p`.
    #[inline(always)]
    fn find_hits(&mut self, p: usize, count: usize) {
        self.hits.clear();
        let mut rank = 0;
        let plane = &self.coder.store().planes[p];
        for (w, (bits, significant)) in plane.iter().zip(&self.significant).enumerate().take(count.div_ceil(64)) {
            // Bits behind the last coefficient are zero in every plane; their rank matters to nobody.
            let open = !significant;
            let mut hits = bits & open;
            while hits != 0 {
                let bit = hits & hits.wrapping_neg();
                let at = (64 * w) as u32 + bit.trailing_zeros();
                let before = (open & (bit - 1)).count_ones();
                self.hits.push(Hit { at: at as u16, rank: (rank + before) as u16 });
                hits ^= bit;
            }
            rank += open.count_ones();
        }
    }

    /// Chooses for every hit of plane `p` as if its list were run-length coded.
    #[inline(always)]
    fn draft(&mut self, p: usize, open: usize) -> Draft {
        let (choices, notes) = (&mut self.choices[0], &mut self.notes[0]);
        notes.0.fill(0);
        choices.drop.fill(0);
        choices.lower.fill(0);
        // Three entries behind the last spare the lookahead its bounds.
        let end = Hit { at: 0, rank: open as u16 };
        let count = self.hits.len();
        self.hits.extend([end; 3]);
        let hits = &self.hits[..];
        let (mut k, mut next_rank, mut length) = (3, 0, 0);
        let (mut cost, mut worth) = (0.0, 0.0);
        let mut zones = self.zones.iter();
        let mut zone = zones.next().expect("a macroblock has parts");
        for j in 0..count {
            let window: &[Hit; 4] = hits[j..j + 4].try_into().expect("four hits");
            let at = usize::from(window[0].at);
            let [rank, second, third, fourth] = window.map(|hit| u32::from(hit.rank));
            let run = rank - next_rank;
            let (code, next_k) = run_cost(run, k);
            // The run behind, or the run over both; then two more events, for the states differ.
            let (with, k_with) = run_cost(second - rank - 1, next_k);
            let (without, k_without) = run_cost(second - next_rank, k);
            let behind = (third - second).saturating_sub(1);
            let (with_2, k_with) = run_cost(behind, k_with);
            let (without_2, k_without) = run_cost(behind, k_without);
            let behind = (fourth - third).saturating_sub(1);
            let (with_3, without_3) = (run_cost(behind, k_with).0, run_cost(behind, k_without).0);
            let difference = |a: u32, b: u32, there: bool| (a as i32 - b as i32) * i32::from(there);
            let extra = (code + with) as i32 - without as i32
                + difference(with_2, without_2, second < open as u32)
                + difference(with_3, without_3, third < open as u32);
            let own = self.worths[at];
            let bits = (extra + p as i32).max(1);
            notes.add(own, bits as u32);
            let bits = bits as f32;
            let mut keep = bits <= own;
            if p > 0 {
                let steps = self.values[at].to_i32().unsigned_abs();
                if steps == 1 << p {
                    while zone.end <= at {
                        zone = zones.next().expect("parts cover the macroblock");
                    }
                    // One step less.
                    let exact = self.exact[at].to_i32().unsigned_abs() as f32 / (1u64 << zone.shift) as f32;
                    let lost = zone.worth * (2.0 * exact - 2.0 * steps as f32 + 1.0);
                    let lower = bits - 1.0 - zone.below[p] - (own - lost);
                    if lower < 0.0 && lower < bits - own {
                        choices.lower[at / 64] |= 1 << (at % 64);
                        cost += lower;
                        keep = false;
                    }
                }
            }
            if keep {
                cost += p as f32 - own;
                worth += own;
                length += code;
                k = next_k;
                next_rank = rank + 1;
            }
            choices.drop[at / 64] |= u64::from(!keep) << (at % 64);
        }
        self.hits.truncate(count);
        length += run_cost(open as u32 - next_rank, k).0;
        cost += if length <= MAX_LENGTH { length as f32 } else { f32::INFINITY };
        Draft { cost, worth, length: length as usize }
    }

    /// Chooses for every hit of plane `p` as if its lists were plain: a new coefficient costs a sign.
    #[inline(always)]
    fn draft_plain(&mut self, p: usize, open: usize) -> Draft {
        let (choices, notes) = (&mut self.choices[1], &mut self.notes[1]);
        notes.0.fill(0);
        choices.drop.fill(0);
        choices.lower.fill(0);
        let (mut cost, mut worth, mut length) = (open as f32, 0.0, open);
        let bits = (1 + p) as f32;
        for hit in &self.hits {
            let at = usize::from(hit.at);
            let own = self.worths[at];
            let keep = bits <= own;
            notes.add(own, 1 + p as u32);
            if keep {
                cost += bits - own;
                worth += own;
                length += 1;
            }
            choices.drop[at / 64] |= u64::from(!keep) << (at % 64);
        }
        Draft { cost, worth, length }
    }

    /// Carries out choices for plane `p`; returns the number of newly significant coefficients.
    #[inline(always)]
    fn apply(&mut self, p: usize, words: usize, chosen: usize) -> usize {
        let Choices { drop, lower } = &self.choices[chosen];
        let mut kept = 0;
        let store = self.coder.store();
        let (below, plane) = store.planes.split_at_mut(p);
        for (w, bits) in plane[0][..words].iter_mut().enumerate() {
            if drop[w] != 0 {
                *bits &= !drop[w];
                for plane in below.iter_mut() {
                    plane[w] = plane[w] & !drop[w] | lower[w];
                }
            }
            let new = *bits & !self.significant[w];
            kept += new.count_ones() as usize;
            self.significant[w] |= new;
        }
        // The lowered ones are hits of the next plane, with other gains.
        if p > 0 {
            let mut zones = self.zones.iter();
            let mut zone = zones.next().expect("a macroblock has parts");
            for (w, bits) in lower[..words].iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let at = 64 * w + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    while zone.end <= at {
                        zone = zones.next().expect("parts cover the macroblock");
                    }
                    let steps = ((1u32 << p) - 1) as f32;
                    let exact = self.exact[at].to_i32().unsigned_abs() as f32 / (1u64 << zone.shift) as f32;
                    self.worths[at] = zone.worth * steps * (2.0 * exact - steps);
                }
            }
        }
        kept
    }
}
