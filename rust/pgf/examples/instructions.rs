//! One encoding or decoding for a program that counts instructions; `scripts/instructions` runs this under callgrind.
//!
//!     instructions encode|decode avx2|baseline QUALITY PICTURE.png
//!
//! Everything to be counted happens inside `measured_encode` or `measured_decode`. Exit status 3: the processor does
//! not have the instructions.

#[path = "../benches/picture/mod.rs"]
mod picture;

use std::path::Path;
use std::process::ExitCode;

use pgf::{DecodeOptions, EncodeOptions, Image, ImageRef, Mode, SamplesRef, decode, encode, use_baseline_only};

#[inline(never)]
fn measured_encode(image: &ImageRef<'_>, options: &EncodeOptions<'_>) -> Vec<u8> {
    encode(image, options).expect("a valid picture")
}

#[inline(never)]
fn measured_decode(file: &[u8]) -> Image {
    decode(file, &DecodeOptions::default()).expect("a valid file")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("lzcnt")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, level, quality, path] = &arguments[..] else { panic!("a verb, a level, a quality and a picture") };
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
    match verb.as_str() {
        "encode" => println!("{}", measured_encode(&image, &options).len()),
        "decode" => {
            let file = encode(&image, &options).expect("a valid picture");
            println!("{}", measured_decode(&file).height);
        }
        other => panic!("{other}: encode or decode"),
    }
    ExitCode::SUCCESS
}
