//! Sets of bytes.

/// A set of bytes, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mask(pub [u64; 4]);

impl Mask {
    /// No byte.
    pub const NONE: Mask = Mask([0; 4]);
    /// Every byte.
    pub const ALL: Mask = Mask([u64::MAX; 4]);

    /// One byte.
    pub fn of(byte: u8) -> Mask {
        let mut mask = Mask::NONE;
        mask.insert(byte);
        mask
    }

    /// All bytes below `end`, at most 256.
    pub fn below(end: u16) -> Mask {
        Mask::range(0, end)
    }

    /// The bytes from `start` to below `end`, at most 256.
    pub fn range(start: u16, end: u16) -> Mask {
        let low = |end: u16, word: u16| match end.saturating_sub(64 * word) {
            n @ 0..64 => (1u64 << n) - 1,
            _ => u64::MAX,
        };
        Mask(std::array::from_fn(|word| low(end, word as u16) & !low(start.min(end), word as u16)))
    }

    /// The bytes whose low `depth` bits are those of `path`.
    pub(super) fn every(path: u8, depth: u32) -> Mask {
        let mut mask = Mask::of(path);
        (depth..8).for_each(|bit| mask.spread(bit));
        mask
    }

    /// Adds every byte that differs from one in the set in this bit; the bit is 0 in all of them.
    pub(super) fn spread(&mut self, bit: u32) {
        match bit {
            0..6 => self.0.iter_mut().for_each(|word| *word |= *word << (1 << bit)),
            6 => (self.0[1], self.0[3]) = (self.0[1] | self.0[0], self.0[3] | self.0[2]),
            _ => (self.0[2], self.0[3]) = (self.0[2] | self.0[0], self.0[3] | self.0[1]),
        }
    }

    /// Whether a byte is in the set.
    pub fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Adds those of another set.
    pub fn join(&mut self, other: Mask) {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a |= b;
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The bytes, ascending.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|b| self.contains(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_do_not_matter_are_left_open() {
        for depth in 0..=8 {
            for path in 0..1u32 << depth {
                let mask = Mask::every(path as u8, depth);
                assert!((0..=255u8).all(|b| mask.contains(b) == (u32::from(b) & ((1 << depth) - 1) == path)));
            }
        }
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (start, end) in [(0, 0), (0, 1), (0, 64), (3, 130), (64, 128), (200, 256), (0, 256), (9, 9), (20, 4)] {
            let mask = Mask::range(start, end);
            assert!((0..=255u8).all(|b| mask.contains(b) == (start..end).contains(&u16::from(b))), "{start} {end}");
            assert_eq!(mask.len(), usize::from(end.saturating_sub(start)));
            assert_eq!(mask.bytes().count(), mask.len());
        }
    }
}
