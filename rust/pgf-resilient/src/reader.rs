//! Bytes to what they say: the header by vote, the base, and the segments; nothing of it depends on the order.

mod bases;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::base;
use crate::block::Geometry;
use crate::note::Note;
use crate::opening::{PALETTE_CHUNK, PALETTE_CHUNKS, USER_CHUNK, USER_DIGITS, UserChunks};
use crate::picture::Picture;
use crate::segment::{Address, Piece, code, parse_address, parse_number, pieces, pieces_of_all, unstuff};
use bases::{read_bases, spans};
use pgf::{Error, Limits, Palette, Result};

/// A segment of planes as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub address: Address,
    /// All of it, marker included.
    pub bytes: Range<usize>,
    /// The content, still stuffed.
    pub content: Range<usize>,
    /// Whether the stream ends with it, so that it may be cut.
    pub last: bool,
}

/// A base chunk that the end of a stream cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CutChunk {
    pub plane: usize,
    pub index: usize,
    /// All of it, marker included.
    pub bytes: Range<usize>,
}

/// A range of bytes that contradicts the format, or says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub bytes: Range<usize>,
    /// What is wrong with it.
    pub message: String,
}

/// All that a stream says, whatever the order in which it says it.
#[derive(Debug, Clone)]
pub(crate) struct Contents<'a> {
    pub data: &'a [u8],
    pub picture: Picture,
    pub geometry: Geometry,
    /// Copies of the header.
    pub headers: usize,
    /// By plane, row by row.
    pub bases: Vec<Vec<Option<u8>>>,
    /// Base chunks of which only a beginning is known: the end of a stream cuts them.
    pub cut_chunks: Vec<CutChunk>,
    /// In the order of the stream.
    pub segments: Vec<Found>,
    /// All pieces.
    pub pieces: Vec<Range<usize>>,
    /// Pieces that no address can be given.
    pub orphans: Vec<Range<usize>>,
    /// Entries that are not known are zero.
    pub palette: Option<Box<Palette>>,
    /// Which chunks of the palette are known entirely.
    pub palette_known: [bool; PALETTE_CHUNKS],
    /// Chunks of user data by number, whatever is missing between them.
    pub user: BTreeMap<usize, Vec<u8>>,
    /// User data up to the first chunk that is missing or short.
    pub user_data: Vec<u8>,
    /// How the `.pgf` file was written.
    pub note: Note,
    pub faults: Vec<Fault>,
}

/// The header that most copies agree on, with the number of those.
pub(crate) fn vote(data: &[u8], pieces: &[Piece]) -> Option<(Picture, usize)> {
    let mut votes: Vec<(Picture, usize, usize)> = Vec::new();
    // Noise can hold many headers, all different.
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    for piece in pieces.iter().filter(|p| p.code == code::PICTURE) {
        let rest = piece.rest(data);
        if let Some((picture, length)) = Picture::parse(rest) {
            // A copy that does not end where it should is worth less than one that does.
            let weight = if length == rest.len() || piece.last { 2 } else { 1 };
            let vote = *known.entry(picture.to_bytes()).or_insert_with(|| {
                votes.push((picture, 0, 0));
                votes.len() - 1
            });
            votes[vote].1 += weight;
            votes[vote].2 += 1;
        }
    }
    if votes.is_empty()
        && let Some(picture) = mend(data, pieces)
    {
        return Some((picture, 1));
    }
    // The earliest of equals.
    let mut best: Option<(Picture, usize, usize)> = None;
    for vote in votes {
        if best.is_none_or(|b| vote.1 > b.1) {
            best = Some(vote);
        }
    }
    best.map(|(picture, _, count)| (picture, count))
}

/// Most bytes in which two damaged copies of the header may differ for [`mend`] to try.
const MOST_DIFFERENCES: usize = 6;

/// Damaged copies of the header that are mixed, at most.
const MOST_MIXED: usize = 64;

/// A header out of two copies that are both wrong, but in different bytes.
fn mend(data: &[u8], pieces: &[Piece]) -> Option<Picture> {
    let copies = pieces.iter().filter(|p| p.code == code::PICTURE).map(|p| p.rest(data)).filter(|r| r.len() < 32);
    // Pairs of them are tried.
    let copies: Vec<&[u8]> = copies.take(MOST_MIXED).collect();
    for (i, a) in copies.iter().enumerate() {
        for b in &copies[i + 1..] {
            if a.len() != b.len() {
                continue;
            }
            let differing: Vec<usize> = (0..a.len()).filter(|at| a[*at] != b[*at]).collect();
            if differing.len() > MOST_DIFFERENCES {
                continue;
            }
            let mut mixed = a.to_vec();
            for choice in 0..1u32 << differing.len() {
                for (bit, at) in differing.iter().enumerate() {
                    mixed[*at] = if choice >> bit & 1 == 1 { b[*at] } else { a[*at] };
                }
                if let Some((picture, n)) = Picture::parse(&mixed)
                    && n == mixed.len()
                {
                    return Some(picture);
                }
            }
        }
    }
    None
}

/// Takes a stream apart.
///
/// # Errors
/// [`Error::Truncated`] if no header can be read, [`Error::Limits`] for a picture over the limits, [`Error::Format`]
/// for one that cannot be.
pub(crate) fn read<'a>(data: &'a [u8], limits: &Limits) -> Result<Contents<'a>> {
    let all = pieces(data);
    let header = vote(data, &all).ok_or_else(|| no_header(data))?;
    take_apart(data, &[data.len()], &all, header, limits)
}

/// Takes several streams of one picture apart, one behind the other, as one: each of which ends at one of `ends` and may be
/// cut there.
///
/// # Errors
/// As [`read`], but for a header that is missing.
pub(crate) fn read_all<'a>(data: &'a [u8], ends: &[usize], picture: Picture, limits: &Limits) -> Result<Contents<'a>> {
    take_apart(data, ends, &pieces_of_all(data, ends), (picture, ends.len()), limits)
}

fn take_apart<'a>(
    data: &'a [u8],
    ends: &[usize],
    all: &[Piece],
    (picture, headers): (Picture, usize),
    limits: &Limits,
) -> Result<Contents<'a>> {
    picture.check(limits)?;
    let geometry = Geometry::new(&picture)?;
    let channels = usize::from(picture.header.channels);
    let sizes: Vec<_> = (0..channels).map(|plane| base::size(&picture, plane)).collect();
    let mut contents = Contents {
        data,
        picture,
        geometry,
        headers,
        bases: sizes.iter().map(|(w, h)| vec![None; w * h]).collect(),
        cut_chunks: Vec::new(),
        segments: Vec::new(),
        pieces: all.iter().map(|p| p.bytes.clone()).collect(),
        orphans: Vec::new(),
        palette: None,
        palette_known: [false; PALETTE_CHUNKS],
        user: BTreeMap::new(),
        user_data: Vec::new(),
        note: Note::rule(&picture),
        faults: Vec::new(),
    };
    if let Some(first) = all.first().filter(|p| p.bytes.start > 0) {
        contents.fault(0..first.bytes.start, "bytes before the first marker");
    }
    let spans = spans(&contents, all);
    let mut base_pieces = Vec::new();
    // The end of the stream that a piece is in.
    let end_of = |piece: &Piece| ends[ends.partition_point(|end| *end <= piece.bytes.start)];
    let (mut checked, mut noted) = (0, None);
    let mut scratch = Vec::new();
    let mut joined = spans.iter().peekable();
    for (i, piece) in all.iter().enumerate() {
        let rest = piece.rest(data);
        let last = piece.last;
        while joined.next_if(|s| s.pieces.end <= i).is_some() {}
        if let Some(span) = joined.peek().filter(|s| s.pieces.contains(&i)) {
            if span.pieces.start == i {
                contents
                    .fault(piece.bytes.start..all[span.pieces.end - 1].bytes.end, "base values with a wrong marker");
            }
            continue;
        }
        match piece.code {
            code::PICTURE => match Picture::parse(rest) {
                Some((p, n)) if p == contents.picture && (n == rest.len() || last) => {}
                None if last => {}
                _ => contents.fault(piece.bytes.clone(), "a copy of the header that does not agree"),
            },
            c if (code::BASE..code::BASE + 8).contains(&c) => base_pieces.push((usize::from(c - code::BASE), i)),
            code::PALETTE => read_palette(&mut contents, rest, &mut scratch),
            code::USER => {
                if let Some(index) = rest.get(..USER_DIGITS).and_then(parse_number) {
                    unstuff(&rest[USER_DIGITS..], &mut scratch);
                    scratch.truncate(USER_CHUNK);
                    // The longest, as the end of a stream may have cut others; of equals the first.
                    let known = contents.user.entry(index).or_default();
                    if scratch.len() > known.len() {
                        known.clone_from(&scratch);
                    }
                }
            }
            code::FILE => {
                // The first, unless the end of a stream may cut it.
                if let Some(note) = Note::parse(&contents.picture, rest)
                    && noted.is_none_or(|cut| cut && !last)
                {
                    contents.note = note;
                    noted = Some(last);
                }
            }
            code::CHECK => {
                let sum = crc32fast::hash(&data[checked..piece.bytes.start]);
                let said = rest.iter().take(5).fold(0, |sum, b| sum << 7 | u32::from(b & 0x7F));
                if (rest.len() != 5 || said != sum) && !last {
                    contents.fault(checked..piece.bytes.end, "bytes that a check contradicts");
                }
                checked = piece.bytes.end;
            }
            code::END => {}
            _ => match parse_address(
                &contents.picture,
                &contents.geometry,
                &data[piece.bytes.start + 1..piece.bytes.end],
            ) {
                Some((address, length)) => contents.segments.push(Found {
                    address,
                    bytes: piece.bytes.clone(),
                    content: piece.bytes.start + 1 + length..piece.bytes.end,
                    last,
                }),
                None if last => {}
                None => {
                    contents.orphans.push(piece.bytes.clone());
                    contents.fault(piece.bytes.clone(), "a marker with an address that the picture does not have");
                }
            },
        }
        if last {
            checked = end_of(piece);
        }
    }
    read_bases(&mut contents, all, &base_pieces, spans);
    for index in 0.. {
        let Some(chunk) = contents.user.get(&index) else { break };
        contents.user_data.extend_from_slice(chunk);
        if chunk.len() < USER_CHUNK {
            break;
        }
    }
    Ok(contents)
}

pub(crate) fn no_header(data: &[u8]) -> Error {
    if data.starts_with(b"PGF") {
        let message = "a .pgf file, and no .pgfr stream".into();
        return Error::Format { field: "picture header", offset: 0, message };
    }
    if crate::check(data) == Some(false) {
        let message = format!("none in {} bytes, which do not begin as a .pgfr stream does", data.len());
        return Error::Format { field: "picture header", offset: 0, message };
    }
    Error::Truncated { field: "picture header", need: 12.max(data.len() as u64 + 1), have: data.len() as u64 }
}

fn read_palette(contents: &mut Contents<'_>, rest: &[u8], scratch: &mut Vec<u8>) {
    let Some((&index, stuffed)) = rest.split_first() else { return };
    let index = usize::from(index);
    let Some(known) = contents.palette_known.get_mut(index) else { return };
    unstuff(stuffed, scratch);
    let is_whole = scratch.len() >= 4 * PALETTE_CHUNK;
    // One that is cut says nothing new.
    if *known && !is_whole {
        return;
    }
    *known |= is_whole;
    let palette = contents.palette.get_or_insert_with(|| Box::new([[0; 4]; 256]));
    let from = index * PALETTE_CHUNK;
    for (entry, bytes) in palette.iter_mut().skip(from).take(PALETTE_CHUNK).zip(scratch.as_chunks::<4>().0) {
        *entry = *bytes;
    }
}

impl Contents<'_> {
    pub(crate) fn user_chunks(&self) -> UserChunks<'_> {
        self.user.iter().map(|(index, chunk)| (*index, &chunk[..])).collect()
    }

    /// Base values that are missing although the stream goes on behind them.
    pub(crate) fn concealed(&self) -> usize {
        let ordered = self.bases.iter().enumerate().flat_map(|(plane, values)| {
            let (width, height) = base::size(&self.picture, plane);
            base::order(width, height).map(move |(x, y)| values[y * width + x].is_some())
        });
        // Those that are missing up to here, and those that were up to the last that is there.
        let (mut missing, mut before) = (0, 0);
        for known in ordered {
            missing += usize::from(!known);
            before = if known { missing } else { before };
        }
        if self.segments.is_empty() { before } else { missing }
    }

    pub(crate) fn fault(&mut self, bytes: Range<usize>, message: &str) {
        self.faults.push(Fault { bytes, message: message.into() });
    }
}
