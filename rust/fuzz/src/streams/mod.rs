//! Checks of `.pgfr` streams that hold for any bytes; each panics where one does not.

// Shared with the checks of files, which ask for more and are not always compiled with these.
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../checks/choices.rs"]
mod choices;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use choices::Choices;
use pgf::{EncodeOptions, Image, ImageRef, Limits, Mode, Rect, SampleType, Samples};
use pgf_resilient::{
    DecodeOptions, Kind, Payload, Profile, StreamOptions, decode, decode_into, encode, merge, read_coefficients,
    read_extras, read_picture, refine, remove, rewrite, segments,
};

/// Limits of everything decoded here: a mebipixel, 64 MiB.
pub const LIMITS: Limits = Limits { max_pixels: 1 << 20, max_bytes: 1 << 26 };

/// Pictures up to so many pixels are decoded in several ways; larger ones once, for the sake of speed.
const SMALL: u64 = 1 << 16;

/// The longest time that a reading of a few kilobytes may take, with the checks of a fuzzing build in it.
const LONGEST: Duration = Duration::from_secs(10);

/// The whole picture within [`LIMITS`].
pub fn whole() -> DecodeOptions {
    DecodeOptions { limits: LIMITS, ..DecodeOptions::default() }
}

/// Any bytes, read in every way: nothing fails but for a missing header or limits, spans are in the data, and a region at
/// a level is the crop of the level, damaged or not.
pub fn read(data: &[u8]) {
    let Ok(picture) = read_picture(data) else {
        assert!(decode(data, &whole()).is_err() && segments(data, &LIMITS).is_err());
        return;
    };
    let header = picture.header;
    let start = Instant::now();
    let decoded = decode(data, &whole());
    assert!(start.elapsed() < LONGEST, "{:?} for {} bytes", start.elapsed(), data.len());
    let strict = decode(data, &DecodeOptions { strict: true, ..whole() });
    let Ok((image, report)) = decoded else {
        assert!(strict.is_err(), "strict reading takes what lenient reading refuses");
        return;
    };
    assert_eq!((image.width, image.height), (header.width, header.height));
    assert_eq!(strict.is_ok(), report.faults.is_empty(), "{report:?}");
    assert!(report.base_known <= report.base_total && report.bytes == data.len());
    for fault in &report.faults {
        assert!(fault.bytes.start <= fault.bytes.end && fault.bytes.end <= data.len(), "{fault:?}");
    }
    let listed = segments(data, &LIMITS).expect("it was decoded");
    assert!(listed.windows(2).all(|w| w[0].bytes.end == w[1].bytes.start), "pieces leave holes");
    // An FF at the end may become a marker.
    assert!(listed.last().is_none_or(|last| data[last.bytes.end..].iter().all(|b| *b == 0xFF)));
    read_extras(data, &LIMITS).expect("it was decoded");
    if header.pixels() > SMALL {
        return;
    }
    let mut samples = Samples::zeroed(image.mode.sample_type(), image.samples.as_ref().len());
    assert_eq!(decode_into(data, &whole(), samples.as_mut()).expect("as before"), report);
    assert_eq!(image.samples, samples, "decoding in place shows another picture");
    region(data, &header);
}

fn region(data: &[u8], header: &pgf::Header) {
    let mut choices = Choices::from_tail(data);
    let level = choices.byte() % (header.levels + 1);
    let mut span = |size: u32| {
        let start = choices.below(size);
        (start, start + 1 + choices.below(size - start))
    };
    let ((left, right), (top, bottom)) = (span(header.width), span(header.height));
    region_is_crop(data, level, Rect { left, top, right, bottom }, false);
}

/// A region at a level is the crop of the level, damaged or not.
pub fn region_is_crop(data: &[u8], level: u8, region: Rect, trusting: bool) {
    let options = DecodeOptions { level, trusting, ..whole() };
    let Ok((full, _)) = decode(data, &options) else { return };
    let Rect { left, top, .. } = region;
    let options = DecodeOptions { region: Some(region), ..options };
    let (part, _) = decode(data, &options).expect("the whole was decoded");
    let shrink = |n: u32| ((u64::from(n) + (1 << level) - 1) >> level) as u32;
    let (x, y) = (shrink(left).min(full.width - part.width), shrink(top).min(full.height - part.height));
    assert_eq!(part.samples, crop(&full, (x, y, part.width, part.height)), "level {level}, {:?}", options.region);
}

/// Sound streams, damaged: they are pictures of their size in bounded time, and what is repaired is clean and shows the
/// same, as a stream in both payloads and as a `.pgf` file.
pub fn repair(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut stream = sound_stream(choices.byte());
    while !choices.is_empty() && !stream.is_empty() {
        damage(&mut stream, &mut choices);
    }
    repairs(&stream);
}

/// What is repaired is clean and shows the same, as a stream in both payloads and as a `.pgf` file.
pub fn repairs(stream: &[u8]) {
    let start = Instant::now();
    let Ok((image, _)) = decode(stream, &whole()) else { return };
    assert!(start.elapsed() < LONGEST, "{:?} for {} bytes", start.elapsed(), stream.len());
    for payload in [Payload::Packed, Payload::Tokens] {
        let (clean, _) = rewrite(stream, Some(payload), &whole()).expect("it was decoded");
        let strictly = DecodeOptions { strict: true, ..whole() };
        let (again, report) = match decode(&clean, &strictly) {
            Ok(decoded) => decoded,
            Err(error) => panic!("the repaired stream is refused: {error}"),
        };
        // Base values may still be missing.
        assert!(report.faults.is_empty() && report.repaired == 0, "{report:?}");
        assert_eq!(report.clean(), report.concealed == 0, "{report:?}");
        assert_eq!(again.samples.as_ref().len(), image.samples.as_ref().len());
        let (once_more, _) = rewrite(&clean, Some(payload), &strictly).expect("it was read");
        // Base values that damage made outliers are clamped by what is around them, then those around by them.
        assert_eq!(clean.len(), once_more.len(), "a repaired stream changes when it is repaired again");
    }
    let (coefficients, _) = read_coefficients(stream, &whole()).expect("it was decoded");
    // Estimates at full depth may be too noisy for a macroblock of PGF; everything else is written.
    if let Ok(file) = pgf::write_coefficients(&coefficients) {
        let options = pgf::DecodeOptions { strict: true, limits: LIMITS, ..pgf::DecodeOptions::default() };
        let (shown, _) = pgf::decode_with_report(&file, &options).expect("it was written");
        assert_eq!((shown.width, shown.height), (image.width, image.height));
    }
}

/// Pieces of several streams, merged, removed, put back and refined: an edit of sound pieces is a sound stream, and the
/// picture is a function of the set of pieces.
pub fn edit(data: &[u8]) {
    let mut choices = Choices::new(data);
    let stream = sound_stream(choices.byte());
    let show = |stream: &[u8]| decode(stream, &whole()).expect("a sound stream").0;
    let picture = show(&stream);
    let pieces = segments(&stream, &LIMITS).expect("a sound stream");
    let gone: Vec<usize> =
        pieces.iter().skip(1).filter(|_| choices.byte() & 3 == 0).map(|piece| piece.bytes.start).collect();
    let less = remove(&stream, &gone).expect("pieces begin there");
    let kept: usize = pieces.iter().filter(|p| !gone.contains(&p.bytes.start)).map(|p| p.bytes.len()).sum();
    assert_eq!(less.len(), kept);
    show(&less);
    let mut again = less.clone();
    for piece in pieces.iter().filter(|piece| gone.contains(&piece.bytes.start)) {
        again.extend_from_slice(&stream[piece.bytes.clone()]);
    }
    assert_eq!(show(&again), picture, "put back, the pieces show another picture");
    // Twice the same, and in two halves.
    let merged = merge(&[&less, &stream, &stream], &LIMITS).expect("streams of one picture");
    assert_eq!(show(&merged), picture, "merged, the pieces show another picture");
    let (coefficients, _) = read_coefficients(&stream, &whole()).expect("a sound stream");
    let planes = 1 + usize::from(choices.byte() % 3);
    if let Ok(refined) = refine(&less, &coefficients, None, planes, &LIMITS) {
        assert!(refined.starts_with(&less));
        show(&refined);
    }
    // With strange bytes: whatever comes out is a picture of the size that the first header says.
    let rest = choices.rest();
    if let Ok(merged) = merge(&[&stream, rest], &LIMITS) {
        assert_eq!((show(&merged).width, picture.width), (picture.width, picture.width));
    }
    let damaged: Vec<usize> = segments(&[&stream[..], rest].concat(), &LIMITS)
        .expect("a header is there")
        .iter()
        .map(|s| s.bytes.start)
        .collect();
    assert!(damaged.len() >= pieces.len());
}

fn crop(image: &Image, (x, y, width, height): (u32, u32, u32, u32)) -> Samples {
    fn cut<T: Copy>(all: &[T], image: &Image, (x, y, width, height): (u32, u32, u32, u32)) -> Vec<T> {
        let (row, channels) = (image.width as usize * image.channels, image.channels);
        let rows = all.chunks_exact(row).skip(y as usize).take(height as usize);
        rows.flat_map(|row| &row[x as usize * channels..(x + width) as usize * channels]).copied().collect()
    }
    let area = (x, y, width, height);
    match &image.samples {
        Samples::U8(s) => Samples::U8(cut(s, image, area)),
        Samples::U16(s) => Samples::U16(cut(s, image, area)),
        Samples::U32(s) => Samples::U32(cut(s, image, area)),
        Samples::I32(s) => Samples::I32(cut(s, image, area)),
    }
}

/// Changes, inserts, deletes, repeats or cuts a few bytes.
fn damage(stream: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let kind = choices.byte();
    let place = choices.below(stream.len() as u32) as usize;
    let count = [1, 2, 16, 64][usize::from(kind >> 3 & 3)];
    let end = stream.len().min(place + count);
    match kind % 8 {
        0..=2 => stream[place] = choices.byte(),
        3 => stream[place..end].iter_mut().for_each(|b| *b ^= 1 << (kind >> 5)),
        4 => drop(stream.splice(place..place, (0..count.min(4)).map(|_| choices.byte()))),
        5 => drop(stream.drain(place..end)),
        6 => {
            let from = choices.below(stream.len() as u32) as usize;
            let copy = stream[from..stream.len().min(from + 4 * count)].to_vec();
            stream.splice(place..place, copy);
        }
        _ => stream.truncate(place.max(stream.len() / 2)),
    }
}

thread_local! {
    static STREAMS: RefCell<HashMap<u8, Vec<u8>>> = RefCell::default();
}

/// A sound stream for a key.
fn sound_stream(key: u8) -> Vec<u8> {
    STREAMS.with_borrow_mut(|streams| streams.entry(key).or_insert_with(|| make_stream(key)).clone())
}

fn make_stream(key: u8) -> Vec<u8> {
    const MODES: [Mode; 4] = [Mode::Rgb, Mode::Gray, Mode::Gray16, Mode::Rgba];
    const SIZES: [(u32, u32); 4] = [(160, 120), (37, 41), (131, 70), (9, 4)];
    let mode = MODES[usize::from(key & 3)];
    let (width, height) = SIZES[usize::from(key >> 2 & 3)];
    let payload = if key >> 4 & 1 == 0 { Payload::Packed } else { Payload::Tokens };
    let profile = [Profile::Default, Profile::Tough][usize::from(key >> 5 & 1)];
    let quality = [0, 3, 5, 9][usize::from(key >> 6 & 3)];
    let channels = mode.fixed_channels();
    let mut noise = u32::from(key) * 2 + 1;
    let mut value = |i: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let (x, y) = (i / channels % width as usize, i / channels / width as usize);
        let edge = if (x / 16 + y / 16) % 2 == 0 { 1 << 28 } else { 0 };
        (x as u32 * 9_000_000).wrapping_add(y as u32 * 3_000_000).wrapping_add(noise >> 7).wrapping_add(edge)
    };
    let count = width as usize * height as usize * channels;
    let samples = match mode.sample_type() {
        SampleType::U16 => Samples::U16((0..count).map(|i| (value(i) >> 16) as u16).collect()),
        _ => Samples::U8((0..count).map(|i| (value(i) >> 24) as u8).collect()),
    };
    let image = ImageRef { width, height, channels, mode, samples: samples.as_ref() };
    let options = EncodeOptions { quality, user_data: b"user data", ..EncodeOptions::default() };
    let stream = StreamOptions { payload, profile, ..StreamOptions::default() };
    let stream = encode(&image, &options, &stream).expect("legal settings");
    debug_assert!(segments(&stream, &LIMITS).is_ok_and(|s| s.iter().all(|s| s.kind != Kind::Unknown)));
    stream
}
