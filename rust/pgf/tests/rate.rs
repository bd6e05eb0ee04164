//! `encode_max_bytes`: never over budget, at least as good as the best whole step of quality, and not wasteful.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use pgf::{DecodeOptions, EncodeOptions, Error, ImageRef, Mode, Samples, SamplesRef, decode, encode, encode_max_bytes};

/// A committed photograph, or its top left part: width, height, RGB samples.
fn photograph(side: usize) -> (u32, u32, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/astronaut.png");
    let file = BufReader::new(File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG file");
    let mut samples = vec![0; reader.output_buffer_size().expect("a picture that fits")];
    let info = reader.next_frame(&mut samples).expect("a whole picture");
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let (width, height) = (info.width as usize, info.height as usize);
    let (columns, rows) = (width.min(side), height.min(side));
    let part = samples.chunks_exact(3 * width).take(rows).flat_map(|row| &row[..3 * columns]).copied().collect();
    (columns as u32, rows as u32, part)
}

fn squared_error(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
}

fn error_of(file: &[u8], samples: &[u8]) -> u64 {
    let image = decode(file, &DecodeOptions { strict: true, ..DecodeOptions::default() }).expect("a whole file");
    match image.samples {
        Samples::U8(back) => squared_error(&back, samples),
        other => panic!("samples {other:?}"),
    }
}

#[test]
fn budgets_are_kept_and_used() {
    let (width, height, samples) = photograph(384);
    let image = ImageRef { width, height, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(&samples) };
    let options = EncodeOptions::default();
    let steps: Vec<Vec<u8>> = (0..=30)
        .map(|quality| encode(&image, &EncodeOptions { quality, ..options.clone() }).expect("a picture"))
        .collect();
    for budget in [3_000, 9_000, 20_000, 45_000, 120_000] {
        let file = encode_max_bytes(&image, &options, budget).expect("a budget that is possible");
        assert!(file.len() <= budget, "{} bytes for a budget of {budget}", file.len());
        assert!(10 * file.len() >= 9 * budget, "only {} bytes for a budget of {budget}", file.len());
        let best = steps.iter().filter(|file| file.len() <= budget).map(|file| error_of(file, &samples)).min();
        let (found, best) = (error_of(&file, &samples), best.expect("a quality that fits"));
        assert!(found <= best, "budget {budget}: squared error {found}, the best whole step has {best}");
    }
}

#[test]
fn a_lossless_file_that_fits_is_taken() {
    let (width, height, samples) = photograph(96);
    let image = ImageRef { width, height, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(&samples) };
    let options = EncodeOptions::default();
    let whole = encode(&image, &options).expect("a picture");
    assert_eq!(encode_max_bytes(&image, &options, whole.len()).expect("a budget that is possible"), whole);
}

#[test]
fn every_small_budget_is_kept() {
    let (width, height, samples) = photograph(64);
    let image = ImageRef { width, height, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(&samples) };
    for roi in [false, true] {
        let options = EncodeOptions { roi, ..EncodeOptions::default() };
        let mut refused = 0;
        for budget in (0..2_000).step_by(37) {
            match encode_max_bytes(&image, &options, budget) {
                Ok(file) => {
                    assert!(file.len() <= budget, "{} bytes for a budget of {budget}, roi {roi}", file.len());
                    error_of(&file, &samples);
                }
                Err(_) => refused = budget,
            }
        }
        // What even an empty picture takes.
        assert!(refused < 600, "a budget of {refused} bytes was refused, roi {roi}");
    }
}

/// Noise of 32 bits, which no macroblock holds as it is.
#[test]
fn noise_that_no_macroblock_holds_ends_in_a_file() {
    for (side, budgets) in [(130u32, [100, 120, 200]), (150, [100, 130, 200])] {
        let mut state = 1u64;
        let samples: Vec<i32> = (0..side * side)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 32) as i32
            })
            .collect();
        let (mode, samples) = (Mode::Multichannel, SamplesRef::I32(&samples));
        let image = ImageRef { width: side, height: side, channels: 1, mode, samples };
        let options = EncodeOptions::default();
        assert!(matches!(encode(&image, &options), Err(Error::Unsupported(_))), "side {side}: not noisy enough");
        for percent in budgets {
            let budget = (4 * side * side * percent / 100) as usize;
            let file = encode_max_bytes(&image, &options, budget).expect("a coarser quality fits");
            assert!(file.len() <= budget, "{} bytes for a budget of {budget}", file.len());
            assert!(20 * file.len() >= 17 * (4 * side * side) as usize, "only {} bytes of {budget}", file.len());
            decode(&file, &DecodeOptions { strict: true, ..DecodeOptions::default() }).expect("a whole file");
        }
    }
}
