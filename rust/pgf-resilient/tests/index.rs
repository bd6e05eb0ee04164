//! The index behind a stream: it changes nothing, and what is read by it gives the pixels of the whole.

mod pictures;

use std::ops::Range;

use pgf::{EncodeOptions, Error, Limits, Mode, Rect};
use pgf_resilient::{DecodeOptions, Order, Payload, Profile, StreamMap, StreamOptions, add_index, decode, encode};
use proptest::prelude::*;

fn slices<'a>(data: &'a [u8], ranges: &[Range<usize>]) -> Vec<&'a [u8]> {
    ranges.iter().map(|r| &data[r.clone()]).collect()
}

/// The stream that a reader puts together, and how many of the bytes it has looked at.
fn partial(data: &[u8], level: u8, region: Option<Rect>) -> pgf::Result<(Vec<u8>, usize)> {
    let limits = Limits::default();
    let mut map = StreamMap::new(&data[..data.len().min(4096)], data.len(), &limits)?;
    let Some(directory) = map.directory() else { return Err(Error::Usage("too small".into())) };
    map.use_directory(&data[directory.clone()])?;
    let opening = &data[map.opening()];
    map.use_opening(opening, &limits)?;
    let pages = map.pages(level, region)?;
    let found = slices(data, &pages);
    let ranges = map.ranges(level, region, &found)?;
    let looked_at = opening.len() + [&pages[..], &ranges, &[directory]].concat().iter().map(Range::len).sum::<usize>();
    Ok((map.assemble(level, region, &found, opening, &slices(data, &ranges))?, looked_at))
}

fn strict(level: u8, region: Option<Rect>) -> DecodeOptions {
    DecodeOptions { level, region, strict: true, ..DecodeOptions::default() }
}

fn options() -> impl Strategy<Value = StreamOptions> {
    (
        prop::sample::select(vec![Payload::Packed, Payload::Tokens]),
        prop::sample::select(vec![Profile::Lean, Profile::Default, Profile::Tough]),
        prop::sample::select(vec![Order::Best, Order::Levels]),
        any::<bool>(),
        prop::option::of(600usize..4000),
    )
        .prop_map(|(payload, profile, order, checks, max_bytes)| StreamOptions {
            payload,
            profile,
            order,
            checks,
            max_bytes,
            ..StreamOptions::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_are_those_of_the_whole(
        mode in prop::sample::select(Mode::ALL.to_vec()),
        (w, h) in (1u32..200, 1u32..200),
        (quality, levels) in (0u8..7, prop::option::of(1u8..8)),
        stream in options(),
        by_place in any::<bool>(),
        area in prop::option::of((0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0)),
        (index, seed) in (0usize..4, 0usize..1000),
    ) {
        let image = pictures::in_mode(&pictures::crop(index, seed, 1, w, h), mode, 2);
        let encoding = EncodeOptions { quality, levels, user_data: &[7; 100], ..EncodeOptions::default() };
        let Ok(data) = encode(&image.as_ref(), &encoding, &stream) else { return Ok(()) };
        // A budget may end in the middle of a segment.
        let indexed = match add_index(&data, by_place, &Limits::default()) {
            Err(Error::Truncated { .. }) if stream.max_bytes.is_some() => return Ok(()),
            other => other.unwrap(),
        };
        prop_assert!(by_place || indexed.starts_with(&data));
        prop_assert_eq!(add_index(&indexed, by_place, &Limits::default()).unwrap(), indexed.clone());
        let (whole, report) = decode(&indexed, &strict(0, None)).unwrap();
        prop_assert!(report.clean());
        prop_assert_eq!(&whole, &decode(&data, &strict(0, None)).unwrap().0);
        let extras = |bytes: &[u8]| pgf_resilient::read_extras(bytes, &Limits::default()).unwrap();
        prop_assert_eq!(extras(&indexed), extras(&data));
        // The index says nothing that a rewritten stream keeps.
        let rewritten = pgf_resilient::rewrite(&indexed, None, &strict(0, None)).unwrap().0;
        prop_assert_eq!(decode(&rewritten, &strict(0, None)).unwrap().0, whole);
        let region = area.map(|(x, y, right, bottom)| {
            let cut = |share: f64, size: u32| ((share * f64::from(size)) as u32).min(size - 1);
            let (left, top) = (cut(x, w), cut(y, h));
            Rect { left, top, right: left + 1 + cut(right, w - left), bottom: top + 1 + cut(bottom, h - top) }
        });
        for level in 0..=pgf_resilient::read_picture(&data).unwrap().header.levels {
            let (part, looked_at) = partial(&indexed, level, region).unwrap();
            prop_assert!(part.len() <= data.len() + 2 && looked_at <= 2 * indexed.len());
            let (pixels, report) = decode(&part, &strict(level, region)).unwrap();
            prop_assert!(report.clean());
            prop_assert_eq!(pixels, decode(&data, &strict(level, region)).unwrap().0);
        }
    }
}

fn sample() -> (Vec<u8>, Vec<u8>) {
    let image = pictures::crop(0, 0, 1, 300, 220);
    let data = encode(&image.as_ref(), &EncodeOptions::default(), &StreamOptions::default()).unwrap();
    let indexed = add_index(&data, false, &Limits::default()).unwrap();
    (data, indexed)
}

const REGION: Option<Rect> = Some(Rect { left: 130, top: 60, right: 150, bottom: 90 });

#[test]
fn a_wrong_byte_never_changes_pixels_unnoticed() {
    let (data, indexed) = sample();
    let right = decode(&data, &strict(0, REGION)).unwrap().0;
    let (mut refused, mut same) = (0, 0);
    for at in (0..indexed.len()).step_by(41) {
        let mut wrong = indexed.clone();
        wrong[at] ^= 1 << (at % 8);
        let Ok((part, _)) = partial(&wrong, 0, REGION) else {
            refused += 1;
            continue;
        };
        // What the parts do not notice, decoding does, or the whole would not either.
        match decode(&part, &strict(0, REGION)) {
            Err(_) => refused += 1,
            Ok((pixels, _)) if pixels == right => same += 1,
            Ok((pixels, _)) => {
                let whole = decode(&wrong, &DecodeOptions { strict: false, ..strict(0, REGION) }).unwrap().0;
                assert!(pixels == whole, "byte {at}");
            }
        }
    }
    assert!(refused > 100 && same > 100, "{refused} refused, {same} the same");
}

#[test]
fn an_index_of_other_bytes_is_not_used() {
    let (data, indexed) = sample();
    let index = &indexed[data.len()..];
    let directory = |stream: &[u8]| {
        let mut map = StreamMap::new(stream, stream.len(), &Limits::default()).unwrap();
        let span = map.directory().unwrap();
        map.use_directory(&stream[span])
    };
    assert!(directory(&indexed).is_ok());
    assert!(directory(&data).is_err(), "there is none");
    assert!(directory(&[&data[..data.len() - 1], index].concat()).is_err(), "a byte is missing");
    assert!(directory(&[&indexed[..], b"\xFF\x0E"].concat()).is_err(), "something follows");
    // Segments that changed places: the lengths are right, the places are not.
    let segments = pgf_resilient::segments(&data, &Limits::default()).unwrap();
    let (first, last) = (&segments[segments.len() / 2], &segments[segments.len() - 1]);
    let turned =
        [&data[..first.bytes.start], &data[last.bytes.clone()], &data[first.bytes.start..last.bytes.start], index];
    assert!(partial(&turned.concat(), 0, None).is_err());
}

#[test]
fn damaged_and_cut_streams_get_none() {
    let (data, _) = sample();
    let limits = Limits::default();
    assert!(matches!(add_index(&data[..data.len() - 1], false, &limits), Err(Error::Truncated { .. })));
    let mut damaged = data.clone();
    damaged[data.len() / 2] ^= 0x55;
    assert!(matches!(add_index(&damaged, false, &limits), Err(Error::Format { .. })));
    // The header at the end: found by every reader, but not in front.
    let segments = pgf_resilient::segments(&data, &limits).unwrap();
    let base = segments.iter().find(|s| matches!(s.kind, pgf_resilient::Kind::Base { .. })).unwrap();
    let moved = [&data[..base.bytes.start], &data[base.bytes.end..], &data[base.bytes.clone()]].concat();
    assert!(matches!(add_index(&moved, false, &limits), Err(Error::Unsupported(_))));
}

/// Beginnings are missing, and segments of other blocks are taken for them: which ones depends on the order.
#[test]
fn mended_streams_get_none() {
    let stream = include_bytes!("regressions/segments_taken_for_lost_beginnings");
    assert!(decode(stream, &DecodeOptions::default()).unwrap().1.repaired > 0);
    for by_place in [false, true] {
        let refused = add_index(stream, by_place, &Limits::default());
        assert!(matches!(refused, Err(Error::Format { field: "stream", .. })), "{refused:?}");
    }
}

/// Of two versions of a segment the later is shown, by place too.
#[test]
fn replaced_versions_stay_replaced() {
    let stream = include_bytes!("regressions/two_versions_of_a_segment");
    let shown = decode(stream, &DecodeOptions::default()).unwrap().0;
    let indexed = add_index(stream, true, &Limits::default()).unwrap();
    assert_eq!(decode(&indexed, &DecodeOptions::default()).unwrap().0, shown);
}
