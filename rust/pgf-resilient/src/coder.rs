//! Planes of blocks to payloads and back, in either profile, with the fastest bit moves that the machine has.

use crate::block::Part;
use crate::check::Check;
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

/// The content of a segment with this address: the codes of successive planes, one behind the other, and the check; `out` is
/// overwritten.
pub(crate) fn content(payload: Payload, address: Check, planes: &[PlaneCode], codes: &[u8], out: &mut Vec<u8>) {
    join(planes, codes, out);
    match payload {
        Payload::Packed => address.seal(out, planes.iter().map(|p| p.bits).sum()),
        Payload::Tokens => address.seal_tokens(out),
    }
}

/// Puts the codes of successive planes together.
fn join(planes: &[PlaneCode], codes: &[u8], out: &mut Vec<u8>) {
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
    /// So it does, but its check contradicts.
    Contradicted,
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

    /// Reads `count` planes from plane `p` of a block downwards, the content of a segment with this address; also says how
    /// many of them are whole.
    pub fn planes(
        &mut self,
        payload: Payload,
        parts: &[Part],
        tiles: &mut Tiles,
        (p, count): (usize, usize),
        (address, content): (Check, &[u8]),
    ) -> (Fit, usize) {
        dispatch(Decode { coder: self, payload, parts, tiles, planes: (p, count), address, content })
    }
}

struct Decode<'a> {
    coder: &'a mut PlaneDecoder,
    payload: Payload,
    parts: &'a [Part],
    tiles: &'a mut Tiles,
    planes: (usize, usize),
    address: Check,
    content: &'a [u8],
}

impl BitWork for Decode<'_> {
    type Out = (Fit, usize);

    #[inline(always)]
    fn run<B: BitMoves>(self, moves: B) -> (Fit, usize) {
        let Decode { coder, payload, parts, tiles, planes: (p, count), address, content } = self;
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
        let whole = content.len();
        let fit = match payload {
            Payload::Packed => {
                let end = at / 8 + 1;
                match content.get(end - 1) {
                    None => Fit::Short,
                    Some(last) if *last != address.expected(content, at) => {
                        if end == content.len() {
                            Fit::Contradicted
                        } else {
                            Fit::Wrong
                        }
                    }
                    Some(_) if end < content.len() => Fit::Excess(end),
                    Some(_) => Fit::Exact,
                }
            }
            Payload::Tokens => {
                let content = &content[..at];
                match (at < whole, address.first_contradiction(content)) {
                    (false, None) => Fit::Exact,
                    (false, Some(_)) => Fit::Contradicted,
                    (true, None) => Fit::Excess(at),
                    (true, Some(_)) => Fit::Wrong,
                }
            }
        };
        (fit, count)
    }
}
