//! Any picture with any settings.

use pgf::{DecodeOptions, EncodeOptions, ImageRef, Mode, SampleType, Samples, decode_with_report, read_coefficients};
use pgf::{synthesise, write_coefficients};

use super::choices::Choices;
use super::{LIMITS, too_noisy};

/// Encodes; the file decodes strictly, without loss where quality is 0, and survives reading and writing unchanged.
pub fn encode(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mode = Mode::ALL[usize::from(choices.byte()) % Mode::ALL.len()];
    let mut side = || {
        let bound = if choices.flag() { 24 } else { 300 };
        1 + choices.below(bound)
    };
    let (width, height) = (side(), side());
    let channels = match mode.fixed_channels() {
        0 => 1 + choices.below(8) as usize,
        fixed => fixed,
    };
    let quality = if choices.flag() { 0 } else { choices.below(31) as u8 };
    let levels = match choices.below(32) as u8 {
        0 | 31 => None,
        n => Some(n),
    };
    let (roi, favor_speed) = (choices.flag(), choices.flag());
    let used_bits = match choices.below(32) as u8 {
        0 => None,
        n => Some(n),
    };
    let smooth = choices.byte();
    let rest = choices.rest();
    let samples = samples(mode, width as usize * height as usize * channels, smooth, rest);
    let image = ImageRef { width, height, channels, mode, samples: samples.as_ref() };
    let user_data = &rest[..rest.len().min(usize::from(smooth) % 16)];
    let options = EncodeOptions { quality, levels, roi, used_bits, user_data, favor_speed, ..EncodeOptions::default() };
    let file = match pgf::encode(&image, &options) {
        Ok(file) => file,
        Err(error) => {
            let noisy = matches!(mode.sample_type(), SampleType::U32 | SampleType::I32) && too_noisy(&error);
            assert!(noisy || used_bits.is_some(), "{mode:?} {options:?}: {error}");
            return;
        }
    };
    let strictly = DecodeOptions { strict: true, limits: LIMITS, ..DecodeOptions::default() };
    let (decoded, report) = match decode_with_report(&file, &strictly) {
        Ok(decoded) => decoded,
        Err(error) => panic!("{width}x{height} {mode:?} {options:?}: {error}"),
    };
    assert!(report.complete() && report.bytes_used == file.len(), "{report:?} of {} bytes", file.len());
    if quality == 0 && used_bits.is_none() {
        assert!(decoded.samples == samples, "{width}x{height} {mode:?} {options:?} is not lossless");
    }
    let (coefficients, _) = read_coefficients(&file, true, &LIMITS).expect("it was decoded");
    assert_eq!(coefficients.user_data, user_data);
    if !favor_speed {
        assert!(write_coefficients(&coefficients).expect("it was written") == file, "written again, it differs");
    }
    assert!(synthesise(coefficients).expect("it was decoded") == decoded, "synthesised, it differs");
}

/// Samples in the range of the mode: the given bytes again and again, or a slope with them as noise.
fn samples(mode: Mode, count: usize, smooth: u8, bytes: &[u8]) -> Samples {
    let byte = |i: usize| bytes.get(i % bytes.len().max(1)).copied().unwrap_or(smooth);
    let value = |i: usize| {
        let raw = u32::from_le_bytes([byte(4 * i), byte(4 * i + 1), byte(4 * i + 2), byte(4 * i + 3)]);
        let slope = (i as u32).wrapping_mul(u32::from(smooth >> 2) << 16);
        match smooth & 3 {
            0 => raw,
            1 => slope.wrapping_add(raw >> 24),
            2 => raw & 0x8080_8080,
            _ => slope,
        }
    };
    match mode.sample_type() {
        SampleType::U8 => {
            let bound = |i: usize| match mode {
                Mode::Bitmap => 1,
                Mode::Rgb12 => 15,
                Mode::Rgb16 => [31, 63, 31][i % 3],
                _ => 255,
            };
            Samples::U8((0..count).map(|i| (value(i) >> 24) as u8 & bound(i)).collect())
        }
        SampleType::U16 => Samples::U16((0..count).map(|i| (value(i) >> 16) as u16).collect()),
        SampleType::U32 => Samples::U32((0..count).map(|i| value(i) >> 1).collect()),
        SampleType::I32 => Samples::I32((0..count).map(|i| value(i) as i32).collect()),
    }
}
