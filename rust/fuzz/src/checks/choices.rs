//! Decisions made by the bytes of an input.

/// Reads decisions from bytes; behind their end all are zero.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Choices { bytes }
    }

    /// The last bytes of a file: they decide how it is looked at, so that any file is an input.
    pub fn from_tail(file: &'a [u8]) -> Self {
        Choices { bytes: &file[file.len().saturating_sub(16)..] }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u32) -> u32 {
        let number =
            if bound <= 256 { u32::from(self.byte()) } else { u32::from(self.word()) << 8 | u32::from(self.byte()) };
        number % bound
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }
}
