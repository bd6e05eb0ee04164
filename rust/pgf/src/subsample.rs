//! 2x2 averaging of chroma planes (format section 6), forward and inverse side by side.

use crate::planes::Coefficient;

/// Averages two rows of `width` samples into one of half the width; `bottom` is absent behind the last odd row.
#[inline(always)]
pub(crate) fn average_rows<T: Coefficient>(top: &[T], bottom: Option<&[T]>, out: &mut [T]) {
    let odd = top.len() % 2 == 1;
    match bottom {
        Some(bottom) => {
            for ((out, a), b) in out.iter_mut().zip(top.chunks_exact(2)).zip(bottom.chunks_exact(2)) {
                // Sums of four stay in 32 bits: gray has no chroma and no other mode has more than 17.
                *out = T::from_i32((a[0].to_i32() + a[1].to_i32() + b[0].to_i32() + b[1].to_i32()) >> 2);
            }
            if odd {
                out[top.len() / 2] = T::from_i32((top[top.len() - 1].to_i32() + bottom[top.len() - 1].to_i32()) >> 1);
            }
        }
        None => {
            for (out, a) in out.iter_mut().zip(top.chunks_exact(2)) {
                *out = T::from_i32((a[0].to_i32() + a[1].to_i32()) >> 1);
            }
            if odd {
                out[top.len() / 2] = top[top.len() - 1];
            }
        }
    }
}

/// Repeats every sample: output `j` is sample `(first + j) / 2`.
#[inline(always)]
pub(crate) fn repeat_row<T: Coefficient>(row: &[T], first: usize, out: &mut [T]) {
    let mut at = 0;
    let mut out = out;
    if first % 2 == 1 {
        out[0] = row[0];
        at = 1;
        out = &mut out[1..];
    }
    let (pairs, rest) = out.as_chunks_mut::<2>();
    for (pair, v) in pairs.iter_mut().zip(&row[at..]) {
        *pair = [*v, *v];
    }
    if let [last] = rest {
        *last = row[at + pairs.len()];
    }
}
