//! Pixel buffers (section 4): rows without padding, top row first, samples little-endian, native channel order.

use super::Result;
use super::container::mode;

/// Unpacked pixels: `samples[(y * w + x) * channels + c]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    pub w: usize,
    pub h: usize,
    pub channels: usize,
    pub samples: Vec<u32>,
}

impl Pixels {
    pub fn new(w: usize, h: usize, channels: usize) -> Pixels {
        Pixels { w, h, channels, samples: vec![0; w * h * channels] }
    }

    pub fn pixel(&self, x: usize, y: usize) -> &[u32] {
        let at = (y * self.w + x) * self.channels;
        &self.samples[at..at + self.channels]
    }

    pub fn set_pixel(&mut self, x: usize, y: usize, samples: &[u32]) {
        let at = (y * self.w + x) * self.channels;
        self.samples[at..at + self.channels].copy_from_slice(samples);
    }

    /// The part with columns `left..right` and rows `top..bottom`.
    pub fn crop(&self, left: usize, top: usize, right: usize, bottom: usize) -> Pixels {
        let mut out = Pixels::new(right - left, bottom - top, self.channels);
        for y in top..bottom {
            for x in left..right {
                out.set_pixel(x - left, y - top, self.pixel(x, y));
            }
        }
        out
    }
}

/// Bytes of a row.
pub fn row_bytes(w: usize, bpp: u8) -> usize {
    (w * usize::from(bpp)).div_ceil(8)
}

/// Bits of each sample of a pixel in stream order, lowest bit first, for all modes but bitmaps.
fn sample_bits(m: u8, channels: usize) -> Result<Vec<usize>> {
    Ok(match m {
        mode::GRAY | mode::INDEXED | mode::RGB | mode::CMYK | mode::HSL | mode::HSB | mode::LAB | mode::RGBA => {
            vec![8; channels]
        }
        mode::GRAY16 | mode::RGB48 | mode::LAB48 | mode::CMYK64 => vec![16; channels],
        mode::GRAY31 => vec![32],
        mode::RGB12 => vec![4; 3],
        mode::RGB16 => vec![5, 6, 5],
        _ => return Err(format!("mode {m} has no pixel buffer")),
    })
}

/// Bit `i` of a row, counted from the lowest bit of each byte, or from the highest for bitmaps.
fn bit_place(m: u8, i: usize) -> (usize, usize) {
    if m == mode::BITMAP { (i / 8, 7 - i % 8) } else { (i / 8, i % 8) }
}

/// Reads a pixel buffer.
pub fn unpack(m: u8, channels: usize, w: usize, h: usize, raw: &[u8]) -> Result<Pixels> {
    let bits = if m == mode::BITMAP { vec![1] } else { sample_bits(m, channels)? };
    let bpp: usize = bits.iter().sum();
    let pitch = row_bytes(w, bpp as u8);
    if raw.len() != pitch * h {
        return Err(format!("{} bytes for {w} x {h} pixels of {bpp} bits", raw.len()));
    }
    let mut samples = Vec::new();
    for row in raw.chunks(pitch) {
        let mut at = 0;
        for _ in 0..w {
            for &count in &bits {
                let mut sample = 0;
                for i in 0..count {
                    let (byte, bit) = bit_place(m, at + i);
                    sample |= u32::from(row[byte] >> bit & 1) << i;
                }
                samples.push(sample);
                at += count;
            }
        }
    }
    Ok(Pixels { w, h, channels, samples })
}

/// Writes a pixel buffer; unused bits at the end of a row are 0.
pub fn pack(m: u8, pixels: &Pixels) -> Result<Vec<u8>> {
    let bits = if m == mode::BITMAP { vec![1] } else { sample_bits(m, pixels.channels)? };
    let bpp: usize = bits.iter().sum();
    let mut out = Vec::new();
    for y in 0..pixels.h {
        let mut row = vec![0_u8; row_bytes(pixels.w, bpp as u8)];
        let mut at = 0;
        for x in 0..pixels.w {
            for (&sample, &count) in pixels.pixel(x, y).iter().zip(&bits) {
                for i in 0..count {
                    let (byte, bit) = bit_place(m, at + i);
                    row[byte] |= ((sample >> i & 1) as u8) << bit;
                }
                at += count;
            }
        }
        out.extend(row);
    }
    Ok(out)
}
