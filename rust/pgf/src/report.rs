//! What decoding found: how much was there, what was damaged, what was mended.

use std::ops::Range;

/// What kind of damage was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DamageKind {
    /// A header field that contradicts the rest.
    Header,
    /// The length of a macroblock that contradicts what follows.
    WordLength,
    /// The tile header of a ROI file's macroblock.
    TileHeader,
    /// Code of a macroblock that contradicts itself.
    Code,
    /// Bytes that belong to no macroblock.
    Stray,
    /// The data end too early.
    Truncated,
}

impl DamageKind {
    /// A short name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            DamageKind::Header => "header",
            DamageKind::WordLength => "word_length",
            DamageKind::TileHeader => "tile_header",
            DamageKind::Code => "code",
            DamageKind::Stray => "stray",
            DamageKind::Truncated => "truncated",
        }
    }
}

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The bytes concerned.
    pub bytes: Range<usize>,
    /// What is wrong there.
    pub kind: DamageKind,
    /// Whether nothing was lost by it.
    pub repaired: bool,
    /// For people.
    pub message: String,
}

/// What decoding found. Counts are of the macroblocks that the wanted level and region need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Macroblocks needed.
    pub macroblocks: u64,
    /// Macroblocks decoded completely and without contradiction.
    pub intact: u64,
    /// Macroblocks of which some planes, or some bits of a plane, are missing.
    pub partial: u64,
    /// Macroblocks of which nothing is there.
    pub missing: u64,
    /// Macroblocks, counted as intact too, that could only be read after mending their length or header.
    pub repaired: u64,
    /// The data end before the picture does.
    pub truncated: bool,
    /// Something contradicts the format.
    pub damaged: bool,
    /// Bytes behind the last byte that was used.
    pub bytes_used: usize,
    /// The finest level, none finer than the one asked for, for which every macroblock is intact; `None` if not even the
    /// highest is.
    pub finest_complete_level: Option<u8>,
    /// The damaged places, by position.
    pub damage: Vec<Damage>,
}

impl Report {
    /// Whether everything that was asked for is there as it was written.
    pub fn complete(&self) -> bool {
        !self.truncated && !self.damaged
    }
}
