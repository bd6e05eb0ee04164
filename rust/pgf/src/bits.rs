//! Moving bits: compaction and expansion under a mask, and streams of bits in bytes, least significant bit first.

/// Compaction (`pext`) and expansion (`pdep`) of the bits of a word under a mask.
///
/// The plane coder is generic over this so that one body serves processors with BMI2 and those without; the
/// implementation is chosen once per macroblock.
pub trait BitMoves: Copy {
    /// Whether a move costs no more than a few plain instructions.
    const FAST: bool;
    /// The bits of `value` at the ones of `mask`, moved together at the low end.
    fn compact(self, value: u64, mask: u64) -> u64;
    /// The low bits of `value` spread to the ones of `mask`.
    fn expand(self, value: u64, mask: u64) -> u64;
}

/// BMI2 instructions. A value of this type proves that the processor has them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Bmi2(());

#[cfg(target_arch = "x86_64")]
impl Bmi2 {
    /// `Some` if the processor has BMI2, LZCNT, TZCNT and POPCNT.
    pub fn detect() -> Option<Bmi2> {
        let has = crate::cpu::beyond_baseline()
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Bmi2(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl BitMoves for Bmi2 {
    const FAST: bool = true;

    #[inline(always)]
    fn compact(self, value: u64, mask: u64) -> u64 {
        // SAFETY: a `Bmi2` exists only where the processor has the instruction.
        unsafe { std::arch::x86_64::_pext_u64(value, mask) }
    }

    #[inline(always)]
    fn expand(self, value: u64, mask: u64) -> u64 {
        // SAFETY: a `Bmi2` exists only where the processor has the instruction.
        unsafe { std::arch::x86_64::_pdep_u64(value, mask) }
    }
}

/// Work that is compiled once for processors with BMI2 and AVX2 and once for all.
pub trait BitWork {
    /// What it results in.
    type Out;
    /// Does it. Must be `#[inline(always)]`, so that it is compiled for the processor that it runs on.
    fn run<B: BitMoves>(self, moves: B) -> Self::Out;
}

/// Does work with the fastest instructions that the processor has; the result does not depend on them.
pub fn dispatch<W: BitWork>(work: W) -> W::Out {
    #[cfg(target_arch = "x86_64")]
    if let Some(moves) = Bmi2::detect()
        && crate::cpu::has_avx2()
    {
        // SAFETY: the processor has the features, as just detected.
        return unsafe { run_fast(work, moves) };
    }
    work.run(Portable)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run_fast<W: BitWork>(work: W, moves: Bmi2) -> W::Out {
    work.run(moves)
}

/// Plain shifts, for any processor.
///
/// Parallel suffix method: Warren, Hacker's Delight, 2nd edition, sections 7-4 and 7-5.
#[derive(Clone, Copy)]
pub struct Portable;

impl Portable {
    /// For each of the six steps the bits that move by 2^step, and the final mask.
    #[inline(always)]
    fn moves(mask: u64) -> [u64; 6] {
        let mut m = mask;
        let mut zeros_right = !mask << 1;
        let mut moves = [0; 6];
        for (step, slot) in moves.iter_mut().enumerate() {
            let mut parity = zeros_right ^ (zeros_right << 1);
            for shift in [2, 4, 8, 16, 32] {
                parity ^= parity << shift;
            }
            let mv = parity & m;
            m = (m ^ mv) | (mv >> (1 << step));
            zeros_right &= !parity;
            *slot = mv;
        }
        moves
    }
}

impl BitMoves for Portable {
    const FAST: bool = false;

    #[inline(always)]
    fn compact(self, value: u64, mask: u64) -> u64 {
        if mask == u64::MAX {
            return value;
        }
        let mut x = value & mask;
        for (step, mv) in Self::moves(mask).into_iter().enumerate() {
            let t = x & mv;
            x = (x ^ t) | (t >> (1 << step));
        }
        x
    }

    #[inline(always)]
    fn expand(self, value: u64, mask: u64) -> u64 {
        if mask == u64::MAX {
            return value;
        }
        let mut x = value;
        for (step, mv) in Self::moves(mask).into_iter().enumerate().rev() {
            let t = x << (1 << step);
            x = (x & !mv) | (t & mv);
        }
        x & mask
    }
}

/// Reads 64 bits at any byte; bytes behind the end are zero.
#[inline(always)]
pub fn load(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8) {
        Some(b) => u64::from_le_bytes(b.try_into().expect("eight bytes")),
        None => load_tail(bytes, at),
    }
}

#[cold]
fn load_tail(bytes: &[u8], at: usize) -> u64 {
    let mut b = [0; 8];
    let rest = bytes.get(at..).unwrap_or(&[]);
    let n = rest.len().min(8);
    b[..n].copy_from_slice(&rest[..n]);
    u64::from_le_bytes(b)
}

/// `count` (at most 57) bits at bit position `at`; bits behind the end are zero.
#[inline(always)]
pub fn bits_at(bytes: &[u8], at: usize, count: u32) -> u64 {
    load(bytes, at >> 3) >> (at & 7) & ((1 << count) - 1)
}

/// 64 bits at bit position `at`; bits behind the end are zero.
#[inline(always)]
pub fn word_at(bytes: &[u8], at: usize) -> u64 {
    let shift = at & 63;
    let base = at >> 6 << 3;
    // Shifting twice keeps the count below 64 when `shift` is 0.
    load(bytes, base) >> shift | (load(bytes, base + 8) << 1) << (63 - shift)
}

/// As [`word_at`], of bytes that reach at least 8 bytes behind the position.
#[inline(always)]
pub fn word_inside(bytes: &[u8], at: usize) -> u64 {
    let (shift, base) = (at & 63, at >> 6 << 3);
    let pair: &[u8; 16] = bytes[base..base + 16].try_into().expect("sixteen bytes");
    let pair = u128::from_le_bytes(*pair);
    (pair as u64) >> shift | ((pair >> 64) as u64) << 1 << (63 - shift)
}

/// Overwrites `count` (at most 57) bits at bit position `at`.
#[inline(always)]
pub fn set_bits(bytes: &mut [u8], at: usize, count: u32, value: u64) {
    let mask = ((1u64 << count) - 1) << (at & 7);
    let slot = &mut bytes[at >> 3..(at >> 3) + 8];
    let old = u64::from_le_bytes(slot.try_into().expect("eight bytes"));
    slot.copy_from_slice(&(old & !mask | value << (at & 7) & mask).to_le_bytes());
}

/// Copies `count` bits; `from` and `to` start at the same bit of a byte, all other bits of `to` are kept.
pub fn copy_bits(to: &mut [u8], at: usize, from: &[u8], count: usize) {
    if count == 0 {
        return;
    }
    let (first, end) = (at & 7, (at & 7) + count);
    let to = &mut to[at >> 3..(at + count).div_ceil(8)];
    let last = to.len() - 1;
    let low = (1u16 << first) as u8 - 1;
    let high = if end & 7 == 0 { 0 } else { 0xFFu8 << (end & 7) };
    let (head, tail) = (to[0] & low, to[last] & high);
    to.copy_from_slice(&from[..=last]);
    to[0] = to[0] & !low | head;
    to[last] = to[last] & !high | tail;
}

/// Appends words of up to 64 bits to a byte buffer, eight bytes at a time.
///
/// Up to 16 bytes behind the last bit are overwritten: the caller saves what must survive.
pub struct WordSink<'a> {
    bytes: &'a mut [u8],
    at: usize,
    word: u64,
    filled: u32,
}

impl<'a> WordSink<'a> {
    #[inline(always)]
    pub fn new(bytes: &'a mut [u8], at_byte: usize) -> Self {
        WordSink { bytes, at: at_byte, word: 0, filled: 0 }
    }

    /// Appends the low `count` (0 to 64) bits of `value`, whose higher bits are 0.
    #[inline(always)]
    pub fn push(&mut self, value: u64, count: u32) {
        let word = self.word | value << self.filled;
        self.bytes[self.at..self.at + 8].copy_from_slice(&word.to_le_bytes());
        let total = self.filled + count;
        let full = total >> 6;
        // Shifting twice keeps the count below 64 when nothing was filled.
        let rest = (value >> 1) >> (63 - self.filled);
        self.word = if full != 0 { rest } else { word };
        self.at += 8 * full as usize;
        self.filled = total & 63;
    }

    /// Stores what is left.
    #[inline(always)]
    pub fn finish(self) {
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.word.to_le_bytes());
    }
}

/// Appends short codes to a byte buffer.
///
/// Up to 8 bytes behind the last bit are overwritten: the caller saves what must survive.
pub struct CodeSink<'a> {
    bytes: &'a mut [u8],
    at: usize,
    word: u64,
    filled: u32,
}

impl<'a> CodeSink<'a> {
    /// Starts at bit `first` (0 to 7) of the first byte.
    #[inline(always)]
    pub fn new(bytes: &'a mut [u8], first: u32) -> Self {
        CodeSink { bytes, at: 0, word: 0, filled: first }
    }

    /// Appends the low `count` (at most 56) bits of `value`, whose higher bits are 0.
    #[inline(always)]
    pub fn push(&mut self, value: u64, count: u32) {
        self.word |= value << self.filled;
        self.filled += count;
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.word.to_le_bytes());
        self.at += (self.filled >> 3) as usize;
        self.word >>= self.filled & 0x38;
        self.filled &= 7;
    }

    /// Moves on by `count` bits, which must be 0 in the buffer already.
    #[inline(always)]
    pub fn skip(&mut self, count: usize) {
        let total = self.filled as usize + count;
        if total >= 8 {
            self.word = 0;
            self.at += total >> 3;
        }
        self.filled = (total & 7) as u32;
    }

    /// Bit position behind the last bit, counted from the start of the buffer.
    #[inline(always)]
    pub fn position(&self) -> usize {
        8 * self.at + self.filled as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_compact(value: u64, mask: u64) -> u64 {
        let mut out = 0;
        let mut n = 0;
        for i in 0..64 {
            if mask >> i & 1 == 1 {
                out |= (value >> i & 1) << n;
                n += 1;
            }
        }
        out
    }

    fn slow_expand(value: u64, mask: u64) -> u64 {
        let mut out = 0;
        let mut n = 0;
        for i in 0..64 {
            if mask >> i & 1 == 1 {
                out |= (value >> n & 1) << i;
                n += 1;
            }
        }
        out
    }

    #[test]
    fn moves_agree_with_their_meaning() {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        };
        let mut masks = vec![0, u64::MAX, 1, 1 << 63];
        masks.extend((0..200).map(|i| if i % 3 == 0 { next() & next() & next() } else { next() | next() }));
        for mask in masks {
            let value = next();
            assert_eq!(Portable.compact(value, mask), slow_compact(value, mask), "{mask:#x}");
            assert_eq!(Portable.expand(value, mask), slow_expand(value, mask), "{mask:#x}");
            #[cfg(target_arch = "x86_64")]
            if let Some(bmi2) = Bmi2::detect() {
                assert_eq!(bmi2.compact(value, mask), slow_compact(value, mask));
                assert_eq!(bmi2.expand(value, mask), slow_expand(value, mask));
            }
        }
    }

    #[test]
    fn sinks_write_every_bit_in_order() {
        let mut x = 7u64;
        let mut expected = Vec::new();
        let (mut words, mut codes) = (vec![0u8; 4096], vec![0u8; 4096]);
        let (mut a, mut b) = (WordSink::new(&mut words, 0), CodeSink::new(&mut codes, 0));
        for i in 0..400u32 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let count = if i % 7 == 0 { 56 } else { (x >> 50) as u32 % 57 };
            let value = (x >> 3) & ((1u64 << count) - 1);
            a.push(value, count);
            b.push(value, count);
            expected.extend((0..count).map(|j| value >> j & 1));
        }
        let position = b.position();
        a.finish();
        assert_eq!(position, expected.len());
        for bytes in [&words, &codes] {
            for (i, bit) in expected.iter().enumerate() {
                assert_eq!(bits_at(bytes, i, 1), *bit, "bit {i}");
            }
        }
    }

    #[test]
    fn copies_keep_the_bits_around() {
        for at in 0..20 {
            for count in 0..40 {
                let mut to = [0xFFu8; 16];
                copy_bits(&mut to, at, &[0; 8], count);
                for i in 0..128 {
                    let want = u64::from(!(at..at + count).contains(&i));
                    assert_eq!(bits_at(&to, i, 1), want, "at {at} count {count} bit {i}");
                }
            }
        }
    }
}
