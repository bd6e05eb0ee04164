//! Whole files: the stages in order, forwards and backwards.

use super::bitplane::{self, Encoder, Padding};
use super::bits::Code;
use super::colour;
use super::container::{Header, PRESENT, ROI, V6, level_count, mode};
use super::order::{Place, Run, runs};
use super::pixels::{Pixels, pack, unpack};
use super::quantize::{BandKind, dequantize, quantize};
use super::wavelet::{self, Bands};
use super::{MACROBLOCK, Plane, Result, ceil_div};

// --- coefficients -------------------------------------------------------------------------------------------

/// The quantized bands of one plane. With L = 0, `ll` is the plane itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaneBands {
    pub ll: Plane,
    /// HL, LH, HH of step l at index l - 1.
    pub details: Vec<[Plane; 3]>,
}

impl PlaneBands {
    fn band(&self, level: usize, kind: BandKind) -> &Plane {
        match kind {
            BandKind::Ll => &self.ll,
            BandKind::Hl => &self.details[level - 1][0],
            BandKind::Lh => &self.details[level - 1][1],
            BandKind::Hh => &self.details[level - 1][2],
        }
    }

    fn band_mut(&mut self, level: usize, kind: BandKind) -> &mut Plane {
        match kind {
            BandKind::Ll => &mut self.ll,
            BandKind::Hl => &mut self.details[level - 1][0],
            BandKind::Lh => &mut self.details[level - 1][1],
            BandKind::Hh => &mut self.details[level - 1][2],
        }
    }

    fn zero(w: usize, h: usize, levels: usize) -> PlaneBands {
        let mut details = Vec::new();
        let (mut w, mut h) = (w, h);
        for _ in 0..levels {
            let (w2, h2) = (ceil_div(w, 2), ceil_div(h, 2));
            details.push([Plane::new(w / 2, h2), Plane::new(w2, h / 2), Plane::new(w / 2, h / 2)]);
            (w, h) = (w2, h2);
        }
        PlaneBands { ll: Plane::new(w, h), details }
    }
}

/// All quantized coefficients of an image, one entry per plane.
pub type Coefficients = Vec<PlaneBands>;

/// Coefficients of the right sizes, all 0.
pub fn zero(header: &Header) -> Coefficients {
    (0..usize::from(header.channels))
        .map(|c| {
            let (w, h) = header.plane_size(c);
            PlaneBands::zero(w, h, usize::from(header.levels))
        })
        .collect()
}

/// The coefficient at a place.
pub fn get(coefficients: &Coefficients, place: &Place) -> i32 {
    coefficients[place.plane].band(place.level, place.kind).get(place.x, place.y)
}

/// Changes the coefficient at a place.
pub fn set(coefficients: &mut Coefficients, place: &Place, value: i32) {
    coefficients[place.plane].band_mut(place.level, place.kind).set(place.x, place.y, value);
}

/// Wavelet and quantization of planes that already have their coded size.
pub fn analyse(planes: &[Plane], levels: usize, q: i32) -> Coefficients {
    let mut out = Vec::new();
    for plane in planes {
        let mut ll = plane.clone();
        let mut details = Vec::new();
        for level in 1..=levels {
            let bands = wavelet::forward(&ll);
            let finish = |mut band: Plane, kind| {
                for value in &mut band.data {
                    *value = quantize(*value, q, level, kind);
                }
                band
            };
            details.push([
                finish(bands.hl, BandKind::Hl),
                finish(bands.lh, BandKind::Lh),
                finish(bands.hh, BandKind::Hh),
            ]);
            ll = bands.ll;
        }
        if levels > 0 {
            for value in &mut ll.data {
                *value = quantize(*value, q, levels, BandKind::Ll);
            }
        }
        out.push(PlaneBands { ll, details });
    }
    out
}

/// The planes of level `to_level`.
pub fn synthesise(coefficients: &Coefficients, q: i32, to_level: usize) -> Vec<Plane> {
    let mut out = Vec::new();
    for bands in coefficients {
        let levels = bands.details.len();
        let scaled = |band: &Plane, level, kind| {
            let mut band = band.clone();
            for value in &mut band.data {
                *value = dequantize(*value, q, level, kind);
            }
            band
        };
        let mut ll = bands.ll.clone();
        if levels > 0 {
            ll = scaled(&ll, levels, BandKind::Ll);
        }
        for level in (to_level + 1..=levels).rev() {
            let [hl, lh, hh] = &bands.details[level - 1];
            ll = wavelet::inverse(&Bands {
                ll,
                hl: scaled(hl, level, BandKind::Hl),
                lh: scaled(lh, level, BandKind::Lh),
                hh: scaled(hh, level, BandKind::Hh),
            });
        }
        out.push(ll);
    }
    out
}

// --- writing ------------------------------------------------------------------------------------------------

/// What a writer is asked for; 0 and 255 (mode) mean "complete it".
#[derive(Clone, Debug)]
pub struct Settings {
    pub mode: u8,
    pub width: u32,
    pub height: u32,
    pub bpp: u8,
    pub channels: u8,
    pub levels: u32,
    pub quality: u8,
    pub used_bits: u8,
    pub max_value: Option<u32>,
    pub roi: bool,
    pub favor_speed: bool,
    pub user_data: Vec<u8>,
    pub color_table: Vec<u8>,
    /// Version flags without ROI.
    pub flags: u8,
    pub padding: Padding,
}

impl Settings {
    pub fn new(mode: u8, width: u32, height: u32) -> Settings {
        Settings {
            mode,
            width,
            height,
            bpp: 0,
            channels: 0,
            levels: 0,
            quality: 0,
            used_bits: 0,
            max_value: None,
            roi: false,
            favor_speed: false,
            user_data: Vec::new(),
            color_table: Vec::new(),
            flags: PRESENT,
            padding: Padding::Leftovers,
        }
    }

    /// The header without level lengths.
    pub fn header(&self) -> Result<Header> {
        let levels = level_count(self.width, self.height, self.levels);
        let mut header = Header {
            flags: self.flags | if self.roi && levels > 0 { ROI } else { 0 },
            width: self.width,
            height: self.height,
            levels,
            quality: self.quality.min(31),
            bpp: self.bpp,
            channels: self.channels,
            mode: self.mode,
            used_bits: self.used_bits,
            writer: 0x1D57,
            color_table: None,
            user_data: self.user_data.clone(),
            level_lengths: Vec::new(),
        };
        header.complete()?;
        if let Some(max) = self.max_value {
            let bits = (32 - max.leading_zeros()) as u8;
            if bits == 0 {
                return Err("largest sample value 0".to_string());
            }
            header.used_bits = bits.min(header.bpp / header.channels).min(31);
        }
        if header.mode == mode::INDEXED {
            let mut table = self.color_table.clone();
            table.resize(1024, 0);
            header.color_table = Some(table);
        }
        if header.flags & V6 == 0 && self.user_data.len() > 0xF000 {
            return Err(format!("{} bytes of user data need the V6 flag", self.user_data.len()));
        }
        Ok(header)
    }
}

/// Encodes a pixel buffer.
pub fn encode(settings: &Settings, raw: &[u8]) -> Result<Vec<u8>> {
    let header = settings.header()?;
    let (w, h) = (header.width as usize, header.height as usize);
    let pixels = unpack(header.mode, usize::from(header.channels), w, h, raw)?;
    encode_planes(settings, import(&header, &pixels)?)
}

/// The planes that are coded: colour transform, then subsampling.
pub fn import(header: &Header, pixels: &Pixels) -> Result<Vec<Plane>> {
    let mut planes = if header.mode == mode::BITMAP && !header.has_v7() {
        vec![colour::import_old_bitmap(header, pixels)]
    } else {
        colour::import(header.mode, header.depth(), pixels)?
    };
    if header.subsampled() {
        for plane in &mut planes[1..] {
            *plane = colour::subsample(plane);
        }
    }
    Ok(planes)
}

/// Encodes planes of coded size.
pub fn encode_planes(settings: &Settings, planes: Vec<Plane>) -> Result<Vec<u8>> {
    let header = settings.header()?;
    let coefficients = analyse(&planes, usize::from(header.levels), header.quantizer());
    let mut encoder = Encoder::new(settings.padding, settings.favor_speed);
    write(&header, &coefficients, &mut encoder)
}

/// Writes a file; the level lengths of `header` are replaced.
pub fn write(header: &Header, coefficients: &Coefficients, encoder: &mut Encoder) -> Result<Vec<u8>> {
    let mut header = header.clone();
    if header.levels == 0 {
        header.level_lengths.clear();
        let mut out = header.to_bytes();
        for plane in coefficients {
            for value in &plane.ll.data {
                out.extend(value.to_le_bytes());
            }
        }
        return Ok(out);
    }
    let levels = usize::from(header.levels);
    let mut lengths = vec![0_u32; levels];
    let mut body = Vec::new();
    for run in runs(&header, 0) {
        let values: Vec<i32> = run.places.iter().map(|place| get(coefficients, place)).collect();
        if header.tiled() {
            for (i, chunk) in values.chunks(MACROBLOCK).enumerate() {
                let last = (i + 1) * MACROBLOCK >= values.len();
                let block = encoder.macroblock(chunk)?;
                let tile_header = chunk.len() as u16 | if last { 0x8000 } else { 0 };
                lengths[levels - run.level] += 4 + 4 * block.len() as u32;
                put_macroblock(&mut body, &block, Some(tile_header));
            }
        } else {
            // The level that pays for the next macroblock.
            let mut current = 0;
            for (i, chunk) in values.chunks(MACROBLOCK).enumerate() {
                let mut padded = chunk.to_vec();
                padded.resize(MACROBLOCK, 0);
                let block = encoder.macroblock(&padded)?;
                lengths[current] += 2 + 4 * block.len() as u32;
                put_macroblock(&mut body, &block, None);
                let emitted = i * MACROBLOCK + chunk.len();
                current = (0..levels)
                    .filter(|done| {
                        let level = levels - done;
                        run.places[emitted..].iter().all(|place| place.level < level)
                    })
                    .count();
            }
        }
    }
    header.level_lengths = lengths;
    let mut out = header.to_bytes();
    out.extend(body);
    Ok(out)
}

fn put_macroblock(out: &mut Vec<u8>, words: &[u32], tile_header: Option<u16>) {
    out.extend((words.len() as u16).to_le_bytes());
    if let Some(tile_header) = tile_header {
        out.extend(tile_header.to_le_bytes());
    }
    for word in words {
        out.extend(word.to_le_bytes());
    }
}

// --- reading ------------------------------------------------------------------------------------------------

/// What to do about macroblocks that are not there or cannot be read to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Error,
    /// All values of the macroblock are 0; nothing behind it is read.
    Zero,
    /// The bit planes that are there count; nothing behind the macroblock is read.
    KeepPlanes,
}

/// Where the macroblocks of a file lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macroblock {
    /// First byte, that of the word count.
    pub start: usize,
    /// The byte behind the last code word.
    pub end: usize,
    /// Number of values.
    pub values: usize,
    /// Code words; where the data end in the middle of one, its missing bits are 0.
    pub words: Vec<u32>,
    /// Code bits that are there.
    pub bits: usize,
}

impl Macroblock {
    pub fn code(&self) -> Code<'_> {
        Code { words: &self.words, bits: self.bits }
    }
}

fn u16_at(data: &[u8], at: usize, what: &str) -> Result<usize> {
    match data.get(at..at + 2) {
        Some(bytes) => Ok(usize::from(bytes[0]) | usize::from(bytes[1]) << 8),
        None => Err(format!("{what} at byte {at} of {}", data.len())),
    }
}

/// Reads the macroblock at byte `start` that should hold `values` values. Second result: all bytes were there.
fn read_macroblock(data: &[u8], start: usize, values: usize, tile: Option<bool>) -> Result<(Macroblock, bool)> {
    let count = u16_at(data, start, "word count")?;
    if !(1..=MACROBLOCK).contains(&count) {
        return Err(format!("word count {count} at byte {start}, must be 1..{MACROBLOCK}"));
    }
    let mut at = start + 2;
    if let Some(last) = tile {
        let found = u16_at(data, at, "tile header")?;
        let expected = values | if last { 0x8000 } else { 0 };
        if found != expected {
            return Err(format!("tile header {found:#x} at byte {at}, must be {expected:#x}"));
        }
        at += 2;
    }
    let end = at + 4 * count;
    let bytes = &data[at..end.min(data.len())];
    let mut words = Vec::new();
    for chunk in bytes.chunks(4) {
        words.push(chunk.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)));
    }
    Ok((Macroblock { start, end, values, words, bits: 8 * bytes.len() }, end <= data.len()))
}

/// Reads the coefficients that level `level` needs; all others are 0. Also returns the macroblocks read.
pub fn read(header: &Header, data: &[u8], level: usize, missing: Missing) -> Result<(Coefficients, Vec<Macroblock>)> {
    let mut coefficients = zero(header);
    let mut at = header.len();
    if header.levels == 0 {
        for value in coefficients.iter_mut().flat_map(|plane| &mut plane.ll.data) {
            match data.get(at..at + 4) {
                Some(b) => *value = i32::from_le_bytes([b[0], b[1], b[2], b[3]]),
                None if missing == Missing::Error => return Err(format!("sample at byte {at} of {}", data.len())),
                None => break,
            }
            at += 4;
        }
        return Ok((coefficients, Vec::new()));
    }
    let mut blocks = Vec::new();
    for Run { places, .. } in runs(header, level) {
        for (i, chunk) in places.chunks(MACROBLOCK).enumerate() {
            let last = (i + 1) * MACROBLOCK >= places.len();
            let count = if header.tiled() { chunk.len() } else { MACROBLOCK };
            let read = read_macroblock(data, at, count, header.tiled().then_some(last));
            let (block, whole) = match read {
                Ok(found) => found,
                Err(error) if missing == Missing::Error => return Err(error),
                Err(_) => return Ok((coefficients, blocks)),
            };
            let decoded = bitplane::decode_partial(block.code(), count);
            let error = if whole { decoded.error } else { Some("data ends inside a macroblock".to_string()) };
            if missing == Missing::Error
                && let Some(error) = error
            {
                return Err(format!("macroblock at byte {at}: {error}"));
            }
            if missing == Missing::KeepPlanes || error.is_none() {
                for (place, value) in chunk.iter().zip(&decoded.values) {
                    set(&mut coefficients, place, *value);
                }
            }
            at = block.end;
            blocks.push(block);
            if error.is_some() {
                return Ok((coefficients, blocks));
            }
        }
    }
    Ok((coefficients, blocks))
}

/// The planes of level `level`, 0 to L, before the colour transform. Level L is the last LL alone.
pub fn decode_planes(data: &[u8], level: usize, missing: Missing) -> Result<(Header, Vec<Plane>)> {
    let header = Header::parse(data)?;
    let levels = usize::from(header.levels);
    if level > levels {
        return Err(format!("level {level} of {levels}"));
    }
    // The LL bands of all planes lie between the details of step L.
    let (coefficients, _) = read(&header, data, level.min(levels.saturating_sub(1)), missing)?;
    let planes = synthesise(&coefficients, header.quantizer(), level);
    Ok((header, planes))
}

/// The pixels of level `level`.
pub fn decode(data: &[u8], level: usize, missing: Missing) -> Result<(Header, Pixels)> {
    let (header, planes) = decode_planes(data, level, missing)?;
    let pixels = export(&header, &planes)?;
    Ok((header, pixels))
}

/// Planes of any level to pixels.
pub fn export(header: &Header, planes: &[Plane]) -> Result<Pixels> {
    if header.mode == mode::BITMAP && !header.has_v7() {
        Ok(colour::export_old_bitmap(header, &planes[0]))
    } else {
        colour::export(header.mode, header.depth(), planes, header.subsampled())
    }
}

/// A rectangle (left, top, right, bottom) of full-size pixels, in pixels of level `level`.
pub fn level_rect(header: &Header, level: usize, rect: [usize; 4]) -> [usize; 4] {
    let [left, top, right, bottom] = rect;
    let (w, h) = (header.width as usize, header.height as usize);
    let right = if right == 0 { w } else { right.min(w) };
    let bottom = if bottom == 0 { h } else { bottom.min(h) };
    [left, top, right, bottom].map(|v| ceil_div(v, 1 << level))
}

/// The crop of level `level` that belongs to a rectangle of full-size pixels.
pub fn decode_region(data: &[u8], level: usize, rect: [usize; 4], missing: Missing) -> Result<(Header, Pixels)> {
    let (header, pixels) = decode(data, level, missing)?;
    let [left, top, right, bottom] = level_rect(&header, level, rect);
    Ok((header, pixels.crop(left, top, right, bottom)))
}

/// Like [`decode_region`], but with the chroma phase of libPGF's export (section 13.4).
pub fn decode_region_quirk(data: &[u8], level: usize, rect: [usize; 4]) -> Result<(Header, Pixels)> {
    let (header, planes) = decode_planes(data, level, Missing::Error)?;
    let [left, top, right, bottom] = level_rect(&header, level, rect);
    if !header.subsampled() {
        return decode_region(data, level, rect, Missing::Error);
    }
    let mut cut = vec![planes[0].crop(left, top, right, bottom)];
    for plane in &planes[1..] {
        let half = |v: usize| (v - 1) / 2 + 1;
        cut.push(plane.crop(left / 2, top / 2, half(right), half(bottom)));
    }
    let pixels = export(&header, &cut)?;
    Ok((header, pixels))
}

/// The native pixel buffer of decoded pixels.
pub fn to_bytes(header: &Header, pixels: &Pixels) -> Result<Vec<u8>> {
    pack(header.mode, pixels)
}
