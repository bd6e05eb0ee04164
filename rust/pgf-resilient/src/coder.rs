//! Planes of blocks to payloads and back, in either profile, with the fastest bit moves that the machine has.

use crate::block::Part;
use crate::packed::{self, Reading};
use crate::picture::Payload;
use crate::tile::{Classes, Tiles};
use crate::tokens;
use pgf::bits::{BitMoves, BitWork, dispatch};

/// The code of one plane on its own: fresh state, from the first bit of the first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaneCode {
    /// Where its bytes begin among those of all codes.
    pub start: usize,
    /// Bits that are used; all of them in tokens.
    pub bits: usize,
}

/// Codes planes.
pub(crate) struct PlaneEncoder {
    payload: Payload,
    packed: packed::Encoder,
    tokens: tokens::Encoder,
}

impl PlaneEncoder {
    pub fn new(payload: Payload) -> PlaneEncoder {
        PlaneEncoder { payload, packed: packed::Encoder::new(), tokens: tokens::Encoder::new() }
    }

    /// Codes plane `p` of a block and makes its ones significant. The bytes are appended to those of other codes.
    pub fn plane(&mut self, parts: &[Part], tiles: &mut Tiles, p: usize, codes: &mut Vec<u8>) -> PlaneCode {
        dispatch(Encode { coder: self, parts, tiles, p, codes })
    }
}

struct Encode<'a> {
    coder: &'a mut PlaneEncoder,
    parts: &'a [Part],
    tiles: &'a mut Tiles,
    p: usize,
    codes: &'a mut Vec<u8>,
}

impl BitWork for Encode<'_> {
    type Out = PlaneCode;

    #[inline(always)]
    fn run<B: BitMoves>(self, moves: B) -> PlaneCode {
        let Encode { coder, parts, tiles, p, codes } = self;
        let start = codes.len();
        let bits = match coder.payload {
            Payload::Packed => {
                let (bytes, bits) = coder.packed.plane(moves, parts, tiles, p);
                codes.extend_from_slice(bytes);
                bits
            }
            Payload::Tokens => {
                coder.tokens.plane(moves, parts, tiles, p, codes);
                8 * (codes.len() - start)
            }
        };
        PlaneCode { start, bits }
    }
}

/// Puts the codes of successive planes together to the content of a segment; `out` is overwritten.
pub(crate) fn join(planes: &[PlaneCode], codes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut bits = 0;
    for plane in planes {
        let bytes = &codes[plane.start..plane.start + plane.bits.div_ceil(8)];
        let shift = bits % 8;
        if shift == 0 {
            out.extend_from_slice(bytes);
        } else {
            let mut carry = out.pop().unwrap_or(0);
            for byte in bytes {
                out.push(carry | byte << shift);
                carry = byte >> (8 - shift);
            }
            out.push(carry);
        }
        bits += plane.bits;
        out.truncate(bits.div_ceil(8));
    }
}

/// How a content fits the planes that it should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It ends where the last plane ends.
    Exact,
    /// All planes are there, and then more: the position of the first byte too many.
    Excess(usize),
    /// It ends early.
    Short,
    /// It holds a code that no encoder writes.
    Wrong,
}

/// Reads planes.
pub(crate) struct PlaneDecoder {
    classes: Vec<Classes>,
    tokens: tokens::Decoder,
}

impl PlaneDecoder {
    pub fn new() -> PlaneDecoder {
        PlaneDecoder { classes: Vec::new(), tokens: tokens::Decoder::new() }
    }

    /// Reads `count` planes from plane `p` of a block downwards; also says how many of them are whole.
    pub fn planes(
        &mut self,
        payload: Payload,
        parts: &[Part],
        tiles: &mut Tiles,
        (p, count): (usize, usize),
        content: &[u8],
    ) -> (Fit, usize) {
        dispatch(Decode { coder: self, payload, parts, tiles, planes: (p, count), content })
    }
}

struct Decode<'a> {
    coder: &'a mut PlaneDecoder,
    payload: Payload,
    parts: &'a [Part],
    tiles: &'a mut Tiles,
    planes: (usize, usize),
    content: &'a [u8],
}

impl BitWork for Decode<'_> {
    type Out = (Fit, usize);

    #[inline(always)]
    fn run<B: BitMoves>(self, moves: B) -> (Fit, usize) {
        let Decode { coder, payload, parts, tiles, planes: (p, count), content } = self;
        let mut at = 0;
        for done in 0..count {
            let p = p - done;
            let reading = match payload {
                Payload::Packed => {
                    let bits = (&mut at, 8 * content.len());
                    packed::read_plane(moves, parts, tiles, p, &mut coder.classes, content, bits)
                }
                Payload::Tokens => coder.tokens.plane(moves, parts, tiles, p, content, &mut at),
            };
            match reading {
                Reading::Whole => {}
                Reading::Short => return (Fit::Short, done),
                Reading::Wrong => return (Fit::Wrong, done),
            }
        }
        let fit = match payload {
            Payload::Packed => {
                let used = at.div_ceil(8);
                if used < content.len() {
                    Fit::Excess(used)
                } else if at % 8 != 0 && content[used - 1] >> (at % 8) != 0 {
                    // Bits behind the end are zero.
                    Fit::Wrong
                } else {
                    Fit::Exact
                }
            }
            Payload::Tokens if at < content.len() => Fit::Excess(at),
            Payload::Tokens => Fit::Exact,
        };
        (fit, count)
    }
}
