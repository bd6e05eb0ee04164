//! The same bytes and pixels with and without instructions beyond the processor's baseline.
//!
//! On a processor that has none both sides run the same code and the test says nothing.

use pgf::{
    DecodeOptions, EncodeOptions, Image, ImageRef, Mode, SampleType, Samples, SamplesRef, decode, encode,
    use_baseline_only,
};

fn picture(mode: Mode, width: u32, height: u32, seed: u32) -> Image {
    let channels = if mode.fixed_channels() == 0 { 2 } else { mode.fixed_channels() };
    let count = (width * height) as usize * channels;
    let mut state = seed;
    let mut noise = move |range: u32| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) % range
    };
    let mut wave = |i: usize, top: u32| (i as u32 / 7 * 3 + noise(1 + top / 9)) % top;
    let samples = match (mode, mode.sample_type()) {
        (Mode::Bitmap, _) => Samples::U8((0..count).map(|i| wave(i, 2) as u8).collect()),
        (Mode::Rgb12, _) => Samples::U8((0..count).map(|i| wave(i, 16) as u8).collect()),
        (Mode::Rgb16, _) => Samples::U8((0..count).map(|i| wave(i, 32) as u8).collect()),
        (_, SampleType::U8) => Samples::U8((0..count).map(|i| wave(i, 256) as u8).collect()),
        (_, SampleType::U16) => Samples::U16((0..count).map(|i| wave(i, 65536) as u16).collect()),
        (_, SampleType::U32) => Samples::U32((0..count).map(|i| wave(i, 1 << 30)).collect()),
        (_, SampleType::I32) => Samples::I32((0..count).map(|i| wave(i, 5000) as i32 - 2500).collect()),
    };
    Image { width, height, channels, mode, samples }
}

#[test]
fn baseline_and_vector_code_agree() {
    for (index, mode) in Mode::ALL.iter().enumerate() {
        for (width, height) in [(1, 1), (11, 10), (67, 45), (200, 131)] {
            for (quality, roi) in [(0, false), (0, true), (2, false), (5, true), (9, false)] {
                let image = picture(*mode, width, height, index as u32 + width);
                let options = EncodeOptions { quality, roi, ..EncodeOptions::default() };
                let run = |baseline| {
                    use_baseline_only(baseline);
                    let file = encode(&image.as_ref(), &options).expect("a valid picture");
                    let back = decode(&file, &DecodeOptions::default()).expect("a valid file");
                    let cut = decode(&file[..file.len() - file.len() / 3], &DecodeOptions::default());
                    use_baseline_only(false);
                    (file, back, cut)
                };
                assert_eq!(run(true), run(false), "{mode:?} {width}x{height} quality {quality} roi {roi}");
            }
        }
    }
}

/// Photograph-like 8-bit pictures of several macroblocks a plane, and modes with planes of two sizes.
#[test]
fn threads_change_nothing() {
    for mode in [Mode::Gray, Mode::Rgb, Mode::Rgba, Mode::Cmyk, Mode::Lab, Mode::Rgb48] {
        for (width, height) in [(11, 10), (333, 257), (700, 401)] {
            for (quality, roi) in [(0, false), (0, true), (5, false), (5, true)] {
                let image = picture(mode, width, height, width + u32::from(quality));
                let options = EncodeOptions { quality, roi, ..EncodeOptions::default() };
                let file = encode(&image.as_ref(), &options).expect("a valid picture");
                let back = decode(&file, &DecodeOptions::default()).expect("a valid file");
                for num_threads in [2, 3, 8] {
                    let options = EncodeOptions { num_threads, ..options.clone() };
                    let same = encode(&image.as_ref(), &options).expect("a valid picture");
                    assert!(
                        same == file,
                        "{mode:?} {width}x{height} quality {quality} roi {roi}, {num_threads} threads"
                    );
                    let options = DecodeOptions { num_threads, ..DecodeOptions::default() };
                    let again = decode(&file, &options).expect("a valid file");
                    assert!(
                        again == back,
                        "{mode:?} {width}x{height} quality {quality} roi {roi}, {num_threads} threads"
                    );
                }
            }
        }
    }
}

/// More threads than there can be are as good as many.
#[test]
fn any_number_of_threads_may_be_asked_for() {
    let pixels: Vec<u8> = (0..96 * 80 * 3).map(|i| (i * i % 251) as u8).collect();
    let image = ImageRef { width: 96, height: 80, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(&pixels) };
    let file = encode(&image, &EncodeOptions::default()).unwrap();
    let expected = decode(&file, &DecodeOptions::default()).unwrap();
    for num_threads in [1 << 30, 1 << 62, usize::MAX / 4 + 1, usize::MAX] {
        assert!(encode(&image, &EncodeOptions { num_threads, ..EncodeOptions::default() }).unwrap() == file);
        assert!(decode(&file, &DecodeOptions { num_threads, ..DecodeOptions::default() }).unwrap() == expected);
    }
}
