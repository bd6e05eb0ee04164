//! Macroblocks on disk (format section 11) and the chain that they form.

use crate::bitplane::MAX_WORDS;
use crate::scan::Block;

/// Bit 15 of a ROI file's tile header: the last macroblock of its tile.
const LAST_OF_TILE: u16 = 0x8000;

/// The tile header that the geometry predicts for a macroblock of a ROI file (format section 13.3).
pub(crate) fn tile_header(block: &Block) -> u16 {
    block.values as u16 | if block.last { LAST_OF_TILE } else { 0 }
}

/// Bytes in front of a macroblock's code words.
pub(crate) fn head_bytes(roi: bool) -> usize {
    if roi { 4 } else { 2 }
}

/// Where a macroblock's code lies in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// All of its words are there.
    Whole { head: usize, start: usize, end: usize },
    /// Its head is there and `end - start` bytes of code; more are missing or cannot be told from what follows.
    Part { head: usize, start: usize, end: usize },
    /// Nothing of it is there.
    Missing,
}

/// The head of a macroblock as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub words: usize,
    /// The tile header; 0 in plain files.
    pub tile: u16,
}

/// Reads the head at byte `at`, if all of it is there.
pub(crate) fn read_head(data: &[u8], at: usize, roi: bool) -> Option<Head> {
    let bytes = data.get(at..at + head_bytes(roi))?;
    let words = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let tile = if roi { u16::from_le_bytes([bytes[2], bytes[3]]) } else { 0 };
    Some(Head { words, tile })
}

/// The chain of macroblocks as the stored lengths tell it.
#[derive(Debug)]
pub(crate) struct Chain {
    /// One place for every macroblock asked for.
    pub places: Vec<Place>,
    /// Behind the last macroblock that was found.
    pub end: usize,
    /// The first contradiction: `(macroblock, field, message)`. What follows it is missing.
    pub broken: Option<(usize, &'static str, String)>,
    /// The data ended before the last macroblock did.
    pub cut: bool,
}

/// Follows the chain from byte `start` for the given macroblocks.
pub(crate) fn follow(data: &[u8], start: usize, blocks: &[Block], roi: bool) -> Chain {
    let mut chain = Chain { places: Vec::with_capacity(blocks.len()), end: start, broken: None, cut: false };
    let mut at = start;
    for (index, block) in blocks.iter().enumerate() {
        let Some(head) = read_head(data, at, roi) else {
            chain.cut = true;
            break;
        };
        if head.words == 0 || head.words > MAX_WORDS {
            let message = format!("{} words: between 1 and {MAX_WORDS} are possible", head.words);
            chain.broken = Some((index, "wordLen", message));
            break;
        }
        if roi && head.tile != tile_header(block) {
            let message = format!("{:#06x}: the geometry asks for {:#06x}", head.tile, tile_header(block));
            chain.broken = Some((index, "tile header", message));
            break;
        }
        let code = at + head_bytes(roi);
        let end = code + 4 * head.words;
        if end > data.len() {
            chain.places.push(Place::Part { head: at, start: code, end: data.len() });
            chain.end = data.len();
            chain.cut = true;
            break;
        }
        chain.places.push(Place::Whole { head: at, start: code, end });
        at = end;
        chain.end = end;
    }
    chain.places.resize(blocks.len(), Place::Missing);
    chain
}
