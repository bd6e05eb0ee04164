//! From the coefficients of MCUs to samples.

use super::headers::ZIGZAG;
use super::idct;
use super::idct8::{self, Placed};
use super::scan::Plane;

/// How the blocks of one component become samples.
pub(super) struct Transform {
    /// Blocks of an MCU across and down.
    pub across: usize,
    pub down: usize,
    /// Samples that a block gives across and down: 1, 2, 4 or 8.
    pub side: usize,
    /// Quantization of the coefficients wanted, row by row.
    pub quantizer: [i32; 64],
    /// The DC coefficient of the block before.
    pub last_dc: i32,
}

impl Transform {
    /// From a quantization table in zigzag order.
    pub fn new(across: usize, down: usize, side: usize, quantizer: &[u16; 64]) -> Transform {
        let mut by_rows = [0; 64];
        for (n, value) in quantizer.iter().enumerate() {
            if let Some(place) = place(n, side) {
                by_rows[place] = i32::from(*value);
            }
        }
        Transform { across, down, side, quantizer: by_rows, last_dc: 0 }
    }
}

/// Where the n-th coefficient of the zigzag stands among the first `side` of `side` rows; `None` outside.
pub(super) fn place(n: usize, side: usize) -> Option<usize> {
    let (u, v) = (usize::from(ZIGZAG[n]) % 8, usize::from(ZIGZAG[n]) / 8);
    (u < side && v < side).then_some(side * v + u)
}

/// Coefficients that a block of `side` samples keeps: those, one place for all others, and what keeps them aligned.
pub(super) const fn size(side: usize) -> usize {
    side * side
        + if side == 1 {
            1
        } else if side == 2 {
            4
        } else {
            8
        }
}

/// Whole MCUs, one behind the other.
pub(super) struct Mcus<'a> {
    pub values: &'a [i16],
    /// Which of the picture the first is.
    pub first: usize,
    /// How many there are to a row.
    pub row: usize,
    /// How many there are between restarts.
    pub interval: usize,
}

/// Transforms them and puts the samples where they belong.
pub(super) fn transform(mcus: &Mcus<'_>, transforms: &mut [Transform], planes: &mut [Plane]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        unsafe {
            transform_avx2(mcus, transforms, planes)
        };
        return;
    }
    transform_all(mcus, transforms, planes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn transform_avx2(mcus: &Mcus<'_>, transforms: &mut [Transform], planes: &mut [Plane]) {
    transform_all(mcus, transforms, planes);
}

#[inline(always)]
fn transform_all(mcus: &Mcus<'_>, transforms: &mut [Transform], planes: &mut [Plane]) {
    let whole: usize = transforms.iter().map(|t| t.across * t.down * size(t.side)).sum();
    let mut offset = 0;
    for (t, plane) in transforms.iter_mut().zip(planes) {
        match t.side {
            8 => full(mcus, offset, whole, t, plane),
            4 => component::<4, { size(4) }, 64>(mcus, offset, whole, t, plane),
            2 => component::<2, { size(2) }, 32>(mcus, offset, whole, t, plane),
            _ => component::<1, { size(1) }, 16>(mcus, offset, whole, t, plane),
        }
        offset += t.across * t.down * size(t.side);
    }
}

/// The blocks of one component, which begin in each MCU at `offset` of `whole`; `LANES` samples are next to each other in
/// the widest group.
///
/// Transforms are loops over the columns or rows of many blocks, which the compiler turns into vectors.
#[inline(always)]
fn component<const SIDE: usize, const SIZE: usize, const LANES: usize>(
    mcus: &Mcus<'_>,
    offset: usize,
    whole: usize,
    transform: &mut Transform,
    plane: &mut Plane,
) {
    let &mut Transform { across, down, ref quantizer, ref mut last_dc, .. } = transform;
    let (mut done, count) = (0, mcus.values.len() / whole);
    let mut coefficients = [[[0; LANES]; SIDE]; 2];
    let mut samples = [[0; LANES]; SIDE];
    while done < count {
        let (column, row) = ((mcus.first + done) % mcus.row, (mcus.first + done) / mcus.row);
        let group = (LANES / across / SIDE).min(count - done).min(mcus.row - column);
        for (n, mcu) in mcus.values[done * whole..].chunks_exact(whole).take(group).enumerate() {
            if (mcus.first + done + n).is_multiple_of(mcus.interval) {
                *last_dc = 0;
            }
            for (y, line) in coefficients.iter_mut().take(down).enumerate() {
                for x in 0..across {
                    let begin = offset + (y * across + x) * SIZE;
                    let values: &[i16; SIZE] = mcu[begin..begin + SIZE].try_into().expect("as many");
                    let left = (n * across + x) * SIDE;
                    for v in 0..SIDE {
                        for u in 0..SIDE {
                            let value = i32::from(values[SIDE * v + u]);
                            line[v][left + u] = value.wrapping_mul(quantizer[SIDE * v + u]);
                        }
                    }
                    *last_dc = last_dc.wrapping_add(i32::from(values[0]));
                    line[0][left] = last_dc.wrapping_mul(quantizer[0]);
                }
            }
        }
        for (y, line) in coefficients.iter().take(down).enumerate() {
            idct::inverse(line, &mut samples);
            let (left, top) = (column * across * SIDE, (row * down + y) * SIDE);
            for (samples, out) in samples.iter().zip(plane.samples[top * plane.stride..].chunks_mut(plane.stride)) {
                let width = group * across * SIDE;
                out[left..left + width].copy_from_slice(&samples[..width]);
            }
        }
        done += group;
    }
}

/// Blocks that are transformed in one call.
const BLOCKS: usize = 32;

/// The same for blocks of all their samples.
#[inline(always)]
fn full(mcus: &Mcus<'_>, offset: usize, whole: usize, transform: &mut Transform, plane: &mut Plane) {
    let Transform { across, down, quantizer, last_dc, .. } = transform;
    let quantizer = quantizer.map(|value| value as i16);
    let Some(first) = mcus.values.first_chunk() else { return };
    let mut blocks = [Placed { values: first, dc: 0, at: 0 }; BLOCKS];
    let mut count = 0;
    let (mut column, mut row) = (mcus.first % mcus.row, mcus.first / mcus.row);
    let mut to_restart = (mcus.interval - mcus.first % mcus.interval) % mcus.interval;
    for mcu in mcus.values.chunks_exact(whole) {
        if to_restart == 0 {
            (to_restart, *last_dc) = (mcus.interval, 0);
        }
        to_restart -= 1;
        let mut values = mcu[offset..].chunks_exact(size(8));
        for y in 0..*down {
            let line = (row * *down + y) * 8 * plane.stride;
            for (x, values) in (0..*across).zip(&mut values) {
                *last_dc = last_dc.wrapping_add(i32::from(values[0]));
                let values = values.first_chunk().expect("size is larger");
                blocks[count] = Placed { values, dc: *last_dc as i16, at: line + (column * *across + x) * 8 };
                count += 1;
                if count == BLOCKS {
                    idct8::inverse(&blocks, &quantizer, &mut plane.samples, plane.stride);
                    count = 0;
                }
            }
        }
        column += 1;
        if column == mcus.row {
            (column, row) = (0, row + 1);
        }
    }
    idct8::inverse(&blocks[..count], &quantizer, &mut plane.samples, plane.stride);
}
