//! A macroblock's coefficients as bit planes: forward and inverse transposition.
//!
//! Word `w` of a plane holds one bit of coefficients `64 w .. 64 w + 63`, least significant bit first.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Most coefficients of one macroblock (format section 11).
pub const BLOCK_VALUES: usize = 16384;
/// Words of one bit plane of a whole macroblock.
pub(crate) const BLOCK_WORDS: usize = BLOCK_VALUES / 64;
/// Most bit planes of a macroblock.
pub(crate) const MAX_PLANES: usize = 32;

/// One bit of every coefficient of a macroblock.
pub(crate) type Plane = [u64; BLOCK_WORDS];

/// Signs and magnitudes of up to 16384 coefficients, bit plane by bit plane.
pub(crate) struct BitPlanes {
    /// Magnitude bits; plane `p` has the value 2^p.
    pub planes: Vec<Plane>,
    /// 1 = negative. Bits of zero coefficients mean nothing.
    pub signs: Plane,
}

impl BitPlanes {
    pub fn new() -> Self {
        BitPlanes { planes: Vec::new(), signs: [0; BLOCK_WORDS] }
    }

    /// Makes at least `count` planes available; their content is left as it is.
    pub fn reserve(&mut self, count: usize) {
        if self.planes.len() < count {
            self.planes.resize(count, [0; BLOCK_WORDS]);
        }
    }
}

/// The integer types that coefficients are kept in.
pub trait Coefficient: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug + 'static {
    /// From 32 bits; the value must fit.
    fn from_i32(value: i32) -> Self;
    /// To 32 bits.
    fn to_i32(self) -> i32;
    /// Bitwise or of all magnitudes.
    #[doc(hidden)]
    fn magnitude_bits(values: &[Self]) -> u32;
    /// Transposes up to 16384 values into `planes` planes.
    #[doc(hidden)]
    fn to_planes(values: &[Self], planes: usize, out: &mut BitPlanesHandle<'_>);
    /// Transposes `planes` planes back, of which those below `lowest` are zero.
    #[doc(hidden)]
    fn from_planes(values: &mut [Self], planes: usize, lowest: usize, from: &BitPlanesHandle<'_>);
}

/// Keeps the plane storage out of the public interface of [`Coefficient`].
#[doc(hidden)]
pub struct BitPlanesHandle<'a>(pub(crate) &'a mut BitPlanes);

impl Coefficient for i16 {
    fn from_i32(value: i32) -> i16 {
        debug_assert!(i16::try_from(value).is_ok());
        value as i16
    }

    fn to_i32(self) -> i32 {
        i32::from(self)
    }

    fn magnitude_bits(values: &[i16]) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::has_avx2() {
            // SAFETY: the processor has AVX2.
            return unsafe { magnitude_bits_avx2(values) };
        }
        values.iter().fold(0u16, |or, v| or | v.unsigned_abs()).into()
    }

    fn to_planes(values: &[i16], planes: usize, out: &mut BitPlanesHandle<'_>) {
        out.0.reserve(planes);
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::has_avx2() {
            // SAFETY: the processor has AVX2.
            return unsafe { split_avx2(values, planes, out.0) };
        }
        for (w, chunk) in values.chunks(64).enumerate() {
            let mut full = [0i16; 64];
            let chunk = whole_word(chunk, &mut full);
            out.0.signs[w] = word_signs(chunk);
            let mut bits = [0u64; 16];
            let magnitudes = chunk.map(i16::unsigned_abs);
            split_word(&magnitudes, planes, &mut bits);
            for (plane, bits) in out.0.planes[..planes].iter_mut().zip(bits) {
                plane[w] = bits;
            }
        }
    }

    fn from_planes(values: &mut [i16], planes: usize, lowest: usize, from: &BitPlanesHandle<'_>) {
        debug_assert!(planes <= 15);
        let from = &*from.0;
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::has_avx2() {
            // SAFETY: the processor has AVX2.
            return unsafe { join_avx2(values, planes, lowest, from) };
        }
        for (w, chunk) in values.chunks_mut(64).enumerate() {
            let mut word = [0u16; 64];
            join_word(from, w, lowest, planes, &mut word);
            let word = apply_signs(&word, from.signs[w]);
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// 64 values: those that are there, in front of zeros where they are fewer.
#[inline(always)]
fn whole_word<'a>(values: &'a [i16], room: &'a mut [i16; 64]) -> &'a [i16; 64] {
    if let Ok(whole) = values.try_into() {
        return whole;
    }
    room[..values.len()].copy_from_slice(values);
    room
}

/// [`Coefficient::magnitude_bits`] of 16-bit values.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn magnitude_bits_avx2(values: &[i16]) -> u32 {
    values.iter().fold(0u16, |or, v| or | v.unsigned_abs()).into()
}

/// [`Coefficient::to_planes`] of 16-bit values: bits of 32 bytes are gathered at a time, highest plane first.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn split_avx2(values: &[i16], planes: usize, out: &mut BitPlanes) {
    // Packing works in halves of 128 bits and leaves the quarters in the order 0, 2, 1, 3.
    let in_order = |packed: __m256i| _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
    let gather = |low: __m256i, high: __m256i| {
        u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32
    };
    let low_byte = _mm256_set1_epi16(0xFF);
    let (low_planes, high_planes) = out.planes[..planes].split_at_mut(planes.min(8));
    for (w, chunk) in values.chunks(64).enumerate() {
        let mut full = [0i16; 64];
        let chunk = whole_word(chunk, &mut full);
        // SAFETY: four loads of sixteen values each.
        let load = |i: usize| unsafe { _mm256_loadu_si256(chunk.as_ptr().add(16 * i).cast()) };
        let values = [load(0), load(1), load(2), load(3)];
        let signs = |i: usize| in_order(_mm256_packs_epi16(values[i], values[i + 1]));
        out.signs[w] = gather(signs(0), signs(2));
        let [a, b, c, d] = values.map(|v| _mm256_abs_epi16(v));
        let low = |a, b| in_order(_mm256_packus_epi16(_mm256_and_si256(a, low_byte), _mm256_and_si256(b, low_byte)));
        let high = |a, b| in_order(_mm256_packus_epi16(_mm256_srli_epi16::<8>(a), _mm256_srli_epi16::<8>(b)));
        let split = |(mut first, mut second): (__m256i, __m256i), planes: &mut [Plane]| {
            // Each byte is below 2^planes, so a 16-bit shift moves nothing into the neighbouring byte.
            let up = _mm_cvtsi32_si128(8 - planes.len() as i32);
            (first, second) = (_mm256_sll_epi16(first, up), _mm256_sll_epi16(second, up));
            for plane in planes.iter_mut().rev() {
                plane[w] = gather(first, second);
                (first, second) = (_mm256_add_epi8(first, first), _mm256_add_epi8(second, second));
            }
        };
        split((low(a, b), low(c, d)), low_planes);
        if !high_planes.is_empty() {
            split((high(a, b), high(c, d)), high_planes);
        }
    }
}

/// [`Coefficient::from_planes`] of 16-bit values, sixteen at a time; words without a one are skipped.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn join_avx2(values: &mut [i16], planes: usize, lowest: usize, from: &BitPlanes) {
    let select = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, i16::MIN);
    let held = &from.planes[lowest..planes];
    for (w, chunk) in values.chunks_mut(64).enumerate() {
        if held.iter().fold(0, |or, plane| or | plane[w]) == 0 {
            chunk.fill(0);
            continue;
        }
        let mut word = [0i16; 64];
        for (quarter, out) in word.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let spread = |bits: u64| {
                let bits = _mm256_set1_epi16((bits >> (16 * quarter)) as i16);
                _mm256_cmpeq_epi16(_mm256_and_si256(bits, select), select)
            };
            let mut sum = _mm256_setzero_si256();
            for plane in held.iter().rev() {
                // Twice the sum plus the bit: a mask is -1.
                sum = _mm256_sub_epi16(_mm256_add_epi16(sum, sum), spread(plane[w]));
            }
            sum = _mm256_sll_epi16(sum, _mm_cvtsi32_si128(lowest as i32));
            let negative = spread(from.signs[w]);
            let signed = _mm256_sub_epi16(_mm256_xor_si256(sum, negative), negative);
            // SAFETY: `out` has 32 bytes.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), signed) };
        }
        match <&mut [i16; 64]>::try_from(&mut *chunk) {
            Ok(whole) => *whole = word,
            Err(_) => chunk.copy_from_slice(&word[..chunk.len()]),
        }
    }
}

impl Coefficient for i32 {
    fn from_i32(value: i32) -> i32 {
        value
    }

    fn to_i32(self) -> i32 {
        self
    }

    fn magnitude_bits(values: &[i32]) -> u32 {
        values.iter().fold(0u32, |or, v| or | v.unsigned_abs())
    }

    fn to_planes(values: &[i32], planes: usize, out: &mut BitPlanesHandle<'_>) {
        out.0.reserve(planes);
        for (w, chunk) in values.chunks(64).enumerate() {
            let (mut low, mut high, mut signs) = ([0u16; 64], [0u16; 64], 0u64);
            for (i, v) in chunk.iter().enumerate() {
                let magnitude = v.unsigned_abs();
                low[i] = magnitude as u16;
                high[i] = (magnitude >> 16) as u16;
                signs |= u64::from(*v < 0) << i;
            }
            out.0.signs[w] = signs;
            let mut bits = [0u64; 16];
            split_word(&low, planes.min(16), &mut bits);
            for (plane, bits) in out.0.planes[..planes.min(16)].iter_mut().zip(bits) {
                plane[w] = bits;
            }
            if planes > 16 {
                split_word(&high, planes - 16, &mut bits);
                for (plane, bits) in out.0.planes[16..planes].iter_mut().zip(bits) {
                    plane[w] = bits;
                }
            }
        }
    }

    fn from_planes(values: &mut [i32], planes: usize, lowest: usize, from: &BitPlanesHandle<'_>) {
        let from = &*from.0;
        for (w, chunk) in values.chunks_mut(64).enumerate() {
            let (mut low, mut high) = ([0u16; 64], [0u16; 64]);
            join_word(from, w, lowest, planes.min(16), &mut low);
            if planes > 16 {
                join_word(from, w, lowest.max(16), planes, &mut high);
            }
            let signs = from.signs[w];
            for (i, v) in chunk.iter_mut().enumerate() {
                let magnitude = (u32::from(high[i]) << 16 | u32::from(low[i])) as i32;
                let mask = -((signs >> i & 1) as i32);
                *v = (magnitude ^ mask).wrapping_sub(mask);
            }
        }
    }
}

/// Signs of 64 values, 1 = negative.
#[inline(always)]
fn word_signs(values: &[i16; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let mut bits = 0u64;
        for (i, half) in values.chunks_exact(16).enumerate() {
            // SAFETY: SSE2 is part of the x86-64 baseline; both loads lie inside the 16 values.
            let mask = unsafe {
                let a = _mm_loadu_si128(half.as_ptr().cast());
                let b = _mm_loadu_si128(half.as_ptr().add(8).cast());
                _mm_movemask_epi8(_mm_packs_epi16(a, b))
            };
            bits |= u64::from(mask as u32 & 0xFFFF) << (16 * i);
        }
        bits
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        values.iter().enumerate().fold(0, |bits, (i, v)| bits | u64::from(*v < 0) << i)
    }
}

/// Bits 0 .. `planes` of 64 magnitudes, one word a bit.
#[inline(always)]
fn split_word(magnitudes: &[u16; 64], planes: usize, out: &mut [u64; 16]) {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of the x86-64 baseline; every load lies inside the 64 values.
        unsafe {
            let load = |i: usize| _mm_loadu_si128(magnitudes.as_ptr().add(8 * i).cast());
            let low_byte = _mm_set1_epi16(0xFF);
            let mut bytes = [_mm_setzero_si128(); 4];
            for (i, b) in bytes.iter_mut().enumerate() {
                *b = _mm_packus_epi16(_mm_and_si128(load(2 * i), low_byte), _mm_and_si128(load(2 * i + 1), low_byte));
            }
            split_bytes(bytes, planes.min(8), &mut out[..8]);
            if planes > 8 {
                for (i, b) in bytes.iter_mut().enumerate() {
                    *b = _mm_packus_epi16(_mm_srli_epi16(load(2 * i), 8), _mm_srli_epi16(load(2 * i + 1), 8));
                }
                split_bytes(bytes, planes - 8, &mut out[8..]);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        for (p, word) in out.iter_mut().enumerate().take(planes) {
            *word = magnitudes.iter().enumerate().fold(0, |bits, (i, m)| bits | u64::from(*m >> p & 1) << i);
        }
    }
}

/// Bits 0 .. `planes` of 64 bytes.
///
/// The top bit of every byte is gathered, then the bytes are doubled: bit 7 first, so the shifts below bring the
/// highest wanted bit to the top before the first gathering.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn split_bytes(mut bytes: [__m128i; 4], planes: usize, out: &mut [u64]) {
    // SAFETY: SSE2 is part of the x86-64 baseline.
    unsafe {
        // Each byte is below 2^planes, so a 16-bit shift moves nothing into the neighbouring byte.
        let up = _mm_cvtsi32_si128(8 - planes as i32);
        for b in &mut bytes {
            *b = _mm_sll_epi16(*b, up);
        }
        for p in (0..planes).rev() {
            let mut word = 0u64;
            for (i, b) in bytes.iter_mut().enumerate() {
                word |= u64::from(_mm_movemask_epi8(*b) as u32) << (16 * i);
                *b = _mm_add_epi8(*b, *b);
            }
            out[p] = word;
        }
    }
}

/// Magnitudes of 64 coefficients (modulo 2^16, planes `first & !15 ..`) from planes `lowest .. planes`.
#[inline(always)]
fn join_word(from: &BitPlanes, w: usize, lowest: usize, planes: usize, out: &mut [u16; 64]) {
    let base = if planes > 16 { 16 } else { 0 };
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of the x86-64 baseline; every store lies inside the 64 values.
        unsafe {
            let select = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
            let mut sums = [_mm_setzero_si128(); 8];
            for p in lowest..planes {
                let value = _mm_set1_epi16((1u16 << (p - base)) as i16);
                let word = from.planes[p][w].to_le_bytes();
                for (sum, byte) in sums.iter_mut().zip(word) {
                    let bits = _mm_and_si128(_mm_set1_epi16(i16::from(byte)), select);
                    *sum = _mm_or_si128(*sum, _mm_and_si128(_mm_cmpeq_epi16(bits, select), value));
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                _mm_storeu_si128(out.as_mut_ptr().add(8 * i).cast(), sum);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        for p in lowest..planes {
            let word = from.planes[p][w];
            for (i, sum) in out.iter_mut().enumerate() {
                *sum |= ((word >> i & 1) as u16) << (p - base);
            }
        }
    }
}

/// Magnitudes below 2^15 with the signs of a word.
#[inline(always)]
fn apply_signs(magnitudes: &[u16; 64], signs: u64) -> [i16; 64] {
    let mut out = [0i16; 64];
    for ((out, group), byte) in out.chunks_exact_mut(8).zip(magnitudes.chunks_exact(8)).zip(signs.to_le_bytes()) {
        for (i, (out, magnitude)) in out.iter_mut().zip(group).enumerate() {
            let mask = -i16::from(byte >> i & 1);
            *out = (*magnitude as i16 ^ mask).wrapping_sub(mask);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Coefficient>(values: &[T], planes: usize) {
        let mut store = BitPlanes::new();
        let mut handle = BitPlanesHandle(&mut store);
        T::to_planes(values, planes, &mut handle);
        for (i, v) in values.iter().enumerate() {
            let v = v.to_i32();
            for p in 0..planes {
                let bit = handle.0.planes[p][i / 64] >> (i % 64) & 1;
                assert_eq!(bit, u64::from(v.unsigned_abs() >> p & 1), "value {i} plane {p}");
            }
            assert_eq!(handle.0.signs[i / 64] >> (i % 64) & 1, u64::from(v < 0));
        }
        let mut back = vec![T::default(); values.len()];
        T::from_planes(&mut back, planes, 0, &handle);
        assert_eq!(back, values);
    }

    #[test]
    fn planes_hold_every_bit() {
        let mut seed = 1u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 32) as i32
        };
        for planes in 1..=15 {
            for len in [1, 63, 64, 65, 1000, BLOCK_VALUES] {
                let values: Vec<i16> = (0..len).map(|_| (next() >> (32 - planes - 1)) as i16).collect();
                let bits = 32 - i16::magnitude_bits(&values).leading_zeros();
                check(&values, bits.clamp(planes as u32, 15) as usize);
            }
        }
        for planes in 1..=32usize {
            let values: Vec<i32> = (0..777).map(|_| (i64::from(next()) >> (32 - planes)) as i32).collect();
            check(&values, planes);
        }
    }
}
