//! What the `.pgf` form of a picture needs to be the same bytes, where it is not the rule.

use crate::picture::{Picture, WRITER_VERSION};
use crate::segment::code;
use pgf::{Coefficients, Header, Mode, flags};

/// How a picture's `.pgf` file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The version byte.
    pub flags: u8,
    pub favor_speed: bool,
    pub writer_version: u16,
    /// Bits of a sample that carry data, and bits per pixel, as the file says.
    pub used_bits: u8,
    pub bits_per_pixel: u8,
}

pub(crate) const TILED: u8 = 1;
/// HL and LH are interleaved.
const INTERLEAVED: u8 = 2;
/// A sample of a bitmap holds eight pixels.
const PACKED: u8 = 4;
const FAVOR_SPEED: u8 = 8;

/// Whether the tiles of a `.pgf` file fit into the planes.
pub(crate) fn tiles_fit(header: &Header) -> bool {
    let (w, h) = header.plane_size(usize::from(header.subsampled()));
    header.levels == 0 || 1u64 << (header.levels - 1) <= (w.min(h) >> 1) as u64
}

impl Note {
    /// What is true where a stream does not say anything.
    pub fn rule(picture: &Picture) -> Note {
        let h = &picture.header;
        let bits_per_pixel = Header::depth_of(h.mode, h.channels);
        let depth = (bits_per_pixel / h.channels).clamp(1, 31);
        Note {
            flags: flags::CURRENT,
            favor_speed: false,
            writer_version: WRITER_VERSION,
            used_bits: if picture.deep { h.used_bits.min(depth) } else { depth },
            bits_per_pixel,
        }
    }

    pub fn of(coefficients: &Coefficients) -> Note {
        let header = coefficients.header();
        let tiled = if coefficients.roi() { flags::ROI } else { 0 };
        Note {
            flags: coefficients.flags() & !flags::ROI | tiled,
            favor_speed: coefficients.favor_speed,
            writer_version: header.writer_version,
            used_bits: header.used_bits,
            bits_per_pixel: header.bits_per_pixel,
        }
    }

    /// Appends a piece, if this is not the rule.
    pub fn write(&self, picture: &Picture, out: &mut Vec<u8>) {
        let rule = Note::rule(picture);
        if *self == rule {
            return;
        }
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let kind = bit(self.flags & flags::ROI != 0, TILED)
            | bit(self.flags & flags::V5 == 0, INTERLEAVED)
            | bit(self.flags & flags::V7 == 0, PACKED)
            | bit(self.favor_speed, FAVOR_SPEED);
        let seven = |shift: u32| (u32::from(self.writer_version) >> shift) as u8 & 0x7F;
        out.extend_from_slice(&[0xFF, code::FILE, kind, seven(14), seven(7), seven(0)]);
        if (self.used_bits, self.bits_per_pixel) != (rule.used_bits, rule.bits_per_pixel) {
            out.extend_from_slice(&[self.used_bits, self.bits_per_pixel >> 7, self.bits_per_pixel & 0x7F]);
        }
    }

    /// Reads what [`write`](Self::write) wrote behind the marker; `None` if that cannot be.
    pub fn parse(picture: &Picture, rest: &[u8]) -> Option<Note> {
        let mut note = Note::rule(picture);
        if rest.iter().any(|b| *b >= 0x80) {
            return None;
        }
        let (&[kind, a, b, c], bits) = rest.split_first_chunk::<4>()?;
        if kind > TILED | INTERLEAVED | PACKED | FAVOR_SPEED {
            return None;
        }
        if kind & TILED != 0 && !tiles_fit(&picture.header) {
            return None;
        }
        let clear = |on: u8, flag: u8| if kind & on != 0 { flag } else { 0 };
        note.flags = flags::CURRENT & !clear(INTERLEAVED, flags::V5) & !clear(PACKED, flags::V7);
        note.flags |= clear(TILED, flags::ROI);
        note.favor_speed = kind & FAVOR_SPEED != 0;
        note.writer_version = u16::try_from(u32::from(a) << 14 | u32::from(b) << 7 | u32::from(c)).ok()?;
        match *bits {
            [] => {}
            [used, high, low] => {
                let all = u8::try_from(u32::from(high) << 7 | u32::from(low)).ok()?;
                if !Note::fits(picture, used, all) {
                    return None;
                }
                (note.used_bits, note.bits_per_pixel) = (used, all);
            }
            _ => return None,
        }
        Some(note)
    }

    /// Whether a file of the picture may say these used bits per channel and bits per pixel.
    pub fn fits(picture: &Picture, used: u8, all: u8) -> bool {
        let (mode, channels) = (picture.header.mode, picture.header.channels);
        let legal = match mode {
            Mode::Hsl | Mode::Hsb => all / channels == 8,
            _ if mode.fixed_channels() == 0 => all >= channels,
            _ => all == Header::depth_of(mode, channels),
        };
        legal && (1..=(all / channels).clamp(1, 31)).contains(&used)
    }

    /// The header of the `.pgf` form.
    pub fn header(&self, header: &Header) -> Header {
        Header {
            writer_version: self.writer_version,
            used_bits: self.used_bits,
            bits_per_pixel: self.bits_per_pixel,
            ..*header
        }
    }
}
