//! Bytes to what they say: the header by vote, the base, and the segments; nothing of it depends on the order.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::block::{Geometry, digits_for};
use crate::note::Note;
use crate::opening::{PALETTE_CHUNK, USER_CHUNK, USER_DIGITS};
use crate::picture::Picture;
use crate::segment::{Address, Piece, code, parse_address, parse_number, pieces, unstuff};
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

/// Plane and index of a chunk.
type Place = (usize, usize);

/// What a piece says of a chunk of base values.
struct Claim {
    plane: usize,
    index: usize,
    values: Vec<u8>,
    quality: Quality,
    /// Where it belongs if its place is taken.
    otherwise: Option<Place>,
}

/// How far a claim can be trusted, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    /// Its check agrees; without a check, its length and what stands before it.
    Sound,
    /// Without a check: its length agrees, but it stands where another should.
    Elsewhere,
    /// It agrees after one change.
    Mended,
    /// The end of the data cuts it.
    Cut,
    /// It is anyone's guess.
    Odd,
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
    let check = base::check_bytes(&contents.picture);
    let length = |(plane, index): Place| base::chunk_values(size(plane).0 * size(plane).1, index) + check;
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
    let values_of = |(plane, index): Place| base::chunk_values(sizes[plane].0 * sizes[plane].1, index);
    let following = |at: Option<Place>| match at {
        None => Some((0, 0)),
        Some((plane, index)) if index + 1 < counts[plane] => Some((plane, index + 1)),
        Some((plane, _)) if plane + 1 < channels => Some((plane + 1, 0)),
        Some(_) => None,
    };
    // The place that a check says, if the picture has it.
    let corrected = |(plane, rest): Place| {
        let number = (rest..*counts.get(plane)?).step_by(251).next()?;
        Some((plane, number))
    };
    let check = base::check_bytes(&contents.picture);
    let claim = |place: Place, bytes: &[u8]| -> Claim {
        let want = values_of(place);
        // Too long: what was swallowed with its marker comes behind.
        let own = &bytes[..bytes.len().min(want + check)];
        let alone =
            base::sound(check, own, want, place).filter(|s| check > 0 && !s.mended && bytes.len() > own.len() + 1);
        let of = |(plane, index), values, quality| Claim { plane, index, values, quality, otherwise: None };
        match alone.or_else(|| base::sound(check, bytes, want, place)) {
            Some(found) if found.place.is_none() => {
                of(place, found.values, if found.mended { Quality::Mended } else { Quality::Sound })
            }
            Some(found) => match found.place.and_then(corrected).filter(|p| values_of(*p) == want) {
                Some(right) => of(right, found.values, Quality::Mended),
                None => of(place, found.values, Quality::Odd),
            },
            None => of(place, bytes[..bytes.len().saturating_sub(check)].to_vec(), Quality::Odd),
        }
    };
    let mut claims: Vec<Claim> = Vec::new();
    // The first chunk without its marker is in the piece of the header before it.
    let head = 1 + digits_for(counts[0]);
    for piece in all.iter().filter(|p| p.code == code::PICTURE) {
        let rest = piece.rest(data);
        let behind = Picture::parse(rest).map_or(&[][..], |(_, n)| &rest[n..]);
        let own = values_of((0, 0)) + check;
        if let Some(bytes) =
            behind.len().checked_sub(own).filter(|n| (head..=head + 1).contains(n)).map(|n| &behind[n..])
        {
            claims.push(claim((0, 0), bytes));
        }
    }
    let mut previous: Option<Place> = None;
    for &(plane, i) in base_pieces {
        let piece = &all[i];
        let rest = piece.rest(data);
        let last = i + 1 == all.len();
        let digits = counts.get(plane).map_or(1, |count| digits_for(*count));
        let index = rest.get(..digits).and_then(parse_number);
        let place = index.filter(|_| plane < channels).filter(|index| *index < counts[plane]).map(|i| (plane, i));
        if last && place.is_none() {
            // Its number may be cut.
            continue;
        }
        let expected = following(previous);
        let mut bytes = rest.get(digits.min(rest.len())..).unwrap_or(&[]);
        if let Some((plane, index)) = place
            && last
            && bytes.len() < values_of((plane, index)) + check
        {
            // Cut: what is there is in place.
            let values = bytes[..bytes.len().min(values_of((plane, index)))].to_vec();
            claims.push(Claim { plane, index, values, quality: Quality::Cut, otherwise: None });
            continue;
        }
        if let (Some(place), Some(next)) = (place, following(place)) {
            // With the next chunk's marker damaged, its values follow.
            let own = values_of(place) + check;
            let other = values_of(next) + check;
            let skipped = [1 + digits, 2 + digits].into_iter().find(|skip| bytes.len() == own + skip + other);
            if let Some(skip) = skipped {
                claims.push(claim(next, &bytes[own + skip..]));
                bytes = &bytes[..own];
            }
        }
        // Where the address and the neighbours in the stream disagree, the check decides.
        let mut best = [place, expected].into_iter().flatten().map(|p| claim(p, bytes)).min_by_key(|c| c.quality);
        if best.as_ref().is_none_or(|best| best.quality != Quality::Sound || Some((best.plane, best.index)) != place) {
            let message =
                if check > 0 { "base values that their check contradicts" } else { "base values of the wrong number" };
            contents.fault(piece.bytes.clone(), message);
        }
        if let Some(best) =
            best.as_mut().filter(|best| check == 0 && best.quality == Quality::Sound && place != expected)
        {
            best.quality = Quality::Elsewhere;
            best.otherwise = expected.filter(|p| values_of(*p) == best.values.len());
        }
        previous = best.as_ref().map(|b| (b.plane, b.index)).or(previous);
        claims.extend(best);
    }
    claims.extend(spans.into_iter().map(|span| claim(span.place, &span.values)));
    // First what is sure, then what must be fitted to it; of equals the earliest.
    claims.sort_by_key(|c| c.quality);
    let mut taken: HashSet<Place> = HashSet::new();
    for mut claim in claims {
        if !taken.insert((claim.plane, claim.index)) {
            let Some(other) = claim.otherwise.filter(|other| taken.insert(*other)) else { continue };
            (claim.plane, claim.index) = other;
        }
        let (width, height) = sizes[claim.plane];
        let slots: Vec<_> = base::order(width, height)
            .skip(claim.index * base::CHUNK)
            .take(values_of((claim.plane, claim.index)))
            .collect();
        let known = &mut contents.bases[claim.plane];
        // FF is no base value.
        let found: Vec<Option<u8>> = match (claim.quality, claim.values.len().abs_diff(slots.len())) {
            (Quality::Odd, 3..) => {
                // Values before the fault may be right; those behind are anyone's guess.
                claim.values.iter().take(slots.len() / 2).copied().map(Some).collect()
            }
            (Quality::Odd, 1..) => conceal::realign(&claim.values, &slots, known, width),
            _ => claim.values.iter().map(|v| Some(*v)).collect(),
        };
        for ((x, y), value) in slots.into_iter().zip(found) {
            known[y * width + x] = value.filter(|v| *v != 0xFF);
        }
    }
}
