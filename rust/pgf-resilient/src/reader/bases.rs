//! Base chunks: which piece is which, whatever damage made of their markers, and the values that follow.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;

use super::{Contents, CutChunk};
use crate::block::digits_for;
use crate::picture::Picture;
use crate::segment::{Piece, code, parse_number};
use crate::{base, conceal};

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
    /// The end of the data cuts it; it is this piece.
    Cut(usize),
    /// It is anyone's guess.
    Odd,
}

/// The bytes from one base chunk to the next but one, or of one that a false marker cuts: by length and place they are
/// one chunk, whatever markers are in them.
pub(super) struct Span {
    place: Place,
    pub pieces: Range<usize>,
    values: Vec<u8>,
}

/// Finds base chunks whose marker, address or values make wrong pieces of them, by what stands before and behind.
pub(super) fn spans(contents: &Contents<'_>, all: &[Piece]) -> Vec<Span> {
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
    // Behind the header that closes the opening there is no base but what the end of a stream cuts. It stands behind base
    // values, or where there are none behind the first.
    let closes = |piece: &Piece| address(piece).is_some() || piece.code == code::PICTURE;
    let is_header = |piece: &Piece| {
        let rest = piece.rest(data);
        piece.code == code::PICTURE && Picture::parse(rest).is_some_and(|(_, length)| length == rest.len())
    };
    let head = |place: Place| 2 + digits_for(count(place.0));
    let mut out: Vec<Span> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let here = address(&all[at]);
        let next = match here {
            Some(place) => following(place),
            None if all[at].code == code::PICTURE && !(at > 0 && !all[at - 1].last && closes(&all[at - 1])) => {
                Some((0, 0))
            }
            None => None,
        };
        // None is of several streams, none holds a header that is sound.
        let few = |n: &usize| {
            let few = n - at <= MOST_FALSE_MARKERS && *n < all.len();
            few && !all[at].last && !all[n - 1].last && !all[at + 1..*n].iter().any(is_header)
        };
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

pub(super) fn read_bases(contents: &mut Contents<'_>, all: &[Piece], base_pieces: &[(usize, usize)], spans: Vec<Span>) {
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
    let mut since = 0;
    for &(plane, i) in base_pieces {
        let piece = &all[i];
        let rest = piece.rest(data);
        let last = piece.last;
        if all[since..i].iter().any(|p| p.last) {
            // Another stream begins.
            previous = None;
        }
        since = i;
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
            claims.push(Claim { plane, index, values, quality: Quality::Cut(i), otherwise: None });
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
    claims.sort_by_key(|c| match c.quality {
        // Of several that are cut the longest.
        Quality::Cut(_) => (Quality::Cut(0), Reverse(c.values.len())),
        quality => (quality, Reverse(0)),
    });
    let mut taken: HashSet<Place> = HashSet::new();
    for mut claim in claims {
        if !taken.insert((claim.plane, claim.index)) {
            let Some(other) = claim.otherwise.filter(|other| taken.insert(*other)) else { continue };
            (claim.plane, claim.index) = other;
        }
        if let Quality::Cut(piece) = claim.quality {
            let (plane, index) = (claim.plane, claim.index);
            contents.cut_chunks.push(CutChunk { plane, index, bytes: all[piece].bytes.clone() });
        }
        let (width, height) = sizes[claim.plane];
        let first = claim.index * base::CHUNK;
        let slots: Vec<_> = (first..first + values_of((claim.plane, claim.index)))
            .filter_map(|number| base::position(width, height, number))
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
