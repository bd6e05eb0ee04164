//! Where every byte of a stream stands: what the next one is about, and which coefficient it goes on from.
//!
//! All of it follows from the bytes before, so a program that writes a stream byte by byte knows it too. A model that is
//! told so need not count zero runs to know where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Frame, Grammar, Place, Rules, TokenPlane};
use crate::base;
use crate::block::Part;
use crate::tile::{Rows, columns, is_active};
use crate::tokens::{PAIR_GAPS, PAIRS, REST, ZEROS};
use pgf::{Band, Limits};

/// What the next byte is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// A piece begins: its first byte is due, or may come.
    Marker,
    /// The code of a marker, or an address.
    Address,
    /// A picture header.
    Header,
    /// A value of the base.
    Base,
    /// A list of coefficients that become significant.
    List,
    /// Bits of coefficients that are significant.
    Refinement,
    /// Other content: packed planes, palettes, user data, what is there twice.
    Content,
    /// Behind a byte that is not legal: nothing counts before the next marker.
    Lost,
}

/// A bit of a coefficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spot {
    /// The channel: the plane of the picture.
    pub channel: u8,
    /// 1 is the finest; that of the base is the coarsest, 0 in pictures without levels.
    pub level: u8,
    /// The band; LL is the base or what it leaves.
    pub band: Band,
    /// Logarithm of what the bit is worth in the picture, base 2, up to a constant; of base values that of their lowest.
    pub weight: u8,
    /// The middle of the pixels that the coefficient stands for.
    pub row: u32,
    /// As `row`.
    pub column: u32,
}

/// Where the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// What it is about.
    pub next: Next,
    /// The coefficient that it goes on from: the first that it can tell of. `None` where there is none, and in packed planes.
    pub spot: Option<Spot>,
}

/// Follows one stream. A clone is independent; it copies which coefficients of the blocks so far are significant.
#[derive(Debug, Clone)]
pub struct Positions {
    grammar: Grammar,
    /// Tokens: the significant coefficients of the parts of every block that is begun.
    significant: BTreeMap<usize, Box<[Rows]>>,
    /// Those of the block that is read, before the present plane and with those found in it.
    before: Box<[Rows]>,
    now: Box<[Rows]>,
}

/// The n-th set bit over rows, as row and column.
fn nth(rows: impl Iterator<Item = u32>, mut n: u32) -> Option<(u32, u32)> {
    for (y, mut row) in rows.enumerate() {
        let ones = row.count_ones();
        if n < ones {
            (0..n).for_each(|_| row &= row - 1);
            return Some((y as u32, row.trailing_zeros()));
        }
        n -= ones;
    }
    None
}

fn open<'a>(part: &'a Part, rows: &'a Rows) -> impl Iterator<Item = u32> + 'a {
    rows.iter().take(part.height.into()).map(|row| !row & columns(part))
}

impl Frame {
    fn spot(&self, part: &Part, plane: u8, (row, column): (u32, u32)) -> Spot {
        self.place(part.plane, part.level, part.band, (part.y + row, part.x + column), plane - part.lift)
    }

    fn base_spot(&self, plane: u8, number: usize, value: usize) -> Option<Spot> {
        let (width, height) = base::size(&self.picture, plane.into());
        let at = number * base::CHUNK + value;
        let (x, y) = base::position(width, height, at)?;
        Some(self.place(plane, self.geometry.levels, Band::LL, (y as u32, x as u32), 0))
    }

    /// Of bit `bit` of the coefficient at a row and column of a band.
    fn place(&self, channel: u8, level: u8, band: Band, (row, column): (u32, u32), bit: u8) -> Spot {
        let header = &self.picture.header;
        let lowest = crate::block::weight_of(header, self.geometry.levels, level, band);
        // Halved colour differences: pixels of the picture, not of the plane.
        let (width, _) = header.plane_size(channel.into());
        let scale = if width < header.width as usize { 2 } else { 1 };
        let middle = |n: u32| (((scale * (2 * u64::from(n) + 1)) << level) >> 1) as u32;
        Spot { channel, level, band, weight: lowest + bit, row: middle(row), column: middle(column) }
    }
}

impl Positions {
    /// The state before the first byte. Headers of pictures over `limits` are taken for damage.
    pub fn new(limits: Limits) -> Positions {
        Positions {
            grammar: Grammar::new(Rules::Payload, limits),
            significant: BTreeMap::new(),
            before: Box::default(),
            now: Box::default(),
        }
    }

    /// Takes a byte; where the next one stands.
    pub fn advance(&mut self, byte: u8) -> Position {
        let walk = self.walk();
        let legal = self.grammar.advance(byte);
        let after = self.walk();
        match (walk, after) {
            (None, Some(plane)) => self.enter(&plane),
            (Some(plane), Some(after)) if legal && !self.grammar.pending => self.follow(plane, &after, byte),
            _ => {}
        }
        self.position()
    }

    /// The plane of tokens that is read.
    fn walk(&self) -> Option<TokenPlane> {
        match &self.grammar.place {
            Place::Tokens(plane) => Some(*plane),
            _ => None,
        }
    }

    fn enter(&mut self, plane: &TokenPlane) {
        let Some(frame) = self.grammar.frame.as_deref() else { return };
        let parts = frame.geometry.parts_of(plane.block()).len();
        self.before = match self.significant.get(&plane.block()) {
            Some(rows) => rows.clone(),
            None => vec![Rows::default(); parts].into(),
        };
        self.now = self.before.clone();
    }

    /// Notes what a byte makes significant.
    fn follow(&mut self, mut plane: TokenPlane, after: &TokenPlane, byte: u8) {
        let Some(frame) = self.grammar.frame.as_deref() else { return };
        let parts = frame.geometry.parts_of(plane.block());
        if !plane.is_refining() {
            let (first, second) = match byte {
                ZEROS | REST.. => (None, None),
                PAIRS.. => {
                    let runs = u32::from(byte - PAIRS) / 4;
                    (Some(runs / PAIR_GAPS as u32), Some(runs % PAIR_GAPS as u32))
                }
                _ => (Some(u32::from(byte) / 2), None),
            };
            for zeros in [first, second].into_iter().flatten() {
                plane.skip(zeros);
                let found =
                    plane.next().and_then(|(part, at)| Some((part, nth(open(&parts[part], &self.before[part]), at)?)));
                if let Some((part, (y, x))) = found {
                    self.now[part][y as usize] |= 1 << x;
                }
                plane.skip(1);
            }
        }
        if after.planes() < plane.planes() {
            self.before.clone_from(&self.now);
            if after.is_whole() {
                self.significant.insert(plane.block(), self.now.clone());
            }
        }
    }

    /// Where the next byte stands.
    pub fn position(&self) -> Position {
        let grammar = &self.grammar;
        let only = |next| Position { next, spot: None };
        if grammar.pending {
            return only(Next::Address);
        }
        let Some(frame) = grammar.frame.as_deref() else {
            return only(match grammar.place {
                Place::Header { .. } => Next::Header,
                Place::Start => Next::Marker,
                _ => Next::Lost,
            });
        };
        match &grammar.place {
            Place::Lost => only(Next::Lost),
            Place::Start | Place::Done => only(Next::Marker),
            Place::Header { .. } => only(Next::Header),
            Place::Base { digits: 1.., .. } | Place::Address(_) | Place::Palette { index: None, .. } => {
                only(Next::Address)
            }
            Place::Base { plane, number, left, .. } => {
                let check = base::check_bytes(&frame.picture);
                let left = usize::from(*left);
                if left == 0 {
                    return only(Next::Marker);
                }
                let value = usize::from(frame.chunk_bytes(*plane, *number)) - left;
                let spot = if left > check { frame.base_spot(*plane, *number, value) } else { None };
                Position { next: Next::Base, spot }
            }
            Place::Tokens(plane) if plane.is_whole() => only(Next::Marker),
            Place::Tokens(plane) => self.in_plane(frame, plane),
            Place::Packed(plane) if plane.is_whole() => only(Next::Marker),
            Place::Copy { of, at } if *at == of.len() => only(Next::Marker),
            Place::Copy { of, .. } if Arc::ptr_eq(of, &frame.header) => only(Next::Header),
            Place::Palette { left: 0, .. } | Place::User { digits: 0, left: 0 } => only(Next::Marker),
            Place::User { digits: 1.., .. } => only(Next::Address),
            _ => only(Next::Content),
        }
    }

    fn in_plane(&self, frame: &Frame, plane: &TokenPlane) -> Position {
        let parts = frame.geometry.parts_of(plane.block());
        if !plane.is_refining() {
            let spot = plane.next().and_then(|(part, at)| {
                let place = nth(open(&parts[part], &self.before[part]), at)?;
                Some(frame.spot(&parts[part], plane.plane(), place))
            });
            return Position { next: Next::List, spot };
        }
        let active = || parts.iter().zip(&self.before).filter(|(part, _)| is_active(part, plane.plane().into()));
        let ones = |rows: &Rows| rows.iter().map(|row| row.count_ones()).sum::<u32>();
        let mut at = active().map(|(_, rows)| ones(rows)).sum::<u32>() - plane.room().refinement;
        let mut spot = None;
        for (part, rows) in active() {
            if let Some(place) = nth(rows.iter().copied(), at) {
                spot = Some(frame.spot(part, plane.plane(), place));
                break;
            }
            at -= ones(rows);
        }
        Position { next: Next::Refinement, spot }
    }
}
