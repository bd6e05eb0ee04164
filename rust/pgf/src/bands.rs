//! Rows of bands for other containers: reading and writing [`Coefficients`], and synthesis from estimates.

use crate::coefficients::{Band, Coefficients, PlaneData, PlaneLayout, Planes, Rect, Target, check_limits};
use crate::decode::{Peaks, crop, invert};
use crate::error::{Error, Result};
use crate::header::{FileHeader, Header, Limits, Palette, flags};
use crate::image::{Class, Mode, SampleType, Samples, SamplesMut};
use crate::rows::{Patch, PatchMut};
use crate::threads::clamped;
use crate::wavelet::{Forward, Frame, Inverse};

/// A rectangle of a band, in the width that its planes have.
#[derive(Debug)]
pub enum BandPatch<'a> {
    /// 16-bit planes.
    Narrow(Patch<'a, i16>),
    /// 32-bit planes.
    Wide(Patch<'a, i32>),
}

/// A rectangle of a band to be written.
#[derive(Debug)]
pub enum BandPatchMut<'a> {
    /// 16-bit planes: values are saturated by the caller.
    Narrow(PatchMut<'a, i16>),
    /// 32-bit planes.
    Wide(PatchMut<'a, i32>),
}

/// A row of a band to be written.
#[derive(Debug)]
pub enum RowMut<'a> {
    /// 16-bit planes: values are saturated by the caller.
    Narrow(&'a mut [i16]),
    /// 32-bit planes.
    Wide(&'a mut [i32]),
}

/// One band of one plane, to be read.
#[derive(Debug, Clone, Copy)]
pub struct BandRows<'a> {
    planes: &'a Planes,
    plane: usize,
    frame: Frame,
}

impl<'a> BandRows<'a> {
    /// A rectangle inside the band, not empty.
    pub fn patch(&self, (x, y): (usize, usize), (width, height): (usize, usize)) -> BandPatch<'a> {
        let (start, stride) = self.frame.place((x, y), (width, height));
        match self.planes {
            Planes::Narrow(p) => {
                BandPatch::Narrow(Patch { data: &p[self.plane].buffers[0][start..], stride, width, height })
            }
            Planes::Wide(p) => {
                BandPatch::Wide(Patch { data: &p[self.plane].buffers[0][start..], stride, width, height })
            }
        }
    }
}

/// One band of one plane, to be written row by row.
#[derive(Debug)]
pub struct BandRowsMut<'a> {
    planes: &'a mut Planes,
    plane: usize,
    buffer: usize,
    frame: Frame,
}

impl BandRowsMut<'_> {
    /// Columns.
    pub fn width(&self) -> usize {
        self.frame.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.frame.height
    }

    /// Row `y`, below [`height`](Self::height).
    pub fn row(&mut self, y: usize) -> RowMut<'_> {
        match self.planes {
            Planes::Narrow(p) => RowMut::Narrow(self.frame.row_mut(&mut p[self.plane].buffers[self.buffer], y)),
            Planes::Wide(p) => RowMut::Wide(self.frame.row_mut(&mut p[self.plane].buffers[self.buffer], y)),
        }
    }

    /// A rectangle inside the band, not empty.
    pub fn patch(&mut self, (x, y): (usize, usize), (width, height): (usize, usize)) -> BandPatchMut<'_> {
        let (start, stride) = self.frame.place((x, y), (width, height));
        match self.planes {
            Planes::Narrow(p) => {
                let data = &mut p[self.plane].buffers[self.buffer][start..];
                BandPatchMut::Narrow(PatchMut { data, stride, width, height })
            }
            Planes::Wide(p) => {
                let data = &mut p[self.plane].buffers[self.buffer][start..];
                BandPatchMut::Wide(PatchMut { data, stride, width, height })
            }
        }
    }
}

/// Whether undamaged coefficients of a mode fit 16 bits.
fn is_narrow(header: &Header) -> bool {
    header.levels > 0
        && header.mode.sample_type() == SampleType::U8
        && !matches!(header.mode.class(), Class::Plain16 | Class::Yuv16 | Class::Gray31 | Class::Planes)
}

fn zero_planes(layouts: &[PlaneLayout], narrow: bool) -> Planes {
    if narrow {
        Planes::Narrow(layouts.iter().map(PlaneData::new).collect())
    } else {
        Planes::Wide(layouts.iter().map(PlaneData::new).collect())
    }
}

fn layouts(header: &Header, target: &Target) -> Vec<PlaneLayout> {
    (0..usize::from(header.channels)).map(|plane| PlaneLayout::new(header, plane, target)).collect()
}

/// A header as the limits are checked with: no level table, no user data.
fn bare(header: &Header) -> FileHeader {
    FileHeader {
        flags: flags::CURRENT,
        header: *header,
        palette: None,
        user_data: 0..0,
        level_lengths: Vec::new(),
        data_offset: 0,
    }
}

impl Coefficients {
    /// Coefficients of a picture, all zero, to be filled in.
    ///
    /// `flags` is the version byte of the `.pgf` form ([`flags::CURRENT`] unless it is tiled or old), `wide` asks for 32 bits where 16 are the rule (values of 2^15 and more in 8-bit modes).
    ///
    /// # Errors
    /// [`Error::Limits`] before anything over the limits is allocated, [`Error::Format`] for a pyramid that the size
    /// does not bear.
    pub fn zeroed(
        header: &Header,
        flags: u8,
        wide: bool,
        palette: Option<Box<Palette>>,
        user_data: Vec<u8>,
        limits: &Limits,
    ) -> Result<Coefficients> {
        header.check_levels(flags & flags::ROI != 0)?;
        let target = Target::new(header, 0, None)?;
        check_limits(&bare(header), &target, limits)?;
        let planes = zero_planes(&layouts(header, &target), is_narrow(header) && !wide);
        Ok(Coefficients { header: *header, flags, planes, palette, user_data, favor_speed: false })
    }

    /// Whether values are kept in 16 bits.
    pub fn narrow(&self) -> bool {
        matches!(self.planes, Planes::Narrow(_))
    }

    /// A band's quantised values, row by row.
    ///
    /// # Errors
    /// [`Error::Usage`] for a plane, level or band that the picture does not have.
    pub fn rows(&self, plane: usize, level: u8, band: Band) -> Result<BandRows<'_>> {
        let frame = self.frame(plane, level, band)?;
        Ok(BandRows { planes: &self.planes, plane, frame })
    }

    /// As [`rows`](Self::rows), to be changed.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn rows_mut(&mut self, plane: usize, level: u8, band: Band) -> Result<BandRowsMut<'_>> {
        let frame = self.frame(plane, level, band)?;
        Ok(BandRowsMut { planes: &mut self.planes, plane, buffer: 0, frame })
    }
}

/// Position and size of the part of a band that a [`Synthesis`] holds, in coefficients of the band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Which parts of the bands bear on a level and a region.
#[derive(Debug)]
pub struct Windows {
    header: Header,
    target: Target,
    /// What is wanted of `target`, where that is more: old bitmaps are synthesised whole.
    wanted: Option<Target>,
    layouts: Vec<PlaneLayout>,
}

impl Windows {
    /// `region` is in full-size pixels, `flags` the version byte of the `.pgf` form: bitmaps without [`flags::V7`] hold
    /// eight pixels in a byte.
    ///
    /// # Errors
    /// [`Error::Usage`] for a level or region that the picture does not have, [`Error::Format`] for a pyramid that the
    /// size does not bear.
    pub fn new(header: &Header, flags: u8, level: u8, region: Option<Rect>) -> Result<Windows> {
        header.check_levels(false)?;
        let mut target = Target::new(header, level, region)?;
        let mut wanted = None;
        if header.mode == Mode::Bitmap && flags & flags::V7 == 0 && !target.whole {
            let whole = Target::new(header, level, None)?;
            wanted = Some(std::mem::replace(&mut target, whole));
        }
        let layouts = layouts(header, &target);
        Ok(Windows { header: *header, target, wanted, layouts })
    }

    /// The part of a band that bears on the result; `None` if none does. `level` counts from 1; LL exists at the
    /// highest level only (at level 0 if there are no levels).
    pub fn window(&self, plane: usize, level: u8, band: Band) -> Option<Window> {
        let layout = self.layouts.get(plane)?;
        let levels = self.header.levels;
        let stored = if band == Band::LL { level == levels } else { level > self.target.level && level <= levels };
        if !stored || !layout.holds(band) {
            return None;
        }
        let (_, x, y, frame) = layout.band(self.target.level, level, band);
        Some(Window { x, y, width: frame.width, height: frame.height })
    }
}

/// Pixels of a level and region out of dequantised coefficients, which the caller fills in band by band.
///
/// Unlike [`synthesise`](crate::synthesise) it takes coefficients in the scale of the unquantised wavelet, so that a
/// container can put in estimates between the steps of the quantizer.
#[derive(Debug)]
pub struct Synthesis {
    flags: u8,
    windows: Windows,
    planes: Planes,
}

impl Synthesis {
    /// All coefficients zero; arguments as for [`Windows::new`].
    ///
    /// # Errors
    /// As [`Windows::new`]; [`Error::Limits`] before anything over the limits is allocated.
    pub fn new(header: &Header, flags: u8, level: u8, region: Option<Rect>, limits: &Limits) -> Result<Synthesis> {
        let windows = Windows::new(header, flags, level, region)?;
        check_limits(&bare(header), &windows.target, limits)?;
        let planes = zero_planes(&windows.layouts, is_narrow(header));
        Ok(Synthesis { flags, windows, planes })
    }

    /// Which parts of the bands it holds.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Keeps coefficients in 32 bits from now on, which takes twice the memory. In 8-bit modes they are kept in 16 until
    /// then, and whoever fills them in saturates them.
    pub fn widen(&mut self) {
        let Planes::Narrow(narrow) = &mut self.planes else { return };
        let wide = |buffer: &mut Vec<i16>| std::mem::take(buffer).into_iter().map(i32::from).collect();
        let planes = narrow.iter_mut().map(|plane| PlaneData { buffers: plane.buffers.iter_mut().map(wide).collect() });
        self.planes = Planes::Wide(planes.collect());
    }

    /// Width and height of the result in samples.
    pub fn size(&self) -> (u32, u32) {
        let target = self.windows.wanted.as_ref().unwrap_or(&self.windows.target);
        (target.width(), target.height())
    }

    /// As [`Windows::window`].
    pub fn window(&self, plane: usize, level: u8, band: Band) -> Option<Window> {
        self.windows.window(plane, level, band)
    }

    /// The rows of [`window`](Self::window), to be filled in.
    pub fn rows_mut(&mut self, plane: usize, level: u8, band: Band) -> Option<BandRowsMut<'_>> {
        self.window(plane, level, band)?;
        let windows = &self.windows;
        let (buffer, _, _, frame) = windows.layouts[plane].band(windows.target.level, level, band);
        Some(BandRowsMut { planes: &mut self.planes, plane, buffer, frame })
    }

    /// Inverts wavelet, subsampling and colour transform on so many threads at most, 0 and 1 meaning the caller's alone.
    ///
    /// # Errors
    /// [`Error::Usage`] if `samples` has not the type or number that the result needs.
    pub fn finish(self, num_threads: usize, samples: SamplesMut<'_>) -> Result<()> {
        let (width, height) = self.size();
        let Windows { header, target, wanted, layouts } = &self.windows;
        let count = u64::from(width) * u64::from(height) * u64::from(header.channels);
        if samples.len() as u64 != count || samples.sample_type() != header.mode.sample_type() {
            return Err(Error::Usage(format!(
                "{} samples of type {:?}: the picture needs {count} of type {:?}",
                samples.len(),
                samples.sample_type(),
                header.mode.sample_type()
            )));
        }
        let peaks = Peaks::of_windows(header, 0, &self.planes, layouts, target);
        let num_threads = clamped(num_threads);
        if let Some(wanted) = wanted {
            let mut all = vec![0u8; target.width() as usize * target.height() as usize];
            let whole = SamplesMut::U8(&mut all);
            invert(header, 0, self.flags, target, self.planes, layouts, &peaks, num_threads, whole)?;
            crop(&all, target.width() as usize, wanted, samples);
            return Ok(());
        }
        invert(header, 0, self.flags, target, self.planes, layouts, &peaks, num_threads, samples)
    }

    /// As [`finish`](Self::finish), into samples of its own.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn into_samples(self) -> Result<Samples> {
        let (width, height) = self.size();
        let count = width as usize * height as usize * usize::from(self.windows.header.channels);
        let mut samples = Samples::zeroed(self.windows.header.mode.sample_type(), count);
        self.finish(1, samples.as_mut())?;
        Ok(samples)
    }
}

/// A plane of integers split by further levels of the same wavelet, without quantization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    data: Vec<i32>,
    frames: Vec<Frame>,
}

impl Lifted {
    /// All bands zero. `data`, row by row, is what [`inverse`](Self::inverse) leaves.
    pub fn zeroed(width: usize, height: usize, levels: u8) -> Lifted {
        let mut frames = vec![Frame { offset: 0, stride: width, width, height }];
        for _ in 0..levels {
            frames.push(frames[frames.len() - 1].low());
        }
        Lifted { data: vec![0; width * height], frames }
    }

    /// Splits `width` x `height` values, row by row, `levels` times.
    ///
    /// # Panics
    /// If `data` has another length.
    pub fn forward(data: Vec<i32>, width: usize, height: usize, levels: u8) -> Lifted {
        assert_eq!(data.len(), width * height);
        let mut lifted = Lifted { data, ..Lifted::zeroed(width, height, levels) };
        for frame in &lifted.frames[..usize::from(levels)] {
            Forward::new(*frame).advance(&mut lifted.data, frame.height, |_: &mut [i32], _| {});
        }
        lifted
    }

    /// Puts the bands together again: the values, row by row.
    pub fn inverse(mut self) -> Vec<i32> {
        for frame in self.frames[..self.frames.len() - 1].iter().rev() {
            Inverse::new(*frame).advance(&mut self.data, frame.height, |_: &mut [i32], _| {});
        }
        self.data
    }

    fn frame(&self, level: u8, band: Band) -> Frame {
        let f = self.frames[usize::from(level) - usize::from(band != Band::LL)];
        let (lows, low_rows) = (f.width.div_ceil(2), f.height.div_ceil(2));
        let (dx, width) = if matches!(band, Band::HL | Band::HH) { (lows, f.width / 2) } else { (0, lows) };
        let (dy, height) = if matches!(band, Band::LH | Band::HH) { (1, f.height / 2) } else { (0, low_rows) };
        if band == Band::LL {
            return f;
        }
        Frame { offset: f.offset + dy * f.stride + dx, stride: 2 * f.stride, width, height }
    }

    /// Row `y` of a band; levels count from 1, LL of level `n` is what `n` levels leave.
    pub fn row(&self, level: u8, band: Band, y: usize) -> &[i32] {
        self.frame(level, band).row(&self.data, y)
    }

    /// A rectangle inside a band, not empty.
    pub fn patch(&self, level: u8, band: Band, (x, y): (usize, usize), size: (usize, usize)) -> Patch<'_, i32> {
        let (start, stride) = self.frame(level, band).place((x, y), size);
        Patch { data: &self.data[start..], stride, width: size.0, height: size.1 }
    }

    /// As [`row`](Self::row), to be changed.
    pub fn row_mut(&mut self, level: u8, band: Band, y: usize) -> &mut [i32] {
        let frame = self.frame(level, band);
        frame.row_mut(&mut self.data, y)
    }

    /// Width and height of a band.
    pub fn size(&self, level: u8, band: Band) -> (usize, usize) {
        let frame = self.frame(level, band);
        (frame.width, frame.height)
    }
}

impl Header {
    /// Bits by which the coefficients of a band were shifted down (format section 9); levels count from 1.
    pub fn shift(&self, level: u8, band: Band) -> u32 {
        crate::quantize::shift(self.quantizer(), level, band)
    }

    /// Width and height of a plane; every plane but the first may be halved (format section 6).
    pub fn plane_size(&self, plane: usize) -> (usize, usize) {
        crate::coefficients::plane_size(self, plane)
    }

    /// Bits per pixel and used bits that a mode implies, for headers that are put together.
    pub fn depth_of(mode: Mode, channels: u8) -> u8 {
        match (mode.bits_per_pixel(), mode) {
            (0, Mode::DeepMultichannel | Mode::Duotone16) => 16 * channels,
            (0, _) => 8 * channels,
            (bits, _) => bits,
        }
    }

    /// Refuses a number of levels that the size does not bear.
    fn check_levels(&self, roi: bool) -> Result<()> {
        if self.levels > crate::header::MAX_LEVELS {
            let message = format!("{} levels: at most {} are possible", self.levels, crate::header::MAX_LEVELS);
            return Err(Error::format("nLevels", 0, message));
        }
        crate::header::check_geometry(self, if roi { flags::ROI } else { 0 }, 0)
    }
}
