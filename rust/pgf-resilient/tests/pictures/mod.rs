//! Pictures for the tests: photographs of the repository in every mode, and what is measured of them.

// Each test file compiles this module on its own and uses only part of it.
#![allow(dead_code)]

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::OnceLock;

use pgf::{EncodeOptions, Image, Mode, SampleType, Samples};
use pgf_resilient::{Extras, StreamOptions};

/// An 8-bit RGB photograph.
struct Photograph {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

fn read(name: &str) -> Photograph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name);
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(frame.bit_depth, png::BitDepth::Eight, "{name}");
    let pixels = match frame.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => pixels.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|p| [*p; 3]).collect(),
        other => panic!("{name}: {other:?}"),
    };
    Photograph { width: frame.width as usize, height: frame.height as usize, pixels }
}

/// The photographs that the tests use.
pub const NAMES: [&str; 4] = ["astronaut.png", "chelsea.png", "coffee.png", "camera.png"];

fn photograph(index: usize) -> &'static Photograph {
    static ALL: [OnceLock<Photograph>; 4] = [const { OnceLock::new() }; 4];
    ALL[index % 4].get_or_init(|| read(NAMES[index % 4]))
}

/// A crop of photograph `index`, `step` pixels apart, from a place that `seed` picks; it wraps round at the edges.
pub fn crop(index: usize, seed: usize, step: usize, width: u32, height: u32) -> Image {
    let photograph = photograph(index);
    let (x0, y0) = (seed * 7919 % photograph.width, seed * 104_729 % photograph.height);
    let mut samples = Vec::with_capacity(3 * (width * height) as usize);
    for y in 0..height as usize {
        for x in 0..width as usize {
            let (px, py) = ((x0 + step * x) % photograph.width, (y0 + step * y) % photograph.height);
            samples.extend_from_slice(&photograph.pixels[3 * (py * photograph.width + px)..][..3]);
        }
    }
    Image { width, height, channels: 3, mode: Mode::Rgb, samples: Samples::U8(samples) }
}

/// The middle of a photograph, 256 x 256 pixels of it or fewer.
pub fn middle(index: usize, width: u32, height: u32) -> Image {
    let photograph = photograph(index);
    let (w, h) = (width as usize, height as usize);
    let (x0, y0) = ((photograph.width - w) / 2, (photograph.height - h) / 2);
    let rows = (y0..y0 + h).flat_map(|y| &photograph.pixels[3 * (y * photograph.width + x0)..][..3 * w]);
    Image { width, height, channels: 3, mode: Mode::Rgb, samples: Samples::U8(rows.copied().collect()) }
}

/// A photograph in another mode: every channel from one of red, green and blue, at the depth of the mode.
pub fn in_mode(rgb: &Image, mode: Mode, free_channels: usize) -> Image {
    let Samples::U8(source) = &rgb.samples else { panic!("8-bit RGB is needed") };
    let channels = match mode.fixed_channels() {
        0 => free_channels,
        n => n,
    };
    let count = (rgb.width * rgb.height) as usize;
    let at = |i: usize| u32::from(source[3 * (i / channels) + i % channels % 3]);
    let all = 0..count * channels;
    // Low bits that no photograph of 8 bits has.
    let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 20;
    let samples = match (mode, mode.sample_type()) {
        (Mode::Bitmap, _) => Samples::U8(all.map(|i| (at(i) >> 7) as u8).collect()),
        (Mode::Rgb12, _) => Samples::U8(all.map(|i| (at(i) >> 4) as u8).collect()),
        (Mode::Rgb16, _) => Samples::U8(all.map(|i| (at(i) >> if i % 3 == 1 { 2 } else { 3 }) as u8).collect()),
        (_, SampleType::U8) => Samples::U8(all.map(|i| at(i) as u8).collect()),
        (_, SampleType::U16) => Samples::U16(all.map(|i| (at(i) << 8 | noise(i) & 255) as u16).collect()),
        (_, SampleType::U32) => Samples::U32(all.map(|i| at(i) << 23 | noise(i) << 9).collect()),
        (_, SampleType::I32) => Samples::I32(all.map(|i| at(i) as i32 * 37 - 4000).collect()),
    };
    Image { width: rgb.width, height: rgb.height, channels, mode, samples }
}

/// A stream of about `bytes` bytes of a picture, quality 5 with all levels.
pub fn stream(image: &Image, bytes: usize, options: &StreamOptions) -> Vec<u8> {
    let options = StreamOptions { max_bytes: Some(bytes), ..*options };
    let encode = EncodeOptions { quality: 5, ..EncodeOptions::default() };
    pgf_resilient::encode(&image.as_ref(), &encode, &options).unwrap()
}

/// The 8-bit samples of a picture.
pub fn bytes(image: &Image) -> &[u8] {
    match &image.samples {
        Samples::U8(samples) => samples,
        _ => panic!("not of 8 bits"),
    }
}

/// Peak signal to noise ratio of 8-bit pictures in dB, 99 for equal ones.
pub fn psnr(a: &Image, b: &Image) -> f64 {
    assert_eq!((a.width, a.height, a.channels), (b.width, b.height, b.channels));
    psnr_of(bytes(a), bytes(b))
}

/// As [`psnr`], of samples.
pub fn psnr_of(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    if sum == 0 { 99.0 } else { 10.0 * (255.0 * 255.0 * a.len() as f64 / sum as f64).log10() }
}

/// A rectangle of a picture of 8 bits.
pub fn cut(image: &Image, rect: pgf::Rect) -> Vec<u8> {
    let row = image.width as usize * image.channels;
    let (left, right) = (rect.left as usize * image.channels, rect.right as usize * image.channels);
    let rows = bytes(image).chunks_exact(row).take(rect.bottom as usize).skip(rect.top as usize);
    rows.flat_map(|row| &row[left..right]).copied().collect()
}

/// Numbers that are the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

/// A stream of an indexed picture with a palette and user data, and what it carries.
pub fn with_palette() -> (Vec<u8>, Extras) {
    let image = in_mode(&crop(0, 0, 2, 32, 24), Mode::Indexed, 0);
    let palette = std::array::from_fn(|i| [255 - i as u8, (i * 7) as u8, 255, i as u8]);
    let user_data: Vec<u8> = (0..400).map(|i| (255 - i / 3) as u8).collect();
    let encode = EncodeOptions { palette: Some(&palette), user_data: &user_data, ..EncodeOptions::default() };
    let stream = pgf_resilient::encode(&image.as_ref(), &encode, &StreamOptions::default()).unwrap();
    (stream, Extras { palette: Some(Box::new(palette)), user_data, roi: false })
}
