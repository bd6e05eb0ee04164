//! Bytes to what they say: the header by vote, the base, and the segments; nothing of it depends on the order.

use std::collections::HashMap;
use std::ops::Range;

use crate::block::{Geometry, digits_for};
use crate::note::Note;
use crate::picture::Picture;
use crate::segment::{Address, Piece, code, parse_address, parse_number, pieces, unstuff};
use crate::writer::{PALETTE_CHUNK, USER_CHUNK, USER_DIGITS};
use crate::{base, conceal};
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
    /// In the order of the stream.
    pub segments: Vec<Found>,
    /// All pieces.
    pub pieces: Vec<Range<usize>>,
    /// Pieces that no address can be given.
    pub orphans: Vec<Range<usize>>,
    pub palette: Option<Box<Palette>>,
    pub user_data: Vec<u8>,
    /// How the `.pgf` file was written.
    pub note: Note,
    pub faults: Vec<Fault>,
}

/// The header that most copies agree on, with the number of those.
pub(crate) fn vote(data: &[u8], pieces: &[Piece]) -> Option<(Picture, usize)> {
    let mut votes: Vec<(Picture, usize, usize)> = Vec::new();
    for (i, piece) in pieces.iter().enumerate().filter(|(_, p)| p.code == code::PICTURE) {
        let rest = piece.rest(data);
        if let Some((picture, length)) = Picture::parse(rest) {
            // A copy that does not end where it should is worth less than one that does.
            let weight = if length == rest.len() || i + 1 == pieces.len() { 2 } else { 1 };
            match votes.iter_mut().find(|(p, _, _)| *p == picture) {
                Some((_, sum, count)) => {
                    *sum += weight;
                    *count += 1;
                }
                None => votes.push((picture, weight, 1)),
            }
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

/// A header out of two copies that are both wrong, but in different bytes.
fn mend(data: &[u8], pieces: &[Piece]) -> Option<Picture> {
    let copies: Vec<&[u8]> =
        pieces.iter().filter(|p| p.code == code::PICTURE).map(|p| p.rest(data)).filter(|r| r.len() < 32).collect();
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
    let (picture, headers) = vote(data, &all).ok_or_else(|| no_header(data))?;
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
        segments: Vec::new(),
        pieces: all.iter().map(|p| p.bytes.clone()).collect(),
        orphans: Vec::new(),
        palette: None,
        user_data: Vec::new(),
        note: Note::rule(&picture),
        faults: Vec::new(),
    };
    if let Some(first) = all.first().filter(|p| p.bytes.start > 0) {
        contents.fault(0..first.bytes.start, "bytes before the first marker");
    }
    let spans = spans(&contents, &all);
    let mut base_pieces = Vec::new();
    let (mut checked, mut noted) = (0, false);
    let mut user: HashMap<usize, Vec<u8>> = HashMap::new();
    let mut scratch = Vec::new();
    let mut joined = spans.iter().peekable();
    for (i, piece) in all.iter().enumerate() {
        let rest = piece.rest(data);
        let last = i + 1 == all.len();
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
                    user.entry(index).or_insert_with(|| scratch.clone());
                }
            }
            code::FILE => {
                if let Some(note) = Note::parse(&contents.picture, rest)
                    && !noted
                {
                    contents.note = note;
                    noted = true;
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
    }
    read_bases(&mut contents, &all, &base_pieces, spans);
    // User data are in the clear up to the first piece that is missing or short.
    for index in 0.. {
        let Some(chunk) = user.remove(&index) else { break };
        contents.user_data.extend_from_slice(&chunk);
        if chunk.len() < USER_CHUNK {
            break;
        }
    }
    Ok(contents)
}

fn no_header(data: &[u8]) -> Error {
    Error::Truncated { field: "picture header", need: 12, have: data.len() as u64 }
}

fn read_palette(contents: &mut Contents<'_>, rest: &[u8], scratch: &mut Vec<u8>) {
    let Some((&index, stuffed)) = rest.split_first() else { return };
    unstuff(stuffed, scratch);
    let palette = contents.palette.get_or_insert_with(|| Box::new([[0; 4]; 256]));
    let from = usize::from(index) * PALETTE_CHUNK;
    for (entry, bytes) in palette.iter_mut().skip(from).take(PALETTE_CHUNK).zip(scratch.as_chunks::<4>().0) {
        *entry = *bytes;
    }
}

impl Contents<'_> {
    pub(crate) fn fault(&mut self, bytes: Range<usize>, message: &str) {
        self.faults.push(Fault { bytes, message: message.into() });
    }
}

/// Plane and index of a chunk.
type Place = (usize, usize);

/// One chunk of base values: where it goes and what it holds.
struct Chunk {
    plane: usize,
    index: usize,
    values: Vec<u8>,
    /// Not of the length that its place asks for.
    odd: bool,
}

/// The bytes from one base chunk to the next but one, or of one that a false marker cuts: by length and place they are
/// one chunk, whatever markers are in them.
struct Span {
    place: Place,
    pieces: Range<usize>,
    values: Vec<u8>,
}

/// Finds base chunks whose marker, address or values make wrong pieces of them, by what stands before and behind.
fn spans(contents: &Contents<'_>, all: &[Piece]) -> Vec<Span> {
    let data = contents.data;
    let channels = contents.bases.len();
    let size = |plane: usize| base::size(&contents.picture, plane);
    let count = |plane: usize| base::chunks(size(plane).0, size(plane).1);
    let length = |(plane, index): Place| (size(plane).0 * size(plane).1 - index * base::CHUNK).min(base::CHUNK);
    let address = |piece: &Piece| -> Option<Place> {
        let plane = usize::from(piece.code.checked_sub(code::BASE)?);
        let digits = (plane < channels).then(|| digits_for(count(plane)))?;
        let index = parse_number(piece.rest(data).get(..digits)?)?;
        (index < count(plane)).then_some((plane, index))
    };
    let following = |(plane, index): Place| {
        let next = if index + 1 < count(plane) { (plane, index + 1) } else { (plane + 1, 0) };
        (next.0 < channels).then_some(next)
    };
    // Whether a piece is what comes behind the chunk at a place.
    let ends = |place: Place, piece: &Piece| match following(place) {
        Some(next) => address(piece) == Some(next),
        None => piece.code == code::PICTURE,
    };
    let closes = |piece: &Piece| address(piece).is_some_and(|place| following(place).is_none());
    let head = |place: Place| 2 + digits_for(count(place.0));
    let mut out: Vec<Span> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let here = address(&all[at]);
        let next = match here {
            Some(place) => following(place),
            // Behind the header that closes the opening there is no base.
            None if all[at].code == code::PICTURE && !(at > 0 && closes(&all[at - 1])) => Some((0, 0)),
            None => None,
        };
        let few = |n: &usize| n - at <= MOST_FALSE_MARKERS && *n < all.len();
        // This chunk, cut by false markers.
        let own = here.and_then(|place| {
            let end = (at + 2..).take_while(few).find(|n| ends(place, &all[*n]))?;
            let bytes = all[at].bytes.start + head(place)..all[end].bytes.start;
            let fits =
                bytes.len().abs_diff(length(place)) <= 1 && next.is_none_or(|n| address(&all[at + 1]) != Some(n));
            fits.then(|| Span { place, pieces: at..end, values: data[bytes].to_vec() })
        });
        // The next chunk, under a wrong marker or in several pieces.
        let other = next.and_then(|place| {
            if address(all.get(at + 1)?) == Some(place) {
                return None;
            }
            let end = (at + 2..).take_while(few).find(|n| ends(place, &all[*n]))?;
            let bytes = all[at + 1].bytes.start..all[end].bytes.start;
            let (head, want) = (head(place), length(place));
            (bytes.len().abs_diff(head + want) <= 1 && bytes.len() > want).then(|| Span {
                place,
                pieces: at + 1..end,
                values: data[bytes.end - want..bytes.end].to_vec(),
            })
        });
        match own.or(other) {
            Some(span) => {
                at = span.pieces.end;
                out.push(span);
            }
            None => at += 1,
        }
    }
    out
}

/// Markers that one wrong byte or two can make in a chunk.
const MOST_FALSE_MARKERS: usize = 4;

fn read_bases(contents: &mut Contents<'_>, all: &[Piece], base_pieces: &[(usize, usize)], spans: Vec<Span>) {
    let data = contents.data;
    let channels = contents.bases.len();
    let sizes: Vec<_> = (0..channels).map(|plane| base::size(&contents.picture, plane)).collect();
    let counts: Vec<usize> = sizes.iter().map(|(w, h)| base::chunks(*w, *h)).collect();
    let length = |plane: usize, index: usize| {
        let (w, h) = sizes[plane];
        (w * h - index * base::CHUNK).min(base::CHUNK)
    };
    let mut chunks: Vec<Chunk> = Vec::new();
    // Pieces whose address cannot be, with what their neighbours in the stream imply.
    let mut lost: Vec<(Option<Place>, Vec<u8>)> = Vec::new();
    let mut taken: HashMap<(usize, usize), usize> = HashMap::new();
    let mut copies: Vec<Chunk> = Vec::new();
    let mut previous: Option<(usize, usize)> = None;
    let following = |at: Option<(usize, usize)>| match at {
        None => Some((0, 0)),
        Some((plane, index)) if index + 1 < counts[plane] => Some((plane, index + 1)),
        Some((plane, _)) if plane + 1 < channels => Some((plane + 1, 0)),
        Some(_) => None,
    };
    for &(plane, i) in base_pieces {
        let piece = &all[i];
        let rest = piece.rest(data).to_vec();
        let last = i + 1 == all.len();
        let digits = counts.get(plane).map_or(1, |count| digits_for(*count));
        let index = rest.get(..digits).and_then(parse_number);
        let address = index.filter(|_| plane < channels).filter(|index| *index < counts[plane]);
        let expected = following(previous);
        let mut values = rest.get(digits.min(rest.len())..).unwrap_or(&[]).to_vec();
        let place = address.map(|a| (plane, a));
        if let Some((place, other)) = place.and_then(|p| Some((p, *taken.get(&p)?))) {
            // Another copy: of two sound ones, value by value the one that fits its neighbours.
            let sound = values.len() == length(place.0, place.1);
            if sound && chunks[other].odd {
                chunks[other] = Chunk { plane, index: place.1, values, odd: false };
                previous = Some(place);
                continue;
            }
            if sound && values != chunks[other].values {
                copies.push(Chunk { plane, index: place.1, values, odd: false });
                previous = Some(place);
                continue;
            }
            if sound || !chunks[other].odd {
                previous = Some(place);
                continue;
            }
        }
        let place = place.filter(|p| !taken.contains_key(p));
        let Some((plane, index)) = place else {
            lost.push((expected, values));
            previous = expected.or(previous);
            continue;
        };
        previous = Some((plane, index));
        let want = length(plane, index);
        if values.len() > want + 2 {
            // The next chunk's marker was damaged: its values follow.
            for junk in [1 + digits, 2 + digits] {
                if let Some((p, n)) = following(previous).filter(|(p, n)| values.len() == want + junk + length(*p, *n))
                {
                    let tail = values.split_off(want + junk);
                    values.truncate(want);
                    lost.push((Some((p, n)), tail));
                    break;
                }
            }
        }
        let odd = values.len() != want;
        if odd && !last {
            contents.fault(piece.bytes.clone(), "base values of the wrong number");
        }
        if last {
            // Cut: what is there is in place.
            values.truncate(want);
        }
        taken.insert((plane, index), chunks.len());
        chunks.push(Chunk { plane, index, odd: odd && !last, values });
    }
    for (place, values) in lost {
        if let Some((plane, index)) = place.filter(|p| !taken.contains_key(p)) {
            let odd = values.len() != length(plane, index);
            taken.insert((plane, index), chunks.len());
            chunks.push(Chunk { plane, index, values, odd });
        }
    }
    // A sound copy elsewhere is better.
    for span in spans {
        let (plane, index) = span.place;
        let sound = taken.get(&span.place).is_some_and(|at| !chunks[*at].odd);
        if !sound {
            let odd = span.values.len() != length(plane, index);
            chunks.push(Chunk { plane, index, values: span.values, odd });
        }
    }
    // First what is sure, then what must be fitted to it.
    chunks.sort_by_key(|c| c.odd);
    for chunk in chunks {
        let (width, height) = sizes[chunk.plane];
        let slots: Vec<_> =
            base::order(width, height).skip(chunk.index * base::CHUNK).take(length(chunk.plane, chunk.index)).collect();
        let known = &mut contents.bases[chunk.plane];
        // FF is no base value.
        let found: Vec<Option<u8>> = if chunk.odd {
            if chunk.values.len().abs_diff(slots.len()) > 2 {
                // Values before the fault may be right; those behind are anyone's guess.
                chunk.values.iter().take(slots.len() / 2).copied().map(Some).collect()
            } else {
                conceal::realign(&chunk.values, &slots, known, width)
            }
        } else {
            chunk.values.iter().map(|v| Some(*v)).collect()
        };
        for ((x, y), value) in slots.into_iter().zip(found) {
            known[y * width + x] = value.filter(|v| *v != 0xFF);
        }
    }
    for copy in copies {
        let (width, height) = sizes[copy.plane];
        let known = &mut contents.bases[copy.plane];
        let slots = base::order(width, height).skip(copy.index * base::CHUNK);
        for ((x, y), value) in slots.zip(copy.values).filter(|(_, value)| *value != 0xFF) {
            let expected = conceal::mean_near(known, width, (x, y));
            let slot = &mut known[y * width + x];
            let better = |old: u8| expected.is_some_and(|e| i32::from(value).abs_diff(e) < i32::from(old).abs_diff(e));
            if slot.is_none_or(better) {
                *slot = Some(value);
            }
        }
    }
}
