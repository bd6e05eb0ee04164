//! Rows of up to 32 coefficients as bits, for containers with small blocks: forward and inverse.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Coefficients of a row.
pub const ROW: usize = 32;

/// Signs and magnitude planes of a row: bit `x` of `planes[n]` is bit `n` of the magnitude of value `x`.
///
/// Planes from the length of the largest magnitude on are left as they are; the result is that length. A row has at
/// most 32 values; those behind its end are zero.
pub fn split_i16(row: &[i16], negative: &mut u32, planes: &mut [u32; ROW]) -> usize {
    if let Ok(full) = row.try_into() {
        return split_full(full, negative, planes);
    }
    let mut values = [0i16; ROW];
    values[..row.len()].copy_from_slice(row);
    split_full(&values, negative, planes)
}

#[cfg(target_arch = "x86_64")]
fn split_full(values: &[i16; ROW], negative: &mut u32, planes: &mut [u32; ROW]) -> usize {
    // SAFETY: SSE2 is part of the x86-64 baseline; the loads stay in the array of 32 values.
    unsafe {
        let at = values.as_ptr().cast::<__m128i>();
        let raw =
            [_mm_loadu_si128(at), _mm_loadu_si128(at.add(1)), _mm_loadu_si128(at.add(2)), _mm_loadu_si128(at.add(3))];
        let signs = raw.map(|v| _mm_srai_epi16(v, 15));
        let mut any = _mm_setzero_si128();
        let mut magnitudes = raw;
        for (m, s) in magnitudes.iter_mut().zip(signs) {
            *m = _mm_sub_epi16(_mm_xor_si128(*m, s), s);
            any = _mm_or_si128(any, *m);
        }
        if _mm_movemask_epi8(_mm_cmpeq_epi8(any, _mm_setzero_si128())) == 0xFFFF {
            *negative = 0;
            return 0;
        }
        // One bit of each of 32 words: packed to the sign of bytes.
        let gather = |v: [__m128i; 4]| {
            let low = _mm_movemask_epi8(_mm_packs_epi16(v[0], v[1])) as u32;
            let high = _mm_movemask_epi8(_mm_packs_epi16(v[2], v[3])) as u32;
            low | high << 16
        };
        *negative = gather(signs);
        let any = _mm_or_si128(any, _mm_srli_si128(any, 8));
        let any = _mm_or_si128(any, _mm_srli_si128(any, 4));
        let any = _mm_or_si128(any, _mm_srli_si128(any, 2));
        let top = 32 - (_mm_cvtsi128_si32(any) as u32 & 0xFFFF).leading_zeros() as usize;
        for (n, plane) in planes.iter_mut().enumerate().take(top) {
            let shift = _mm_cvtsi32_si128(15 - n as i32);
            *plane = gather(magnitudes.map(|m| _mm_sll_epi16(m, shift)));
        }
        top
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn split_full(values: &[i16; ROW], negative: &mut u32, planes: &mut [u32; ROW]) -> usize {
    split_i32(&values.map(i32::from), negative, planes)
}

/// As [`split_i16`], for 32-bit values.
pub fn split_i32(row: &[i32], negative: &mut u32, planes: &mut [u32; ROW]) -> usize {
    let any = row.iter().fold(0, |any, v| any | v.unsigned_abs());
    let top = 32 - any.leading_zeros() as usize;
    planes[..top].fill(0);
    *negative = 0;
    for (x, v) in row.iter().enumerate() {
        *negative |= u32::from(*v < 0) << x;
        let magnitude = v.unsigned_abs();
        for (n, plane) in planes.iter_mut().enumerate().take(top) {
            *plane |= (magnitude >> n & 1) << x;
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_split_as_their_values_say() {
        let mut x = 1u64;
        for round in 0..200 {
            let row: Vec<i32> = (0..1 + round % 32)
                .map(|_| {
                    x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let v = (x >> 40) as i16;
                    i32::from(if round == 7 { i16::MIN } else { v >> (round % 16) })
                })
                .collect();
            let narrow: Vec<i16> = row.iter().map(|v| *v as i16).collect();
            let (mut a, mut b) = ([0; ROW], [0; ROW]);
            let (mut na, mut nb) = (7, 9);
            let tops = (split_i16(&narrow, &mut na, &mut a), split_i32(&row, &mut nb, &mut b));
            assert_eq!((tops.0, na, a), (tops.1, nb, b));
            for (i, v) in row.iter().enumerate() {
                let magnitude: u32 = (0..tops.0).map(|n| (a[n] >> i & 1) << n).sum();
                assert_eq!((magnitude, na >> i & 1 == 1), (v.unsigned_abs(), *v < 0));
            }
        }
    }
}
