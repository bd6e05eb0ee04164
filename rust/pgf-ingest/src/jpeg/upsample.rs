//! From planes to interleaved RGB: chroma enlarged by a triangle filter, YCbCr to RGB as JFIF defines it.
//!
//! Both compute what the Independent JPEG Group's library computes.

use super::headers::Headers;
use super::scan::{Plane, side};

/// Interleaved samples at 1/`reduction` of the size: gray or RGB.
pub(super) fn interleave(headers: &Headers<'_>, planes: Vec<Plane>, reduction: usize) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        return unsafe { interleave_avx2(headers, planes, reduction) };
    }
    interleave_rows(headers, planes, reduction)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interleave_avx2(headers: &Headers<'_>, planes: Vec<Plane>, reduction: usize) -> Vec<u8> {
    interleave_rows(headers, planes, reduction)
}

#[inline(always)]
fn interleave_rows(headers: &Headers<'_>, planes: Vec<Plane>, reduction: usize) -> Vec<u8> {
    let (width, height) = (headers.width.div_ceil(reduction), headers.height.div_ceil(reduction));
    let [luma, cb, cr] = &planes[..] else {
        let rows = planes[0].samples.chunks_exact(planes[0].stride).take(height);
        return rows.flat_map(|row| row[..width].iter().copied()).collect();
    };
    let components = &headers.components;
    // How many times as large as chroma luma is.
    let sides = (side(headers, &components[0], reduction), side(headers, &components[1], reduction));
    let (h, v) = (components[0].across * sides.0 / sides.1, components[0].down * sides.0 / sides.1);
    let (chroma_width, chroma_height) = (width.div_ceil(h), height.div_ceil(v));
    let mut out = vec![0; width * height * 3];
    let mut sums = vec![0u16; chroma_width];
    let mut lines = [vec![0u8; 2 * chroma_width], vec![0u8; 2 * chroma_width]];
    for (y, target) in out.chunks_exact_mut(3 * width).enumerate() {
        for (plane, line) in [cb, cr].into_iter().zip(&mut lines) {
            let row = |y: usize| &plane.samples[y * plane.stride..y * plane.stride + chroma_width];
            let near = row(y / v);
            match (h, v) {
                (1, 1) => line[..chroma_width].copy_from_slice(near),
                (2, 1) => across(near, line),
                _ => {
                    let neighbour =
                        if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(chroma_height - 1) };
                    let far = row(neighbour);
                    for ((sum, near), far) in sums.iter_mut().zip(near).zip(far) {
                        *sum = 3 * u16::from(*near) + u16::from(*far);
                    }
                    if h == 2 {
                        across_of_sums(&sums, line);
                    } else {
                        let bias = 1 + (y % 2) as u16;
                        for (out, sum) in line.iter_mut().zip(&sums) {
                            *out = ((sum + bias) >> 2) as u8;
                        }
                    }
                }
            }
        }
        let luma = &luma.samples[y * luma.stride..y * luma.stride + width];
        to_rgb(luma, &lines[0][..width], &lines[1][..width], target);
    }
    out
}

/// Twice as many samples, three parts of the nearer and one of the other.
#[inline(always)]
fn across(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    let sum = |a: u8, b: u8, bias: u16| ((3 * u16::from(a) + u16::from(b) + bias) >> 2) as u8;
    out[0] = row[0];
    out[2 * last + 1] = row[last];
    for (pair, (a, b)) in out[1..].chunks_exact_mut(2).zip(row.iter().zip(&row[1..])) {
        pair[0] = sum(*a, *b, 2);
        pair[1] = sum(*b, *a, 1);
    }
}

/// As [`across`], of rows that were summed with weights of 4 already.
#[inline(always)]
fn across_of_sums(sums: &[u16], out: &mut [u8]) {
    let last = sums.len() - 1;
    out[0] = ((4 * sums[0] + 8) >> 4) as u8;
    out[2 * last + 1] = ((4 * sums[last] + 7) >> 4) as u8;
    for (pair, (a, b)) in out[1..].chunks_exact_mut(2).zip(sums.iter().zip(&sums[1..])) {
        pair[0] = ((3 * a + b + 7) >> 4) as u8;
        pair[1] = ((3 * b + a + 8) >> 4) as u8;
    }
}

/// Pixels at a time: planes of so many fit into registers.
const CHUNK: usize = 32;

#[inline(always)]
fn to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let chunks = luma.chunks(CHUNK).zip(cb.chunks(CHUNK)).zip(cr.chunks(CHUNK));
    for (((luma, cb), cr), out) in chunks.zip(out.chunks_mut(3 * CHUNK)) {
        if let (Ok(luma), Ok(cb), Ok(cr)) = (luma.try_into(), cb.try_into(), cr.try_into()) {
            weave(&chunk_to_rgb(luma, cb, cr), out);
            continue;
        }
        let padded = |row: &[u8]| {
            let mut all = [0; CHUNK];
            all[..row.len()].copy_from_slice(row);
            all
        };
        let rgb = chunk_to_rgb(&padded(luma), &padded(cb), &padded(cr));
        for (i, pixel) in out.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[rgb[0][i], rgb[1][i], rgb[2][i]]);
        }
    }
}

/// 1.402, 0.344136, 0.714136 and 1.772 in 1/65536, less whole multiples: products then fit 32 bits and sums 16, of which
/// twice as many fit a register. A loop for each colour: one for all is not turned into vectors.
#[inline(always)]
fn chunk_to_rgb(luma: &[u8; CHUNK], cb: &[u8; CHUNK], cr: &[u8; CHUNK]) -> [[u8; CHUNK]; 3] {
    let part = |v: i16, factor: i32| (((i32::from(2 * v) * factor) >> 16) as i16 + 1) >> 1;
    let y = luma.map(i16::from);
    let (cb, cr) = (cb.map(|v| i16::from(v) - 128), cr.map(|v| i16::from(v) - 128));
    let mut rgb = [[0; CHUNK]; 3];
    for (i, red) in rgb[0].iter_mut().enumerate() {
        *red = (y[i] + cr[i] + part(cr[i], 26345)).clamp(0, 255) as u8;
    }
    for (i, green) in rgb[1].iter_mut().enumerate() {
        let part = ((i32::from(cb[i]) * -22554 + i32::from(cr[i]) * 18734 + 32768) >> 16) as i16;
        *green = (y[i] - cr[i] + part).clamp(0, 255) as u8;
    }
    for (i, blue) in rgb[2].iter_mut().enumerate() {
        *blue = (y[i] + 2 * cb[i] + part(cb[i], -14942)).clamp(0, 255) as u8;
    }
    rgb
}

/// Interleaves a whole chunk.
///
/// Sixteen bytes of the result are a choice of each plane's bytes, which is one shuffle each; left to itself the compiler
/// moves single bytes, which took a fifth of the time of a JPEG.
#[inline(always)]
fn weave(rgb: &[[u8; CHUNK]; 3], out: &mut [u8]) {
    for (part, out) in out.chunks_exact_mut(48).enumerate() {
        let plane = |c: usize| -> [u8; 16] { rgb[c][16 * part..16 * part + 16].try_into().expect("sixteen bytes") };
        let planes = [plane(0), plane(1), plane(2)];
        for (third, out) in out.chunks_exact_mut(16).enumerate() {
            let mut woven = [0; 16];
            for (c, plane) in planes.iter().enumerate() {
                for (slot, index) in woven.iter_mut().zip(WEAVE[third][c]) {
                    *slot |= if index < 16 { plane[usize::from(index & 15)] } else { 0 };
                }
            }
            out.copy_from_slice(&woven);
        }
    }
}

/// Which byte of a plane stands where in each third of the result; 128 for none.
const WEAVE: [[[u8; 16]; 3]; 3] = {
    let mut table = [[[128; 16]; 3]; 3];
    let mut at = 0;
    while at < 48 {
        table[at / 16][at % 3][at % 16] = (at / 3) as u8;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_exact_factors() {
        for cb in 0..=255u8 {
            let cr: Vec<u8> = (0..=255).collect();
            for y in [0, 1, 77, 128, 254, 255] {
                let mut out = vec![0; 3 * 256];
                to_rgb(&[y; 256], &[cb; 256], &cr, &mut out);
                for (pixel, cr) in out.chunks_exact(3).zip(&cr) {
                    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(*cr) - 128);
                    let expected = [
                        y + ((91881 * cr + 32768) >> 16),
                        y + ((-22554 * cb - 46802 * cr + 32768) >> 16),
                        y + ((116_130 * cb + 32768) >> 16),
                    ];
                    assert_eq!(pixel, expected.map(|v| v.clamp(0, 255) as u8), "{y} {cb} {cr}");
                }
            }
        }
    }
}
