//! Colour transforms (format section 5): one row of pixels to rows of planes and back.
//!
//! Chroma planes are at full width here; [`subsample`](crate::subsample) knows the other size.

use crate::image::Class;
use crate::planes::Coefficient;

/// Most planes of a picture.
pub(crate) const MAX_PLANES: usize = 8;

/// How samples of one picture become planes and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colour {
    pub class: Class,
    pub channels: usize,
    /// Effective depth `B` of format section 3.2, for the deep classes.
    pub depth: u32,
    /// Whether the first sample of a pixel is blue in the format's terms: true for CMYK, whose samples keep their
    /// order, false for RGB, whose red comes first in memory.
    pub blue_first: bool,
}

/// Pixel rows of each sample type that [`Colour`] reads and writes.
pub(crate) trait Sample: Copy + Default + Send + Sync + 'static {
    /// Pixels to planes.
    fn import<T: Plane>(colour: &Colour, pixels: &[Self], planes: &mut [&mut [T]; MAX_PLANES]);
    /// Planes to pixels.
    fn export<T: Plane>(colour: &Colour, planes: &[&[T]; MAX_PLANES], pixels: &mut [Self]);
    /// Bitmaps of files before version 7: see [`export_packed_bits`]. Other sample types have none.
    fn export_packed<T: Plane>(_: &[T], _: usize, _: usize, _by_rows: bool, _: &mut [Self]) {}
}

/// Plane samples, with the transforms of 8-bit colour in their own width.
pub(crate) trait Plane: Coefficient {
    fn import_yuv<const N: usize>(pixels: &[u8], planes: &mut [&mut [Self]; MAX_PLANES], offset: i16, red: usize);
    fn export_yuv<const N: usize>(planes: &[&[Self]; MAX_PLANES], pixels: &mut [u8], offset: i16, red: usize);
    fn import_plain(pixels: &[u8], channels: usize, planes: &mut [&mut [Self]; MAX_PLANES]);
    fn export_plain(planes: &[&[Self]; MAX_PLANES], channels: usize, pixels: &mut [u8]);
}

/// Pixels that are converted together.
const STRIP: usize = 64;

/// Puts three rows of samples together, pixel by pixel; `out` may be shorter than three times the rows.
#[inline(always)]
fn interleave3(a: &[u8; STRIP], b: &[u8; STRIP], c: &[u8; STRIP], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if let Ok(out) = <&mut [u8; 3 * STRIP]>::try_from(&mut *out)
        && crate::cpu::has_avx2()
    {
        // SAFETY: the processor has AVX2.
        unsafe { interleave3_vector(a, b, c, out) };
        return;
    }
    for (pixel, ((a, b), c)) in out.chunks_exact_mut(3).zip(a.iter().zip(b).zip(c)) {
        pixel.copy_from_slice(&[*a, *b, *c]);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interleave3_vector(a: &[u8; STRIP], b: &[u8; STRIP], c: &[u8; STRIP], out: &mut [u8; 3 * STRIP]) {
    use std::arch::x86_64::*;
    // Byte i of output register r is sample (16 r + i) / 3 of row (16 r + i) % 3; 0x80 leaves a zero.
    const fn picks(register: usize, row: usize) -> [u8; 16] {
        let mut picks = [0x80; 16];
        let mut i = 0;
        while i < 16 {
            if (16 * register + i) % 3 == row {
                picks[i] = ((16 * register + i) / 3) as u8;
            }
            i += 1;
        }
        picks
    }
    const PICKS: [[[u8; 16]; 3]; 3] = [
        [picks(0, 0), picks(0, 1), picks(0, 2)],
        [picks(1, 0), picks(1, 1), picks(1, 2)],
        [picks(2, 0), picks(2, 1), picks(2, 2)],
    ];
    // SAFETY: a load of an array of 16 bytes.
    let load = |bytes: &[u8; 16]| unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let rows = a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0).zip(c.as_chunks::<16>().0);
    for (out, ((a, b), c)) in out.as_chunks_mut::<48>().0.iter_mut().zip(rows) {
        let (a, b, c) = (load(a), load(b), load(c));
        for (out, [pick_a, pick_b, pick_c]) in out.as_chunks_mut::<16>().0.iter_mut().zip(&PICKS) {
            let a = _mm_shuffle_epi8(a, load(pick_a));
            let b = _mm_shuffle_epi8(b, load(pick_b));
            let c = _mm_shuffle_epi8(c, load(pick_c));
            // SAFETY: a store to an array of 16 bytes.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_or_si128(_mm_or_si128(a, b), c)) };
        }
    }
}

macro_rules! plane {
    ($type:ty) => {
        impl Plane for $type {
            /// `offset` is half the sample range; samples `red` and `2 - red` are red and blue.
            #[inline(always)]
            fn import_yuv<const N: usize>(
                pixels: &[u8],
                planes: &mut [&mut [Self]; MAX_PLANES],
                offset: i16,
                red: usize,
            ) {
                let [p0, p1, p2, p3, ..] = planes;
                let offset = <$type>::from(offset);
                let pixels = pixels.as_chunks::<N>().0;
                let rows = p0.iter_mut().zip(p1.iter_mut()).zip(p2.iter_mut());
                for (pixel, ((y, u), v)) in pixels.iter().zip(rows) {
                    let (r, g, b) = (<$type>::from(pixel[red]), <$type>::from(pixel[1]), <$type>::from(pixel[2 - red]));
                    *y = ((b + 2 * g + r) >> 2) - offset;
                    *u = r - g;
                    *v = b - g;
                }
                if N == 4 {
                    for (pixel, a) in pixels.iter().zip(p3.iter_mut()) {
                        *a = <$type>::from(pixel[3]) - offset;
                    }
                }
            }

            #[inline(always)]
            fn export_yuv<const N: usize>(planes: &[&[Self]; MAX_PLANES], pixels: &mut [u8], offset: i16, red: usize) {
                let [p0, p1, p2, p3, ..] = planes;
                let offset = <$type>::from(offset);
                let top = 2 * offset - 1;
                let (mut r, mut g, mut b) = ([0u8; STRIP], [0u8; STRIP], [0u8; STRIP]);
                let strips = p0.chunks(STRIP).zip(p1.chunks(STRIP)).zip(p2.chunks(STRIP));
                for (((y, u), v), pixels) in strips.zip(pixels.chunks_mut(N * STRIP)) {
                    // Plane by plane first, which compiles to vector code; then the samples are put together.
                    let rows = r.iter_mut().zip(&mut g).zip(&mut b);
                    for (((r, g), b), ((y, u), v)) in rows.zip(y.iter().zip(u).zip(v)) {
                        let green = y.wrapping_add(offset).wrapping_sub(u.wrapping_add(*v) >> 2).clamp(0, top);
                        *g = green as u8;
                        *r = u.wrapping_add(green).clamp(0, top) as u8;
                        *b = v.wrapping_add(green).clamp(0, top) as u8;
                    }
                    let (first, last) = if red == 0 { (&r, &b) } else { (&b, &r) };
                    if N == 3 {
                        interleave3(first, &g, last, pixels);
                    } else {
                        let samples = first.iter().zip(&g).zip(last);
                        for (pixel, ((first, g), last)) in pixels.chunks_exact_mut(N).zip(samples) {
                            pixel[..3].copy_from_slice(&[*first, *g, *last]);
                        }
                    }
                }
                let pixels = pixels.as_chunks_mut::<N>().0;
                if N == 4 {
                    for (pixel, a) in pixels.iter_mut().zip(*p3) {
                        pixel[3] = a.wrapping_add(offset).clamp(0, top) as u8;
                    }
                }
            }

            #[inline(always)]
            fn import_plain(pixels: &[u8], channels: usize, planes: &mut [&mut [Self]; MAX_PLANES]) {
                for (c, plane) in planes.iter_mut().enumerate().take(channels) {
                    for (p, s) in plane.iter_mut().zip(pixels[c..].iter().step_by(channels)) {
                        *p = <$type>::from(*s) - 128;
                    }
                }
            }

            #[inline(always)]
            fn export_plain(planes: &[&[Self]; MAX_PLANES], channels: usize, pixels: &mut [u8]) {
                for (c, plane) in planes.iter().enumerate().take(channels) {
                    for (p, s) in plane.iter().zip(pixels[c..].iter_mut().step_by(channels)) {
                        *s = p.wrapping_add(128).clamp(0, 255) as u8;
                    }
                }
            }
        }
    };
}
plane!(i16);
plane!(i32);

impl Sample for u8 {
    #[inline(always)]
    fn import<T: Plane>(colour: &Colour, pixels: &[u8], planes: &mut [&mut [T]; MAX_PLANES]) {
        let red = if colour.blue_first { 2 } else { 0 };
        match (colour.class, colour.channels) {
            (Class::Yuv8, 4) => T::import_yuv::<4>(pixels, planes, 128, red),
            (Class::Yuv8, _) => T::import_yuv::<3>(pixels, planes, 128, red),
            (Class::Yuv4, _) => T::import_yuv::<3>(pixels, planes, 8, red),
            (Class::Yuv565, _) => {
                // Red and blue have five bits and are doubled; green has six.
                let [y, u, v, ..] = planes;
                for (pixel, ((y, u), v)) in pixels.chunks_exact(3).zip(y.iter_mut().zip(u.iter_mut()).zip(v.iter_mut()))
                {
                    let (r, g, b) = (2 * i32::from(pixel[0]), i32::from(pixel[1]), 2 * i32::from(pixel[2]));
                    *y = T::from_i32(((b + 2 * g + r) >> 2) - 32);
                    *u = T::from_i32(r - g);
                    *v = T::from_i32(b - g);
                }
            }
            (Class::Bit, _) => {
                for (p, s) in planes[0].iter_mut().zip(pixels) {
                    *p = T::from_i32(i32::from(*s != 0));
                }
            }
            _ => T::import_plain(pixels, colour.channels, planes),
        }
    }

    #[inline(always)]
    fn export<T: Plane>(colour: &Colour, planes: &[&[T]; MAX_PLANES], pixels: &mut [u8]) {
        let red = if colour.blue_first { 2 } else { 0 };
        match (colour.class, colour.channels) {
            (Class::Yuv8, 4) => T::export_yuv::<4>(planes, pixels, 128, red),
            (Class::Yuv8, _) => T::export_yuv::<3>(planes, pixels, 128, red),
            (Class::Yuv4, _) => T::export_yuv::<3>(planes, pixels, 8, red),
            (Class::Yuv565, _) => {
                T::export_yuv::<3>(planes, pixels, 32, red);
                for pixel in pixels.chunks_exact_mut(3) {
                    pixel[0] >>= 1;
                    pixel[2] >>= 1;
                }
            }
            (Class::Bit, _) => {
                // The low bit of whatever integer results, not a threshold (format section 5.1).
                for (p, s) in planes[0].iter().zip(pixels) {
                    *s = (p.to_i32() & 1) as u8;
                }
            }
            _ => T::export_plain(planes, colour.channels, pixels),
        }
    }

    fn export_packed<T: Plane>(plane: &[T], width: usize, height: usize, by_rows: bool, pixels: &mut [u8]) {
        export_packed_bits(plane, width, height, by_rows, pixels);
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn import<T: Plane>(colour: &Colour, pixels: &[u16], planes: &mut [&mut [T]; MAX_PLANES]) {
        let (offset, shift) = (1 << (colour.depth - 1), 16 - colour.depth);
        let at = |s: u16| i32::from(s >> shift);
        if colour.class == Class::Yuv16 {
            let [y, u, v, a, ..] = planes;
            let red = if colour.blue_first { 2 } else { 0 };
            let rows = y.iter_mut().zip(u.iter_mut()).zip(v.iter_mut());
            for (pixel, ((y, u), v)) in pixels.chunks_exact(colour.channels).zip(rows) {
                let (r, g, b) = (at(pixel[red]), at(pixel[1]), at(pixel[2 - red]));
                *y = T::from_i32(((b + 2 * g + r) >> 2) - offset);
                *u = T::from_i32(r - g);
                *v = T::from_i32(b - g);
            }
            if colour.channels == 4 {
                for (pixel, a) in pixels.chunks_exact(4).zip(a.iter_mut()) {
                    *a = T::from_i32(at(pixel[3]) - offset);
                }
            }
            return;
        }
        for (c, plane) in planes.iter_mut().enumerate().take(colour.channels) {
            for (p, s) in plane.iter_mut().zip(pixels[c..].iter().step_by(colour.channels)) {
                *p = T::from_i32(at(*s) - offset);
            }
        }
    }

    #[inline(always)]
    fn export<T: Plane>(colour: &Colour, planes: &[&[T]; MAX_PLANES], pixels: &mut [u16]) {
        let (offset, shift) = (1i32 << (colour.depth - 1), 16 - colour.depth);
        let clamp = |v: i32| v.wrapping_shl(shift).clamp(0, 0xFFFF) as u16;
        if colour.class == Class::Yuv16 {
            let [y, u, v, a, ..] = planes;
            let red = if colour.blue_first { 2 } else { 0 };
            let rows = y.iter().zip(*u).zip(*v);
            for (pixel, ((y, u), v)) in pixels.chunks_exact_mut(colour.channels).zip(rows) {
                let (y, u, v) = (y.to_i32(), u.to_i32(), v.to_i32());
                // Red and blue are computed from the unclamped green, unlike with 8 bits.
                let g = y.wrapping_add(offset).wrapping_sub(u.wrapping_add(v) >> 2);
                pixel[1] = clamp(g);
                pixel[red] = clamp(u.wrapping_add(g));
                pixel[2 - red] = clamp(v.wrapping_add(g));
            }
            if colour.channels == 4 {
                for (pixel, a) in pixels.chunks_exact_mut(4).zip(*a) {
                    pixel[3] = clamp(a.to_i32().wrapping_add(offset));
                }
            }
            return;
        }
        for (c, plane) in planes.iter().enumerate().take(colour.channels) {
            for (p, s) in plane.iter().zip(pixels[c..].iter_mut().step_by(colour.channels)) {
                *s = clamp(p.to_i32().wrapping_add(offset));
            }
        }
    }
}

impl Sample for u32 {
    #[inline(always)]
    fn import<T: Plane>(colour: &Colour, pixels: &[u32], planes: &mut [&mut [T]; MAX_PLANES]) {
        let (offset, shift) = (1u32 << (colour.depth - 1), 31 - colour.depth);
        for (p, s) in planes[0].iter_mut().zip(pixels) {
            *p = T::from_i32((s >> shift).wrapping_sub(offset) as i32);
        }
    }

    #[inline(always)]
    fn export<T: Plane>(colour: &Colour, planes: &[&[T]; MAX_PLANES], pixels: &mut [u32]) {
        let (offset, shift) = (1i32 << (colour.depth - 1), 31 - colour.depth);
        for (p, s) in planes[0].iter().zip(pixels) {
            *s = p.to_i32().wrapping_add(offset).wrapping_shl(shift).max(0) as u32;
        }
    }
}

impl Sample for i32 {
    #[inline(always)]
    fn import<T: Plane>(colour: &Colour, pixels: &[i32], planes: &mut [&mut [T]; MAX_PLANES]) {
        for (c, plane) in planes.iter_mut().enumerate().take(colour.channels) {
            for (p, s) in plane.iter_mut().zip(pixels[c..].iter().step_by(colour.channels)) {
                *p = T::from_i32(*s);
            }
        }
    }

    #[inline(always)]
    fn export<T: Plane>(colour: &Colour, planes: &[&[T]; MAX_PLANES], pixels: &mut [i32]) {
        for (c, plane) in planes.iter().enumerate().take(colour.channels) {
            for (p, s) in plane.iter().zip(pixels[c..].iter_mut().step_by(colour.channels)) {
                *s = p.to_i32();
            }
        }
    }
}

/// Bitmaps of files before version 7: a plane sample is a byte of eight pixels (format section 17).
///
/// `plane` is all of the level, `width` x `height` samples. Packed rows start at plane rows with the V5 flag
/// (`by_rows`), without it they follow one another.
fn export_packed_bits<T: Coefficient>(plane: &[T], width: usize, height: usize, by_rows: bool, pixels: &mut [u8]) {
    let packed = width.div_ceil(8);
    for (y, row) in pixels.chunks_exact_mut(width).enumerate().take(height) {
        let start = if by_rows { y * width } else { y * packed };
        for (x, pixel) in row.iter_mut().enumerate() {
            let byte = plane[start + x / 8].to_i32().wrapping_add(128).clamp(0, 255);
            *pixel = (byte >> (7 - x % 8) & 1) as u8;
        }
    }
}
