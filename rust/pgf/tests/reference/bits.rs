//! Bits of code words (section 12.1): bit `p` of a code is bit `p % 32` of word `p / 32`.

use super::Result;

/// Rounds a bit position up to the next word border.
pub fn align(p: usize) -> usize {
    p.div_ceil(32) * 32
}

/// Reads single bits of a code; a position behind the last bit that is there is an error.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    pub words: &'a [u32],
    /// Bits that are there; the last word may be cut.
    pub bits: usize,
}

impl Code<'_> {
    pub fn bit(&self, p: usize) -> Result<bool> {
        if p >= self.bits {
            return Err(format!("code bit {p} is behind the {} bits of the macroblock", self.bits));
        }
        Ok(self.words[p / 32] >> (p % 32) & 1 == 1)
    }

    /// A number of `count` bits whose least significant bit is at `p`.
    pub fn bits(&self, p: usize, count: usize) -> Result<usize> {
        let mut value = 0;
        for i in 0..count {
            if self.bit(p + i)? {
                value |= 1 << i;
            }
        }
        Ok(value)
    }
}

/// A position in a code that moves on with every bit.
pub struct Cursor<'a> {
    pub code: Code<'a>,
    pub pos: usize,
}

impl Cursor<'_> {
    pub fn next_bit(&mut self) -> Result<bool> {
        let bit = self.code.bit(self.pos)?;
        self.pos += 1;
        Ok(bit)
    }

    pub fn next_bits(&mut self, count: usize) -> Result<usize> {
        let value = self.code.bits(self.pos, count)?;
        self.pos += count;
        Ok(value)
    }
}

/// Words under construction; they grow with zeros as far as bits are written.
pub struct Words(pub Vec<u32>);

impl Words {
    pub fn set_bit(&mut self, p: usize, bit: bool) {
        if p / 32 >= self.0.len() {
            self.0.resize(p / 32 + 1, 0);
        }
        if bit {
            self.0[p / 32] |= 1 << (p % 32);
        } else {
            self.0[p / 32] &= !(1 << (p % 32));
        }
    }

    pub fn set_bits(&mut self, p: usize, count: usize, value: usize) {
        for i in 0..count {
            self.set_bit(p + i, value >> i & 1 == 1);
        }
    }

    pub fn set_list(&mut self, p: usize, list: &[bool]) {
        for (i, &bit) in list.iter().enumerate() {
            self.set_bit(p + i, bit);
        }
    }

    /// Writes `list` as whole words, unused bits of the last one zero; returns the position behind them.
    pub fn set_whole_words(&mut self, p: usize, list: &[bool]) -> usize {
        let end = p + align(list.len());
        for i in 0..end - p {
            self.set_bit(p + i, list.get(i).copied().unwrap_or(false));
        }
        end
    }
}

/// Appends a number of `count` bits, least significant bit first.
pub fn push_bits(out: &mut Vec<bool>, count: usize, value: usize) {
    for i in 0..count {
        out.push(value >> i & 1 == 1);
    }
}
