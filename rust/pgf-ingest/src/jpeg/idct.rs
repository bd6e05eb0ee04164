//! Inverse cosine transforms of 8 x 8 coefficients to 8 x 8, 4 x 4, 2 x 2 or 1 sample.
//!
//! The large one computes what the Independent JPEG Group's accurate integer transform computes, bit for bit (Loeffler,
//! Ligtenberg and Moschytz 1989, 13-bit constants). The small ones are transforms of so many points over the lowest
//! frequencies: the picture at a half, a quarter, an eighth of its size without having been larger.

/// Bits of the constants.
const CONSTANT: i32 = 13;
/// Bits that the first pass keeps.
const KEPT: i32 = 2;

const fn fixed(value: f64) -> i32 {
    (value * (1 << CONSTANT) as f64 + 0.5) as i32
}

type Lanes = [i32; 8];

#[inline(always)]
fn each(f: impl Fn(usize) -> i32) -> Lanes {
    let mut lanes = [0; 8];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = f(i);
    }
    lanes
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    each(|i| a[i].wrapping_add(b[i]))
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    each(|i| a[i].wrapping_sub(b[i]))
}

#[inline(always)]
fn times(a: Lanes, factor: i32) -> Lanes {
    each(|i| a[i].wrapping_mul(factor))
}

/// One pass over eight columns at once; rows from `ROWS` on are zero. The result is shifted down by `SHIFT`, rounded.
#[inline(always)]
fn pass<const ROWS: usize, const SHIFT: i32>(rows: [Lanes; 8]) -> [Lanes; 8] {
    let row = |n: usize| if n < ROWS { rows[n] } else { [0; 8] };
    let z1 = times(add(row(2), row(6)), fixed(0.541196100));
    let t2 = sub(z1, times(row(6), fixed(1.847759065)));
    let t3 = add(z1, times(row(2), fixed(0.765366865)));
    let t0 = times(add(row(0), row(4)), 1 << CONSTANT);
    let t1 = times(sub(row(0), row(4)), 1 << CONSTANT);
    let even = [add(t0, t3), add(t1, t2), sub(t1, t2), sub(t0, t3)];
    let (o0, o1, o2, o3) = (row(7), row(5), row(3), row(1));
    let (z1, z2, z3, z4) = (add(o0, o3), add(o1, o2), add(o0, o2), add(o1, o3));
    let z5 = times(add(z3, z4), fixed(1.175875602));
    let z1 = times(z1, -fixed(0.899976223));
    let z2 = times(z2, -fixed(2.562915447));
    let z3 = add(times(z3, -fixed(1.961570560)), z5);
    let z4 = add(times(z4, -fixed(0.390180644)), z5);
    let o0 = add(times(o0, fixed(0.298631336)), add(z1, z3));
    let o1 = add(times(o1, fixed(2.053119869)), add(z2, z4));
    let o2 = add(times(o2, fixed(3.072711026)), add(z2, z3));
    let o3 = add(times(o3, fixed(1.501321110)), add(z1, z4));
    let odd = [o3, o2, o1, o0];
    let round = |v: Lanes| each(|i| v[i].wrapping_add(1 << (SHIFT - 1)) >> SHIFT);
    std::array::from_fn(|n| if n < 4 { round(add(even[n], odd[n])) } else { round(sub(even[7 - n], odd[7 - n])) })
}

#[inline(always)]
fn transposed(rows: [Lanes; 8]) -> [Lanes; 8] {
    let mut out = [[0; 8]; 8];
    for (x, row) in rows.iter().enumerate() {
        for (line, value) in out.iter_mut().zip(row) {
            line[x] = *value;
        }
    }
    out
}

#[inline(always)]
fn sample(value: i32) -> u8 {
    value.wrapping_add(128).clamp(0, 255) as u8
}

/// 8 x 8 samples into `out`, whose rows are `stride` apart; coefficients outside the first `ROWS` rows and columns are
/// zero.
#[inline(always)]
pub(super) fn full<const ROWS: usize>(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
    let mut rows = [[0; 8]; 8];
    for (row, values) in rows.iter_mut().zip(coefficients.chunks_exact(8)) {
        row.copy_from_slice(values);
    }
    let columns = pass::<ROWS, { CONSTANT - KEPT }>(rows);
    let samples = transposed(pass::<ROWS, { CONSTANT + KEPT + 3 }>(transposed(columns)));
    for (y, row) in samples.iter().enumerate() {
        let mut line = [0; 8];
        for (slot, value) in line.iter_mut().zip(row) {
            *slot = sample(*value);
        }
        out[y * stride..y * stride + 8].copy_from_slice(&line);
    }
}

/// 4 x 4 samples.
#[inline(always)]
pub(super) fn half(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
    let line = |c: [i32; 4]| -> [i32; 4] {
        let (t0, t1) = (c[0].wrapping_add(c[2]) << 2, c[0].wrapping_sub(c[2]) << 2);
        let odd = |a: i32, b: i32| {
            let sum = a.wrapping_mul(fixed(1.306562965)).wrapping_add(b.wrapping_mul(fixed(0.541196100)));
            sum.wrapping_add(1 << (CONSTANT - 3)) >> (CONSTANT - 2)
        };
        let o0 = odd(c[1], c[3]);
        let back = c[1].wrapping_mul(fixed(0.541196100)).wrapping_sub(c[3].wrapping_mul(fixed(1.306562965)));
        let o1 = back.wrapping_add(1 << (CONSTANT - 3)) >> (CONSTANT - 2);
        [t0.wrapping_add(o0), t1.wrapping_add(o1), t1.wrapping_sub(o1), t0.wrapping_sub(o0)]
    };
    let mut columns = [[0; 4]; 4];
    for x in 0..4 {
        let column = line(std::array::from_fn(|y| coefficients[8 * y + x]));
        for y in 0..4 {
            columns[y][x] = column[y];
        }
    }
    for (y, row) in columns.into_iter().enumerate() {
        // Each pass scaled by 4, the transform wants an eighth.
        let row = line(row).map(|v| sample(v.wrapping_add(64) >> 7));
        out[y * stride..y * stride + 4].copy_from_slice(&row);
    }
}

/// 2 x 2 samples.
#[inline(always)]
pub(super) fn quarter(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
    let [dc, across, down, both] = [coefficients[0], coefficients[1], coefficients[8], coefficients[9]];
    let (left, right) = (dc.wrapping_add(across), dc.wrapping_sub(across));
    let (rising, falling) = (down.wrapping_add(both), down.wrapping_sub(both));
    let round = |v: i32| sample(v.wrapping_add(4) >> 3);
    out[0] = round(left.wrapping_add(rising));
    out[1] = round(right.wrapping_add(falling));
    out[stride] = round(left.wrapping_sub(rising));
    out[stride + 1] = round(right.wrapping_sub(falling));
}

/// One sample, the mean, from the DC coefficient.
#[inline(always)]
pub(super) fn mean(dc: i32) -> u8 {
    sample(dc.wrapping_add(4) >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The definition: an orthonormal transform of `n` points over the lowest frequencies, scaled to keep the mean.
    fn definition(coefficients: &[i32; 64], n: usize, x: usize, y: usize) -> f64 {
        let weight = |u: usize| if u == 0 { (1.0 / n as f64).sqrt() } else { (2.0 / n as f64).sqrt() };
        let wave = |u: usize, x: usize| weight(u) * ((2 * x + 1) as f64 * u as f64 * PI / (2 * n) as f64).cos();
        let mut sum = 0.0;
        for v in 0..n {
            for u in 0..n {
                sum += f64::from(coefficients[8 * v + u]) * wave(u, x) * wave(v, y);
            }
        }
        sum * n as f64 / 8.0 + 128.0
    }

    fn noise(seed: u64, most: usize) -> [i32; 64] {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::array::from_fn(|i| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let range = if i == 0 { 800 } else { 90 };
            if i % 8 < most && i / 8 < most { (state % (2 * range + 1)) as i32 - range as i32 } else { 0 }
        })
    }

    #[test]
    fn transforms_are_their_definitions() {
        for seed in 0..200 {
            for (n, most) in [(8, 8), (8, 4), (4, 8), (2, 8), (1, 8)] {
                let coefficients = noise(seed, most);
                let mut out = [0; 64];
                match (n, most) {
                    (8, 4) => full::<4>(&coefficients, &mut out, 8),
                    (8, _) => full::<8>(&coefficients, &mut out, 8),
                    (4, _) => half(&coefficients, &mut out, 8),
                    (2, _) => quarter(&coefficients, &mut out, 8),
                    _ => out[0] = mean(coefficients[0]),
                }
                for y in 0..n {
                    for x in 0..n {
                        let exact = definition(&coefficients, n, x, y).clamp(0.0, 255.0);
                        let found = f64::from(out[8 * y + x]);
                        assert!((exact - found).abs() < 1.1, "{n}: {found} where {exact} is exact");
                    }
                }
            }
        }
    }
}
