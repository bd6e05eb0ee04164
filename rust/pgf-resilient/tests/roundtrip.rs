//! Nothing is lost: coefficients, payloads, `.pgf` files, pixels.

#[path = "../../pgf/tests/vectors/mod.rs"]
mod vectors;

mod pictures;

use pgf::{Band, Coefficients, DecodeOptions, EncodeOptions, Header, Limits, Mode, Rect, analyse, write_coefficients};
use pgf_resilient::{Order, Payload, Profile, StreamOptions, read_coefficients, rewrite, write};
use proptest::prelude::*;

fn payload() -> impl Strategy<Value = Payload> {
    prop::sample::select(vec![Payload::Packed, Payload::Tokens])
}

fn options() -> impl Strategy<Value = StreamOptions> {
    let profile = prop::sample::select(vec![Profile::Lean, Profile::Default, Profile::Tough]);
    let order = prop::sample::select(vec![Order::Best, Order::Levels]);
    let first = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Rect { left: 0, top: 0, right: 1, bottom: 1 })),
        1 => (0u32..200, 0u32..200).prop_map(|(x, y)| Some(Rect { left: x, top: y, right: x + 40, bottom: y + 90 })),
    ];
    let checks = (any::<bool>(), any::<bool>());
    (payload(), profile, order, first, prop::sample::select(vec![1.0, 0.5]), checks).prop_map(
        |(payload, profile, order, first, chroma, (bare, checks))| StreamOptions {
            payload,
            profile,
            order,
            first,
            chroma,
            max_bytes: None,
            bare,
            checks,
            num_threads: 1,
        },
    )
}

/// Coefficients with a description, which alone is printed.
struct Case {
    what: String,
    coefficients: Coefficients,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// Coefficients of a photograph in any mode and setting.
fn any_coefficients() -> impl Strategy<Value = Case> {
    let side = || prop_oneof![3 => 1u32..=40, 2 => 1u32..=200];
    let quality = prop_oneof![2 => Just(0u8), 3 => 0u8..=8, 1 => 0u8..=30];
    let levels = prop_oneof![1 => Just(None), 1 => (1u8..=30).prop_map(Some)];
    let data = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(Just(0xFFu8), 60..70),
    ];
    (
        prop::sample::select(Mode::ALL.to_vec()),
        (side(), side()),
        (quality, levels, any::<bool>(), prop::option::of(1u8..=31)),
        data,
        (0usize..4, 0usize..1000, 1usize..4, 1usize..=8),
    )
        .prop_map(|(mode, (w, h), (quality, levels, roi, used), user_data, (index, seed, step, channels))| {
            let image = pictures::in_mode(&pictures::crop(index, seed, step, w, h), mode, channels);
            let depth = Header::depth_of(mode, image.channels as u8) / image.channels as u8;
            let palette = std::array::from_fn(|i| [i as u8, 255, (i * 7) as u8, 0]);
            let options = EncodeOptions {
                quality,
                levels,
                roi,
                used_bits: used.map(|u| u.clamp(1, depth.clamp(1, 31))),
                user_data: &user_data,
                palette: (mode == Mode::Indexed).then_some(&palette),
                favor_speed: false,
                num_threads: 1,
            };
            let what = format!("{mode:?} {w}x{h} {options:?}");
            Case { what, coefficients: analyse(&image.as_ref(), &options).unwrap() }
        })
}

fn coefficients_of(stream: &[u8]) -> Coefficients {
    let strict = pgf_resilient::DecodeOptions { strict: true, ..Default::default() };
    let (back, report) = read_coefficients(stream, &strict).unwrap();
    assert!(report.clean(), "{report:?}");
    assert_eq!(report.base_known, report.base_total);
    back
}

/// Where two sets of coefficients differ, whatever the type that they are kept in.
fn difference(a: &Coefficients, b: &Coefficients) -> Option<String> {
    if a.header() != b.header() || a.roi() != b.roi() {
        return Some(format!("{:?} and {:?}", a.header(), b.header()));
    }
    if a.palette != b.palette || a.user_data != b.user_data {
        return Some("palette or user data".into());
    }
    let header = a.header();
    for plane in 0..usize::from(header.channels) {
        let details = (1..=header.levels).flat_map(|l| [(l, Band::HL), (l, Band::LH), (l, Band::HH)]);
        for (level, band) in details.chain([(header.levels, Band::LL)]) {
            if a.band(plane, level, band).unwrap() != b.band(plane, level, band).unwrap() {
                return Some(format!("plane {plane} level {level} {band:?}"));
            }
        }
    }
    None
}

/// Byte for byte, through everything that a stream can be.
fn check_roundtrip(what: &str, coefficients: &Coefficients, options: &StreamOptions) {
    let header = coefficients.header();
    let mut options = *options;
    if options.first.is_some_and(|first| first.left >= header.width || first.top >= header.height) {
        assert!(write(coefficients, &options).is_err(), "{what}: a first region outside");
        options.first = None;
    }
    let options = &options;
    let stream = write(coefficients, options).unwrap();
    let back = coefficients_of(&stream);
    assert_eq!(difference(&back, coefficients), None, "{what}");
    // A `.pgf` file goes there and back.
    if let Ok(file) = write_coefficients(coefficients) {
        assert!(write_coefficients(&back).unwrap() == file, "{what}: another file");
        // And shows the same picture.
        let expected = pgf::decode(&file, &DecodeOptions::default()).unwrap();
        let (image, _) = pgf_resilient::decode(&stream, &Default::default()).unwrap();
        assert!(image == expected, "{what}: another picture");
    }
    let plain = StreamOptions { profile: Profile::Default, checks: false, ..*options };
    let stream = write(coefficients, &plain).unwrap();
    let other = match plain.payload {
        Payload::Packed => Payload::Tokens,
        Payload::Tokens => Payload::Packed,
    };
    let lenient = Default::default();
    let (there, _) = rewrite(&stream, Some(other), &lenient).unwrap();
    assert_eq!(difference(&coefficients_of(&there), coefficients), None, "{what}: other payload");
    let (back, _) = rewrite(&there, Some(plain.payload), &lenient).unwrap();
    assert!(back == stream, "{what}: the payload changed and back");
    let (same, _) = rewrite(&stream, None, &lenient).unwrap();
    assert!(same == stream, "{what}: written again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn coefficients_come_back(case in any_coefficients(), options in options()) {
        check_roundtrip(&case.what, &case.coefficients, &options);
    }
}

/// Every mode in both payloads, whatever the random cases happen to be.
#[test]
fn every_mode_comes_back() {
    for mode in Mode::ALL {
        for (w, h, quality, roi) in [(1, 1, 0, false), (61, 45, 0, true), (130, 67, 5, false), (9, 200, 2, true)] {
            for channels in if mode.fixed_channels() == 0 { vec![1, 2, 5, 8] } else { vec![0] } {
                let image = pictures::in_mode(&pictures::crop(0, 3, 2, w, h), *mode, channels);
                let options = EncodeOptions { quality, roi, ..EncodeOptions::default() };
                let coefficients = analyse(&image.as_ref(), &options).unwrap();
                for payload in [Payload::Packed, Payload::Tokens] {
                    let what = format!("{mode:?} {w}x{h} quality {quality} {payload:?}");
                    check_roundtrip(&what, &coefficients, &StreamOptions { payload, ..Default::default() });
                }
            }
        }
    }
}

/// The vectors of libPGF: coefficients, pixels, and where the present library wrote a file, its bytes.
#[test]
fn vectors_come_back() {
    let mut same = 0;
    for vector in vectors::committed().iter().chain(&vectors::shared_only()) {
        let name = &vector.name;
        let (mut coefficients, _) = pgf::read_coefficients(&vector.data, true, &Limits::default()).unwrap();
        coefficients.favor_speed = vector.setting_is_true("favor_speed");
        for payload in [Payload::Packed, Payload::Tokens] {
            let stream = write(&coefficients, &StreamOptions { payload, ..Default::default() }).unwrap();
            let back = coefficients_of(&stream);
            let file = write_coefficients(&back).unwrap();
            if vector.by_present_library() {
                assert!(file == vector.data, "{name}: another file");
                same += 1;
            }
            assert_eq!(difference(&back, &coefficients), None, "{name}");
            let expected = pgf::decode(&vector.data, &DecodeOptions::default()).unwrap();
            let (image, _) = pgf_resilient::decode(&stream, &Default::default()).unwrap();
            assert!(image == expected, "{name}: another picture");
        }
    }
    assert!(same > 140, "only {same}");
}

/// Damaged files of 8-bit modes have coefficients that 16 bits do not hold.
#[test]
fn coefficients_beyond_sixteen_bits_survive() {
    let image = pictures::in_mode(&pictures::crop(0, 3, 2, 21, 17), Mode::Gray, 1);
    let header = *analyse(&image.as_ref(), &EncodeOptions::default()).unwrap().header();
    for value in [16_383, 16_384, 32_767, 32_768, 34_000, 65_535, 65_536, 1 << 20] {
        for (band, sign) in [(Band::LL, 1), (Band::LL, -1), (Band::HH, 1), (Band::HH, -1)] {
            let limits = Limits::default();
            let flags = pgf::flags::CURRENT;
            let mut all = Coefficients::zeroed(&header, flags, true, None, Vec::new(), &limits).unwrap();
            let mut rows = all.rows_mut(0, header.levels, band).unwrap();
            let pgf::RowMut::Wide(row) = rows.row(3) else { panic!("32 bits were asked for") };
            row[2] = sign * value;
            for payload in [Payload::Packed, Payload::Tokens] {
                let stream = write(&all, &StreamOptions { payload, ..StreamOptions::default() }).unwrap();
                let (again, _) = read_coefficients(&stream, &pgf_resilient::DecodeOptions::default()).unwrap();
                assert_eq!(write_coefficients(&again), write_coefficients(&all), "{band:?} {}", sign * value);
            }
        }
    }
}
