//! Cut streams and streams with a wrong, lost or extra byte: always a picture, and most of it right.

mod pictures;

use pgf::{EncodeOptions, Image, Limits, Mode, Rect};
use pgf_resilient::{
    DecodeOptions, Fate, Kind, Payload, Profile, StreamOptions, StreamReport, decode, encode, segments,
};
use pictures::Random;

fn show(stream: &[u8]) -> Image {
    decode(stream, &DecodeOptions::default()).unwrap_or_else(|e| panic!("{} bytes: {e}", stream.len())).0
}

/// Twenty streams of many kinds with their pictures.
fn streams() -> Vec<(Image, Vec<u8>)> {
    let mut all = Vec::new();
    for (i, (w, h)) in [(128, 128), (96, 64), (200, 31), (64, 64), (1, 1), (7, 90)].into_iter().enumerate() {
        for payload in [Payload::Packed, Payload::Tokens] {
            let image = pictures::crop(i, i, 2, w, h);
            let profile = [Profile::Default, Profile::Lean, Profile::Tough][i % 3];
            let bare = i % 2 == 1;
            let options = StreamOptions { payload, profile, bare, checks: i == 1, ..StreamOptions::default() };
            let stream = pictures::stream(&image, 1200, &options);
            all.push((image, stream));
        }
    }
    let modes = [
        Mode::Gray,
        Mode::Bitmap,
        Mode::Rgba,
        Mode::Rgb48,
        Mode::Indexed,
        Mode::Gray31,
        Mode::Cmyk,
        Mode::Multichannel,
    ];
    for (i, mode) in modes.into_iter().enumerate() {
        let image = pictures::in_mode(&pictures::crop(i, 5 * i, 3, 40, 33), mode, 5);
        let payload = if i % 2 == 0 { Payload::Packed } else { Payload::Tokens };
        let options = StreamOptions { payload, max_bytes: Some(1500), ..StreamOptions::default() };
        let palette = [[1, 255, 3, 4]; 256];
        let encode_options = EncodeOptions {
            user_data: &[0xFF; 9],
            palette: (mode == Mode::Indexed).then_some(&palette),
            ..EncodeOptions::default()
        };
        let stream = encode(&image.as_ref(), &encode_options, &options).unwrap();
        all.push((image, stream));
    }
    assert!(all.len() >= 20);
    all
}

#[test]
fn every_prefix_is_a_picture() {
    for (image, stream) in streams() {
        let header = (1..=stream.len()).find(|n| decode(&stream[..*n], &DecodeOptions::default()).is_ok()).unwrap();
        assert!(header <= 26, "{:?}: no picture before byte {header}", image.mode);
        for n in header..=stream.len() {
            let (part, report) = decode(&stream[..n], &DecodeOptions::default())
                .unwrap_or_else(|e| panic!("{:?}, {n} of {} bytes: {e}", image.mode, stream.len()));
            assert_eq!((part.width, part.height, part.mode), (image.width, image.height, image.mode));
            // The prefix of a sound stream is not damaged.
            assert!(report.clean(), "{n} of {} bytes: {:?}", stream.len(), report.faults);
        }
    }
}

/// PSNR hardly ever falls while bytes arrive.
#[test]
fn more_bytes_are_a_better_picture() {
    for (index, payload) in [(0, Payload::Packed), (1, Payload::Tokens)] {
        let image = pictures::middle(index, 256, 256);
        let stream = pictures::stream(&image, 4500, &StreamOptions { payload, ..StreamOptions::default() });
        let psnr: Vec<f64> = (60..=stream.len()).map(|n| pictures::psnr(&image, &show(&stream[..n]))).collect();
        let falls = psnr.windows(2).filter(|p| p[1] < p[0] - 0.1).count();
        assert!(falls * 1000 <= psnr.len(), "{falls} falls in {} cuts", psnr.len());
        assert!(psnr[stream.len() / 20 - 60] > 16.0, "{} dB at a twentieth", psnr[stream.len() / 20 - 60]);
    }
}

/// What one change does, seen against the picture without it.
struct Outcomes {
    name: &'static str,
    /// Position of the change, damage PSNR, share of pixels that are off by more than 8.
    all: Vec<(usize, f64, f64)>,
}

impl Outcomes {
    fn new(name: &'static str) -> Outcomes {
        Outcomes { name, all: Vec::new() }
    }

    fn add(&mut self, at: usize, clean: &Image, stream: &[u8]) {
        let damaged = show(stream);
        let (a, b) = (pictures::bytes(clean), pictures::bytes(&damaged));
        let bad = a.chunks(3).zip(b.chunks(3)).filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 8));
        let bad = bad.count() as f64 * 3.0 / a.len() as f64;
        self.all.push((at, pictures::psnr(clean, &damaged), bad));
    }

    fn quantile(&self, q: f64, within: usize) -> f64 {
        let mut all: Vec<f64> = self.all.iter().filter(|o| o.0 < within).map(|o| o.1).collect();
        all.sort_by(f64::total_cmp);
        all[((all.len() - 1) as f64 * q) as usize]
    }

    fn bad(&self) -> f64 {
        self.all.iter().map(|o| o.2).sum::<f64>() / self.all.len() as f64
    }

    fn worst(&self) -> (usize, f64) {
        let worst = self.all.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        (worst.0, worst.1)
    }

    fn print(&self) {
        let (at, worst) = self.worst();
        println!(
            "{:14} median {:5.1} dB, tenth {:5.1} dB, worst {worst:5.1} dB at {at}, in the first 200 bytes tenth {:5.1} dB; bad pixels {:4.1} %",
            self.name,
            self.quantile(0.5, usize::MAX),
            self.quantile(0.1, usize::MAX),
            self.quantile(0.1, 200),
            100.0 * self.bad()
        );
    }
}

/// Every position of a stream with several wrong values, a byte deleted, bytes inserted.
fn every_position(clean: &Image, stream: &[u8]) -> [Outcomes; 3] {
    let [mut wrong, mut lost, mut extra] = ["substitution", "deletion", "insertion"].map(Outcomes::new);
    let mut random = Random(7);
    for at in 0..stream.len() {
        let old = stream[at];
        for value in [old ^ 1 << random.below(8), random.below(256) as u8, 0xFF] {
            let mut damaged = stream.to_vec();
            damaged[at] = if value == old { !old } else { value };
            wrong.add(at, clean, &damaged);
        }
        let mut damaged = stream.to_vec();
        damaged.remove(at);
        lost.add(at, clean, &damaged);
        for value in [random.below(256) as u8, 0xFF] {
            let mut damaged = stream.to_vec();
            damaged.insert(at, value);
            extra.add(at, clean, &damaged);
        }
    }
    [wrong, lost, extra]
}

#[test]
fn one_damaged_byte_anywhere() {
    let cases = [
        (pictures::middle(0, 192, 192), 2200, Payload::Packed, Profile::Default, false),
        (pictures::crop(1, 3, 2, 128, 128), 2000, Payload::Tokens, Profile::Default, false),
        (pictures::crop(1, 3, 2, 128, 128), 2000, Payload::Tokens, Profile::Default, true),
        (pictures::crop(2, 8, 2, 128, 128), 1800, Payload::Packed, Profile::Tough, false),
        (pictures::crop(3, 1, 2, 120, 140), 1200, Payload::Packed, Profile::Lean, false),
    ];
    for (image, bytes, payload, profile, bare) in cases {
        let options = StreamOptions { payload, profile, bare, ..StreamOptions::default() };
        let stream = pictures::stream(&image, bytes, &options);
        let clean = show(&stream);
        let checked = if bare { ", bare" } else { "" };
        println!("{}x{}, {} bytes, {payload:?}, {profile:?}{checked}", image.width, image.height, stream.len());
        for outcomes in every_position(&clean, &stream) {
            outcomes.print();
            // A wrong plane in the address of a first segment that nothing follows cannot be told from a right one:
            // the worst case is far from the tenth.
            let (at, worst) = outcomes.worst();
            assert!(worst >= 8.0, "{} at byte {at}: {worst} dB", outcomes.name);
            assert!(outcomes.quantile(0.1, usize::MAX) >= 24.0, "{}: a tenth is worse", outcomes.name);
        }
    }
}

/// A region shows what the whole picture shows, on damaged streams too.
#[test]
fn regions_of_damaged_streams() {
    let mut random = Random(5);
    for round in 0..60 {
        let image = pictures::crop(round, round, 2, 150, 111);
        let payload = if round % 2 == 0 { Payload::Packed } else { Payload::Tokens };
        let quality = [0, 3, 5][round % 3];
        let bare = round % 4 >= 2;
        let options = StreamOptions { payload, bare, max_bytes: Some(3000), ..StreamOptions::default() };
        let encode_options = EncodeOptions { quality, ..EncodeOptions::default() };
        let mut stream = encode(&image.as_ref(), &encode_options, &options).unwrap();
        for _ in 0..round % 8 {
            let at = random.below(stream.len());
            match random.below(3) {
                0 => stream[at] = random.below(256) as u8,
                1 => drop(stream.remove(at)),
                _ => stream.insert(at, random.below(256) as u8),
            }
        }
        for level in 0..3u8 {
            let Ok((whole, _)) = decode(&stream, &DecodeOptions { level, ..DecodeOptions::default() }) else {
                continue;
            };
            let (left, top) = (random.below(149) as u32, random.below(110) as u32);
            let region = Rect {
                left,
                top,
                right: left + 1 + random.below(150 - left as usize) as u32,
                bottom: 111.min(top + 40),
            };
            let options = DecodeOptions { level, region: Some(region), ..DecodeOptions::default() };
            let (part, _) = decode(&stream, &options).unwrap();
            let at = |n: u32| n.div_ceil(1 << level);
            let (left, top) = (at(region.left).min(whole.width - 1), at(region.top).min(whole.height - 1));
            let expected =
                Rect { left, top, right: at(region.right).max(left + 1), bottom: at(region.bottom).max(top + 1) };
            assert_eq!(pictures::cut(&whole, expected), pictures::bytes(&part), "round {round} level {level}");
        }
    }
}

/// A region needs only the segments that meet it: all others may hold anything.
#[test]
fn regions_need_no_other_segments() {
    for (round, payload) in [Payload::Packed, Payload::Tokens].into_iter().enumerate() {
        let image = pictures::crop(round, 0, 1, 300, 290);
        let options = StreamOptions { payload, max_bytes: Some(20_000), ..StreamOptions::default() };
        let stream = encode(&image.as_ref(), &EncodeOptions::default(), &options).unwrap();
        let region = Rect { left: 200, top: 40, right: 260, bottom: 90 };
        let of_region = DecodeOptions { region: Some(region), ..DecodeOptions::default() };
        let (expected, report) = decode(&stream, &of_region).unwrap();
        let (mut others, mut spoiled) = (0, stream.clone());
        for segment in segments(&stream, &pgf::Limits::default()).unwrap() {
            let Kind::Planes { region: area, levels, .. } = segment.kind else { continue };
            // The filters of a level reach two of its samples further, so do those of the coarser ones in turn, and
            // windows begin at even samples.
            let reach = 8 << levels.0;
            let apart = area.right + reach <= region.left
                || region.right + reach <= area.left
                || area.bottom + reach <= region.top
                || region.bottom + reach <= area.top;
            if apart {
                others += 1;
                for at in segment.bytes.start + 4..segment.bytes.end {
                    // No marker comes or goes.
                    if stream[at] < 0xC0 && stream[at - 1] != 0xFF {
                        spoiled[at] ^= 0x2A;
                    }
                }
            }
        }
        assert!(others > 20 && report.fates[Fate::Unneeded as usize] >= others, "{others} of {:?}", report.fates);
        assert_ne!(show(&spoiled), show(&stream));
        let (part, found) = decode(&spoiled, &of_region).unwrap();
        assert_eq!(part, expected);
        assert!(found.faults.is_empty(), "{:?}", found.faults);
    }
}

/// A picture into which segments were adopted, and nothing else happened, is not clean, nor is one with a gap in its base.
#[test]
fn what_was_adopted_or_concealed_is_not_clean() {
    let image = pictures::crop(0, 4, 2, 256, 256);
    let mut adopted = 0;
    for payload in [Payload::Packed, Payload::Tokens] {
        let stream = pictures::stream(&image, 6000, &StreamOptions { payload, ..StreamOptions::default() });
        let all = segments(&stream, &Limits::default()).unwrap();
        for segment in &all {
            match segment.kind {
                Kind::Planes { region, .. } => {
                    // Without its marker it is the end of the segment before, which another region may not need.
                    let mut damaged = stream.clone();
                    damaged[segment.bytes.start] = 0;
                    let options = DecodeOptions { region: Some(region), ..DecodeOptions::default() };
                    let report = decode(&damaged, &options).unwrap().1;
                    let strictly = decode(&damaged, &DecodeOptions { strict: true, ..options });
                    let bad = report.fates[Fate::Doubted as usize] + report.fates[Fate::Lost as usize];
                    adopted += usize::from(report.repaired > 0 && bad == 0);
                    assert!(report.repaired == 0 || !report.clean() && strictly.is_err(), "{report:?}");
                }
                Kind::Base { .. } => {
                    let gap = pgf_resilient::remove(&stream, &[segment.bytes.start]).unwrap();
                    let report = decode(&gap, &DecodeOptions::default()).unwrap().1;
                    assert_eq!(report.concealed, report.base_total - report.base_known);
                    assert!(report.concealed > 0 && !report.clean() && report.faults.is_empty(), "{report:?}");
                }
                _ => {}
            }
        }
    }
    assert!(adopted > 0, "nothing was only adopted");
}

/// Streams of noise behind a sound header.
#[test]
fn noise_behind_a_header() {
    let mut random = Random(1);
    for round in 0..300 {
        let mode = Mode::ALL[round % Mode::ALL.len()];
        let image = pictures::in_mode(&pictures::crop(0, round, 1, 50, 60), mode, 1 + round % 8);
        let payload = if round % 2 == 0 { Payload::Packed } else { Payload::Tokens };
        let options = StreamOptions { payload, max_bytes: Some(40), ..StreamOptions::default() };
        let mut stream = encode(&image.as_ref(), &EncodeOptions::default(), &options).unwrap();
        for _ in 0..1500 {
            stream.push(if random.below(12) == 0 { 0xFF } else { random.below(256) as u8 });
        }
        for trusting in [false, true] {
            let options = DecodeOptions { trusting, ..DecodeOptions::default() };
            let (picture, _) = decode(&stream, &options).unwrap();
            assert_eq!((picture.width, picture.height), (50, 60));
            pgf_resilient::segments(&stream, &options.limits).unwrap();
            let (clean, _) = pgf_resilient::rewrite(&stream, None, &options).unwrap();
            decode(&clean, &DecodeOptions { strict: true, ..options }).unwrap();
            // Writing it once more loses nothing; segments may be bounded otherwise.
            let (same, _) = pgf_resilient::rewrite(&clean, None, &options).unwrap();
            decode(&same, &DecodeOptions { strict: true, ..options }).unwrap();
        }
    }
}

/// The plane of a deep address is any byte, 255 too.
#[test]
fn no_plane_is_too_high_for_an_address() {
    let image = pictures::in_mode(&pictures::crop(0, 1, 2, 40, 33), Mode::Gray16, 1);
    let stream = encode(&image.as_ref(), &EncodeOptions::default(), &StreamOptions::default()).unwrap();
    let first =
        segments(&stream, &Limits::default()).unwrap().into_iter().find(|s| matches!(s.kind, Kind::Planes { .. }));
    let start = first.unwrap().bytes.start;
    for kind in 0x0F..=0xFE {
        let mut wrong = stream.clone();
        wrong[start + 1..start + 4].copy_from_slice(&[kind, 0xFF, 0]);
        assert_eq!((show(&wrong).width, show(&wrong).height), (40, 33));
    }
}

/// Every byte that ends a list of tokens is a check of what is before it.
#[test]
fn ends_of_token_lists_are_checks() {
    let options = StreamOptions { payload: Payload::Tokens, ..StreamOptions::default() };
    let stream = pictures::stream(&pictures::crop(1, 3, 2, 128, 128), 2000, &options);
    let (clean, StreamReport { missing: known, .. }) = decode(&stream, &DecodeOptions::default()).unwrap();
    let mut lists = 0;
    for segment in segments(&stream, &Limits::default()).unwrap() {
        let Kind::Planes { count, .. } = segment.kind else { continue };
        // The address takes three bytes.
        let ends: Vec<usize> = (segment.bytes.start + 3..segment.bytes.end).filter(|at| stream[*at] >= 0xF9).collect();
        assert_eq!(ends.len(), count.into());
        for at in ends {
            lists += 1;
            for value in (0xF9..=0xFE).filter(|value| *value != stream[at]) {
                let mut wrong = stream.clone();
                wrong[at] = value;
                let (_, report) = decode(&wrong, &DecodeOptions::default()).unwrap();
                assert!(!report.clean(), "byte {at}: {value:02x} for {:02x}", stream[at]);
                // Who trusts a stream takes it as if checks were not there.
                let (image, report) = decode(&wrong, &DecodeOptions { trusting: true, ..Default::default() }).unwrap();
                assert!(image == clean && report.missing == known);
            }
        }
    }
    assert!(lists > 20, "{lists} lists");
}

/// Wrong, lost and extra bytes in the first segments of coarse blocks of tokens are often set right.
#[test]
fn damaged_tokens_are_corrected() {
    let image = pictures::middle(0, 256, 256);
    let options = StreamOptions { payload: Payload::Tokens, ..StreamOptions::default() };
    let stream = pictures::stream(&image, 5000, &options);
    let clean = show(&stream);
    let mut random = Random(3);
    let (mut all, mut right) = ([0u32; 3], [0u32; 3]);
    for segment in segments(&stream, &Limits::default()).unwrap() {
        match segment.kind {
            Kind::Planes { group: 0, levels: (coarse, _), first: true, .. } if coarse > 4 => {}
            _ => continue,
        }
        for at in segment.bytes.start + 3..segment.bytes.end {
            let mut wrong = stream.clone();
            wrong[at] ^= 1 + random.below(255) as u8;
            let mut lost = stream.clone();
            lost.remove(at);
            let mut extra = stream.clone();
            extra.insert(at, random.below(255) as u8);
            for (kind, damaged) in [wrong, lost, extra].iter().enumerate() {
                all[kind] += 1;
                right[kind] += u32::from(pictures::psnr(&clean, &show(damaged)) > 40.0);
            }
        }
    }
    println!("wrong, lost and extra: {right:?} of {all:?} set right");
    for ((right, all), least) in right.into_iter().zip(all).zip([0.4, 0.2, 0.5]) {
        assert!(all > 100 && f64::from(right) >= least * f64::from(all), "{right} of {all} set right");
    }
}
