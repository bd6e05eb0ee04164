//! Segments in bytes: markers, addresses, stuffing; forward and inverse side by side.
//!
//! A piece of a stream is a marker (`FF` and a code from 01 to FE), what the code asks for, and all bytes up to the next
//! marker. In content, `FF` is written `FF 00`.

use std::ops::Range;

use crate::block::Geometry;
use crate::check::Check;
use crate::coder::{PlaneCode, content};
use crate::picture::Picture;

/// Codes below [`DETAIL`].
pub(crate) mod code {
    /// The picture header.
    pub const PICTURE: u8 = 0x01;
    /// Base values of plane `code - BASE`, eight codes.
    pub const BASE: u8 = 0x02;
    /// Sixteen palette entries.
    pub const PALETTE: u8 = 0x0A;
    /// User data.
    pub const USER: u8 = 0x0B;
    /// How the picture's `.pgf` file was written.
    pub const FILE: u8 = 0x0C;
    /// Advisory check.
    pub const CHECK: u8 = 0x0D;
    /// Nothing more follows.
    pub const END: u8 = 0x0E;
}

/// First code of segments of planes.
pub(crate) const DETAIL: u8 = 0x0F;

/// What a segment of planes holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    /// Position of the block in the geometry.
    pub block: usize,
    /// The highest plane in it.
    pub plane: u8,
    /// How many planes it holds, 1 to 3.
    pub count: u8,
    /// Whether the planes above are zero.
    pub first: bool,
}

/// Kinds of segments by code: (planes, first).
pub(crate) const KINDS: [(u8, bool); 5] = [(1, false), (1, true), (2, true), (3, true), (2, false)];

/// Most planes in a first and in a later segment.
pub(crate) const MOST_PLANES: [u8; 2] = [3, 2];

/// Planes that the codes of the short form tell apart.
const SHORT_PLANES: usize = 16;
/// Codes of a kind in the short form: three groups of sixteen planes.
pub(crate) const SHORT_KIND: u8 = 48;
/// Codes of a kind in deep streams: eight groups; the plane has a byte of its own.
pub(crate) const DEEP_KIND: u8 = 8;

/// Appends marker and address.
pub(crate) fn write_address(picture: &Picture, geometry: &Geometry, address: &Address, out: &mut Vec<u8>) {
    let kind = KINDS.iter().position(|k| *k == (address.count, address.first)).expect("a kind there is") as u8;
    let group = geometry.blocks[address.block].group;
    out.push(0xFF);
    if picture.deep {
        out.push(DETAIL + kind * DEEP_KIND + group);
        out.push(address.plane);
    } else {
        out.push(DETAIL + kind * SHORT_KIND + group * 16 + address.plane);
    }
    write_number(geometry.index(address.block), geometry.digits, out);
}

/// Appends a segment: marker, address and the codes of its planes, which are among the bytes of `codes`. `room` is used
/// again and again.
pub(crate) fn write_segment(
    picture: &Picture,
    geometry: &Geometry,
    address: &Address,
    (planes, codes): (&[PlaneCode], &[u8]),
    room: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let start = out.len() + 1;
    write_address(picture, geometry, address, out);
    content(picture.payload, Check::new(&out[start..], !picture.bare), planes, codes, room);
    stuff(room, out);
}

/// The check behind an address.
pub(crate) fn check_of(picture: &Picture, geometry: &Geometry, address: &Address) -> Check {
    let mut bytes = Vec::with_capacity(8);
    write_address(picture, geometry, address, &mut bytes);
    Check::new(&bytes[1..], !picture.bare)
}

/// Reads the address behind `FF`: `bytes` start at the code. The second result is how many bytes it takes.
pub(crate) fn parse_address(picture: &Picture, geometry: &Geometry, bytes: &[u8]) -> Option<(Address, usize)> {
    let code = bytes.first()?.checked_sub(DETAIL)?;
    let (kind, group, plane, at) = if picture.deep {
        (code / DEEP_KIND, code % DEEP_KIND, *bytes.get(1)?, 2)
    } else {
        (code / SHORT_KIND, code % SHORT_KIND / 16, code % 16, 1)
    };
    let &(count, first) = KINDS.get(usize::from(kind))?;
    let index = parse_number(bytes.get(at..at + geometry.digits)?)?;
    let block = geometry.block(group, index)?;
    let address = Address { block, plane, count, first };
    is_possible(picture, geometry, &address).then_some((address, at + geometry.digits))
}

/// Whether the picture has the planes of an address, and a code says them. What looks for damaged addresses must ask, or a
/// stream that is written again says what no reader understands.
pub(crate) fn is_possible(picture: &Picture, geometry: &Geometry, address: &Address) -> bool {
    let highest = geometry.parts_of(address.block).iter().map(|p| p.lift).max().unwrap_or(0);
    // No magnitude has more than 32 planes.
    let planes = if picture.deep { 32 + usize::from(highest) } else { SHORT_PLANES.min(32 + usize::from(highest)) };
    address.count <= address.plane.saturating_add(1) && usize::from(address.plane) < planes
}

/// Appends a number in digits of base 255, the highest first.
pub(crate) fn write_number(number: usize, digits: usize, out: &mut Vec<u8>) {
    for i in (0..digits).rev() {
        out.push((number / 255usize.pow(i as u32) % 255) as u8);
    }
}

/// Undoes [`write_number`].
pub(crate) fn parse_number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0usize, |n, d| (*d < 255).then(|| n.saturating_mul(255).saturating_add(usize::from(*d))))
}

/// Appends content, `FF` as `FF 00`.
pub(crate) fn stuff(content: &[u8], out: &mut Vec<u8>) {
    for byte in content {
        out.push(*byte);
        if *byte == 0xFF {
            out.push(0);
        }
    }
}

/// Undoes [`stuff`]; `out` is overwritten.
pub(crate) fn unstuff(stuffed: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut at = 0;
    while at < stuffed.len() {
        out.push(stuffed[at]);
        at += if stuffed[at] == 0xFF && stuffed.get(at + 1) == Some(&0) { 2 } else { 1 };
    }
}

/// From one marker to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// All of it, marker included.
    pub bytes: Range<usize>,
    /// The byte behind `FF`.
    pub code: u8,
    /// Whether the data end with it, so that it may be cut.
    pub last: bool,
}

impl Piece {
    /// What comes behind the code.
    pub fn rest<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.bytes.start + 2..self.bytes.end]
    }
}

/// Cuts a stream at its markers. Bytes before the first are in no piece, nor is a final `FF` alone.
pub(crate) fn pieces(data: &[u8]) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let mut at = 0;
    while let Some(next) = data[at..].iter().position(|b| *b == 0xFF).map(|n| at + n) {
        at = next + 1;
        match data.get(at) {
            Some(0) => {}
            // The second of two may begin a marker.
            Some(0xFF) => continue,
            Some(code) => {
                if let Some(last) = out.last_mut() {
                    last.bytes.end = next;
                }
                out.push(Piece { bytes: next..data.len(), code: *code, last: false });
            }
            None => {
                if let Some(last) = out.last_mut() {
                    last.bytes.end = next;
                }
            }
        }
    }
    if let Some(last) = out.last_mut() {
        last.last = true;
    }
    out
}

/// As [`pieces`], of several streams one behind the other, each of which ends at one of `ends`: no piece goes on in the
/// next stream, and each stream may be cut.
pub(crate) fn pieces_of_all(data: &[u8], ends: &[usize]) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut start = 0;
    for end in ends {
        let own = pieces(&data[start..*end]).into_iter();
        out.extend(own.map(|p| Piece { bytes: start + p.bytes.start..start + p.bytes.end, ..p }));
        start = *end;
    }
    out
}
