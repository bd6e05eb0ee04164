//! What is merged shows no less than any of the streams that it is merged of, each of which may be cut anywhere.

mod pictures;

use pgf::{EncodeOptions, Image, Limits, Mode, Rect};
use pgf_resilient::{
    DecodeOptions, Fate, Kind, Order, Payload, Profile, StreamOptions, StreamReport, decode, merge, read_extras,
    remove, rewrite, segments,
};
use proptest::prelude::*;

fn strictly(stream: &[u8]) -> (Image, StreamReport) {
    let options = DecodeOptions { strict: true, ..DecodeOptions::default() };
    decode(stream, &options).unwrap_or_else(|e| panic!("{} bytes: {e}", stream.len()))
}

fn merged(streams: &[&[u8]]) -> Vec<u8> {
    merge(streams, &Limits::default()).unwrap()
}

/// Settings that change which segments a stream has and in which order, but not its header.
fn ways() -> impl Strategy<Value = (Order, Profile, Option<Rect>, f64)> {
    let order = prop::sample::select(vec![Order::Best, Order::Levels]);
    let profile = prop::sample::select(vec![Profile::Lean, Profile::Default, Profile::Tough]);
    let first = prop_oneof![
        Just(None),
        (0u32..90, 0u32..60).prop_map(|(x, y)| Some(Rect { left: x, top: y, right: x + 30, bottom: y + 30 })),
    ];
    (order, profile, first, prop::sample::select(vec![1.0, 0.3]))
}

fn picture(mode: Mode, seed: usize) -> Image {
    pictures::in_mode(&pictures::crop(seed, seed, 2, 120, 90), mode, 3)
}

fn stream_of(image: &Image, payload: Payload, bare: bool, way: (Order, Profile, Option<Rect>, f64)) -> Vec<u8> {
    let (order, profile, first, chroma) = way;
    let options = StreamOptions { payload, bare, order, profile, first, chroma, ..StreamOptions::default() };
    let encode = EncodeOptions { quality: 3, user_data: &[7; 100], ..EncodeOptions::default() };
    pgf_resilient::encode(&image.as_ref(), &encode, &options).unwrap()
}

fn kinds() -> impl Strategy<Value = (Mode, Payload, bool)> {
    let mode = prop::sample::select(vec![Mode::Rgb, Mode::Gray]);
    (mode, prop::sample::select(vec![Payload::Packed, Payload::Tokens]), any::<bool>())
}

/// A stream without a last segment of planes that is cut.
fn without_cut(stream: &[u8]) -> &[u8] {
    let last = segments(stream, &Limits::default()).unwrap().pop().unwrap();
    let is_cut = matches!(last.kind, Kind::Planes { fate: Fate::Cut, .. });
    &stream[..if is_cut { last.bytes.start } else { stream.len() }]
}

/// Nothing that `part` knows by whole pieces is unknown to `all`.
fn knows_all(all: &StreamReport, part: &[u8]) -> bool {
    let known = decode(without_cut(part), &DecodeOptions::default()).unwrap().1;
    all.base_known >= known.base_known && all.missing.iter().zip(&known.missing).all(|(all, part)| all <= part)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    /// Two beginnings of one stream are the longer one.
    #[test]
    fn beginnings_of_a_stream_are_the_longer_one(
        (mode, payload, bare) in kinds(), way in ways(), seed in 0usize..40, (a, b) in (0.0..1.0f64, 0.0..1.0f64),
    ) {
        let stream = stream_of(&picture(mode, seed), payload, bare, way);
        let cut = |share: f64| 12 + ((stream.len() - 12) as f64 * share * share) as usize;
        let (a, b) = (&stream[..cut(a)], &stream[..cut(b)]);
        let longest = if a.len() > b.len() { a } else { b };
        let longer = strictly(longest).0;
        for streams in [vec![a, b], vec![b, a], vec![a, b, a]] {
            let all = merged(&streams);
            let (image, report) = strictly(&all);
            prop_assert!(image == longer, "{} and {} of {} bytes are another picture", a.len(), b.len(), stream.len());
            prop_assert!(report.clean() && knows_all(&report, longest));
            prop_assert_eq!(merged(&[&all]), all);
        }
    }

    /// Beginnings of two streams of one picture, whose segments have other bounds and another order, show no less than
    /// either.
    #[test]
    fn beginnings_of_two_streams_show_no_less_than_either(
        (mode, payload, bare) in kinds(), ways in (ways(), ways()), seed in 0usize..40,
        shares in (0.0..1.0f64, 0.0..1.0f64),
    ) {
        let image = picture(mode, seed);
        let streams = [ways.0, ways.1].map(|way| stream_of(&image, payload, bare, way));
        prop_assume!(pgf_resilient::read_picture(&streams[0]).unwrap() == pgf_resilient::read_picture(&streams[1]).unwrap());
        let cut = |stream: &[u8], share: f64| stream[..12 + ((stream.len() - 12) as f64 * share * share) as usize].to_vec();
        let halves = [cut(&streams[0], shares.0), cut(&streams[1], shares.1)];
        let all = merged(&[&halves[0], &halves[1]]);
        let (shown, report) = strictly(&all);
        prop_assert!(report.clean(), "{report:?}");
        let psnr = pictures::psnr(&image, &shown);
        let both_cut = halves.iter().all(|half| without_cut(half).len() < half.len());
        for half in &halves {
            let picture = strictly(half).0;
            prop_assert!(knows_all(&report, half), "{} of {} and {} bytes", half.len(), halves[0].len(), halves[1].len());
            let alone = pictures::psnr(&image, &picture);
            let whole = pictures::psnr(&image, &strictly(without_cut(half)).0);
            // A few base values alone may be worse than gray. PSNR may fall a little with more bits. Of two cut pieces, the estimate of what they add says which is
            // kept.
            let complete = report.base_known == report.base_total;
            prop_assert!(!complete || psnr >= whole - 0.2, "{psnr} dB of {whole} dB");
            prop_assert!(!complete || psnr >= alone - if both_cut { 0.5 } else { 0.2 }, "{psnr} dB of {alone} dB");
        }
        // Nor does it depend on what comes first.
        prop_assert!(strictly(&merged(&[&halves[1], &halves[0]])).0 == shown);
    }

    /// Pieces at random, each half cut: what is merged is legal, and knows what the halves know.
    #[test]
    fn pieces_at_random(
        (mode, payload, bare) in kinds(), way in ways(), seed in 0usize..40, picks in prop::collection::vec(0u8..6, 300),
        cuts in (0usize..60, 0usize..60),
    ) {
        let stream = stream_of(&picture(mode, seed), payload, bare, way);
        let pieces = segments(&stream, &Limits::default()).unwrap();
        let half = |without: u8, cut: usize| {
            let gone = pieces.iter().skip(1).zip(picks.iter().cycle()).filter(|(_, pick)| **pick == without);
            let gone: Vec<usize> = gone.map(|(piece, _)| piece.bytes.start).collect();
            let mut half = remove(&stream, &gone).unwrap();
            half.truncate((half.len() - cut).max(12));
            half
        };
        let halves = [half(0, cuts.0), half(1, cuts.1)];
        let (_, report) = strictly(&merged(&[&halves[0], &halves[1]]));
        for half in &halves {
            // What is missing may be looked for in vain among pieces that belong elsewhere.
            let guessed = decode(half, &DecodeOptions::default()).unwrap().1.repaired > 0;
            prop_assert!(guessed || knows_all(&report, half), "{} of {report:?}", half.len());
        }
        prop_assert_eq!(report.fates[Fate::Lost as usize] + report.fates[Fate::Doubted as usize], 0);
    }
}

/// The cut piece that adds most is the last one.
#[test]
fn a_cut_piece_of_any_stream_is_kept() {
    let image = picture(Mode::Rgb, 3);
    for payload in [Payload::Packed, Payload::Tokens] {
        let way = |first| (Order::Best, Profile::Default, first, 1.0);
        let corner = Rect { left: 0, top: 0, right: 20, bottom: 20 };
        let streams = [None, Some(corner)].map(|first| stream_of(&image, payload, false, way(first)));
        let pieces = streams.each_ref().map(|s| segments(s, &Limits::default()).unwrap());
        let detail = |i: usize| {
            let long = |s: &&pgf_resilient::Segment| matches!(s.kind, Kind::Planes { .. }) && s.bytes.len() > 20;
            pieces[i].iter().filter(long).map(|s| s.bytes.clone()).collect::<Vec<_>>()
        };
        let mut kept = [0, 0];
        for (a, b) in detail(0).into_iter().zip(detail(1)) {
            let halves = [&streams[0][..a.end - 2], &streams[1][..b.end - 2]];
            let all = merged(&halves);
            let tail = segments(&all, &Limits::default()).unwrap().pop().unwrap();
            for (half, bytes) in halves.iter().zip([a, b]) {
                kept[usize::from(half == &halves[1])] += usize::from(all[tail.bytes.clone()] == half[bytes.start..]);
            }
        }
        assert!(kept[0] > 3 && kept[1] > 3, "{kept:?}");
    }
}

/// What a stream does not know of palette and user data is not made up, so that a stream that knows it is not overruled.
#[test]
fn what_is_cut_of_palette_and_user_data_is_not_made_up() {
    let (stream, extras) = pictures::with_palette();
    let opening = segments(&stream, &Limits::default()).unwrap();
    let opening = opening.iter().find(|s| matches!(s.kind, Kind::Planes { .. })).unwrap().bytes.start;
    for end in 12..opening + 9 {
        let repaired = rewrite(&stream[..end], None, &DecodeOptions::default()).unwrap().0;
        for beginning in [merged(&[&stream[..end]]), repaired] {
            for streams in [[&stream, &beginning], [&beginning, &stream]] {
                let all = merged(&[streams[0], streams[1]]);
                assert!(read_extras(&all, &Limits::default()).unwrap() == extras, "{end} bytes");
            }
        }
    }
}

/// A cut base chunk at the end, behind a note and user data that are as long as the chunk before it with its marker.
#[test]
fn pieces_as_long_as_a_base_chunk_are_none() {
    let stream = include_bytes!("regressions/a_note_and_user_data_as_long_as_base_values");
    let report = strictly(stream).1;
    assert_eq!((report.base_known, report.base_total), (21, 576));
}
