//! Where bytes stand: what positions say of a token is what decoding it finds.

mod pictures;

use std::collections::{BTreeMap, BTreeSet};

use pgf::{Band, Coefficients, EncodeOptions, Limits, Mode, analyse};
use pgf_resilient::{
    DecodeOptions, Grammar, Next, Payload, Position, Positions, Profile, Rules, Spot, StreamOptions, read_coefficients,
    write,
};

/// Size, quality, mode, profile and whether bare.
fn streams() -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for (mode, w, h) in [(Mode::Gray, 130, 67), (Mode::Rgb, 97, 180), (Mode::Rgb, 48, 48), (Mode::Rgba, 61, 45)] {
        for (quality, bare, profile) in
            [(0, true, Profile::Lean), (2, false, Profile::Default), (6, true, Profile::Tough)]
        {
            let image = pictures::in_mode(&pictures::crop(0, 3, 2, w, h), mode, 0);
            let coefficients = analyse(&image.as_ref(), &EncodeOptions { quality, ..Default::default() }).unwrap();
            let options = StreamOptions { payload: Payload::Tokens, bare, profile, ..Default::default() };
            out.push((
                format!("{mode:?} {w}x{h} quality {quality} bare {bare}"),
                write(&coefficients, &options).unwrap(),
            ));
        }
    }
    out
}

fn follow(stream: &[u8]) -> Vec<Position> {
    let mut state = Positions::new(Limits::default());
    let mut out = vec![state.position()];
    out.extend(stream.iter().map(|byte| state.advance(*byte)));
    out
}

/// Row and column in its band of what a spot names.
fn place(coefficients: &Coefficients, spot: &Spot) -> (usize, usize) {
    let header = coefficients.header();
    let halved = header.plane_size(spot.channel.into()).0 < header.width as usize;
    let side = (1usize << spot.level) << usize::from(halved);
    (spot.row as usize / side, spot.column as usize / side)
}

#[test]
fn tokens_tell_of_the_coefficient_that_is_named() {
    for (what, stream) in streams() {
        let (coefficients, report) = read_coefficients(&stream, &DecodeOptions::default()).unwrap();
        assert!(report.clean(), "{what}");
        let levels = coefficients.header().levels;
        let (mut told, mut refined) = (0, 0);
        // By band the weight of bit 0, from the first coefficient of it that is named.
        let mut lowest = BTreeMap::new();
        for (byte, position) in stream.iter().zip(follow(&stream)) {
            let Some(spot) = position.spot else { continue };
            // Also behind the last coefficient of a list, where none is left.
            assert!(spot.weight < 40 && spot.row < 400 && spot.column < 400, "{what}: {spot:?}");
            let is_detail = matches!(position.next, Next::List | Next::Refinement) && spot.band != Band::LL;
            if !is_detail || spot.level > levels {
                continue;
            }
            let band = coefficients.band(spot.channel.into(), spot.level, spot.band).unwrap();
            let (width, height) = coefficients.band_size(spot.channel.into(), spot.level, spot.band);
            let (row, column) = place(&coefficients, &spot);
            assert!(row < height && column < width, "{what}: {spot:?}");
            let value = band[row * width + column];
            let key = (spot.channel, spot.level, spot.band as u8);
            if position.next == Next::Refinement {
                // It became significant in a higher plane.
                assert_ne!(value, 0, "{what}: {spot:?} is refined");
                if let Some(zero) = lowest.get(&key) {
                    refined += 1;
                    let top = zero + value.unsigned_abs().ilog2() as u8;
                    assert!(spot.weight < top, "{what}: {spot:?} is refined and {value}");
                }
                continue;
            }
            // No zeros before it: the named coefficient becomes significant, with its sign.
            let sign = match *byte {
                b @ 0..2 => b & 1,
                b @ 0xB0..0xBC => b >> 1 & 1,
                _ => continue,
            };
            told += 1;
            assert_eq!(value < 0, sign == 1, "{what}: {spot:?} is {value}, byte {byte:02X}");
            let top = value.unsigned_abs().ilog2() as u8;
            let zero = *lowest.entry(key).or_insert(spot.weight - top);
            assert_eq!(spot.weight, zero + top, "{what}: {spot:?} is {value}");
        }
        assert!(told > 20 && (refined > 5 || what.contains("quality 6")), "{what}: {told} and {refined}");
    }
}

#[test]
fn base_values_name_every_place_once() {
    for (what, stream) in streams() {
        let mut seen = Vec::new();
        for position in follow(&stream) {
            if let Position { next: Next::Base, spot: Some(spot) } = position {
                assert_eq!(spot.band, Band::LL, "{what}");
                seen.push((spot.channel, spot.row, spot.column));
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        // Profile "tough" tells the base twice.
        assert!(seen.len() == count || 2 * seen.len() == count, "{what}: {} of {count}", seen.len());
        // All rows and all columns of a channel meet.
        let distinct = |numbers: Vec<u32>| BTreeSet::from_iter(numbers).len();
        let channels = seen.iter().map(|s| s.0).max().expect("there is a base");
        for channel in 0..=channels {
            let places: Vec<_> = seen.iter().filter(|s| s.0 == channel).collect();
            let rows = distinct(places.iter().map(|s| s.1).collect());
            let columns = distinct(places.iter().map(|s| s.2).collect());
            assert!(rows > 1 && columns > 1 && places.len() == rows * columns, "{what}: channel {channel}");
        }
    }
}

#[test]
fn markers_are_due_where_the_grammar_says_so_and_damage_passes_at_the_next() {
    for (what, stream) in streams() {
        let mut grammar = Grammar::new(Rules::Payload, Limits::default());
        for (position, byte) in follow(&stream).into_iter().zip(&stream) {
            if position.next == Next::Marker {
                assert!(grammar.is_allowed(0xFF), "{what}");
            }
            assert_ne!(position.next, Next::Lost, "{what}");
            grammar.advance(*byte);
        }
        let clean = follow(&stream);
        let hurt = stream.len() / 2;
        let mut damaged = stream.clone();
        damaged[hurt] = 0xFE;
        let after = follow(&damaged);
        assert_eq!(clean[..=hurt], after[..=hurt], "{what}");
        assert!(after.iter().skip(hurt).any(|p| p.next == Next::Lost), "{what}");
        assert!(after.iter().skip(hurt).any(|p| p.next == Next::List), "{what}: nothing comes back");
    }
}

#[test]
fn any_bytes_have_positions() {
    let streams = streams();
    let mut random = 88_172_645_463_325_252u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for turn in 0..400 {
        let mut stream = streams[turn % streams.len()].1.clone();
        for _ in 0..1 + next() % 12 {
            let at = next() as usize % stream.len();
            match next() % 3 {
                0 => stream[at] = next() as u8,
                1 => drop(stream.remove(at)),
                _ => stream.insert(at, next() as u8),
            }
        }
        let _ = follow(&stream);
    }
}
