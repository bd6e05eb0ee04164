//! Parts of pictures, and pictures that arrive in parts.

use pgf::{DecodeOptions, ProgressiveDecoder, Rect, decode_with_report, decoded_size, read_header};

use super::choices::Choices;
use super::{LIMITS, SMALL, crop};

/// A region at a level is the crop of the level; feeding chunks tells and shows what the whole does.
pub fn region(data: &[u8]) {
    let Ok(file) = read_header(data) else { return };
    let header = &file.header;
    let mut choices = Choices::from_tail(data);
    let level = choices.byte() % (header.levels + 1);
    let mut span = |size: u32| {
        let start = choices.below(size);
        (start, start + 1 + choices.below(size - start))
    };
    let ((left, right), (top, bottom)) = (span(header.width), span(header.height));
    let whole = DecodeOptions { level, limits: LIMITS, ..DecodeOptions::default() };
    let part = DecodeOptions { region: Some(Rect { left, top, right, bottom }), ..whole };
    let decoded = decode_with_report(data, &part);
    if header.pixels() > SMALL {
        return;
    }
    let full = decode_with_report(data, &whole);
    match (&full, &decoded) {
        (Ok((full, report)), Ok((image, _))) => {
            let (width, height) = decoded_size(header, &part).expect("it was decoded");
            assert_eq!((image.width, image.height), (width, height));
            // What salvage finds depends on which macroblocks are looked at.
            if !report.damaged {
                let shrink = |n: u32| ((u64::from(n) + (1 << level) - 1) >> level) as u32;
                let (x, y) = (shrink(left).min(full.width - width), shrink(top).min(full.height - height));
                let wanted = crop(full, (x, y, x + width, y + height));
                assert_eq!(image.samples, wanted, "level {level}, region {:?} of {report:?}", part.region);
            }
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => panic!("the whole decodes, its part does not: {error}"),
        // Contradictions between header and data can only be seen on the whole.
        (Err(_), Ok(_)) => {}
    }
    in_chunks(data, &mut choices, level);
}

fn in_chunks(data: &[u8], choices: &mut Choices<'_>, level: u8) {
    let mut at_once = ProgressiveDecoder::new(LIMITS);
    let told = at_once.feed(data);
    let mut decoder = ProgressiveDecoder::new(LIMITS);
    let size = 1 + usize::from(choices.word()) % 4096;
    let mut last = decoder.progress();
    let mut result = Ok(last);
    for chunk in data.chunks(size.max(data.len() / 64)) {
        result = decoder.feed(chunk);
        let now = decoder.progress();
        assert!(now.bytes_received == last.bytes_received + chunk.len() && now.macroblocks >= last.macroblocks);
        last = now;
    }
    assert_eq!(decoder.data(), data);
    // A header whose damage only later bytes show is kept as it was first understood.
    if decoder.header() == at_once.header() {
        assert_eq!(result, told, "chunks of {size} bytes");
    }
    let options = DecodeOptions { level, limits: LIMITS, ..DecodeOptions::default() };
    assert_eq!(decoder.render(level), decode_with_report(data, &options));
}
