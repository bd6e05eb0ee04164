//! Sound streams and files, from which inputs are made.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use pgf::{EncodeOptions, Header, Image, Mode, Rect, Samples, flags};
use pgf_resilient::{Order, Payload, Profile, StreamOptions};

use super::random::Random;
use crate::pictures;

/// Sound streams and files; each is made when it is first asked for.
pub struct Sources {
    /// Files of libPGF.
    vectors: Vec<Rc<[u8]>>,
    made: HashMap<(bool, usize), Rc<[u8]>>,
}

/// How many streams and files are made, beside those that are read.
const MADE: usize = 3000;

impl Sources {
    pub fn new() -> Sources {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/vectors");
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a listed file").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "pgf"));
        paths.sort();
        let vectors = paths.iter().map(|path| fs::read(path).expect("a listed file").into()).collect();
        Sources { vectors, made: HashMap::new() }
    }

    /// A sound stream.
    pub fn stream(&mut self, random: &mut Random) -> Rc<[u8]> {
        let key = random.below(MADE + self.vectors.len());
        self.take(true, key)
    }

    /// A sound file.
    pub fn file(&mut self, random: &mut Random) -> Rc<[u8]> {
        let key = random.below(MADE + self.vectors.len());
        self.take(false, key)
    }

    fn take(&mut self, stream: bool, key: usize) -> Rc<[u8]> {
        let (made, vectors) = (&mut self.made, &self.vectors);
        let random = &mut Random::new(key as u64 ^ if stream { 0x5EED_0001 } else { 0x5EED_0002 } << 32);
        let make = || match (stream, key.checked_sub(MADE)) {
            (false, Some(vector)) => Rc::clone(&vectors[vector]),
            (true, Some(vector)) => {
                let (coefficients, _) = pgf::read_coefficients(&vectors[vector], false, &pgf::Limits::default())
                    .expect("a vector is sound");
                write(&coefficients, stream_options(random)).into()
            }
            (_, None) => made_of_picture(stream, random).into(),
        };
        Rc::clone(made.entry((stream, key)).or_insert_with(make))
    }
}

/// A stream of any coefficients: without a budget where user data do not fit into it.
fn write(coefficients: &pgf::Coefficients, options: pgf_resilient::StreamOptions) -> Vec<u8> {
    pgf_resilient::write(coefficients, &options).unwrap_or_else(|_| {
        assert!(options.max_bytes.is_some() && !coefficients.user_data.is_empty(), "{options:?}");
        let options = pgf_resilient::StreamOptions { max_bytes: None, ..options };
        pgf_resilient::write(coefficients, &options).expect("any coefficients")
    })
}

fn side(random: &mut Random) -> u32 {
    let (from, to) = match random.below(100) {
        0..25 => (1, 8),
        25..75 => (9, 24),
        75..92 => (25, 48),
        92..99 => (49, 96),
        _ => (97, 300),
    };
    (from + random.below(to - from + 1)) as u32
}

/// A picture: a crop of a photograph, a slope with edges and noise, a flat colour or noise alone, in any mode.
fn picture(random: &mut Random) -> Image {
    let mode = if random.one_in(2) { random.pick(&[Mode::Rgb, Mode::Gray]) } else { random.pick(Mode::ALL) };
    let (width, height) = (side(random), side(random));
    let channels = if random.one_in(4) { 1 + random.below(8) } else { 1 + random.below(3) };
    let count = (width * height) as usize;
    let value: u8 = random.byte();
    let rgb = match random.below(8) {
        0..4 => pictures::crop(random.below(4), random.below(1000), 1 + random.below(3), width, height),
        kind => {
            let pixel = |i: usize, noise: u8| match kind {
                4 => value,
                5 => noise,
                _ => {
                    let (x, y) = (i as u32 % width, i as u32 / width);
                    let edge = if (x / 16 + y / 16).is_multiple_of(2) { 16 } else { 0 };
                    (x.wrapping_mul(3).wrapping_add(y) as u8).wrapping_add(edge).wrapping_add(noise >> 6)
                }
            };
            let samples = (0..3 * count).map(|i| pixel(i / 3, random.byte())).collect();
            Image { width, height, channels: 3, mode: Mode::Rgb, samples: Samples::U8(samples) }
        }
    };
    pictures::in_mode(&rgb, mode, channels)
}

/// Options of streams, any.
pub fn stream_options(random: &mut Random) -> StreamOptions {
    let first = Rect { left: 0, top: 0, right: 1 + random.below(40) as u32, bottom: 1 + random.below(40) as u32 };
    StreamOptions {
        payload: random.pick(&[Payload::Packed, Payload::Tokens]),
        profile: random.pick(&[Profile::Lean, Profile::Default, Profile::Tough]),
        order: random.pick(&[Order::Best, Order::Best, Order::Levels]),
        first: random.one_in(8).then_some(first),
        chroma: random.pick(&[1.0, 0.5]),
        max_bytes: random.one_in(8).then(|| 200 + random.below(3000)),
        bare: random.one_in(4),
        checks: random.one_in(4),
        num_threads: 1,
    }
}

fn made_of_picture(stream: bool, random: &mut Random) -> Vec<u8> {
    let image = picture(random);
    let user_data = vec![random.pick(&[b'u', 0xFF]); random.pick(&[0, 0, 0, 9, 64, 150])];
    let palette = std::array::from_fn(|i| [i as u8, 255, (i * 7) as u8, 0]);
    let depth = Header::depth_of(image.mode, image.channels as u8) / image.channels as u8;
    let most = random.pick(&[1, 10, 10, 31]);
    let options = EncodeOptions {
        quality: random.below(most) as u8,
        levels: random.one_in(3).then(|| 1 + random.below(30) as u8),
        roi: random.one_in(3),
        used_bits: random.one_in(8).then(|| 1 + random.below(depth.clamp(1, 31).into()) as u8),
        user_data: &user_data,
        palette: (image.mode == Mode::Indexed).then_some(&palette),
        ..EncodeOptions::default()
    };
    let encode = |options: &EncodeOptions<'_>, random: &mut Random| {
        if stream {
            pgf_resilient::encode(&image.as_ref(), options, &stream_options(random))
        } else {
            pgf::encode(&image.as_ref(), options)
        }
    };
    // A budget may be too small for a header; noise in 31 planes fits no macroblock unless it is quantised.
    let coarser = EncodeOptions { quality: 20, used_bits: None, ..options.clone() };
    let made = (0..9).find_map(|turn| encode(if turn < 4 { &options } else { &coarser }, random).ok());
    let mut made = made.expect("legal settings");
    if !stream && !options.roi && random.one_in(8) {
        // As a file of an older version the same macroblocks are another picture.
        made[3] &= !(flags::V5 | flags::V7);
    }
    made
}
