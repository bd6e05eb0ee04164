//! Form B of the sign list: runs of negative signs (format section 12.4).

use crate::bits::{CodeSink, load, word_at};

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
pub(super) fn sign_runs_length(list: &[u8], count: usize) -> usize {
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
pub(super) fn sign_runs(list: &[u8], count: usize, sink: &mut CodeSink<'_>) {
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

/// Bits of code that one step of the reading table looks at.
const READ_BITS: u32 = 8;
/// For every `k` below [`SIGN_RUN_LEVELS`] and all that the next bits of code can be: the codes that lie in them whole.
static READ_STEPS: [u64; (SIGN_RUN_LEVELS as usize) << READ_BITS] = read_steps();

/// An entry of [`READ_STEPS`], from bit 0: 48 sign bits, 4 bits how many bits of code, 6 bits how many signs, 6 bits
/// the `k` behind.
const fn read_steps() -> [u64; (SIGN_RUN_LEVELS as usize) << READ_BITS] {
    let mut steps = [0; (SIGN_RUN_LEVELS as usize) << READ_BITS];
    let mut index = 0;
    while index < steps.len() {
        let window = index as u64 & ((1 << READ_BITS) - 1);
        let mut k = index as u32 >> READ_BITS;
        let (mut signs, mut used, mut count) = (0u64, 0u32, 0u32);
        while used < READ_BITS {
            let rest = window >> used;
            let whole = rest & 1 == 1;
            let length = if whole { 1 } else { 1 + k };
            let ones = if whole { 1 << k } else { (rest >> 1 & ((1 << k) - 1)) as u32 };
            let covered = if whole { ones } else { ones + 1 };
            if used + length > READ_BITS || count + covered > 48 {
                break;
            }
            signs |= ((1 << ones) - 1) << count;
            used += length;
            count += covered;
            k = if whole { k + 1 } else { k.saturating_sub(1) };
        }
        steps[index] = signs | (used as u64) << 48 | (count as u64) << 52 | (k as u64) << 58;
        index += 1;
    }
    steps
}

/// Reads form B's code of `count` signs at bit `at` into the sign list; returns the position behind it.
///
/// The list must have room for `count` bits and 8 bytes; behind the last sign it holds anything.
#[inline(always)]
pub(super) fn read_sign_runs(code: &[u8], mut at: usize, count: usize, signs: &mut [u8]) -> usize {
    let mut sink = CodeSink::new(signs, 0);
    let (mut k, mut index) = (0u32, 0usize);
    while index < count {
        let mut window = load(code, at >> 3) >> (at & 7);
        // Of the 57 bits that are there, seven steps use 56.
        for _ in 0..7 {
            if k >= SIGN_RUN_LEVELS {
                break;
            }
            let step = READ_STEPS[(k << READ_BITS) as usize + (window & ((1 << READ_BITS) - 1)) as usize];
            let (used, covered) = (step >> 48 & 0xF, step >> 52 & 0x3F);
            if used == 0 || index + covered as usize > count {
                break;
            }
            sink.push(step & 0xFFFF_FFFF_FFFF, covered as u32);
            k = (step >> 58) as u32;
            index += covered as usize;
            at += used as usize;
            window >>= used;
        }
        if index >= count {
            break;
        }
        let window = load(code, at >> 3) >> (at & 7);
        let (ones, zero);
        if window & 1 == 1 {
            (ones, zero) = (1usize << k, 0);
            at += 1;
            k += 1;
        } else {
            // Behind a run that was counted stands the zero that ended it.
            (ones, zero) = ((window >> 1) as usize & ((1 << k) - 1), 1);
            at += 1 + k as usize;
            k = k.saturating_sub(1);
        }
        let mut left = ones.min(count - index);
        index = index + left + zero;
        while left > 0 {
            let some = left.min(32);
            sink.push((1 << some) - 1, some as u32);
            left -= some;
        }
        if index <= count {
            sink.push(0, zero as u32);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitplane::CODE_BYTES;
    use crate::bits::bits_at;

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
                let mut back = vec![0xAA; list.len()];
                assert_eq!(read_sign_runs(&code, 0, count, &mut back), length, "bias {bias} count {count}");
                for i in 0..count {
                    assert_eq!(bits_at(&back, i, 1), bits_at(&list, i, 1), "bias {bias} count {count} sign {i}");
                }
            }
        }
    }
}
