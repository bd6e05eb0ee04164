//! Streams refined: whatever beginning of a stream is refined is an undamaged stream that shows more.

mod pictures;

use pgf::{EncodeOptions, Image, Limits, Mode, Rect};
use pgf_resilient::{
    DecodeOptions, Kind, Payload, StreamOptions, StreamReport, decode, read_coefficients, read_extras, refine, segments,
};

fn strictly(stream: &[u8]) -> (Image, StreamReport) {
    let options = DecodeOptions { strict: true, ..DecodeOptions::default() };
    decode(stream, &options).unwrap_or_else(|e| panic!("{} bytes: {e}", stream.len()))
}

#[test]
fn any_beginning_is_refined() {
    for (turn, payload) in [Payload::Packed, Payload::Tokens, Payload::Packed, Payload::Tokens].into_iter().enumerate()
    {
        let mode = [Mode::Rgb, Mode::Gray][turn / 2];
        let image = pictures::in_mode(&pictures::crop(turn, turn, 2, 120, 90), mode, 3);
        let options = StreamOptions { payload, bare: turn == 1, checks: turn == 2, ..StreamOptions::default() };
        let encode = EncodeOptions { quality: 3, user_data: &[7; 100], ..EncodeOptions::default() };
        let stream = pgf_resilient::encode(&image.as_ref(), &encode, &options).unwrap();
        let (coefficients, _) = read_coefficients(&stream, &DecodeOptions::default()).unwrap();
        for end in (12..stream.len()).step_by(5) {
            let beginning = &stream[..end];
            let kept = segments(beginning, &Limits::default()).unwrap().pop().unwrap().bytes.start;
            for region in [None, Some(Rect { left: 0, top: 0, right: 9, bottom: 9 })] {
                let refined = refine(beginning, &coefficients, region, 1, &Limits::default()).unwrap();
                assert!(refined.starts_with(&beginning[..kept]), "{end} bytes: the beginning changes");
                let (shown, report) = strictly(&refined);
                assert!(report.clean() && report.base_known == report.base_total, "{end} bytes: {report:?}");
                let (before, after) = (strictly(beginning).0, shown);
                let (before, after) = (pictures::psnr(&before, &image), pictures::psnr(&after, &image));
                assert!(after > before - 0.2, "{end} bytes, {region:?}: {before} dB, then {after} dB");
            }
        }
    }
}

#[test]
fn palette_and_user_data_are_completed() {
    let (stream, extras) = pictures::with_palette();
    let limits = Limits::default();
    let (coefficients, _) = read_coefficients(&stream, &DecodeOptions::default()).unwrap();
    let mut without = coefficients.clone();
    (without.palette, without.user_data) = (None, Vec::new());
    let opening = segments(&stream, &limits).unwrap();
    let opening = opening.iter().find(|s| matches!(s.kind, Kind::Planes { .. })).unwrap().bytes.start;
    for end in 12..opening + 9 {
        let beginning = &stream[..end];
        let refined = refine(beginning, &coefficients, None, 40, &limits).unwrap();
        assert!(read_extras(&refined, &limits).unwrap() == extras, "{end} bytes");
        assert!(strictly(&refined).0 == strictly(&stream).0, "{end} bytes");
        assert!(refine(&refined, &coefficients, None, 40, &limits).unwrap().len() <= refined.len(), "{end} bytes");
        // An image that has none takes none away.
        let refined = refine(beginning, &without, None, 1, &limits).unwrap();
        let user_data = |stream: &[u8]| read_extras(stream, &limits).unwrap().user_data;
        assert!(user_data(&refined) == user_data(beginning), "{end} bytes");
        assert!(read_extras(&refine(&refined, &coefficients, None, 40, &limits).unwrap(), &limits).unwrap() == extras);
    }
}
