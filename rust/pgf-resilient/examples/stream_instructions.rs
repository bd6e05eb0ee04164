//! Encodings or decodings of a stream for a program that counts instructions, or for a watch.
//!
//!     stream_instructions encode|decode avx2|baseline QUALITY MAX_BYTES PICTURE.png [ROUNDS]
//!
//! Everything to be counted happens inside `measured_encode` or `measured_decode`; with ROUNDS the median time of so many
//! calls is printed, in microseconds. MAX_BYTES 0: no limit. Exit status 3: the processor does not have the instructions.

#[path = "../../pgf/benches/picture/mod.rs"]
mod picture;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use pgf::{EncodeOptions, Image, ImageRef, Mode, SamplesRef, use_baseline_only};
use pgf_resilient::{DecodeOptions, StreamOptions, decode, encode};

#[inline(never)]
fn measured_encode(image: &ImageRef<'_>, options: &EncodeOptions<'_>, stream: &StreamOptions) -> Vec<u8> {
    encode(image, options, stream).expect("a valid picture")
}

#[inline(never)]
fn measured_decode(stream: &[u8]) -> Image {
    decode(stream, &DecodeOptions::default()).expect("a valid stream").0
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("lzcnt")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

fn times(rounds: Option<&String>, mut work: impl FnMut() -> usize) {
    let Some(rounds) = rounds else {
        println!("{}", work());
        return;
    };
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let mut all: Vec<f64> = Vec::new();
    let mut size = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        size = work();
        all.push(start.elapsed().as_secs_f64() * 1e6);
    }
    all.sort_by(f64::total_cmp);
    println!("{size}: median {:.1} us, least {:.1} us", all[all.len() / 2], all[0]);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, level, quality, most, path, rounds @ ..] = &arguments[..] else {
        panic!("a verb, a level, a quality, a number of bytes and a picture")
    };
    match level.as_str() {
        "baseline" => use_baseline_only(true),
        "avx2" if has_avx2() => {}
        "avx2" => return ExitCode::from(3),
        other => panic!("level {other}: avx2 or baseline"),
    }
    let picture = picture::read(Path::new(path));
    let samples = SamplesRef::U8(&picture.pixels);
    let image = ImageRef { width: picture.width, height: picture.height, channels: 3, mode: Mode::Rgb, samples };
    let options = EncodeOptions { quality: quality.parse().expect("a quality"), ..EncodeOptions::default() };
    let most: usize = most.parse().expect("a number of bytes");
    let stream = StreamOptions { max_bytes: (most > 0).then_some(most), ..StreamOptions::default() };
    match verb.as_str() {
        "encode" => times(rounds.first(), || measured_encode(&image, &options, &stream).len()),
        "decode" => {
            let coded = encode(&image, &options, &stream).expect("a valid picture");
            times(rounds.first(), || measured_decode(&coded).height as usize);
        }
        other => panic!("{other}: encode or decode"),
    }
    ExitCode::SUCCESS
}
