//! Huffman codes as tables: what the next bits mean, in one look.

/// Bits that one look covers.
pub(super) const LOOK: u32 = 13;
/// Entries of a table.
pub(super) const ENTRIES: usize = 1 << LOOK;
/// Most bits that an entry takes: two looks fit into one refill.
const MOST_BITS: u32 = 24;

/// What the next bits mean, packed: bits 0 to 5 how many of them it is about, 8 to 15 by how many coefficients it leads
/// on, 16 to 31 the value of the last of these.
pub(super) type Entry = u32;

/// How far an end of block leads on: behind every end of a block that its coefficients may reach.
pub(super) const END_OF_BLOCK: u32 = 128;
/// How far an entry leads on whose bits say more than an entry can: from any coefficient to where none may lead.
pub(super) const RARE: u32 = 65;
/// Whether only codes that lead beyond their block come to this number of coefficients, or [`RARE`] entries.
pub(super) fn astray(reached: u32) -> bool {
    matches!(reached, 65..=128 | 192..)
}

/// The codes of a table of the file.
#[derive(Clone, Default)]
pub(super) struct Codes {
    /// For codes of n + 1 bits: the smallest longer code, left-aligned in 16 bits.
    above: [i32; 16],
    /// Where the symbols of codes of n + 1 bits start, less the first code.
    start: [i32; 16],
    symbols: Vec<u8>,
    dc: bool,
}

impl Codes {
    /// From the numbers of codes by length and the symbols; `None` if there are more codes than the lengths allow.
    pub fn new(spec: &[u8], dc: bool) -> Option<Codes> {
        let (counts, symbols) = spec.split_at_checked(16)?;
        let mut codes = Codes { above: [0; 16], start: [0; 16], symbols: symbols.to_vec(), dc };
        let (mut code, mut index) = (0u32, 0u32);
        for (n, count) in counts.iter().enumerate() {
            codes.start[n] = index as i32 - code as i32;
            (code, index) = (code + u32::from(*count), index + u32::from(*count));
            if code > 2 << n {
                return None;
            }
            codes.above[n] = (code << (15 - n)) as i32;
            code <<= 1;
        }
        Some(codes)
    }

    /// The code at the top of 16 bits: its length, how far its symbol leads on, and how many bits of a value follow.
    pub fn find(&self, bits: u32) -> Option<(u32, u32, u32)> {
        // A sum, not a search: the length cannot be foretold.
        let n: u32 = self.above.iter().map(|above| u32::from(bits as i32 >= *above)).sum();
        let index = self.start.get(n as usize)? + (bits >> (15 - n)) as i32;
        let symbol = *self.symbols.get(usize::try_from(index).ok()?)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        Some(match (self.dc, run, size) {
            // Beyond what a file of 8 bits may hold, and what an entry can.
            (true, 1.., _) => return None,
            (true, 0, size) => (n + 1, 1, size),
            (false, 15, 0) => (n + 1, 16, 0),
            (false, _, 0) => (n + 1, END_OF_BLOCK, 0),
            (false, run, size) => (n + 1, run + 1, size),
        })
    }

    /// Fills a table of [`ENTRIES`] that tells of one coefficient at a time.
    pub fn fill(&self, table: &mut [Entry]) {
        self.each(table, RARE << 8, |entries, length, on, size| {
            let bits = length + size;
            if bits > LOOK {
                return entries.fill(RARE << 8);
            }
            for (value, entries) in (0..).zip(entries.chunks_exact_mut(1 << (LOOK - bits))) {
                entries.fill(bits | on << 8 | (extend(value, size) as u32) << 16);
            }
        });
    }

    /// Fills a table of twice [`ENTRIES`] that tells of one or two AC coefficients at a time, or of one DC coefficient: each
    /// entry for all that a look covers, and behind it one for the first coefficient alone.
    pub fn fill_pairs(&self, table: &mut [Entry]) {
        let mut single = vec![0; ENTRIES];
        self.fill(&mut single);
        for (pattern, [both, first]) in table.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *first = single[pattern];
            *both = *first;
            let (used, on) = (*first & 63, *first >> 8 & 255);
            let then = single[pattern << used & (ENTRIES - 1)];
            let (more, further) = (then & 63, then >> 8 & 255);
            // What ends a block is the last of it, and no DC coefficient follows another.
            if !self.dc && used > 0 && on < END_OF_BLOCK && more > 0 && used + more <= LOOK {
                *both = (used + more) | (on + further) << 8 | then & 0xffff_0000;
            }
        }
    }

    /// Fills a table of [`ENTRIES`] that passes over as many AC coefficients as a look covers.
    pub fn fill_skipping(&self, table: &mut [Entry]) {
        // Length of the code, how far it leads on, bits with the value's.
        let mut single = vec![(0u8, 0u8, 0u8); ENTRIES];
        self.each(&mut single, (0, 0, 0), |entries, length, on, size| {
            entries.fill((length as u8, on as u8, (length + size) as u8));
        });
        for (pattern, entry) in table.iter_mut().enumerate() {
            let (mut used, mut passed) = (0, 0);
            while used < LOOK && passed < END_OF_BLOCK {
                let (length, on, bits) = single[pattern << used & (ENTRIES - 1)];
                let (length, on, bits) = (u32::from(length), u32::from(on), u32::from(bits));
                // What ends a block may end one of 63 coefficients; another code may not lead so far unseen.
                let far = passed + on > 63 && on != END_OF_BLOCK;
                if length == 0 || used + length > LOOK || used + bits > MOST_BITS || far {
                    break;
                }
                (used, passed) = (used + bits, passed + on);
            }
            *entry = if used == 0 { RARE << 8 } else { used | passed << 8 };
        }
    }

    /// Calls with the entries of every code that a look covers; the others are rare.
    fn each<T: Clone>(&self, table: &mut [T], rare: T, mut enter: impl FnMut(&mut [T], u32, u32, u32)) {
        let mut pattern = 0;
        while pattern < ENTRIES {
            match self.find((pattern as u32) << (16 - LOOK)) {
                Some((length, on, size)) if length <= LOOK => {
                    let alike = 1 << (LOOK - length);
                    enter(&mut table[pattern..pattern + alike], length, on, size);
                    pattern += alike;
                }
                _ => {
                    table[pattern] = rare.clone();
                    pattern += 1;
                }
            }
        }
    }
}

/// The value of `size` bits (F.2.2.1, EXTEND).
pub(super) fn extend(value: u32, size: u32) -> i32 {
    if size == 0 {
        0
    } else if value >> (size - 1) == 0 {
        value as i32 - (1 << size) + 1
    } else {
        value as i32
    }
}
