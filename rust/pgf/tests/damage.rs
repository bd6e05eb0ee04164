//! Files that are cut, arrive in pieces or are damaged: the codec against the slow reference.

mod bridge;
mod cases;
mod reference;

use bridge::{at_level, crop, lenient, strict};
use cases::{Random, Texture, file, fractions, hostile, rect};
use pgf::{DecodeOptions, Error, FileHeader, Limits, ProgressiveDecoder};
use proptest::prelude::*;
use reference::bitplane;
use reference::bits::Code;
use reference::codec::{self, Missing};
use reference::container::Header;
use reference::order::macroblocks;

proptest! {
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
            let places = &macroblocks(&header, 0)[index];
            let found_coefficients = bridge::coefficients(&header, &found);
            for place in places {
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

    /// Cutting the header anywhere is an error that says so, never a panic and never another header.
    #[test]
    fn a_cut_header_is_truncated(settings in cases::settings_of_any_version(cases::all_modes()), texture in cases::texture(), seed: u64) {
        let Some(file) = file(&settings, texture, None, seed) else { return Ok(()) };
        for cut in 0..Header::parse(&file).unwrap().len() {
            for options in [strict(0, None), lenient(0, None)] {
                let error = pgf::decode(&file[..cut], &options).unwrap_err();
                prop_assert!(matches!(error, Error::Truncated { .. }), "{cut} bytes: {error}");
            }
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

    /// What a decoder knows depends on the bytes that arrived and not on the pieces in which they came.
    #[test]
    fn chunks_do_not_matter(
        settings in cases::settings_of_any_version(cases::all_modes()),
        texture in cases::texture(),
        seed: u64,
    ) {
        let Some(file) = file(&settings, texture, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let levels = usize::from(header.levels);
        let (_, blocks) = codec::read(&header, &file, 0, Missing::Error).unwrap();
        // How many macroblocks each level needs, highest level first.
        let needs: Vec<usize> = (0..levels).rev().map(|level| macroblocks(&header, level).len()).collect();
        let total = if levels > 0 { blocks.len() } else { 1 };

        let mut random = Random(seed);
        let mut decoder = ProgressiveDecoder::new(Limits::default());
        let mut at = 0;
        while at < file.len() {
            let most = if random.below(4) == 0 { 3 } else { 1 + file.len() as u32 / 3 };
            let end = (at + random.below(most + 1) as usize).min(file.len());
            let progress = decoder.feed(&file[at..end]).unwrap();
            at = end;
            prop_assert_eq!(progress, decoder.progress());
            prop_assert_eq!(progress.bytes_received, at);
            if at < header.len() {
                prop_assert!(decoder.header().is_none() && progress.macroblocks_total.is_none());
                prop_assert!(progress.level.is_none() && !progress.complete);
                continue;
            }
            let arrived = if levels > 0 {
                blocks.iter().filter(|block| block.end <= at).count()
            } else {
                usize::from(at == file.len())
            };
            prop_assert_eq!(progress.macroblocks, arrived as u64);
            prop_assert_eq!(progress.macroblocks_total, Some(total as u64));
            prop_assert_eq!(progress.complete, arrived == total);
            let level = match needs.iter().filter(|&&need| need <= arrived).count() {
                _ if levels == 0 => (arrived == total).then_some(0),
                0 => None,
                done => Some((levels - done) as u8),
            };
            prop_assert_eq!(progress.level, level);
        }
        prop_assert!(decoder.progress().complete);
        let (image, report) = decoder.render(0).unwrap();
        prop_assert!(report.complete() && image == pgf::decode(&file, &strict(0, None)).unwrap());
    }

    /// Of a part of a file, the pieces show what decoding that part shows.
    #[test]
    fn a_part_renders_as_it_decodes(
        settings in cases::settings_of_any_version(cases::all_modes()),
        seed: u64,
        fraction in 0.0..1.0_f64,
    ) {
        let Some(file) = file(&settings, Texture::Smooth, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let cut = header.len() + ((file.len() - header.len()) as f64 * fraction) as usize;
        let mut decoder = ProgressiveDecoder::new(Limits::default());
        for chunk in file[..cut].chunks(1 + cut / 7) {
            decoder.feed(chunk).unwrap();
        }
        prop_assert_eq!(decoder.data(), &file[..cut]);
        for level in 0..=header.levels {
            let expected = pgf::decode_with_report(&file[..cut], &lenient(usize::from(level), None)).unwrap();
            prop_assert!(decoder.render(level).unwrap() == expected, "level {level}");
            // A level that is complete is the level of the whole file.
            if decoder.progress().level.is_some_and(|finest| finest <= level) {
                let whole = pgf::decode(&file, &strict(usize::from(level), None)).unwrap();
                prop_assert!(expected.0 == whole && expected.1.complete(), "level {level}");
            }
        }
    }

    /// A repaired file is a whole one with exactly the coefficients that were left.
    #[test]
    fn repaired_files_are_whole(
        settings in cases::settings_of_any_version(cases::all_modes()),
        texture in cases::texture(),
        seed: u64,
        fraction in 0.0..1.0_f64,
    ) {
        let Some(file) = file(&settings, texture, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let cut = header.len() + ((file.len() - header.len()) as f64 * fraction) as usize;
        for data in [&file[..cut], &file[..]] {
            let (repaired, report) = pgf::repair(data, &Limits::default()).unwrap();
            prop_assert_eq!(report.complete(), data.len() == file.len());
            let (left, _) = pgf::read_coefficients(data, false, &Limits::default()).unwrap();
            let (found, report) = pgf::read_coefficients(&repaired, true, &Limits::default()).unwrap();
            prop_assert!(report.complete());
            let repaired_header = Header::parse(&repaired).unwrap();
            let expected = bridge::coefficients(&repaired_header, &left);
            prop_assert_eq!(bridge::differing_band(&expected, &found), None);
            prop_assert_eq!(&repaired_header.user_data, &header.user_data);
            prop_assert_eq!(&repaired_header.color_table, &header.color_table);
            // Pixels stay what they were, also those of bitmaps whose bytes hold eight pixels.
            let before = pgf::decode(data, &lenient(0, None)).unwrap();
            prop_assert!(pgf::decode(&repaired, &strict(0, None)).unwrap() == before);
            let (header, planes) = codec::decode_planes(&repaired, 0, Missing::Error).unwrap();
            prop_assert!(bridge::image_of_reference(&header, &planes) == before);
        }
    }
}

/// A length that is too large, and more bytes behind it than a macroblock can have.
#[test]
fn no_part_of_a_macroblock_is_longer_than_one() {
    let pixels: Vec<u8> = (0..24 * 13 * 3).map(|i| (i * i % 251) as u8).collect();
    let samples = pgf::SamplesRef::U8(&pixels);
    let image = pgf::ImageRef { width: 24, height: 13, channels: 3, mode: pgf::Mode::Rgb, samples };
    let mut random = Random(1);
    for roi in [false, true] {
        let options = pgf::EncodeOptions { roi, ..pgf::EncodeOptions::default() };
        let mut file = pgf::encode(&image, &options).unwrap();
        let at = FileHeader::parse(&file).unwrap().data_offset;
        for behind in [60_000, 66_000, 100_000, 300_000] {
            file.resize_with(file.len().max(behind), || random.below(256) as u8);
            for words in [16_384_u16, 16_385, 40_000, 65_535] {
                file[at..at + 2].copy_from_slice(&words.to_le_bytes());
                let image = pgf::decode(&file, &DecodeOptions::default()).unwrap();
                assert_eq!((image.width, image.height), (24, 13));
            }
        }
    }
}

/// What lies behind the end of the data is counted too, and no level is told of that was not asked for.
#[test]
fn reports_of_cut_tiles_count_what_is_missing() {
    let pixels = vec![77u8; 2048 * 2048];
    let samples = pgf::SamplesRef::U8(&pixels);
    let image = pgf::ImageRef { width: 2048, height: 2048, channels: 1, mode: pgf::Mode::Gray, samples };
    let options = pgf::EncodeOptions { roi: true, levels: Some(8), ..pgf::EncodeOptions::default() };
    let file = pgf::encode(&image, &options).unwrap();
    let header = FileHeader::parse(&file).unwrap();
    let region = pgf::Rect { left: 2000, top: 2000, right: 2048, bottom: 2048 };
    let options = DecodeOptions { region: Some(region), ..DecodeOptions::default() };
    let (_, whole) = pgf::decode_with_report(&file, &options).unwrap();
    assert!(whole.complete() && whole.finest_complete_level == Some(0), "{whole:?}");
    let mut end = header.data_offset;
    for (done, length) in header.level_lengths.iter().enumerate() {
        let (_, report) = pgf::decode_with_report(&file[..end + 8], &options).unwrap();
        assert_eq!(report.macroblocks, whole.macroblocks, "{} bytes: {report:?}", end + 8);
        assert_eq!(report.macroblocks, report.intact + report.partial + report.missing, "{report:?}");
        assert!(report.missing > 0 && report.truncated, "{report:?}");
        let level = header.header.levels - done as u8;
        assert_eq!(report.finest_complete_level, (done > 0).then_some(level), "{} bytes: {report:?}", end + 8);
        end += *length as usize;

        // Cut just behind a level.
        let level = level - 1;
        for asked in [0, level] {
            let options = DecodeOptions { level: asked, ..DecodeOptions::default() };
            let (_, report) = pgf::decode_with_report(&file[..end], &options).unwrap();
            assert_eq!(report.finest_complete_level, Some(level), "level {asked}, {end} bytes: {report:?}");
            assert_eq!(report.missing == 0, asked == level, "level {asked}, {end} bytes: {report:?}");
        }
    }
}
