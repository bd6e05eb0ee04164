//! Streams of one picture put together: what any of them tells, one of them may end within a segment.

use std::collections::HashSet;
use std::ops::Range;

use crate::block::{Part, digits_for};
use crate::chain::{BlockReader, BlockState, Fate};
use crate::coder::PlaneEncoder;
use crate::opening::opening_again;
use crate::order::{power_of_four, weight};
use crate::picture::Picture;
use crate::reader::{Contents, CutChunk, read, read_all};
use crate::segment::Address;
use crate::stream::{code_again, put_blocks};
use crate::tile::{Tile, is_active};
use crate::{base, read_picture};
use pgf::{Error, Limits, Result};

/// One stream of all that several streams of the same picture tell, without damage, duplicates and strays.
///
/// Where they hold other bits of a block, the later ones count. Each of them may be cut: of its last piece the whole planes
/// are kept, and of the one whose last plane, known in part, adds most, all bytes: they end the new stream.
///
/// # Errors
/// As [`decode`](crate::decode); [`Error::Usage`] if the streams do not have the same header.
pub fn merge(streams: &[&[u8]], limits: &Limits) -> Result<Vec<u8>> {
    let picture = common_picture(streams)?;
    let all = streams.concat();
    let mut ends = Vec::with_capacity(streams.len());
    for stream in streams {
        ends.push(ends.last().unwrap_or(&0) + stream.len());
    }
    let mut contents = vec![read_all(&all, &ends, picture, limits)?];
    if streams.len() > 1 {
        for stream in streams {
            contents.push(read(stream, limits)?);
        }
    }
    // Where the bytes that a reader reads begin among all.
    let starts: Vec<usize> = [0, 0].into_iter().chain(ends).take(contents.len()).collect();
    let mut readers: Vec<BlockReader<'_, '_>> = contents.iter().map(|c| BlockReader::new(c, false)).collect();
    let joined = &contents[0];
    let geometry = &joined.geometry;
    let mut encoder = PlaneEncoder::new(picture.payload);
    let (mut blocks, mut codes) = (Vec::with_capacity(geometry.blocks.len()), Vec::new());
    let mut order: Vec<(usize, usize, usize)> = Vec::new();
    let mut last: Option<Last> = None;
    for block in 0..geometry.blocks.len() {
        let parts = geometry.parts_of(block);
        let (chosen, state) = choose(&mut readers, &contents, block);
        let (segments, start) = (&contents[chosen].segments, starts[chosen]);
        let reader = &mut readers[chosen];
        if let Some(cut) = state.cut {
            let bytes = start + segments[cut].bytes.start..start + segments[cut].bytes.end;
            let gain = gain_of_part(&picture, parts, &reader.tiles.tiles, state.low);
            // A beginning says where a block begins even if it holds nothing else.
            let tells = gain > 0.0 || state.low == state.top;
            if tells && last.as_ref().is_none_or(|l| gain > l.gain) {
                last = Some(Last { gain, bytes, block, plane: segments[cut].address.plane });
            }
        }
        blocks.push((state, code_again(&mut encoder, parts, &mut reader.tiles, state, &mut codes)));
        for &(_, i) in reader.segments_of(block).iter().filter(|(_, i)| reader.fates[*i].is_shown()) {
            order.push((start + segments[i].bytes.start, block, segments[i].address.count.into()));
        }
    }
    order.sort_unstable();
    let chunk = cut_chunk(joined);
    let mut out = opening_again(joined, &picture, chunk);
    if let Some(last) = last.as_ref().filter(|_| chunk.is_none()) {
        let (state, planes) = &mut blocks[last.block];
        planes.truncate(state.top.saturating_sub(usize::from(last.plane) + 1));
        order.retain(|(start, ..)| *start != last.bytes.start);
    }
    let order = order.into_iter().map(|(_, block, count)| (block, count));
    put_blocks((&picture, geometry), order, &blocks, &codes, &mut out);
    if let Some(bytes) = chunk.map(|c| c.bytes.clone()).or(last.map(|l| l.bytes)) {
        out.extend_from_slice(&all[bytes]);
    }
    Ok(out)
}

/// A segment that is cut, and what the plane in which it is cut adds to the picture.
struct Last {
    gain: f64,
    bytes: Range<usize>,
    block: usize,
    /// Its highest plane.
    plane: u8,
}

/// The header of all streams.
fn common_picture(streams: &[&[u8]]) -> Result<Picture> {
    let (first, others) = streams.split_first().ok_or_else(|| Error::Usage("no stream to merge".into()))?;
    let named = |field| {
        move |error| match error {
            Error::Truncated { need, have, .. } => Error::Truncated { field, need, have },
            error => error,
        }
    };
    let first = read_picture(first).map_err(named("picture header of the first stream"))?;
    for (i, other) in others.iter().enumerate() {
        let other = read_picture(other).map_err(named("picture header of another stream than the first"))?;
        if let Some((field, value, wanted)) = difference(&other, &first) {
            return Err(Error::Usage(format!(
                "streams of different headers do not merge: stream {} has {field} {value}, the first {wanted}",
                i + 2
            )));
        }
    }
    Ok(first)
}

/// A field in which two headers differ, and its two values.
fn difference(a: &Picture, b: &Picture) -> Option<(&'static str, String, String)> {
    let (a, b) = (fields(a).into_iter(), fields(b));
    a.zip(b).find(|(a, b)| a.1 != b.1).map(|(a, b)| (a.0, a.1, b.1))
}

/// What a header says, for people.
fn fields(picture: &Picture) -> [(&'static str, String); 12] {
    let header = &picture.header;
    [
        ("size", format!("{}x{}", header.width, header.height)),
        ("mode", header.mode.name().into()),
        ("channels", header.channels.to_string()),
        ("levels", header.levels.to_string()),
        ("quality", header.quality.to_string()),
        ("used bits", header.used_bits.to_string()),
        ("payload", format!("{:?}", picture.payload).to_lowercase()),
        ("bare", picture.bare.to_string()),
        ("deep", picture.deep.to_string()),
        ("coarse exponent", picture.coarse.to_string()),
        ("base shifts", format!("{:?}", picture.base_shift)),
        ("outlier limits", format!("{:?}", picture.outlier)),
    ]
}

/// The reader that knows most of a block, and what it knows: the first, which reads all streams as one, unless another one is
/// sure of more and does not contradict.
fn choose(readers: &mut [BlockReader<'_, '_>], contents: &[Contents<'_>], block: usize) -> (usize, BlockState) {
    let (mut best, mut is_sure) = (0, false);
    let parts = contents[0].geometry.parts_of(block).len();
    let mut chosen = BlockState::default();
    for k in 0..readers.len() {
        let reader = &mut readers[k];
        let before = reader.repaired;
        let state = reader.block(block);
        let doubted = reader.segments_of(block).iter().any(|(_, i)| reader.fates[*i] == Fate::Doubted);
        let sure = reader.repaired == before && !doubted;
        if k == 0 {
            (chosen, is_sure) = (state, sure);
            if is_all(reader, &contents[0], block) {
                break;
            }
            continue;
        }
        let more = depth(state, &readers[k].tiles.tiles[..parts]) > depth(chosen, &readers[best].tiles.tiles[..parts]);
        if !sure || state.top == 0 || is_sure && !more {
            continue;
        }
        let agrees = agree(&readers[k].tiles.tiles[..parts], &readers[best].tiles.tiles[..parts]);
        if agrees && more || !agrees && !is_sure {
            (best, chosen, is_sure) = (k, state, true);
        }
    }
    (best, chosen)
}

/// Whether all segments of a block are in the picture, those aside that say the same as another.
fn is_all(reader: &BlockReader<'_, '_>, contents: &Contents<'_>, block: usize) -> bool {
    let all = reader.segments_of(block).iter().map(|(_, i)| *i);
    let address = |i: usize| contents.segments[i].address;
    let is_shown = |i: &usize| matches!(reader.fates[*i], Fate::Used | Fate::Cut);
    let shown: HashSet<Address> = all.clone().filter(is_shown).map(address).collect();
    let is_copy = |i: usize| reader.fates[i] == Fate::Duplicate && shown.contains(&address(i));
    all.clone().all(|i| is_shown(&i) || is_copy(i))
}

/// How far down a block is known: planes, then coefficients of the next.
fn depth(state: BlockState, tiles: &[Tile]) -> (usize, u32) {
    if state.top == 0 {
        return (0, 0);
    }
    let part = tiles.iter().flat_map(|t| &t.partial).map(|row| row.count_ones()).sum();
    (usize::MAX - state.low, part)
}

/// Whether two readings of a block have the same bits in all planes that both know.
fn agree(a: &[Tile], b: &[Tile]) -> bool {
    a.iter().zip(b).all(|(a, b)| {
        let plane = |tile: &Tile, n: usize| if n < tile.top { tile.planes[n] } else { [0; 32] };
        let mut significant = [0; 32];
        let mut planes = a.low.max(b.low)..a.top.max(b.top);
        let same = planes.all(|n| {
            let (a, b) = (plane(a, n), plane(b, n));
            significant.iter_mut().zip(a).for_each(|(s, row)| *s |= row);
            a == b
        });
        let signs = a.negative.iter().zip(&b.negative).zip(significant);
        same && signs.into_iter().all(|((a, b), significant)| (a ^ b) & significant == 0)
    })
}

/// What the plane below `low`, of which some coefficients are known, takes from the squared error.
fn gain_of_part(picture: &Picture, parts: &[Part], tiles: &[Tile], low: usize) -> f64 {
    let Some(p) = low.checked_sub(1) else { return 0.0 };
    let mut gain = 0.0;
    for (part, tile) in parts.iter().zip(tiles).filter(|(part, _)| is_active(part, p)) {
        let n = p - usize::from(part.lift);
        let (mut found, mut refined) = (0, 0);
        for (y, known) in tile.partial.iter().enumerate() {
            let above = (n + 1..tile.top).fold(0, |above, n| above | tile.planes[n][y]);
            let plane = if n < tile.top { tile.planes[n][y] } else { 0 };
            found += (known & plane & !above).count_ones();
            refined += (known & above).count_ones();
        }
        let planes = power_of_four(n) * (2.25 * f64::from(found) + 0.25 * f64::from(refined));
        gain += weight(&picture.header, part, 1.0) * planes;
    }
    gain
}

/// The base chunk that is kept as it is cut: the one of which most is known.
fn cut_chunk<'c>(contents: &'c Contents<'_>) -> Option<&'c CutChunk> {
    let head = |chunk: &CutChunk| {
        let (width, height) = base::size(&contents.picture, chunk.plane);
        2 + digits_for(base::chunks(width, height))
    };
    let known = |chunk: &&CutChunk| chunk.bytes.len() - head(chunk);
    contents.cut_chunks.iter().filter(|chunk| known(chunk) > 0).max_by_key(known)
}
