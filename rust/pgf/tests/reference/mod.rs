//! A slow reference codec for PGF, written one sample at a time from the format specification.
//!
//! It exists for tests only: every fast kernel of the crate is compared with the function of the same stage here,
//! and whole files are compared with what this codec reads and writes. It shares no code and no type with the
//! crate. Where speed and plainness disagree, it is plain.
//!
//! All coefficient arithmetic is 32-bit two's complement with wrap-around.

// Each test file compiles this module on its own and uses only part of it.
#![allow(dead_code)]

pub mod bitplane;
pub mod bits;
pub mod codec;
pub mod colour;
pub mod container;
pub mod order;
pub mod pixels;
pub mod quantize;
pub mod wavelet;

/// Every failure is a sentence that names the field and its value.
pub type Result<T> = std::result::Result<T, String>;

/// Number of values in a full macroblock.
pub const MACROBLOCK: usize = 16384;

/// A rectangle of samples in row order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    pub w: usize,
    pub h: usize,
    pub data: Vec<i32>,
}

impl Plane {
    pub fn new(w: usize, h: usize) -> Plane {
        Plane { w, h, data: vec![0; w * h] }
    }

    pub fn get(&self, x: usize, y: usize) -> i32 {
        assert!(x < self.w && y < self.h);
        self.data[y * self.w + x]
    }

    pub fn set(&mut self, x: usize, y: usize, value: i32) {
        assert!(x < self.w && y < self.h);
        self.data[y * self.w + x] = value;
    }

    /// The part with columns `left..right` and rows `top..bottom`.
    pub fn crop(&self, left: usize, top: usize, right: usize, bottom: usize) -> Plane {
        let mut out = Plane::new(right - left, bottom - top);
        for y in top..bottom {
            for x in left..right {
                out.set(x - left, y - top, self.get(x, y));
            }
        }
        out
    }
}

/// `n / d` rounded up.
pub fn ceil_div(n: usize, d: usize) -> usize {
    n.div_ceil(d)
}
