//! What the reference codec promises about itself: each stage undoes its counterpart for any input.

mod reference;

use proptest::prelude::*;
use reference::bitplane::{self, Encoder, Padding};
use reference::bits::Code;
use reference::codec::{self, Missing, Settings};
use reference::container::{Header, PGF32, PRESENT, V2, V5, V6};
use reference::order::{interleaved, runs, scan, tile_span};
use reference::quantize::{BandKind, dequantize, quantize};
use reference::{Plane, ceil_div, wavelet};
use std::collections::HashSet;

/// Coefficients as hostile as their number of bits allows, or mostly small ones.
fn coefficients() -> impl Strategy<Value = Vec<i32>> {
    let value = (0_u32..32, any::<i32>()).prop_map(|(shift, value)| value >> shift);
    prop_oneof![
        prop::collection::vec(value, 1..400),
        (1_usize..3000, 1_u32..30, any::<u64>()).prop_map(|(n, bits, seed)| noise(n, bits, seed)),
    ]
}

/// Values of up to `bits` bits, from a seed.
fn noise(n: usize, bits: u32, seed: u64) -> Vec<i32> {
    let mut state = seed | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 32) as i32) >> (32 - bits)
        })
        .collect()
}

fn plane() -> impl Strategy<Value = Plane> {
    (1_usize..40, 1_usize..40, 1_u32..32, any::<u64>()).prop_map(|(w, h, bits, seed)| Plane {
        w,
        h,
        data: noise(w * h, bits, seed),
    })
}

proptest! {
    #[test]
    fn wavelet_is_reversible(plane in plane()) {
        prop_assert_eq!(wavelet::inverse(&wavelet::forward(&plane)), plane);
    }

    #[test]
    fn macroblocks_are_reversible(values in coefficients(), speed: bool) {
        for padding in [Padding::Leftovers, Padding::Zero] {
            let words = Encoder::new(padding, speed).macroblock(&values).unwrap();
            let decoded = bitplane::decode_partial(Code { words: &words, bits: 32 * words.len() }, values.len());
            prop_assert_eq!(decoded.end, 32 * words.len());
            prop_assert_eq!(decoded.error, None);
            prop_assert_eq!(&decoded.values, &values);
        }
    }

    #[test]
    fn a_cut_macroblock_keeps_its_upper_planes(values in coefficients(), cut in 0.0..1.0_f64) {
        let words = Encoder::new(Padding::Zero, false).macroblock(&values).unwrap();
        let bits = (32.0 * words.len() as f64 * cut) as usize;
        let decoded = bitplane::decode_partial(Code { words: &words, bits }, values.len());
        prop_assert_eq!(decoded.error.is_some(), decoded.planes_read < decoded.planes || bits < 5);
        for (&value, &found) in values.iter().zip(&decoded.values) {
            let missing = if bits < 5 { 32 } else { decoded.planes - decoded.planes_read };
            let upper = value.unsigned_abs().checked_shr(missing).unwrap_or(0).checked_shl(missing).unwrap_or(0);
            prop_assert_eq!(found, if value < 0 { (upper as i32).wrapping_neg() } else { upper as i32 });
        }
    }

    #[test]
    fn quantization_errs_by_less_than_a_step(x in -(1 << 27)..1_i32 << 27, q in 0..31_i32, level in 1_usize..12) {
        for kind in [BandKind::Ll, BandKind::Hl, BandKind::Lh, BandKind::Hh] {
            let s = reference::quantize::shift(q, level, kind).max(0);
            let back = dequantize(quantize(x, q, level, kind), q, level, kind);
            let error = (i64::from(x) - i64::from(back)).abs();
            // Half a step, or 7 / 5 of a step where the dead zone swallows the value.
            let bound = if back == 0 && kind != BandKind::Ll { 7 * (1_i64 << s) / 5 } else { (1_i64 << s) / 2 };
            prop_assert!(error <= bound, "{x} became {back} with shift {s}");
        }
    }

    #[test]
    fn scans_visit_every_sample_once(w in 0_usize..70, h in 0_usize..70) {
        let seen: HashSet<_> = scan(w, h).into_iter().collect();
        prop_assert_eq!(seen.len(), w * h);
        prop_assert_eq!(scan(w, h).len(), w * h);
        let order = interleaved(w, h);
        let seen: HashSet<_> = order.iter().collect();
        prop_assert_eq!(seen.len(), order.len());
        prop_assert_eq!(order.len(), (w / 2) * ceil_div(h, 2) + ceil_div(w, 2) * (h / 2));
    }

    #[test]
    fn tiles_cover_a_length(n in 1_usize..5000, log in 0_u32..6) {
        let mut next = 0;
        for t in 0..1 << log {
            let (pos, size) = tile_span(n, 1 << log, t);
            prop_assert_eq!(pos, next);
            next = pos + size;
        }
        prop_assert_eq!(next, n);
    }

    #[test]
    fn lossless_files_give_their_pixels_back(
        w in 1_u32..90,
        h in 1_u32..90,
        mode in prop::sample::select(vec![0_u8, 1, 2, 3, 4, 9, 10, 11, 12, 13, 17, 18, 19, 20]),
        flags in prop::sample::select(vec![PRESENT, V2, V2 | PGF32, V2 | PGF32 | V5, V2 | PGF32 | V5 | V6, V6]),
        levels in 0_u32..6,
        roi: bool,
        seed: u64,
    ) {
        let mut settings = Settings::new(mode, w, h);
        settings.flags = flags;
        settings.levels = levels;
        settings.roi = roi;
        let header = settings.header().unwrap();
        let size = reference::pixels::row_bytes(w as usize, header.bpp) * h as usize;
        let bytes: Vec<u8> = noise(size, 8, seed).into_iter().map(|v| v as u8).collect();
        // A first pass through pixels clears what the mode does not store: padding, the top bit of 31-bit gray.
        let mut pixels = reference::pixels::unpack(mode, usize::from(header.channels), w as usize, h as usize, &bytes)
            .unwrap();
        for sample in &mut pixels.samples {
            *sample &= 0x7FFF_FFFF;
        }
        let raw = reference::pixels::pack(mode, &pixels).unwrap();
        let Ok(file) = codec::encode(&settings, &raw) else {
            // 31 planes of noise do not fit in a macroblock.
            prop_assert_eq!(mode, 18);
            return Ok(());
        };
        let (_, back) = codec::decode(&file, 0, Missing::Error).unwrap();
        prop_assert_eq!(back, pixels);
        let header = Header::parse(&file).unwrap();
        let sum: usize = header.level_lengths.iter().map(|&length| length as usize).sum();
        if header.levels > 0 {
            prop_assert_eq!(header.len() + sum, file.len());
        }
        // What a reduced level needs is where the level lengths say, and its coefficients come first.
        let mut end = header.len();
        for (i, length) in header.level_lengths.iter().enumerate() {
            end += *length as usize;
            let level = usize::from(header.levels) - 1 - i;
            let whole = codec::decode(&file, level, Missing::Error).unwrap();
            prop_assert_eq!(codec::decode(&file[..end], level, Missing::Error).unwrap(), whole);
        }
    }

    #[test]
    fn every_coefficient_has_one_place(w in 10_u32..120, h in 10_u32..120, quality in 0_u8..6, roi: bool, v5: bool) {
        let mut settings = Settings::new(3, w, h);
        settings.quality = quality;
        settings.roi = roi;
        settings.levels = 4;
        settings.flags = if v5 { PRESENT } else { V2 };
        let header = settings.header().unwrap();
        let total: usize = (0..3).map(|c| header.plane_size(c)).map(|(w, h)| w * h).sum();
        let places: Vec<_> = runs(&header, 0).into_iter().flat_map(|run| run.places).collect();
        let seen: HashSet<_> = places.iter().map(|p| (p.plane, p.level, p.kind as u8, p.x, p.y)).collect();
        prop_assert_eq!(places.len(), total);
        prop_assert_eq!(seen.len(), total);
    }
}
