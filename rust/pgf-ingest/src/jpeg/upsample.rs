//! From planes to interleaved pixels: chroma enlarged by a triangle filter, then made into RGB.
//!
//! All of it computes what the Independent JPEG Group's library computes.

use super::headers::Headers;
use super::rgb;
use super::scan::{Plane, side};

/// Interleaved samples at 1/`reduction` of the size: gray or RGB.
pub(super) fn interleave(headers: &Headers<'_>, planes: &[Plane], reduction: usize) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        return unsafe { interleave_avx2(headers, planes, reduction) };
    }
    interleave_rows(headers, planes, reduction, rgb::plain)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interleave_avx2(headers: &Headers<'_>, planes: &[Plane], reduction: usize) -> Vec<u8> {
    interleave_rows(headers, planes, reduction, |luma, cb, cr, out| rgb::vector(luma, cb, cr, out))
}

#[inline(always)]
fn interleave_rows(
    headers: &Headers<'_>,
    planes: &[Plane],
    reduction: usize,
    to_rgb: impl Fn(&[u8], &[u8], &[u8], &mut [u8]),
) -> Vec<u8> {
    let (width, height) = (headers.width.div_ceil(reduction), headers.height.div_ceil(reduction));
    let [luma, cb, cr] = planes else {
        let plane = &planes[0];
        let mut out = Vec::with_capacity(width * height);
        plane.samples.chunks_exact(plane.stride).take(height).for_each(|row| out.extend_from_slice(&row[..width]));
        return out;
    };
    let components = &headers.components;
    // How many times as large as chroma luma is.
    let sides = (side(headers, &components[0], reduction), side(headers, &components[1], reduction));
    let (h, v) = (components[0].across * sides.0 / sides.1, components[0].down * sides.0 / sides.1);
    let (chroma_width, chroma_height) = (width.div_ceil(h), height.div_ceil(v));
    let mut out = Vec::with_capacity(width * height * 3);
    let mut pixels = vec![0; width * 3];
    let mut sums = [vec![0; chroma_width + 2], vec![0; chroma_width + 2]];
    let mut enlarged = [vec![0; h * chroma_width], vec![0; h * chroma_width]];
    let filtered = h == 2 && chroma_width >= FEWEST_FILTERED;
    for y in 0..height {
        let rows = [cb, cr].map(|plane| {
            let other = match y % 2 {
                _ if v == 1 => y,
                0 => (y / 2).saturating_sub(1),
                _ => (y / 2 + 1).min(chroma_height - 1),
            };
            (row(plane, y / v, chroma_width), row(plane, other, chroma_width))
        });
        if filtered {
            // Of both first: sums read as soon as they were written, at other alignments, would be waited for.
            for ((near, far), sums) in rows.into_iter().zip(&mut sums) {
                weigh(near, far, sums);
            }
        }
        for (((near, far), sums), enlarged) in rows.into_iter().zip(&sums).zip(&mut enlarged) {
            match (h, v) {
                (1, 1) => enlarged.copy_from_slice(near),
                (1, _) => down(near, far, 1 + (y % 2) as u16, enlarged),
                _ if filtered => across(sums, if v == 1 { [4, 8] } else { [8, 7] }, enlarged),
                _ => enlarged.iter_mut().enumerate().for_each(|(x, out)| *out = near[x / 2]),
            }
        }
        to_rgb(row(luma, y, width), &enlarged[0][..width], &enlarged[1][..width], &mut pixels);
        out.extend_from_slice(&pixels);
    }
    out
}

fn row(plane: &Plane, y: usize, width: usize) -> &[u8] {
    &plane.samples[y * plane.stride..][..width]
}

/// Narrower chroma is repeated, not filtered.
const FEWEST_FILTERED: usize = 3;

/// Three parts of the nearer row and one of the other.
#[inline(always)]
fn down(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
    for (out, (near, far)) in out.iter_mut().zip(near.iter().zip(far)) {
        *out = ((3 * u16::from(*near) + u16::from(*far) + bias) >> 2) as u8;
    }
}

/// That, times four, with the edges once more beside themselves.
#[inline(always)]
fn weigh(near: &[u8], far: &[u8], sums: &mut [u16]) {
    for (sum, (near, far)) in sums[1..].iter_mut().zip(near.iter().zip(far)) {
        *sum = 3 * u16::from(*near) + u16::from(*far);
    }
    let count = near.len();
    (sums[0], sums[count + 1]) = (sums[1], sums[count]);
}

/// Twice as many samples out of such sums, three parts of the nearer and one of the other; `bias` is added to the
/// sixteenths of the left and of the right one.
#[inline(always)]
fn across(sums: &[u16], bias: [u16; 2], out: &mut [u8]) {
    let neighbours = sums[1..].iter().zip(sums).zip(&sums[2..]);
    for (pair, ((sum, left), right)) in out.as_chunks_mut::<2>().0.iter_mut().zip(neighbours) {
        let (left, right) = ((3 * sum + left + bias[0]) >> 4, (3 * sum + right + bias[1]) >> 4);
        // As one number: two bytes each would not become vectors.
        *pair = (left | right << 8).to_le_bytes();
    }
}
