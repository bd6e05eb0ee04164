//! How much memory decoding takes, in multiples of the picture: sound, damaged and hostile data of every kind of mode.
//!
//! `cargo test --release -p pgf-resilient --test memory -- --nocapture --test-threads=1` prints the table.

#[path = "../../fuzz/src/hammer/memory.rs"]
mod memory;

use memory::{Counting, peak_of};
use pgf::{Band, Coefficients, EncodeOptions, Image, Limits, Mode, Rect, SampleType, Samples, flags};
use pgf_resilient::StreamOptions;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WIDTH: u32 = 1300;
const HEIGHT: u32 = 1100;

/// What does not grow with the picture: the coder of macroblocks, and their list, which here is short.
const FIXED: usize = 256 << 10;

/// A smooth picture with a little noise.
fn picture(mode: Mode, width: u32, height: u32) -> Image {
    let channels = match mode.fixed_channels() {
        0 => 5,
        n => n,
    };
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut value = |x: usize, y: usize, c: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let smooth = 100.0 + 70.0 * ((x + 31 * c) as f64 / 57.0).sin() * (y as f64 / 43.0).cos();
        smooth as u32 + (state >> 62) as u32
    };
    let (w, h) = (width as usize, height as usize);
    let all = (0..w * h * channels).map(|i| value(i / channels % w, i / channels / w, i % channels));
    let samples = match (mode, mode.sample_type()) {
        (Mode::Bitmap, _) => Samples::U8(all.map(|v| u8::from(v > 100)).collect()),
        (Mode::Rgb12, _) => Samples::U8(all.map(|v| (v >> 4) as u8).collect()),
        (Mode::Rgb16, _) => Samples::U8(all.map(|v| (v >> 3) as u8).collect()),
        (_, SampleType::U8) => Samples::U8(all.map(|v| v as u8).collect()),
        (_, SampleType::U16) => Samples::U16(all.map(|v| (v << 8) as u16).collect()),
        (_, SampleType::U32) => Samples::U32(all.map(|v| v << 20).collect()),
        (_, SampleType::I32) => Samples::I32(all.map(|v| v as i32).collect()),
    };
    Image { width, height, channels, mode, samples }
}

fn analysed(mode: Mode, quality: u8, roi: bool) -> Coefficients {
    let palette = [[9; 4]; 256];
    let palette = (mode == Mode::Indexed).then_some(&palette);
    let options = EncodeOptions { quality, roi, palette, ..EncodeOptions::default() };
    pgf::analyse(&picture(mode, WIDTH, HEIGHT).as_ref(), &options).unwrap()
}

fn file(coefficients: &Coefficients) -> Vec<u8> {
    pgf::write_coefficients(coefficients).unwrap()
}

fn stream(coefficients: &Coefficients) -> Vec<u8> {
    pgf_resilient::write(coefficients, &StreamOptions::default()).unwrap()
}

/// Coefficients that are as large as 16 bits hold: legal, but no sum of two of them fits.
fn large(coefficients: &mut Coefficients) {
    for level in 1..=coefficients.header().levels {
        let mut rows = coefficients.rows_mut(0, level, Band::HL).unwrap();
        let (x, y) = (rows.width() / 2, rows.height() / 2);
        match rows.row(y) {
            pgf::RowMut::Narrow(row) => row[x] = 32767,
            pgf::RowMut::Wide(row) => row[x] = 32767,
        }
    }
}

/// Values that need all 31 planes, in so many places that every macroblock has one.
fn huge(mode: Mode, quality: u8, roi: bool) -> Coefficients {
    let header = *analysed(mode, quality, roi).header();
    let flags = if roi { flags::CURRENT | flags::ROI } else { flags::CURRENT };
    let mut out = Coefficients::zeroed(&header, flags, true, None, Vec::new(), &Limits::default()).unwrap();
    for plane in 0..usize::from(header.channels) {
        for level in 1..=header.levels {
            for band in [Band::LL, Band::HL, Band::LH, Band::HH] {
                let Ok(mut rows) = out.rows_mut(plane, level, band) else { continue };
                for y in 0..rows.height() {
                    let pgf::RowMut::Wide(row) = rows.row(y) else { panic!("asked for") };
                    for v in row.iter_mut().skip(y % 40).step_by(40) {
                        *v = if y % 3 == 0 { 0x7654_3210 } else { -0x6789_ABCD };
                    }
                }
            }
        }
    }
    out
}

/// Some bytes changed.
fn damaged(mut data: Vec<u8>, one_in: usize, seed: u64) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ seed;
    for byte in data.iter_mut().skip(100) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if (state >> 20).is_multiple_of(one_in as u64) {
            *byte ^= ((state >> 8) as u8).max(1);
        }
    }
    data
}

/// The first byte of every `every`th macroblock of a plain file says 31 planes.
fn overstated(mut data: Vec<u8>, every: usize) -> Vec<u8> {
    let file = pgf::read_header(&data).unwrap();
    let mut at = file.data_offset;
    let mut index = 0;
    while at + 3 < data.len() {
        let words = usize::from(u16::from_le_bytes([data[at], data[at + 1]]));
        if index % every == every / 2 {
            data[at + 2] |= 31;
        }
        at += 2 + 4 * words;
        index += 1;
    }
    data
}

/// Version 6: bitmaps of eight pixels to the value.
fn old(mut data: Vec<u8>) -> Vec<u8> {
    data[3] &= !flags::V7;
    data
}

fn bytes_of(samples: &Samples) -> usize {
    samples.as_ref().len()
        * match samples.as_ref().sample_type() {
            SampleType::U8 => 1,
            SampleType::U16 => 2,
            SampleType::U32 | SampleType::I32 => 4,
        }
}

/// The whole picture.
fn measure(name: &str, data: &[u8], bound: f64) -> Option<String> {
    measure_region(name, data, None, bound)
}

/// What the table has of a case, if that is too much.
fn measure_region(name: &str, data: &[u8], region: Option<Rect>, bound: f64) -> Option<String> {
    let ((image, sound), peak) = peak_of(|| {
        if data[0] == 0xFF {
            let options = pgf_resilient::DecodeOptions { region, ..pgf_resilient::DecodeOptions::default() };
            let (image, report) = pgf_resilient::decode(data, &options).unwrap();
            (image, report.clean())
        } else {
            let options = pgf::DecodeOptions { region, ..pgf::DecodeOptions::default() };
            let (image, report) = pgf::decode_with_report(data, &options).unwrap();
            (image, report.complete())
        }
    });
    let bytes = bytes_of(&image.samples) as f64;
    let sound = if sound { "clean" } else { "" };
    let line = format!("{name:55} {sound:5} {:.2}, at most {bound:.2}", peak as f64 / bytes);
    println!("{line}");
    (peak as f64 > bound * bytes).then_some(line)
}

/// `times` the picture and [`FIXED`].
fn about(times: f64, mode: Mode) -> f64 {
    let bytes = bytes_of(&picture(mode, 1, 1).samples) * (WIDTH * HEIGHT) as usize;
    times + FIXED as f64 / bytes as f64
}

const MODES: [(Mode, u8); 10] = [
    (Mode::Gray, 0),
    (Mode::Rgb, 0),
    (Mode::Rgb, 5),
    (Mode::Rgba, 0),
    (Mode::Bitmap, 0),
    (Mode::Indexed, 0),
    (Mode::Multichannel, 0),
    (Mode::Gray16, 0),
    (Mode::Rgb48, 0),
    (Mode::Gray31, 0),
];

/// Sound data of every kind of mode: planes of 16 bits and samples of 8, or of 32 and 16. Of tiled files every tile has an
/// entry in a list.
#[test]
fn sound() {
    let mut worse = Vec::new();
    for (mode, quality) in MODES {
        let coefficients = analysed(mode, quality, false);
        let name = format!("{} quality {quality}", mode.name());
        worse.extend(measure(&format!("{name}: file"), &file(&coefficients), about(3.0, mode)));
        worse.extend(measure(&format!("{name}: stream"), &stream(&coefficients), about(3.0, mode)));
        if quality == 0 {
            worse.extend(measure(&format!("{name}: tiled file"), &file(&analysed(mode, 0, true)), about(3.1, mode)));
        }
    }
    worse.extend(measure(
        "bitmap of version 6: file",
        &old(file(&analysed(Mode::Bitmap, 0, false))),
        about(3.0, Mode::Bitmap),
    ));
    assert!(worse.is_empty(), "{worse:#?}");
}

/// Bytes that changed by chance, few and many.
#[test]
fn by_chance() {
    let mut worse = Vec::new();
    for (mode, quality) in MODES {
        let coefficients = analysed(mode, quality, false);
        let tiled = file(&analysed(mode, quality, true));
        for one_in in [100_000, 2000, 50] {
            let name = format!("{} quality {quality}, 1 byte in {one_in} wrong", mode.name());
            worse.extend(measure(&format!("{name}: file"), &damaged(file(&coefficients), one_in, 1), 4.0));
            worse.extend(measure(&format!("{name}: tiled"), &damaged(tiled.clone(), one_in, 2), 4.0));
            worse.extend(measure(&format!("{name}: stream"), &damaged(stream(&coefficients), one_in, 3), 4.0));
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}

/// Coefficients whose sums, or which themselves, need 32 bits in modes of 8.
#[test]
fn beyond_16_bits() {
    let mut worse = Vec::new();
    for (mode, quality) in MODES.into_iter().filter(|(mode, _)| mode.sample_type() == SampleType::U8) {
        let mut coefficients = analysed(mode, quality, false);
        let name = format!("{} quality {quality}", mode.name());
        let plain = file(&coefficients);
        for every in [40, 2, 1] {
            worse.extend(measure(
                &format!("{name}, 31 planes in 1 of {every}: file"),
                &overstated(plain.clone(), every),
                4.0,
            ));
        }
        large(&mut coefficients);
        worse.extend(measure(&format!("{name}, large sums: file"), &file(&coefficients), 4.0));
        worse.extend(measure(&format!("{name}, large sums: stream"), &stream(&coefficients), 4.0));
        let huge_file = file(&huge(mode, quality, false));
        worse.extend(measure(&format!("{name}, all of 31 bits: file"), &huge_file, 4.0));
        worse.extend(measure(&format!("{name}, all of 31 bits, damaged: file"), &damaged(huge_file, 50, 4), 4.0));
        worse.extend(measure(&format!("{name}, all of 31 bits: tiled"), &file(&huge(mode, quality, true)), 4.0));
        worse.extend(measure(&format!("{name}, all of 31 bits: stream"), &stream(&huge(mode, quality, false)), 4.0));
    }
    let bitmap = old(file(&huge(Mode::Bitmap, 0, false)));
    worse.extend(measure("bitmap of version 6, all of 31 bits: file", &bitmap, 4.0));
    assert!(worse.is_empty(), "{worse:#?}");
}

/// Pictures without levels: files of raw samples, and streams that have levels of their own.
#[test]
fn without_levels() {
    let mut worse = Vec::new();
    for (mode, quality) in MODES {
        // Nine rows are too few for levels; the header of a larger picture only has to say none.
        let source = analysed(mode, quality, false);
        let header = pgf::Header { levels: 0, ..*source.header() };
        let palette = source.palette.clone();
        let mut flat =
            Coefficients::zeroed(&header, flags::CURRENT, false, palette, Vec::new(), &Limits::default()).unwrap();
        for plane in 0..usize::from(header.channels) {
            let mut rows = flat.rows_mut(plane, 0, Band::LL).unwrap();
            for y in 0..rows.height() {
                if let pgf::RowMut::Wide(row) = rows.row(y) {
                    row.iter_mut().enumerate().for_each(|(x, v)| *v = ((x / 9 + y / 7) % 100) as i32);
                }
            }
        }
        let name = format!("{} quality {quality}, no levels", mode.name());
        let (plain, resilient) = (file(&flat), stream(&flat));
        worse.extend(measure(&format!("{name}: file"), &plain, 4.0));
        worse.extend(measure(&format!("{name}: cut file"), &plain[..plain.len() / 2], 4.0));
        worse.extend(measure(&format!("{name}: stream"), &resilient, 4.0));
        for one_in in [100_000, 2000, 50] {
            let data = damaged(resilient.clone(), one_in, 5);
            worse.extend(measure(&format!("{name}, 1 byte in {one_in} wrong: stream"), &data, 4.0));
        }
    }
    let mut bitmap = analysed(Mode::Bitmap, 0, false);
    bitmap = Coefficients::zeroed(
        &pgf::Header { levels: 0, ..*bitmap.header() },
        flags::CURRENT,
        false,
        None,
        Vec::new(),
        &Limits::default(),
    )
    .unwrap();
    worse.extend(measure("bitmap of version 6, no levels: file", &old(file(&bitmap)), 4.0));
    assert!(worse.is_empty(), "{worse:#?}");
}

/// Regions have a window of their own for every level, a third more coefficients, and those that filters reach.
#[test]
fn regions() {
    let mut worse = Vec::new();
    let region = Some(Rect { left: 101, top: 50, right: WIDTH - 101, bottom: HEIGHT - 50 });
    for (mode, quality) in MODES.into_iter().filter(|(mode, _)| mode.sample_type() == SampleType::U8) {
        let mut coefficients = analysed(mode, quality, false);
        let name = format!("{} quality {quality}, a region", mode.name());
        let plain = file(&coefficients);
        let bound = about(4.0, mode);
        worse.extend(measure_region(&format!("{name}: file"), &plain, region, bound));
        worse.extend(measure_region(&format!("{name}, damaged: file"), &damaged(plain, 2000, 6), region, bound));
        large(&mut coefficients);
        worse.extend(measure_region(&format!("{name}, large sums: file"), &file(&coefficients), region, bound));
        worse.extend(measure_region(&format!("{name}, large sums: stream"), &stream(&coefficients), region, bound));
        // Hardly any macroblock that is decoded again is kept then, but always a few.
        let (tiled, bound) = (file(&huge(mode, quality, true)), bound + 0.1);
        worse.extend(measure_region(&format!("{name}, all of 31 bits: tiled"), &tiled, region, bound));
    }
    assert!(worse.is_empty(), "{worse:#?}");
}
