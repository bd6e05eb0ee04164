//! Reading damaged files: headers whose fields give one another away, and finding macroblocks again.
//!
//! The format has no sync marks, but a macroblock of any known writer fills exactly the words that it states, plane
//! by plane (format section 14.7). A place in the data where that holds is almost surely a macroblock. Stretches of
//! such macroblocks are tied to their place in the picture by the start of the data, by the end of the file and by
//! the tile headers of ROI files; what lies between two stretches is what was damaged.

use crate::bitplane::{BlockDecoder, BlockOutcome, Checks, Ending, MAX_WORDS};
use crate::error::{Error, Result};
use crate::header::{FileHeader, HEADER_BYTES, MAGIC, MAX_LEVELS, PALETTE_BYTES, RawHeader, flags, mode_of_bits};
use crate::image::Mode;
use crate::macroblock::{Head, Place, head_bytes, read_head, tile_header};
use crate::planes::BLOCK_VALUES;
use crate::report::{Damage, DamageKind};
use crate::scan::{Block, Order, Style};

/// Reads a header; if it contradicts itself or what follows, tries to mend one field of it.
///
/// # Errors
/// That of [`FileHeader::parse`] where no single field explains the contradiction.
pub(crate) fn parse_header(data: &[u8]) -> Result<(FileHeader, Vec<Damage>)> {
    let direct = FileHeader::parse(data);
    if let Ok(file) = &direct
        && (agrees_with_table(file, data) || starts_well(file, data) != Some(false))
    {
        return direct.map(|file| (file, Vec::new()));
    }
    match mend_header(data) {
        Some((file, field, offset)) => {
            let message = format!("{field} contradicts the rest of the file; it was recovered");
            let bytes = offset..offset + 1;
            Ok((file, vec![Damage { bytes, kind: DamageKind::Header, repaired: true, message }]))
        }
        None => direct.map(|file| (file, Vec::new())),
    }
}

/// Whether the level lengths add up to the bytes that follow.
fn agrees_with_table(file: &FileHeader, data: &[u8]) -> bool {
    let stated: u64 = file.level_lengths.iter().map(|n| u64::from(*n)).sum();
    stated > 0 && stated == (data.len() - file.data_offset) as u64
}

/// Whether the first macroblock is one; `None` if it is not there as a whole.
fn starts_well(file: &FileHeader, data: &[u8]) -> Option<bool> {
    if file.header.levels == 0 {
        return None;
    }
    let style = Style::of(file);
    let block = *Order::new(&file.header, style, file.header.levels - 1, 1).blocks(1).first()?;
    let head = read_head(data, file.data_offset, style.roi)?;
    let start = file.data_offset + head_bytes(style.roi);
    if head.words == 0 || head.words > MAX_WORDS || (style.roi && head.tile != tile_header(&block)) {
        return Some(false);
    }
    let code = data.get(start..start + 4 * head.words)?;
    let mut decoder = BlockDecoder::new();
    match decoder.examine(code, checks_of(file), block.values).ending {
        Ending::Whole => Some(true),
        // Spare words are legal, and all planes are in order: no reason to doubt the header.
        Ending::Spare => None,
        Ending::Cut | Ending::Broken => Some(false),
    }
}

/// How strictly macroblocks of a file can be checked.
pub(crate) fn checks_of(file: &FileHeader) -> Checks {
    if file.flags & flags::V7 != 0 { Checks::Exact } else { Checks::Older }
}

/// Looks for one field of the header that, changed, makes it agree with what follows.
///
/// Returns the header, the name of the field and its offset.
fn mend_header(data: &[u8]) -> Option<(FileHeader, &'static str, usize)> {
    // Level lengths that add up are not enough: in a header that is still arriving a few bytes can do so by chance.
    let good = |file: Result<FileHeader>| file.ok().filter(|f| starts_well(f, data) == Some(true));
    let stored = *data.get(3)?;
    if data[..3] != MAGIC {
        // Two letters of three, or one and a version byte as libPGF writes it, are no accident.
        let right = data.iter().zip(MAGIC).filter(|(a, b)| *a == b).count();
        if right < 2 && !matches!(stored, flags::CURRENT | 0x7E) {
            return None;
        }
        return good(FileHeader::parse_as(data, stored)).map(|f| (f, "magic", 0));
    }
    let base = if stored & flags::V6 != 0 { 8 } else { 6 };
    let fixed: [u8; HEADER_BYTES] = data.get(base..base + HEADER_BYTES)?.try_into().ok()?;
    let raw = RawHeader::read(&fixed);
    let size = match base {
        8 => u32::from_le_bytes([data[4], data[5], data[6], data[7]]) as usize,
        _ => usize::from(u16::from_le_bytes([data[4], data[5]])),
    };
    let parse = |size, raw: &RawHeader| FileHeader::parse_rest(data, stored, base, size, raw);

    // Mode, bits per pixel and channels: two that agree outvote the third.
    let voted = match Mode::from_number(raw.mode) {
        Some(mode) if mode.bits_per_pixel() != 0 && mode.bits_per_pixel() == raw.bits_per_pixel => {
            Some((RawHeader { channels: mode.fixed_channels() as u8, ..raw }, "channels", 11))
        }
        Some(mode) if mode.bits_per_pixel() != 0 && mode.fixed_channels() == usize::from(raw.channels) => {
            Some((RawHeader { bits_per_pixel: mode.bits_per_pixel(), ..raw }, "bpp", 10))
        }
        _ => {
            let number = mode_of_bits(raw.bits_per_pixel);
            let mode = Mode::from_number(number).filter(|m| m.fixed_channels() == usize::from(raw.channels));
            mode.map(|_| (RawHeader { mode: number, ..raw }, "mode", 12))
        }
    };
    if let Some((raw, field, delta)) = voted
        && parse(size, &raw).is_ok_and(|f| starts_well(&f, data) != Some(false))
        && parse(size, &RawHeader::read(&fixed)).is_err()
    {
        return parse(size, &raw).ok().map(|f| (f, field, base + delta));
    }
    for levels in 0..=MAX_LEVELS {
        if let Some(file) = good(parse(size, &RawHeader { levels, ..raw })) {
            return Some((file, "nLevels", base + 8));
        }
    }
    // The size is known where the level table is: its entries add up to all that follows.
    let least = HEADER_BYTES + if raw.mode == Mode::Indexed as u8 { PALETTE_BYTES } else { 0 };
    let table = 4 * usize::from(raw.levels);
    if raw.levels > 0 && raw.levels <= MAX_LEVELS {
        for size in least..data.len().saturating_sub(base + table) {
            let at = base + size;
            let stated: u64 = data[at..at + table]
                .chunks_exact(4)
                .map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .sum();
            if stated == (data.len() - at - table) as u64
                && let Some(file) = good(parse(size, &raw))
            {
                return Some((file, "header size", 4));
            }
        }
    }
    if let Some(file) = good(parse(least, &raw)) {
        return Some((file, "header size", 4));
    }
    let bits = (0..8).map(|bit| stored ^ 1 << bit);
    for flags in [flags::CURRENT, flags::CURRENT | flags::ROI].into_iter().chain(bits) {
        if let Some(file) = good(FileHeader::parse_as(data, flags)) {
            return Some((file, "version flags", 3));
        }
    }
    None
}

/// A width or height that contradicts the number of macroblocks, once those of an otherwise whole file were counted.
pub(crate) fn contradiction(file: &FileHeader, data: &[u8], announced: u64) -> Option<Error> {
    if !agrees_with_table(file, data) {
        return None;
    }
    let (mut at, mut count, roi) = (file.data_offset, 0u64, file.roi());
    let mut decoder = BlockDecoder::new();
    while at < data.len() {
        let head = read_head(data, at, roi).filter(|h| (1..=MAX_WORDS).contains(&h.words))?;
        let start = at + head_bytes(roi);
        at = start + 4 * head.words;
        let values = if roi { usize::from(head.tile & 0x7FFF) } else { BLOCK_VALUES };
        // A wrong length can reach the end of the data by chance: only sound macroblocks count.
        let code = data.get(start..at).filter(|_| (1..=BLOCK_VALUES).contains(&values))?;
        if decoder.examine(code, checks_of(file), values).ending != Ending::Whole {
            return None;
        }
        count += 1;
    }
    if at != data.len() || count == announced {
        return None;
    }
    let (w, h) = (file.header.width, file.header.height);
    let message = format!("{w}x{h} pixels take {announced} macroblocks, the file has {count}");
    Some(Error::format("width or height", file.data_offset.min(8), message))
}

/// Where the macroblocks of a damaged file are.
pub(crate) struct Mended {
    /// A place for every macroblock.
    pub places: Vec<Place>,
    /// Whether the macroblock could only be read after mending its length or tile header.
    pub repaired: Vec<bool>,
    pub damage: Vec<Damage>,
    /// Macroblocks are missing at the end.
    pub truncated: bool,
    /// Behind the last byte that belongs to a macroblock.
    pub end: usize,
}

/// As many bytes missing at the end may have been lost anywhere.
const LOST_BYTES: u64 = 256;

/// Bytes around the stated end of a macroblock in which the next is looked for first.
const LOST_NEARBY: usize = 16;

/// Macroblocks that follow one another without a doubt about where they are.
struct Stretch {
    start: usize,
    end: usize,
    places: Vec<Place>,
    tiles: Vec<u16>,
    /// Index of the first, once known.
    index: usize,
}

/// Finds the macroblocks of a damaged file; `blocks` are those of all levels.
pub(crate) fn locate(data: &[u8], file: &FileHeader, blocks: &[Block]) -> Mended {
    let mut search = Search {
        data,
        roi: file.roi(),
        checks: checks_of(file),
        blocks,
        decoder: BlockDecoder::new(),
        // So many readings of the data, and enough for small files to be searched everywhere.
        effort: 256 * data.len() as u64 + (1 << 24),
    };
    let stretches = search.stretches(file);
    search.assemble(file, stretches)
}

/// The first place among the blocks from which on their tile headers are these, in time that grows with the sum of
/// both lengths.
fn first_match(blocks: &[Block], tiles: &[u16]) -> Option<usize> {
    // Of every beginning of the tiles, how many at its end are those at its start.
    let mut borders = vec![0];
    let advance = |borders: &[usize], mut matched: usize, tile: u16| {
        while matched > 0 && tiles[matched] != tile {
            matched = borders[matched - 1];
        }
        matched + usize::from(tiles[matched] == tile)
    };
    if tiles.is_empty() {
        return Some(0);
    }
    for tile in &tiles[1..] {
        let matched = advance(&borders, borders[borders.len() - 1], *tile);
        borders.push(matched);
    }
    let mut matched = 0;
    for (at, block) in blocks.iter().enumerate() {
        matched = advance(&borders, matched, tile_header(block));
        if matched == tiles.len() {
            return Some(at + 1 - tiles.len());
        }
    }
    None
}

struct Search<'a> {
    data: &'a [u8],
    roi: bool,
    checks: Checks,
    blocks: &'a [Block],
    decoder: BlockDecoder,
    /// Bytes of code that may still be tried.
    effort: u64,
}

impl Search<'_> {
    /// The end and tile header of the macroblock that begins at `at`, if the bytes there are exactly one.
    fn exact(&mut self, at: usize, values: Option<usize>) -> Option<(usize, u16)> {
        self.effort = self.effort.saturating_sub(8);
        let head = read_head(self.data, at, self.roi)?;
        let start = at + head_bytes(self.roi);
        if head.words == 0 || head.words > MAX_WORDS || start + 4 * head.words > self.data.len() {
            return None;
        }
        let values = self.values(&head, values)?;
        let end = start + 4 * head.words;
        let outcome = self.attempt(start, end, values)?;
        (outcome.ending == Ending::Whole).then_some((end, head.tile))
    }

    /// Coefficients of a macroblock: as the caller knows, as every plain file has, or as a tile header says.
    fn values(&self, head: &Head, known: Option<usize>) -> Option<usize> {
        let stated = usize::from(head.tile & 0x7FFF);
        match known {
            None if self.roi => (1..=BLOCK_VALUES).contains(&stated).then_some(stated),
            None => Some(BLOCK_VALUES),
            known => known,
        }
    }

    /// Decodes the bytes as a macroblock, if they look like one.
    fn attempt(&mut self, start: usize, end: usize, values: usize) -> Option<BlockOutcome> {
        let code = &self.data[start..end];
        self.effort = self.effort.saturating_sub(64);
        // Most places that are no macroblock show it in the first plane, a small part of the bytes.
        let first = self.decoder.first_plane(code, values)?;
        let outcome = self.examine(first, values);
        if first.len() == code.len() {
            return Some(outcome);
        }
        if outcome.ending == Ending::Broken && outcome.lowest == outcome.planes {
            return None;
        }
        Some(self.examine(code, values))
    }

    /// Decodes the bytes as a macroblock, which is the slower the more of them there are and the longer its runs.
    fn examine(&mut self, code: &[u8], values: usize) -> BlockOutcome {
        let before = self.decoder.runs_read;
        let outcome = self.decoder.examine(code, self.checks, values);
        let runs = self.decoder.runs_read - before;
        self.effort = self.effort.saturating_sub((512 + code.len() / 32 + 4 * outcome.words + runs) as u64);
        outcome
    }

    /// The end and tile header of a macroblock at `at` whose stated length is wrong: its planes tell the length.
    fn by_planes(&mut self, at: usize, values: Option<usize>) -> Option<(usize, u16)> {
        let head = read_head(self.data, at, self.roi)?;
        let start = at + head_bytes(self.roi);
        let values = self.values(&head, values)?;
        let outcome = self.attempt(start, self.data.len().min(start + 4 * MAX_WORDS), values)?;
        let end = start + 4 * outcome.words;
        let sound = outcome.lowest == 0 && matches!(outcome.ending, Ending::Whole | Ending::Spare);
        (sound && (end == self.data.len() || self.exact(end, None).is_some())).then_some((end, head.tile))
    }

    /// Follows stated lengths from `at` over damaged macroblocks until one is exact or the data end just there.
    ///
    /// Returns the places in front of it.
    fn over_damage(&mut self, at: usize) -> Option<Vec<(Place, u16)>> {
        let mut passed = Vec::new();
        let mut at = at;
        // Hostile lengths could lead over the same bytes from many places.
        while passed.len() < self.blocks.len() && self.effort > 0 {
            let head = read_head(self.data, at, self.roi)?;
            let start = at + head_bytes(self.roi);
            let end = start + 4 * head.words;
            if head.words == 0 || head.words > MAX_WORDS || end > self.data.len() {
                return None;
            }
            self.effort = self.effort.saturating_sub(32);
            passed.push((Place::Whole { head: at, start, end }, head.tile));
            if end == self.data.len() || self.exact(end, None).is_some() {
                return Some(passed);
            }
            at = end;
        }
        None
    }

    fn stretches(&mut self, file: &FileHeader) -> Vec<Stretch> {
        let data = self.data;
        let mut at = file.data_offset;
        let mut stretches: Vec<Stretch> = Vec::new();
        let new = |start| Stretch { start, end: start, places: Vec::new(), tiles: Vec::new(), index: 0 };
        let mut now = new(at);
        let stated: u64 = file.level_lengths.iter().map(|n| u64::from(*n)).sum();
        // Bytes that were lost one by one leave a small gap to the table, a cut a large one as a rule.
        let cut_by_table = stated > (data.len() - file.data_offset) as u64 + LOST_BYTES;
        loop {
            // Only in the first stretch is it known which macroblock is the next.
            let known = if stretches.is_empty() { self.blocks.get(now.places.len()).copied() } else { None };
            if stretches.is_empty() && known.is_none() {
                break;
            }
            let values = known.map(|b| b.values);
            if let Some((end, tile)) = self.exact(at, values).or_else(|| self.by_planes(at, values)) {
                now.places.push(Place::Whole { head: at, start: at + head_bytes(self.roi), end });
                now.tiles.push(tile);
                at = end;
                now.end = end;
                continue;
            }
            if at >= data.len() {
                break;
            }
            if let Some(passed) = self.over_damage(at) {
                for (place, tile) in passed {
                    if let Place::Whole { end, .. } = place {
                        at = end;
                    }
                    now.places.push(place);
                    now.tiles.push(tile);
                }
                now.end = at;
                continue;
            }
            // A file cut inside this macroblock, as its own table says, has nothing to be found behind.
            let head = read_head(data, at, self.roi);
            let runs_over = head.is_none_or(|h| at + head_bytes(self.roi) + 4 * h.words > data.len());
            let plausible = head.is_none_or(|h| (1..=MAX_WORDS).contains(&h.words));
            if cut_by_table && runs_over && plausible && data.len() - at <= 4 * MAX_WORDS {
                break;
            }
            // Bytes lost from refinement bits, which nothing checks, show only here: the macroblock before seems
            // sound but ends in the first bytes of this one.
            if let Some(Place::Whole { head, start, .. }) = now.places.last().copied()
                && let Some(next) = (start + 4..at).rev().take(LOST_NEARBY).find(|n| self.exact(*n, None).is_some())
            {
                now.places.pop();
                now.tiles.pop();
                now.end = head;
                stretches.push(std::mem::replace(&mut now, new(next)));
                at = next;
                continue;
            }
            let Some(next) = self.next_exact(at) else { break };
            stretches.push(std::mem::replace(&mut now, new(next)));
            at = next;
        }
        stretches.push(now);
        stretches
    }

    /// The nearest exact macroblock behind `at`; places around the stated end of the one at `at` first.
    fn next_exact(&mut self, at: usize) -> Option<usize> {
        if let Some(head) = read_head(self.data, at, self.roi) {
            let end = at + head_bytes(self.roi) + 4 * head.words;
            for delta in 1..=LOST_NEARBY {
                for next in [end.saturating_sub(delta), end + delta] {
                    if next > at && self.exact(next, None).is_some() {
                        return Some(next);
                    }
                }
            }
        }
        // Whole words away first: there it is unless bytes were lost or added.
        let first = at + head_bytes(self.roi);
        for phase in [0, 1, 2, 3] {
            for next in (first + phase..self.data.len()).step_by(4) {
                if self.effort == 0 {
                    return None;
                }
                if self.exact(next, None).is_some() {
                    return Some(next);
                }
            }
        }
        None
    }

    /// Numbers the stretches: how many macroblocks lie in each gap between two of them.
    fn number(&self, stretches: &mut [Stretch]) {
        let total = self.blocks.len();
        let smallest = head_bytes(self.roi) + 4;
        let mut index = 0;
        for k in 0..stretches.len() {
            if k > 0 {
                let gap = stretches[k].start - stretches[k - 1].end;
                let least = usize::from(gap >= smallest);
                let most = least.max(gap / smallest).min(total.saturating_sub(index));
                // The tile headers of a ROI file say where in the order a stretch can lie.
                let tiles = &stretches[k].tiles;
                let places = self.blocks.get(index + least..total.min(index + most + tiles.len()));
                index += least + places.filter(|_| self.roi).and_then(|p| first_match(p, tiles)).unwrap_or(0);
            }
            stretches[k].index = index;
            index += stretches[k].places.len();
        }
        // A file that is whole ends with its last macroblock: what is missing then lies in the largest gap.
        let last = stretches.last().expect("there is a first stretch");
        if !self.roi && stretches.len() > 1 && last.end == self.data.len() && index < total {
            let largest = (1..stretches.len()).max_by_key(|k| stretches[*k].start - stretches[k - 1].end).unwrap_or(1);
            for stretch in &mut stretches[largest..] {
                stretch.index += total - index;
            }
        }
    }

    fn assemble(&mut self, file: &FileHeader, mut stretches: Vec<Stretch>) -> Mended {
        self.number(&mut stretches);
        let total = self.blocks.len();
        let mut mended = Mended {
            places: vec![Place::Missing; total],
            repaired: vec![false; total],
            damage: Vec::new(),
            truncated: false,
            end: file.data_offset,
        };
        for k in 0..stretches.len() {
            let stretch = &stretches[k];
            for (i, place) in stretch.places.iter().enumerate() {
                let Some(slot) = mended.places.get_mut(stretch.index + i) else { break };
                *slot = *place;
                let Place::Whole { head, start, end } = *place else { continue };
                if read_head(self.data, head, self.roi).is_none_or(|h| start + 4 * h.words != end) {
                    let message = format!("macroblock {}: its planes tell its length", stretch.index + i);
                    let bytes = head..head + 2;
                    mended.damage.push(Damage { bytes, kind: DamageKind::WordLength, repaired: true, message });
                    mended.repaired[stretch.index + i] = true;
                }
                if self.roi && stretch.tiles[i] != tile_header(&self.blocks[stretch.index + i]) {
                    let message = format!("macroblock {}: the geometry tells its tile header", stretch.index + i);
                    let bytes = head + 2..head + 4;
                    mended.damage.push(Damage { bytes, kind: DamageKind::TileHeader, repaired: true, message });
                    mended.repaired[stretch.index + i] = true;
                }
            }
            mended.end = mended.end.max(stretch.end);
            let next = stretch.index + stretch.places.len();
            let (gap_start, gap_end, gap_blocks) = match stretches.get(k + 1) {
                // Chance finds can be more than there are macroblocks.
                Some(after) => (stretch.end, after.start, after.index.min(total).saturating_sub(next)),
                None => (stretch.end, self.data.len(), total.saturating_sub(next)),
            };
            if gap_start < gap_end || gap_blocks > 0 {
                let tail = k + 1 == stretches.len();
                self.fill_gap(&mut mended, (gap_start, gap_end), next, gap_blocks, tail);
            }
        }
        mended.damage.sort_by_key(|d| d.bytes.start);
        mended
    }

    /// Makes the most of the bytes between two stretches, which hold `count` macroblocks from `index` on.
    fn fill_gap(&mut self, mended: &mut Mended, (from, to): (usize, usize), index: usize, count: usize, tail: bool) {
        if count == 0 {
            // Bytes behind the last macroblock are legal.
            if !tail {
                let message = format!("{} bytes belong to no macroblock", to - from);
                mended.damage.push(Damage { bytes: from..to, kind: DamageKind::Stray, repaired: true, message });
            }
            return;
        }
        let start = from + head_bytes(self.roi);
        let head = read_head(self.data, from, self.roi);
        let stated_end = head.map(|h| start + 4 * h.words);
        if tail {
            mended.truncated = true;
            mended.end = to;
            let message = format!("macroblocks {index} to {} are cut or missing", index + count - 1);
            mended.damage.push(Damage { bytes: from..to, kind: DamageKind::Truncated, repaired: false, message });
        }
        if start >= to {
            return;
        }
        let values = self.blocks[index].values;
        let whole = (to - start).is_multiple_of(4) && (to - start) / 4 <= MAX_WORDS;
        if !tail
            && count == 1
            && whole
            && self.decoder.examine(&self.data[start..to], self.checks, values).ending == Ending::Whole
        {
            mended.places[index] = Place::Whole { head: from, start, end: to };
            mended.repaired[index] = true;
            let message = format!("macroblock {index}: its length is told by the next macroblock");
            mended.damage.push(Damage { bytes: from..from + 2, kind: DamageKind::WordLength, repaired: true, message });
            return;
        }
        // Code behind the place of damage is of no use, but where that is only decoding can tell.
        let end = match stated_end {
            Some(end) if (count > 1 || tail) && end > start => end.min(to),
            _ => to,
        };
        let end = end.min(start + 4 * MAX_WORDS);
        mended.places[index] = Place::Part { head: from, start, end };
        if !tail {
            let message = format!("macroblocks {index} to {}: bytes were lost, added or changed", index + count - 1);
            mended.damage.push(Damage { bytes: from..to, kind: DamageKind::Code, repaired: false, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_is_found() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut found = 0;
        for _ in 0..2000 {
            let block = |values| Block { group: 0, start: 0, held: values, values, last: false };
            let blocks: Vec<Block> = (0..random(24)).map(|_| block(1 + random(2) as usize)).collect();
            let tiles: Vec<u16> = (0..random(6)).map(|_| 1 + random(2) as u16).collect();
            let expected = (0..=blocks.len().saturating_sub(tiles.len()))
                .find(|at| blocks[*at..].iter().map(tile_header).take(tiles.len()).eq(tiles.iter().copied()));
            assert_eq!(first_match(&blocks, &tiles), expected, "{blocks:?} {tiles:?}");
            found += usize::from(expected.is_some());
        }
        assert!((500..1900).contains(&found), "{found} matches");
    }
}
