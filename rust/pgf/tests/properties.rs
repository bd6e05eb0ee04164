//! The codec against the slow reference for random pictures, settings and coefficients.

mod bridge;
mod cases;
mod reference;

use bridge::{at_level, crop, image_of_reference, lenient, strict};
use cases::{Random, Texture, file, fractions, hostile, picture, rect};
use pgf::{Error, FileHeader, Limits, SamplesMut};
use proptest::prelude::*;
use reference::bitplane::{Encoder, Padding};
use reference::codec::{self, Missing, Settings};
use reference::container::{Header, ROI, mode};

/// The crate's words for a file that no macroblock can hold.
fn too_noisy(error: &Error) -> bool {
    matches!(error, Error::Unsupported(what) if what.contains("16384"))
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

    /// Narrow arithmetic gives way before it overflows.
    #[test]
    fn extreme_coefficients_decode_alike(
        settings in cases::settings(cases::all_modes()),
        bits in prop_oneof![8_u32..17, 1_u32..31],
        seed: u64,
    ) {
        let header = settings.header().unwrap();
        let coefficients = cases::extreme_coefficients(&header, bits, seed);
        let file = codec::write(&header, &coefficients, &mut Encoder::new(Padding::Leftovers, false)).unwrap();
        for level in 0..=usize::from(header.levels) {
            let planes = codec::synthesise(&coefficients, header.quantizer(), level);
            let found = pgf::decode(&file, &strict(level, None)).unwrap();
            prop_assert!(found == image_of_reference(&header, &planes), "level {level}");
        }
        let (found, _) = pgf::read_coefficients(&file, true, &Limits::default()).unwrap();
        prop_assert!(pgf::write_coefficients(&found).unwrap() == file);
        let planes = codec::synthesise(&coefficients, header.quantizer(), 0);
        prop_assert!(pgf::synthesise(found).unwrap() == image_of_reference(&header, &planes));
    }

    /// More levels than a writer would use: signals of fewer than five samples are split but not filtered.
    #[test]
    fn short_signals_are_not_filtered(
        settings in cases::settings_of_any_version(cases::all_modes()),
        more in 1_u8..4,
        bits in 1_u32..16,
        seed: u64,
        fractions in fractions(),
    ) {
        let mut header = settings.header().unwrap();
        // Two samples must be left for the last step to split.
        let least = (0..usize::from(header.channels)).map(|c| header.plane_size(c)).map(|(w, h)| w.min(h)).min().unwrap();
        for _ in 0..more {
            if least.div_ceil(1 << header.levels) >= 2 {
                header.levels += 1;
            }
        }
        prop_assume!(header.levels > 0 && (!settings.roi || least / 2 >= 1 << (header.levels - 1)));
        if settings.roi {
            header.flags |= ROI;
        }
        let coefficients = cases::coefficients(&header, bits, 2, seed);
        let mut encoder = Encoder::new(settings.padding, settings.favor_speed);
        let file = codec::write(&header, &coefficients, &mut encoder).unwrap();
        let rect = rect(&header, fractions);
        for level in 0..=usize::from(header.levels) {
            let planes = codec::synthesise(&coefficients, header.quantizer(), level);
            let expected = image_of_reference(&header, &planes);
            let found = pgf::decode(&file, &strict(level, None)).unwrap();
            prop_assert!(found == expected, "level {level}");
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

/// Pictures in which a level ends exactly where a macroblock does (format section 11.3).
#[test]
fn levels_that_end_with_a_macroblock() {
    for (m, w, h) in [(mode::GRAY, 128, 128), (mode::GRAY, 256, 256), (mode::GRAY, 512, 128), (mode::RGBA, 256, 128)] {
        let mut settings = Settings::new(m, w, h);
        settings.levels = 4;
        let (header, image, planes) = picture(&settings, Texture::Smooth, 3);
        let expected = codec::encode_planes(&settings, planes).unwrap();
        let found = pgf::encode(&image.as_ref(), &bridge::options(&settings, header.used_bits, None)).unwrap();
        assert!(found == expected, "mode {m} {w} x {h}");
    }
}
