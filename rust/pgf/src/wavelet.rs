//! The reversible 5/3 wavelet (format section 8), in place, forward and inverse side by side.
//!
//! One level turns a rectangle of samples into rows `[low | high]`: even rows hold `[LL | HL]`, odd rows `[LH | HH]`.
//! Rows lie `stride` samples apart, so the LL band of a level is itself such a rectangle with twice the stride and the
//! next level works inside it. Both directions sweep over the rows once, a few rows at a time, so that a row is
//! lifted while it is in the cache.

use crate::planes::Coefficient;

/// A dimension below this many samples is split but not filtered (format section 8.4).
const SHORTEST_FILTERED: usize = 5;

/// Arithmetic of the lifting steps; wraps on overflow, as the format's 32-bit arithmetic does.
pub trait Lift: Coefficient {
    /// `odd - ((a + b + 1) >> 1)`
    fn predict(odd: Self, a: Self, b: Self) -> Self;
    /// `odd + ((a + b + 1) >> 1)`
    fn unpredict(odd: Self, a: Self, b: Self) -> Self;
    /// `even + ((a + b + 2) >> 2)`
    fn update(even: Self, a: Self, b: Self) -> Self;
    /// `even - ((a + b + 2) >> 2)`
    fn unupdate(even: Self, a: Self, b: Self) -> Self;
    /// `last - a`, the predict step without a right neighbour.
    fn predict_last(last: Self, a: Self) -> Self;
    /// `last + a`
    fn unpredict_last(last: Self, a: Self) -> Self;
    /// `even + ((a + 1) >> 1)`, the update step with one neighbour.
    fn update_edge(even: Self, a: Self) -> Self;
    /// `even - ((a + 1) >> 1)`
    fn unupdate_edge(even: Self, a: Self) -> Self;
    /// `self << shift`; 0 where nothing is left of it.
    fn shift_up(self, shift: u32) -> Self;
    /// Largest magnitude, saturating.
    fn largest(values: &[Self]) -> u32;
}

macro_rules! lift {
    ($type:ty) => {
        impl Lift for $type {
            #[inline(always)]
            fn predict(odd: Self, a: Self, b: Self) -> Self {
                odd.wrapping_sub(a.wrapping_add(b).wrapping_add(1) >> 1)
            }
            #[inline(always)]
            fn unpredict(odd: Self, a: Self, b: Self) -> Self {
                odd.wrapping_add(a.wrapping_add(b).wrapping_add(1) >> 1)
            }
            #[inline(always)]
            fn update(even: Self, a: Self, b: Self) -> Self {
                even.wrapping_add(a.wrapping_add(b).wrapping_add(2) >> 2)
            }
            #[inline(always)]
            fn unupdate(even: Self, a: Self, b: Self) -> Self {
                even.wrapping_sub(a.wrapping_add(b).wrapping_add(2) >> 2)
            }
            #[inline(always)]
            fn predict_last(last: Self, a: Self) -> Self {
                last.wrapping_sub(a)
            }
            #[inline(always)]
            fn unpredict_last(last: Self, a: Self) -> Self {
                last.wrapping_add(a)
            }
            #[inline(always)]
            fn update_edge(even: Self, a: Self) -> Self {
                even.wrapping_add(a.wrapping_add(1) >> 1)
            }
            #[inline(always)]
            fn unupdate_edge(even: Self, a: Self) -> Self {
                even.wrapping_sub(a.wrapping_add(1) >> 1)
            }
            #[inline(always)]
            fn shift_up(self, shift: u32) -> Self {
                self.checked_shl(shift).unwrap_or(0)
            }
            #[inline(always)]
            fn largest(values: &[Self]) -> u32 {
                values.iter().fold(0, |max, v| max.max(v.unsigned_abs())).into()
            }
        }
    };
}
lift!(i16);
lift!(i32);

/// The largest magnitude that samples may have for the forward transform to fit in 16 bits at any number of levels.
///
/// The one-dimensional gains of the 5/3 analysis filters, iterated, stay below 1.71 (low) and 2.91 (high), so no
/// two-dimensional band exceeds 8.5 times the largest sample plus rounding, and no sum of two twice that
/// (the test `forward_fits_16_bits` computes the gains). 8-bit colour needs 255.
#[cfg(test)]
pub(crate) const FORWARD_16_BIT: u32 = 1024;

/// A rectangle of samples in a buffer of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Index of the first sample.
    pub offset: usize,
    /// Samples from one row to the next.
    pub stride: usize,
    pub width: usize,
    pub height: usize,
}

impl Frame {
    /// The LL band that a forward level leaves in this frame, as a frame.
    pub fn low(&self) -> Frame {
        Frame {
            offset: self.offset,
            stride: 2 * self.stride,
            width: self.width.div_ceil(2),
            height: self.height.div_ceil(2),
        }
    }

    /// Wraps where the frame begins in front of the data, which then has only its lower rows.
    fn start(&self, y: usize) -> usize {
        self.offset.wrapping_add(y * self.stride)
    }

    /// Index of the first sample of a rectangle inside the frame, and samples from one of its rows to the next.
    pub fn place(&self, (x, y): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
        assert!(x + width <= self.width && y + height <= self.height, "a rectangle inside the frame");
        (self.start(y) + x, self.stride)
    }

    #[inline(always)]
    pub fn row<'a, T>(&self, data: &'a [T], y: usize) -> &'a [T] {
        &data[self.start(y)..][..self.width]
    }

    #[inline(always)]
    pub fn row_mut<'a, T>(&self, data: &'a mut [T], y: usize) -> &'a mut [T] {
        &mut data[self.start(y)..][..self.width]
    }

    /// Row `y` to be changed and, if there are such, the rows above and below to be read.
    #[inline(always)]
    fn row_between<'a, T>(&self, data: &'a mut [T], y: usize) -> (&'a mut [T], Option<&'a [T]>, Option<&'a [T]>) {
        let (above, rest) = data.split_at_mut(self.start(y));
        let above = (y > 0).then(|| &above[self.start(y - 1)..][..self.width]);
        if y + 1 < self.height {
            let (row, below) = rest.split_at_mut(self.stride);
            (&mut row[..self.width], above, Some(&below[..self.width]))
        } else {
            (&mut rest[..self.width], above, None)
        }
    }
}

/// What is done with rows of a level: behind forward steps, or before inverse ones.
///
/// Closures do, but are compiled for the baseline of the processor; a type of its own is inlined where it is used.
pub(crate) trait Rows<T> {
    fn visit(&mut self, data: &mut [T], y: usize);
}

impl<T, F: FnMut(&mut [T], usize)> Rows<T> for F {
    #[inline(always)]
    fn visit(&mut self, data: &mut [T], y: usize) {
        self(data, y);
    }
}

/// One forward level, driven by the rows that have become available.
pub(crate) struct Forward<T> {
    frame: Frame,
    horizontal: usize,
    vertical: usize,
    scratch: Vec<T>,
}

impl<T: Lift> Forward<T> {
    pub fn new(frame: Frame) -> Self {
        Forward { frame, horizontal: 0, vertical: 0, scratch: vec![T::default(); frame.width] }
    }

    /// The rectangle that is transformed.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Transforms as far as possible now that `ready` rows hold samples; `done` is called for every row
    /// that has reached its final value, in order.
    #[inline(always)]
    pub fn advance(&mut self, data: &mut [T], ready: usize, mut done: impl Rows<T>) {
        let frame = self.frame;
        let height = frame.height;
        for y in self.horizontal..ready {
            forward_row(frame.row_mut(data, y), &mut self.scratch);
        }
        self.horizontal = ready;
        if height < SHORTEST_FILTERED {
            for y in self.vertical..ready {
                done.visit(data, y);
            }
            self.vertical = ready;
            return;
        }
        // `vertical` even rows are final; the odd row below each needs the even row behind it.
        while self.vertical < height {
            let y = self.vertical;
            if y + 2 < height && ready < y + 3 || ready < height.min(y + 2) {
                break;
            }
            if y + 1 < height {
                let (row, above, below) = frame.row_between(data, y + 1);
                let above = above.expect("an odd row has one above");
                match below {
                    Some(below) => zip3(row, above, below, T::predict),
                    None => zip2(row, above, T::predict_last),
                }
            }
            let (row, above, below) = frame.row_between(data, y);
            match (above, below) {
                (Some(above), Some(below)) => zip3(row, above, below, T::update),
                (Some(only), None) | (None, Some(only)) => zip2(row, only, T::update_edge),
                (None, None) => {}
            }
            if y > 0 {
                done.visit(data, y - 1);
            }
            done.visit(data, y);
            if y + 2 >= height && y + 1 < height {
                done.visit(data, y + 1);
            }
            self.vertical += 2;
        }
    }
}

/// One inverse level, driven by the rows that are wanted.
pub(crate) struct Inverse<T> {
    frame: Frame,
    vertical: usize,
    horizontal: usize,
    scratch: Vec<T>,
}

impl<T: Lift> Inverse<T> {
    pub fn new(frame: Frame) -> Self {
        Inverse { frame, vertical: 0, horizontal: 0, scratch: vec![T::default(); frame.width] }
    }

    /// The rectangle that is transformed.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How many rows hold samples.
    pub fn done(&self) -> usize {
        self.horizontal
    }

    /// Says that the rectangle begins elsewhere in the data from now on.
    pub fn place(&mut self, offset: usize) {
        self.frame.offset = offset;
    }

    /// Transforms until the first `wanted` rows hold samples; `prepare` is called once for every row before
    /// its first use, in order.
    #[inline(always)]
    pub fn advance(&mut self, data: &mut [T], wanted: usize, mut prepare: impl Rows<T>) {
        let frame = self.frame;
        let height = frame.height;
        let wanted = wanted.min(height);
        if height < SHORTEST_FILTERED {
            for y in self.horizontal..wanted {
                prepare.visit(data, y);
                inverse_row(frame.row_mut(data, y), &mut self.scratch);
            }
            self.horizontal = self.horizontal.max(wanted);
            return;
        }
        // Row y is final once even row y (or y + 1) went back; `vertical` even rows have.
        while self.horizontal < wanted {
            let y = self.vertical;
            if y < height {
                if y == 0 {
                    prepare.visit(data, 0);
                }
                if y + 1 < height {
                    prepare.visit(data, y + 1);
                }
                if y + 2 < height {
                    prepare.visit(data, y + 2);
                }
                let (row, above, below) = frame.row_between(data, y);
                match (above, below) {
                    (Some(above), Some(below)) => zip3(row, above, below, T::unupdate),
                    (Some(only), None) | (None, Some(only)) => zip2(row, only, T::unupdate_edge),
                    (None, None) => {}
                }
                if y > 0 {
                    let (row, above, below) = frame.row_between(data, y - 1);
                    let (above, below) = (above.expect("odd row"), below.expect("even row below"));
                    zip3(row, above, below, T::unpredict);
                }
                if y + 2 > height - 1 && y + 1 < height {
                    let (row, above, _) = frame.row_between(data, y + 1);
                    zip2(row, above.expect("odd row"), T::unpredict_last);
                }
                self.vertical += 2;
            }
            // Rows up to y - 1 are no longer needed by their neighbours; behind the last step all are.
            let end = if self.vertical >= height { height } else { self.vertical - 2 };
            for y in self.horizontal..end {
                inverse_row(frame.row_mut(data, y), &mut self.scratch);
            }
            self.horizontal = end.max(self.horizontal);
        }
    }
}

#[inline(always)]
fn zip2<T: Copy>(row: &mut [T], a: &[T], op: impl Fn(T, T) -> T) {
    for (x, a) in row.iter_mut().zip(a) {
        *x = op(*x, *a);
    }
}

#[inline(always)]
fn zip3<T: Copy>(row: &mut [T], a: &[T], b: &[T], op: impl Fn(T, T, T) -> T) {
    for ((x, a), b) in row.iter_mut().zip(a).zip(b) {
        *x = op(*x, *a, *b);
    }
}

/// One row: samples to `[low | high]`.
#[inline(always)]
pub(crate) fn forward_row<T: Lift>(row: &mut [T], scratch: &mut [T]) {
    let n = row.len();
    let (lows, highs) = (n.div_ceil(2), n / 2);
    let (low, high) = scratch[..n].split_at_mut(lows);
    for ((l, h), pair) in low.iter_mut().zip(high.iter_mut()).zip(row.chunks_exact(2)) {
        *l = pair[0];
        *h = pair[1];
    }
    if lows > highs {
        low[highs] = row[n - 1];
    }
    let (out_low, out_high) = row.split_at_mut(lows);
    if n < SHORTEST_FILTERED {
        out_low.copy_from_slice(low);
        out_high.copy_from_slice(high);
        return;
    }
    // Every odd sample but the last of an even row has two even neighbours.
    let inner = lows - 1;
    for ((h, a), b) in high[..inner].iter_mut().zip(&low[..inner]).zip(&low[1..]) {
        *h = T::predict(*h, *a, *b);
    }
    if highs == lows {
        high[highs - 1] = T::predict_last(high[highs - 1], low[lows - 1]);
    }
    out_high.copy_from_slice(high);
    out_low[0] = T::update_edge(low[0], high[0]);
    for (((out, l), a), b) in out_low[1..].iter_mut().zip(&low[1..]).zip(&high[..]).zip(&high[1..]) {
        *out = T::update(*l, *a, *b);
    }
    if lows > highs {
        out_low[lows - 1] = T::update_edge(low[lows - 1], high[highs - 1]);
    }
}

/// One row: `[low | high]` to samples.
#[inline(always)]
pub(crate) fn inverse_row<T: Lift>(row: &mut [T], scratch: &mut [T]) {
    let n = row.len();
    let (lows, highs) = (n.div_ceil(2), n / 2);
    let (even, odd) = scratch[..n].split_at_mut(lows);
    let (low, high) = row.split_at(lows);
    if n < SHORTEST_FILTERED {
        even.copy_from_slice(low);
        odd.copy_from_slice(high);
    } else {
        even[0] = T::unupdate_edge(low[0], high[0]);
        for (((e, l), a), b) in even[1..].iter_mut().zip(&low[1..]).zip(high).zip(&high[1..]) {
            *e = T::unupdate(*l, *a, *b);
        }
        if lows > highs {
            even[lows - 1] = T::unupdate_edge(low[lows - 1], high[highs - 1]);
        }
        let inner = lows - 1;
        for (((o, h), a), b) in odd[..inner].iter_mut().zip(&high[..inner]).zip(&even[..inner]).zip(&even[1..]) {
            *o = T::unpredict(*h, *a, *b);
        }
        if highs == lows {
            odd[highs - 1] = T::unpredict_last(high[highs - 1], even[lows - 1]);
        }
    }
    for ((pair, e), o) in row.chunks_exact_mut(2).zip(even.iter()).zip(odd.iter()) {
        pair[0] = *e;
        pair[1] = *o;
    }
    if lows > highs {
        row[n - 1] = even[lows - 1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(width: usize, height: usize, stride: usize, data: &mut [i32], chunk: usize) {
        let frame = Frame { offset: 0, stride, width, height };
        let mut level = Forward::new(frame);
        let mut finished = Vec::new();
        let mut ready = 0;
        while ready < height {
            ready = (ready + chunk).min(height);
            level.advance(data, ready, |_: &mut [i32], y: usize| finished.push(y));
        }
        assert_eq!(finished, (0..height).collect::<Vec<_>>());
    }

    fn restore(width: usize, height: usize, stride: usize, data: &mut [i32], chunk: usize) {
        let frame = Frame { offset: 0, stride, width, height };
        let mut level = Inverse::new(frame);
        let mut prepared = Vec::new();
        let mut wanted = 0;
        while wanted < height {
            wanted = (wanted + chunk).min(height);
            level.advance(data, wanted, |_: &mut [i32], y: usize| prepared.push(y));
        }
        assert_eq!(prepared, (0..height).collect::<Vec<_>>());
    }

    #[test]
    fn inverse_undoes_forward_at_any_size_and_chunking() {
        let mut seed = 5u32;
        for height in 1..14 {
            for width in 1..14 {
                for chunk in [1, 2, 3, 100] {
                    let stride = width + 3;
                    let original: Vec<i32> = (0..stride * height)
                        .map(|_| {
                            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                            (seed >> 20) as i32 - 2048
                        })
                        .collect();
                    let (mut data, mut whole) = (original.clone(), original.clone());
                    transform(width, height, stride, &mut data, chunk);
                    transform(width, height, stride, &mut whole, height);
                    assert_eq!(data, whole, "{width}x{height} in chunks of {chunk}");
                    restore(width, height, stride, &mut data, chunk);
                    assert_eq!(data, original, "{width}x{height} in chunks of {chunk}");
                }
            }
        }
    }

    /// The signs of the iterated analysis filters' taps make the input that drives each band to its bound.
    #[test]
    fn forward_fits_16_bits() {
        // Impulse responses by linearity: with rounding negligible at this scale.
        let n = 512;
        let scale = 1 << 20;
        let mut gains = vec![vec![0f64; n]; n];
        for (i, column) in gains.iter_mut().enumerate() {
            let mut row = vec![0i32; n];
            row[i] = scale;
            let mut scratch = vec![0; n];
            let mut width = n;
            while width >= 10 {
                forward_row(&mut row[..width], &mut scratch);
                width = width.div_ceil(2);
            }
            for (slot, value) in column.iter_mut().zip(&row) {
                *slot = f64::from(*value) / f64::from(scale);
            }
        }
        let worst = (0..n).map(|out| gains.iter().map(|column| column[out].abs()).sum::<f64>()).fold(0.0, f64::max);
        assert!(worst < 2.92, "largest one-dimensional gain {worst}");
        let band = worst * worst * f64::from(FORWARD_16_BIT) + 64.0;
        assert!(2.0 * band + 2.0 < 32768.0, "sums of two reach {}", 2.0 * band);
    }
}
