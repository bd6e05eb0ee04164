//! Which bytes of a file a level and a region need, for readers that fetch only those.
//!
//! A file has no table of its macroblocks: each says how long it is, so they are found one after the other. The level
//! lengths of the header let a search in a ROI file start at a level; a list of all word lengths, made once with
//! [`ByteMap::word_lengths`], makes searching unnecessary.

use crate::bitplane::MAX_WORDS;
use crate::coefficients::{PlaneLayout, Rect, Target};
use crate::error::{Error, Result};
use crate::header::{FileHeader, Limits, flags};
use crate::image::Mode;
use crate::macroblock::{head_bytes, read_head, tile_header};
use crate::scan::{Block, Group, Order, Run, Style, block_counts, block_parts, run_is_wanted};

/// Where the macroblocks of a file lie, as far as it is known.
#[derive(Debug, Clone)]
pub struct ByteMap {
    file: FileHeader,
    size: u64,
    roi: bool,
    order: Order,
    blocks: Vec<Block>,
    /// Where each macroblock starts; `UNKNOWN` if it was not found yet.
    starts: Vec<u64>,
    /// Where each macroblock ends, by its own length; `UNKNOWN` if that was not read yet.
    ends: Vec<u64>,
    /// Macroblocks whose start was taken from the level lengths, ascending.
    hints: Vec<usize>,
}

const UNKNOWN: u64 = u64::MAX;

/// What a macroblock takes in a map: its place in the order, its start and its end.
const BLOCK_BYTES: u64 = (size_of::<Block>() + 16) as u64;
/// What a tile takes beyond: itself and its three bands.
const TILE_BYTES: u64 = BLOCK_BYTES + (size_of::<Group>() + 3 * size_of::<Run>()) as u64;

impl ByteMap {
    /// For a file of `size` bytes with this header, within the default limits.
    ///
    /// # Errors
    /// As [`with_limits`](Self::with_limits).
    pub fn new(file: FileHeader, size: u64) -> Result<ByteMap> {
        ByteMap::with_limits(file, size, &Limits::default())
    }

    /// For a file of `size` bytes with this header, in at most `limits.max_bytes` bytes of memory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a picture without wavelet levels, which has no macroblocks; [`Error::Limits`] if the
    /// header and the size announce more macroblocks than the limits have room for.
    pub fn with_limits(file: FileHeader, size: u64, limits: &Limits) -> Result<ByteMap> {
        if file.header.levels == 0 {
            return Err(Error::Unsupported("a picture without levels has no macroblocks".into()));
        }
        let style = Style::of(&file);
        // No macroblock takes fewer than six bytes, no group less than a macroblock.
        let most = size.saturating_sub(file.data_offset as u64) / 6 + 1;
        let announced = block_counts(&file.header, style, 0).last().map_or(0, |count| *count);
        let bytes = most.min(announced).saturating_mul(if style.roi { TILE_BYTES } else { BLOCK_BYTES });
        if bytes > limits.max_bytes {
            return Err(Error::Limits { field: "memory in bytes", value: bytes, bound: limits.max_bytes });
        }
        let most = most as usize;
        let order = Order::new(&file.header, style, 0, most);
        let blocks = order.blocks(most);
        let mut starts = vec![UNKNOWN; blocks.len()];
        if let Some(first) = starts.first_mut() {
            *first = file.data_offset as u64;
        }
        let ends = vec![UNKNOWN; blocks.len()];
        let mut map = ByteMap { file, size, roi: style.roi, order, blocks, starts, ends, hints: Vec::new() };
        map.take_hints();
        Ok(map)
    }

    /// Starts of levels by the header's lengths. Levels of plain files end inside macroblocks, so they say nothing.
    fn take_hints(&mut self) {
        let lengths = &self.file.level_lengths;
        let end = lengths.iter().fold(self.file.data_offset as u64, |sum, n| sum + u64::from(*n));
        if !self.roi || lengths.contains(&0) || end > self.size {
            return;
        }
        let mut at = self.file.data_offset as u64;
        for (length, groups) in lengths.iter().zip(&self.order.level_ends) {
            at += u64::from(*length);
            let block = self.blocks.partition_point(|b| (b.group as u64) < *groups);
            if block > 0 && block < self.blocks.len() {
                self.starts[block] = at;
                self.hints.push(block);
            }
        }
    }

    fn forget_hints(&mut self) {
        self.hints.clear();
        self.starts[1..].fill(UNKNOWN);
        self.ends.fill(UNKNOWN);
    }

    /// The header.
    pub fn file(&self) -> &FileHeader {
        &self.file
    }

    /// Macroblocks of the file.
    pub fn macroblocks(&self) -> usize {
        self.blocks.len()
    }

    /// The macroblocks that a level and a region need, ascending.
    ///
    /// # Errors
    /// [`Error::Usage`] for a level or region that the picture does not have.
    pub fn wanted(&self, level: u8, region: Option<Rect>) -> Result<Vec<usize>> {
        let header = &self.file.header;
        let mut target = Target::new(header, level, region)?;
        if self.file.flags & flags::V7 == 0 && header.mode == Mode::Bitmap {
            // Packed bits of old bitmaps cannot be windowed.
            target = Target::new(header, level, None)?;
        }
        let layouts: Vec<_> = (0..usize::from(header.channels)).map(|c| PlaneLayout::new(header, c, &target)).collect();
        let end = self.level_end(level);
        let wanted = |b: &Block| {
            // The last macroblock of a plain file's level goes on with the next finer one.
            block_parts(self.order.runs_of(&self.order.groups[b.group]), b)
                .filter(|(run, ..)| run.level > level || run.level == header.levels)
                .any(|(run, from, _, length)| run_is_wanted(run, &layouts[usize::from(run.plane)], level, from, length))
        };
        Ok((0..end).filter(|i| wanted(&self.blocks[*i])).collect())
    }

    /// Number of macroblocks that levels down to `level` take part in.
    fn level_end(&self, level: u8) -> usize {
        let levels = self.file.header.levels;
        // The highest level's LL is coded among that level's other bands.
        let last = usize::from(levels - level.min(levels - 1)) - 1;
        let Some(end) = self.order.level_ends.get(last).copied() else { return self.blocks.len() };
        if self.roi {
            self.blocks.partition_point(|b| (b.group as u64) < end)
        } else {
            self.blocks.partition_point(|b| b.start < end)
        }
    }

    /// Finds macroblocks by following the lengths that `read` fetches.
    ///
    /// `read(offset, blocks)` returns bytes from `offset` on, at least the four (plain files: two) that start a
    /// macroblock; `blocks` more have to be passed. Whatever else it returns is used where it tells more lengths.
    ///
    /// # Errors
    /// [`Error::Format`] where the chain contradicts itself, [`Error::Truncated`] where the file ends before it, the
    /// error of `read`; [`Error::Usage`] for a macroblock that the file does not have.
    pub fn find(&mut self, wanted: &[usize], mut read: impl FnMut(u64, usize) -> Result<Vec<u8>>) -> Result<()> {
        self.check(wanted)?;
        match self.follow_to(wanted, &mut read) {
            // Level lengths are only hints: without them the chain may still be whole.
            Err(Error::Format { .. } | Error::Truncated { .. }) if !self.hints.is_empty() => {
                self.forget_hints();
                self.follow_to(wanted, &mut read)
            }
            other => other,
        }
    }

    /// Refuses numbers of macroblocks that the file does not have.
    fn check(&self, wanted: &[usize]) -> Result<()> {
        match wanted.iter().find(|block| **block >= self.blocks.len()) {
            Some(block) => Err(Error::Usage(format!("macroblock {block}: the file has {}", self.blocks.len()))),
            None => Ok(()),
        }
    }

    fn follow_to(&mut self, wanted: &[usize], read: &mut impl FnMut(u64, usize) -> Result<Vec<u8>>) -> Result<()> {
        let mut known = 0;
        for &block in wanted {
            if self.starts[block] != UNKNOWN {
                known = block;
            } else if let Some(&hint) = self.hints.iter().rev().find(|hint| **hint < block) {
                known = known.max(hint);
            }
            while self.ends[block] == UNKNOWN {
                // A stretch that is known already, by a search before this one.
                while self.ends[known] != UNKNOWN {
                    known += 1;
                }
                let data = read(self.starts[known], block + 1 - known)?;
                known = self.take(known, &data)?;
            }
        }
        Ok(())
    }

    /// Follows lengths through `data`, which start at macroblock `block`; returns where it arrived.
    fn take(&mut self, mut block: usize, data: &[u8]) -> Result<usize> {
        let start = self.starts[block];
        let mut at = 0usize;
        let mut moved = false;
        while block < self.blocks.len() {
            let Some(head) = read_head(data, at, self.roi) else { break };
            let offset = start + at as u64;
            let expected = tile_header(&self.blocks[block]);
            if head.words == 0 || head.words > MAX_WORDS {
                let message = format!("{} words: between 1 and {MAX_WORDS} are possible", head.words);
                return Err(Error::Format { field: "wordLen", offset, message });
            }
            if self.roi && head.tile != expected {
                let message = format!("{:#06x}: the geometry asks for {expected:#06x}", head.tile);
                return Err(Error::Format { field: "tile header", offset: offset + 2, message });
            }
            at += head_bytes(self.roi) + 4 * head.words;
            let end = start + at as u64;
            if end > self.size {
                return Err(Error::Truncated { field: "macroblock", need: end, have: self.size });
            }
            self.ends[block] = end;
            block += 1;
            moved = true;
            let Some(next) = self.starts.get_mut(block) else { break };
            if *next != UNKNOWN && *next != end {
                let message = format!("a level starts at {end}, not at {next}");
                return Err(Error::Format { field: "level lengths", offset, message });
            }
            *next = end;
        }
        if moved {
            return Ok(block);
        }
        Err(Error::Truncated { field: "macroblock", need: start + head_bytes(self.roi) as u64, have: self.size })
    }

    /// The bytes of macroblocks that were found: ascending, neighbours joined.
    ///
    /// # Errors
    /// [`Error::Usage`] for a macroblock that was not found yet or that the file does not have.
    pub fn ranges(&self, wanted: &[usize]) -> Result<Vec<(u64, u64)>> {
        self.check(wanted)?;
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &block in wanted {
            let (start, end) = (self.starts[block], self.ends[block]);
            if end == UNKNOWN {
                return Err(Error::Usage(format!("macroblock {block} was not found yet")));
            }
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        Ok(ranges)
    }

    /// A file that holds only the wanted macroblocks; the others are as short as can be.
    ///
    /// `head` are the bytes before the coded data, `pieces` what [`ranges`](Self::ranges) names, in that order.
    /// Decoding the level and the region of the result gives the same pixels as decoding those of the whole file.
    ///
    /// # Errors
    /// [`Error::Usage`] if `head` or `pieces` have not the length that is needed.
    pub fn assemble(&self, head: &[u8], wanted: &[usize], pieces: &[&[u8]]) -> Result<Vec<u8>> {
        // Finer levels are there too: a file that ends early would count as cut.
        let end = self.blocks.len();
        let ranges = self.ranges(wanted)?;
        let fits = ranges.len() == pieces.len()
            && ranges.iter().zip(pieces).all(|((start, end), piece)| end - start == piece.len() as u64);
        if !fits || head.len() < self.file.data_offset {
            return Err(Error::Usage("the pieces are not those of the ranges".into()));
        }
        let bytes: usize = pieces.iter().map(|p| p.len()).sum();
        let mut out = Vec::with_capacity(self.file.data_offset + bytes + 8 * end);
        out.extend_from_slice(&head[..self.file.data_offset]);
        let mut next = wanted.iter().copied().peekable();
        let mut pieces = pieces.iter();
        let mut at_end_of = None;
        for block in 0..end {
            if next.peek() == Some(&block) {
                next.next();
                // A piece covers neighbours: it is written with the first of them.
                if at_end_of != Some(self.starts[block]) {
                    out.extend_from_slice(pieces.next().expect("as many as ranges"));
                }
                at_end_of = Some(self.ends[block]);
                continue;
            }
            out.extend_from_slice(&1u16.to_le_bytes());
            if self.roi {
                out.extend_from_slice(&tile_header(&self.blocks[block]).to_le_bytes());
            }
            out.extend_from_slice(&[0; 4]);
        }
        Ok(out)
    }

    /// The word lengths of all macroblocks, two bytes each: what makes searching unnecessary.
    ///
    /// # Errors
    /// As [`find`](Self::find), which looks for all that are not known.
    pub fn word_lengths(&mut self, read: impl FnMut(u64, usize) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let all: Vec<usize> = (0..self.blocks.len()).collect();
        self.find(&all, read)?;
        let head = head_bytes(self.roi) as u64;
        let words = self.starts.iter().zip(&self.ends).map(|(start, end)| ((end - start - head) / 4) as u16);
        Ok(words.flat_map(u16::to_le_bytes).collect())
    }

    /// Takes the result of [`word_lengths`](Self::word_lengths) for the same file.
    ///
    /// # Errors
    /// [`Error::Format`] if there are not as many as macroblocks, or if they lead behind the end of the file.
    pub fn use_word_lengths(&mut self, lengths: &[u8]) -> Result<()> {
        let wrong = |message| Err(Error::Format { field: "index", offset: 0, message });
        if lengths.len() != 2 * self.blocks.len() {
            let message = format!("{} bytes: {} macroblocks need two each", lengths.len(), self.blocks.len());
            return wrong(message);
        }
        let mut ends = Vec::with_capacity(self.ends.len());
        let mut at = self.file.data_offset as u64;
        for words in lengths.chunks_exact(2) {
            let words = u64::from(u16::from_le_bytes([words[0], words[1]]));
            if words == 0 || words > MAX_WORDS as u64 {
                return wrong(format!("{words} words: between 1 and {MAX_WORDS} are possible"));
            }
            at += head_bytes(self.roi) as u64 + 4 * words;
            ends.push(at);
        }
        if at > self.size {
            return wrong(format!("the macroblocks end at {at}: the file has {} bytes", self.size));
        }
        self.starts = std::iter::once(self.file.data_offset as u64).chain(ends.iter().copied()).collect();
        self.starts.truncate(ends.len());
        self.ends = ends;
        self.hints.clear();
        Ok(())
    }
}
