//! The inner loop: Huffman decoding of several streams at once.
//!
//! Each look into a table waits for the one before it, about fifteen cycles; looks of streams that know nothing of each
//! other fill the waiting. So that they can, what the data say decides about addresses and never about branches: every
//! look, of whatever stream and coefficient, does the same, and tables say what follows from it. Branches that cannot be
//! foretold (is this the last coefficient wanted? the last of its block?) would stop all streams at once.

use super::huffman::{Codes, ENTRIES, LOOK, astray, extend};

/// Most streams at once: a fourth fits into no register, and parts of small files are so short that the search for their
/// beginnings counts.
pub(super) const MOST: usize = 3;
/// Tables of [`ENTRIES`] that there is room for, a power of two.
pub(super) const TABLES: usize = 16;
/// Most blocks of an MCU, a power of two.
const BLOCKS: usize = 8;
/// States of a block: how many of its coefficients there are, and how far beyond its end a code may lead.
const STATES: usize = 256;
/// Coefficients that fit into the buffer.
pub(super) const ROOM: usize = 1 << 18;
/// Bits that may be taken beyond where a stream has to stop.
pub(super) const MORE_BITS: usize = 128;
/// Coefficients that may be written beyond where a stream has to stop.
pub(super) const MORE_ROOM: usize = 512;

/// Where the tables of codes begin, behind what follows every state of every block: the next state and its table.
const CODES: usize = 2 * PLACES;
/// Where it begins where each state's coefficient is put, and how far from there the next one's block is.
const PLACES: usize = BLOCKS * STATES;
/// A state that no code leads to.
const ASTRAY: u32 = PLACES as u32;
/// Bits of a state, this one included; where its table begins is above them.
const STATE_BITS: u32 = ASTRAY.ilog2() + 1;

/// Calls the function for as many streams as there are.
macro_rules! by_count {
    ($work:expr, $data:expr, $streams:expr, $one:ident, $two:ident, $three:ident) => {
        if $work.pairs {
            by_count!($work, $data, $streams, true, $one, $two, $three);
        } else {
            by_count!($work, $data, $streams, false, $one, $two, $three);
        }
    };
    ($work:expr, $data:expr, $streams:expr, $pairs:literal, $one:ident, $two:ident, $three:ident) => {
        if let Ok(streams) = $streams.try_into() {
            $one::<$pairs>($work, $data, streams);
        } else if let Ok(streams) = $streams.try_into() {
            $two::<$pairs>($work, $data, streams);
        } else if let Ok(streams) = $streams.try_into() {
            $three::<$pairs>($work, $data, streams);
        }
    };
}

/// One block of an MCU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Where the tables begin, in [`ENTRIES`], for the DC coefficient, for those that are wanted and for those that are passed over.
    pub tables: [usize; 3],
    /// Numbers of the codes of the DC coefficient and the others.
    pub codes: [usize; 2],
    /// The last coefficient wanted.
    pub wanted: usize,
    /// Where the coefficients are put, from the start of the block; those that are not wanted all at one place.
    pub places: [u8; 64],
    /// Coefficients that the block takes in the buffer, that place included.
    pub size: usize,
}

type Tables = [u32; CODES + (TABLES + 2) * ENTRIES];
type Values = [i16; ROOM];

/// Tables of the streams and what they decode.
pub(super) struct Work {
    /// All in one array: a look needs no more than a number to find its table.
    tables: Box<Tables>,
    pub values: Box<Values>,
    pub rarely: Rarely,
    /// Whether the tables are of [pairs](Codes::fill_pairs).
    pairs: bool,
}

/// What few looks need.
#[derive(Default)]
pub(super) struct Rarely {
    pub codes: Vec<Codes>,
    blocks: Vec<Block>,
    /// The blocks in which each stream met bits that are no code or lead beyond their block.
    pub astray: [Vec<usize>; MOST],
}

/// Where a stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// The next bit.
    pub bit: usize,
    /// The block of the MCU, times [`STATES`], and how many of its coefficients there are.
    state: u32,
    table: u32,
    /// Where the block is in the buffer.
    pub place: usize,
    /// From which bit and which place on it has to stop.
    pub stop: (usize, usize),
}

impl Stream {
    /// Whether it is between two MCUs.
    pub fn between(&self) -> bool {
        self.state == 0
    }

    /// Whether it is where it has to stop.
    #[inline(always)]
    pub fn stopped(&self) -> bool {
        self.bit >= self.stop.0 || self.place >= self.stop.1
    }
}

impl Work {
    pub fn new() -> Work {
        let zeros = |n| vec![0; n].into_boxed_slice();
        Work {
            tables: zeros(CODES + (TABLES + 2) * ENTRIES).try_into().expect("as many"),
            values: vec![0; ROOM].into_boxed_slice().try_into().expect("as many"),
            rarely: Rarely::default(),
            pairs: false,
        }
    }

    /// The entries of so many tables of codes.
    pub fn table(&mut self, number: usize, count: usize) -> &mut [u32] {
        &mut self.tables[CODES + number * ENTRIES..][..count * ENTRIES]
    }

    /// Prepares for MCUs of these blocks, with tables of pairs or of single coefficients.
    pub fn set_blocks(&mut self, blocks: &[Block], pairs: bool) {
        self.rarely.blocks = blocks.to_vec();
        self.pairs = pairs;
        for (number, block) in blocks.iter().enumerate() {
            let next = (number + 1) % blocks.len();
            for state in 0..STATES {
                let here = (number * STATES) as u32;
                let table = |tables: &[usize; 3], which: usize| (tables[which] * ENTRIES) as u32;
                let (state_then, table_then, moves) = match state {
                    0 => (here, table(&block.tables, 0), 0),
                    1..64 => (here + state as u32, table(&block.tables, if state > block.wanted { 2 } else { 1 }), 0),
                    _ if astray(state as u32) => (ASTRAY, 0, 0),
                    _ => ((next * STATES) as u32, table(&blocks[next].tables, 0), block.size as u32),
                };
                let place = block.places[(state.max(1) - 1).min(63)];
                let at = number * STATES + state;
                self.tables[at] = state_then | table_then << STATE_BITS;
                self.tables[PLACES + at] = u32::from(place) | moves << 8;
            }
        }
    }

    /// A stream whose next bit begins an MCU.
    pub fn stream(&self, bit: usize, place: usize) -> Stream {
        let table = (self.rarely.blocks[0].tables[0] * ENTRIES) as u32;
        Stream { bit, state: 0, table, place, stop: (0, 0) }
    }

    /// Where in the buffer the MCU begins that the stream is in.
    pub fn start_of_mcu(&self, stream: &Stream) -> usize {
        let before = &self.rarely.blocks[..stream.state as usize / STATES];
        stream.place - before.iter().map(|block| block.size).sum::<usize>()
    }

    /// Goes on until one of the streams has to stop.
    pub fn run(&mut self, data: &[u8], streams: &mut [Stream]) {
        self.rarely.astray.iter_mut().for_each(Vec::clear);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt")
        {
            // SAFETY: the processor has all that the function is compiled for.
            #[allow(unsafe_code)]
            unsafe {
                run_bmi2(self, data, streams);
            }
            return;
        }
        by_count!(self, data, streams, one, two, three);
    }

    /// Goes on to the start of the next MCU; `false` where the stream goes astray or ends before.
    pub fn walk(&mut self, data: &[u8], stream: &mut Stream) -> bool {
        if self.pairs { self.walk_as::<true>(data, stream) } else { self.walk_as::<false>(data, stream) }
    }

    fn walk_as<const PAIRS: bool>(&mut self, data: &[u8], stream: &mut Stream) -> bool {
        self.rarely.astray[0].clear();
        let begun = stream.place;
        while stream.bit <= 8 * data.len() {
            let bits = window(data, stream.bit);
            *stream = look::<PAIRS>(&self.tables, &mut self.values, &mut self.rarely, 0, data, bits, *stream).1;
            if stream.between() && stream.place > begun {
                return self.rarely.astray[0].is_empty();
            }
        }
        false
    }
}

/// The next 57 bits or more, from the top; zeros behind the end.
#[inline(always)]
fn window(data: &[u8], bit: usize) -> u64 {
    match data.get(bit / 8..bit / 8 + 8) {
        Some(next) => u64::from_be_bytes(next.try_into().expect("eight bytes")) << (bit % 8),
        None => last_bytes(data, bit),
    }
}

#[cold]
#[inline(never)]
fn last_bytes(data: &[u8], bit: usize) -> u64 {
    let mut bytes = [0; 8];
    let rest = data.get(bit / 8..).unwrap_or_default();
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes) << (bit % 8)
}

/// One look of a stream into its table, and what follows from it. Takes at most 31 of the bits.
#[inline(always)]
fn look<const PAIRS: bool>(
    tables: &Tables,
    values: &mut Values,
    rarely: &mut Rarely,
    number: usize,
    data: &[u8],
    mut bits: u64,
    mut stream: Stream,
) -> (u64, Stream) {
    let index = (bits >> (64 - LOOK) << u32::from(PAIRS)) as usize + stream.table as usize % (TABLES * ENTRIES);
    let mut entry = tables[CODES + index];
    let mut first = if PAIRS { tables[CODES + index + 1] } else { entry };
    let mut state = (stream.state + (entry >> 8 & 0xff)) as usize % PLACES;
    let mut then = tables[state];
    if then & ASTRAY != 0 {
        bits = window(data, stream.bit);
        entry = rare(rarely, number, bits, stream.state, stream.place);
        first = entry;
        state = (stream.state + (entry >> 8 & 0xff)) as usize % PLACES;
        then = tables[state];
    }
    if PAIRS {
        // Of a single coefficient it is the same.
        let what = tables[PLACES + (stream.state + (first >> 8 & 0xff)) as usize % PLACES];
        values[(stream.place + (what & 0xff) as usize) % ROOM] = (first >> 16) as i16;
    }
    let what = tables[PLACES + state];
    bits <<= entry & 63;
    stream.bit += (entry & 63) as usize;
    values[(stream.place + (what & 0xff) as usize) % ROOM] = (entry >> 16) as i16;
    stream.place += (what >> 8) as usize;
    stream.state = then % ASTRAY;
    stream.table = then >> STATE_BITS;
    (bits, stream)
}

/// An entry for bits that the tables have none for: long codes and values, and codes at the very end of a block. Where
/// they are no code, one bit is passed over.
#[cold]
#[inline(never)]
fn rare(rarely: &mut Rarely, number: usize, bits: u64, state: u32, place: usize) -> u32 {
    let (block, state) = (&rarely.blocks[state as usize / STATES], state % STATES as u32);
    let codes = &rarely.codes[block.codes[usize::from(state > 0)]];
    match codes.find((bits >> 48) as u32) {
        Some((length, on, size)) if !astray(state + on) => {
            let value = extend(((bits << length) >> 1 >> (63 - size)) as u32, size);
            let wanted = state as usize <= block.wanted;
            (length + size) | on << 8 | if wanted { (value as u32) << 16 } else { 0 }
        }
        _ => {
            let blocks = &mut rarely.astray[number];
            if blocks.last() != Some(&place) {
                blocks.push(place);
            }
            1
        }
    }
}

/// The loop over so many streams, each with its state in variables of its own.
macro_rules! run {
    ($name:ident, $with_bmi2:ident, $count:literal: $($stream:ident $bits:ident $number:literal),*) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
        fn $with_bmi2<const PAIRS: bool>(work: &mut Work, data: &[u8], streams: &mut [Stream; $count]) {
            $name::<PAIRS>(work, data, streams);
        }

        #[inline(always)]
        fn $name<const PAIRS: bool>(work: &mut Work, data: &[u8], streams: &mut [Stream; $count]) {
            let Work { tables, values, rarely, .. } = work;
            let (tables, values) = (&**tables, &mut **values);
            let [$(mut $stream),*] = *streams;
            $(let mut $bits;)*
            loop {
                $($bits = window(data, $stream.bit);)*
                $(($bits, $stream) = look::<PAIRS>(tables, values, rarely, $number, data, $bits, $stream);)*
                $((_, $stream) = look::<PAIRS>(tables, values, rarely, $number, data, $bits, $stream);)*
                $($bits = window(data, $stream.bit);)*
                $(($bits, $stream) = look::<PAIRS>(tables, values, rarely, $number, data, $bits, $stream);)*
                $((_, $stream) = look::<PAIRS>(tables, values, rarely, $number, data, $bits, $stream);)*
                if $($stream.stopped())||* {
                    break;
                }
            }
            *streams = [$($stream),*];
        }
    };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn run_bmi2(work: &mut Work, data: &[u8], streams: &mut [Stream]) {
    by_count!(work, data, streams, one_bmi2, two_bmi2, three_bmi2);
}

run!(one, one_bmi2, 1: a a_bits 0);
run!(two, two_bmi2, 2: a a_bits 0, b b_bits 1);
run!(three, three_bmi2, 3: a a_bits 0, b b_bits 1, c c_bits 2);
