//! Legal bytes: real streams consist of them, and whatever consists of them decodes without a doubt.

mod pictures;

use pgf::{EncodeOptions, Limits, Mode, Rect, analyse};
use pgf_resilient::{
    DecodeOptions, Fate, Grammar, Mask, Order, Payload, Profile, Rules, StreamOptions, decode, merge, refine, rewrite,
    write,
};

const RULES: [Rules; 3] = [Rules::Framing, Rules::Addresses, Rules::Payload];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
}

/// Every byte is legal at its place, and the mask says of single bytes what `is_allowed` says.
fn check_legal(what: &str, stream: &[u8], ends: bool) {
    for rules in RULES {
        let mut state = Grammar::new(rules, Limits::default());
        let mut random = Random(stream.len() as u64 + 1);
        for (at, byte) in stream.iter().enumerate() {
            let mask = state.allowed();
            assert!(mask.contains(*byte), "{what}, {rules:?}: byte {at} = {byte:02X}, {:?}", state.room());
            for probe in [*byte, random.next() as u8, 0, 0xFF] {
                assert_eq!(mask.contains(probe), state.is_allowed(probe), "{what}, {rules:?}: {probe:02X} at {at}");
            }
            assert!(state.advance(*byte), "{what}, {rules:?}: byte {at}");
        }
        assert!(state.may_end() || !ends, "{what}, {rules:?}: the end");
    }
}

fn settings() -> Vec<StreamOptions> {
    let mut out = Vec::new();
    for payload in [Payload::Packed, Payload::Tokens] {
        for profile in [Profile::Lean, Profile::Default, Profile::Tough] {
            for order in [Order::Best, Order::Levels] {
                let checks = profile != Profile::Lean;
                let bare = order != Order::Best;
                out.push(StreamOptions { payload, profile, order, bare, checks, ..Default::default() });
            }
        }
        let first = Some(Rect { left: 0, top: 0, right: 20, bottom: 30 });
        out.push(StreamOptions { payload, first, max_bytes: Some(900), ..Default::default() });
    }
    out
}

#[test]
fn real_streams_are_legal_in_every_mode() {
    let settings = settings();
    let mut turn = 0;
    for mode in Mode::ALL {
        for (w, h, quality, roi) in [(1, 1, 0, false), (61, 45, 0, true), (130, 67, 5, false), (9, 200, 2, true)] {
            for channels in if mode.fixed_channels() == 0 { vec![1, 2, 5, 8] } else { vec![0] } {
                let image = pictures::in_mode(&pictures::crop(0, 3, 2, w, h), *mode, channels);
                let user = vec![0xFF; [0, 5, 64, 150][turn % 4]];
                let palette = std::array::from_fn(|i| [i as u8, 255, (i * 7) as u8, 0]);
                let options = EncodeOptions {
                    quality,
                    roi,
                    user_data: &user,
                    palette: (*mode == Mode::Indexed).then_some(&palette),
                    ..EncodeOptions::default()
                };
                let mut coefficients = analyse(&image.as_ref(), &options).unwrap();
                for payload in [0, settings.len() / 2] {
                    turn += 1;
                    let options = &settings[payload + turn % (settings.len() / 2)];
                    let what = format!("{mode:?} {w}x{h} quality {quality} {options:?}");
                    if options.max_bytes.is_some() {
                        // A budget may end in the base, but never in user data.
                        coefficients.user_data.clear();
                    }
                    check_legal(&what, &write(&coefficients, options).unwrap(), options.max_bytes.is_none());
                }
            }
        }
    }
}

#[test]
fn real_streams_are_legal_in_every_setting() {
    let image = pictures::middle(0, 250, 190);
    let coefficients = analyse(&image.as_ref(), &EncodeOptions { quality: 2, ..Default::default() }).unwrap();
    for options in settings() {
        let what = format!("{options:?}");
        let stream = write(&coefficients, &options).unwrap();
        check_legal(&what, &stream, true);
        if options.max_bytes.is_none() {
            continue;
        }
        // And what is made of streams.
        let limits = Limits::default();
        let other = if options.payload == Payload::Packed { Payload::Tokens } else { Payload::Packed };
        check_legal(&what, &rewrite(&stream, Some(other), &Default::default()).unwrap().0, true);
        check_legal(&what, &rewrite(&stream[..stream.len() / 2], None, &Default::default()).unwrap().0, true);
        let refined = refine(&stream, &coefficients, None, 2, &limits).unwrap();
        check_legal(&what, &refined, true);
        check_legal(&what, &merge(&[&stream, &refined], &limits).unwrap(), true);
    }
}

/// Bytes drawn from those that are allowed, behind `from`; stops after `most`, or earlier where a stream may end.
fn walk(random: &mut Random, limits: Limits, from: &[u8], most: usize) -> Vec<u8> {
    let mut state = Grammar::new(Rules::Payload, limits);
    let mut out = from.to_vec();
    for byte in from {
        assert!(state.advance(*byte));
    }
    while out.len() < from.len() + most {
        let mask: Mask = state.allowed();
        let mut bytes: Vec<u8> = mask.bytes().collect();
        assert!(!bytes.is_empty(), "nothing is allowed behind {out:02X?}");
        // New detail rather than what says little.
        let detail: Vec<u8> = bytes.iter().copied().filter(|b| *b > 0x0E).collect();
        if bytes.len() > 1 && bytes[0] == 1 && !detail.is_empty() && random.below(8) > 0 {
            bytes = detail;
        }
        let byte = bytes[random.below(bytes.len())];
        assert!(state.is_allowed(byte));
        assert!(state.advance(byte), "{byte:02X} behind {out:02X?}");
        out.push(byte);
    }
    out
}

fn check_sound(what: &str, stream: &[u8], limits: Limits) {
    let options = DecodeOptions { strict: true, limits, ..Default::default() };
    let (_, report) = decode(stream, &options).unwrap_or_else(|e| panic!("{what}: {e:?}\n{stream:02X?}"));
    assert!(report.clean(), "{what}: {report:?}");
    assert_eq!((report.fates[Fate::Doubted as usize], report.fates[Fate::Lost as usize]), (0, 0), "{what}");
    assert_eq!(report.repaired, 0, "{what}");
}

#[test]
fn random_walks_decode_without_a_doubt() {
    let rounds = if cfg!(debug_assertions) { 300 } else { 6000 };
    let limits = Limits { max_pixels: 3000, ..Limits::default() };
    let mut decoded = 0;
    for round in 0..rounds {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (round << 20 | 77));
        let most = 200 + random.below(3000);
        let stream = walk(&mut random, limits, &[], most);
        check_sound(&format!("round {round}"), &stream, limits);
        decoded += 1;
        // So does every prefix with a header.
        let cut = 60 + random.below(stream.len() - 60);
        check_sound(&format!("round {round} cut at {cut}"), &stream[..cut], limits);
    }
    assert_eq!(decoded, rounds);
}

#[test]
fn random_walks_from_a_real_prefix_decode_without_a_doubt() {
    let image = pictures::middle(1, 96, 64);
    let coefficients = analyse(&image.as_ref(), &EncodeOptions::default()).unwrap();
    for (i, options) in settings().iter().enumerate() {
        let stream = write(&coefficients, options).unwrap();
        for round in 0..if cfg!(debug_assertions) { 4 } else { 60 } {
            let mut random = Random(1 + (i * 1000 + round) as u64);
            let from = random.below(stream.len());
            let grown = walk(&mut random, Limits::default(), &stream[..from], 2500);
            check_sound(&format!("{options:?} from {from}, round {round}"), &grown, Limits::default());
        }
    }
}

#[test]
fn clones_are_independent() {
    for payload in [Payload::Packed, Payload::Tokens] {
        let image = pictures::middle(2, 64, 64);
        let coefficients = analyse(&image.as_ref(), &EncodeOptions::default()).unwrap();
        let stream = write(&coefficients, &StreamOptions { payload, ..Default::default() }).unwrap();
        let mut state = Grammar::new(Rules::Payload, Limits::default());
        let mut random = Random(5);
        for (at, byte) in stream.iter().enumerate() {
            if at % 37 == 0 {
                let mask = state.allowed();
                let mut other = state.clone();
                for _ in 0..200 {
                    let bytes: Vec<u8> = other.allowed().bytes().collect();
                    other.advance(bytes[random.below(bytes.len())]);
                }
                assert_eq!(state.allowed(), mask);
                let ahead = &stream[at..stream.len().min(at + 50)];
                assert_eq!(state.legal_prefix(ahead), ahead.len());
                assert_eq!(state.allowed(), mask);
            }
            assert!(state.advance(*byte));
        }
    }
    assert!(size_of::<Grammar>() <= 320, "{} bytes", size_of::<Grammar>());
}

/// Any bytes at all: no panic, and behind a wrong byte legal again from the next marker on.
#[test]
fn wrong_bytes_are_survived() {
    let image = pictures::middle(3, 120, 90);
    let coefficients = analyse(&image.as_ref(), &EncodeOptions::default()).unwrap();
    for payload in [Payload::Packed, Payload::Tokens] {
        let stream = write(&coefficients, &StreamOptions { payload, ..Default::default() }).unwrap();
        let mut random = Random(99);
        for _ in 0..if cfg!(debug_assertions) { 30 } else { 500 } {
            let mut damaged = stream.clone();
            for _ in 0..1 + random.below(5) {
                let at = 20 + random.below(damaged.len() - 20);
                damaged[at] = random.next() as u8;
            }
            for rules in RULES {
                let mut state = Grammar::new(rules, Limits::default());
                let mut legal = 0;
                for byte in &damaged {
                    assert!(!state.allowed().is_empty());
                    let said = state.is_allowed(*byte);
                    let was = state.advance(*byte);
                    assert_eq!(said, was);
                    legal += usize::from(was);
                    if state.is_lost() && *byte != 0xFF {
                        assert!(state.allowed() == Mask::of(0xFF), "a marker is what may come behind a wrong byte");
                    }
                }
                // What the damage does not touch, and no chain that it broke.
                assert!(legal * 5 > damaged.len(), "{rules:?}: {legal} of {}", damaged.len());
            }
        }
        for _ in 0..if cfg!(debug_assertions) { 20 } else { 400 } {
            let mut state = Grammar::new(RULES[random.below(3)], Limits::default());
            // Without a header there is no other piece.
            let header = 12;
            let from = header + random.below(stream.len() - header);
            stream[..from].iter().for_each(|b| assert!(state.advance(*b)));
            for _ in 0..2000 {
                let byte = if random.below(4) == 0 { 0xFF } else { random.next() as u8 };
                assert_eq!(state.is_allowed(byte), state.advance(byte));
            }
            // A new segment, begun behind anything.
            state.advance(0xFF);
            state.advance(0x0E);
            assert!(!state.is_lost());
        }
    }
}

/// How much a segment can take is what it then takes.
#[test]
fn room_is_what_is_left() {
    for payload in [Payload::Packed, Payload::Tokens] {
        let image = pictures::middle(0, 64, 64);
        let coefficients = analyse(&image.as_ref(), &EncodeOptions::default()).unwrap();
        let stream = write(&coefficients, &StreamOptions { payload, ..Default::default() }).unwrap();
        let mut state = Grammar::new(Rules::Payload, Limits::default());
        let (mut before, mut contents) = (None, 0);
        for byte in &stream {
            state.advance(*byte);
            let now = state.room();
            if let (Some(a), Some(b)) = (before, now) {
                let (a, b): (pgf_resilient::Room, pgf_resilient::Room) = (a, b);
                let same = a.planes == b.planes;
                assert!(b.planes <= a.planes && (!same || b.refinement <= a.refinement));
                contents += 1;
            }
            if let Some(room) = now.filter(|r| r.planes == 0 && *byte != 0xFF) {
                assert_eq!((room.coefficients, room.refinement), (0, 0));
                assert_eq!(state.allowed().bytes().count(), 1, "only the check or a marker fits");
            }
            before = now;
        }
        assert!(contents > stream.len() / 2);
    }
}

/// Time of a byte: the mask and the step. `cargo test --release -p pgf-resilient --test grammar -- --ignored --nocapture`
#[test]
#[ignore = "measures time: for a release build on a quiet machine"]
fn a_byte_takes_two_microseconds_at_most() {
    let image = pictures::middle(0, 256, 256);
    for quality in [0, 4] {
        let coefficients = analyse(&image.as_ref(), &EncodeOptions { quality, ..Default::default() }).unwrap();
        for payload in [Payload::Packed, Payload::Tokens] {
            let stream = write(&coefficients, &StreamOptions { payload, ..Default::default() }).unwrap();
            for rules in RULES {
                let best = (0..5)
                    .map(|_| {
                        let start = std::time::Instant::now();
                        let mut state = Grammar::new(rules, Limits::default());
                        let mut legal = 0;
                        for byte in &stream {
                            legal += usize::from(state.allowed().contains(*byte));
                            state.advance(*byte);
                        }
                        assert_eq!(legal, stream.len());
                        start.elapsed()
                    })
                    .min()
                    .unwrap();
                let each = best.as_nanos() as f64 / stream.len() as f64;
                println!("quality {quality} {payload:?} {rules:?}: {each:.0} ns a byte of {}", stream.len());
                assert!(each < 2000.0);
            }
        }
    }
}
