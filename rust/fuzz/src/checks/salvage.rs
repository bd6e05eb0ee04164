//! Sound files, damaged.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgf::{
    DecodeOptions, EncodeOptions, Error, FileHeader, ImageRef, Mode, SampleType, Samples, decode_with_report, flags,
};

use super::LIMITS;
use super::choices::Choices;
use super::decode::repaired_is_same;

/// Encodes a picture and damages the file: as long as its header is whole it decodes, in bounded time, and can be
/// repaired.
pub fn salvage(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (mut file, header_end) = sound_file(choices.word() % 4096);
    let mut header_is_whole = true;
    for _ in 0..32 {
        if choices.is_empty() || file.is_empty() {
            break;
        }
        header_is_whole &= damage(&mut file, header_end, &mut choices);
    }
    let options = DecodeOptions { limits: LIMITS, ..DecodeOptions::default() };
    let start = Instant::now();
    let decoded = decode_with_report(&file, &options);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?} for {} bytes", start.elapsed(), file.len());
    match decoded {
        Ok((image, report)) => {
            assert_eq!(report.intact + report.partial + report.missing, report.macroblocks, "{report:?}");
            let level = image.width as u8 % 4;
            let _ = decode_with_report(&file, &DecodeOptions { level, ..options });
            repaired_is_same(&file);
        }
        // Sound macroblocks that are too many or too few contradict the size of the picture.
        Err(Error::Format { field: "width or height", .. }) => {}
        Err(error) => assert!(!header_is_whole, "the header is whole, but: {error}"),
    }
}

/// Changes, inserts or deletes a few bytes, or cuts the file; tells whether the header is as it was.
fn damage(file: &mut Vec<u8>, header_end: usize, choices: &mut Choices<'_>) -> bool {
    let kind = choices.byte();
    let place = if kind & 0x80 != 0 {
        // Seldom the header.
        choices.below(header_end as u32) as usize % file.len()
    } else {
        header_end.min(file.len()) + choices.below((file.len() - header_end.min(file.len()) + 1) as u32) as usize
    };
    let count = [1, 2, 4, 16][usize::from(kind >> 3 & 3)];
    let end = file.len().min(place + count);
    match kind % 8 {
        0..=2 => file[place..end].iter_mut().for_each(|b| *b = choices.byte()),
        3 => file[place..end].iter_mut().for_each(|b| *b ^= 1 << (kind >> 5)),
        4 => drop(file.splice(place..place, (0..count).map(|_| choices.byte()))),
        5 => drop(file.drain(place..end)),
        6 => {
            let from = choices.below(file.len() as u32) as usize;
            let copy = file[from..file.len().min(from + 16 * count)].to_vec();
            file.splice(place..end, copy);
        }
        _ => file.truncate(place),
    }
    place >= header_end
}

thread_local! {
    static FILES: RefCell<HashMap<u16, (Vec<u8>, usize)>> = RefCell::default();
}

/// A sound file for a key of 12 bits, and where its coded data begin.
fn sound_file(key: u16) -> (Vec<u8>, usize) {
    FILES.with_borrow_mut(|files| files.entry(key).or_insert_with(|| make_file(key)).clone())
}

fn make_file(key: u16) -> (Vec<u8>, usize) {
    const MODES: [Mode; 8] =
        [Mode::Rgb, Mode::Gray, Mode::Bitmap, Mode::Gray16, Mode::Rgba, Mode::Gray31, Mode::Lab48, Mode::Duotone16];
    const SIZES: [(u32, u32); 8] =
        [(160, 120), (37, 41), (12, 300), (131, 140), (64, 64), (9, 9), (200, 200), (257, 10)];
    let mode = MODES[usize::from(key & 7)];
    let (width, height) = SIZES[usize::from(key >> 3 & 7)];
    let roi = key >> 6 & 1 != 0;
    let quality = [0, 2, 5, 11][usize::from(key >> 7 & 3)];
    let levels = [None, Some(1), Some(3), Some(30)][usize::from(key >> 9 & 3)];
    let old = key >> 11 & 1 != 0;
    let channels = mode.fixed_channels().max(1);
    let count = width as usize * height as usize * channels;
    let mut noise = u32::from(key) * 2 + 1;
    let mut value = |i: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let (x, y) = (i / channels % width as usize, i / channels / width as usize);
        let edge = if (x / 16 + y / 16) % 2 == 0 { 1 << 28 } else { 0 };
        (x as u32 * 9000000).wrapping_add(y as u32 * 3000000).wrapping_add(noise >> 7).wrapping_add(edge)
    };
    let samples = match mode.sample_type() {
        SampleType::U8 if mode == Mode::Bitmap => Samples::U8((0..count).map(|i| (value(i) >> 31) as u8).collect()),
        SampleType::U8 => Samples::U8((0..count).map(|i| (value(i) >> 24) as u8).collect()),
        SampleType::U16 => Samples::U16((0..count).map(|i| (value(i) >> 16) as u16).collect()),
        SampleType::U32 => Samples::U32((0..count).map(|i| value(i) >> 1).collect()),
        SampleType::I32 => Samples::I32((0..count).map(|i| value(i) as i32 >> 16).collect()),
    };
    let image = ImageRef { width, height, channels, mode, samples: samples.as_ref() };
    let options = EncodeOptions { quality, levels, roi, user_data: b"user data", ..EncodeOptions::default() };
    let mut file = pgf::encode(&image, &options).expect("legal settings");
    if old && !roi {
        // As a file of an older version the same macroblocks are another picture.
        file[3] &= !(flags::V5 | flags::V7);
    }
    let header_end = FileHeader::parse(&file).expect("a sound file").data_offset;
    (file, header_end)
}
