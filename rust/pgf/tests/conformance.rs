//! The codec against the test vectors: files of libPGF with the hashes of what libPGF makes of them.

mod bridge;
mod reference;
mod vectors;

use pgf::{DecodeOptions, FileHeader, Image, Limits, Rect};
use reference::codec;
use vectors::{Vector, number, numbers, sha256};

fn all() -> Vec<Vector> {
    let mut all = vectors::committed();
    all.extend(vectors::shared_only());
    all
}

fn strict(level: u64, region: Option<Rect>) -> DecodeOptions {
    DecodeOptions { level: level as u8, region, strict: true, ..DecodeOptions::default() }
}

/// Hash of the picture as libPGF exports it.
fn native_hash(image: &Image) -> String {
    sha256(&reference::pixels::pack(image.mode as u8, &bridge::pixels(image)).unwrap())
}

fn rect_of(entry: &serde_json::Value) -> Rect {
    let r: Vec<u32> = numbers(&entry["rect"]).into_iter().map(|v| v as u32).collect();
    Rect { left: r[0], top: r[1], right: r[2], bottom: r[3] }
}

#[test]
fn headers() {
    for vector in all() {
        let name = &vector.name;
        let file = FileHeader::parse(&vector.data).unwrap_or_else(|e| panic!("{name}: {e}"));
        let header = &file.header;
        for (field, value) in [
            ("version_flags", u64::from(file.flags)),
            ("major", u64::from(file.major_version())),
            ("roi", u64::from(file.roi())),
            ("width", u64::from(header.width)),
            ("height", u64::from(header.height)),
            ("levels", u64::from(header.levels)),
            ("quality", u64::from(header.quality)),
            ("bpp", u64::from(header.bits_per_pixel)),
            ("channels", u64::from(header.channels)),
            ("mode", header.mode as u64),
            ("used_bits", u64::from(header.used_bits)),
            ("header_bytes", file.data_offset as u64),
            ("user_data", file.user_data.len() as u64),
        ] {
            let expected = match &vector.entry["header"][field] {
                serde_json::Value::Bool(flag) => u64::from(*flag),
                other => number(other),
            };
            assert_eq!(value, expected, "{name}: {field}");
        }
        let lengths: Vec<u64> = file.level_lengths.iter().map(|&v| u64::from(v)).collect();
        assert_eq!(lengths, numbers(&vector.entry["header"]["level_lengths"]), "{name}: level lengths");
        if let Some(hash) = vector.entry["user_data_sha256"].as_str() {
            assert_eq!(sha256(&vector.data[file.user_data.clone()]), hash, "{name}: user data");
        }
        if let Some(hash) = vector.entry["color_table_sha256"].as_str() {
            let palette = file.palette.as_deref().unwrap_or_else(|| panic!("{name}: no palette"));
            let table: Vec<u8> = palette.iter().flat_map(|&[r, g, b, reserved]| [b, g, r, reserved]).collect();
            assert_eq!(sha256(&table), hash, "{name}: palette");
        }
    }
}

#[test]
fn every_level() {
    for vector in all() {
        let name = &vector.name;
        for entry in vector.levels() {
            let level = number(&entry["level"]);
            let (image, report) = pgf::decode_with_report(&vector.data, &strict(level, None))
                .unwrap_or_else(|e| panic!("{name} level {level}: {e}"));
            let size = (u64::from(image.width), u64::from(image.height));
            assert_eq!(size, (number(&entry["width"]), number(&entry["height"])), "{name} level {level}: size");
            assert_eq!(native_hash(&image), entry["sha256"], "{name} level {level}: pixels");
            assert!(report.complete(), "{name} level {level}: {report:?}");
            assert_eq!(report.intact, report.macroblocks, "{name} level {level}");
            if level == 0 {
                assert_eq!(report.bytes_used, vector.data.len(), "{name}: bytes used");
            }
            assert_eq!(report.finest_complete_level, Some(level as u8), "{name} level {level}");
        }
    }
}

/// The coarsest level, which libPGF does not deliver alone: the last LL of every plane.
#[test]
fn coarsest_level() {
    for vector in all() {
        let name = &vector.name;
        let level = vector.header("levels");
        let image = pgf::decode(&vector.data, &strict(level, None)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (header, planes) = codec::decode_planes(&vector.data, level as usize, codec::Missing::Error).unwrap();
        assert!(image == bridge::image_of_reference(&header, &planes), "{name} level {level}");
    }
}

#[test]
fn every_region() {
    for vector in all() {
        let name = &vector.name;
        for entry in vector.rois() {
            let level = number(&entry["level"]);
            let rect = rect_of(entry);
            let image = pgf::decode(&vector.data, &strict(level, Some(rect)))
                .unwrap_or_else(|e| panic!("{name} level {level} {rect:?}: {e}"));
            let size = (u64::from(image.width), u64::from(image.height));
            assert_eq!(size, (number(&entry["width"]), number(&entry["height"])), "{name} level {level} {rect:?}");
            assert_eq!(native_hash(&image), entry["crop_sha256"], "{name} level {level} {rect:?}: pixels");
        }
    }
}

/// Files without tiles give regions too, and old bitmaps whose bytes hold eight pixels.
#[test]
fn regions_of_every_file() {
    for vector in all() {
        let name = &vector.name;
        let (w, h) = (vector.header("width") as u32, vector.header("height") as u32);
        for entry in vector.levels() {
            let level = number(&entry["level"]);
            let whole = pgf::decode(&vector.data, &strict(level, None)).unwrap();
            let rects = [[w / 3, h / 2, w, h], [0, h / 5, w / 2 + 1, h / 5 + 1], [w - 1, h - 1, w, h], [0, 0, 1, 1]];
            for [left, top, right, bottom] in rects {
                let rect = Rect { left, top, right, bottom };
                let at = |n: u32| n.div_ceil(1 << level) as usize;
                let (x, y) = (at(left).min(whole.width as usize - 1), at(top).min(whole.height as usize - 1));
                let expected = bridge::crop(&whole, [x, y, at(right).max(x + 1), at(bottom).max(y + 1)]);
                let image = pgf::decode(&vector.data, &strict(level, Some(rect)))
                    .unwrap_or_else(|e| panic!("{name} level {level} {rect:?}: {e}"));
                assert!(image == expected, "{name} level {level} {rect:?}");
            }
        }
    }
}

#[test]
fn encoding_the_source_again_gives_the_same_bytes() {
    let mut count = 0;
    for vector in all().iter().filter(|vector| vector.by_present_library()) {
        let name = &vector.name;
        let Some(source) = vector.source_file() else { continue };
        let image = pgf::decode(&source, &strict(0, None)).unwrap();
        let file = FileHeader::parse(&vector.data).unwrap();
        let options = pgf::EncodeOptions {
            quality: vector.setting("quality") as u8,
            levels: Some(vector.setting("levels_requested") as u8).filter(|&n| n > 0),
            roi: vector.setting_is_true("roi"),
            used_bits: Some(file.header.used_bits),
            user_data: &vector.data[file.user_data.clone()],
            palette: file.palette.as_deref(),
            favor_speed: vector.setting_is_true("favor_speed"),
            num_threads: 1,
        };
        let bytes = pgf::encode(&image.as_ref(), &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let differs = bytes.iter().zip(&vector.data).position(|(a, b)| a != b);
        assert!(bytes == vector.data, "{name}: {} bytes for {}, first at {differs:?}", bytes.len(), vector.data.len());
        count += 1;
    }
    assert!(count > 60, "only {count} files were encoded again");
}

/// Files to coefficients and back, in the container's own order, and to pixels.
#[test]
fn coefficients_carry_everything() {
    for vector in all() {
        let name = &vector.name;
        let (coefficients, report) = pgf::read_coefficients(&vector.data, true, &Limits::default()).unwrap();
        assert!(report.complete(), "{name}: {report:?}");
        let header = reference::container::Header::parse(&vector.data).unwrap();
        let (expected, _) = codec::read(&header, &vector.data, 0, codec::Missing::Error).unwrap();
        assert_eq!(bridge::differing_band(&expected, &coefficients), None, "{name}");
        let written = pgf::write_coefficients(&coefficients).unwrap();
        if vector.by_present_library() && !vector.setting_is_true("favor_speed") {
            assert!(written == vector.data, "{name}: written again");
        }
        // Older layouts are written in the present one, with the same coefficients.
        let (again, _) = pgf::read_coefficients(&written, true, &Limits::default()).unwrap();
        assert_eq!(bridge::differing_band(&expected, &again), None, "{name}: written again");
        for coefficients in [coefficients, again] {
            let image = pgf::synthesise(coefficients).unwrap();
            assert_eq!(native_hash(&image), vector.levels()[0]["sha256"], "{name}: pixels of the coefficients");
        }
    }
}
