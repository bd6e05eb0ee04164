//! What users of streams call: encode, decode, look, check, repair, change the payload.

use std::collections::HashMap;
use std::ops::Range;

use crate::block::{Geometry, Part};
use crate::chain::{BlockReader, BlockState, Fate};
use crate::coder::{PlaneCode, PlaneEncoder};
use crate::conceal;
use crate::decode::{coefficients, pixels};
use crate::opening::opening_again;
use crate::picture::{Payload, Picture};
use crate::reader::{Contents, Fault, no_header, read, vote};
use crate::segment::{Address, MOST_PLANES, code, pieces, write_segment};
use crate::tile::Tiles;
use crate::writer::{self, StreamOptions};
use pgf::{Band, Coefficients, Error, Image, ImageRef, Limits, Rect, Result, Samples, SamplesMut, Synthesis};

/// What to decode; [`Default`] is the whole picture with the default limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeOptions {
    /// 0 is full size, each level halves both sides (rounding up); at most the levels of the coefficients.
    pub level: u8,
    /// A rectangle in full-size pixels; `None` means all.
    pub region: Option<Rect>,
    /// Refuse damaged data. The prefix of a stream is not damaged.
    pub strict: bool,
    /// Take a segment that ends wrong as the beginning of a right one, as suits streams that a model wrote.
    pub trusting: bool,
    /// Checked before anything is allocated.
    pub limits: Limits,
    /// Most threads to use, 0 and 1 meaning none but the caller's; the result is the same for any number.
    pub num_threads: usize,
}

/// A segment of a stream, for people and editors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// What it holds.
    pub kind: Kind,
    /// All of its bytes, marker included.
    pub bytes: Range<usize>,
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A copy of the picture header.
    Picture,
    /// Base values of a plane.
    Base {
        /// The plane.
        plane: u8,
    },
    /// Planes of a block of coefficients.
    Planes {
        /// The channel group: 0 the first plane, 1 the colour differences, 2 the fourth; one each in deep streams.
        group: u8,
        /// The block in its group.
        index: usize,
        /// Coarsest and finest level of the block; 1 is the finest of all.
        levels: (u8, u8),
        /// The highest plane in it.
        plane: u8,
        /// How many planes it holds.
        count: u8,
        /// Whether the planes above are zero.
        first: bool,
        /// The pixels that it bears on, without the filters' reach.
        region: Rect,
        /// What became of it.
        fate: Fate,
    },
    /// Palette entries.
    Palette,
    /// User data.
    UserData,
    /// How the picture's `.pgf` file was written.
    File,
    /// Advisory check.
    Check,
    /// The end mark.
    End,
    /// A marker that no decoder knows what to do with.
    Unknown,
}

/// What decoding found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamReport {
    /// Copies of the header that agree.
    pub headers: usize,
    /// Base values that are there, and all.
    pub base_known: usize,
    /// All base values of the picture.
    pub base_total: usize,
    /// Segments of planes by what became of them: used, cut, doubted, lost, duplicate, unneeded.
    pub fates: [usize; 6],
    /// Segments that were corrected, found under another address, or adopted from bytes without a sure one.
    pub repaired: usize,
    /// Base values that are missing although the stream goes on behind them, and estimated.
    pub concealed: usize,
    /// Blocks of those that were asked for that begin and do not reach the lowest plane.
    pub open: usize,
    /// Byte ranges that contradict the format.
    pub faults: Vec<Fault>,
    /// Bytes of the stream.
    pub bytes: usize,
    /// Levels of the stream's pyramid.
    pub levels: u8,
    /// Rows and columns of [`missing`](Self::missing): tiles of 64 x 64 pixels.
    pub grid: (usize, usize),
    /// For every level, the finest first, row and column: how many of the lowest planes of the first channel are not
    /// known there; 255 where no plane is.
    pub missing: Vec<u8>,
}

impl StreamReport {
    /// Whether the picture is all that the stream says and nothing else: nothing was lost, doubted, repaired, adopted or
    /// concealed. So it is for every prefix of an undamaged stream.
    pub fn clean(&self) -> bool {
        let bad = [Fate::Doubted, Fate::Lost].iter().map(|fate| self.fates[*fate as usize]).sum::<usize>();
        self.faults.is_empty() && bad + self.repaired + self.concealed == 0
    }

    fn new(contents: &Contents<'_>) -> StreamReport {
        let header = &contents.picture.header;
        let grid = (header.height.div_ceil(TILE) as usize, header.width.div_ceil(TILE) as usize);
        let levels = contents.geometry.levels;
        StreamReport {
            headers: contents.headers,
            base_known: contents.bases.iter().flatten().filter(|v| v.is_some()).count(),
            base_total: contents.bases.iter().map(Vec::len).sum(),
            concealed: contents.concealed(),
            faults: contents.faults.clone(),
            bytes: contents.data.len(),
            levels,
            grid,
            missing: vec![255; usize::from(levels) * grid.0 * grid.1],
            ..StreamReport::default()
        }
    }

    fn note(&mut self, contents: &Contents<'_>, block: usize, state: BlockState) {
        self.open += usize::from(state.top > 0 && state.low > 0);
        if contents.geometry.blocks[block].group != 0 || state.top == 0 {
            return;
        }
        for part in contents.geometry.parts_of(block).iter().filter(|p| p.band != Band::LL) {
            let Some(area) = conceal::footprint(&contents.picture.header, contents.geometry.levels, part) else {
                continue;
            };
            let plane = &mut self.missing[(usize::from(part.level) - 1) * self.grid.0 * self.grid.1..];
            for y in area.top / TILE..area.bottom.div_ceil(TILE) {
                for x in area.left / TILE..area.right.div_ceil(TILE) {
                    let slot = &mut plane[y as usize * self.grid.1 + x as usize];
                    *slot = (*slot).min(state.low.saturating_sub(part.lift.into()) as u8);
                }
            }
        }
    }

    fn finish(&mut self, contents: &Contents<'_>, reader: &BlockReader<'_, '_>) {
        for (segment, fate) in contents.segments.iter().zip(&reader.fates) {
            self.fates[*fate as usize] += 1;
            let message = match fate {
                Fate::Doubted => "a segment that contradicts the format",
                Fate::Lost => "a segment that cannot be used",
                _ => continue,
            };
            self.faults.push(Fault { bytes: segment.bytes.clone(), message: message.into() });
        }
        for tail in &reader.tails {
            self.faults.push(Fault { bytes: tail.clone(), message: "bytes behind the end of a segment".into() });
        }
        for bytes in &reader.adopted {
            self.faults.push(Fault { bytes: bytes.clone(), message: "bytes that stand in for a lost segment".into() });
        }
        self.repaired = reader.repaired;
        self.faults.sort_by_key(|f| (f.bytes.start, f.bytes.end));
        // Blocks may be read twice.
        self.faults.dedup_by(|a, b| a.bytes == b.bytes && a.message == b.message);
    }
}

/// Side of the tiles of [`StreamReport::missing`] in pixels: that of the finest blocks.
const TILE: u32 = 64;

/// Encodes a picture as a stream, on the threads that `options` say. Without `levels` in them the pyramid is as deep as it
/// can be.
///
/// # Errors
/// [`Error::Usage`] if the picture or an option does not fit.
pub fn encode(image: &ImageRef<'_>, options: &pgf::EncodeOptions<'_>, stream: &StreamOptions) -> Result<Vec<u8>> {
    let levels = options.levels.or(Some(pgf::MAX_LEVELS));
    let coefficients = pgf::analyse(image, &pgf::EncodeOptions { levels, ..options.clone() })?;
    writer::write(&coefficients, &StreamOptions { num_threads: options.num_threads, ..*stream })
}

/// Whether `data` start as a stream does; `None` while too few bytes are there.
pub fn check(data: &[u8]) -> Option<bool> {
    match data {
        [] | [0xFF] => None,
        [0xFF, code::PICTURE, rest @ ..] => match Picture::parse(rest) {
            Some(_) => Some(true),
            // All bytes of a header are below 0x80, and it has at most 30.
            None if rest.len() < 30 && rest.iter().all(|b| *b < 0x80) => None,
            None => Some(false),
        },
        _ => Some(false),
    }
}

/// Reads the header of a stream, whichever copy is sound.
///
/// # Errors
/// [`Error::Truncated`] if there is none, [`Error::Format`] for a `.pgf` file.
pub fn read_picture(data: &[u8]) -> Result<Picture> {
    vote(data, &pieces(data)).map(|(picture, _)| picture).ok_or_else(|| no_header(data))
}

fn synthesis(data: &[u8], options: &DecodeOptions) -> Result<(Synthesis, Picture, StreamReport)> {
    let contents = read(data, &options.limits)?;
    let mut report = StreamReport::new(&contents);
    let mut reader = BlockReader::new(&contents, options.trusting);
    let synthesis = pixels(
        &contents,
        &mut reader,
        (options.level, options.region),
        (&options.limits, options.num_threads),
        |block, state| {
            report.note(&contents, block, state);
        },
    )?;
    report.finish(&contents, &reader);
    refuse_damage(&report, options.strict)?;
    Ok((synthesis, contents.picture, report))
}

fn refuse_damage(report: &StreamReport, strict: bool) -> Result<()> {
    match report.faults.first().filter(|_| strict) {
        None => Ok(()),
        Some(fault) => {
            Err(Error::Format { field: "stream", offset: fault.bytes.start as u64, message: fault.message.clone() })
        }
    }
}

/// Decodes a stream, or any prefix of one, or what damage left of it.
///
/// # Errors
/// [`Error::Truncated`] if no header is there, [`Error::Limits`] before anything over the limits is allocated,
/// [`Error::Usage`] for a level or region that the picture does not have, [`Error::Format`] with `strict` for damage.
pub fn decode(data: &[u8], options: &DecodeOptions) -> Result<(Image, StreamReport)> {
    let (synthesis, picture, report) = synthesis(data, options)?;
    let (width, height) = synthesis.size();
    let header = &picture.header;
    let count = width as usize * height as usize * usize::from(header.channels);
    let mut samples = Samples::zeroed(header.mode.sample_type(), count);
    synthesis.finish(options.num_threads, samples.as_mut())?;
    Ok((Image { width, height, channels: header.channels.into(), mode: header.mode, samples }, report))
}

/// As [`decode`], into samples of the caller.
///
/// # Errors
/// As [`decode`]; [`Error::Usage`] if `samples` has not the type or number that the picture needs.
pub fn decode_into(data: &[u8], options: &DecodeOptions, samples: SamplesMut<'_>) -> Result<StreamReport> {
    let (synthesis, _, report) = synthesis(data, options)?;
    synthesis.finish(options.num_threads, samples)?;
    Ok(report)
}

/// Reads the quantised coefficients of a stream; estimates where planes are missing.
///
/// # Errors
/// As [`decode`].
pub fn read_coefficients(data: &[u8], options: &DecodeOptions) -> Result<(Coefficients, StreamReport)> {
    let contents = read(data, &options.limits)?;
    let mut report = StreamReport::new(&contents);
    let mut reader = BlockReader::new(&contents, options.trusting);
    let coefficients = coefficients(&contents, &mut reader, (&options.limits, options.num_threads), |block, state| {
        report.note(&contents, block, state);
    })?;
    report.finish(&contents, &reader);
    refuse_damage(&report, options.strict)?;
    Ok((coefficients, report))
}

/// What a stream carries along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// The palette of an indexed picture.
    pub palette: Option<Box<pgf::Palette>>,
    /// Opaque bytes.
    pub user_data: Vec<u8>,
    /// Whether the `.pgf` form of the picture is tiled.
    pub roi: bool,
}

/// Reads what a stream carries along.
///
/// # Errors
/// As [`decode`].
pub fn read_extras(data: &[u8], limits: &Limits) -> Result<Extras> {
    let contents = read(data, limits)?;
    let roi = contents.note.flags & pgf::flags::ROI != 0;
    Ok(Extras { palette: contents.palette, user_data: contents.user_data, roi })
}

/// All segments in the order of the stream, with what decoding the whole picture does with them.
///
/// # Errors
/// As [`decode`].
pub fn segments(data: &[u8], limits: &Limits) -> Result<Vec<Segment>> {
    let contents = read(data, limits)?;
    let mut reader = BlockReader::new(&contents, false);
    for block in 0..contents.geometry.blocks.len() {
        reader.block(block);
    }
    let by_start: HashMap<usize, usize> =
        contents.segments.iter().enumerate().map(|(i, s)| (s.bytes.start, i)).collect();
    let kind_of = |code: u8, start: usize| match code {
        code::PICTURE => Kind::Picture,
        code::PALETTE => Kind::Palette,
        code::USER => Kind::UserData,
        code::FILE => Kind::File,
        code::CHECK => Kind::Check,
        code::END => Kind::End,
        c if (code::BASE..code::BASE + 8).contains(&c) => Kind::Base { plane: c - code::BASE },
        _ => match by_start.get(&start) {
            None => Kind::Unknown,
            Some(&i) => planes_kind(&contents, &contents.segments[i].address, reader.fates[i]),
        },
    };
    Ok(pieces(data)
        .into_iter()
        .map(|piece| Segment { kind: kind_of(piece.code, piece.bytes.start), bytes: piece.bytes })
        .collect())
}

/// Counts the segments of planes of a stream by their markers alone while its bytes arrive, the last perhaps cut.
#[derive(Debug, Clone, Copy, Default)]
pub struct SegmentCount {
    /// Segments so far.
    pub count: usize,
    /// Whether the last byte may begin a marker.
    open: bool,
}

impl SegmentCount {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.count += usize::from(self.open && (crate::segment::DETAIL..0xFF).contains(byte));
            self.open = *byte == 0xFF;
        }
    }
}

fn planes_kind(contents: &Contents<'_>, address: &Address, fate: Fate) -> Kind {
    let parts = contents.geometry.parts_of(address.block);
    let level = |p: &crate::block::Part| p.level;
    let header = &contents.picture.header;
    let mut region = Rect { left: u32::MAX, top: u32::MAX, right: 0, bottom: 0 };
    for area in parts.iter().filter_map(|p| conceal::footprint(header, contents.geometry.levels, p)) {
        region.left = region.left.min(area.left);
        region.top = region.top.min(area.top);
        region.right = region.right.max(area.right);
        region.bottom = region.bottom.max(area.bottom);
    }
    Kind::Planes {
        group: contents.geometry.blocks[address.block].group,
        index: contents.geometry.index(address.block),
        levels: (parts.iter().map(level).max().unwrap_or(0), parts.iter().map(level).min().unwrap_or(0)),
        plane: address.plane,
        count: address.count,
        first: address.first,
        region,
        fate,
    }
}

/// Writes what decodes of a stream again, without damage, duplicates and strays, in the payload asked for.
///
/// An undamaged stream keeps its segments and their order, so that there and back are the same bytes. Of a segment
/// that is cut or doubted the whole planes are kept.
///
/// # Errors
/// As [`decode`].
pub fn rewrite(data: &[u8], payload: Option<Payload>, options: &DecodeOptions) -> Result<(Vec<u8>, StreamReport)> {
    let contents = read(data, &options.limits)?;
    let mut report = StreamReport::new(&contents);
    let mut reader = BlockReader::new(&contents, options.trusting);
    let picture = Picture { payload: payload.unwrap_or(contents.picture.payload), ..contents.picture };
    let mut encoder = PlaneEncoder::new(picture.payload);
    let mut blocks = Vec::with_capacity(contents.geometry.blocks.len());
    let mut codes = Vec::new();
    for block in 0..contents.geometry.blocks.len() {
        let state = reader.block(block);
        report.note(&contents, block, state);
        let parts = contents.geometry.parts_of(block);
        blocks.push((state, code_again(&mut encoder, parts, &mut reader.tiles, state, &mut codes)));
    }
    report.finish(&contents, &reader);
    refuse_damage(&report, options.strict)?;
    let used = contents.segments.iter().zip(&reader.fates).filter(|(_, fate)| fate.is_shown());
    let order = used.map(|(segment, _)| (segment.address.block, segment.address.count.into()));
    let mut out = opening_again(&contents, &picture, None);
    put_blocks((&picture, &contents.geometry), order, &blocks, &codes, &mut out);
    Ok((out, report))
}

/// Codes the whole planes of a block that was decoded.
pub(crate) fn code_again(
    encoder: &mut PlaneEncoder,
    parts: &[Part],
    tiles: &mut Tiles,
    state: BlockState,
    codes: &mut Vec<u8>,
) -> Vec<PlaneCode> {
    for tile in &mut tiles.tiles[..parts.len()] {
        tile.significant = [0; 34];
    }
    (state.low..state.top).rev().map(|p| encoder.plane(parts, tiles, p, codes)).collect()
}

/// Appends segments of the planes of all blocks, in an order of blocks with numbers of planes.
pub(crate) fn put_blocks(
    (picture, geometry): (&Picture, &Geometry),
    order: impl Iterator<Item = (usize, usize)>,
    blocks: &[(BlockState, Vec<PlaneCode>)],
    codes: &[u8],
    out: &mut Vec<u8>,
) {
    let mut content = Vec::new();
    // How far each block is written; segments keep their bounds where they had some.
    let mut done = vec![0; blocks.len()];
    let mut put = |block: usize, count: usize, out: &mut Vec<u8>| {
        let (state, planes) = &blocks[block];
        let from = &mut done[block];
        let most = usize::from(MOST_PLANES[usize::from(*from > 0)]);
        let count = count.min(most).min(planes.len() - *from);
        if count == 0 {
            return false;
        }
        let plane = (state.top - 1 - *from) as u8;
        let address = Address { block, plane, count: count as u8, first: *from == 0 };
        let planes = (&planes[*from..*from + count], codes);
        write_segment(picture, geometry, &address, planes, &mut content, out);
        *from += count;
        true
    };
    for (block, count) in order {
        put(block, count, out);
    }
    // What was found under wrong addresses.
    for block in 0..blocks.len() {
        while put(block, 1, out) {}
    }
}
