//! Legal bytes: an automaton that says after every byte of a stream which bytes may come next.
//!
//! It is for programs that write streams byte by byte without an encoder, as language models do. What it allows is what
//! the writers of this project write (format sections 3 to 9): a header, the base of all planes in order, then pieces in any
//! order, of each block a chain of planes without gap. A byte that it does not allow is taken all the same: the piece is
//! lost, and the next marker begins a new one.

mod header;
mod mask;
mod pack;
mod pieces;
mod positions;
mod token;

use std::sync::Arc;

use crate::base;
use crate::block::{Geometry, digits_for};
use crate::opening::PALETTE_CHUNK;
use crate::picture::Picture;
use crate::segment::KINDS;
use crate::tile::Rows;
use pgf::{Band, Limits};

pub use mask::Mask;
pub use positions::{Next, Position, Positions, Spot};

use pack::PackedPlane;
use token::TokenPlane;

/// How much of the format is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Rules {
    /// Headers, markers and stuffing.
    Framing,
    /// Also the base in its order, addresses that the picture has, chains without gap, sums of checks.
    Addresses,
    /// Also contents: every segment holds its planes exactly.
    #[default]
    Payload,
}

/// What a segment of planes can still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Planes that are not whole yet.
    pub planes: u8,
    /// Coefficients of the present list or pass that are not coded yet.
    pub coefficients: u32,
    /// Refinement bits of the present plane that are still to come.
    pub refinement: u32,
}

/// What does not change once the header is there.
#[derive(Debug)]
struct Frame {
    picture: Picture,
    /// The header behind its marker.
    header: Arc<[u8]>,
    geometry: Geometry,
    /// Of every block the highest lift of its parts.
    highest: Vec<u8>,
    /// Number of base values of every plane.
    bases: Vec<usize>,
}

impl Frame {
    fn new(picture: Picture, header: &[u8]) -> Option<Frame> {
        let geometry = Geometry::new(&picture).ok()?;
        let lift = |block| geometry.parts_of(block).iter().map(|p| p.lift).max().unwrap_or(0);
        let highest = (0..geometry.blocks.len()).map(lift).collect();
        let size = |plane| {
            let (w, h) = base::size(&picture, plane);
            w * h
        };
        let bases = (0..usize::from(picture.header.channels)).map(size).collect();
        Some(Frame { picture, header: header.into(), geometry, highest, bases })
    }

    /// Digits of the number of a base chunk.
    fn base_digits(&self, plane: u8) -> u8 {
        digits_for(self.chunks(plane)) as u8
    }

    fn chunks(&self, plane: u8) -> usize {
        self.bases[usize::from(plane)].div_ceil(base::CHUNK)
    }

    /// Bytes of a base chunk behind its number.
    fn chunk_bytes(&self, plane: u8, chunk: usize) -> u8 {
        (base::chunk_values(self.bases[usize::from(plane)], chunk) + base::check_bytes(&self.picture)) as u8
    }

    fn groups(&self) -> usize {
        self.geometry.groups.len() - 1
    }

    /// Blocks that hold a part of the base; writers may repeat their beginnings.
    fn is_coarse(&self, block: usize) -> bool {
        self.geometry.parts_of(block).first().is_some_and(|p| p.band == Band::LL)
    }
}

/// Planes of a block are below this: 32 and the largest lift.
const PLANES: usize = 128;
/// No segment of the block was there.
const NOT_BEGUN: u8 = 255;
/// Its last plane was there.
const FINISHED: u8 = 254;

/// The beginning of a coarse block, for repeats.
#[derive(Debug, Clone)]
struct First {
    block: usize,
    code: u8,
    plane: u8,
    /// All bytes behind the address.
    content: Arc<[u8]>,
}

/// How far the blocks are.
#[derive(Debug, Clone, Default)]
struct Chains {
    /// Of every block the plane that is due, or [`NOT_BEGUN`] or [`FINISHED`].
    due: Vec<u8>,
    /// By group and plane: blocks of which it is due.
    waiting: Vec<u32>,
    /// By group: blocks that are not begun.
    fresh: Vec<u32>,
    /// By group: coarse blocks that are begun.
    coarse: Vec<u32>,
    firsts: Vec<First>,
    /// Tokens: of every part the number of significant coefficients.
    counts: Vec<u16>,
    /// Packed: of every block that is begun its significant coefficients.
    rows: Vec<Option<Arc<[Rows]>>>,
}

/// Where base chunks may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// This chunk (plane and number) must follow.
    Base(u8, u32),
    /// The last chunk was there; a header may follow that needs no base behind it.
    Closing,
    /// A header begins the opening once more.
    Detail,
    /// Something was wrong in the base: what is left of it may follow.
    Broken,
}

/// A segment's address while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partial {
    code: u8,
    plane: Option<u8>,
    number: usize,
    digits: u8,
}

/// Where in a piece the next byte stands.
#[derive(Debug, Clone)]
enum Place {
    /// Before the first marker.
    Start,
    /// Behind a byte that is not legal.
    Lost,
    Header {
        bytes: [u8; 32],
        len: u8,
    },
    /// The same bytes as before.
    Copy {
        of: Arc<[u8]>,
        at: usize,
    },
    /// The piece is whole.
    Done,
    /// Framing alone: so many bytes below a limit, then any number of them.
    Loose {
        need: u8,
        limit: u8,
    },
    Base {
        plane: u8,
        number: usize,
        /// Digits that are still to come.
        digits: u8,
        /// Bytes, the check included, that are still to come behind the number.
        left: u8,
        sums: base::Sums,
    },
    Palette {
        index: Option<u8>,
        left: u8,
    },
    User {
        digits: u8,
        left: u8,
    },
    File {
        bytes: [u8; 7],
        len: u8,
    },
    Address(Partial),
    /// Content of which nothing is asked.
    Free,
    Tokens(TokenPlane),
    Packed(Box<PackedPlane>),
}

/// The state of the automaton. A clone is independent and cheap: what grows with the picture is shared until it changes.
#[derive(Debug, Clone)]
pub struct Grammar {
    rules: Rules,
    limits: Limits,
    frame: Option<Arc<Frame>>,
    chains: Arc<Chains>,
    place: Place,
    /// The byte before was FF, and what it means is not known yet.
    pending: bool,
    opening: Opening,
    next_palette: u8,
    /// The number of the next chunk of user data; `None` after the last.
    next_user: Option<u32>,
    noted: bool,
    /// The segment that is read: its block, kind and highest plane.
    segment: (usize, u8, u8),
    /// Its bytes behind the address, where they may have to be repeated.
    capture: Option<Vec<u8>>,
    crc: crc32fast::Hasher,
    /// The piece is a check.
    checking: bool,
}

impl Grammar {
    /// The state before the first byte. Headers of pictures over `limits` are not legal.
    pub fn new(rules: Rules, limits: Limits) -> Grammar {
        Grammar {
            rules,
            limits,
            frame: None,
            chains: Arc::default(),
            place: Place::Start,
            pending: false,
            opening: Opening::Base(0, 0),
            next_palette: 0,
            next_user: Some(0),
            noted: false,
            segment: (0, 0, 0),
            capture: None,
            crc: crc32fast::Hasher::new(),
            checking: false,
        }
    }

    /// The picture, once its header is whole.
    pub fn picture(&self) -> Option<&Picture> {
        self.frame.as_deref().map(|f| &f.picture)
    }

    /// Whether the stream may end here with no piece cut. A prefix that ends elsewhere decodes as well, but for the
    /// last piece of it.
    pub fn may_end(&self) -> bool {
        !self.pending
            && self.frame.is_some()
            && self.is_whole()
            && !matches!(self.place, Place::Lost)
            && (self.rules == Rules::Framing || !matches!(self.opening, Opening::Base(..)))
    }

    /// Whether the last byte, or one of its piece, was not legal.
    pub fn is_lost(&self) -> bool {
        matches!(self.place, Place::Lost)
    }

    /// What the present segment can still take; `None` outside of contents and with rules that do not look into them.
    pub fn room(&self) -> Option<Room> {
        match &self.place {
            Place::Tokens(plane) => Some(plane.room()),
            Place::Packed(plane) => Some(plane.room()),
            _ => None,
        }
    }

    /// The segment of planes that the next byte belongs to: channel group, index of its block, highest plane, number of
    /// planes. `None` outside of contents.
    pub fn segment(&self) -> Option<(u8, usize, u8, u8)> {
        let frame = self.frame.as_deref()?;
        if !matches!(self.place, Place::Free | Place::Tokens(_) | Place::Packed(_)) || self.rules == Rules::Framing {
            return None;
        }
        let (block, kind, plane) = self.segment;
        let group = frame.geometry.blocks[block].group;
        Some((group, frame.geometry.index(block), plane, KINDS[usize::from(kind)].0))
    }

    /// The bytes that may come next. Never empty.
    pub fn allowed(&self) -> Mask {
        if self.pending {
            let mut mask = if self.is_whole() { self.codes() } else { Mask::NONE };
            if self.takes_ff() {
                mask.insert(0);
            }
            return mask;
        }
        let mut mask = self.inside();
        if self.is_whole() {
            mask.insert(0xFF);
        }
        mask
    }

    /// Whether a byte may come next: one bit of [`allowed`](Self::allowed), at less cost.
    pub fn is_allowed(&self, byte: u8) -> bool {
        if self.pending {
            return match byte {
                0 => self.takes_ff(),
                0xFF => false,
                code => self.is_whole() && self.codes().contains(code),
            };
        }
        match &self.place {
            Place::Packed(plane) => plane.allows(byte) || byte == 0xFF && self.is_whole(),
            _ => self.allowed().contains(byte),
        }
    }

    /// Takes the next byte; whether it was legal. Behind one that was not, bytes up to the next marker count for nothing.
    pub fn advance(&mut self, byte: u8) -> bool {
        if !self.pending {
            if byte == 0xFF {
                let legal = self.is_whole() || self.takes_ff();
                self.pending = true;
                if !legal {
                    self.lose();
                }
                return legal;
            }
            let legal = self.take(byte);
            self.crc.update(&[byte]);
            if !legal {
                self.lose();
            }
            return legal;
        }
        match byte {
            0xFF => {
                // The second of two may begin a marker.
                self.crc.update(&[0xFF]);
                self.lose();
                false
            }
            0 => {
                self.pending = false;
                let legal = self.takes_ff() && self.take(0xFF);
                self.crc.update(&[0xFF, 0]);
                if !legal {
                    self.lose();
                }
                legal
            }
            code => {
                self.pending = false;
                let whole = self.is_whole();
                if !whole {
                    self.lose();
                }
                let known = self.codes().contains(code);
                self.begin(code, known);
                self.crc.update(&[0xFF, code]);
                whole && known
            }
        }
    }

    /// How many of `bytes` are legal one after the other; the state stays as it is.
    pub fn legal_prefix(&self, bytes: &[u8]) -> usize {
        let mut ahead = self.clone();
        bytes.iter().position(|byte| !(ahead.is_allowed(*byte) && ahead.advance(*byte))).unwrap_or(bytes.len())
    }

    /// Drops the piece.
    fn lose(&mut self) {
        if self.frame.is_some() && matches!(self.opening, Opening::Base(..)) {
            self.opening = Opening::Broken;
        }
        self.place = Place::Lost;
        self.capture = None;
    }

    /// Whether the piece may end here.
    fn is_whole(&self) -> bool {
        match &self.place {
            Place::Start | Place::Lost | Place::Done | Place::Free => true,
            Place::Header { .. } | Place::Address(_) => false,
            Place::Copy { of, at } => *at == of.len(),
            Place::Loose { need, .. } => *need == 0,
            Place::Base { digits, left, .. } => *digits == 0 && *left == 0,
            Place::Palette { index, left } => index.is_some() && *left == 0,
            Place::User { digits, .. } => *digits == 0,
            Place::File { bytes, len } => self.note_allows(&bytes[..usize::from(*len)]).1,
            Place::Tokens(plane) => plane.is_whole(),
            Place::Packed(plane) => plane.is_whole(),
        }
    }

    /// Whether a byte FF of content, written `FF 00`, may come next.
    fn takes_ff(&self) -> bool {
        match &self.place {
            Place::Free => true,
            Place::Copy { of, at } => of.get(*at) == Some(&0xFF),
            Place::Palette { index, left } => index.is_some() && *left > 0,
            Place::User { digits, left } => *digits == 0 && *left > 0,
            Place::Packed(plane) => plane.allows(0xFF),
            _ => false,
        }
    }

    /// Bytes that go on with the piece; FF stands for one of content.
    fn inside(&self) -> Mask {
        match &self.place {
            Place::Start | Place::Lost | Place::Done => Mask::NONE,
            Place::Header { bytes, len } => header::allowed(&bytes[..usize::from(*len)], &self.limits),
            Place::Copy { of, at } => of.get(*at).map_or(Mask::NONE, |byte| Mask::of(*byte)),
            Place::Loose { limit, .. } => Mask::below(u16::from(*limit)),
            Place::Base { plane, number, digits: digits @ 1.., .. } => self.base_mask(*plane, *number, *digits),
            Place::Base { left, sums, .. } => match usize::from(*left) {
                0 => Mask::NONE,
                left if left <= self.base_check() => Mask::of(sums.bytes()[base::CHECK - left]),
                _ => Mask::below(255),
            },
            Place::Palette { index: None, .. } => match self.rules {
                Rules::Framing => Mask::below(16),
                _ => Mask::of(self.next_palette),
            },
            Place::Palette { left, .. } | Place::User { digits: 0, left } => match left {
                0 => Mask::NONE,
                _ => Mask::ALL,
            },
            Place::User { digits, .. } => match self.next_user.filter(|_| self.rules != Rules::Framing) {
                None => Mask::below(255),
                Some(next) => Mask::of((next / 255u32.pow(u32::from(*digits) - 1) % 255) as u8),
            },
            Place::File { bytes, len } => self.note_allows(&bytes[..usize::from(*len)]).0,
            Place::Address(partial) => self.address_mask(partial),
            Place::Free => Mask::ALL,
            Place::Tokens(plane) => plane.allowed(),
            Place::Packed(plane) => plane.allowed(),
        }
    }

    /// Takes a byte of the piece (FF: one of content); whether it was legal.
    fn take(&mut self, byte: u8) -> bool {
        if let Some(capture) = &mut self.capture {
            capture.push(byte);
            if byte == 0xFF {
                capture.push(0);
            }
        }
        // The payloads check for themselves.
        let legal = match &self.place {
            Place::Tokens(_) | Place::Packed(_) | Place::Free => true,
            Place::Lost => false,
            _ => self.inside().contains(byte),
        };
        if !legal {
            return false;
        }
        let check = self.base_check();
        match &mut self.place {
            Place::Start | Place::Lost | Place::Done => return false,
            Place::Free => {}
            Place::Header { bytes, len } => {
                bytes[usize::from(*len)] = byte;
                *len += 1;
                let (bytes, len) = (*bytes, usize::from(*len));
                if let Some((picture, n)) = Picture::parse(&bytes[..len]).filter(|(_, n)| *n == len) {
                    return self.start(picture, &bytes[..n]);
                }
            }
            Place::Copy { at, .. } => *at += if byte == 0xFF { 2 } else { 1 },
            Place::Loose { need, .. } => *need = need.saturating_sub(1),
            Place::Base { plane, number, digits, left, sums } => {
                if *digits > 0 {
                    *number = *number * 255 + usize::from(byte);
                    *digits -= 1;
                    let (plane, number) = (*plane, *number);
                    if *digits == 0 {
                        *left = self.frame.as_deref().map_or(0, |f| f.chunk_bytes(plane, number));
                        *sums = base::Sums::new(plane.into(), number);
                    }
                } else {
                    if usize::from(*left) > check {
                        *sums = sums.with(byte);
                    }
                    *left -= 1;
                    let (plane, number, left) = (*plane, *number, *left);
                    if left == 0 {
                        self.finish_chunk(plane, number);
                    }
                }
            }
            Place::Palette { index: index @ None, left } => {
                *index = Some(byte);
                *left = 4 * PALETTE_CHUNK as u8;
            }
            Place::Palette { left, .. } => {
                *left -= 1;
                if *left == 0 {
                    // Rules that do not look at numbers let in any number of pieces.
                    self.next_palette = self.next_palette.saturating_add(1);
                }
            }
            Place::User { digits: 0, left } => {
                *left -= 1;
                if *left == 0 {
                    // Full: another one follows.
                    self.next_user = self.next_user.map(|n| n + 1);
                }
            }
            Place::User { digits, .. } => *digits -= 1,
            Place::File { bytes, len } => {
                bytes[usize::from(*len)] = byte;
                *len += 1;
            }
            Place::Address(partial) => {
                let mut partial = *partial;
                let frame = self.frame.clone().expect("an address comes behind a header");
                if frame.picture.deep && partial.plane.is_none() {
                    partial.plane = Some(byte);
                } else {
                    partial.number = partial.number.saturating_mul(255).saturating_add(usize::from(byte));
                    partial.digits -= 1;
                }
                self.place = Place::Address(partial);
                if partial.digits == 0 {
                    return self.enter(&frame, partial);
                }
            }
            Place::Tokens(plane) => {
                let whole = plane.is_whole();
                let legal = !whole && self.frame.as_deref().is_some_and(|frame| plane.take(byte, frame));
                if legal && plane.is_whole() {
                    self.finish_segment();
                }
                return legal;
            }
            Place::Packed(plane) => {
                let whole = plane.is_whole();
                let legal = !whole && plane.take(byte);
                if legal && plane.is_whole() {
                    self.finish_segment();
                }
                return legal;
            }
        }
        true
    }
}
