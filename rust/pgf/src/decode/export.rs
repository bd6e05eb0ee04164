//! Rows of planes to rows of pixels: subsampling and colour transform undone.

use super::wide::PlaneRows;
use crate::coefficients::{PlaneData, PlaneLayout, Target};
use crate::colour::{Colour, MAX_PLANES, Plane, Sample};
use crate::encode::colour_of;
use crate::header::{Header, flags};
use crate::image::{Mode, SamplesMut};
use crate::subsample::repeat_row;
use crate::wavelet::Lift;

/// Rows of planes to rows of pixels.
pub(super) struct RowExport<T> {
    colour: Colour,
    halve: bool,
    width: usize,
    /// Samples of a row of pixels.
    pub samples: usize,
    left: usize,
    top: usize,
    /// Rows of chroma planes at full width.
    chroma: Vec<T>,
}

impl<T: Lift + Plane> RowExport<T> {
    pub fn new(header: &Header, target: &Target) -> Self {
        let (width, channels, halve) = (target.width() as usize, usize::from(header.channels), header.subsampled());
        RowExport {
            colour: colour_of(header),
            halve,
            width,
            samples: width * channels,
            left: target.rect.left as usize,
            top: target.rect.top as usize,
            chroma: vec![T::default(); if halve { (channels - 1) * width } else { 0 }],
        }
    }

    /// Which row of a plane of the level is needed for row `y` of the pixels.
    #[inline(always)]
    pub fn source_in_level(&self, plane: usize, y: usize) -> usize {
        if self.halve && plane > 0 { (self.top + y) / 2 } else { self.top + y }
    }

    /// Which row of a plane's wanted rows is needed for row `y` of the pixels.
    #[inline(always)]
    pub fn source(&self, layout: &PlaneLayout, plane: usize, y: usize) -> usize {
        if self.halve && plane > 0 { (self.top + y) / 2 - layout.y } else { y }
    }

    #[inline(always)]
    pub fn export<S: Sample>(&mut self, layouts: &[PlaneLayout], planes: &[PlaneData<T>], y: usize, row: &mut [S]) {
        let mut rows: [&[T]; MAX_PLANES] = Default::default();
        for (c, ((slot, plane), layout)) in rows.iter_mut().zip(planes).zip(layouts).enumerate() {
            *slot = layout.samples.row(&plane.buffers[0], self.source(layout, c, y));
        }
        self.put(rows, planes.len(), row);
    }

    /// Rows of so many planes to a row of pixels.
    #[inline(always)]
    fn put<'a, S: Sample>(&'a mut self, mut rows: [&'a [T]; MAX_PLANES], planes: usize, row: &mut [S]) {
        if self.halve {
            for (source, wide) in rows[1..planes].iter().zip(self.chroma.chunks_exact_mut(self.width)) {
                repeat_row(source, self.left % 2, wide);
            }
            for (slot, wide) in rows[1..].iter_mut().zip(self.chroma.chunks_exact(self.width)) {
                *slot = wide;
            }
        }
        S::export(&self.colour, &rows, row);
    }
}

/// Rows of planes that are made one by one to pixels.
pub(super) fn stream(
    header: &Header,
    flags: u8,
    target: &Target,
    layouts: &[PlaneLayout],
    mut rows: impl PlaneRows,
    samples: SamplesMut<'_>,
) {
    match samples {
        SamplesMut::U8(s) => stream_any(header, flags, target, layouts, &mut rows, s),
        SamplesMut::U16(s) => stream_any(header, flags, target, layouts, &mut rows, s),
        SamplesMut::U32(s) => stream_any(header, flags, target, layouts, &mut rows, s),
        SamplesMut::I32(s) => stream_any(header, flags, target, layouts, &mut rows, s),
    }
}

fn stream_any<S: Sample>(
    header: &Header,
    flags: u8,
    target: &Target,
    layouts: &[PlaneLayout],
    rows: &mut impl PlaneRows,
    samples: &mut [S],
) {
    if header.mode == Mode::Bitmap && flags & flags::V7 == 0 {
        stream_packed(flags & flags::V5 != 0, target, rows, samples);
        return;
    }
    let mut export = RowExport::new(header, target);
    for (y, row) in samples.chunks_exact_mut(export.samples).enumerate() {
        for (c, layout) in layouts.iter().enumerate() {
            rows.advance(c, export.source(layout, c, y));
        }
        let mut sources: [&[i32]; MAX_PLANES] = Default::default();
        for (c, (slot, layout)) in sources.iter_mut().zip(layouts).enumerate() {
            *slot = rows.row(c, export.source(layout, c, y));
        }
        export.put_any(sources, layouts.len(), row);
    }
}

impl RowExport<i32> {
    /// [`put`](Self::put) with the instructions that the processor has.
    fn put_any<S: Sample>(&mut self, rows: [&[i32]; MAX_PLANES], planes: usize, row: &mut [S]) {
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::has_avx2() {
            // SAFETY: the processor has AVX2.
            unsafe { self.put_avx2(rows, planes, row) };
            return;
        }
        self.put(rows, planes, row);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn put_avx2<S: Sample>(&mut self, rows: [&[i32]; MAX_PLANES], planes: usize, row: &mut [S]) {
        self.put(rows, planes, row);
    }
}

/// Bitmaps of eight pixels to the value: see [`Sample::export_packed`].
fn stream_packed<S: Sample>(by_rows: bool, target: &Target, rows: &mut impl PlaneRows, samples: &mut [S]) {
    let (width, height) = (target.width() as usize, target.height() as usize);
    let packed = width.div_ceil(8);
    // Values that are due: of rows that follow one another, those in front of the next row of pixels.
    let mut due: Vec<i32> = Vec::new();
    let mut next = 0;
    for (y, pixels) in samples.chunks_exact_mut(width).enumerate().take(height) {
        if by_rows {
            due.clear();
            next = y;
        }
        while due.len() < packed {
            rows.advance(0, next);
            due.extend_from_slice(rows.row(0, next));
            next += 1;
        }
        S::export_packed(&due, width, 1, true, pixels);
        due.drain(..packed);
    }
}
