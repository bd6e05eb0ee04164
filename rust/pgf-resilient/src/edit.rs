//! Streams as sets of segments: adding detail, taking away.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::chain::BlockReader;
use crate::coder::PlaneEncoder;
use crate::opening::{Extras, PALETTE_CHUNK, USER_DIGITS, user_chunks, write_bases, write_extras};
use crate::pyramid::{Base, Pyramid};
use crate::reader::{Contents, read};
use crate::segment::{Address, MOST_PLANES, code, parse_number, pieces, write_segment};
use crate::tile::Tiles;
use crate::wanted::whole;
use crate::{base, conceal};
use pgf::{Coefficients, Error, Limits, Rect, Result, Windows};

/// The stream with up to `planes` more planes of every block that meets `region` (`None`: of all), taken from the
/// coefficients that it was made from, and with the base values, palette entries and user data that it lacks. Nothing before
/// them changes, but for a last piece that is cut: a whole one comes in its place.
///
/// # Errors
/// As [`decode`](crate::decode); [`Error::Usage`] if the coefficients are of another size, mode, level or quality or larger
/// than the stream's addresses have room for, or for a region that the picture does not have.
pub fn refine(
    data: &[u8],
    coefficients: &Coefficients,
    region: Option<Rect>,
    planes: usize,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let before = read(data, limits)?;
    let (mut end, cut) = whole(&before);
    // A short piece of user data is the last if the coefficients have no more of it.
    if let Some(piece) = before.pieces.last().filter(|p| p.start == end && data[end + 1] == code::USER)
        && let Some(index) = data[..piece.end].get(end + 2..end + 2 + USER_DIGITS).and_then(parse_number)
        && let Some(known) = before.user.get(&index)
        && user_chunks(&coefficients.user_data).get(&index).is_none_or(|chunk| chunk.len() <= known.len())
    {
        end = piece.end;
    }
    let data = &data[..end];
    let contents = read(data, limits)?;
    let picture = contents.picture;
    let (ours, theirs) = (picture.header, *coefficients.header());
    let same = (ours.width, ours.height, ours.levels, ours.quality, ours.mode, ours.channels)
        == (theirs.width, theirs.height, theirs.levels, theirs.quality, theirs.mode, theirs.channels);
    if !same {
        return Err(Error::Usage(format!(
            "a stream of {}x{}, {} levels, quality {} is not refined by coefficients of {}x{}, {} levels, quality {}",
            ours.width,
            ours.height,
            ours.levels,
            ours.quality,
            theirs.width,
            theirs.height,
            theirs.levels,
            theirs.quality
        )));
    }
    // Refuses regions that the picture does not have.
    Windows::new(&ours, 0, 0, region)?;
    let geometry = &contents.geometry;
    let pyramid = Pyramid::new(coefficients, geometry.levels)?;
    let bases: Vec<Base> = (0..usize::from(ours.channels)).map(|plane| pyramid.base(&picture, plane)).collect();
    let mut reader = BlockReader::new(&contents, false);
    let mut tiles = Tiles::default();
    let mut encoder = PlaneEncoder::new(picture.payload);
    let (mut codes, mut content) = (Vec::new(), Vec::new());
    let mut out = data.to_vec();
    write_bases(&picture, &lacking(&contents, &bases), &mut out);
    write_extras(&lacking_extras(&contents, coefficients), &mut out);
    for block in 0..geometry.blocks.len() {
        let parts = geometry.parts_of(block);
        let meets = |area: Rect| {
            region.is_none_or(|r| {
                area.left < r.right && r.left < area.right && area.top < r.bottom && r.top < area.bottom
            })
        };
        let mut areas = parts.iter().filter_map(|part| conceal::footprint(&ours, geometry.levels, part));
        let cut = cut.filter(|cut| cut.block == block);
        let planes = if areas.any(meets) { planes } else { 0 };
        if planes == 0 && cut.is_none() {
            continue;
        }
        let state = reader.block(block);
        let top = pyramid.load(geometry, &bases, block, &mut tiles);
        // Short addresses have room for 16 planes (a writer would have chosen the others).
        if !picture.deep && top > 16 {
            return Err(Error::Usage(format!(
                "coefficients of {top} planes in block {block}: the addresses of this stream have room for 16"
            )));
        }
        // A beginning that is cut in its first plane must come again.
        let begun = state.low < state.top;
        let known = if begun { state.low } else { top };
        for p in (known..top).rev() {
            for (part, tile) in parts.iter().zip(&mut tiles.tiles) {
                if crate::tile::is_active(part, p) {
                    tile.absorb(p - usize::from(part.lift));
                }
            }
        }
        let mut p = known;
        let mut first = !begun;
        let end = known.saturating_sub(planes);
        // All planes of a segment that was cut come again.
        let end = cut.map_or(end, |cut| end.min(usize::from(cut.plane) + 1 - usize::from(cut.count)));
        while p > end {
            let count = (p - end).min(usize::from(MOST_PLANES[usize::from(!first)]));
            codes.clear();
            let planes: Vec<_> =
                (p - count..p).rev().map(|p| encoder.plane(parts, &mut tiles, p, &mut codes)).collect();
            let address = Address { block, plane: (p - 1) as u8, count: count as u8, first };
            write_segment(&picture, geometry, &address, (&planes, &codes), &mut content, &mut out);
            p -= count;
            first = false;
        }
    }
    Ok(out)
}

/// Base values by plane, those in chunks of which a stream has all left out.
fn lacking(contents: &Contents<'_>, bases: &[Base]) -> Vec<Vec<Option<u8>>> {
    let of_plane = |(known, base): (&Vec<Option<u8>>, &Base)| {
        let mut out = vec![None; known.len()];
        let order: Vec<usize> =
            base::order(base.width, known.len() / base.width).map(|(x, y)| y * base.width + x).collect();
        for chunk in order.chunks(base::CHUNK).filter(|chunk| chunk.iter().any(|i| known[*i].is_none())) {
            chunk.iter().for_each(|i| out[*i] = Some(base.bytes[*i]));
        }
        out
    };
    contents.bases.iter().zip(bases).map(of_plane).collect()
}

/// Palette entries in chunks that a stream lacks or has otherwise, and user data in chunks that it lacks or has shorter.
fn lacking_extras<'a>(contents: &Contents<'_>, coefficients: &'a Coefficients) -> Extras<'a> {
    let palette = coefficients.palette.as_deref();
    let mut palette_chunks = contents.palette_known.map(|known| !known);
    if let (Some(ours), Some(theirs)) = (palette, &contents.palette) {
        let chunks = ours.chunks(PALETTE_CHUNK).zip(theirs.chunks(PALETTE_CHUNK));
        palette_chunks.iter_mut().zip(chunks).for_each(|(lacks, (ours, theirs))| *lacks |= ours != theirs);
    }
    let mut user = user_chunks(&coefficients.user_data);
    user.retain(|index, chunk| contents.user.get(index).is_none_or(|known| known.len() < chunk.len()));
    Extras { note: contents.note, palette, palette_chunks, user }
}

/// The stream without the pieces that begin at the given bytes.
///
/// # Errors
/// [`Error::Usage`] if no piece begins at one of them.
pub fn remove(data: &[u8], starts: &[usize]) -> Result<Vec<u8>> {
    let mut wanted: BTreeSet<usize> = starts.iter().copied().collect();
    let mut gone: Vec<Range<usize>> = Vec::new();
    for piece in pieces(data) {
        if wanted.remove(&piece.bytes.start) {
            gone.push(piece.bytes);
        }
    }
    if let Some(start) = wanted.first() {
        return Err(Error::Usage(format!("no segment begins at byte {start}")));
    }
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    for range in gone {
        out.extend_from_slice(&data[at..range.start]);
        at = range.end;
    }
    out.extend_from_slice(&data[at..]);
    Ok(out)
}
