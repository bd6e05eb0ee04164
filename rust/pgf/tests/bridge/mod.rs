//! Between the reference codec and the crate: pixels, settings, coefficients.

// Each test file compiles this module on its own and uses only part of it.
#![allow(dead_code)]

use crate::reference::Plane;
use crate::reference::codec::{self, Coefficients, Settings};
use crate::reference::container::{Header, mode};
use crate::reference::pixels::Pixels;
use pgf::{Band, DecodeOptions, EncodeOptions, Image, Mode, Palette, Rect, Samples};

/// All modes with a pixel buffer.
pub const PIXEL_MODES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 17, 18, 19, 20];

/// Modes whose planes are the picture.
pub const PLANE_MODES: [u8; 4] = [7, 8, 14, 15];

/// Whether the format stores blue first and the crate red.
fn swapped(m: u8) -> bool {
    matches!(m, mode::RGB | mode::RGBA | mode::RGB48 | mode::RGB12 | mode::RGB16)
}

/// Samples in the crate's channel order, or back: the exchange is its own inverse.
fn exchange(m: u8, pixels: &Pixels) -> Vec<u32> {
    let mut samples = pixels.samples.clone();
    if swapped(m) {
        for pixel in samples.chunks_mut(pixels.channels) {
            pixel.swap(0, 2);
        }
    }
    samples
}

/// The crate's picture of native pixels.
pub fn image(m: u8, pixels: &Pixels) -> Image {
    let samples = exchange(m, pixels);
    let mode = Mode::from_number(m).unwrap();
    let samples = match m {
        mode::GRAY16 | mode::RGB48 | mode::LAB48 | mode::CMYK64 => {
            Samples::U16(samples.into_iter().map(|v| u16::try_from(v).unwrap()).collect())
        }
        mode::GRAY31 => Samples::U32(samples),
        _ => Samples::U8(samples.into_iter().map(|v| u8::try_from(v).unwrap()).collect()),
    };
    Image { width: pixels.w as u32, height: pixels.h as u32, channels: pixels.channels, mode, samples }
}

/// Native pixels of the crate's picture.
pub fn pixels(image: &Image) -> Pixels {
    let samples = match &image.samples {
        Samples::U8(v) => v.iter().map(|&v| u32::from(v)).collect(),
        Samples::U16(v) => v.iter().map(|&v| u32::from(v)).collect(),
        Samples::U32(v) => v.clone(),
        Samples::I32(_) => panic!("raw planes have no pixels"),
    };
    let mut out = Pixels { w: image.width as usize, h: image.height as usize, channels: image.channels, samples };
    out.samples = exchange(image.mode as u8, &out);
    out
}

/// The crate's picture of raw planes of one size.
pub fn image_of_planes(m: u8, planes: &[Plane]) -> Image {
    let mut samples = Vec::new();
    for i in 0..planes[0].data.len() {
        samples.extend(planes.iter().map(|plane| plane.data[i]));
    }
    Image {
        width: planes[0].w as u32,
        height: planes[0].h as u32,
        channels: planes.len(),
        mode: Mode::from_number(m).unwrap(),
        samples: Samples::I32(samples),
    }
}

/// What the reference makes of planes of any level: pixels, or the planes themselves.
pub fn image_of_reference(header: &Header, planes: &[Plane]) -> Image {
    if PLANE_MODES.contains(&header.mode) {
        image_of_planes(header.mode, planes)
    } else {
        image(header.mode, &codec::export(header, planes).unwrap())
    }
}

/// The part of a picture with columns `left..right` and rows `top..bottom`.
pub fn crop(image: &Image, [left, top, right, bottom]: [usize; 4]) -> Image {
    fn cut<T: Copy>(v: &[T], image: &Image, [left, top, right, bottom]: [usize; 4]) -> Vec<T> {
        let mut out = Vec::new();
        for y in top..bottom {
            let row = y * image.width as usize;
            out.extend_from_slice(&v[(row + left) * image.channels..(row + right) * image.channels]);
        }
        out
    }
    let rect = [left, top, right, bottom];
    let samples = match &image.samples {
        Samples::U8(v) => Samples::U8(cut(v, image, rect)),
        Samples::U16(v) => Samples::U16(cut(v, image, rect)),
        Samples::U32(v) => Samples::U32(cut(v, image, rect)),
        Samples::I32(v) => Samples::I32(cut(v, image, rect)),
    };
    Image { width: (right - left) as u32, height: (bottom - top) as u32, samples, ..*image }
}

/// The palette of a colour table in file order.
pub fn palette(table: &[u8]) -> Option<Palette> {
    if table.is_empty() {
        return None;
    }
    let mut out = [[0; 4]; 256];
    for (entry, b) in out.iter_mut().zip(table.chunks_exact(4)) {
        *entry = [b[2], b[1], b[0], b[3]];
    }
    Some(out)
}

/// The crate's options for the settings of the reference; `used_bits` is the header's.
pub fn options<'a>(settings: &'a Settings, used_bits: u8, palette: Option<&'a Palette>) -> EncodeOptions<'a> {
    EncodeOptions {
        quality: settings.quality,
        levels: u8::try_from(settings.levels).ok().filter(|n| (1..=30).contains(n)),
        roi: settings.roi,
        used_bits: Some(used_bits),
        user_data: &settings.user_data,
        palette,
        favor_speed: settings.favor_speed,
        num_threads: 1,
    }
}

/// The crate's coefficients in the form of the reference.
pub fn coefficients(header: &Header, fast: &pgf::Coefficients) -> Coefficients {
    let mut out = codec::zero(header);
    for (c, plane) in out.iter_mut().enumerate() {
        let top = plane.details.len() as u8;
        plane.ll.data = fast.band(c, top, Band::LL).unwrap();
        for (level, details) in (1..).zip(&mut plane.details) {
            for (band, kind) in details.iter_mut().zip([Band::HL, Band::LH, Band::HH]) {
                band.data = fast.band(c, level, kind).unwrap();
            }
        }
    }
    out
}

/// Which band first differs, if any.
pub fn differing_band(reference: &Coefficients, fast: &pgf::Coefficients) -> Option<String> {
    for (c, plane) in reference.iter().enumerate() {
        let top = plane.details.len();
        let mut bands = vec![(top, Band::LL, &plane.ll)];
        for (i, [hl, lh, hh]) in plane.details.iter().enumerate() {
            bands.extend([(i + 1, Band::HL, hl), (i + 1, Band::LH, lh), (i + 1, Band::HH, hh)]);
        }
        for (level, kind, band) in bands {
            let found = fast.band(c, level as u8, kind).unwrap();
            if fast.band_size(c, level as u8, kind) != (band.w, band.h) {
                return Some(format!("plane {c} level {level} {kind:?}: size"));
            }
            if let Some(i) = found.iter().zip(&band.data).position(|(a, b)| a != b) {
                let (x, y) = (i % band.w, i / band.w);
                return Some(format!("plane {c} level {level} {kind:?} ({x}, {y}): {} for {}", found[i], band.data[i]));
            }
        }
    }
    None
}

/// Options that refuse anything but a whole file.
pub fn strict(level: usize, region: Option<Rect>) -> DecodeOptions {
    DecodeOptions { level: level as u8, region, strict: true, ..DecodeOptions::default() }
}

/// Options that make the best of what is there.
pub fn lenient(level: usize, region: Option<Rect>) -> DecodeOptions {
    DecodeOptions { strict: false, ..strict(level, region) }
}

/// The same rectangle in the samples of a level; never empty.
pub fn at_level(rect: Rect, level: usize, whole: &Image) -> [usize; 4] {
    let at = |n: u32| n.div_ceil(1 << level) as usize;
    let (x, y) = (at(rect.left).min(whole.width as usize - 1), at(rect.top).min(whole.height as usize - 1));
    [x, y, at(rect.right).max(x + 1), at(rect.bottom).max(y + 1)]
}
