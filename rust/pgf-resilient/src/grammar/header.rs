//! The picture header, byte by byte: which bytes lead to a header that a reader takes.

use super::Mask;
use crate::block::halved;
use crate::picture::{BARE, BIG, DEEP, TOKENS, VERSION, stream_levels};
use pgf::{Header, Limits, MAX_CHANNELS, MAX_LEVELS, Mode, SampleType};

/// The sides of short headers end below this.
const SHORT: u64 = 1 << 14;

/// What may follow the bytes behind `FF 01` that are there.
pub(super) fn allowed(bytes: &[u8], limits: &Limits) -> Mask {
    let mut mask = Mask::NONE;
    for byte in 0..0x80 {
        if allows(bytes, byte, limits) {
            mask.insert(byte);
        }
    }
    mask
}

fn allows(bytes: &[u8], next: u8, limits: &Limits) -> bool {
    let Some(&kind) = bytes.first() else {
        return next & 7 == VERSION && next & !(7 | BIG | DEEP | TOKENS | BARE) == 0;
    };
    let (big, deep, bare) = (kind & BIG != 0, kind & DEEP != 0, kind & BARE != 0);
    let Some(&mode) = bytes.get(1) else {
        let wide = |mode: Mode| mode.sample_type() != SampleType::U8;
        return Mode::from_number(next & 0x1F).is_some_and(|mode| deep || !wide(mode));
    };
    let Some(mode) = Mode::from_number(mode & 0x1F) else { return false };
    let mut rest = &bytes[2..];
    let channels = match (mode.fixed_channels(), rest.split_first()) {
        (0, None) => return (1..=if deep { MAX_CHANNELS as u8 } else { 4 }).contains(&next),
        (0, Some((channels, others))) => {
            rest = others;
            *channels
        }
        (n, _) => n as u8,
    };
    let digits = if big { 5 } else { 2 };
    let most = limits.max_pixels.min(if big { u64::from(u32::MAX) } else { SHORT - 1 });
    let side = |digits: &[u8]| digits.iter().fold(0u64, |n, d| n << 7 | u64::from(*d));
    // Whether a side that begins so can be from 1 to `most`.
    let begins = |known: &[u8], most: u64| {
        let left = 7 * (digits - 1 - known.len()) as u32;
        let least = (side(known) << 7 | u64::from(next)) << left;
        least <= most && least + (1 << left) > 1
    };
    if rest.len() < digits {
        return begins(rest, most);
    }
    let width = side(&rest[..digits]);
    let rest = &rest[digits..];
    if rest.len() < digits {
        return begins(rest, most.min(limits.max_pixels / width.max(1)));
    }
    let height = side(&rest[..digits]);
    let bits_per_pixel = Header::depth_of(mode, channels);
    let depth = (bits_per_pixel / channels.max(1)).clamp(1, 31);
    let header = |a: u8, low: u8| Header {
        width: width as u32,
        height: height as u32,
        levels: a >> 2,
        quality: (a & 3) << 3 | low,
        bits_per_pixel,
        channels,
        mode,
        used_bits: depth,
        writer_version: pgf::WRITER_VERSION,
    };
    match &rest[digits..] {
        [] => (0..8).any(|low| levels_fit(&header(next, low), bare)),
        [a] => levels_fit(&header(*a, next >> 4), bare),
        [_, _, rest @ ..] => {
            let deep_bytes = if deep { 1 + usize::from(channels) } else { 0 };
            if rest.len() < deep_bytes {
                return if rest.is_empty() { (1..=depth).contains(&next) } else { next <= 31 };
            }
            // The limits may be anything; then the sum.
            let sum = bytes.iter().map(|b| u32::from(*b)).sum::<u32>() as u8 & 0x7F;
            rest.len() == deep_bytes || next == sum
        }
    }
}

/// Whether the planes bear the levels.
fn levels_fit(header: &Header, bare: bool) -> bool {
    if header.levels > MAX_LEVELS || header.quality > 30 {
        return false;
    }
    let smallest = |plane| {
        let (w, h) = header.plane_size(plane);
        w.min(h)
    };
    let bears = |levels: u8| levels == 0 || (0..2).all(|plane| halved(smallest(plane), levels - 1) >= 2);
    bears(header.levels) && bears(stream_levels(header, bare))
}
