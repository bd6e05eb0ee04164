//! The reversible 5/3 wavelet (section 8).

use super::{Plane, ceil_div};

/// The four bands of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bands {
    pub ll: Plane,
    pub hl: Plane,
    pub lh: Plane,
    pub hh: Plane,
}

/// Forward lifting in place; fewer than 5 samples stay as they are.
pub fn forward_line(x: &mut [i32]) {
    let n = x.len();
    if n < 5 {
        return;
    }
    for i in (1..n).step_by(2) {
        if i + 1 < n {
            x[i] = x[i].wrapping_sub(x[i - 1].wrapping_add(x[i + 1]).wrapping_add(1) >> 1);
        } else {
            x[i] = x[i].wrapping_sub(x[i - 1]);
        }
    }
    for i in (0..n).step_by(2) {
        x[i] = x[i].wrapping_add(update(x, i));
    }
}

/// Inverse lifting in place; fewer than 5 samples stay as they are.
pub fn inverse_line(x: &mut [i32]) {
    let n = x.len();
    if n < 5 {
        return;
    }
    for i in (0..n).step_by(2) {
        x[i] = x[i].wrapping_sub(update(x, i));
    }
    for i in (1..n).step_by(2) {
        if i + 1 < n {
            x[i] = x[i].wrapping_add(x[i - 1].wrapping_add(x[i + 1]).wrapping_add(1) >> 1);
        } else {
            x[i] = x[i].wrapping_add(x[i - 1]);
        }
    }
}

/// What the update step adds to the even sample `i`.
fn update(x: &[i32], i: usize) -> i32 {
    if i == 0 {
        x[1].wrapping_add(1) >> 1
    } else if i + 1 == x.len() {
        x[i - 1].wrapping_add(1) >> 1
    } else {
        x[i - 1].wrapping_add(x[i + 1]).wrapping_add(2) >> 2
    }
}

fn map_rows(plane: &mut Plane, line: fn(&mut [i32])) {
    for y in 0..plane.h {
        line(&mut plane.data[y * plane.w..(y + 1) * plane.w]);
    }
}

fn map_columns(plane: &mut Plane, line: fn(&mut [i32])) {
    for x in 0..plane.w {
        let mut column: Vec<i32> = (0..plane.h).map(|y| plane.get(x, y)).collect();
        line(&mut column);
        for (y, value) in column.into_iter().enumerate() {
            plane.set(x, y, value);
        }
    }
}

/// One step: all rows, then all columns, then the split into bands.
pub fn forward(plane: &Plane) -> Bands {
    let mut work = plane.clone();
    map_rows(&mut work, forward_line);
    map_columns(&mut work, forward_line);
    let pick = |x0: usize, y0: usize| {
        let mut band = Plane::new((plane.w + 1 - x0) / 2, (plane.h + 1 - y0) / 2);
        for y in 0..band.h {
            for x in 0..band.w {
                band.set(x, y, work.get(2 * x + x0, 2 * y + y0));
            }
        }
        band
    };
    Bands { ll: pick(0, 0), hl: pick(1, 0), lh: pick(0, 1), hh: pick(1, 1) }
}

/// One step back: interleave, all columns, all rows.
pub fn inverse(bands: &Bands) -> Plane {
    let mut work = Plane::new(bands.ll.w + bands.hl.w, bands.ll.h + bands.lh.h);
    for (band, x0, y0) in [(&bands.ll, 0, 0), (&bands.hl, 1, 0), (&bands.lh, 0, 1), (&bands.hh, 1, 1)] {
        assert_eq!((band.w, band.h), ((work.w + 1 - x0) / 2, (work.h + 1 - y0) / 2));
        for y in 0..band.h {
            for x in 0..band.w {
                work.set(2 * x + x0, 2 * y + y0, band.get(x, y));
            }
        }
    }
    map_columns(&mut work, inverse_line);
    map_rows(&mut work, inverse_line);
    work
}

/// Size of LL_l for a length `n`.
pub fn level_size(n: usize, level: usize) -> usize {
    let mut n = n;
    for _ in 0..level {
        n = ceil_div(n, 2);
    }
    n
}
