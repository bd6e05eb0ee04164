//! Inverse cosine transforms of 8 x 8 coefficients to 4 x 4, 2 x 2 or 1 sample: transforms of so many points over the
//! lowest frequencies. They give the picture at a half, a quarter, an eighth of its size without having been larger.

/// Bits of the constants.
const CONSTANT: i32 = 13;
const fn fixed(value: f64) -> i32 {
    (value * (1 << CONSTANT) as f64 + 0.5) as i32
}

/// One pass of the transform of four points, scaled by 4; results are shifted down by `SHIFT`, rounded.
#[inline(always)]
fn four<const SHIFT: i32>(c: [i32; 4]) -> [i32; 4] {
    let (t0, t1) = (c[0].wrapping_add(c[2]) << 2, c[0].wrapping_sub(c[2]) << 2);
    let (small, large) = (fixed(0.541196100), fixed(1.306562965));
    let odd = |sum: i32| sum.wrapping_add(1 << (CONSTANT - 3)) >> (CONSTANT - 2);
    let o0 = odd(c[1].wrapping_mul(large).wrapping_add(c[3].wrapping_mul(small)));
    let o1 = odd(c[1].wrapping_mul(small).wrapping_sub(c[3].wrapping_mul(large)));
    let round = |v: i32| if SHIFT > 0 { v.wrapping_add(1 << (SHIFT - 1)) >> SHIFT } else { v };
    [round(t0.wrapping_add(o0)), round(t1.wrapping_add(o1)), round(t1.wrapping_sub(o1)), round(t0.wrapping_sub(o0))]
}

/// The rows of every block become its columns.
///
/// Each round interleaves the upper half of the rows with the lower one, which is a shuffle or two of vectors.
#[inline(always)]
fn transpose<const SIDE: usize, const LANES: usize>(from: &[[i32; LANES]; SIDE], to: &mut [[i32; LANES]; SIDE]) {
    for left in (0..LANES).step_by(SIDE) {
        let mut block = [[0; SIDE]; SIDE];
        for (line, row) in block.iter_mut().zip(from) {
            line.copy_from_slice(&row[left..left + SIDE]);
        }
        for _ in 0..SIDE.ilog2() {
            let mut next = [[0; SIDE]; SIDE];
            for i in 0..SIDE / 2 {
                for j in 0..SIDE / 2 {
                    next[2 * i][2 * j] = block[i][j];
                    next[2 * i][2 * j + 1] = block[i + SIDE / 2][j];
                    next[2 * i + 1][2 * j] = block[i][j + SIDE / 2];
                    next[2 * i + 1][2 * j + 1] = block[i + SIDE / 2][j + SIDE / 2];
                }
            }
            block = next;
        }
        for (line, row) in block.iter().zip(to.iter_mut()) {
            row[left..left + SIDE].copy_from_slice(line);
        }
    }
}

/// Samples of blocks that are next to each other, `SIDE` lanes each, from as many coefficients.
#[inline(always)]
pub(super) fn inverse<const SIDE: usize, const LANES: usize>(
    coefficients: &[[i32; LANES]; SIDE],
    samples: &mut [[u8; LANES]; SIDE],
) {
    let mut first = [[0; LANES]; SIDE];
    let mut second = [[0; LANES]; SIDE];
    match SIDE {
        4 => {
            for x in 0..LANES {
                put(pass::<SIDE, false>(&get(coefficients, x)), &mut first, x);
            }
            transpose(&first, &mut second);
            for x in 0..LANES {
                put(pass::<SIDE, true>(&get(&second, x)), &mut first, x);
            }
            transpose(&first, &mut second);
        }
        2 => {
            for left in (0..LANES).step_by(2) {
                let [dc, across, down, both] = [
                    coefficients[0][left],
                    coefficients[0][left + 1],
                    coefficients[1][left],
                    coefficients[1][left + 1],
                ];
                let (near, far) = (dc.wrapping_add(across), dc.wrapping_sub(across));
                let (rising, falling) = (down.wrapping_add(both), down.wrapping_sub(both));
                let round = |v: i32| v.wrapping_add(4) >> 3;
                second[0][left] = round(near.wrapping_add(rising));
                second[0][left + 1] = round(far.wrapping_add(falling));
                second[1][left] = round(near.wrapping_sub(rising));
                second[1][left + 1] = round(far.wrapping_sub(falling));
            }
        }
        _ => {
            for x in 0..LANES {
                second[0][x] = coefficients[0][x].wrapping_add(4) >> 3;
            }
        }
    }
    for (line, values) in samples.iter_mut().zip(&second) {
        for (sample, value) in line.iter_mut().zip(values) {
            *sample = value.wrapping_add(128).clamp(0, 255) as u8;
        }
    }
}

#[inline(always)]
fn get<const SIDE: usize, const LANES: usize>(lines: &[[i32; LANES]; SIDE], x: usize) -> [i32; SIDE] {
    let mut column = [0; SIDE];
    for (value, line) in column.iter_mut().zip(lines) {
        *value = line[x];
    }
    column
}

#[inline(always)]
fn put<const SIDE: usize, const LANES: usize>(column: [i32; SIDE], lines: &mut [[i32; LANES]; SIDE], x: usize) {
    for (value, line) in column.into_iter().zip(lines) {
        line[x] = value;
    }
}

/// One pass over a column, the second where `LAST`.
#[inline(always)]
fn pass<const SIDE: usize, const LAST: bool>(column: &[i32; SIDE]) -> [i32; SIDE] {
    let mut out = [0; SIDE];
    if let Some(column) = column.first_chunk::<4>() {
        // Both scaled by 4, the transform wants an eighth.
        out.copy_from_slice(&if LAST { four::<7>(*column) } else { four::<0>(*column) });
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The definition: an orthonormal transform of `n` points over the lowest frequencies, scaled to keep the mean.
    pub(in super::super) fn definition(coefficients: &[i32; 64], n: usize, x: usize, y: usize) -> f64 {
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

    pub(in super::super) fn noise(seed: u64, most: usize) -> [i32; 64] {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::array::from_fn(|i| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let range = if i == 0 { 800 } else { 90 };
            if i % 8 < most && i / 8 < most { (state % (2 * range + 1)) as i32 - range as i32 } else { 0 }
        })
    }

    /// The second of two blocks, whose neighbour is of other coefficients.
    fn samples<const SIDE: usize>(coefficients: &[i32; 64]) -> Vec<u8> {
        let mut lines = [[77; 16]; SIDE];
        for (y, line) in lines.iter_mut().enumerate() {
            line[SIDE..2 * SIDE].copy_from_slice(&coefficients[8 * y..8 * y + SIDE]);
        }
        let mut out = [[0; 16]; SIDE];
        inverse(&lines, &mut out);
        out.iter().flat_map(|line| line[SIDE..2 * SIDE].to_vec()).collect()
    }

    #[test]
    fn transforms_are_their_definitions() {
        for seed in 0..200 {
            for (n, most) in [(4, 8), (4, 2), (2, 8), (1, 8)] {
                let coefficients = noise(seed, most);
                let out = match n {
                    4 => samples::<4>(&coefficients),
                    2 => samples::<2>(&coefficients),
                    _ => samples::<1>(&coefficients),
                };
                for y in 0..n {
                    for x in 0..n {
                        let exact = definition(&coefficients, n, x, y).clamp(0.0, 255.0);
                        let found = f64::from(out[n * y + x]);
                        assert!((exact - found).abs() < 1.1, "{n}: {found} where {exact} is exact");
                    }
                }
            }
        }
    }
}
