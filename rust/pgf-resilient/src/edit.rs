//! Streams as sets of segments: adding detail, taking away.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::chain::BlockReader;
use crate::coder::PlaneEncoder;
use crate::conceal;
use crate::pyramid::{Base, Pyramid};
use crate::reader::read;
use crate::segment::{Address, MOST_PLANES, pieces, write_segment};
use crate::tile::Tiles;
use pgf::{Coefficients, Error, Limits, Rect, Result};

/// The stream with up to `planes` more planes of every block that meets `region` (`None`: of all), taken from the
/// coefficients that it was made from. Nothing before them changes.
///
/// # Errors
/// As [`decode`](crate::decode); [`Error::Usage`] if the coefficients are of another size, mode, level or quality.
pub fn refine(
    data: &[u8],
    coefficients: &Coefficients,
    region: Option<Rect>,
    planes: usize,
    limits: &Limits,
) -> Result<Vec<u8>> {
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
    let geometry = &contents.geometry;
    let pyramid = Pyramid::new(coefficients, geometry.levels)?;
    let bases: Vec<Base> = (0..usize::from(ours.channels)).map(|plane| pyramid.base(&picture, plane)).collect();
    let mut reader = BlockReader::new(&contents, false);
    let mut tiles = Tiles::default();
    let mut encoder = PlaneEncoder::new(picture.payload);
    let (mut codes, mut content) = (Vec::new(), Vec::new());
    let mut out = data.to_vec();
    for block in 0..geometry.blocks.len() {
        let parts = geometry.parts_of(block);
        let meets = |area: Rect| {
            region.is_none_or(|r| {
                area.left < r.right && r.left < area.right && area.top < r.bottom && r.top < area.bottom
            })
        };
        let mut areas = parts.iter().filter_map(|part| conceal::footprint(&ours, geometry.levels, part));
        if !areas.any(meets) {
            continue;
        }
        let state = reader.block(block);
        let top = pyramid.load(geometry, &bases, block, &mut tiles);
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
