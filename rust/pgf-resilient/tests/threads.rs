//! The same bytes, pixels and reports for any number of threads.

mod pictures;

use pgf::{EncodeOptions, Image, Mode, Rect};
use pgf_resilient::{DecodeOptions, Order, Payload, StreamOptions, decode, encode, read_coefficients};
use pictures::Random;

/// Pictures of more blocks than the writer keeps, and small ones.
fn cases() -> Vec<(Image, EncodeOptions<'static>, StreamOptions)> {
    let large = pictures::crop(0, 3, 1, 830, 650);
    let small = pictures::middle(1, 200, 131);
    let mut all = Vec::new();
    for (i, mode) in [Mode::Rgb, Mode::Gray, Mode::Rgb48, Mode::Rgba].into_iter().enumerate() {
        for image in [&large, &small] {
            let image = pictures::in_mode(image, mode, 4);
            for max_bytes in [None, Some(image.width as usize * 40)] {
                let payload = if (i + all.len()) % 3 == 0 { Payload::Tokens } else { Payload::Packed };
                let order = if i == 1 && max_bytes.is_none() { Order::Levels } else { Order::Best };
                let quality = 4 * (i % 2) as u8;
                let options = EncodeOptions { quality, ..EncodeOptions::default() };
                all.push((
                    image.clone(),
                    options,
                    StreamOptions { payload, order, max_bytes, ..StreamOptions::default() },
                ));
            }
        }
    }
    all
}

#[test]
fn any_number_of_threads_gives_the_same() {
    let mut random = Random(11);
    for (image, encode_options, stream_options) in cases() {
        let on = |num_threads| {
            encode(&image.as_ref(), &EncodeOptions { num_threads, ..encode_options.clone() }, &stream_options)
        };
        let stream = on(1).unwrap();
        for threads in [2, 3, 7] {
            assert!(on(threads).unwrap() == stream, "{:?} {}: other bytes", image.mode, image.width);
        }
        let mut damaged = stream.clone();
        for _ in 0..stream.len() / 300 {
            let at = random.below(damaged.len());
            match random.below(3) {
                0 => damaged[at] ^= 1 + random.below(255) as u8,
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, random.below(256) as u8),
            }
        }
        let right = image.width - 9;
        let region = Some(Rect { left: 20, top: 30, right, bottom: 121 });
        for data in [&stream, &stream[..stream.len() / 3], &damaged] {
            for (level, region) in [(0, None), (1, None), (0, region)] {
                let on =
                    |num_threads| decode(data, &DecodeOptions { num_threads, level, region, ..Default::default() });
                let (shown, report) = on(1).unwrap();
                let (other, other_report) = on(3).unwrap();
                assert!(other == shown, "{:?} {}: other pixels", image.mode, image.width);
                assert_eq!(other_report, report);
            }
            let on = |num_threads| read_coefficients(data, &DecodeOptions { num_threads, ..Default::default() });
            assert!(on(3).unwrap() == on(1).unwrap(), "{:?} {}: other coefficients", image.mode, image.width);
        }
    }
}
