//! The inverse cosine transform of 8 x 8 coefficients to as many samples.
//!
//! It computes what the accurate integer transform of the Independent JPEG Group computes, bit for bit (Loeffler,
//! Ligtenberg and Moschytz 1989, 13-bit constants). Values between the passes have 16 bits, as in the vector code of
//! that library's descendants; coefficients so large that this shows are in broken files only.

/// Bits of the constants.
const CONSTANT: i32 = 13;
/// Bits that the first pass keeps.
const KEPT: i32 = 2;
/// Bits that each pass drops.
const FIRST: i32 = CONSTANT - KEPT;
const SECOND: i32 = CONSTANT + KEPT + 3;

const fn fixed(value: f64) -> i16 {
    (value * (1 << CONSTANT) as f64 + if value < 0.0 { -0.5 } else { 0.5 }) as i16
}

/// Factors of pairs of coefficients, so that a sum of two products is one instruction: the rotations of the flow graph
/// multiplied out. Differences of rounded constants, not rounded differences, as the flow graph has it.
type Pair = [i16; 2];
/// Of coefficients 2 and 6, to what the outer and the inner samples add.
const EVEN_OUTER: Pair = [fixed(0.541196100) + fixed(0.765366865), fixed(0.541196100)];
const EVEN_INNER: Pair = [fixed(0.541196100), fixed(0.541196100) - fixed(1.847759065)];
/// Of the sums 7 + 3 and 5 + 1.
const CROSS_A: Pair = [fixed(1.175875602) - fixed(1.961570560), fixed(1.175875602)];
const CROSS_B: Pair = [fixed(1.175875602), fixed(1.175875602) - fixed(0.390180644)];
/// Of coefficients 7 and 1.
const OUTER_7: Pair = [fixed(0.298631336) - fixed(0.899976223), -fixed(0.899976223)];
const OUTER_1: Pair = [-fixed(0.899976223), fixed(1.501321110) - fixed(0.899976223)];
/// Of coefficients 5 and 3.
const INNER_5: Pair = [fixed(2.053119869) - fixed(2.562915447), -fixed(2.562915447)];
const INNER_3: Pair = [-fixed(2.562915447), fixed(3.072711026) - fixed(2.562915447)];

/// A block and where its samples go.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    /// Coefficients row by row, the first of them not to be used.
    pub values: &'a [i16; 64],
    /// The first.
    pub dc: i16,
    /// Of the first sample, in the plane.
    pub at: usize,
}

/// Dequantizes and transforms blocks and puts their samples into a plane with so many samples to a row.
pub(super) fn inverse(blocks: &[Placed<'_>], quantizer: &[i16; 64], plane: &mut [u8], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        unsafe {
            vector::inverse(blocks, quantizer, plane, stride)
        };
        return;
    }
    for block in blocks {
        let samples = plain(block.values, block.dc, quantizer);
        for (line, out) in samples.iter().zip(plane[block.at..].chunks_mut(stride)) {
            out[..8].copy_from_slice(line);
        }
    }
}

/// One block, without instructions beyond the baseline.
pub(super) fn plain(values: &[i16; 64], dc: i16, quantizer: &[i16; 64]) -> [[u8; 8]; 8] {
    let mut rows = [[0; 8]; 8];
    for (row, (values, quantizer)) in rows.iter_mut().zip(values.as_chunks::<8>().0.iter().zip(quantizer.as_chunks().0))
    {
        *row = products(values, quantizer);
    }
    rows[0][0] = dc.wrapping_mul(quantizer[0]);
    let columns = transposed(&pass::<FIRST>(&rows));
    transposed(&pass::<SECOND>(&columns)).map(|row| row.map(|v| (v.clamp(-128, 127) + 128) as u8))
}

fn products(values: &[i16; 8], quantizer: &[i16; 8]) -> [i16; 8] {
    std::array::from_fn(|u| values[u].wrapping_mul(quantizer[u]))
}

fn transposed(rows: &[[i16; 8]; 8]) -> [[i16; 8]; 8] {
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

/// Transforms each column; results are shifted down by `SHIFT`, rounded.
fn pass<const SHIFT: i32>(rows: &[[i16; 8]; 8]) -> [[i16; 8]; 8] {
    let mut out = [[0; 8]; 8];
    for x in 0..8 {
        let c: [i16; 8] = std::array::from_fn(|v| rows[v][x]);
        let sum = |a: i16, b: i16, [of_a, of_b]: Pair| {
            let (a, b) = (i32::from(a) * i32::from(of_a), i32::from(b) * i32::from(of_b));
            a.wrapping_add(b)
        };
        let scaled = |v: i16| (i32::from(v) << CONSTANT) + (1 << (SHIFT - 1));
        let (t0, t1) = (scaled(c[0].wrapping_add(c[4])), scaled(c[0].wrapping_sub(c[4])));
        let (outer, inner) = (sum(c[2], c[6], EVEN_OUTER), sum(c[2], c[6], EVEN_INNER));
        let even = [t0.wrapping_add(outer), t1.wrapping_add(inner), t1.wrapping_sub(inner), t0.wrapping_sub(outer)];
        let (z3, z4) = (c[7].wrapping_add(c[3]), c[5].wrapping_add(c[1]));
        let (a, b) = (sum(z3, z4, CROSS_A), sum(z3, z4, CROSS_B));
        let odd = [
            sum(c[7], c[1], OUTER_1).wrapping_add(b),
            sum(c[5], c[3], INNER_3).wrapping_add(a),
            sum(c[5], c[3], INNER_5).wrapping_add(b),
            sum(c[7], c[1], OUTER_7).wrapping_add(a),
        ];
        let saturated = |v: i32| (v >> SHIFT).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        for y in 0..4 {
            out[y][x] = saturated(even[y].wrapping_add(odd[y]));
            out[7 - y][x] = saturated(even[y].wrapping_sub(odd[y]));
        }
    }
    out
}

/// The same with AVX2, two blocks at a time: one in each half of the registers, which hold a row each.
#[cfg(target_arch = "x86_64")]
mod vector {
    use super::*;
    use std::arch::x86_64::*;

    type Rows = [__m256i; 8];

    #[target_feature(enable = "avx2")]
    pub(super) fn inverse(blocks: &[Placed<'_>], quantizer: &[i16; 64], plane: &mut [u8], stride: usize) {
        let quantizer: [&[i16; 8]; 8] = std::array::from_fn(|y| &quantizer.as_chunks().0[y]);
        let quantizer = quantizer.map(|row| _mm256_broadcastsi128_si256(load(row)));
        for pair in blocks.chunks(2) {
            // An odd last one is done twice.
            let (a, b) = (pair[0], pair[pair.len() - 1]);
            let (lines_a, lines_b) = (a.values.as_chunks::<8>().0, b.values.as_chunks::<8>().0);
            let mut rows = [_mm256_setzero_si256(); 8];
            for (y, row) in rows.iter_mut().enumerate() {
                *row = _mm256_inserti128_si256(_mm256_castsi128_si256(load(&lines_a[y])), load(&lines_b[y]), 1);
            }
            rows[0] = _mm256_insert_epi16(_mm256_insert_epi16(rows[0], a.dc, 0), b.dc, 8);
            for (row, quantizer) in rows.iter_mut().zip(&quantizer) {
                *row = _mm256_mullo_epi16(*row, *quantizer);
            }
            let samples = bytes(pass::<SECOND>(transposed(pass::<FIRST>(rows))));
            for (y, rows) in samples.into_iter().enumerate() {
                let mut put = |at: usize, line: i64| plane[at..at + 8].copy_from_slice(&line.to_le_bytes());
                put(a.at + 2 * y * stride, _mm256_extract_epi64(rows, 0));
                put(a.at + (2 * y + 1) * stride, _mm256_extract_epi64(rows, 1));
                put(b.at + 2 * y * stride, _mm256_extract_epi64(rows, 2));
                put(b.at + (2 * y + 1) * stride, _mm256_extract_epi64(rows, 3));
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(row: &[i16; 8]) -> __m128i {
        // SAFETY: a load of an array of 16 bytes.
        #[allow(unsafe_code)]
        unsafe {
            _mm_loadu_si128(row.as_ptr().cast())
        }
    }

    /// Sums of two products of the lower and of the upper four of each eight.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sum(a: __m256i, b: __m256i, [of_a, of_b]: Pair) -> [__m256i; 2] {
        let factors = _mm256_set1_epi32(i32::from(of_a as u16) | i32::from(of_b) << 16);
        [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)].map(|both| _mm256_madd_epi16(both, factors))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn pass<const SHIFT: i32>(c: Rows) -> Rows {
        let zero = _mm256_setzero_si256();
        let half = _mm256_set1_epi32(1 << (SHIFT - 1));
        // The value in the upper half of 32 bits, shifted back in part.
        let scaled = |v| {
            [_mm256_unpacklo_epi16(zero, v), _mm256_unpackhi_epi16(zero, v)]
                .map(|v| _mm256_add_epi32(_mm256_srai_epi32(v, 16 - CONSTANT), half))
        };
        let (t0, t1) = (scaled(_mm256_add_epi16(c[0], c[4])), scaled(_mm256_sub_epi16(c[0], c[4])));
        let (outer, inner) = (sum(c[2], c[6], EVEN_OUTER), sum(c[2], c[6], EVEN_INNER));
        let (z3, z4) = (_mm256_add_epi16(c[7], c[3]), _mm256_add_epi16(c[5], c[1]));
        let (a, b) = (sum(z3, z4, CROSS_A), sum(z3, z4, CROSS_B));
        let plus = |a: [__m256i; 2], b: [__m256i; 2]| [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])];
        let minus = |a: [__m256i; 2], b: [__m256i; 2]| [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])];
        let even = [plus(t0, outer), plus(t1, inner), minus(t1, inner), minus(t0, outer)];
        let odd = [
            plus(sum(c[7], c[1], OUTER_1), b),
            plus(sum(c[5], c[3], INNER_3), a),
            plus(sum(c[5], c[3], INNER_5), b),
            plus(sum(c[7], c[1], OUTER_7), a),
        ];
        let saturated = |[low, high]: [__m256i; 2]| {
            _mm256_packs_epi32(_mm256_srai_epi32(low, SHIFT), _mm256_srai_epi32(high, SHIFT))
        };
        let mut out = [zero; 8];
        for y in 0..4 {
            out[y] = saturated(plus(even[y], odd[y]));
            out[7 - y] = saturated(minus(even[y], odd[y]));
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed(r: Rows) -> Rows {
        let (low, high) = (|a, b| _mm256_unpacklo_epi16(a, b), |a, b| _mm256_unpackhi_epi16(a, b));
        // Each round interleaves the upper half of the rows with the lower one.
        let round = |r: Rows| {
            [
                low(r[0], r[4]),
                high(r[0], r[4]),
                low(r[1], r[5]),
                high(r[1], r[5]),
                low(r[2], r[6]),
                high(r[2], r[6]),
                low(r[3], r[7]),
                high(r[3], r[7]),
            ]
        };
        round(round(round(r)))
    }

    /// Columns of values to rows of samples, two of each block in each register.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn bytes(c: Rows) -> [__m256i; 4] {
        let packed = [[0, 2], [1, 3], [4, 6], [5, 7]].map(|[a, b]: [usize; 2]| _mm256_packs_epi16(c[a], c[b]));
        let four = |a, b| {
            let (ab, cd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            [_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd)]
        };
        let (left, right) = (four(packed[0], packed[1]), four(packed[2], packed[3]));
        [
            _mm256_unpacklo_epi32(left[0], right[0]),
            _mm256_unpackhi_epi32(left[0], right[0]),
            _mm256_unpacklo_epi32(left[1], right[1]),
            _mm256_unpackhi_epi32(left[1], right[1]),
        ]
        .map(|rows| _mm256_xor_si256(rows, _mm256_set1_epi8(-128)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::idct::tests::{definition, noise};
    use super::*;

    #[test]
    fn the_transform_is_its_definition() {
        for seed in 0..200 {
            for most in [1, 4, 8] {
                let coefficients = noise(seed, most);
                let values = coefficients.map(|v| v as i16);
                let samples = plain(&values, values[0], &[1; 64]);
                for (y, line) in samples.iter().enumerate() {
                    for (x, found) in line.iter().enumerate() {
                        let exact = definition(&coefficients, 8, x, y).clamp(0.0, 255.0);
                        assert!((exact - f64::from(*found)).abs() < 1.1, "{found} where {exact} is exact");
                    }
                }
            }
        }
    }

    /// Coefficients of any size, more of them small ones; an odd number of blocks, beside each other.
    #[test]
    fn vectors_give_the_same_samples() {
        let mut state = 5u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let (value, scale) = ((state >> 48) as i16, state >> 40 & 15);
            value >> scale
        };
        for _ in 0..500 {
            let quantizer: [i16; 64] = std::array::from_fn(|_| random() & 255);
            let values: [[i16; 64]; 5] = std::array::from_fn(|_| std::array::from_fn(|_| random()));
            let blocks: Vec<Placed<'_>> =
                values.iter().enumerate().map(|(n, values)| Placed { values, dc: random(), at: 8 * n }).collect();
            let mut plane = vec![0; 8 * 40];
            inverse(&blocks, &quantizer, &mut plane, 40);
            for block in blocks {
                for (y, line) in plain(block.values, block.dc, &quantizer).iter().enumerate() {
                    assert_eq!(plane[40 * y + block.at..][..8], *line);
                }
            }
        }
    }
}
