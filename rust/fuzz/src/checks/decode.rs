//! Whole pictures from any bytes.

use pgf::{DecodeOptions, Samples, decode_into, decode_with_report, decoded_size, read_header, repair};

use super::choices::Choices;
use super::{LIMITS, SMALL, too_noisy};

/// Decodes at level 0 and another one, strictly and not; strict decoding, decoding in place and decoding the repaired
/// file show the same picture.
pub fn decode(data: &[u8]) {
    let Ok(file) = read_header(data) else { return };
    let other = Choices::from_tail(data).byte() % (file.header.levels + 1);
    for level in [0, other] {
        let options = DecodeOptions { level, limits: LIMITS, ..DecodeOptions::default() };
        let lenient = decode_with_report(data, &options);
        let strict = decode_with_report(data, &DecodeOptions { strict: true, ..options });
        let Ok((image, report)) = lenient else {
            assert!(strict.is_err(), "strict decoding takes what lenient decoding refuses: {lenient:?}");
            continue;
        };
        let (width, height) = decoded_size(&file.header, &options).expect("it was decoded");
        assert_eq!((image.width, image.height), (width, height));
        assert_eq!(report.complete(), strict.is_ok(), "{report:?} but strictly {:?}", strict.map(|(_, r)| r));
        assert_eq!(report.intact + report.partial + report.missing, report.macroblocks, "{report:?}");
        assert!(report.bytes_used <= data.len());
        for damage in &report.damage {
            assert!(damage.bytes.start <= damage.bytes.end && damage.bytes.end <= data.len(), "{damage:?}");
        }
        if let Ok((again, _)) = strict {
            assert_eq!(image, again, "strict decoding shows another picture");
        }
        if u64::from(width) * u64::from(height) > SMALL {
            continue;
        }
        let mut samples = Samples::zeroed(image.mode.sample_type(), image.samples.as_ref().len());
        let again = decode_into(data, &options, samples.as_mut()).expect("as before");
        assert_eq!(report, again);
        assert_eq!(image.samples, samples, "decoding in place shows another picture");
    }
    if file.header.pixels() <= SMALL {
        repaired_is_same(data);
    }
}

/// The repaired file decodes strictly, to what the damaged one shows.
pub fn repaired_is_same(data: &[u8]) {
    let options = DecodeOptions { limits: LIMITS, ..DecodeOptions::default() };
    let Ok((image, report)) = decode_with_report(data, &options) else {
        assert!(repair(data, &LIMITS).is_err());
        return;
    };
    let (clean, found) = match repair(data, &LIMITS) {
        Ok(repaired) => repaired,
        Err(error) => {
            assert!(too_noisy(&error), "decoded with {report:?}, but not repaired: {error}");
            return;
        }
    };
    assert_eq!(report, found);
    let (again, report) = match decode_with_report(&clean, &DecodeOptions { strict: true, ..options }) {
        Ok(decoded) => decoded,
        Err(error) => panic!("the repaired file is refused: {error}"),
    };
    assert!(report.complete());
    assert_eq!(image, again, "the repaired file shows another picture");
}
