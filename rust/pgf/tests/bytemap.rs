//! Files read in parts: what a level and a region need is found, and gives the pixels of the whole file.

mod bridge;
mod cases;
mod reference;

use bridge::strict;
use cases::{file, fractions, rect};
use pgf::{ByteMap, Error, FileHeader};
use proptest::prelude::*;
use reference::container::Header;

fn map(file: &[u8]) -> Option<ByteMap> {
    let header = FileHeader::parse(file).unwrap();
    match ByteMap::new(header, file.len() as u64) {
        Ok(map) => Some(map),
        Err(Error::Unsupported(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// At most `most` bytes from an offset on, as a server gives them.
fn reader(file: &[u8], most: usize) -> impl FnMut(u64, usize) -> pgf::Result<Vec<u8>> {
    move |offset, blocks| {
        assert!(blocks > 0);
        let start = (offset as usize).min(file.len());
        Ok(file[start..(start + most).min(file.len())].to_vec())
    }
}

proptest! {
    #[test]
    fn parts_give_the_pixels_of_the_whole(
        settings in cases::settings_of_any_version(cases::all_modes()),
        texture in cases::texture(),
        seed: u64,
        fractions in fractions(),
        level in 0_u8..7,
        whole: bool,
        most in prop::sample::select(vec![4_usize, 64, 5000]),
        keep_lengths: bool,
    ) {
        let Some(mut file) = file(&settings, texture, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let level = level.min(header.levels);
        if !keep_lengths {
            // Lengths are hints: false ones only make the search longer.
            let start = header.len() - 4 * usize::from(header.levels);
            for byte in &mut file[start..header.len()] {
                *byte = byte.wrapping_mul(3);
            }
        }
        let Some(mut map) = map(&file) else { return Ok(()) };
        let region = (!whole).then(|| rect(&header, fractions));
        let options = strict(usize::from(level), region);
        let expected = pgf::decode(&file, &options).unwrap();

        let wanted = map.wanted(level, region).unwrap();
        map.find(&wanted, reader(&file, most)).unwrap();
        let ranges = map.ranges(&wanted).unwrap();
        prop_assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
        let pieces: Vec<&[u8]> = ranges.iter().map(|(a, b)| &file[*a as usize..*b as usize]).collect();
        let part = map.assemble(&file, &wanted, &pieces).unwrap();
        prop_assert_eq!(&pgf::decode(&part, &options).unwrap(), &expected);

        // The list of lengths replaces the search.
        let lengths = map.word_lengths(reader(&file, most)).unwrap();
        let mut indexed = self::map(&file).unwrap();
        indexed.use_word_lengths(&lengths).unwrap();
        prop_assert_eq!(indexed.ranges(&wanted).unwrap(), ranges);
        if region.is_none() && level == 0 {
            prop_assert_eq!(&part, &file[..part.len()]);
        }
    }

    /// Whatever the bytes are: an answer or an error, no panic.
    #[test]
    fn hostile_bytes_end_the_search(
        settings in cases::settings(cases::pixel_modes()),
        seed: u64,
        at in 0.0..1.0_f64,
        byte: u8,
        size in prop::sample::select(vec![0_u64, 40, 1 << 20]),
        lengths in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let Some(mut file) = file(&settings, cases::Texture::Noise, None, seed) else { return Ok(()) };
        let header = Header::parse(&file).unwrap();
        let place = header.len() + ((file.len() - header.len()) as f64 * at) as usize;
        let last = file.len() - 1;
        file[place.min(last)] = byte;
        let parsed = FileHeader::parse(&file).unwrap();
        let Ok(mut map) = ByteMap::new(parsed, size) else { return Ok(()) };
        prop_assert!(map.macroblocks() as u64 <= size / 6 + 1);
        let _ = map.use_word_lengths(&lengths);
        let wanted = map.wanted(0, None).unwrap();
        if map.find(&wanted, reader(&file, 16)).is_ok() {
            prop_assert!(map.ranges(&wanted).unwrap().iter().all(|(_, end)| *end <= size));
        }
    }
}

#[test]
fn a_false_index_is_refused() {
    let pixels = vec![7u8; 300 * 200];
    let image = pgf::ImageRef {
        width: 300,
        height: 200,
        channels: 1,
        mode: pgf::Mode::Gray,
        samples: pgf::SamplesRef::U8(&pixels),
    };
    let file = pgf::encode(&image, &pgf::EncodeOptions { roi: true, ..Default::default() }).unwrap();
    let mut map = map(&file).unwrap();
    let lengths = map.word_lengths(reader(&file, 4)).unwrap();
    assert!(map.use_word_lengths(&lengths[2..]).is_err());
    assert!(map.use_word_lengths(&vec![0; lengths.len()]).is_err());
    assert!(map.use_word_lengths(&[0xFF, 0x3F].repeat(lengths.len() / 2)).is_err());
    map.use_word_lengths(&lengths).unwrap();
}

/// A false size, with a header that announces as much.
#[test]
fn sizes_that_need_too_much_memory_are_refused() {
    for roi in [false, true] {
        let mut head = b"PGF".to_vec();
        head.push(if roi { 0x7E } else { 0x76 });
        head.extend_from_slice(&[16, 0, 0, 0]);
        head.extend_from_slice(&[0xFF; 8]);
        head.extend_from_slice(&[30, 0, 8, 1, 1, 8, 0, 0]);
        head.resize(head.len() + 120, 0);
        let header = FileHeader::parse(&head).unwrap();
        for size in [1 << 40, 1 << 60, u64::MAX] {
            let error = ByteMap::new(header.clone(), size).err();
            assert!(matches!(error, Some(Error::Limits { .. })), "size {size}: {error:?}");
        }
        let limits = pgf::Limits { max_bytes: 1 << 20, ..pgf::Limits::default() };
        assert!(ByteMap::with_limits(header.clone(), 1 << 20, &limits).is_err());
        assert!(ByteMap::with_limits(header, 1 << 14, &limits).is_ok());
    }
}

#[test]
fn macroblocks_that_do_not_exist_are_refused() {
    let pixels = vec![7u8; 300 * 200];
    let (mode, samples) = (pgf::Mode::Gray, pgf::SamplesRef::U8(&pixels));
    let image = pgf::ImageRef { width: 300, height: 200, channels: 1, mode, samples };
    let file = pgf::encode(&image, &pgf::EncodeOptions { roi: true, ..Default::default() }).unwrap();
    let mut map = map(&file).unwrap();
    let wanted = [map.macroblocks()];
    assert!(matches!(map.find(&wanted, reader(&file, 4)), Err(Error::Usage(_))));
    assert!(matches!(map.ranges(&wanted), Err(Error::Usage(_))));
    assert!(matches!(map.assemble(&file, &wanted, &[]), Err(Error::Usage(_))));
}
