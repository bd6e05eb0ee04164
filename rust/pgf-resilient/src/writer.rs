//! Coefficients to a stream.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::block::{Geometry, Part, channel_groups};
use crate::coder::{PlaneCode, PlaneEncoder};
use crate::note::Note;
use crate::order::{PlaneWorth, Planned, plan, weight, worth};
use crate::picture::{NO_LIMIT, Payload, Picture, storable_outlier};
use crate::pyramid::{Base, Pyramid};
use crate::reader::Contents;
use crate::segment::{Address, code, stuff, write_number, write_segment};
use crate::tile::Tiles;
use crate::{base, conceal};
use pgf::{Band, Coefficients, Error, MAX_CHANNELS, Palette, Rect, Result};

/// How safe a stream is made, and what that may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Fewer and larger blocks, one repeat of the header.
    Lean,
    /// Tiles of at most half of a small picture's side at the coarse levels, one repeat of the header.
    #[default]
    Default,
    /// As the default, and the opening once more: header, base and the first segments of the coarse blocks.
    Tough,
}

/// In which order segments come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// What helps the picture most first.
    #[default]
    Best,
    /// Coarse levels first, all of their planes.
    Levels,
}

/// How coefficients become a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamOptions {
    /// How payloads are coded.
    pub payload: Payload,
    /// How safe.
    pub profile: Profile,
    /// In which order.
    pub order: Order,
    /// A region in full-size pixels whose detail comes first.
    pub first: Option<Rect>,
    /// Weight of the colour differences in the order, 1 = squared error of red, green and blue. Below 1 the luma
    /// comes earlier, as people look at pictures.
    pub chroma: f64,
    /// The largest number of bytes of the stream.
    pub max_bytes: Option<usize>,
    /// Whether two check bytes stand behind every 16 base values: they let a reader mend one wrong, lost or extra byte
    /// of them. Sums are noise to a model that writes without a mask.
    pub base_checks: bool,
    /// Whether to add advisory checks.
    pub checks: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions {
            payload: Payload::default(),
            profile: Profile::default(),
            order: Order::default(),
            first: None,
            chroma: 1.0,
            max_bytes: None,
            base_checks: true,
            checks: false,
        }
    }
}

/// Segments shorter than this many bytes take in the next plane.
pub(crate) const LEAST_BYTES: [usize; 2] = [60, 52];

/// A stream's header for coefficients.
pub(crate) fn picture_for(coefficients: &Coefficients, options: &StreamOptions) -> Result<Picture> {
    let header = *coefficients.header();
    let mut picture = Picture {
        header,
        payload: options.payload,
        base_checks: options.base_checks,
        coarse: 2,
        deep: false,
        base_shift: [0; MAX_CHANNELS],
        outlier: [NO_LIMIT; 2],
    };
    picture.coarse = match options.profile {
        Profile::Lean => 2,
        // Small pictures have few coarse coefficients.
        _ if header.width.max(header.height) < 160 => 2,
        _ => 1,
    };
    picture.deep = picture.must_be_deep();
    Ok(picture)
}

/// Everything of a picture that is coded, block by block.
struct Coded {
    /// By block: number of planes, and those that are coded, the highest first.
    blocks: Vec<(usize, Vec<PlaneCode>, Vec<PlaneWorth>)>,
    /// The bytes of all codes.
    codes: Vec<u8>,
}

/// Writes coefficients as a stream.
///
/// # Errors
/// [`Error::Usage`] if `max_bytes` does not hold the header.
pub fn write(coefficients: &Coefficients, options: &StreamOptions) -> Result<Vec<u8>> {
    let mut picture = picture_for(coefficients, options)?;
    let pyramid = Pyramid::new(coefficients, picture.levels())?;
    let channels = usize::from(picture.header.channels);
    let most = if picture.deep { 31 } else { 3 };
    for group in channel_groups(&picture) {
        let shift = base::shift_for(group.clone().flat_map(|plane| pyramid.coarsest(plane)), most);
        // The short header has no room for a shift of the fourth plane.
        let shift = if !picture.deep && group.start == 3 { 0 } else { shift };
        picture.base_shift[group].fill(shift);
    }
    let mut geometry = Geometry::new(&picture)?;
    let mut bases: Vec<Base> = (0..channels).map(|plane| pyramid.base(&picture, plane)).collect();
    let mut loaded = Loaded::new(&geometry, &pyramid, &bases);
    if !picture.deep && loaded.tops.iter().any(|top| *top > 16) {
        // Hostile or huge pictures can exceed the short addresses.
        picture.deep = true;
        geometry = Geometry::new(&picture)?;
        bases = (0..channels).map(|plane| pyramid.base(&picture, plane)).collect();
        loaded = Loaded::new(&geometry, &pyramid, &bases);
    }
    for (group, limit) in picture.outlier.iter_mut().enumerate() {
        let planes = if group == 0 { 0..1 } else { 1..channels };
        let furthest = bases[planes].iter().map(|b| conceal::largest_outlier(&b.bytes, b.width)).max().unwrap_or(0);
        *limit = storable_outlier(group, furthest);
    }

    let known: Vec<Vec<Option<u8>>> = bases.iter().map(|b| b.bytes.iter().copied().map(Some).collect()).collect();
    let extras = Extras {
        note: Note::of(coefficients),
        palette: coefficients.palette.as_deref(),
        user_data: &coefficients.user_data,
    };
    let mut out = opening(&picture, &known, &extras);
    let source = Source { picture: &picture, geometry: &geometry, pyramid: &pyramid, bases: &bases };
    let coded = code_planes(&source, loaded, options, out.len());
    let planned = planned(&picture, &geometry, &coded, options);
    let limit = options.max_bytes.unwrap_or(usize::MAX);
    if limit < picture.to_bytes().len() + 2 {
        return Err(too_small(limit, picture.to_bytes().len() + 2));
    }
    let all: usize = out.len() + planned.iter().map(|s| s.bytes).sum::<usize>();
    // In a tough stream the opening comes again behind the first quarter.
    let mut repeat_at = if options.profile == Profile::Tough { limit.min(all) / 4 } else { usize::MAX };
    let mut coarse_first: Vec<u8> = Vec::new();
    let mut since = 0;
    let (mut content, mut joined) = (Vec::new(), Vec::new());
    let mut closed = vec![false; geometry.blocks.len()];
    for segment in planned {
        let address = segment.address;
        if closed[address.block] {
            continue;
        }
        let (top, planes, _) = &coded.blocks[address.block];
        let from = top - 1 - usize::from(address.plane);
        // What does not fit whole may fit in part; nothing of the block can follow then.
        let mut fits = false;
        for count in (1..=address.count).rev() {
            content.clear();
            let planes = (&planes[from..from + usize::from(count)], &coded.codes[..]);
            let part = Address { count, ..address };
            write_segment(&picture, &geometry, &part, planes, &mut joined, &mut content);
            if out.len() + content.len() + if options.checks { CHECK_BYTES } else { 0 } <= limit {
                fits = true;
                closed[address.block] = count < address.count;
                out.extend_from_slice(&content);
                break;
            }
        }
        closed[address.block] |= !fits;
        let coarse = geometry.parts_of(address.block).iter().any(|part| part.band == Band::LL);
        if fits && coarse && address.first && out.len() < repeat_at {
            coarse_first.extend_from_slice(&content);
        }
        if out.len() >= repeat_at {
            repeat_at = usize::MAX;
            let mut again = Vec::new();
            write_header(&picture, &mut again);
            write_bases(&picture, &known, &mut again);
            again.extend_from_slice(&coarse_first);
            if out.len() + again.len() <= limit {
                out.extend_from_slice(&again);
            }
        }
        if options.checks && out.len() - since >= CHECKED_BYTES && out.len() + CHECK_BYTES <= limit {
            write_check(&mut out, &mut since);
        }
    }
    if options.checks && out.len() > since && out.len() + CHECK_BYTES <= limit {
        write_check(&mut out, &mut since);
    }
    out.truncate(limit);
    Ok(out)
}

/// What a file carries besides coefficients.
struct Extras<'a> {
    note: Note,
    palette: Option<&'a Palette>,
    user_data: &'a [u8],
}

/// The pieces before all detail: header, base, the header again, and what else the file holds.
fn opening(picture: &Picture, bases: &[Vec<Option<u8>>], extras: &Extras<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(picture, &mut out);
    write_bases(picture, bases, &mut out);
    write_header(picture, &mut out);
    extras.note.write(picture, &mut out);
    write_extras(extras, &mut out);
    out
}

/// The opening of a stream that was read; base values that are missing in a chunk are filled in.
pub(crate) fn opening_again(contents: &Contents<'_>, picture: &Picture) -> Vec<u8> {
    let bases: Vec<Vec<Option<u8>>> = contents
        .bases
        .iter()
        .enumerate()
        .map(|(plane, values)| {
            let (width, height) = base::size(picture, plane);
            let complete = conceal::complete_base(values, width, picture.outlier[usize::from(plane > 0)]);
            let mut known = vec![None; width * height];
            let order: Vec<usize> = base::order(width, height).map(|(x, y)| y * width + x).collect();
            for chunk in order.chunks(base::CHUNK).filter(|c| c.iter().any(|i| values[*i].is_some())) {
                for &i in chunk {
                    known[i] = Some(complete[i]);
                }
            }
            known
        })
        .collect();
    let palette = contents.palette.as_deref();
    opening(picture, &bases, &Extras { note: contents.note, palette, user_data: &contents.user_data })
}

fn write_header(picture: &Picture, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xFF, code::PICTURE]);
    out.extend_from_slice(&picture.to_bytes());
}

/// Chunks of base values; those of which nothing is known are left out.
fn write_bases(picture: &Picture, bases: &[Vec<Option<u8>>], out: &mut Vec<u8>) {
    for (plane, base) in bases.iter().enumerate() {
        let (width, height) = base::size(picture, plane);
        let digits = crate::block::digits_for(base::chunks(width, height));
        let values: Vec<Option<u8>> = base::order(width, height).map(|(x, y)| base[y * width + x]).collect();
        for (index, chunk) in values.chunks(base::CHUNK).enumerate() {
            let Some(chunk) = chunk.iter().copied().collect::<Option<Vec<u8>>>() else { continue };
            out.extend_from_slice(&[0xFF, code::BASE + plane as u8]);
            write_number(index, digits, out);
            out.extend_from_slice(&chunk);
            if picture.base_checks {
                out.extend_from_slice(&base::Sums::of((plane, index), &chunk).bytes());
            }
        }
    }
}

/// Palette entries and user data in chunks.
fn write_extras(extras: &Extras<'_>, out: &mut Vec<u8>) {
    if let Some(palette) = extras.palette {
        for (index, entries) in palette.chunks(PALETTE_CHUNK).enumerate() {
            out.extend_from_slice(&[0xFF, code::PALETTE, index as u8]);
            stuff(entries.as_flattened(), out);
        }
    }
    let data = extras.user_data;
    if !data.is_empty() {
        // A chunk that is not full says that it is the last.
        let last = data.len().is_multiple_of(USER_CHUNK).then_some(&[][..]);
        for (index, chunk) in data.chunks(USER_CHUNK).chain(last).enumerate() {
            out.extend_from_slice(&[0xFF, code::USER]);
            write_number(index, USER_DIGITS, out);
            stuff(chunk, out);
        }
    }
}

/// Appends an advisory check: CRC-32 of all bytes since the last, in seven bits a byte.
fn write_check(out: &mut Vec<u8>, since: &mut usize) {
    let sum = crc32fast::hash(&out[*since..]);
    out.extend_from_slice(&[0xFF, code::CHECK]);
    out.extend((0..5).rev().map(|i| (sum >> (7 * i)) as u8 & 0x7F));
    *since = out.len();
}

/// Bytes that an advisory check takes.
pub(crate) const CHECK_BYTES: usize = 7;

/// Bytes between advisory checks, at least.
const CHECKED_BYTES: usize = 512;

/// Palette entries in a piece.
pub(crate) const PALETTE_CHUNK: usize = 16;
/// Bytes of user data in a piece.
pub(crate) const USER_CHUNK: usize = 64;
/// Digits of the index of a piece of user data.
pub(crate) const USER_DIGITS: usize = 4;

/// Up to so many blocks are kept as they are loaded; of larger pictures they are loaded again.
const MOST_KEPT: usize = 256;

/// The blocks of a picture as planes.
struct Loaded {
    /// The number of planes, by block.
    tops: Vec<usize>,
    /// The planes, by block; of large pictures none.
    kept: Vec<Tiles>,
}

impl Loaded {
    fn new(geometry: &Geometry, pyramid: &Pyramid<'_>, bases: &[Base]) -> Loaded {
        let keep = geometry.blocks.len() <= MOST_KEPT;
        let mut loaded = Loaded { tops: Vec::with_capacity(geometry.blocks.len()), kept: Vec::new() };
        let mut tiles = Tiles::default();
        for block in 0..geometry.blocks.len() {
            loaded.tops.push(pyramid.load(geometry, bases, block, &mut tiles));
            if keep {
                loaded.kept.push(std::mem::take(&mut tiles));
            }
        }
        loaded
    }
}

/// What is coded, and how it is cut.
struct Source<'a> {
    picture: &'a Picture,
    geometry: &'a Geometry,
    pyramid: &'a Pyramid<'a>,
    bases: &'a [Base],
}

impl Source<'_> {
    fn weights(&self, block: usize, chroma: f64) -> Vec<f64> {
        self.geometry.parts_of(block).iter().map(|part| weight(&self.picture.header, part, chroma)).collect()
    }
}

/// Codes all planes of all blocks, or as many of the best as `max_bytes` can hold.
fn code_planes(source: &Source<'_>, mut loaded: Loaded, options: &StreamOptions, opening: usize) -> Coded {
    let geometry = source.geometry;
    let budget = match options.max_bytes {
        Some(budget) if options.order == Order::Best && options.first.is_none() => {
            Some(budget.saturating_sub(opening) as f64)
        }
        _ => None,
    };
    let floors = match budget {
        Some(budget) if !loaded.kept.is_empty() => return code_steepest(source, loaded, options, budget),
        Some(budget) => floors(source, &loaded.tops, options, budget),
        None => vec![0; geometry.blocks.len()],
    };
    let mut encoder = PlaneEncoder::new(source.picture.payload);
    let (mut room, mut all) = (Tiles::default(), Vec::new());
    let mut blocks = Vec::with_capacity(geometry.blocks.len());
    for (block, (top, floor)) in loaded.tops.iter().zip(floors).enumerate() {
        let parts = geometry.parts_of(block);
        let (mut codes, mut worths) = (Vec::new(), Vec::new());
        if floor < *top {
            let tiles = match loaded.kept.get_mut(block) {
                Some(kept) => kept,
                None => {
                    source.pyramid.load(geometry, source.bases, block, &mut room);
                    &mut room
                }
            };
            let weights = source.weights(block, options.chroma);
            for p in (floor..*top).rev() {
                let (gain, _) = worth(parts, &weights, tiles, p);
                let code = encoder.plane(parts, tiles, p, &mut all);
                worths.push(PlaneWorth { gain, bits: code.bits });
                codes.push(code);
            }
        }
        blocks.push((*top, codes, worths));
    }
    Coded { blocks, codes: all }
}

/// Codes the steepest plane of all again and again, until a budget is full: of most planes nothing is ever computed.
fn code_steepest(source: &Source<'_>, mut loaded: Loaded, options: &StreamOptions, budget: f64) -> Coded {
    let geometry = source.geometry;
    let count = geometry.blocks.len();
    let weights: Vec<Vec<f64>> = (0..count).map(|block| source.weights(block, options.chroma)).collect();
    let mut encoder = PlaneEncoder::new(source.picture.payload);
    let mut blocks: Vec<_> = loaded.tops.iter().map(|top| (*top, Vec::new(), Vec::new())).collect();
    let mut codes = Vec::new();
    let mut queue: BinaryHeap<Candidate> = BinaryHeap::new();
    let expected = |tiles: &Tiles, block: usize, plane: usize, most: f64| {
        let (gain, bits) = worth(geometry.parts_of(block), &weights[block], tiles, plane);
        // A plane is worth no more than those above it, without which it cannot come.
        Candidate { slope: (gain / (bits + 8.0)).min(most), gain, bits, block, plane }
    };
    for (block, tiles) in loaded.kept.iter().enumerate() {
        if let Some(plane) = loaded.tops[block].checked_sub(1) {
            queue.push(expected(tiles, block, plane, f64::INFINITY));
        }
    }
    let mut sum = 0.0;
    // Segments take in planes that are less steep than the last that fits.
    let reach = budget * REACH + 200.0;
    while let Some(Candidate { slope, gain, bits, block, plane }) = queue.pop() {
        // Beyond that only what may fill a gap at the end.
        let full = sum > reach;
        if full && bits > MOST_FILLING {
            continue;
        }
        let tiles = &mut loaded.kept[block];
        let code = encoder.plane(geometry.parts_of(block), tiles, plane, &mut codes);
        sum += code.bits as f64 / 8.0 + 1.5;
        blocks[block].2.push(PlaneWorth { gain, bits: code.bits });
        blocks[block].1.push(code);
        if let Some(below) = plane.checked_sub(1).filter(|_| !full) {
            queue.push(expected(tiles, block, below, slope));
        }
    }
    Coded { blocks, codes }
}

/// How much of a budget is coded, beyond which nothing of the best order is used.
const REACH: f64 = 1.25;

/// Planes of up to so many bits, about, are coded beyond that.
const MOST_FILLING: f64 = 300.0;

/// The lowest plane of every block that a budget can have use for, by estimated slopes: all blocks are looked at once,
/// and none is kept.
fn floors(source: &Source<'_>, tops: &[usize], options: &StreamOptions, budget: f64) -> Vec<usize> {
    let geometry = source.geometry;
    let mut queue: BinaryHeap<Candidate> = BinaryHeap::new();
    // Slope and bytes by plane, the lowest first.
    let mut ahead: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut tiles = Tiles::default();
    for block in 0..geometry.blocks.len() {
        let parts = geometry.parts_of(block);
        let top = source.pyramid.load(geometry, source.bases, block, &mut tiles);
        let weights = source.weights(block, options.chroma);
        let mut below: Vec<(f64, f64)> = (0..top).rev().map(|p| slope(parts, &weights, &mut tiles, p)).collect();
        below.reverse();
        queue.extend(below.last().map(|(slope, _)| Candidate {
            slope: *slope,
            gain: 0.0,
            bits: 0.0,
            block,
            plane: top - 1,
        }));
        ahead.push(below);
    }
    let mut floors = tops.to_vec();
    let mut sum = 0.0;
    // A margin for what the estimate misses; tokens take half as much again.
    let reach = budget * if source.picture.payload == Payload::Tokens { 0.95 } else { 1.3 } + 200.0;
    while let Some(Candidate { slope: least, block, plane, .. }) = queue.pop() {
        floors[block] = plane;
        sum += ahead[block].pop().map_or(0.0, |(_, bytes)| bytes);
        if sum > reach {
            break;
        }
        if let Some((slope, _)) = ahead[block].last() {
            queue.push(Candidate { slope: slope.min(least), gain: 0.0, bits: 0.0, block, plane: plane - 1 });
        }
    }
    floors
}

/// What a byte of plane `p` gains and how many bytes it takes, about; its ones become significant.
fn slope(parts: &[Part], weights: &[f64], tiles: &mut Tiles, p: usize) -> (f64, f64) {
    let (gain, bits) = worth(parts, weights, tiles, p);
    for (part, tile) in parts.iter().zip(&mut tiles.tiles) {
        if crate::tile::is_active(part, p) {
            tile.absorb(p - usize::from(part.lift));
        }
    }
    (gain / (bits + 8.0), bits / 8.0 + 1.5)
}

/// The next plane of a block, in the order of slopes; of equal ones the first block's.
struct Candidate {
    slope: f64,
    gain: f64,
    bits: f64,
    block: usize,
    plane: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.slope.total_cmp(&other.slope).then(other.block.cmp(&self.block))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// The segments in their order.
fn planned(picture: &Picture, geometry: &Geometry, coded: &Coded, options: &StreamOptions) -> Vec<Planned> {
    let head = 2 + usize::from(picture.deep) + geometry.digits;
    let least = LEAST_BYTES[usize::from(picture.payload == Payload::Tokens)];
    let mut all = Vec::new();
    for (block, (top, _, worths)) in coded.blocks.iter().enumerate() {
        plan(block, *top, worths, head, least, &mut all);
    }
    let first = |segment: &Planned| match options.first {
        None => false,
        Some(region) => geometry
            .parts_of(segment.address.block)
            .iter()
            .any(|part| conceal::footprint(&picture.header, geometry.levels, part).is_some_and(|f| meets(&f, &region))),
    };
    match options.order {
        // Stable: planes of a block stay in order.
        Order::Best => all.sort_by(|a, b| first(b).cmp(&first(a)).then(b.slope.total_cmp(&a.slope))),
        Order::Levels => all.sort_by_key(|s| {
            let level = geometry.parts_of(s.address.block).iter().map(|p| p.level).max().unwrap_or(0);
            (!first(s), std::cmp::Reverse(level), geometry.blocks[s.address.block].group)
        }),
    }
    all
}

fn meets(a: &Rect, b: &Rect) -> bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}

/// A budget too small for any stream.
pub(crate) fn too_small(budget: usize, least: usize) -> Error {
    Error::Usage(format!("max_bytes {budget}: the header of a stream takes {least}"))
}
