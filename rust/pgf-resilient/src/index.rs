//! An advisory index behind the last segment: where the segments of every block lie, for readers that fetch only some.
//!
//! It is the content of an end mark (`FF 0E`), which every reader passes over; no byte of it is FF. See section 11 of the
//! format.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crate::block::{Geometry, tile_side};
use crate::chain::{BlockReader, Fate};
use crate::decode::is_needed;
use crate::note::Note;
use crate::picture::Picture;
use crate::reader::{Contents, read};
use crate::segment::{DETAIL, code, parse_address, parse_number, pieces, write_number};
use pgf::{Error, Limits, Rect, Result, Windows};

/// The last bytes of a stream with an index.
const MAGIC: &[u8; 8] = b"pgfrsIDX";

/// Digits of positions, lengths of the stream and check sums.
const LONG: usize = 5;
/// Digits of the length of a page.
const PAGE: usize = 3;
/// Bytes of the directory without the lengths of pages.
const FIXED: usize = 4 * LONG + MAGIC.len();
/// Tiles on a side of the square that shares a page.
const SQUARE: usize = 8;
/// Numbers below this take one byte; others one byte that says how many digits follow, 1 to 4.
const ONE_BYTE: u64 = 251;
/// Numbers from here on cannot be written.
const TOO_LARGE: u64 = 255u64.pow(4);

/// The blocks of every page: those of one group and level in a square of tiles.
fn paged(picture: &Picture, geometry: &Geometry) -> Vec<Vec<usize>> {
    let mut pages: BTreeMap<(u8, std::cmp::Reverse<u8>, usize, usize), Vec<usize>> = BTreeMap::new();
    for (block, b) in geometry.blocks.iter().enumerate() {
        let part = geometry.parts_of(block)[0];
        let square = SQUARE * tile_side(picture, part.level);
        let key = (b.group, std::cmp::Reverse(part.level), part.y as usize / square, part.x as usize / square);
        pages.entry(key).or_default().push(block);
    }
    pages.into_values().collect()
}

fn write_short(value: u64, out: &mut Vec<u8>) -> Result<()> {
    if value < ONE_BYTE {
        out.push(value as u8);
        return Ok(());
    }
    if value >= TOO_LARGE {
        return Err(Error::Unsupported(format!(
            "an index of distances of {value} bytes: below {TOO_LARGE} are possible"
        )));
    }
    let digits = crate::block::digits_for(value as usize + 1);
    out.push((ONE_BYTE as usize - 1 + digits) as u8);
    write_number(value as usize, digits, out);
    Ok(())
}

fn read_short(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    if u64::from(first) < ONE_BYTE {
        *bytes = rest;
        return Some(first.into());
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first) + 1 - ONE_BYTE as usize)?;
    *bytes = rest;
    Some(parse_number(digits)? as u64)
}

/// A signed distance as a number: 0, -1, 1, -2, ...
fn zigzag(distance: i64) -> u64 {
    ((distance << 1) ^ (distance >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn write_check(from: usize, out: &mut Vec<u8>) {
    let sum = crc32fast::hash(&out[from..]);
    write_number(sum as usize, LONG, out);
}

/// What of a page or directory stands before its check, if that is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(LONG)?)?;
    (parse_number(sum)? == crc32fast::hash(body) as usize).then_some(body)
}

fn refused(offset: usize, message: &str) -> Error {
    Error::Format { field: "index", offset: offset as u64, message: message.into() }
}

fn cut(data: &[u8]) -> Error {
    Error::Truncated { field: "the last piece", need: data.len() as u64 + 1, have: data.len() as u64 }
}

/// Where the index of a stream begins, if it ends with one; else its length.
fn without_index(data: &[u8]) -> usize {
    if !data.ends_with(MAGIC) {
        return data.len();
    }
    pieces(data).last().filter(|p| p.code == code::END).map_or(data.len(), |p| p.bytes.start)
}

/// An undamaged stream, taken apart, with the segments that its picture is made of.
struct Sound<'a> {
    contents: Contents<'a>,
    /// By block, in the order of planes.
    chains: Vec<Vec<Range<usize>>>,
    /// The bytes before the first segment of planes.
    opening: usize,
}

impl<'a> Sound<'a> {
    fn new(data: &'a [u8], limits: &Limits) -> Result<Sound<'a>> {
        let contents = read(data, limits)?;
        let mut reader = BlockReader::new(&contents, false);
        for block in 0..contents.geometry.blocks.len() {
            reader.block(block);
        }
        if reader.fates.contains(&Fate::Cut) || contents.pieces.last().is_some_and(|p| p.end < data.len()) {
            return Err(cut(data));
        }
        let doubtful = contents.faults.first().map(|f| f.bytes.start).or(reader.tails.first().map(|t| t.start));
        let bad = |(_, fate): &(_, &Fate)| matches!(fate, Fate::Doubted | Fate::Lost);
        let lost = contents.segments.iter().zip(&reader.fates).find(bad).map(|(s, _)| s.bytes.start);
        // What was found under another address depends on the order of segments.
        let found_again = (reader.repaired > 0).then_some(0);
        if let Some(offset) = doubtful.or(lost).or(found_again) {
            let message = "damaged: repair it before it is indexed".into();
            return Err(Error::Format { field: "stream", offset: offset as u64, message });
        }
        // Of copies that are the same byte for byte the earliest: repeats for safety are behind it.
        let mut earliest: HashMap<&[u8], Range<usize>> = HashMap::new();
        if reader.fates.contains(&Fate::Duplicate) {
            for segment in &contents.segments {
                earliest.entry(&data[segment.bytes.clone()]).or_insert_with(|| segment.bytes.clone());
            }
        }
        let mut chains = vec![Vec::new(); contents.geometry.blocks.len()];
        let used = contents.segments.iter().zip(&reader.fates).filter(|(_, fate)| **fate == Fate::Used);
        let mut used: Vec<_> = used.map(|(s, _)| s).collect();
        used.sort_by_key(|s| std::cmp::Reverse(s.address.plane));
        for segment in used {
            let bytes = earliest.get(&data[segment.bytes.clone()]).unwrap_or(&segment.bytes);
            chains[segment.address.block].push(bytes.clone());
        }
        let opening = contents.segments.first().map_or(data.len(), |s| s.bytes.start);
        Ok(Sound { contents, chains, opening })
    }
}

/// An undamaged stream with an index behind its last byte; one that it has is replaced.
///
/// With `by_place` its segments are put in another order first: coarse levels before fine ones, and what is near in
/// the picture near in the file, so that a region takes few requests.
///
/// # Errors
/// [`Error::Format`] for a damaged stream, [`Error::Truncated`] for one whose last segment is cut,
/// [`Error::Unsupported`] if header, base or palette come behind the first segment; as [`decode`](crate::decode).
pub fn add_index(data: &[u8], by_place: bool, limits: &Limits) -> Result<Vec<u8>> {
    let data = &data[..without_index(data)];
    let mut out = data.to_vec();
    if by_place {
        out = sorted(&Sound::new(data, limits)?);
    }
    let stream = out.clone();
    let sound = Sound::new(&stream, limits)?;
    let (all, beginning) = (&sound.contents, read(&stream[..sound.opening], limits)?);
    let complete = (beginning.picture, &beginning.bases, &beginning.palette, beginning.note)
        == (all.picture, &all.bases, &all.palette, all.note);
    if !complete {
        let message = "header, base or palette behind the first segment: repair puts them in front".into();
        return Err(Error::Unsupported(message));
    }
    out.extend_from_slice(&[0xFF, code::END]);
    let mut lengths = Vec::new();
    for blocks in paged(&all.picture, &all.geometry) {
        let start = out.len();
        let mut at = 0;
        for block in blocks {
            let chain = &sound.chains[block];
            write_short(chain.len() as u64, &mut out)?;
            for segment in chain {
                write_short(zigzag(segment.start as i64 - at), &mut out)?;
                write_short(segment.len() as u64, &mut out)?;
                at = segment.end as i64;
            }
        }
        write_check(start, &mut out);
        lengths.push(out.len() - start);
    }
    let start = out.len();
    write_number(stream.len(), LONG, &mut out);
    write_number(sound.opening, LONG, &mut out);
    write_number(crc32fast::hash(&stream[..sound.opening]) as usize, LONG, &mut out);
    for length in lengths {
        write_number(length, PAGE, &mut out);
    }
    write_check(start, &mut out);
    out.extend_from_slice(MAGIC);
    // What is excused at the end of a stream is damage in front of an index.
    if read(&out, limits)?.faults.is_empty() { Ok(out) } else { Err(cut(&stream)) }
}

/// The same pieces, those of planes by place; checks, which speak of the old order, are left out, and so are versions of
/// segments that later ones replace.
fn sorted(sound: &Sound<'_>) -> Vec<u8> {
    let contents = &sound.contents;
    let mut out = contents.data[..sound.opening].to_vec();
    let mut pages = paged(&contents.picture, &contents.geometry);
    let place = |blocks: &Vec<usize>| {
        let part = contents.geometry.parts_of(blocks[0])[0];
        let square = SQUARE * tile_side(&contents.picture, part.level);
        (std::cmp::Reverse(part.level), part.y as usize / square, part.x as usize / square)
    };
    // Stable: the groups of a square follow each other.
    pages.sort_by_key(place);
    let (mut written, mut kept) = (HashSet::new(), HashSet::new());
    for segment in pages.into_iter().flatten().flat_map(|block| &sound.chains[block]) {
        out.extend_from_slice(&contents.data[segment.clone()]);
        written.insert(segment.start);
        kept.insert(&contents.data[segment.clone()]);
    }
    for piece in contents.pieces.iter().filter(|p| p.start >= sound.opening && !written.contains(&p.start)) {
        let kind = contents.data[piece.start + 1];
        // Repeats may come again; of other versions of a segment the last would be shown.
        let harmless = kind < DETAIL || kept.contains(&contents.data[piece.clone()]);
        if kind != code::CHECK && kind != code::END && harmless {
            out.extend_from_slice(&contents.data[piece.clone()]);
        }
    }
    out
}

/// A segment that the index names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    block: usize,
    bytes: Range<usize>,
}

/// Where the segments of a stream with an index lie; filled in as its parts arrive.
#[derive(Debug, Clone)]
pub struct StreamMap {
    picture: Picture,
    geometry: Geometry,
    size: usize,
    blocks: Vec<Vec<usize>>,
    /// What the directory says: bytes of the stream and of its opening, check of the opening, ends of the pages.
    stream: usize,
    opening: usize,
    opening_check: usize,
    pages: Vec<Range<usize>>,
    note: Note,
}

impl StreamMap {
    /// For a file of `size` bytes; `head` are its first, the picture header among them.
    ///
    /// # Errors
    /// As [`read_picture`](crate::read_picture); [`Error::Limits`] for a picture over the limits.
    pub fn new(head: &[u8], size: usize, limits: &Limits) -> Result<StreamMap> {
        let picture = crate::read_picture(head)?;
        picture.check(limits)?;
        let geometry = Geometry::new(&picture)?;
        let blocks = paged(&picture, &geometry);
        let note = Note::rule(&picture);
        let (stream, opening, opening_check) = (0, 0, 0);
        Ok(StreamMap { picture, geometry, size, blocks, stream, opening, opening_check, pages: Vec::new(), note })
    }

    /// The bytes in which the directory of an index would be; `None` if the file is too small for one.
    pub fn directory(&self) -> Option<Range<usize>> {
        let length = FIXED + PAGE * self.blocks.len();
        Some(self.size.checked_sub(length)?..self.size)
    }

    /// Takes the bytes of [`directory`](Self::directory).
    ///
    /// # Errors
    /// [`Error::Format`] if they are no directory of this file.
    pub fn use_directory(&mut self, bytes: &[u8]) -> Result<()> {
        let start = self.directory().filter(|d| d.len() == bytes.len()).map(|d| d.start);
        let start = start.ok_or_else(|| refused(0, "not of the directory's length"))?;
        let body = bytes.strip_suffix(MAGIC.as_slice()).and_then(checked);
        let body = body.ok_or_else(|| refused(start, "no directory, or a damaged one"))?;
        let (fixed, lengths) = body.split_at(3 * LONG);
        let mut fixed = fixed.chunks_exact(LONG).map(|d| parse_number(d).unwrap_or(usize::MAX));
        let mut next = || fixed.next().unwrap_or(usize::MAX);
        let (stream, opening, check) = (next(), next(), next());
        let mut at = stream.saturating_add(2);
        let mut pages = Vec::with_capacity(self.blocks.len());
        for length in lengths.chunks_exact(PAGE) {
            let end = at.saturating_add(parse_number(length).unwrap_or(usize::MAX));
            pages.push(at..end);
            at = end;
        }
        if at != start || opening > stream {
            return Err(refused(start, "of another stream"));
        }
        (self.stream, self.opening, self.opening_check, self.pages) = (stream, opening, check, pages);
        Ok(())
    }

    /// The bytes of header, base and whatever else comes before the first segment.
    pub fn opening(&self) -> Range<usize> {
        0..self.opening
    }

    /// Takes the bytes of [`opening`](Self::opening).
    ///
    /// # Errors
    /// [`Error::Format`] if they are not those that the index was made for.
    pub fn use_opening(&mut self, bytes: &[u8], limits: &Limits) -> Result<()> {
        if bytes.len() != self.opening || crc32fast::hash(bytes) as usize != self.opening_check {
            return Err(refused(0, "of another opening"));
        }
        let contents = read(bytes, limits)?;
        if contents.picture != self.picture {
            return Err(refused(0, "of another header"));
        }
        self.note = contents.note;
        Ok(())
    }

    /// Blocks that bear on a level and region, by page.
    fn needed(&self, level: u8, region: Option<Rect>) -> Result<Vec<(usize, Vec<bool>)>> {
        let header = self.note.header(&self.picture.header);
        let windows = Windows::new(&header, self.note.flags, level, region)?;
        let needed = |block: &usize| is_needed(self.geometry.parts_of(*block), &header, &windows);
        let pages = self.blocks.iter().enumerate().take(self.pages.len());
        let pages = pages.map(|(page, blocks)| (page, blocks.iter().map(needed).collect::<Vec<bool>>()));
        Ok(pages.filter(|(_, wanted)| wanted.contains(&true)).collect())
    }

    /// The pages of the index that a level and a region need.
    ///
    /// # Errors
    /// [`Error::Usage`] for a level or region that the picture does not have.
    pub fn pages(&self, level: u8, region: Option<Rect>) -> Result<Vec<Range<usize>>> {
        Ok(self.needed(level, region)?.into_iter().map(|(page, _)| self.pages[page].clone()).collect())
    }

    /// Segments that a level and a region need, by their place in the file.
    fn named(&self, level: u8, region: Option<Rect>, pages: &[&[u8]]) -> Result<Vec<Named>> {
        let needed = self.needed(level, region)?;
        if needed.len() != pages.len() {
            return Err(Error::Usage(format!("{} pages: {} are needed", pages.len(), needed.len())));
        }
        let mut out = Vec::new();
        let mut total = 0;
        for ((page, wanted), bytes) in needed.into_iter().zip(pages) {
            let start = self.pages[page].start;
            let mut rest = checked(bytes).ok_or_else(|| refused(start, "a damaged page"))?;
            let mut at = 0i64;
            for (block, wanted) in self.blocks[page].iter().zip(wanted) {
                let count = read_short(&mut rest).ok_or_else(|| refused(start, "a page that ends early"))?;
                for _ in 0..count {
                    let numbers = read_short(&mut rest).and_then(|n| Some((n, read_short(&mut rest)?)));
                    let (distance, length) = numbers.ok_or_else(|| refused(start, "a page that ends early"))?;
                    let from = at.saturating_add(unzigzag(distance));
                    at = from.saturating_add(length as i64);
                    if from < self.opening as i64 || at > self.stream as i64 || length < 3 {
                        return Err(refused(start, "a segment outside of the stream"));
                    }
                    if wanted {
                        total += length as usize;
                        out.push(Named { block: *block, bytes: from as usize..at as usize });
                    }
                }
            }
            // Segments are listed once each.
            if total > self.stream {
                return Err(refused(start, "more bytes than the stream has"));
            }
        }
        out.sort_unstable_by_key(|n| n.bytes.start);
        Ok(out)
    }

    /// The bytes that a level and a region need, ascending, neighbours joined; each range ends two bytes behind its last
    /// segment, where the next marker is. `pages` are the bytes of [`pages`](Self::pages).
    ///
    /// # Errors
    /// [`Error::Format`] for damaged pages; as [`pages`](Self::pages).
    pub fn ranges(&self, level: u8, region: Option<Rect>, pages: &[&[u8]]) -> Result<Vec<Range<usize>>> {
        let mut out: Vec<Range<usize>> = Vec::new();
        for named in self.named(level, region, pages)? {
            let end = named.bytes.end + 2;
            match out.last_mut() {
                Some(last) if last.end >= named.bytes.start => last.end = last.end.max(end),
                _ => out.push(named.bytes.start..end),
            }
        }
        Ok(out)
    }

    /// A stream of what a level and a region need: decoding those of it gives the same pixels as of the whole stream.
    ///
    /// `opening` are the bytes of [`opening`](Self::opening), `pieces` those of [`ranges`](Self::ranges).
    ///
    /// # Errors
    /// [`Error::Format`] where no segment of the right address stands, [`Error::Usage`] for pieces of other lengths.
    pub fn assemble(
        &self,
        level: u8,
        region: Option<Rect>,
        pages: &[&[u8]],
        opening: &[u8],
        found: &[&[u8]],
    ) -> Result<Vec<u8>> {
        let ranges = self.ranges(level, region, pages)?;
        if ranges.len() != found.len() || ranges.iter().zip(found).any(|(r, f)| r.len() != f.len()) {
            return Err(Error::Usage("the pieces are not those of the ranges".into()));
        }
        let mut out = opening.to_vec();
        let mut at = 0;
        for named in self.named(level, region, pages)? {
            while ranges[at].end < named.bytes.end + 2 {
                at += 1;
            }
            let from = named.bytes.start - ranges[at].start;
            let bytes = &found[at][from..from + named.bytes.len()];
            let next = &found[at][from + bytes.len()..];
            let begins = matches!(bytes, [0xFF, kind, ..] if *kind >= DETAIL && *kind < 0xFF);
            let address = parse_address(&self.picture, &self.geometry, &bytes[1..]).map(|a| a.0.block);
            let alone = matches!(&pieces(bytes)[..], [only] if only.bytes == (0..bytes.len()));
            let ends = matches!(next, [0xFF, kind, ..] if !matches!(kind, 0 | 0xFF));
            if !(begins && alone && ends && address == Some(named.block)) {
                return Err(refused(named.bytes.start, "a segment of another address or length"));
            }
            out.extend_from_slice(bytes);
        }
        // Not at the end: a last segment may be cut, and damage would pass for that.
        out.extend_from_slice(&[0xFF, code::END]);
        Ok(out)
    }
}
