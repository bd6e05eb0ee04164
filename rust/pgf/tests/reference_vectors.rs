//! The reference codec reproduces every test vector, so that comparing with it means comparing with libPGF.

mod reference;
mod vectors;

use reference::bitplane::{Encoder, Padding};
use reference::codec::{self, Missing, Settings};
use reference::container::Header;
use vectors::{Vector, number, numbers, sha256};

fn all() -> Vec<Vector> {
    let mut all = vectors::committed();
    all.extend(vectors::shared_only());
    all
}

fn settings(vector: &Vector) -> Settings {
    let header = Header::parse(&vector.data).unwrap();
    let mut settings =
        Settings::new(vector.setting("mode") as u8, vector.setting("width") as u32, vector.setting("height") as u32);
    settings.bpp = vector.setting("bpp") as u8;
    settings.channels = vector.setting("channels") as u8;
    settings.levels = vector.setting("levels_requested") as u32;
    settings.quality = vector.setting("quality") as u8;
    settings.used_bits = vector.setting("used_bits_requested") as u8;
    settings.max_value = vector.entry["settings"]["max_value"].as_u64().map(|v| v as u32);
    settings.roi = vector.setting_is_true("roi");
    settings.favor_speed = vector.setting_is_true("favor_speed");
    settings.user_data = header.user_data;
    settings.color_table = header.color_table.unwrap_or_default();
    settings
}

#[test]
fn headers() {
    for vector in all() {
        let name = &vector.name;
        let header = Header::parse(&vector.data).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (field, value) in [
            ("version_flags", u64::from(header.flags)),
            ("major", u64::from(header.major())),
            ("width", u64::from(header.width)),
            ("height", u64::from(header.height)),
            ("levels", u64::from(header.levels)),
            ("quality", u64::from(header.quality)),
            ("bpp", u64::from(header.bpp)),
            ("channels", u64::from(header.channels)),
            ("mode", u64::from(header.mode)),
            ("used_bits", u64::from(header.used_bits)),
            ("used_bits_effective", u64::from(header.depth())),
            ("header_bytes", header.len() as u64),
            ("user_data", header.user_data.len() as u64),
        ] {
            assert_eq!(value, vector.header(field), "{name}: {field}");
        }
        let lengths: Vec<u64> = header.level_lengths.iter().map(|&v| u64::from(v)).collect();
        assert_eq!(lengths, numbers(&vector.entry["header"]["level_lengths"]), "{name}: level lengths");
        if let Some(hash) = vector.entry["user_data_sha256"].as_str() {
            assert_eq!(sha256(&header.user_data), hash, "{name}: user data");
        }
        if let Some(hash) = vector.entry["color_table_sha256"].as_str() {
            assert_eq!(sha256(header.color_table.as_deref().unwrap()), hash, "{name}: colour table");
        }
        // Old writers store 0 in fields that a reader completes.
        if !name.starts_with("real_") {
            assert!(header.to_bytes() == vector.data[..header.len()], "{name}: header bytes");
        }
    }
}

#[test]
fn every_level() {
    for vector in all() {
        let name = &vector.name;
        for entry in vector.levels() {
            let level = number(&entry["level"]) as usize;
            let (header, pixels) = codec::decode(&vector.data, level, Missing::Error)
                .unwrap_or_else(|e| panic!("{name} level {level}: {e}"));
            let size = (pixels.w as u64, pixels.h as u64);
            assert_eq!(size, (number(&entry["width"]), number(&entry["height"])), "{name} level {level}: size");
            let raw = codec::to_bytes(&header, &pixels).unwrap();
            assert_eq!(sha256(&raw), entry["sha256"], "{name} level {level}: pixels");
        }
    }
}

#[test]
fn every_region() {
    let mut quirks = 0;
    for vector in all() {
        let name = &vector.name;
        for entry in vector.rois() {
            let level = number(&entry["level"]) as usize;
            let rect: Vec<usize> = numbers(&entry["rect"]).iter().map(|&v| v as usize).collect();
            let rect = [rect[0], rect[1], rect[2], rect[3]];
            let size = (number(&entry["width"]), number(&entry["height"]));
            let (header, crop) = codec::decode_region(&vector.data, level, rect, Missing::Error).unwrap();
            assert_eq!((crop.w as u64, crop.h as u64), size, "{name} {rect:?} level {level}: size");
            let crop = codec::to_bytes(&header, &crop).unwrap();
            assert_eq!(sha256(&crop), entry["crop_sha256"], "{name} {rect:?} level {level}: crop");
            let (_, quirk) = codec::decode_region_quirk(&vector.data, level, rect).unwrap();
            let quirk = codec::to_bytes(&header, &quirk).unwrap();
            assert_eq!(sha256(&quirk), entry["sha256"], "{name} {rect:?} level {level}: export of libPGF");
            quirks += usize::from(crop != quirk);
        }
    }
    assert!(quirks > 0, "no rectangle shows the chroma phase of libPGF");
}

#[test]
fn encoding_the_source_again_gives_the_same_bytes() {
    let mut count = 0;
    for vector in all().iter().filter(|vector| vector.by_present_library()) {
        let name = &vector.name;
        let Some(source) = vector.source_file() else { continue };
        let (header, pixels) = codec::decode(&source, 0, Missing::Error).unwrap();
        let raw = codec::to_bytes(&header, &pixels).unwrap();
        let bytes = codec::encode(&settings(vector), &raw).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(bytes == vector.data, "{name}: {} bytes differ from the {} of libPGF", bytes.len(), vector.data.len());
        count += 1;
    }
    assert!(count > 60, "only {count} files were encoded again");
}

#[test]
fn writing_the_coefficients_again_gives_the_same_bytes() {
    for vector in all().iter().filter(|vector| !vector.name.starts_with("real_")) {
        let name = &vector.name;
        let header = Header::parse(&vector.data).unwrap();
        let (coefficients, blocks) = codec::read(&header, &vector.data, 0, Missing::Error).unwrap();
        if let Some(last) = blocks.last() {
            assert_eq!(last.end, vector.data.len(), "{name}: end of the last macroblock");
        }
        let mut encoder = Encoder::new(Padding::Leftovers, vector.setting_is_true("favor_speed"));
        let bytes = codec::write(&header, &coefficients, &mut encoder).unwrap();
        assert!(bytes == vector.data, "{name}: {} bytes differ from the {} there", bytes.len(), vector.data.len());

        let mut encoder = Encoder::new(Padding::Zero, vector.setting_is_true("favor_speed"));
        let clean = codec::write(&header, &coefficients, &mut encoder).unwrap();
        assert_eq!(clean.len(), bytes.len(), "{name}: length with zero padding");
        let (again, _) = codec::read(&header, &clean, 0, Missing::Error).unwrap();
        assert!(again == coefficients, "{name}: coefficients with zero padding");
    }
}

/// The worked example of the format description: 10 x 10 gray pixels and every byte of their file.
#[test]
fn worked_example() {
    #[rustfmt::skip]
    let pixels: [u8; 100] = [
        100, 101, 104, 109, 116, 125, 136, 109, 124, 101,   103, 105, 109, 115, 123, 128, 100, 114, 130, 108,
        106, 109, 114, 116, 125, 131, 104, 119, 131, 110,   109, 113, 114, 122, 127, 134, 108, 119, 137, 112,
        112, 117, 119, 123, 129, 137, 112, 124, 138, 114,   115, 116, 119, 124, 131, 100, 111, 124, 139, 116,
        118, 120, 124, 130, 138, 103, 115, 129, 105, 123,   121, 124, 129, 131, 100, 106, 119, 134, 106, 125,
        124, 128, 129, 137, 102, 109, 123, 134, 112, 127,   127, 132, 134, 138, 104, 112, 127, 139, 113, 129,
    ];
    let file = "\
        50474676100000000a0000000a000000010008010108571d7a0000001e00251e\
        20a6957c33c5591993483eef0440d51f0000e50071ebabfaa218873078412d00\
        58fa030000001b060000ad00f18aac04d318a60080a73f000000b91a3a031000\
        0000c900254b3cfc891473222a00a0e70f00605f707628a00100bb0021af694d\
        be5f44d500c0ce1f00005c15590342aec98604000000";
    let bytes = codec::encode(&Settings::new(1, 10, 10), &pixels).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, file);
}
