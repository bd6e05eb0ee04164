//! The seam of the codec: the quantised bands of every plane, and the geometry of levels and bands.

use crate::error::{Error, Result};
use crate::header::{FileHeader, Header, Limits, Palette, flags};
use crate::image::SampleType;
use crate::wavelet::Frame;

/// The four bands of one wavelet step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Band {
    /// Low in both directions; coded only at the highest level.
    LL,
    /// High horizontally, low vertically.
    HL,
    /// Low horizontally, high vertically.
    LH,
    /// High in both directions.
    HH,
}

/// Size of a plane before the wavelet (format section 6).
pub(crate) fn plane_size(header: &Header, plane: usize) -> (usize, usize) {
    let halve = |n: u32| if plane > 0 && header.subsampled() { n.div_ceil(2) } else { n } as usize;
    (halve(header.width), halve(header.height))
}

/// `size` after `level` halvings, each rounding up.
pub(crate) fn halved(size: usize, level: u8) -> usize {
    // (size + 2^level - 1) >> level, in 64 bits: both are at most 32 bits wide.
    ((size as u64 + (1u64 << level) - 1) >> level) as usize
}

/// Size of `LL_level` of a plane.
pub(crate) fn level_size(header: &Header, plane: usize, level: u8) -> (usize, usize) {
    let (w, h) = plane_size(header, plane);
    (halved(w, level), halved(h, level))
}

/// Size of a band of wavelet step `level` (from 1) of a plane (format section 8.1).
pub(crate) fn band_size(header: &Header, plane: usize, level: u8, band: Band) -> (usize, usize) {
    let (w, h) = level_size(header, plane, level - 1);
    match band {
        Band::LL => (w.div_ceil(2), h.div_ceil(2)),
        Band::HL => (w / 2, h.div_ceil(2)),
        Band::LH => (w.div_ceil(2), h / 2),
        Band::HH => (w / 2, h / 2),
    }
}

/// A rectangle of samples or coefficients: columns `left .. right`, rows `top .. bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Behind the last column.
    pub right: u32,
    /// Behind the last row.
    pub bottom: u32,
}

/// What of a picture is decoded: everything down to a level, or a window of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The level that is wanted, 0 = full size.
    pub level: u8,
    /// The wanted rectangle in samples of that level.
    pub rect: Rect,
    /// Whether `rect` is all of the level.
    pub whole: bool,
}

impl Target {
    /// `region` is in full-size pixels; at level k it becomes ceil(left / 2^k) .. ceil(right / 2^k) and so on.
    pub fn new(header: &Header, level: u8, region: Option<Rect>) -> Result<Target> {
        if level > header.levels {
            return Err(Error::Usage(format!("level {level}: the picture has levels 0 to {}", header.levels)));
        }
        let all = Rect { left: 0, top: 0, right: header.width, bottom: header.height };
        let r = region.unwrap_or(all);
        if r.left >= r.right || r.top >= r.bottom || r.right > header.width || r.bottom > header.height {
            return Err(Error::Usage(format!(
                "region ({}, {}, {}, {}): it must be non-empty and inside {}x{} pixels",
                r.left, r.top, r.right, r.bottom, header.width, header.height
            )));
        }
        let at = |n: u32| halved(n as usize, level) as u32;
        let (w, h) = level_size(header, 0, level);
        // A region smaller than a sample of the level still shows one.
        let (left, top) = (at(r.left).min(w as u32 - 1), at(r.top).min(h as u32 - 1));
        let rect = Rect { left, top, right: at(r.right).max(left + 1), bottom: at(r.bottom).max(top + 1) };
        let whole = rect == Rect { left: 0, top: 0, right: w as u32, bottom: h as u32 };
        Ok(Target { level, rect, whole })
    }

    pub fn width(&self) -> u32 {
        self.rect.right - self.rect.left
    }

    pub fn height(&self) -> u32 {
        self.rect.bottom - self.rect.top
    }
}

/// Where one wavelet step of a plane lives: a window of `LL_{level - 1}`, transformed in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Which of the plane's buffers.
    pub buffer: usize,
    /// Where in it, and the size of the window.
    pub frame: Frame,
    /// Position of the window in `LL_{level - 1}`; even.
    pub x: usize,
    pub y: usize,
}

impl Step {
    /// The part of a band that the window holds: its position in the band, and where it lies in the buffer.
    pub fn band(&self, band: Band) -> (usize, usize, Frame) {
        let f = &self.frame;
        let (lows, low_rows) = (f.width.div_ceil(2), f.height.div_ceil(2));
        let (dx, width) = if matches!(band, Band::HL | Band::HH) { (lows, f.width / 2) } else { (0, lows) };
        let (dy, height) = if matches!(band, Band::LH | Band::HH) { (1, f.height / 2) } else { (0, low_rows) };
        let frame = Frame { offset: f.offset + dy * f.stride + dx, stride: 2 * f.stride, width, height };
        (self.x / 2, self.y / 2, frame)
    }
}

/// The geometry of one plane of a [`Target`]: the windows of its wavelet steps.
#[derive(Debug, Clone)]
pub(crate) struct PlaneLayout {
    /// Step of level `target.level + 1` first.
    pub steps: Vec<Step>,
    /// Samples of each buffer.
    pub buffers: Vec<usize>,
    /// Where the target's samples lie once everything is inverted: buffer 0.
    pub samples: Frame,
    /// Position of `samples` in the plane at the target's level.
    pub x: usize,
    pub y: usize,
}

impl PlaneLayout {
    pub fn new(header: &Header, plane: usize, target: &Target) -> PlaneLayout {
        let (width, height) = level_size(header, plane, target.level);
        if target.whole {
            // One buffer; every level works inside the LL band of the one before.
            let samples = Frame { offset: 0, stride: width, width, height };
            let mut frame = samples;
            let mut steps = Vec::new();
            for _ in target.level..header.levels {
                steps.push(Step { buffer: 0, frame, x: 0, y: 0 });
                frame = frame.low();
            }
            return PlaneLayout { steps, buffers: vec![width * height], samples, x: 0, y: 0 };
        }
        let halve = usize::from(plane > 0 && header.subsampled());
        let r = &target.rect;
        // Samples wanted, in this plane (format section 13.4).
        let mut x0 = r.left as usize >> halve;
        let mut x1 = ((r.right as usize - 1) >> halve) + 1;
        let mut y0 = r.top as usize >> halve;
        let mut y1 = ((r.bottom as usize - 1) >> halve) + 1;
        let (left, top, right, bottom) = (x0, y0, x1, y1);
        let (mut steps, mut buffers) = (Vec::new(), Vec::new());
        for level in target.level..header.levels {
            let (w, h) = level_size(header, plane, level);
            // Low and high coefficients from a/2 - 1 to (b - 1)/2 + 1 are needed; one more on each side makes every
            // window at least five samples wide, so that it is filtered like the whole.
            (x0, x1) = (2 * (x0 / 2).saturating_sub(2), (2 * ((x1 - 1) / 2 + 3)).min(w));
            (y0, y1) = (2 * (y0 / 2).saturating_sub(2), (2 * ((y1 - 1) / 2 + 3)).min(h));
            let frame = Frame { offset: 0, stride: x1 - x0, width: x1 - x0, height: y1 - y0 };
            steps.push(Step { buffer: buffers.len(), frame, x: x0, y: y0 });
            buffers.push(frame.width * frame.height);
            // The next coarser step must deliver all of this window's LL part.
            (x0, x1, y0, y1) = (x0 / 2, x1.div_ceil(2), y0 / 2, y1.div_ceil(2));
        }
        let (samples, x, y) = match steps.first() {
            Some(step) => {
                let offset = (top - step.y) * step.frame.stride + (left - step.x);
                let frame = Frame { offset, stride: step.frame.stride, width: right - left, height: bottom - top };
                (frame, left, top)
            }
            None => {
                let frame = Frame { offset: 0, stride: x1 - x0, width: x1 - x0, height: y1 - y0 };
                buffers.push(frame.width * frame.height);
                (frame, left, top)
            }
        };
        PlaneLayout { steps, buffers, samples, x, y }
    }

    /// Whether any of a band is held: at the highest level only LL is.
    pub fn holds(&self, band: Band) -> bool {
        band == Band::LL || !self.steps.is_empty()
    }

    /// The part of a band that is held, and the buffer; level `level` counts from 1.
    pub fn band(&self, base: u8, level: u8, band: Band) -> (usize, usize, usize, Frame) {
        if self.steps.is_empty() {
            // Only LL of the highest level, which is the target itself.
            return (0, self.x, self.y, self.samples);
        }
        let step = &self.steps[usize::from(level - base - 1)];
        let (x, y, frame) = step.band(band);
        (step.buffer, x, y, frame)
    }
}

/// The samples of one plane's buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaneData<T> {
    pub buffers: Vec<Vec<T>>,
}

impl<T: Copy + Default> PlaneData<T> {
    pub fn new(layout: &PlaneLayout) -> Self {
        PlaneData { buffers: layout.buffers.iter().map(|&n| vec![T::default(); n]).collect() }
    }
}

/// Planes in the narrowest type that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Planes {
    Narrow(Vec<PlaneData<i16>>),
    Wide(Vec<PlaneData<i32>>),
}

/// The quantised wavelet coefficients of a picture with all that describes it: what a container stores.
///
/// Made from pixels by [`analyse`](crate::analyse), from a file by [`read_coefficients`](crate::read_coefficients);
/// turned into a file by [`write_coefficients`](crate::write_coefficients), into pixels by
/// [`synthesise`](crate::synthesise).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coefficients {
    pub(crate) header: Header,
    pub(crate) flags: u8,
    pub(crate) planes: Planes,
    /// The palette of an indexed picture.
    pub palette: Option<Box<Palette>>,
    /// Opaque bytes that the file carries along.
    pub user_data: Vec<u8>,
    /// Whether the `.pgf` form leaves out the attempt at coding signs. A file does not say how it was written, so
    /// [`read_coefficients`](crate::read_coefficients) leaves this false.
    pub favor_speed: bool,
}

impl Coefficients {
    /// The header that describes the picture.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The version byte of the `.pgf` form, see [`flags`].
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the `.pgf` form of this picture is tiled.
    pub fn roi(&self) -> bool {
        self.flags & flags::ROI != 0 && self.header.levels > 0
    }

    /// Width and height of a band; level counts from 1 (the finest) to `header().levels`.
    ///
    /// With no level at all, the band LL at level 0 is the plane itself.
    pub fn band_size(&self, plane: usize, level: u8, band: Band) -> (usize, usize) {
        // Beyond the highest level that a picture can have, halving changes nothing any more.
        match level {
            0 => plane_size(&self.header, plane),
            _ => band_size(&self.header, plane, level.min(40), band),
        }
    }

    /// A copy of a band's quantised values, row by row.
    ///
    /// # Errors
    /// [`Error::Usage`] for a plane, level or band that the picture does not have.
    pub fn band(&self, plane: usize, level: u8, band: Band) -> Result<Vec<i32>> {
        let frame = self.frame(plane, level, band)?;
        let mut out = Vec::with_capacity(frame.width * frame.height);
        for y in 0..frame.height {
            match &self.planes {
                Planes::Narrow(p) => out.extend(frame.row(&p[plane].buffers[0], y).iter().map(|v| i32::from(*v))),
                Planes::Wide(p) => out.extend_from_slice(frame.row(&p[plane].buffers[0], y)),
            }
        }
        Ok(out)
    }

    pub(crate) fn frame(&self, plane: usize, level: u8, band: Band) -> Result<Frame> {
        let levels = self.header.levels;
        let exists = plane < usize::from(self.header.channels)
            && level <= levels
            && if band == Band::LL { level == levels } else { level > 0 };
        if !exists {
            return Err(Error::Usage(format!("plane {plane} level {level} has no stored band {band:?}")));
        }
        let target = Target::new(&self.header, 0, None)?;
        Ok(PlaneLayout::new(&self.header, plane, &target).band(0, level, band).3)
    }
}

/// Refuses a target whose pixels or memory are over the limits, before anything is allocated.
///
/// Counts the coefficients in the type that undamaged data of the mode need, the samples of the result and the user
/// data.
pub(crate) fn check_limits(file: &FileHeader, target: &Target, limits: &Limits) -> Result<()> {
    let pixels = u64::from(target.width()) * u64::from(target.height());
    if pixels > limits.max_pixels {
        return Err(Error::Limits { field: "pixels", value: pixels, bound: limits.max_pixels });
    }
    let header = &file.header;
    let coefficients: u64 = (0..usize::from(header.channels))
        .flat_map(|plane| PlaneLayout::new(header, plane, target).buffers)
        .fold(0, |sum, n| sum.saturating_add(n as u64));
    let (coefficient_bytes, sample_bytes) = match header.mode.sample_type() {
        SampleType::U8 => (2, 1),
        SampleType::U16 => (4, 2),
        SampleType::U32 | SampleType::I32 => (4, 4),
    };
    let samples = pixels.saturating_mul(u64::from(header.channels));
    let bytes = coefficients
        .saturating_mul(coefficient_bytes)
        .saturating_add(samples.saturating_mul(sample_bytes))
        .saturating_add(file.user_data.len() as u64);
    if bytes > limits.max_bytes {
        return Err(Error::Limits { field: "memory in bytes", value: bytes, bound: limits.max_bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ImageRef, Mode, SamplesRef};

    #[test]
    fn bands_have_a_size_at_any_level() {
        let image =
            ImageRef { width: 40, height: 30, channels: 1, mode: Mode::Gray, samples: SamplesRef::U8(&[7; 1200]) };
        let coefficients = crate::analyse(&image, &crate::EncodeOptions::default()).unwrap();
        assert_eq!(coefficients.band_size(0, 1, Band::HL), (20, 15));
        for level in [33, 64, 66, u8::MAX] {
            assert_eq!(coefficients.band_size(0, level, Band::LL), (1, 1), "level {level}");
        }
    }
}
