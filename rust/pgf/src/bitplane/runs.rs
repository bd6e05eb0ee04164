//! Form A: the run-length code of significance lists (format section 12.3), several events at a time.

use crate::bits::{BitMoves, CodeSink, load};

/// Bits of code that one step of the table looks at.
const STEP_BITS: u32 = 10;
/// Parameters `k` that the table knows; behind longer runs an event is read on its own.
const STEP_KS: u32 = 4;

/// For every `k` and all that the next bits of code can be: the events that lie in them whole.
static STEPS: [u64; (STEP_KS as usize) << STEP_BITS] = steps();

/// An entry of [`STEPS`], from bit 0: 32 bits of the significance list (all of the table's events end inside), 8 bits
/// how many bits of code, 8 bits how many of the list, 8 sign bits, 4 bits how many signs, 4 bits the `k` behind.
/// 0 where not even one event lies in the bits whole.
const fn steps() -> [u64; (STEP_KS as usize) << STEP_BITS] {
    let mut steps = [0; (STEP_KS as usize) << STEP_BITS];
    let mut index = 0;
    while index < steps.len() {
        let window = index as u32 & ((1 << STEP_BITS) - 1);
        let mut k = index as u32 >> STEP_BITS;
        let (mut list, mut used, mut listed, mut signs, mut hits) = (0u64, 0u32, 0u32, 0u64, 0u32);
        loop {
            let rest = window >> used;
            let zeros = rest.trailing_zeros();
            let log = k + zeros;
            let length = zeros + log + 2;
            if rest == 0 || used + length > STEP_BITS {
                break;
            }
            let run = (rest >> (zeros + 1) & ((1 << log) - 1)) + (1 << log) - (1 << k);
            if listed + run + 1 > 32 {
                break;
            }
            list |= 1 << (listed + run);
            listed += run + 1;
            signs |= (rest as u64 >> (zeros + 1 + log) & 1) << hits;
            hits += 1;
            used += length;
            k = log.saturating_sub(1);
        }
        if hits > 0 {
            steps[index] = list
                | (used as u64) << 32
                | (listed as u64) << 40
                | signs << 48
                | (hits as u64) << 56
                | (k as u64) << 60;
        }
        index += 1;
    }
    steps
}

/// The end of a run-length code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RunEnd {
    /// Behind the code that reached or passed the last coefficient.
    pub at: usize,
    /// Behind the code of the last newly significant coefficient.
    pub last_hit: usize,
    /// The terminator stood where it belongs, with its sign.
    pub closed: bool,
}

/// Reads the code of `open` coefficients at bit `at` into the significance and sign lists.
///
/// Both lists must have room for `open` bits and 8 bytes; behind the last sign they hold anything.
#[inline(always)]
pub(super) fn read_runs(code: &[u8], mut at: usize, open: usize, list: &mut [u8], signs: &mut [u8]) -> RunEnd {
    let used = (open / 8 + 16).min(list.len());
    list[..used].fill(0);
    let (mut list, mut signs) = (CodeSink::new(list, 0), CodeSink::new(signs, 0));
    let (mut k, mut index) = (3u32, 0usize);
    loop {
        let mut window = load(code, at >> 3) >> (at & 7);
        // Of the 57 bits that are there, five steps use 50.
        for _ in 0..5 {
            if k >= STEP_KS {
                break;
            }
            let step = STEPS[(k << STEP_BITS) as usize + (window & ((1 << STEP_BITS) - 1)) as usize];
            let (used, listed) = (step >> 32 & 0xFF, step >> 40 & 0xFF);
            if step == 0 || index + listed as usize > open {
                break;
            }
            list.push(step & 0xFFFF_FFFF, listed as u32);
            signs.push(step >> 48 & 0xFF, (step >> 56 & 0xF) as u32);
            k = (step >> 60) as u32;
            index += listed as usize;
            at += used as usize;
            window >>= used;
        }
        let window = load(code, at >> 3) >> (at & 7);
        let zeros = window.trailing_zeros();
        if zeros > 15 {
            // A run of more than any macroblock holds.
            return RunEnd { at: at + zeros as usize, last_hit: at, closed: false };
        }
        let log = k + zeros;
        let rest = window >> (zeros + 1);
        let run = ((rest & ((1 << log) - 1)) + (1 << log) - (1 << k)) as usize;
        let negative = rest >> log & 1;
        let behind = at + (zeros + log + 2) as usize;
        index += run;
        if index >= open {
            return RunEnd { at: behind, last_hit: at, closed: index == open && negative == 1 };
        }
        list.skip(run);
        list.push(1, 1);
        signs.push(negative, 1);
        index += 1;
        at = behind;
        k = log.saturating_sub(1);
    }
}

/// Parameters `k` and pending runs that the writing table knows; others are written event by event.
const WRITE_KS: u32 = 4;
const WRITE_RUNS: u32 = 16;
/// Most bits of code of an entry.
const WRITE_BITS: u32 = 24;

/// For every `k`, pending run and eight coefficients: the code of their events, without signs.
///
/// From bit 0: 24 bits of code, 24 bits with ones where the signs go, 8 bits how many bits of code, 8 bits
/// `WRITE_RUNS * k` and the run behind. 0 where the code is too long or what is behind is not in the table.
static WRITE_STEPS: [u64; ((WRITE_KS * WRITE_RUNS) as usize) << 8] = write_steps();

#[allow(long_running_const_eval)]
const fn write_steps() -> [u64; ((WRITE_KS * WRITE_RUNS) as usize) << 8] {
    let mut steps = [0; ((WRITE_KS * WRITE_RUNS) as usize) << 8];
    let mut index = 0;
    while index < steps.len() {
        let mut list = index as u32 & 0xFF;
        let (mut k, mut run) = ((index >> 8) as u32 / WRITE_RUNS, (index >> 8) as u32 % WRITE_RUNS);
        let (mut code, mut signs, mut length, mut left) = (0u64, 0u64, 0u32, 8);
        while list != 0 {
            let zeros = list.trailing_zeros();
            let v = run + zeros + (1 << k);
            let log = v.ilog2();
            if length + log - k + log + 2 > WRITE_BITS {
                break;
            }
            left -= zeros + 1;
            list >>= zeros + 1;
            code |= (((v as u64 ^ 1 << log) << 1 | 1) << (log - k)) << length;
            length += log - k + log + 2;
            signs |= 1 << (length - 1);
            k = log.saturating_sub(1);
            run = 0;
        }
        run += left;
        if list == 0 && k < WRITE_KS && run < WRITE_RUNS {
            steps[index] = code | signs << WRITE_BITS | (length as u64) << 48 | ((WRITE_RUNS * k + run) as u64) << 56;
        }
        index += 1;
    }
    steps
}

/// Appends the code of one event and returns the `k` behind it.
#[inline(always)]
pub(super) fn write_event(sink: &mut CodeSink<'_>, k: u32, run: u64, negative: u64) -> u32 {
    let v = run + (1 << k);
    let log = 63 - v.leading_zeros();
    let zeros = log - k;
    sink.push(((v ^ 1 << log) << 1 | 1) << zeros | negative << (zeros + 1 + log), zeros + log + 2);
    log.saturating_sub(1)
}

/// Appends the code of a significance list of `open` coefficients, with its terminator.
#[inline(always)]
pub(super) fn write_runs<M: BitMoves>(moves: M, list: &[u8], signs: &[u8], open: usize, sink: &mut CodeSink<'_>) {
    let (mut k, mut run, mut sign) = (3u32, 0u64, 0usize);
    let (whole, rest) = (&list[..open / 8], open % 8);
    for byte in whole {
        let negative = load(signs, sign >> 3) >> (sign & 7);
        sign += byte.count_ones() as usize;
        if k < WRITE_KS && run < u64::from(WRITE_RUNS) {
            let step = WRITE_STEPS[((k * WRITE_RUNS) as usize + run as usize) << 8 | usize::from(*byte)];
            if step != 0 {
                let code = step & ((1 << WRITE_BITS) - 1);
                let places = step >> WRITE_BITS & ((1 << WRITE_BITS) - 1);
                sink.push(code | moves.expand(negative, places), (step >> 48 & 0xFF) as u32);
                let state = (step >> 56) as u32;
                (k, run) = (state / WRITE_RUNS, u64::from(state % WRITE_RUNS));
                continue;
            }
        }
        (k, run) = write_few(sink, (k, run), *byte, negative, 8);
    }
    if rest > 0 {
        let byte = list[open / 8] & ((1 << rest) - 1);
        (k, run) = write_few(sink, (k, run), byte, load(signs, sign >> 3) >> (sign & 7), rest as u64);
    }
    // The terminator: a one at the position behind the last coefficient, with a negative sign.
    write_event(sink, k, run, 1);
}

/// The events of `count` coefficients, one by one; takes and returns `k` and the pending run.
#[inline(always)]
fn write_few(
    sink: &mut CodeSink<'_>,
    (mut k, mut run): (u32, u64),
    mut list: u8,
    mut negative: u64,
    count: u64,
) -> (u32, u64) {
    let mut left = count;
    while list != 0 {
        let zeros = u64::from(list.trailing_zeros());
        k = write_event(sink, k, run + zeros, negative & 1);
        // The byte may be all ones.
        list = (u32::from(list) >> (zeros + 1)) as u8;
        negative >>= 1;
        left -= zeros + 1;
        run = 0;
    }
    (k, run + left)
}

/// No code of a list of `open` coefficients is longer, its terminator included.
///
/// An event of run `r` that takes `k` to `k'` costs at most `2 (r + 1) + f(k) - f(k')` bits with `f(k) = k (k + 1) / 2`
/// (the test `lengths_are_bounded` tries all); `k` starts at 3, and the terminator stands behind the list.
pub(super) fn longest_runs(open: usize) -> usize {
    2 * (open + 1) + 6
}

/// A bound below the length of the code of a list of `open` coefficients.
///
/// An event of run `r` that takes `k` to `k'` costs at least `c(r) + k' - k` bits, where `c` is 2 for `r = 0`, 4 for
/// 1 and 2, and 5 beyond (the test `lengths_are_bounded` tries all); `k` starts at 3 and ends at 0 or more.
#[inline(always)]
pub(super) fn shortest_runs(list: &[u8], open: usize) -> usize {
    let (mut length, mut before) = (0, u64::MAX);
    let words = list.as_chunks::<8>().0;
    for (w, word) in words[..open.div_ceil(64)].iter().enumerate() {
        let mut word = u64::from_le_bytes(*word);
        if open - 64 * w < 64 {
            word &= (1 << (open - 64 * w)) - 1;
        }
        let apart = word & !(word << 1 | before >> 63);
        let far = apart & !(word << 2 | before >> 62) & !(word << 3 | before >> 61);
        length += 2 * (word.count_ones() + apart.count_ones()) + far.count_ones();
        before = word;
    }
    // The terminator is an event of at least 2 bits.
    (length as usize + 2).saturating_sub(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{Portable, bits_at};

    /// Event by event, as the format says.
    fn slow(code: &[u8], mut at: usize, open: usize) -> (Vec<usize>, Vec<bool>, RunEnd) {
        let (mut places, mut signs) = (Vec::new(), Vec::new());
        let (mut k, mut index, mut last_hit) = (3u32, 0usize, at);
        loop {
            let mut zeros = 0;
            while bits_at(code, at, 1) == 0 && zeros < 64 {
                zeros += 1;
                at += 1;
                if zeros > 15 {
                    return (places, signs, RunEnd { at: 0, last_hit, closed: false });
                }
            }
            let log = k + zeros;
            index += bits_at(code, at + 1, log) as usize + (1 << log) - (1 << k);
            let negative = bits_at(code, at + 1 + log as usize, 1) == 1;
            at += 2 + log as usize;
            k = log.saturating_sub(1);
            if index >= open {
                return (places, signs, RunEnd { at, last_hit, closed: index == open && negative });
            }
            places.push(index);
            signs.push(negative);
            index += 1;
            last_hit = at;
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let f = |k: i64| k * (k + 1) / 2;
        for k in 0..20i64 {
            for run in 0..1i64 << 17 {
                let log = i64::from((run + (1 << k)).ilog2());
                let (cost, next) = (2 * log - k + 2, (log - 1).max(0));
                assert!(cost + f(next) - f(k) <= 2 * (run + 1), "k {k} run {run}");
                let least = match run {
                    0 => 2,
                    1 | 2 => 4,
                    _ => 5,
                };
                assert!(cost >= least + next - k, "k {k} run {run}");
            }
        }
    }

    #[test]
    fn steps_write_single_events() {
        let mut seed = 9u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as u8
        };
        for trial in 0..200 {
            let open = [1, 7, 8, 9, 64, 1001, 16384][trial % 7];
            let draw = |_| match trial % 6 {
                0 => next(),
                1 => next() | next(),
                2 => next() & next(),
                3 => next() & next() & next(),
                4 => next() & next() & next() & next() & next(),
                _ => [0, 0, 0, 0xFF][usize::from(next() & 3)],
            };
            let mut list: Vec<u8> = (0..open / 8 + 24).map(draw).collect();
            for i in open..8 * list.len() {
                list[i / 8] &= !(1 << (i % 8));
            }
            let signs: Vec<u8> = (0..list.len() as u32).map(|i| ((i * i * 37) >> 3) as u8).collect();
            let (mut code, mut plain) = (vec![0; 9000], vec![0; 9000]);
            let (mut sink, mut events) = (CodeSink::new(&mut code, 3), CodeSink::new(&mut plain, 3));
            write_runs(Portable, &list, &signs, open, &mut sink);
            let (mut k, mut run, mut sign) = (3, 0, 0);
            for i in 0..open {
                if bits_at(&list, i, 1) == 0 {
                    run += 1;
                    continue;
                }
                k = write_event(&mut events, k, run, bits_at(&signs, sign, 1));
                (run, sign) = (0, sign + 1);
            }
            write_event(&mut events, k, run, 1);
            let (length, expected) = (sink.position(), events.position());
            assert_eq!((length, &code), (expected, &plain), "trial {trial}");
            assert!(length - 3 <= longest_runs(open) && length - 3 >= shortest_runs(&list, open), "trial {trial}");
            let (places, _, end) = slow(&code, 3, open);
            assert_eq!(places, (0..open).filter(|i| bits_at(&list, *i, 1) == 1).collect::<Vec<_>>());
            assert!(end.closed && end.at == length);
        }
    }

    #[test]
    fn steps_read_what_single_events_are() {
        let mut seed = 3u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as u8
        };
        let (mut list, mut signs) = (vec![0; 2064], vec![0xFF; 2064]);
        for trial in 0..400 {
            // From runs of a few to runs of thousands.
            let code: Vec<u8> = (0..3000)
                .map(|_| match trial % 4 {
                    0 => next(),
                    1 => next() | next(),
                    2 => next() & next() & next(),
                    _ => next() & next() & next() & next() & next(),
                })
                .collect();
            let open = [1, 2, 63, 64, 65, 1000, 16384][trial % 7];
            let first = trial % 13;
            let (places, negative, end) = slow(&code, first, open);
            let found = read_runs(&code, first, open, &mut list, &mut signs);
            if end.at > 0 {
                assert_eq!(found.at, end.at);
            }
            assert_eq!((found.last_hit, found.closed), (end.last_hit, end.closed), "trial {trial}");
            let ones: Vec<usize> = (0..open).filter(|i| bits_at(&list, *i, 1) == 1).collect();
            assert_eq!(ones, places, "trial {trial}");
            for (i, negative) in negative.iter().enumerate() {
                assert_eq!(bits_at(&signs, i, 1) == 1, *negative, "trial {trial} sign {i}");
            }
        }
    }
}
