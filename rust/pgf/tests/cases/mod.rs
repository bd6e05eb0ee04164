//! Random pictures, settings and coefficients for property tests.

// Each test file compiles this module on its own and uses only part of it.
#![allow(dead_code)]

use crate::bridge::{self, PIXEL_MODES, PLANE_MODES};
use crate::reference::Plane;
use crate::reference::bitplane::{Encoder, Padding};
use crate::reference::codec::{self, Coefficients, Settings};
use crate::reference::container::{Header, PGF32, PRESENT, V2, V5, V6, V7, mode};
use crate::reference::pixels::Pixels;
use pgf::{Image, Rect};
use proptest::prelude::*;

/// What a picture looks like.
#[derive(Clone, Copy, Debug)]
pub enum Texture {
    /// Full-range noise.
    Noise,
    /// Only the extreme values, sample by sample.
    Extremes,
    /// One value with rare outliers.
    Flat,
    /// A slope with a little noise: how photographs look to the coder.
    Smooth,
    /// Stripes between the extremes.
    Stripes,
}

/// A linear congruential generator: cheap, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self, count: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if count == 0 { 0 } else { ((self.0 >> 32) as u32) >> (32 - count) }
    }

    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.bits(32)) * u64::from(n)) >> 32) as u32
    }

    /// A signed value of at most `bits` magnitude bits.
    pub fn signed(&mut self, bits: u32) -> i32 {
        let magnitude = self.bits(bits);
        if self.bits(1) == 1 { (magnitude as i32).wrapping_neg() } else { magnitude as i32 }
    }
}

pub fn texture() -> impl Strategy<Value = Texture> {
    use Texture::{Extremes, Flat, Noise, Smooth, Stripes};
    prop::sample::select(vec![Smooth, Noise, Extremes, Flat, Stripes])
}

/// Sizes from one pixel to several macroblocks, square and thin, mostly small.
pub fn size() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![
        2 => (1_u32..24, 1_u32..24),
        4 => (10_u32..70, 10_u32..70),
        1 => (1_u32..14, 1_u32..300),
        1 => (1_u32..300, 1_u32..14),
        1 => (70_u32..260, 70_u32..200),
    ]
}

fn quality() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(0_u8), 3 => 0_u8..8, 2 => 0_u8..31]
}

fn levels() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0_u32), 2 => 1_u32..7]
}

/// Settings for a present writer in any of `modes`.
pub fn settings(modes: Vec<u8>) -> impl Strategy<Value = Settings> {
    let used = prop_oneof![2 => Just(0_u8), 1 => 1_u8..32];
    let data = prop::collection::vec(any::<u8>(), 0..20);
    (prop::sample::select(modes), size(), quality(), levels(), used, any::<[bool; 2]>(), data, 1_u8..9).prop_map(
        |(mode, (w, h), quality, levels, used_bits, [roi, favor_speed], user_data, channels)| {
            let mut settings = Settings::new(mode, w, h);
            settings.quality = quality;
            settings.levels = levels;
            settings.used_bits = used_bits;
            settings.roi = roi;
            settings.favor_speed = favor_speed;
            settings.user_data = user_data;
            if matches!(mode, mode::HSL | mode::HSB) {
                (settings.channels, settings.bpp) = (3, 24);
            }
            if PLANE_MODES.contains(&mode) {
                settings.channels = channels;
                settings.bpp = channels * if mode >= 14 { 16 } else { 8 };
            }
            if mode == mode::INDEXED {
                settings.color_table = (0..1024_u32).map(|i| ((i * 7) >> 2) as u8).collect();
            }
            settings
        },
    )
}

/// Settings whose file has any of the layouts that a reader must know.
pub fn settings_of_any_version(modes: Vec<u8>) -> impl Strategy<Value = Settings> {
    let flags = vec![
        PRESENT,
        PRESENT,
        V2,
        V2 | PGF32,
        V2 | PGF32 | V5,
        V2 | PGF32 | V5 | V6,
        V2 | PGF32 | V6,
        V2 | PGF32 | V7,
        V5,
    ];
    (settings(modes), prop::sample::select(flags), any::<bool>()).prop_map(|(mut settings, flags, zero)| {
        settings.flags = flags;
        settings.padding = if zero { Padding::Zero } else { Padding::Leftovers };
        settings
    })
}

pub fn pixel_modes() -> Vec<u8> {
    PIXEL_MODES.to_vec()
}

pub fn all_modes() -> Vec<u8> {
    [&PIXEL_MODES[..], &PLANE_MODES[..]].concat()
}

/// Bits of each sample of a pixel.
fn sample_bits(header: &Header) -> Vec<u32> {
    match header.mode {
        mode::BITMAP => vec![1],
        mode::RGB12 => vec![4; 3],
        mode::RGB16 => vec![5, 6, 5],
        mode::GRAY31 => vec![31],
        mode::GRAY16 | mode::RGB48 | mode::LAB48 | mode::CMYK64 => vec![16; usize::from(header.channels)],
        _ => vec![8; usize::from(header.channels)],
    }
}

fn sample(texture: Texture, random: &mut Random, bits: u32, x: u32, y: u32, c: u32) -> u32 {
    let top = (1_u32 << bits) - 1;
    match texture {
        Texture::Noise => random.bits(bits),
        Texture::Extremes => top * random.bits(1),
        Texture::Flat if random.below(60) == 0 => random.bits(bits),
        Texture::Flat => top / 3,
        Texture::Smooth => {
            let slope = (u64::from(x) * 5 + u64::from(y) * 3 + u64::from(c) * 40) * u64::from(top) / 1000;
            let v = slope % (2 * u64::from(top) + 1) + u64::from(random.bits(bits / 3));
            (if v > u64::from(top) { (2 * u64::from(top)).saturating_sub(v) } else { v }) as u32
        }
        Texture::Stripes => top * ((x / (c + 1) + y) % 2),
    }
}

/// A picture for a header, native channel order.
pub fn pixels(header: &Header, texture: Texture, seed: u64) -> Pixels {
    let bits = sample_bits(header);
    let mut random = Random(seed);
    let mut samples = Vec::new();
    for y in 0..header.height {
        for x in 0..header.width {
            for (c, &bits) in (0..).zip(&bits) {
                samples.push(sample(texture, &mut random, bits, x, y, c));
            }
        }
    }
    Pixels { w: header.width as usize, h: header.height as usize, channels: bits.len(), samples }
}

/// Planes of full size for a mode without pixels, values of up to `bits` bits.
pub fn planes(header: &Header, bits: u32, seed: u64) -> Vec<Plane> {
    let mut random = Random(seed);
    (0..usize::from(header.channels))
        .map(|c| {
            let (w, h) = header.plane_size(c);
            Plane { w, h, data: (0..w * h).map(|_| random.signed(bits)).collect() }
        })
        .collect()
}

/// Coefficients that all have the largest magnitude of `bits` bits, in all bands or only in those of some kinds, and
/// whose signs follow a pattern in each band: among them are those for which the sums of the inverse transform grow most.
pub fn extreme_coefficients(header: &Header, bits: u32, seed: u64) -> Coefficients {
    let mut random = Random(seed);
    let kinds = if random.bits(1) == 1 { 0b1111 } else { random.bits(4) };
    let mut out = codec::zero(header);
    for plane in &mut out {
        let bands = std::iter::once(&mut plane.ll).chain(plane.details.iter_mut().flatten());
        for (i, band) in bands.enumerate() {
            let kind = if i == 0 { 0 } else { 1 + (i - 1) % 3 };
            let mask = random.bits(3) as usize;
            if kinds >> kind & 1 == 0 {
                continue;
            }
            for (i, value) in band.data.iter_mut().enumerate() {
                let (x, y) = (i % band.w, i / band.w);
                let odd = (mask & 1) + (mask >> 1 & 1) * x + (mask >> 2) * y;
                let top = ((1_u32 << bits) - 1) as i32;
                *value = if odd % 2 == 1 { -top } else { top };
            }
        }
    }
    out
}

/// Coefficients as no transform would make them: up to `bits` bits, only every `sparse`-th not 0.
pub fn coefficients(header: &Header, bits: u32, sparse: u32, seed: u64) -> Coefficients {
    let mut random = Random(seed);
    let mut out = codec::zero(header);
    for plane in &mut out {
        for band in std::iter::once(&mut plane.ll).chain(plane.details.iter_mut().flatten()) {
            // Bands differ in size of values, so that macroblocks differ in their planes.
            let bits = bits - random.below(bits.min(4));
            for value in &mut band.data {
                if random.below(sparse) == 0 {
                    *value = random.signed(bits);
                }
            }
        }
    }
    out
}

/// A picture of the settings in both worlds, and its planes.
pub fn picture(settings: &Settings, texture: Texture, seed: u64) -> (Header, Image, Vec<Plane>) {
    let header = settings.header().unwrap();
    if PLANE_MODES.contains(&header.mode) {
        let bits = 1 + (seed % 31) as u32;
        let planes = planes(&header, bits, seed);
        return (header.clone(), bridge::image_of_planes(header.mode, &planes), planes);
    }
    let pixels = pixels(&header, texture, seed);
    let planes = codec::import(&header, &pixels).unwrap();
    (header.clone(), bridge::image(header.mode, &pixels), planes)
}

/// A file by the reference: from pixels, or of coefficients that no picture has. `None` where no file can hold them.
pub fn file(settings: &Settings, texture: Texture, hostile: Option<(u32, u32)>, seed: u64) -> Option<Vec<u8>> {
    let (header, _, planes) = picture(settings, texture, seed);
    let coefficients = match hostile {
        None => codec::analyse(&planes, usize::from(header.levels), header.quantizer()),
        Some((bits, sparse)) => coefficients(&header, bits, sparse, seed),
    };
    let mut encoder = Encoder::new(settings.padding, settings.favor_speed);
    codec::write(&header, &coefficients, &mut encoder).ok()
}

/// Bits and sparseness of coefficients that no picture has, or none.
pub fn hostile() -> impl Strategy<Value = Option<(u32, u32)>> {
    prop_oneof![2 => Just(None), 1 => (1_u32..32, prop::sample::select(vec![1_u32, 2, 20, 500])).prop_map(Some)]
}

/// A rectangle inside a picture, from four fractions.
pub fn rect(header: &Header, [a, b, c, d]: [f64; 4]) -> Rect {
    let span = |n: u32, from: f64, size: f64| {
        let start = (f64::from(n) * from) as u32;
        (start, start + 1 + (f64::from(n - start - 1) * size) as u32)
    };
    let ((left, right), (top, bottom)) = (span(header.width, a, c), span(header.height, b, d));
    Rect { left, top, right, bottom }
}

/// What [`rect`] takes.
pub fn fractions() -> impl Strategy<Value = [f64; 4]> {
    [0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64]
}
