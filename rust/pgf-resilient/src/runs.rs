//! Strings of significance bits as adaptive run lengths, forward and inverse side by side.
//!
//! A string is coded in steps of 2^k zeros (a bit 0 each) and ones (a bit 1, the zeros before it in k bits, its sign);
//! zeros make k grow, ones shrink. How many steps a gap takes cannot be foretold, so both directions look it up instead
//! of going step by step: a wrongly predicted loop costs more than all the rest of a one.

use crate::packed::Reading;
use pgf::bits::{CodeSink, bits_at};

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

/// Gaps below this are looked up.
const GAPS: usize = 64;
/// Steps up to this are looked up.
const STEPS: usize = 16;
const STATES: usize = HIGHEST as usize + 1;

/// Steps of zeros in a gap.
#[derive(Clone, Copy)]
struct Gap {
    /// How many.
    steps: u8,
    /// Zeros behind them.
    rest: u8,
    /// The state behind them.
    state: u8,
}

/// By class but the first, state and zeros.
static GAP: [[[Gap; GAPS]; STATES]; 2] = gaps();

/// Zeros in so many steps, by class, state and steps.
static ZEROS: [[[u32; STEPS + 1]; STATES]; 3] = zeros();

const fn up(state: i32, class: usize) -> i32 {
    let state = state + RULES[class].up;
    if state < HIGHEST { state } else { HIGHEST }
}

const fn gaps() -> [[[Gap; GAPS]; STATES]; 2] {
    let mut table = [[[Gap { steps: 0, rest: 0, state: 0 }; GAPS]; STATES]; 2];
    let mut i = 0;
    while i < 2 * STATES * GAPS {
        let (class, start, zeros) = (1 + i / (STATES * GAPS), i / GAPS % STATES, i % GAPS);
        let (mut steps, mut rest, mut state) = (0, zeros, start as i32);
        while rest >= 1 << (state >> 2) {
            rest -= 1 << (state >> 2);
            state = up(state, class);
            steps += 1;
        }
        table[class - 1][start][zeros] = Gap { steps, rest: rest as u8, state: state as u8 };
        i += 1;
    }
    table
}

const fn zeros() -> [[[u32; STEPS + 1]; STATES]; 3] {
    let mut table = [[[0; STEPS + 1]; STATES]; 3];
    let mut i = 0;
    while i < 3 * STATES {
        let (class, start) = (i / STATES, i % STATES);
        let (mut state, mut steps) = (start as i32, 0);
        while steps < STEPS {
            table[class][start][steps + 1] = table[class][start][steps] + (1 << (state >> 2));
            state = up(state, class);
            steps += 1;
        }
        i += 1;
    }
    table
}

/// Bits for numbers below `m`.
#[inline(always)]
pub(crate) fn width_of(m: usize) -> u32 {
    usize::BITS - (m - 1).leading_zeros()
}

/// Codes the string of a class.
pub(crate) struct RunWriter<const CLASS: usize> {
    /// Quarters of a bit.
    state: i32,
    /// Positions that are not coded yet.
    left: usize,
    /// Zeros among them that are known.
    zeros: usize,
}

impl<const CLASS: usize> RunWriter<CLASS> {
    #[inline(always)]
    pub fn new(length: usize) -> Self {
        RunWriter { state: RULES[CLASS].start, left: length, zeros: 0 }
    }

    /// Takes so many zeros.
    #[inline(always)]
    pub fn zeros(&mut self, count: u32) {
        self.zeros += count as usize;
    }

    /// Takes `count` positions, not all of them zeros.
    #[inline(always)]
    pub fn word(&mut self, mut hits: u64, negative: u64, count: u32, sink: &mut CodeSink<'_>) {
        let mut from = 0;
        while hits != 0 {
            let place = hits.trailing_zeros();
            hits &= hits - 1;
            self.zeros += (place - from) as usize;
            from = place + 1;
            let steps = self.steps(sink);
            let width = width_of((1 << (self.state >> 2)).min(self.left));
            let code = 1 | (self.zeros as u64) << 1 | (negative >> place & 1) << (width + 1);
            sink.push(code << steps, steps + width + 2);
            self.left -= self.zeros + 1;
            self.zeros = 0;
            self.state = (self.state - RULES[CLASS].down).max(0);
        }
        self.zeros += (count - from) as usize;
    }

    /// Takes as many whole steps as the zeros hold, and says how many are still to be written.
    #[inline(always)]
    fn steps(&mut self, sink: &mut CodeSink<'_>) -> u32 {
        if CLASS == 0 {
            // Every step doubles the next: 2^k (2^n - 1) zeros in n steps.
            debug_assert!(self.state & 3 == 0);
            let k = (self.state >> 2) as u32;
            let steps = ((self.zeros >> k) + 1).ilog2();
            if k + steps > HIGHEST as u32 >> 2 {
                return self.step_by_step(sink);
            }
            let taken = ((1 << steps) - 1) << k;
            self.zeros -= taken;
            self.left -= taken;
            self.state += 4 * steps as i32;
            return steps;
        }
        if self.zeros >= GAPS {
            return self.step_by_step(sink);
        }
        let gap = GAP[CLASS - 1][self.state as usize][self.zeros];
        self.left -= self.zeros - usize::from(gap.rest);
        self.zeros = gap.rest.into();
        self.state = gap.state.into();
        gap.steps.into()
    }

    #[cold]
    fn step_by_step(&mut self, sink: &mut CodeSink<'_>) -> u32 {
        while self.zeros >= 1 << (self.state >> 2) {
            sink.push(0, 1);
            self.zeros -= 1 << (self.state >> 2);
            self.left -= 1 << (self.state >> 2);
            self.state = up(self.state, CLASS);
        }
        0
    }

    /// Codes the zeros behind the last one.
    #[inline(always)]
    pub fn finish(mut self, sink: &mut CodeSink<'_>) {
        while self.left > 0 {
            sink.push(0, 1);
            self.left = self.left.saturating_sub(1 << (self.state >> 2));
            self.state = up(self.state, CLASS);
        }
    }
}

/// Undoes [`RunWriter`].
pub(crate) struct RunReader<const CLASS: usize> {
    state: i32,
    /// Positions of the string.
    length: usize,
    /// Positions that are known.
    pub at: usize,
    /// Zeros before the next one, from where the caller is; more than there are positions if none comes.
    pub gap: usize,
    /// The sign of the next one.
    pub negative: bool,
    /// The next bit of the payload.
    pub position: usize,
    pub reading: Reading,
}

impl<const CLASS: usize> RunReader<CLASS> {
    #[inline(always)]
    pub fn new(length: usize, position: usize) -> Self {
        let state = RULES[CLASS].start;
        RunReader { state, length, at: 0, gap: 0, negative: false, position, reading: Reading::Whole }
    }

    /// Looks for the next one behind the last: how many zeros come first. Once nothing more can be read there is none.
    #[inline(always)]
    pub fn seek(&mut self, payload: &[u8], end: usize) {
        let window = bits_at(payload, self.position, 56);
        let steps = window.trailing_zeros().min(STEPS as u32);
        let at = self.at + ZEROS[CLASS][self.state as usize][steps as usize] as usize;
        let state = (self.state + RULES[CLASS].up * steps as i32).min(HIGHEST);
        // Not more than there are, so that the end of the string is left to the other way.
        let m = 1 << (state >> 2);
        let width = (state >> 2) as u32;
        let position = self.position + (steps + width) as usize + 2;
        if at + m > self.length || steps == STEPS as u32 || position > end || self.reading != Reading::Whole {
            return self.seek_step_by_step(payload, end);
        }
        let code = window >> (steps + 1);
        let run = code as usize & (m - 1);
        self.gap = at + run - self.at;
        self.negative = code >> width & 1 == 1;
        self.at = at + run + 1;
        self.state = (state - RULES[CLASS].down).max(0);
        self.position = position;
    }

    #[inline(never)]
    fn seek_step_by_step(&mut self, payload: &[u8], end: usize) {
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
                self.state = up(self.state, CLASS);
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
            self.state = (self.state - RULES[CLASS].down).max(0);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, step by step.
    fn slow<const CLASS: usize>(string: &[(bool, bool)]) -> Vec<bool> {
        let (mut out, mut at, mut state) = (Vec::new(), 0, RULES[CLASS].start);
        while at < string.len() {
            let m = (1 << (state >> 2)).min(string.len() - at);
            match string[at..at + m].iter().position(|(hit, _)| *hit) {
                None => {
                    out.push(false);
                    at += m;
                    state = (state + RULES[CLASS].up).min(HIGHEST);
                }
                Some(run) => {
                    out.push(true);
                    out.extend((0..width_of(m)).map(|i| run >> i & 1 == 1));
                    out.push(string[at + run].1);
                    at += run + 1;
                    state = (state - RULES[CLASS].down).max(0);
                }
            }
        }
        out
    }

    fn check<const CLASS: usize>() {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = |n: usize| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 20) as usize % n
        };
        for round in 0..600 {
            let length = [1, 63, 64, 300, 5000, 14 * 1024][round % 6];
            let sparse = [1, 2, 5, 30, 400, 9000][round / 6 % 6];
            let string: Vec<_> = (0..length).map(|_| (next(sparse) == 0, next(2) == 0)).collect();
            let mut bytes = vec![0; 40_000];
            let mut sink = CodeSink::new(&mut bytes, 0);
            let mut runs = RunWriter::<CLASS>::new(length);
            for word in string.chunks(if round % 2 == 0 { 64 } else { 17 }) {
                let of = |f: fn(&(bool, bool)) -> bool| {
                    word.iter().enumerate().map(|(i, p)| u64::from(f(p)) << i).fold(0, |all, bit| all | bit)
                };
                match of(|p| p.0) {
                    0 => runs.zeros(word.len() as u32),
                    hits => runs.word(hits, of(|p| p.1), word.len() as u32, &mut sink),
                }
            }
            runs.finish(&mut sink);
            let bits = sink.position();
            let found: Vec<bool> = (0..bits).map(|i| bytes[i / 8] >> (i % 8) & 1 == 1).collect();
            assert_eq!(found, slow::<CLASS>(&string), "class {CLASS} round {round}");
            let payload = &bytes[..bits.div_ceil(8)];
            for end in [bits, next(bits + 1)] {
                let mut runs = RunReader::<CLASS>::new(length, 0);
                let mut at = 0;
                runs.seek(payload, end);
                while runs.gap <= length {
                    assert!(string[at..at + runs.gap].iter().all(|p| !p.0));
                    at += runs.gap;
                    assert_eq!(string[at], (true, runs.negative));
                    at += 1;
                    runs.seek(payload, end);
                }
                assert!(string[at..runs.at].iter().all(|p| !p.0));
                let whole = (end == bits) == (runs.reading == Reading::Whole);
                assert!(whole && (end < bits || (runs.at, runs.position) == (length, bits)));
            }
        }
    }

    #[test]
    fn strings_are_coded_as_the_definition_says() {
        check::<0>();
        check::<1>();
        check::<2>();
    }
}
