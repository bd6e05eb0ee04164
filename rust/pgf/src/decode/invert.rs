//! Coefficients to pixels: dequantization, inverse wavelet, colour transform.

use std::sync::Mutex;

use super::export::{RowExport, stream};
use super::wide::WideRows;
use crate::coefficients::{Band, PlaneData, PlaneLayout, Planes, Target};
use crate::colour::{Plane, Sample};
use crate::error::{Error, Result};
use crate::header::{Header, flags};
use crate::image::{Mode, SamplesMut};
use crate::quantize::{dequantize, shift};
use crate::scan::{Kind, Order, Run, Style};
use crate::threads::start;
use crate::wavelet::{Frame, Inverse, Lift, Rows};

/// The largest magnitudes that each band may hold, after dequantization: what decides on 16-bit arithmetic.
#[derive(Debug, Clone)]
pub(crate) struct Peaks {
    /// By plane, level - 1 and band.
    bands: Vec<[u64; 4]>,
    levels: usize,
}

impl Peaks {
    pub(super) fn new(header: &Header) -> Self {
        let levels = usize::from(header.levels).max(1);
        Peaks { bands: vec![[0; 4]; levels * usize::from(header.channels)], levels }
    }

    fn slot(&mut self, plane: u8, level: u8) -> &mut [u64; 4] {
        &mut self.bands[usize::from(plane) * self.levels + usize::from(level) - 1]
    }

    /// Notes that coefficients of a run have at most `planes` bit planes.
    pub(super) fn note(&mut self, quantizer: i32, run: &Run, planes: usize) {
        let bands: &[Band] = match &run.kind {
            Kind::Band(band) => std::slice::from_ref(band),
            Kind::Interleaved => &[Band::HL, Band::LH],
        };
        for band in bands {
            let shift = shift(quantizer, run.level, *band);
            let slot = &mut self.slot(run.plane, run.level)[*band as usize];
            *slot = (*slot).max(((1u64 << planes) - 1) << shift);
        }
    }

    /// Of planes that were quantized with `quantizer`.
    pub(crate) fn of_windows(
        header: &Header,
        quantizer: i32,
        planes: &Planes,
        layouts: &[PlaneLayout],
        target: &Target,
    ) -> Peaks {
        let mut peaks = Peaks::new(header);
        let order = Order::new(header, Style { roi: false, interleaved: false }, target.level, usize::MAX);
        for run in &order.runs {
            let Kind::Band(band) = run.kind else { continue };
            let plane = usize::from(run.plane);
            let (buffer, _, _, frame) = layouts[plane].band(target.level, run.level, band);
            let largest = (0..frame.height)
                .map(|y| match planes {
                    Planes::Narrow(p) => i16::largest(frame.row(&p[plane].buffers[buffer], y)),
                    Planes::Wide(p) => i32::largest(frame.row(&p[plane].buffers[buffer], y)),
                })
                .max()
                .unwrap_or(0);
            peaks.note(quantizer, run, (32 - largest.leading_zeros()) as usize);
        }
        peaks
    }
}

/// What the scale of a coefficient depends on.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub levels: u8,
    pub quantizer: i32,
}

/// Inverts the wavelet and the colour transform, for coefficients that were quantized with `quantizer` (0: not at all).
#[allow(clippy::too_many_arguments)]
pub(crate) fn invert(
    header: &Header,
    quantizer: i32,
    flags: u8,
    target: &Target,
    planes: Planes,
    layouts: &[PlaneLayout],
    peaks: &Peaks,
    threads: usize,
    samples: SamplesMut<'_>,
) -> Result<()> {
    let scale = Scale { levels: header.levels, quantizer };
    let l = layouts;
    match (planes, samples) {
        (Planes::Narrow(mut p), SamplesMut::U8(s)) => {
            match invert_coarse(scale, target, &mut p, layouts, peaks, threads) {
                None => finish(header, scale, flags, target, l, p, threads, s),
                Some(steps) => {
                    let rows = WideRows::new(scale, target, layouts, &p, steps, None);
                    stream(header, flags, target, layouts, rows, SamplesMut::U8(s));
                }
            }
        }
        (Planes::Wide(mut p), samples) => {
            for level in (target.level + 2..=header.levels).rev() {
                invert_levels(scale, target, level, layouts, threads, &mut p);
            }
            match samples {
                SamplesMut::U8(s) => finish(header, scale, flags, target, l, p, threads, s),
                SamplesMut::U16(s) => finish(header, scale, flags, target, l, p, threads, s),
                SamplesMut::U32(s) => finish(header, scale, flags, target, l, p, threads, s),
                SamplesMut::I32(s) => finish(header, scale, flags, target, l, p, threads, s),
            }
        }
        // Only 8-bit samples come with 16-bit planes.
        (Planes::Narrow(_), _) => return Err(Error::Usage("16-bit planes of deep samples".into())),
    }
    Ok(())
}

/// Largest magnitude for which all sums of the inverse steps and of the colour transform fit in 16 bits.
const INVERSE_16_BIT: u64 = 16000;

/// Inverts all levels but the last, coarse ones first, as long as no sum can overflow 16 bits. If one can, the result
/// says how many levels are left.
fn invert_coarse(
    scale: Scale,
    target: &Target,
    planes: &mut [PlaneData<i16>],
    layouts: &[PlaneLayout],
    peaks: &Peaks,
    threads: usize,
) -> Option<usize> {
    let mut bounds: Vec<u64> =
        (0..layouts.len()).map(|c| peaks.bands[c * peaks.levels + peaks.levels - 1][Band::LL as usize]).collect();
    for level in (target.level + 1..=scale.levels).rev() {
        let index = usize::from(level - target.level - 1);
        for (c, layout) in layouts.iter().enumerate() {
            let bands = &peaks.bands[c * peaks.levels + usize::from(level) - 1];
            let grown = |low: u64| {
                let [_, hl, lh, hh] = *bands;
                // Rows of the two lifting steps: even = L + H/2, odd = H + even, in both directions.
                low.saturating_add(hl.saturating_add(lh).saturating_mul(2)).saturating_add(hh.saturating_mul(3)) + 8
            };
            if grown(bounds[c]) > INVERSE_16_BIT {
                let (_, _, ll) = layout.steps[index].band(Band::LL);
                let data = &planes[c].buffers[layout.steps[index].buffer];
                let shift = if level == scale.levels { shift(scale.quantizer, level, Band::LL) } else { 0 };
                let largest = (0..ll.height).map(|y| i16::largest(ll.row(data, y))).max().unwrap_or(0);
                bounds[c] = u64::from(largest) << shift;
            }
            bounds[c] = grown(bounds[c]);
        }
        if bounds.iter().any(|b| *b > INVERSE_16_BIT) {
            return Some(index + 1);
        }
        if index > 0 {
            invert_levels(scale, target, level, layouts, threads, planes);
        }
    }
    bounds.iter().any(|b| *b > INVERSE_16_BIT).then_some(0)
}

/// Inverts a level of all planes.
fn invert_levels<T: Lift>(
    scale: Scale,
    target: &Target,
    level: u8,
    layouts: &[PlaneLayout],
    threads: usize,
    planes: &mut [PlaneData<T>],
) {
    let index = usize::from(level - target.level - 1);
    each(threads, planes.iter_mut().zip(layouts), |(plane, layout)| {
        invert_level(scale, level, layout, index, plane);
    });
}

/// Does every piece of work, on so many threads at most.
fn each<I: Iterator<Item: Send> + Send>(threads: usize, pieces: I, work: impl Fn(I::Item) + Sync) {
    let threads = threads.min(pieces.size_hint().1.unwrap_or(threads));
    if threads < 2 {
        return pieces.for_each(work);
    }
    let pieces = Mutex::new(pieces);
    let run = || {
        loop {
            let piece = pieces.lock().expect("no thread panics with the lock").next();
            match piece {
                Some(piece) => work(piece),
                None => break,
            }
        }
    };
    std::thread::scope(|scope| {
        start(scope, threads, |_| run());
        run();
    });
}

/// Inverts one level of a plane entirely and hands its result to the next finer one.
fn invert_level<T: Lift>(scale: Scale, level: u8, layout: &PlaneLayout, index: usize, plane: &mut PlaneData<T>) {
    let step = &layout.steps[index];
    let mut inverse = Inverse::new(step.frame);
    advance_any(scale, level, &mut inverse, &mut plane.buffers[step.buffer], step.frame.height);
    hand_over(layout, index, plane);
}

/// Copies a window's result into the LL part of the next window, unless both share a buffer.
fn hand_over<T: Lift>(layout: &PlaneLayout, index: usize, plane: &mut PlaneData<T>) {
    let (from, to) = (&layout.steps[index], &layout.steps[index - 1]);
    if from.buffer == to.buffer {
        return;
    }
    let (x, y, ll) = to.band(Band::LL);
    let source = std::mem::take(&mut plane.buffers[from.buffer]);
    for row in 0..ll.height {
        let start = (y + row - from.y) * from.frame.stride + x - from.x;
        let (width, target) = (ll.width, &mut plane.buffers[to.buffer]);
        ll.row_mut(target, row).copy_from_slice(&source[start..start + width]);
    }
}

/// [`advance`] with the instructions that the processor has.
fn advance_any<T: Lift>(scale: Scale, level: u8, inverse: &mut Inverse<T>, data: &mut [T], wanted: usize) {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        unsafe { advance_avx2(scale, level, inverse, data, wanted) };
        return;
    }
    advance(scale, level, inverse, data, wanted);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn advance_avx2<T: Lift>(scale: Scale, level: u8, inverse: &mut Inverse<T>, data: &mut [T], wanted: usize) {
    advance(scale, level, inverse, data, wanted);
}

/// Carries one level on, dequantising rows as they are first used.
#[inline(always)]
fn advance<T: Lift>(scale: Scale, level: u8, inverse: &mut Inverse<T>, data: &mut [T], wanted: usize) {
    let rows = Dequantizing::new(scale, level, *inverse.frame());
    inverse.advance(data, wanted, rows);
}

/// Dequantises the rows of a level.
pub(super) struct Dequantizing {
    frame: Frame,
    /// Of LL, HL, LH, HH.
    shifts: [u32; 4],
    /// Below the highest level, LL comes from the next higher one.
    highest: bool,
}

impl Dequantizing {
    #[inline(always)]
    pub fn new(scale: Scale, level: u8, frame: Frame) -> Dequantizing {
        let shifts = [Band::LL, Band::HL, Band::LH, Band::HH].map(|band| shift(scale.quantizer, level, band));
        Dequantizing { frame, shifts, highest: level == scale.levels }
    }
}

impl<T: Lift> Rows<T> for Dequantizing {
    #[inline(always)]
    fn visit(&mut self, data: &mut [T], y: usize) {
        let [ll, hl, lh, hh] = self.shifts;
        let (low, high) = self.frame.row_mut(data, y).split_at_mut(self.frame.width.div_ceil(2));
        if y.is_multiple_of(2) {
            if self.highest {
                dequantize(low, ll);
            }
            dequantize(high, hl);
        } else {
            dequantize(low, lh);
            dequantize(high, hh);
        }
    }
}

/// The finest wanted level and the colour transform.
#[allow(clippy::too_many_arguments)]
fn finish<S: Sample, T: Lift + Plane>(
    header: &Header,
    scale: Scale,
    flags: u8,
    target: &Target,
    layouts: &[PlaneLayout],
    mut planes: Vec<PlaneData<T>>,
    threads: usize,
    samples: &mut [S],
) {
    let mut last: Vec<Option<Inverse<T>>> =
        layouts.iter().map(|l| l.steps.first().map(|step| Inverse::new(step.frame))).collect();
    if header.levels > 0 && last.iter().all(Option::is_none) {
        // LL of the highest level is all there is; it only needs its scale.
        let shift = shift(scale.quantizer, scale.levels, Band::LL);
        for plane in &mut planes {
            dequantize(&mut plane.buffers[0], shift);
        }
    }
    let (width, height) = (target.width() as usize, target.height() as usize);
    let level = target.level + 1;
    if header.mode == Mode::Bitmap && flags & flags::V7 == 0 {
        if let Some(inverse) = &mut last[0] {
            advance(scale, level, inverse, &mut planes[0].buffers[0], height);
        }
        let by_rows = flags & flags::V5 != 0;
        S::export_packed(&planes[0].buffers[0], width, height, by_rows, samples);
        return;
    }
    let picture = Picture { header, scale, target, layouts };
    if threads < 2 {
        picture.finish_rows(&mut planes, &mut last, 0, samples);
        return;
    }
    each(threads, planes.iter_mut().zip(&mut last), |(plane, inverse)| {
        if let Some(inverse) = inverse {
            let wanted = inverse.frame().height;
            advance_any(scale, level, inverse, &mut plane.buffers[0], wanted);
        }
    });
    // Several strips a thread, so that one that is held up does not hold up all.
    let rows = height.div_ceil(4 * threads).next_multiple_of(2);
    let strips = samples.chunks_mut(rows * width * usize::from(header.channels)).enumerate();
    each(threads, strips, |(strip, samples)| picture.export_rows(&planes, rows * strip, samples));
}

/// What the last sweep needs to know.
struct Picture<'a> {
    header: &'a Header,
    scale: Scale,
    target: &'a Target,
    layouts: &'a [PlaneLayout],
}

impl Picture<'_> {
    /// The last level and the colour transform in one sweep over the rows.
    fn finish_rows<S: Sample, T: Lift + Plane>(
        &self,
        planes: &mut [PlaneData<T>],
        last: &mut [Option<Inverse<T>>],
        first: usize,
        samples: &mut [S],
    ) {
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::has_avx2() {
            // SAFETY: the processor has AVX2.
            unsafe { self.finish_rows_avx2(planes, last, first, samples) };
            return;
        }
        self.finish_rows_any(planes, last, first, samples);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn finish_rows_avx2<S: Sample, T: Lift + Plane>(
        &self,
        planes: &mut [PlaneData<T>],
        last: &mut [Option<Inverse<T>>],
        first: usize,
        samples: &mut [S],
    ) {
        self.finish_rows_any(planes, last, first, samples);
    }

    #[inline(always)]
    fn finish_rows_any<S: Sample, T: Lift + Plane>(
        &self,
        planes: &mut [PlaneData<T>],
        last: &mut [Option<Inverse<T>>],
        first: usize,
        samples: &mut [S],
    ) {
        let mut rows = RowExport::new(self.header, self.target);
        for (y, row) in samples.chunks_exact_mut(rows.samples).enumerate() {
            let y = first + y;
            // Rows in pairs, so that a chroma row serves both and the sweep stays in the cache.
            for (c, ((plane, layout), inverse)) in planes.iter_mut().zip(self.layouts).zip(&mut *last).enumerate() {
                if let Some(inverse) = inverse {
                    let row = rows.source_in_level(c, y);
                    let wanted = row - layout.steps[0].y + 1;
                    advance(self.scale, self.target.level + 1, inverse, &mut plane.buffers[0], wanted);
                }
            }
            rows.export(self.layouts, planes, y, row);
        }
    }

    /// The colour transform of rows from `first` on.
    fn export_rows<S: Sample, T: Lift + Plane>(&self, planes: &[PlaneData<T>], first: usize, samples: &mut [S]) {
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::has_avx2() {
            // SAFETY: the processor has AVX2.
            unsafe { self.export_rows_avx2(planes, first, samples) };
            return;
        }
        self.export_rows_any(planes, first, samples);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn export_rows_avx2<S: Sample, T: Lift + Plane>(&self, planes: &[PlaneData<T>], first: usize, samples: &mut [S]) {
        self.export_rows_any(planes, first, samples);
    }

    #[inline(always)]
    fn export_rows_any<S: Sample, T: Lift + Plane>(&self, planes: &[PlaneData<T>], first: usize, samples: &mut [S]) {
        let mut rows = RowExport::new(self.header, self.target);
        for (y, row) in samples.chunks_exact_mut(rows.samples).enumerate() {
            rows.export(self.layouts, planes, first + y, row);
        }
    }
}
