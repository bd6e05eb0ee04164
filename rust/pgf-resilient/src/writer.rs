//! Coefficients to a stream.

mod planes;

use crate::block::{Geometry, channel_groups};
use crate::note::Note;
use crate::opening::{Extras, PALETTE_CHUNKS, opening, user_chunks, write_bases, write_header};
use crate::order::{Planned, plan};
use crate::picture::{NO_LIMIT, Payload, Picture, storable_outlier};
use crate::pyramid::{Base, Pyramid};
use crate::segment::{Address, code, write_segment};
use crate::{base, conceal};
use pgf::{Band, Coefficients, Error, MAX_CHANNELS, Rect, Result};
use planes::{Coded, Loaded, Source, code_planes};

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
    /// Write what byte-level models learn most easily: no small checks in base chunks and contents, which are noise to a
    /// model that writes without a mask, and a base of four times as many whole values.
    pub bare: bool,
    /// Whether to add advisory checks.
    pub checks: bool,
    /// Most threads to use, 0 and 1 meaning none but the caller's; the bytes are the same for any number.
    pub num_threads: usize,
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
            bare: false,
            checks: false,
            num_threads: 1,
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
        bare: options.bare,
        coarse: 2,
        deep: false,
        base_shift: [0; MAX_CHANNELS],
        outlier: [NO_LIMIT; 2],
    };
    let coarse = match options.profile {
        Profile::Lean => 2,
        // Small pictures have few coarse coefficients.
        _ if header.width.max(header.height) < 160 => 2,
        _ => 1,
    };
    // The same tiles at the same level: a larger base has one level fewer.
    picture.coarse = coarse + u8::from(options.bare);
    picture.deep = picture.must_be_deep();
    Ok(picture)
}

/// Writes coefficients as a stream.
///
/// # Errors
/// [`Error::Usage`] if `max_bytes` does not hold the header, or not all of the user data; or if `first` is outside of
/// the picture.
pub fn write(coefficients: &Coefficients, options: &StreamOptions) -> Result<Vec<u8>> {
    let mut picture = picture_for(coefficients, options)?;
    if let Some(first) = options.first {
        let (width, height) = (picture.header.width, picture.header.height);
        if !meets(&first, &Rect { left: 0, top: 0, right: width, bottom: height }) {
            let Rect { left, top, right, bottom } = first;
            let text =
                format!("first ({left}, {top}, {right}, {bottom}): outside of the picture of {width} x {height}");
            return Err(Error::Usage(text));
        }
    }
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
    let mut loaded = Loaded::new(&geometry, &pyramid, &bases, options.num_threads);
    // Damaged or hostile pictures can exceed the short addresses, or the 16 bits in which readers keep what has those.
    if !picture.deep && (loaded.tops.iter().any(|top| *top > 16) || loaded.bits > 14) {
        picture.deep = true;
        geometry = Geometry::new(&picture)?;
        bases = (0..channels).map(|plane| pyramid.base(&picture, plane)).collect();
        loaded = Loaded::new(&geometry, &pyramid, &bases, options.num_threads);
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
        palette_chunks: [true; PALETTE_CHUNKS],
        user: user_chunks(&coefficients.user_data),
    };
    let mut out = opening(&picture, &known, &extras);
    let source = Source { picture: &picture, geometry: &geometry, pyramid: &pyramid, bases: &bases };
    let coded = code_planes(&source, loaded, options, out.len());
    let planned = planned(&picture, &geometry, &coded, options);
    let limit = options.max_bytes.unwrap_or(usize::MAX);
    if limit < picture.to_bytes().len() + 2 {
        return Err(too_small(limit, picture.to_bytes().len() + 2));
    }
    // A base that is cut is a picture; user data that is cut are lost.
    if limit < out.len() && !coefficients.user_data.is_empty() {
        let (least, user) = (out.len(), coefficients.user_data.len());
        let text = format!("max_bytes {limit}: header, base and {user} bytes of user data take {least}");
        return Err(Error::Usage(text));
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
