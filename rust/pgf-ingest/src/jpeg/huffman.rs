//! Huffman codes: tables that tell run and value in one look, and a reader of 64 bits at a time.

/// Bits of code and value that one look into the table covers.
const LOOK: u32 = 11;
/// Bits of codes that one look covers while coefficients are passed over.
const SKIP: u32 = 12;

/// What the next bits mean, packed: bits 0 to 7 the number of bits, 8 to 15 the run of zeros, 16 to 31 the value. Where
/// the value is beyond the look, bit 7 is set, the number of bits is the code's, and the value's size stands for it. 0 for
/// codes that are longer than a look.
type Entry = u32;
const VALUE_BEYOND: u32 = 1 << 7;

/// A table of codes for the differences of DC coefficients, or for runs and values of AC coefficients.
pub(super) struct Table {
    look: Box<[Entry; 1 << LOOK]>,
    /// What may be passed over: bits 0 to 4 their number, 5 to 11 the coefficients, 15 whether the block ends.
    skip: Option<Box<[u16; 1 << SKIP]>>,
    /// For codes of n bits: the smallest code of n + 1 bits or more, left-aligned in 16 bits.
    above: [u32; 17],
    /// Where the symbols of codes of n bits start, less the first code.
    start: [i32; 17],
    symbols: Vec<u8>,
    dc: bool,
}

/// Where a block ends: a run that leads behind it.
pub(super) const END_OF_BLOCK: u32 = 64;

impl Table {
    /// From the numbers of codes by length and the symbols; `None` if there are more codes than the lengths allow.
    pub fn new(spec: &[u8], dc: bool) -> Option<Table> {
        let (counts, symbols) = spec.split_at_checked(16)?;
        let mut table = Table {
            look: Box::new([0; 1 << LOOK]),
            skip: None,
            above: [0; 17],
            start: [0; 17],
            symbols: symbols.to_vec(),
            dc,
        };
        let (mut code, mut index) = (0u32, 0usize);
        for (length, count) in (1..=16u32).zip(counts) {
            table.start[length as usize] = index as i32 - code as i32;
            for _ in 0..*count {
                if code >> length != 0 {
                    return None;
                }
                table.enter(code, length, *symbols.get(index)?);
                (code, index) = (code + 1, index + 1);
            }
            table.above[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let (run, size) = split(symbol, self.dc);
        let bits = length + size;
        if length > LOOK {
            return;
        }
        let first = code << (LOOK - length);
        if bits > LOOK {
            let entry = length | VALUE_BEYOND | run << 8 | size << 16;
            self.look[first as usize..(first + (1 << (LOOK - length))) as usize].fill(entry);
            return;
        }
        for value in 0..1u32 << size {
            let entry = bits | run << 8 | (extend(value, size) as u32) << 16;
            let from = (first + (value << (LOOK - bits))) as usize;
            self.look[from..from + (1 << (LOOK - bits))].fill(entry);
        }
    }

    /// Also make the table that [`Bits::skip`] looks into.
    pub fn prepare_skipping(&mut self) {
        let mut skip = Box::new([0; 1 << SKIP]);
        for (pattern, entry) in (0u32..).zip(skip.iter_mut()) {
            let (mut used, mut passed, mut ends) = (0, 0, false);
            while !ends {
                let left = pattern << used & ((1 << SKIP) - 1);
                let Some((length, symbol)) = self.code(left << (16 - SKIP)) else { break };
                let (run, size) = split(symbol, false);
                let after = passed + if run >= END_OF_BLOCK { 0 } else { run + 1 };
                if used + length + size > SKIP || after > 63 {
                    break;
                }
                (used, passed, ends) = (used + length + size, after, run >= END_OF_BLOCK);
            }
            *entry = (used | passed << 5 | u32::from(ends) << 15) as u16;
        }
        self.skip = Some(skip);
    }

    /// The code at the top of 16 bits: its length and symbol.
    fn code(&self, bits: u32) -> Option<(u32, u8)> {
        let length = (1..=16).find(|n| bits < self.above[*n])?;
        let index = self.start[length] + (bits >> (16 - length)) as i32;
        Some((length as u32, *self.symbols.get(usize::try_from(index).ok()?)?))
    }
}

/// Run of zeros and bits of the value of a symbol (F.1.2.1.1, F.1.2.2.1).
fn split(symbol: u8, dc: bool) -> (u32, u32) {
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    match (dc, run, size) {
        (true, ..) => (0, u32::from(symbol).min(16)),
        (false, 15, 0) => (15, 0),
        (false, _, 0) => (END_OF_BLOCK, 0),
        _ => (run, size),
    }
}

/// The value of `size` bits (F.2.2.1, EXTEND).
fn extend(value: u32, size: u32) -> i32 {
    if size == 0 {
        0
    } else if value >> (size - 1) == 0 {
        value as i32 - (1 << size) + 1
    } else {
        value as i32
    }
}

/// A reader of the bits between two restarts, stuffing removed.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    /// The next bits, from the top.
    bits: u64,
    /// How many of them are there.
    held: u32,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Bits { data, position: 0, bits: 0, held: 0 }
    }

    /// Whether more bits were taken than there are; those were zeros.
    pub fn overran(&self) -> bool {
        self.position * 8 > self.data.len() * 8 + self.held as usize
    }

    /// Holds at least 56 bits afterwards. Done before every look: whether it is due cannot be foretold.
    #[inline(always)]
    fn refill(&mut self) {
        let next = match self.data.get(self.position..self.position + 8) {
            Some(next) => u64::from_be_bytes(next.try_into().expect("eight bytes")),
            None => last_bytes(self.data, self.position),
        };
        self.bits |= next >> self.held;
        self.position += ((63 - self.held) / 8) as usize;
        self.held |= 56;
    }

    #[inline(always)]
    fn take(&mut self, count: u32) {
        self.bits <<= count;
        self.held -= count;
    }

    /// The next run of zeros and the value behind it; the run is [`END_OF_BLOCK`] where the block ends.
    #[inline(always)]
    pub fn next(&mut self, table: &Table) -> Option<(u32, i32)> {
        self.refill();
        let entry = table.look[(self.bits >> (64 - LOOK)) as usize];
        let bits = entry & 0xff;
        if bits.wrapping_sub(1) < VALUE_BEYOND - 1 {
            self.take(bits);
            return Some((entry >> 8 & 0xff, entry as i32 >> 16));
        }
        let (length, run, size) =
            if bits == 0 { long(table, self.bits)? } else { (bits & !VALUE_BEYOND, entry >> 8 & 0xff, entry >> 16) };
        // Code and value take up to 32 bits.
        self.take(length);
        let value = if size == 0 { 0 } else { extend((self.bits >> (64 - size)) as u32, size) };
        self.take(size);
        Some((run, value))
    }

    /// Passes over the rest of a block from coefficient `k`.
    #[inline(always)]
    pub fn skip(&mut self, table: &Table, mut k: u32) -> Option<()> {
        let skip = table.skip.as_deref()?;
        while k < 64 {
            self.refill();
            let entry = u32::from(skip[(self.bits >> (64 - SKIP)) as usize]);
            let (bits, passed, ends) = (entry & 31, entry >> 5 & 127, entry >> 15);
            // Beyond the end of the block the bits are the next block's: there one at a time.
            if bits == 0 || k + passed + ends > 64 {
                let (run, _) = self.next(table)?;
                if run == END_OF_BLOCK {
                    return Some(());
                }
                k += run + 1;
                if k > 64 {
                    return None;
                }
                continue;
            }
            self.take(bits);
            if ends != 0 {
                return Some(());
            }
            k += passed;
        }
        Some(())
    }
}

// Apart from the reader, so that its state stays in registers.

#[cold]
#[inline(never)]
fn last_bytes(data: &[u8], position: usize) -> u64 {
    let mut bytes = [0; 8];
    let rest = data.get(position..).unwrap_or_default();
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

/// Length, run and size of a code that is longer than a look.
#[cold]
#[inline(never)]
fn long(table: &Table, bits: u64) -> Option<(u32, u32, u32)> {
    let (length, symbol) = table.code((bits >> 48) as u32)?;
    let (run, size) = split(symbol, table.dc);
    Some((length, run, size))
}
