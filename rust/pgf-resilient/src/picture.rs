//! The picture header: what a stream says about the picture, and the bytes that say it.

use crate::base;
use crate::block::Geometry;
use pgf::{Error, Header, MAX_CHANNELS, MAX_LEVELS, Mode, Result, SampleType};

/// Version of the format that this crate writes.
pub(crate) const VERSION: u8 = 1;

/// How payloads are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Payload {
    /// Bit-packed three-class run lengths: smallest.
    #[default]
    Packed,
    /// One byte an event, no adaptive state: easiest to learn.
    Tokens,
}

/// All that a stream's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// The header of the coefficients.
    pub header: Header,
    /// How payloads are coded.
    pub payload: Payload,
    /// Whether base chunks and contents hold no small checks, and the base has one wavelet level fewer.
    pub bare: bool,
    /// Side of the coarsest tiles as a power of two, 1 to 4.
    pub coarse: u8,
    /// Whether segments carry a byte for the plane and a number for the channel group.
    pub deep: bool,
    /// For every plane the bits that base values leave out.
    pub base_shift: [u8; MAX_CHANNELS],
    /// How far base values of the first plane and of all others may stand out from their neighbours, in base units;
    /// [`NO_LIMIT`] means any distance.
    pub outlier: [u8; 2],
}

/// No limit to outliers.
pub(crate) const NO_LIMIT: u8 = 255;

/// Outlier limits are stored in units of 8 (first plane, 4 bits) and 16 (other planes, 3 bits).
const OUTLIER_UNITS: [u8; 2] = [8, 16];
const OUTLIER_OFF: [u8; 2] = [15, 7];

/// The smallest limit that can be stored and is at least `distance`.
pub(crate) fn storable_outlier(group: usize, distance: u32) -> u8 {
    let steps = distance.div_ceil(u32::from(OUTLIER_UNITS[group]));
    if steps >= u32::from(OUTLIER_OFF[group]) { NO_LIMIT } else { steps as u8 * OUTLIER_UNITS[group] }
}

pub(crate) const BIG: u8 = 0x08;
pub(crate) const DEEP: u8 = 0x10;
pub(crate) const TOKENS: u8 = 0x20;
/// No small checks in base chunks and contents, and a larger base.
pub(crate) const BARE: u8 = 0x40;

fn groups7(value: u32, count: u32, out: &mut Vec<u8>) {
    out.extend((0..count).rev().map(|i| (value >> (7 * i)) as u8 & 0x7F));
}

impl Picture {
    /// Wavelet levels of the stream: those of the header and, down to a side below five (below ten if bare), further
    /// ones.
    pub fn levels(&self) -> u8 {
        stream_levels(&self.header, self.bare)
    }

    /// The bytes behind the marker `FF 01`, all below 0x80.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let h = &self.header;
        let big = h.width >= 1 << 14 || h.height >= 1 << 14;
        let mut out = Vec::with_capacity(24);
        let tokens = if self.payload == Payload::Tokens { TOKENS } else { 0 };
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(VERSION | flag(big, BIG) | flag(self.deep, DEEP) | tokens | flag(self.bare, BARE));
        out.push(h.mode as u8 | (self.coarse - 1) << 5);
        if h.mode.fixed_channels() == 0 {
            out.push(h.channels);
        }
        let digits = if big { 5 } else { 2 };
        groups7(h.width, digits, &mut out);
        groups7(h.height, digits, &mut out);
        out.push(h.levels << 2 | h.quality >> 3);
        out.push((h.quality & 7) << 4 | (self.base_shift[0] & 3) << 2 | self.base_shift[1] & 3);
        if self.deep {
            // A file may say more than its mode has; that is noted elsewhere.
            out.push(h.used_bits.min((Header::depth_of(h.mode, h.channels) / h.channels).clamp(1, 31)));
            out.extend_from_slice(&self.base_shift[..usize::from(h.channels)]);
        }
        let outlier = |i: usize| match self.outlier[i] {
            NO_LIMIT => OUTLIER_OFF[i],
            limit => limit / OUTLIER_UNITS[i],
        };
        out.push(outlier(1) << 4 | outlier(0));
        let sum = out.iter().map(|b| u32::from(*b)).sum::<u32>();
        out.push((sum & 0x7F) as u8);
        out
    }

    /// Reads the bytes behind the marker, `rest` of them being there; the second result is how many they were.
    ///
    /// `None` if they are cut or contradict themselves.
    pub(crate) fn parse(rest: &[u8]) -> Option<(Picture, usize)> {
        let mut at = 0;
        let mut sum = 0u32;
        let mut next = || {
            let byte = *rest.get(at).filter(|b| **b < 0x80)?;
            at += 1;
            sum += u32::from(byte);
            Some(byte)
        };
        let kind = next()?;
        if kind & 0x07 != VERSION || kind & !(0x07 | BIG | DEEP | TOKENS | BARE) != 0 {
            return None;
        }
        let (big, deep) = (kind & BIG != 0, kind & DEEP != 0);
        let mode_byte = next()?;
        let mode = Mode::from_number(mode_byte & 0x1F)?;
        let channels = match mode.fixed_channels() {
            0 => next()?,
            n => n as u8,
        };
        if channels == 0 || usize::from(channels) > MAX_CHANNELS {
            return None;
        }
        let mut side = || {
            let mut value = 0u64;
            for _ in 0..if big { 5 } else { 2 } {
                value = value << 7 | u64::from(next()?);
            }
            u32::try_from(value).ok().filter(|v| *v > 0)
        };
        let (width, height) = (side()?, side()?);
        let (a, b) = (next()?, next()?);
        let (levels, quality) = (a >> 2, (a & 3) << 3 | b >> 4);
        if levels > MAX_LEVELS {
            return None;
        }
        let bits_per_pixel = Header::depth_of(mode, channels);
        let depth = (bits_per_pixel / channels).clamp(1, 31);
        let mut base_shift = [0; MAX_CHANNELS];
        let mut used_bits = depth;
        if deep {
            used_bits = next()?;
            if used_bits == 0 || used_bits > depth {
                return None;
            }
            for shift in &mut base_shift[..usize::from(channels)] {
                *shift = next()?;
                if *shift > 31 {
                    return None;
                }
            }
        } else {
            base_shift[0] = b >> 2 & 3;
            base_shift[1] = b & 3;
            base_shift[2] = b & 3;
        }
        let limits = next()?;
        let outlier = |i: usize, v: u8| if v == OUTLIER_OFF[i] { NO_LIMIT } else { v * OUTLIER_UNITS[i] };
        let expected = (sum_of(&rest[..at]) & 0x7F) as u8;
        if *rest.get(at)? != expected {
            return None;
        }
        let header = Header {
            width,
            height,
            levels,
            quality,
            bits_per_pixel,
            channels,
            mode,
            used_bits,
            writer_version: WRITER_VERSION,
        };
        let picture = Picture {
            header,
            payload: if kind & TOKENS != 0 { Payload::Tokens } else { Payload::Packed },
            bare: kind & BARE != 0,
            coarse: (mode_byte >> 5) + 1,
            deep,
            base_shift,
            outlier: [outlier(0, limits & 15), outlier(1, limits >> 4)],
        };
        (deep || !picture.must_be_deep()).then_some((picture, at + 1))
    }

    /// Whether the mode's range does not fit the short form of addresses.
    pub(crate) fn must_be_deep(&self) -> bool {
        self.header.mode.sample_type() != SampleType::U8 || self.header.channels > 4
    }

    /// Refuses pictures that a decoder must not start on.
    pub(crate) fn check(&self, limits: &pgf::Limits) -> Result<()> {
        let pixels = self.header.pixels();
        if pixels > limits.max_pixels {
            return Err(Error::Limits { field: "pixels", value: pixels, bound: limits.max_pixels });
        }
        // Of thin pictures, which have few levels, base and blocks can take more than the samples.
        let values = |plane: usize| {
            let (width, height) = base::size(self, plane);
            width as u64 * height as u64
        };
        let base: u64 = (0..usize::from(self.header.channels)).map(values).sum();
        let bytes = base * size_of::<Option<u8>>() as u64 + Geometry::bytes(self);
        if bytes > limits.max_bytes {
            return Err(Error::Limits { field: "bytes", value: bytes, bound: limits.max_bytes });
        }
        Ok(())
    }
}

fn sum_of(bytes: &[u8]) -> u32 {
    bytes.iter().map(|b| u32::from(*b)).sum()
}

/// The writer version of `.pgf` files made from streams that do not say another (libPGF 7.21.7, as pgf writes).
pub(crate) const WRITER_VERSION: u16 = pgf::WRITER_VERSION;

/// Levels of the stream's pyramid: sides are halved while the smaller is at least five (ten in bare streams), and at least
/// as often as the header says.
pub(crate) fn stream_levels(header: &Header, bare: bool) -> u8 {
    let least = if bare { 10 } else { 5 };
    let smaller = u64::from(header.width.min(header.height));
    let mut levels = 0;
    while levels < 26 && smaller >= least << levels {
        levels += 1;
    }
    levels.max(header.levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample(mode: Mode, channels: u8, width: u32, height: u32) -> Picture {
        let bits_per_pixel = Header::depth_of(mode, channels);
        let header = Header {
            width,
            height,
            levels: 3,
            quality: 17,
            bits_per_pixel,
            channels,
            mode,
            used_bits: (bits_per_pixel / channels).clamp(1, 31),
            writer_version: WRITER_VERSION,
        };
        let mut picture = Picture {
            header,
            payload: Payload::Tokens,
            bare: true,
            coarse: 3,
            deep: false,
            base_shift: [1, 2, 2, 0, 0, 0, 0, 0],
            outlier: [24, NO_LIMIT],
        };
        if picture.must_be_deep() {
            picture.deep = true;
            picture.base_shift = [9; MAX_CHANNELS];
            picture.base_shift[usize::from(channels)..].fill(0);
        }
        picture
    }

    #[test]
    fn headers_come_back_and_every_wrong_byte_is_noticed() {
        for (mode, channels) in [(Mode::Rgb, 3), (Mode::Gray16, 1), (Mode::Multichannel, 5), (Mode::Bitmap, 1)] {
            for (w, h) in [(1, 1), (256, 256), (40000, 17), (u32::MAX, u32::MAX)] {
                let mut picture = sample(mode, channels, w, h);
                if picture.header.channels < 2 && !picture.deep {
                    picture.base_shift[1] = 2;
                }
                let bytes = picture.to_bytes();
                assert!(bytes.iter().all(|b| *b < 0x80));
                assert_eq!(Picture::parse(&bytes), Some((picture, bytes.len())));
                for cut in 0..bytes.len() {
                    assert_eq!(Picture::parse(&bytes[..cut]), None);
                }
                for at in 0..bytes.len() {
                    for value in 0..=255 {
                        let mut wrong = bytes.clone();
                        if wrong[at] != value {
                            wrong[at] = value;
                            // The sum catches a change of length only by chance, one of a value always.
                            if Picture::parse(&wrong).is_some_and(|(_, n)| n == bytes.len()) {
                                panic!("byte {at} = {value} goes unnoticed");
                            }
                        }
                    }
                }
            }
        }
    }
}
