//! Time that grows with the bytes and not with their square, whatever they are.

use std::time::Duration;

use cpu_time::ThreadTime;
use pgf::{DecodeOptions, EncodeOptions, ImageRef, Limits, Mode, ProgressiveDecoder, SamplesRef};

/// Processor time of the quickest of some runs.
fn time(mut work: impl FnMut()) -> Duration {
    let run = |_| {
        let start = ThreadTime::now();
        work();
        start.elapsed()
    };
    (0..3).map(run).min().expect("some runs")
}

/// Four times the bytes take about four times as long; 16 times would be the square.
fn check_growth(what: &str, small: Duration, large: Duration) {
    println!("{what}: {small:?}, of four times the bytes {large:?}");
    // Of very short times the rest of decoding is the larger part.
    assert!(large < 8 * small + Duration::from_millis(20), "{what}: {small:?}, of four times the bytes {large:?}");
}

fn decode(data: &[u8]) -> pgf::Report {
    pgf::decode_with_report(data, &DecodeOptions::default()).expect("a picture, whatever is left of it").1
}

/// The header of a square gray picture.
fn header(side: u32, levels: u8, roi: bool) -> Vec<u8> {
    let mut out = b"PGF".to_vec();
    out.push(if roi { 0x7E } else { 0x76 });
    out.extend_from_slice(&16u32.to_le_bytes());
    out.extend_from_slice(&side.to_le_bytes());
    out.extend_from_slice(&side.to_le_bytes());
    out.extend_from_slice(&[levels, 0, 8, 1, 1, 8, 0x57, 0x1D]);
    out.resize(out.len() + 4 * usize::from(levels), 0);
    out
}

/// The head of a macroblock of a ROI file.
fn head(words: usize, tile: u16) -> [u8; 4] {
    let (words, tile) = ((words as u16).to_le_bytes(), tile.to_le_bytes());
    [words[0], words[1], tile[0], tile[1]]
}

/// The last macroblock of a tile, of so many zeros; a `bad` one states a wrong length of its code.
fn zeros(count: u16, bad: bool) -> Vec<u8> {
    let (mut rest, mut k, mut code, mut bits) = (u64::from(count), 3, 0u64, 0);
    while rest >= 1 << k {
        rest -= 1 << k;
        k += 1;
        bits += 1;
    }
    code |= 1 << bits;
    bits += 1;
    code |= rest << bits;
    bits += k;
    code |= 1 << bits;
    bits += 1;
    let length = if bad { bits ^ 3 } else { bits };
    let word = 1 | 1 << 5 | length << 6 | code << 21;
    let words = (21 + bits).div_ceil(32) as usize;
    let mut out = head(words, count | 0x8000).to_vec();
    out.extend_from_slice(&word.to_le_bytes()[..4 * words]);
    out
}

/// A header is not searched for anew with every piece of the user data.
#[test]
fn user_data_arrive_in_pieces() {
    let pixels = vec![9u8; 64 * 64];
    let image = ImageRef { width: 64, height: 64, channels: 1, mode: Mode::Gray, samples: SamplesRef::U8(&pixels) };
    let feed = |bytes: usize| {
        let user_data = vec![0; bytes];
        let file = pgf::encode(&image, &EncodeOptions { user_data: &user_data, ..Default::default() }).unwrap();
        time(|| {
            let mut decoder = ProgressiveDecoder::new(Limits::default());
            for piece in file.chunks(4096) {
                decoder.feed(piece).unwrap();
            }
            assert!(decoder.progress().complete);
        })
    };
    check_growth("user data", feed(1 << 20), feed(4 << 20));
}

/// Lengths that lead from many places over the same bytes.
#[test]
fn chains_that_meet() {
    let file = |bytes: usize| {
        let region = 60_000;
        let half = bytes / 2;
        let (count, per) = ((half / region).max(1), half.min(region) / 12);
        let size = 12 * per + 68;
        let mut code = Vec::new();
        for j in 0..count {
            let chain = j * size + 12 * per + 32;
            for _ in 0..per {
                code.extend_from_slice(&zeros(1, false));
                code.extend_from_slice(&head((chain - code.len() - 4) / 4, 0));
            }
            code.resize(chain, 0);
            // On to the end of the next chain, or to the one that all share.
            code.extend_from_slice(&head(if j + 1 < count { size / 4 - 1 } else { 8 }, 0));
            code.resize((j + 1) * size, 0);
        }
        while code.len() < bytes {
            code.extend_from_slice(&head(1, 0));
            code.extend_from_slice(&[0; 4]);
        }
        code.extend_from_slice(&head(0x3FFF, 0));
        [header(2048, 11, true), code].concat()
    };
    let (small, large) = (file(200_000), file(800_000));
    check_growth("chains that meet", time(|| drop(decode(&small))), time(|| drop(decode(&large))));
}

/// A gap, and behind it macroblocks whose last tells that they fit nowhere.
#[test]
fn gaps_before_long_stretches() {
    let file = |bytes: usize| {
        let mut data = header(2048, 11, true);
        data.resize(data.len() + bytes / 2, 0);
        data.extend(zeros(3, false).repeat(bytes / 16));
        data.extend(zeros(2, false));
        data
    };
    let (small, large) = (file(200_000), file(800_000));
    check_growth("a gap", time(|| drop(decode(&small))), time(|| drop(decode(&large))));
}

/// Every second macroblock is broken.
#[test]
fn many_broken_macroblocks() {
    let file = |levels: u8| {
        let mut data = header(1 << levels, levels, true);
        data.extend(zeros(1, false));
        for level in (1..=levels).rev() {
            for tile in 0..1 << (2 * (levels - level)) {
                data.extend(zeros(3, tile % 2 == 1));
            }
        }
        data
    };
    let (small, large) = (file(8), file(9));
    assert!(decode(&large).damage.len() > 10_000, "{} places", decode(&large).damage.len());
    check_growth("broken macroblocks", time(|| drop(decode(&small))), time(|| drop(decode(&large))));
}

/// Every byte looks as if a long macroblock began there.
#[test]
fn bytes_that_look_like_macroblocks() {
    let file = |bytes: Vec<u8>| [header(1000, 4, false), bytes].concat();
    let alike = file(vec![0x3F; 100_000]);
    let mut state = 1u32;
    let random = file(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(100_000)
        .collect(),
    );
    let (random, alike) = (time(|| drop(decode(&random))), time(|| drop(decode(&alike))));
    println!("random {random:?}, alike {alike:?}");
    assert!(alike < 12 * random, "random bytes take {random:?}, alike ones {alike:?}");
}
