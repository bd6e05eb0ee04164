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
    let mut sums = vec![0; chroma_width + 2];
    let mut enlarged = [vec![0; h * chroma_width], vec![0; h * chroma_width]];
    for y in 0..height {
        for (plane, enlarged) in [cb, cr].into_iter().zip(&mut enlarged) {
            let near = row(plane, y / v, chroma_width);
            let far = match (v, y % 2) {
                (1, _) => near,
                (_, 0) => row(plane, (y / 2).saturating_sub(1), chroma_width),
                _ => row(plane, (y / 2 + 1).min(chroma_height - 1), chroma_width),
            };
            match (h, v) {
                (1, 1) => enlarged.copy_from_slice(near),
                (1, _) => down(near, far, 1 + (y % 2) as u16, enlarged),
                _ if chroma_width < FEWEST_FILTERED => {
                    enlarged.iter_mut().enumerate().for_each(|(x, out)| *out = near[x / 2]);
                }
                (_, 1) => across(near, near, &mut sums, [4, 8], enlarged),
                _ => across(near, far, &mut sums, [8, 7], enlarged),
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

/// That, and twice as many samples, three parts of the nearer and one of the other; `bias` is added to the sixteenths of
/// the left and of the right one.
#[inline(always)]
fn across(near: &[u8], far: &[u8], sums: &mut [u16], bias: [u16; 2], out: &mut [u8]) {
    let count = near.len();
    for (sum, (near, far)) in sums[1..].iter_mut().zip(near.iter().zip(far)) {
        *sum = 3 * u16::from(*near) + u16::from(*far);
    }
    // The edges have themselves for neighbours.
    (sums[0], sums[count + 1]) = (sums[1], sums[count]);
    let neighbours = sums[1..].iter().zip(&sums[..count]).zip(&sums[2..]);
    for (pair, ((sum, left), right)) in out.as_chunks_mut::<2>().0.iter_mut().zip(neighbours) {
        let (left, right) = ((3 * sum + left + bias[0]) >> 4, (3 * sum + right + bias[1]) >> 4);
        // As one number: two bytes each would not become vectors.
        *pair = (left | right << 8).to_le_bytes();
    }
}
