//! The bits of a block: every part as rows of up to 32 bits, plane by plane, and the classes of its coefficients.

use crate::block::{Part, SIDE};
use pgf::Band;

/// One bit for every coefficient of a part; bit `x` of row `y`.
pub(crate) type Rows = [u32; SIDE];

/// Most planes of a magnitude.
pub(crate) const MAX_PLANES: usize = 32;

/// The state of one part: what is significant, the signs, and the magnitude planes.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    /// Coefficients with a one in a plane that is done; a row of zeros above and below.
    pub significant: [u32; SIDE + 2],
    /// 1 = negative; bits of insignificant coefficients mean nothing.
    pub negative: Rows,
    /// Magnitude bits; plane `n` has the value 2^n. Entries from `top` on mean nothing.
    pub planes: Vec<Rows>,
    /// Planes from here on are zero.
    pub top: usize,
    /// Decoding: all planes from here on are known for every coefficient.
    pub low: usize,
    /// Decoding: coefficients of which plane `low - 1` is known too.
    pub partial: Rows,
}

impl Tile {
    fn new() -> Tile {
        Tile {
            significant: [0; SIDE + 2],
            negative: [0; SIDE],
            planes: Vec::new(),
            top: 0,
            low: MAX_PLANES,
            partial: [0; SIDE],
        }
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.significant = [0; SIDE + 2];
        self.negative = [0; SIDE];
        self.partial = [0; SIDE];
        self.top = 0;
        self.low = MAX_PLANES;
    }

    /// Makes planes below `count` available, new ones as zeros.
    pub fn reserve(&mut self, count: usize) {
        if self.planes.len() < count {
            self.planes.resize(count, [0; SIDE]);
        }
    }

    /// Whether nothing is significant.
    #[inline(always)]
    pub fn is_blank(&self) -> bool {
        self.significant.iter().fold(0, |any, s| any | s) == 0
    }

    /// The rows of significance.
    pub fn rows(&self) -> &Rows {
        self.significant[1..=SIDE].try_into().expect("as many rows")
    }

    /// Adds the ones of plane `n` to what is significant.
    pub fn absorb(&mut self, n: usize) {
        if n < self.top {
            for (s, b) in self.significant[1..].iter_mut().zip(&self.planes[n]) {
                *s |= *b;
            }
        }
    }
}

/// What changes in a tile when planes are read, but for the planes themselves.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub significant: [u32; SIDE + 2],
    negative: Rows,
    partial: Rows,
    top: usize,
    low: usize,
}

/// The tiles of a block; made once and used for many blocks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tiles {
    pub tiles: Vec<Tile>,
}

/// The coefficients of a part that are not significant, by how likely they become so: most likely last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes {
    /// Those of a class of which there are none mean nothing.
    pub rows: [Rows; 3],
    /// How many there are; 0 in parts that have no bits in the plane.
    pub lengths: [u32; 3],
}

const NO_CLASSES: Classes = Classes { rows: [[0; SIDE]; 3], lengths: [0; 3] };

impl Tiles {
    /// Prepares for a block of so many parts.
    pub fn start(&mut self, parts: usize) {
        self.tiles.resize_with(parts.max(self.tiles.len()), Tile::new);
        for tile in &mut self.tiles[..parts] {
            tile.clear();
        }
    }

    /// Remembers the state, so that planes read from here on can be undone.
    pub fn mark(&self, parts: usize) -> Vec<Mark> {
        let mark = |t: &Tile| Mark {
            significant: t.significant,
            negative: t.negative,
            partial: t.partial,
            top: t.top,
            low: t.low,
        };
        self.tiles[..parts].iter().map(mark).collect()
    }

    /// Goes back to a state.
    pub fn restore(&mut self, marks: &[Mark]) {
        for (tile, mark) in self.tiles.iter_mut().zip(marks) {
            tile.significant = mark.significant;
            tile.negative = mark.negative;
            tile.partial = mark.partial;
            (tile.top, tile.low) = (mark.top, mark.low);
        }
    }

    /// Classifies all parts that have bits in plane `p` of the block; see [`classify`]. `room` is used again and again.
    #[inline(always)]
    pub fn classes<'a>(
        &'a mut self,
        parts: &[Part],
        p: usize,
        room: &'a mut Vec<Classes>,
    ) -> (&'a mut [Tile], &'a [Classes]) {
        room.resize(parts.len().max(room.len()), NO_CLASSES);
        for (i, (part, classes)) in parts.iter().zip(&mut *room).enumerate() {
            if is_active(part, p) {
                let siblings = siblings(parts, i).map(|s| s.map(|s| &self.tiles[s]));
                classify(part, &self.tiles[i], siblings, classes);
            } else {
                classes.lengths = [0; 3];
            }
        }
        (&mut self.tiles[..parts.len()], &room[..parts.len()])
    }
}

/// Whether a part has bits in plane `p` of its block.
#[inline(always)]
pub(crate) fn is_active(part: &Part, p: usize) -> bool {
    part.width > 0 && part.height > 0 && p >= usize::from(part.lift)
}

/// The other two bands of a part's level; LL has none.
fn siblings(parts: &[Part], i: usize) -> [Option<usize>; 2] {
    match parts[i].band {
        Band::LL => [None, None],
        Band::HL => [Some(i + 1), Some(i + 2)],
        Band::LH => [Some(i - 1), Some(i + 1)],
        Band::HH => [Some(i - 2), Some(i - 1)],
    }
}

/// Bits of the columns that a part has.
pub(crate) fn columns(part: &Part) -> u32 {
    if part.width >= 32 { u32::MAX } else { (1 << part.width) - 1 }
}

/// Class of every insignificant coefficient, from `sc`, twice the number of significant horizontal and vertical
/// neighbours plus that of diagonal neighbours and siblings: 2 from `sc` = 3 on, 1 from 1 on, else 0.
#[inline(always)]
fn classify(part: &Part, tile: &Tile, siblings: [Option<&Tile>; 2], out: &mut Classes) {
    const NONE: [u32; SIDE + 2] = [0; SIDE + 2];
    let columns = columns(part);
    let (height, area) = (usize::from(part.height), u32::from(part.width) * u32::from(part.height));
    if tile.is_blank() && siblings.iter().flatten().all(|t| t.is_blank()) {
        out.rows[0][..height].fill(columns);
        out.rows[0][height..].fill(0);
        out.lengths = [area, 0, 0];
        return;
    }
    let s = &tile.significant;
    let a = siblings[0].map_or(&NONE, |t| &t.significant);
    let b = siblings[1].map_or(&NONE, |t| &t.significant);
    let [none, some, most] = &mut out.rows;
    for y in 0..SIDE {
        let (above, here, below) = (s[y], s[y + 1], s[y + 2]);
        let (l, r) = (here << 1, here >> 1);
        let any4 = l | r | above | below;
        let two4 = (l & r) | (above & below) | ((l | r) & (above | below));
        let (d0, d1, d2) = (above << 1, above >> 1, below << 1);
        let (d3, e0, e1) = (below >> 1, a[y + 1], b[y + 1]);
        // Two full adders: ones and twos of the six.
        let (s0, c0) = (d0 ^ d1 ^ d2, (d0 & d1) | (d2 & (d0 | d1)));
        let (s1, c1) = (d3 ^ e0 ^ e1, (d3 & e0) | (e1 & (d3 | e0)));
        let any6 = s0 | s1 | c0 | c1;
        let three6 = (c0 & c1) | ((c0 | c1) & (s0 | s1));
        let two = two4 | (any4 & any6) | three6;
        let one = any4 | any6;
        let free = !here & columns;
        most[y] = two & free;
        some[y] = one & !two & free;
        none[y] = !(one | two) & free;
    }
    if height < SIDE {
        for rows in &mut out.rows {
            rows[height..].fill(0);
        }
    }
    let count = |rows: &Rows| words(rows).map(u64::count_ones).sum::<u32>();
    let (some, most) = (count(&out.rows[1]), count(&out.rows[2]));
    out.lengths = [area - count(tile.rows()) - some - most, some, most];
}

/// Rows two by two, as words: their bits in order are those of the rows in order.
#[inline(always)]
pub(crate) fn words(rows: &Rows) -> impl Iterator<Item = u64> {
    rows.as_chunks::<2>().0.iter().map(|[a, b]| u64::from(*a) | u64::from(*b) << 32)
}

/// Rows two by two, to be changed with [`add`].
#[inline(always)]
pub(crate) fn words_mut(rows: &mut Rows) -> impl Iterator<Item = &mut [u32; 2]> {
    rows.as_chunks_mut::<2>().0.iter_mut()
}

/// Adds ones to two rows.
#[inline(always)]
pub(crate) fn add(rows: &mut [u32; 2], bits: u64) {
    rows[0] |= bits as u32;
    rows[1] |= (bits >> 32) as u32;
}

/// A string of bits under construction or taken apart, 64 to the word.
#[derive(Debug, Clone)]
pub(crate) struct BitString {
    words: Vec<u64>,
    len: usize,
}

impl BitString {
    /// Room for all coefficients of any block.
    pub fn new() -> BitString {
        BitString { words: vec![0; 3], len: 0 }
    }

    pub fn clear(&mut self) {
        self.len = 0;
        self.words.clear();
        self.words.resize(3, 0);
    }

    /// `len` zeros.
    pub fn zeros(&mut self, len: usize) {
        self.len = len;
        self.words.clear();
        self.words.resize(len / 64 + 2, 0);
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends the low `count` (at most 64) bits of `bits`, whose higher bits are 0.
    #[inline(always)]
    pub fn push(&mut self, bits: u64, count: u32) {
        let (word, shift) = (self.len >> 6, self.len & 63);
        // One more word than is written: `get` reads two.
        if word + 3 > self.words.len() {
            self.words.push(0);
        }
        self.words[word] |= bits << shift;
        self.words[word + 1] |= (bits >> 1) >> (63 - shift);
        self.len += count as usize;
    }

    /// `count` (at most 64) bits at `at`.
    #[inline(always)]
    pub fn get(&self, at: usize, count: u32) -> u64 {
        let (word, shift) = (at >> 6, at & 63);
        let bits = self.words[word] >> shift | (self.words[word + 1] << 1) << (63 - shift);
        bits & low_bits(count)
    }

    #[inline(always)]
    pub fn set(&mut self, at: usize) {
        self.words[at >> 6] |= 1 << (at & 63);
    }

    /// Position of the first one from `at` on.
    #[inline(always)]
    pub fn next_one(&self, at: usize) -> Option<usize> {
        let mut word = at >> 6;
        let mut bits = *self.words.get(word)? & (u64::MAX << (at & 63));
        loop {
            if bits != 0 {
                return Some(64 * word + bits.trailing_zeros() as usize);
            }
            word += 1;
            bits = *self.words.get(word)?;
        }
    }
}

/// The low `count` (0 to 64) bits.
#[inline(always)]
pub(crate) fn low_bits(count: u32) -> u64 {
    if count == 0 { 0 } else { u64::MAX >> (64 - count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, coefficient by coefficient.
    fn slow_class(part: &Part, tile: &Tile, siblings: [Option<&Tile>; 2], x: usize, y: usize) -> Option<usize> {
        let at = |tile: &Tile, x: isize, y: isize| {
            let inside = (0..32).contains(&x) && (0..32).contains(&y);
            usize::from(inside && tile.significant[(y + 1) as usize] >> x & 1 == 1)
        };
        let (x, y) = (x as isize, y as isize);
        if x >= part.width.into() || y >= part.height.into() || at(tile, x, y) == 1 {
            return None;
        }
        let near: usize = [(1, 0), (-1, 0), (0, 1), (0, -1)].iter().map(|(dx, dy)| at(tile, x + dx, y + dy)).sum();
        let diagonal: usize =
            [(1, 1), (-1, 1), (1, -1), (-1, -1)].iter().map(|(dx, dy)| at(tile, x + dx, y + dy)).sum();
        let others: usize = siblings.iter().flatten().map(|t| at(t, x, y)).sum();
        Some(match 2 * near + diagonal + others {
            0 => 0,
            1 | 2 => 1,
            _ => 2,
        })
    }

    #[test]
    fn classes_are_what_the_definition_says() {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x as u32
        };
        for round in 0..40 {
            let (width, height) = if round % 3 == 0 { (32, 32) } else { (1 + next() % 32, 1 + next() % 32) };
            let part = Part {
                plane: 0,
                level: 1,
                band: Band::HL,
                x: 0,
                y: 0,
                width: width as u8,
                height: height as u8,
                lift: 0,
            };
            let mut random = || {
                let mut tile = Tile::new();
                for y in 0..height as usize {
                    tile.significant[y + 1] = next() & next() & next() & columns(&part);
                }
                tile
            };
            let (tile, a, b) = (random(), random(), random());
            let siblings = if round % 2 == 0 { [Some(&a), Some(&b)] } else { [None, None] };
            let mut classes = NO_CLASSES;
            classify(&part, &tile, siblings, &mut classes);
            for (class, rows) in classes.rows.iter().enumerate() {
                assert_eq!(classes.lengths[class], rows.iter().map(|r| r.count_ones()).sum::<u32>());
            }
            for y in 0..32 {
                for x in 0..32 {
                    let found: Vec<_> = (0..3).filter(|c| classes.rows[*c][y] >> x & 1 == 1).collect();
                    let expected: Vec<_> = slow_class(&part, &tile, siblings, x, y).into_iter().collect();
                    assert_eq!(found, expected, "at {x}, {y}");
                }
            }
        }
    }
}
