//! The small check of a content. Packed: the bits that the planes leave unused in the last byte depend on all other bits
//! and on the address. Tokens: which of six bytes ends a list depends on the bytes before it and on the address.

use std::ops::Range;

use crate::tokens::{REST, RESTS};

/// FNV-1a, 32 bits.
const BASIS: u32 = 0x811C_9DC5;
const PRIME: u32 = 0x0100_0193;
/// An odd factor with bits everywhere: the upper bits of the product depend on all lower ones.
const MIX: u32 = 0x2C1B_3C6D;

/// The state behind bytes of a segment, beginning with the code of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Check {
    state: u32,
    /// Streams may have none: then what the check would say is 0.
    on: bool,
}

impl Check {
    /// The state behind an address, the byte FF left out.
    #[inline]
    pub fn new(address: &[u8], on: bool) -> Check {
        Check { state: BASIS, on }.with_all(address)
    }

    /// The state one byte further.
    #[inline(always)]
    pub fn with(self, byte: u8) -> Check {
        Check { state: (self.state ^ u32::from(byte)).wrapping_mul(PRIME), ..self }
    }

    #[inline]
    pub fn with_all(self, bytes: &[u8]) -> Check {
        bytes.iter().fold(self, |check, byte| check.with(*byte))
    }

    /// The last byte of a content whose planes end with the low `used` (0 to 7) bits `low` of it: those bits, and above
    /// them the check. The state is that of the bytes before.
    #[inline]
    pub fn last_byte(self, low: u8, used: usize) -> u8 {
        if self.on { (self.with(low).mixed() << used) | low } else { low }
    }

    /// The byte that ends a list of tokens. The state is that of the bytes before.
    #[inline]
    pub fn rest(self) -> u8 {
        if self.on { REST + ((u32::from(self.mixed()) * u32::from(RESTS)) >> 8) as u8 } else { REST }
    }

    /// Eight bits that depend on all of the state.
    #[inline(always)]
    fn mixed(self) -> u8 {
        ((self.state ^ self.state >> 15).wrapping_mul(MIX) >> 24) as u8
    }

    /// The last byte of `content`, whose planes take `bits` bits; `content` reaches at least to it.
    #[inline]
    pub fn expected(self, content: &[u8], bits: usize) -> u8 {
        let (at, used) = (bits / 8, bits % 8);
        let low = content.get(at).map_or(0, |byte| byte & ((1 << used) - 1) as u8);
        self.with_all(&content[..at]).last_byte(low, used)
    }

    /// The first end of a list in a content of tokens that contradicts the bytes before it, and, as the start of the range,
    /// the end before that, or 0.
    pub fn first_contradiction(self, content: &[u8]) -> Option<Range<usize>> {
        let (mut check, mut before) = (self, 0);
        for (at, byte) in content.iter().enumerate() {
            if *byte >= REST {
                if *byte != check.rest() {
                    return Some(before..at);
                }
                before = at;
            }
            check = check.with(*byte);
        }
        None
    }

    /// Ends the lists of a content of tokens.
    pub fn seal_tokens(self, content: &mut [u8]) {
        let mut check = self;
        for byte in content.iter_mut().filter(|_| self.on) {
            if *byte >= REST {
                *byte = check.rest();
            }
            check = check.with(*byte);
        }
    }

    /// Ends the content of planes that take `bits` bits.
    pub fn seal(self, content: &mut Vec<u8>, bits: usize) {
        content.resize(bits / 8 + 1, 0);
        let last = self.expected(content, bits);
        content[bits / 8] = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of all changes of one byte, the share that a check of `8 - used` bits misses is about what its length says.
    #[test]
    fn changes_are_seen_as_often_as_the_length_of_the_check_says() {
        let address = [0x4F, 7];
        for used in 0..8usize {
            let bits = 8 * 20 + used;
            let mut content: Vec<u8> = (0..21).map(|i| (i * 89 % 251) as u8).collect();
            content[20] &= ((1 << used) - 1) as u8;
            Check::new(&address, true).seal(&mut content, bits);
            assert_eq!(Check::new(&address, true).expected(&content, bits), content[20]);
            let (mut missed, mut all) = (0.0, 0.0);
            let mut count = |address: &[u8], content: &[u8]| {
                all += 1.0;
                missed += f64::from(Check::new(address, true).expected(content, bits) == content[20]);
            };
            for change in 1..=255u8 {
                for at in 0..20 {
                    let mut wrong = content.clone();
                    wrong[at] ^= change;
                    count(&address, &wrong);
                }
                count(&[address[0] ^ change, address[1]], &content);
                count(&[address[0], address[1] ^ change], &content);
            }
            let expected = 0.5f64.powi(8 - used as i32);
            assert!((missed / all) < 1.3 * expected + 0.002, "{used} bits used: {missed} of {all}");
        }
    }
}
