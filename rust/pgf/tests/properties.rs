//! The codec against the slow reference for random pictures, settings, coefficients and damage.

mod bridge;
mod cases;
mod reference;

use bridge::{crop, image_of_reference};
use cases::{Random, Texture};
use pgf::{DecodeOptions, Error, FileHeader, Image, Limits, Rect, SamplesMut};
use proptest::prelude::*;
use reference::bitplane::{self, Encoder, Padding};
use reference::bits::Code;
use reference::codec::{self, Missing, Settings};
use reference::container::{Header, mode};
use reference::order::runs;

/// The crate's words for a file that no macroblock can hold.
fn too_noisy(error: &Error) -> bool {
    matches!(error, Error::Unsupported(what) if what.contains("16384"))
}

fn strict(level: usize, region: Option<Rect>) -> DecodeOptions {
    DecodeOptions { level: level as u8, region, strict: true, ..DecodeOptions::default() }
}

fn lenient(level: usize, region: Option<Rect>) -> DecodeOptions {
    DecodeOptions { strict: false, ..strict(level, region) }
}

/// A picture of the settings in both worlds, and its planes.
fn picture(settings: &Settings, texture: Texture, seed: u64) -> (Header, Image, Vec<reference::Plane>) {
    let header = settings.header().unwrap();
    if bridge::PLANE_MODES.contains(&header.mode) {
        let bits = 1 + (seed % 31) as u32;
        let planes = cases::planes(&header, bits, seed);
        return (header.clone(), bridge::image_of_planes(header.mode, &planes), planes);
    }
    let pixels = cases::pixels(&header, texture, seed);
    let planes = codec::import(&header, &pixels).unwrap();
    (header.clone(), bridge::image(header.mode, &pixels), planes)
}

/// A file by the reference: from pixels, or of coefficients that no picture has. `None` where no file can hold them.
fn file(settings: &Settings, texture: Texture, hostile: Option<(u32, u32)>, seed: u64) -> Option<Vec<u8>> {
    let (header, _, planes) = picture(settings, texture, seed);
    let coefficients = match hostile {
        None => codec::analyse(&planes, usize::from(header.levels), header.quantizer()),
        Some((bits, sparse)) => cases::coefficients(&header, bits, sparse, seed),
    };
    let mut encoder = Encoder::new(settings.padding, settings.favor_speed);
    codec::write(&header, &coefficients, &mut encoder).ok()
}

/// Bits and sparseness of coefficients that no picture has, or none.
fn hostile() -> impl Strategy<Value = Option<(u32, u32)>> {
    prop_oneof![2 => Just(None), 1 => (1_u32..32, prop::sample::select(vec![1_u32, 2, 20, 500])).prop_map(Some)]
}

/// A rectangle inside a picture, from four fractions.
fn rect(header: &Header, [a, b, c, d]: [f64; 4]) -> Rect {
    let span = |n: u32, from: f64, size: f64| {
        let start = (f64::from(n) * from) as u32;
        (start, start + 1 + (f64::from(n - start - 1) * size) as u32)
    };
    let ((left, right), (top, bottom)) = (span(header.width, a, c), span(header.height, b, d));
    Rect { left, top, right, bottom }
}

fn fractions() -> impl Strategy<Value = [f64; 4]> {
    [0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64]
}

/// The same rectangle in the samples of a level; never empty.
fn at_level(rect: Rect, level: usize, whole: &Image) -> [usize; 4] {
    let at = |n: u32| n.div_ceil(1 << level) as usize;
    let (x, y) = (at(rect.left).min(whole.width as usize - 1), at(rect.top).min(whole.height as usize - 1));
    [x, y, at(rect.right).max(x + 1), at(rect.bottom).max(y + 1)]
}

proptest! {
    /// Every stage forwards: bands first, so that a failure says which stage is wrong, then all bytes.
    #[test]
    fn encoding_gives_the_same_bytes(settings in cases::settings(cases::all_modes()), texture in cases::texture(), seed: u64) {
        let (header, image, planes) = picture(&settings, texture, seed);
        let palette = bridge::palette(&settings.color_table);
        let options = bridge::options(&settings, header.used_bits, palette.as_ref());
        let expected = codec::analyse(&planes, usize::from(header.levels), header.quantizer());
        let found = pgf::analyse(&image.as_ref(), &options).unwrap();
        prop_assert_eq!(bridge::differing_band(&expected, &found), None);

        let mut encoder = Encoder::new(Padding::Leftovers, settings.favor_speed);
        match (codec::write(&header, &expected, &mut encoder), pgf::encode(&image.as_ref(), &options)) {
            (Ok(expected), Ok(found)) => {
                let first = found.iter().zip(&expected).position(|(a, b)| a != b);
                prop_assert!(found == expected, "{} bytes for {}, first at {:?}", found.len(), expected.len(), first);
            }
            (Err(_), Err(found)) => prop_assert!(too_noisy(&found), "{found}"),
            (expected, found) => prop_assert!(false, "{:?} for {:?}", found.map(|v| v.len()), expected.map(|v| v.len())),
        }
    }

    /// Every stage backwards, for all layouts, levels and regions.
    #[test]
    fn decoding_gives_the_same_pixels(
        settings in cases::settings_of_any_version(cases::all_modes()),
        texture in cases::texture(),
        hostile in hostile(),
        seed: u64,
        fractions in fractions(),
    ) {
        let Some(file) = file(&settings, texture, hostile, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let rect = rect(&header, fractions);
        let (coefficients, _) = codec::read(&header, &file, 0, Missing::Error).unwrap();
        for level in 0..=usize::from(header.levels) {
            let planes = codec::synthesise(&coefficients, header.quantizer(), level);
            let expected = image_of_reference(&header, &planes);
            let (found, report) = pgf::decode_with_report(&file, &strict(level, None)).unwrap();
            prop_assert!(found == expected, "level {level}");
            prop_assert!(report.complete() && report.intact == report.macroblocks, "level {level}: {report:?}");

            let found = pgf::decode(&file, &strict(level, Some(rect))).unwrap();
            prop_assert!(found == crop(&expected, at_level(rect, level, &expected)), "level {level}, {rect:?}");
        }
    }

    /// The container in both directions, for coefficients of up to 32 bits.
    #[test]
    fn coefficients_go_through_unchanged(
        settings in cases::settings(cases::all_modes()),
        bits in 1_u32..33,
        sparse in prop::sample::select(vec![1_u32, 2, 7, 50, 1000]),
        seed: u64,
    ) {
        let header = settings.header().unwrap();
        let expected = cases::coefficients(&header, bits.min(31), sparse, seed);
        let mut expected = expected;
        if bits == 32 {
            // The one value of 32 bits.
            expected[0].ll.data[0] = i32::MIN;
        }
        let mut encoder = Encoder::new(Padding::Leftovers, false);
        let Ok(file) = codec::write(&header, &expected, &mut encoder) else { return Ok(()) };
        let (found, report) = pgf::read_coefficients(&file, true, &Limits::default()).unwrap();
        prop_assert_eq!(bridge::differing_band(&expected, &found), None);
        prop_assert!(report.complete());
        let written = pgf::write_coefficients(&found).unwrap();
        let first = written.iter().zip(&file).position(|(a, b)| a != b);
        prop_assert!(written == file, "{} bytes for {}, first at {:?}", written.len(), file.len(), first);
        let planes = codec::synthesise(&expected, header.quantizer(), 0);
        prop_assert!(pgf::synthesise(found).unwrap() == image_of_reference(&header, &planes));
    }

    /// The bytes up to the end of a level are all that the level needs, and a caller's buffer holds the same.
    #[test]
    fn levels_need_no_more_than_their_lengths_say(
        settings in cases::settings_of_any_version(cases::all_modes()),
        texture in cases::texture(),
        seed: u64,
    ) {
        let Some(file) = file(&settings, texture, None, seed) else { return Ok(()) };
        let header = FileHeader::parse(&file).unwrap();
        let mut end = header.data_offset;
        for (i, length) in header.level_lengths.iter().enumerate() {
            end += *length as usize;
            let level = header.level_lengths.len() - 1 - i;
            let (whole, report) = pgf::decode_with_report(&file, &strict(level, None)).unwrap();
            prop_assert!(report.bytes_used <= end);
            let (found, report) = pgf::decode_with_report(&file[..end], &strict(level, None)).unwrap();
            prop_assert!(found == whole && report.complete(), "level {level} of {end} bytes");

            let mut copy = whole.clone();
            match copy.samples.as_mut() {
                SamplesMut::U8(v) => v.fill(0xAA),
                SamplesMut::U16(v) => v.fill(0xAAAA),
                SamplesMut::U32(v) => v.fill(0xAAAA_AAAA),
                SamplesMut::I32(v) => v.fill(0x2AAA_AAAA),
            }
            pgf::decode_into(&file, &strict(level, None), copy.samples.as_mut()).unwrap();
            prop_assert!(copy == whole, "level {level} into a caller's buffer");
        }
    }

    /// A file cut anywhere gives every macroblock before the cut, the upper planes of the one that is cut, and
    /// nothing else; whatever the chunks in which the bytes arrived.
    #[test]
    fn cut_files_give_all_that_arrived(
        settings in cases::settings_of_any_version(cases::all_modes()),
        texture in cases::texture(),
        seed: u64,
        fraction in 0.0..1.0_f64,
        fractions in fractions(),
    ) {
        let Some(file) = file(&settings, texture, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let start = header.len();
        let cut = start + ((file.len() - start) as f64 * fraction) as usize;
        let data = &file[..cut];
        prop_assert!(pgf::decode(data, &strict(0, None)).is_err());
        let (found, report) = pgf::read_coefficients(data, false, &Limits::default()).unwrap();
        prop_assert!(report.truncated && !report.damaged && !report.complete(), "{report:?}");
        let (whole, blocks) = codec::read(&header, &file, 0, Missing::Error).unwrap();

        if header.levels == 0 {
            let (expected, _) = codec::read(&header, data, 0, Missing::Zero).unwrap();
            prop_assert_eq!(bridge::differing_band(&expected, &found), None);
        } else {
            // All macroblocks before the cut, and exactly the whole planes of the one across it...
            let (mut least, _) = codec::read(&header, data, 0, Missing::KeepPlanes).unwrap();
            let hit = blocks.iter().find(|block| block.end > cut).unwrap();
            let index = blocks.iter().position(|block| block.start == hit.start).unwrap();
            let bits = 8 * cut.saturating_sub(hit.end - hit.bits / 8);
            let decoded = bitplane::decode_partial(Code { words: &hit.words, bits }, hit.values);
            // ... of which the highest missing plane may be there in part: set bits are right, others are 0.
            let next = decoded.planes.checked_sub(decoded.planes_read + 1);
            let places = runs(&header, 0)
                .into_iter()
                .flat_map(|run| run.places.chunks(reference::MACROBLOCK).map(<[_]>::to_vec).collect::<Vec<_>>())
                .nth(index)
                .unwrap();
            let found_coefficients = bridge::coefficients(&header, &found);
            for place in &places {
                let (true_value, value) = (codec::get(&whole, place), codec::get(&found_coefficients, place));
                if let Some(p) = next && value != codec::get(&least, place) {
                    let kept = true_value.unsigned_abs() >> p << p;
                    let expected = if true_value < 0 { (kept as i32).wrapping_neg() } else { kept as i32 };
                    prop_assert_eq!(value, expected, "plane {} of {:?}", p, place);
                    codec::set(&mut least, place, value);
                } else if decoded.planes == 0 && value != 0 {
                    // Not even the number of planes is there.
                    let top = true_value.unsigned_abs();
                    prop_assert!(value.unsigned_abs() & !top == 0 && (value < 0) == (true_value < 0));
                    codec::set(&mut least, place, value);
                }
            }
            prop_assert_eq!(bridge::differing_band(&least, &found), None);
            // Bytes that no coefficient needs may be missing from an intact macroblock.
            let known = places.iter().all(|place| codec::get(&whole, place) == codec::get(&least, place));
            prop_assert!(report.intact == index as u64 || known && report.intact == index as u64 + 1, "{report:?}");
        }

        // Pixels follow from coefficients, and a region is still the crop.
        let level = usize::from(header.levels / 2);
        let picture = pgf::decode(data, &lenient(0, None)).unwrap();
        prop_assert!(picture == pgf::synthesise(found).unwrap());
        let rect = rect(&header, fractions);
        let reduced = pgf::decode(data, &lenient(level, None)).unwrap();
        let part = pgf::decode(data, &lenient(level, Some(rect))).unwrap();
        prop_assert!(part == crop(&reduced, at_level(rect, level, &reduced)), "level {level}, {rect:?}");
    }

    /// Cutting the header is an error that says so, never a panic.
    #[test]
    fn a_cut_header_is_truncated(settings in cases::settings_of_any_version(cases::all_modes()), fraction in 0.0..1.0_f64) {
        let Some(file) = file(&settings, Texture::Flat, None, 1) else { return Ok(()) };
        let cut = (Header::parse(&file).unwrap().len() as f64 * fraction) as usize;
        for options in [strict(0, None), lenient(0, None)] {
            let error = pgf::decode(&file[..cut], &options).unwrap_err();
            prop_assert!(matches!(error, Error::Truncated { .. }), "{error}");
        }
    }

    /// Damage never panics; what comes out has the size that was asked for.
    #[test]
    fn damage_is_survived(
        settings in cases::settings_of_any_version(cases::all_modes()),
        hostile in hostile(),
        seed: u64,
        hits in prop::collection::vec((0.0..1.0_f64, 1_u8..=255), 1..6),
        shift in -3_isize..4,
        fractions in fractions(),
    ) {
        let Some(file) = file(&settings, Texture::Smooth, hostile, seed) else { return Ok(()) };
        let start = Header::parse(&file).unwrap().len();
        let mut data = file.clone();
        for (at, mask) in &hits {
            let at = start + ((data.len() - start) as f64 * at) as usize;
            if let Some(byte) = data.get_mut(at) {
                *byte ^= mask;
            }
        }
        // Bytes lost or inserted somewhere in the middle.
        let middle = (start + data.len()) / 2;
        for _ in 0..shift {
            data.insert(middle, 0x5A);
        }
        for _ in shift..0 {
            if middle < data.len() {
                data.remove(middle);
            }
        }
        let header = Header::parse(&file).unwrap();
        let limits = Limits { max_pixels: 1 << 20, max_bytes: 1 << 26 };
        let rect = rect(&header, fractions);
        for level in 0..=usize::from(header.levels) {
            for region in [None, Some(rect)] {
                let options = DecodeOptions { limits, ..lenient(level, region) };
                let (image, _) = pgf::decode_with_report(&data, &options).unwrap();
                let size = pgf::decoded_size(&FileHeader::parse(&file).unwrap().header, &options).unwrap();
                prop_assert_eq!((image.width, image.height), size);
            }
        }
        // Strict either refuses or gives what the lenient reader gives.
        if let Ok(image) = pgf::decode(&data, &strict(0, None)) {
            prop_assert!(image == pgf::decode(&data, &lenient(0, None)).unwrap());
        }
    }

    /// Damage of the header never panics and never allocates beyond the limits.
    #[test]
    fn damaged_headers_are_survived(
        settings in cases::settings_of_any_version(cases::all_modes()),
        hits in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..4),
    ) {
        let Some(mut data) = file(&settings, Texture::Smooth, None, 7) else { return Ok(()) };
        let end = Header::parse(&data).unwrap().len().min(40);
        for (at, byte) in hits {
            data[(end as f64 * at) as usize] = byte;
        }
        let limits = Limits { max_pixels: 1 << 20, max_bytes: 1 << 26 };
        for options in [lenient(0, None), strict(0, None), lenient(1, None), strict(2, None)] {
            if let Ok((image, _)) = pgf::decode_with_report(&data, &DecodeOptions { limits, ..options }) {
                prop_assert!(u64::from(image.width) * u64::from(image.height) <= limits.max_pixels);
            }
        }
    }

    /// Spare words behind the last plane of a macroblock and bytes behind the last macroblock are legal.
    #[test]
    fn spare_bytes_are_ignored(settings in cases::settings(cases::all_modes()), texture in cases::texture(), seed: u64, tail in 0_usize..9) {
        let Some(file) = file(&settings, texture, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        if header.levels == 0 {
            return Ok(());
        }
        let (_, blocks) = codec::read(&header, &file, 0, Missing::Error).unwrap();
        let mut random = Random(seed);
        let mut data = file[..header.len()].to_vec();
        for block in &blocks {
            let spare = random.below(3) as usize;
            let words = block.words.len() + spare;
            if words > reference::MACROBLOCK {
                return Ok(());
            }
            data.extend((words as u16).to_le_bytes());
            data.extend(&file[block.start + 2..block.end]);
            data.extend((0..4 * spare).map(|_| random.bits(8) as u8));
        }
        data.extend((0..tail).map(|_| random.bits(8) as u8));
        let whole = pgf::decode(&file, &strict(0, None)).unwrap();
        prop_assert!(pgf::decode(&data, &lenient(0, None)).unwrap() == whole);
    }
}

/// Sizes around every border of the algorithms: lifting, blocks of 8 and 64, tiles, macroblocks.
#[test]
fn every_small_size() {
    for m in [mode::GRAY, mode::RGB, mode::RGB48] {
        for quality in [0, 5] {
            for w in 1..36 {
                for h in [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 15, 16, 17, 20, 21, 33] {
                    let mut settings = Settings::new(m, w, h);
                    settings.quality = quality;
                    settings.roi = (w + h) % 2 == 0;
                    let (header, image, planes) = picture(&settings, Texture::Smooth, u64::from(w * h));
                    let expected = codec::encode_planes(&settings, planes).unwrap();
                    let options = bridge::options(&settings, header.used_bits, None);
                    let found = pgf::encode(&image.as_ref(), &options).unwrap();
                    assert!(found == expected, "mode {m} quality {quality} {w} x {h}");
                    let (header, planes) = codec::decode_planes(&expected, 0, Missing::Error).unwrap();
                    let back = pgf::decode(&found, &strict(0, None)).unwrap();
                    assert!(back == image_of_reference(&header, &planes), "mode {m} quality {quality} {w} x {h}");
                }
            }
        }
    }
}
