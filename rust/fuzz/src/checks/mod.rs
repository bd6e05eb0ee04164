//! Checks that hold for any bytes; each panics where one does not.

#[allow(clippy::duplicate_mod)]
mod choices;
mod decode;
mod encode;
mod header;
mod region;
mod salvage;

use pgf::{Error, Image, Limits, Samples};

pub use decode::decode;
pub use encode::encode;
pub use header::header;
pub use region::region;
pub use salvage::salvage;

/// Limits of everything decoded here: a mebipixel, 64 MiB.
pub const LIMITS: Limits = Limits { max_pixels: 1 << 20, max_bytes: 1 << 26 };

/// Pictures up to so many pixels are decoded in several ways; larger ones once or twice, for the sake of speed.
const SMALL: u64 = 1 << 16;

/// The rectangle `left, top, right, bottom` of a picture.
fn crop(image: &Image, (left, top, right, bottom): (u32, u32, u32, u32)) -> Samples {
    fn cut<T: Copy>(all: &[T], image: &Image, (l, t, r, b): (u32, u32, u32, u32)) -> Vec<T> {
        let (row, channels) = (image.width as usize * image.channels, image.channels);
        let rows = all.chunks_exact(row).take(b as usize).skip(t as usize);
        rows.flat_map(|row| &row[l as usize * channels..r as usize * channels]).copied().collect()
    }
    let rect = (left, top, right, bottom);
    match &image.samples {
        Samples::U8(s) => Samples::U8(cut(s, image, rect)),
        Samples::U16(s) => Samples::U16(cut(s, image, rect)),
        Samples::U32(s) => Samples::U32(cut(s, image, rect)),
        Samples::I32(s) => Samples::I32(cut(s, image, rect)),
    }
}

/// A refusal to write coefficients that no macroblock can hold: legal for noise in 31 planes.
fn too_noisy(error: &Error) -> bool {
    matches!(error, Error::Unsupported(_))
}
