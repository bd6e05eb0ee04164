//! Colour transforms and chroma subsampling (sections 5 and 6).

use super::container::{Header, mode};
use super::pixels::Pixels;
use super::{Plane, Result};

/// Clips to `0 ..= 2^bits - 1`.
fn clamp(v: i32, bits: u32) -> i32 {
    v.clamp(0, (1 << bits) - 1)
}

/// `v << count` in 32 bits.
fn shl(v: i32, count: u32) -> i32 {
    v.wrapping_shl(count)
}

/// What a mode does to its samples; `depth` is B, `up` the distance from B to the container.
enum Class {
    Bit,
    Plain { depth: u32, up: u32, container: u32 },
    Yuv8 { depth: u32 },
    Yuv16 { depth: u32, up: u32 },
    Gray31 { depth: u32, up: u32 },
    Yuv565,
}

fn class(m: u8, depth: u32) -> Result<Class> {
    Ok(match m {
        mode::BITMAP => Class::Bit,
        mode::GRAY | mode::INDEXED | mode::HSL | mode::HSB | mode::LAB => {
            Class::Plain { depth: 8, up: 0, container: 8 }
        }
        mode::GRAY16 | mode::LAB48 => Class::Plain { depth, up: 16 - depth, container: 16 },
        mode::RGB | mode::CMYK | mode::RGBA => Class::Yuv8 { depth: 8 },
        mode::RGB12 => Class::Yuv8 { depth: 4 },
        mode::RGB48 | mode::CMYK64 => Class::Yuv16 { depth, up: 16 - depth },
        mode::GRAY31 => Class::Gray31 { depth, up: 31 - depth },
        mode::RGB16 => Class::Yuv565,
        _ => return Err(format!("mode {m} has no pixels")),
    })
}

/// One pixel to one value per plane; `depth` is the effective sample depth B.
pub fn import_pixel(m: u8, depth: u32, pixel: &[u32]) -> Result<Vec<i32>> {
    let yuv = |b: i32, g: i32, r: i32, offset: i32| vec![((b + 2 * g + r) >> 2) - offset, r - g, b - g];
    Ok(match class(m, depth)? {
        Class::Bit => vec![pixel[0] as i32],
        Class::Plain { depth, up, .. } => pixel.iter().map(|&s| (s >> up) as i32 - (1 << (depth - 1))).collect(),
        Class::Yuv8 { depth } => {
            let s: Vec<i32> = pixel.iter().map(|&s| s as i32).collect();
            let offset = 1 << (depth - 1);
            let mut out = yuv(s[0], s[1], s[2], offset);
            out.extend(s.get(3).map(|a| a - offset));
            out
        }
        Class::Yuv16 { depth, up } => {
            let s: Vec<i32> = pixel.iter().map(|&s| (s >> up) as i32).collect();
            let offset = 1 << (depth - 1);
            let mut out = yuv(s[0], s[1], s[2], offset);
            out.extend(s.get(3).map(|a| a - offset));
            out
        }
        Class::Gray31 { depth, up } => vec![((pixel[0] >> up) as i32).wrapping_sub(1 << (depth - 1))],
        Class::Yuv565 => yuv(2 * pixel[0] as i32, pixel[1] as i32, 2 * pixel[2] as i32, 32),
    })
}

/// One value per plane to one pixel; `depth` is the effective sample depth B.
pub fn export_pixel(m: u8, depth: u32, p: &[i32]) -> Result<Vec<u32>> {
    let offset = |v: i32, depth: u32| v.wrapping_add(1 << (depth - 1));
    let green = |depth: u32| offset(p[0], depth).wrapping_sub(p[1].wrapping_add(p[2]) >> 2);
    let out: Vec<i32> = match class(m, depth)? {
        Class::Bit => vec![p[0] & 1],
        Class::Plain { depth, up, container } => {
            p.iter().map(|&v| clamp(shl(offset(v, depth), up), container)).collect()
        }
        Class::Yuv8 { depth } => {
            let g = clamp(green(depth), depth);
            let mut out = vec![clamp(p[2].wrapping_add(g), depth), g, clamp(p[1].wrapping_add(g), depth)];
            out.extend(p.get(3).map(|&a| clamp(offset(a, depth), depth)));
            out
        }
        Class::Yuv16 { depth, up } => {
            let g = green(depth);
            let finish = |v: i32| clamp(shl(v, up), 16);
            let mut out = vec![finish(p[2].wrapping_add(g)), finish(g), finish(p[1].wrapping_add(g))];
            out.extend(p.get(3).map(|&a| finish(offset(a, depth))));
            out
        }
        Class::Gray31 { depth, up } => vec![shl(offset(p[0], depth), up).max(0)],
        Class::Yuv565 => {
            let g = clamp(green(6), 6);
            vec![clamp(p[2].wrapping_add(g), 6) >> 1, g, clamp(p[1].wrapping_add(g), 6) >> 1]
        }
    };
    Ok(out.into_iter().map(|v| v as u32).collect())
}

/// Pixels to planes of full size.
pub fn import(m: u8, depth: u32, pixels: &Pixels) -> Result<Vec<Plane>> {
    let mut planes = vec![Plane::new(pixels.w, pixels.h); pixels.channels];
    for y in 0..pixels.h {
        for x in 0..pixels.w {
            for (c, value) in import_pixel(m, depth, pixels.pixel(x, y))?.into_iter().enumerate() {
                planes[c].set(x, y, value);
            }
        }
    }
    Ok(planes)
}

/// Planes of level 0 or a reduced level to pixels. Of subsampled planes, pixel (x, y) uses sample (x / 2, y / 2).
pub fn export(m: u8, depth: u32, planes: &[Plane], subsampled: bool) -> Result<Pixels> {
    let mut pixels = Pixels::new(planes[0].w, planes[0].h, planes.len());
    for y in 0..pixels.h {
        for x in 0..pixels.w {
            let values: Vec<i32> = planes
                .iter()
                .enumerate()
                .map(|(c, plane)| if c > 0 && subsampled { plane.get(x / 2, y / 2) } else { plane.get(x, y) })
                .collect();
            pixels.set_pixel(x, y, &export_pixel(m, depth, &values)?);
        }
    }
    Ok(pixels)
}

/// Halves a plane in both directions by averaging.
pub fn subsample(s: &Plane) -> Plane {
    let mut out = Plane::new(s.w.div_ceil(2), s.h.div_ceil(2));
    for y in 0..out.h {
        for x in 0..out.w {
            let (x0, y0) = (2 * x, 2 * y);
            let right = x0 + 1 < s.w;
            let below = y0 + 1 < s.h;
            let a = s.get(x0, y0);
            let value = if right && below {
                a.wrapping_add(s.get(x0 + 1, y0)).wrapping_add(s.get(x0, y0 + 1)).wrapping_add(s.get(x0 + 1, y0 + 1))
                    >> 2
            } else if right {
                a.wrapping_add(s.get(x0 + 1, y0)) >> 1
            } else if below {
                a.wrapping_add(s.get(x0, y0 + 1)) >> 1
            } else {
                a
            };
            out.set(x, y, value);
        }
    }
    out
}

/// Bitmaps of files without the V7 flag (section 17): a sample of the plane is 8 pixels.
pub fn import_old_bitmap(header: &Header, pixels: &Pixels) -> Plane {
    let mut plane = Plane::new(pixels.w, pixels.h);
    let packed = pixels.w.div_ceil(8);
    for y in 0..pixels.h {
        for i in 0..packed {
            let mut byte = 0;
            for x in 8 * i..8 * i + 8 {
                byte = byte << 1 | i32::from(x < pixels.w && pixels.pixel(x, y)[0] != 0);
            }
            let at = y * if header.has_v5() { pixels.w } else { packed } + i;
            plane.data[at] = byte - 128;
        }
    }
    plane
}

/// The pixels of such a bitmap.
pub fn export_old_bitmap(header: &Header, plane: &Plane) -> Pixels {
    let mut pixels = Pixels::new(plane.w, plane.h, 1);
    let packed = plane.w.div_ceil(8);
    for y in 0..plane.h {
        for x in 0..plane.w {
            let at = y * if header.has_v5() { plane.w } else { packed } + x / 8;
            let byte = clamp(plane.data[at].wrapping_add(128), 8);
            pixels.set_pixel(x, y, &[(byte >> (7 - x % 8) & 1) as u32]);
        }
    }
    pixels
}
