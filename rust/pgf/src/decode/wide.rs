//! Planes of 16 bits whose sums, or some of whose coefficients, need 32: inverted in 32 bits a few rows at a time.
//!
//! Damage makes such planes of 8-bit pictures. Widened as a whole they would take four times the picture on top of
//! the twice that they have in 16 bits. Instead every level keeps a window of a few rows, filled from its coefficients
//! and from the rows of the next coarser level, whose window moves along.

use super::again::Again;
use super::invert::{Dequantizing, Scale};
use crate::coefficients::{Band, PlaneData, PlaneLayout, Target};
use crate::quantize::{dequantize, shift};
use crate::wavelet::{Frame, Inverse, Rows};

/// Rows of the planes of a target in 32 bits, of each plane from the first to the last.
pub(super) trait PlaneRows {
    /// Makes row `y` of what is wanted of a plane; rows above it are no longer needed.
    fn advance(&mut self, plane: usize, y: usize);
    /// The row that [`advance`](Self::advance) made last.
    fn row(&self, plane: usize, y: usize) -> &[i32];
}

/// See the module.
pub(super) struct WideRows<'a> {
    coefficients: Narrow<'a>,
    /// Of every plane, the finest level first; one without a wavelet step where LL is all there is.
    windows: Vec<Vec<Window>>,
}

/// What the windows are filled from.
struct Narrow<'a> {
    scale: Scale,
    target: &'a Target,
    layouts: &'a [PlaneLayout],
    planes: &'a [PlaneData<i16>],
    again: Option<Again<'a>>,
}

/// Some rows of a level.
struct Window {
    inverse: Option<Inverse<i32>>,
    width: usize,
    height: usize,
    /// The first row that is held, and behind the last.
    first: usize,
    filled: usize,
    /// Rows that there is room for.
    room: usize,
    rows: Vec<i32>,
}

/// Rows from which on making one sample row may touch no further: two lifting steps of two rows.
const REACH: usize = 5;

impl Window {
    fn new(inverse: Option<Inverse<i32>>, width: usize, height: usize) -> Window {
        // Moving the window costs less the longer it is; of a large picture this is little.
        let room = (height / 32).clamp(8, 64).min(height);
        Window { inverse, width, height, first: 0, filled: 0, room, rows: vec![0; room * width] }
    }

    fn row(&self, y: usize) -> &[i32] {
        &self.rows[(y - self.first) * self.width..][..self.width]
    }

    /// Where the level would begin if all of it were there: in front of the buffer, as soon as the window has moved.
    fn frame(&self) -> Frame {
        let offset = 0usize.wrapping_sub(self.first * self.width);
        Frame { offset, stride: self.width, width: self.width, height: self.height }
    }

    /// Forgets the rows in front of `first`.
    fn move_to(&mut self, first: usize) {
        let start = (first - self.first) * self.width;
        let end = (self.filled - self.first) * self.width;
        self.rows.copy_within(start..end, 0);
        self.first = first;
        let offset = self.frame().offset;
        if let Some(inverse) = &mut self.inverse {
            inverse.place(offset);
        }
    }
}

impl<'a> WideRows<'a> {
    /// The finest `steps` levels of every plane are not inverted yet.
    pub fn new(
        scale: Scale,
        target: &'a Target,
        layouts: &'a [PlaneLayout],
        planes: &'a [PlaneData<i16>],
        steps: usize,
        again: Option<Again<'a>>,
    ) -> WideRows<'a> {
        let windows = layouts
            .iter()
            .map(|layout| {
                if layout.steps.is_empty() {
                    return vec![Window::new(None, layout.samples.width, layout.samples.height)];
                }
                let window = |step: &crate::coefficients::Step| {
                    let (width, height) = (step.frame.width, step.frame.height);
                    Window::new(Some(Inverse::new(Frame { offset: 0, stride: width, width, height })), width, height)
                };
                layout.steps[..steps].iter().map(window).collect()
            })
            .collect();
        WideRows { coefficients: Narrow { scale, target, layouts, planes, again }, windows }
    }
}

impl PlaneRows for WideRows<'_> {
    fn advance(&mut self, plane: usize, y: usize) {
        let top = top(&self.coefficients.layouts[plane]);
        self.coefficients.advance(plane, 0, &mut self.windows[plane], top + y);
    }

    fn row(&self, plane: usize, y: usize) -> &[i32] {
        let layout = &self.coefficients.layouts[plane];
        let left = layout.steps.first().map_or(0, |step| layout.x - step.x);
        &self.windows[plane][0].row(top(layout) + y)[left..][..layout.samples.width]
    }
}

/// Where in the finest window the wanted rows begin.
fn top(layout: &PlaneLayout) -> usize {
    layout.steps.first().map_or(0, |step| layout.y - step.y)
}

impl Narrow<'_> {
    /// Makes row `y` of the first of some levels, the finest of which is that of step `index`.
    fn advance(&mut self, plane: usize, index: usize, windows: &mut [Window], y: usize) {
        let (window, coarser) = windows.split_first_mut().expect("a window for every step");
        loop {
            let done = window.inverse.as_ref().map_or(window.filled, Inverse::done);
            if done > y {
                return;
            }
            let need = window.height.min(done + REACH);
            if need > window.filled {
                window.move_to(done);
                let filled = window.filled;
                window.filled = window.height.min(window.first + window.room);
                match window.inverse {
                    Some(_) => self.fill(plane, index, window, coarser, filled),
                    None => self.fill_low(plane, window, filled),
                }
            }
            if let Some(inverse) = &mut window.inverse {
                advance_any(inverse, &mut window.rows, done + 1);
            }
        }
    }

    /// Puts dequantised coefficients of a step into the rows of a window from `from` on.
    fn fill(&mut self, plane: usize, index: usize, window: &mut Window, coarser: &mut [Window], from: usize) {
        let layout = &self.layouts[plane];
        let (step, frame) = (&layout.steps[index], window.frame());
        let lows = frame.width.div_ceil(2);
        for y in from..window.filled {
            let source = step.frame.row(&self.planes[plane].buffers[step.buffer], y);
            let row = frame.row_mut(&mut window.rows, y);
            if y.is_multiple_of(2) && !coarser.is_empty() {
                let next = &layout.steps[index + 1];
                let (x, top, _) = step.band(Band::LL);
                let low = top + y / 2 - next.y;
                self.advance(plane, index + 1, coarser, low);
                row[..lows].copy_from_slice(&coarser[0].row(low)[x - next.x..][..lows]);
                widen(&source[lows..], &mut row[lows..]);
            } else {
                widen(source, row);
            }
        }
        let level = self.target.level + 1 + index as u8;
        if let Some(again) = &mut self.again {
            let stride = 2 * frame.stride;
            let part = |band: Band| {
                let odd = usize::from(matches!(band, Band::LH | Band::HH));
                // Rows of the band whose row in the window is one of the new ones.
                let rows = [from, window.filled].map(|y| (y + 1 - odd) / 2);
                let (dx, width) = if matches!(band, Band::HL | Band::HH) { (lows, frame.width / 2) } else { (0, lows) };
                let offset = frame.offset.wrapping_add((2 * rows[0] + odd) * frame.stride + dx);
                let frame = Frame { offset, stride, width, height: rows[1] - rows[0] };
                Some((frame, (step.x / 2, step.y / 2 + rows[0])))
            };
            again.place(plane, level, part, &mut window.rows);
        }
        let mut rows = Dequantizing::new(self.scale, level, frame);
        for y in from..window.filled {
            rows.visit(&mut window.rows, y);
        }
    }

    /// As [`fill`](Self::fill), where LL of the highest level is what is wanted.
    fn fill_low(&mut self, plane: usize, window: &mut Window, from: usize) {
        let layout = &self.layouts[plane];
        let (frame, level) = (window.frame(), self.scale.levels);
        for y in from..window.filled {
            let source = layout.samples.row(&self.planes[plane].buffers[0], y);
            widen(source, frame.row_mut(&mut window.rows, y));
        }
        if let Some(again) = &mut self.again {
            let offset = frame.offset.wrapping_add(from * frame.stride);
            let part = Frame { offset, height: window.filled - from, ..frame };
            let part = |band| (band == Band::LL).then_some((part, (layout.x, layout.y + from)));
            again.place(plane, level, part, &mut window.rows);
        }
        for y in from..window.filled {
            dequantize(frame.row_mut(&mut window.rows, y), shift(self.scale.quantizer, level, Band::LL));
        }
    }
}

fn widen(from: &[i16], to: &mut [i32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = i32::from(*from);
    }
}

/// Inverts as far as `wanted` rows go, with the instructions that the processor has; the rows are dequantised.
fn advance_any(inverse: &mut Inverse<i32>, data: &mut [i32], wanted: usize) {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        unsafe { advance_avx2(inverse, data, wanted) };
        return;
    }
    inverse.advance(data, wanted, |_: &mut [i32], _| {});
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn advance_avx2(inverse: &mut Inverse<i32>, data: &mut [i32], wanted: usize) {
    inverse.advance(data, wanted, |_: &mut [i32], _| {});
}
