//! Resizing and turning pictures of 1, 3 or 4 interleaved channels, 8 or 16 bits each.

use crate::error::{Failure, FailureKind};
use crate::geometry::Target;
use fast_image_resize::images::{Image as Resized, ImageRef as Source};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use pgf::{Image, Samples};
use std::cell::RefCell;

/// The kernel that resizing convolves with; it is stretched when pictures shrink, so nothing aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// The mean of the pixels covered.
    Box,
    /// A triangle.
    Bilinear,
    /// Cubic convolution with a = -0.5 (Catmull-Rom), as Pillow's bicubic.
    #[default]
    Bicubic,
    /// A sinc over three lobes.
    Lanczos,
}

thread_local! {
    /// Holds the intermediate rows of a resize from one picture to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Brings the part of `image` that `target` names to the target's size. Alpha is multiplied in meanwhile.
pub(crate) fn resize(image: Image, target: &Target, filter: Filter) -> Result<Image, Failure> {
    let whole = target.copies() && (target.width, target.height) == (image.width, image.height);
    if whole {
        return Ok(image);
    }
    if target.copies() {
        return Ok(cut(&image, target));
    }
    let refused = |e: &dyn std::fmt::Display| Failure::new(FailureKind::Limits, format!("resizing: {e}"));
    let wide = matches!(image.samples, Samples::U16(_));
    let pixel_type = match (image.channels, wide) {
        (1, false) => PixelType::U8,
        (3, false) => PixelType::U8x3,
        (4, false) => PixelType::U8x4,
        (1, true) => PixelType::U16,
        (3, true) => PixelType::U16x3,
        (n, _) => unreachable!("{n} channels: colour.rs leaves 1, 3 or 4, and 4 only of 8 bits"),
    };
    let kernel = match filter {
        Filter::Box => FilterType::Box,
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos => FilterType::Lanczos3,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel)).crop(
        target.left,
        target.top,
        target.part_width,
        target.part_height,
    );
    let bytes: Vec<u8>;
    let source = match &image.samples {
        Samples::U8(samples) => &samples[..],
        Samples::U16(samples) => {
            bytes = samples.iter().flat_map(|v| v.to_ne_bytes()).collect();
            &bytes
        }
        _ => unreachable!("colour.rs leaves 8 or 16 bits"),
    };
    // 16-bit samples need alignment, which only buffers that the resizer made itself promise.
    let mut result = Resized::new(target.width, target.height, pixel_type);
    let resized = RESIZER.with_borrow_mut(|resizer| match Source::new(image.width, image.height, source, pixel_type) {
        Ok(source) => resizer.resize(&source, &mut result, &options).map_err(|e| refused(&e)),
        Err(_) => {
            let mut aligned = Resized::new(image.width, image.height, pixel_type);
            aligned.buffer_mut().copy_from_slice(source);
            resizer.resize(&aligned, &mut result, &options).map_err(|e| refused(&e))
        }
    });
    resized?;
    let samples = match wide {
        false => Samples::U8(result.into_vec()),
        true => Samples::U16(result.buffer().chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect()),
    };
    Ok(Image { width: target.width, height: target.height, samples, ..image })
}

/// Cuts whole pixels out.
fn cut(image: &Image, target: &Target) -> Image {
    let channels = image.channels;
    let (left, top) = (target.left as usize, target.top as usize);
    let (width, height) = (target.width as usize, target.height as usize);
    let stride = image.width as usize * channels;
    fn rows<T: Copy>(samples: &[T], stride: usize, from: usize, length: usize, top: usize, height: usize) -> Vec<T> {
        let rows = samples.chunks_exact(stride).skip(top).take(height);
        rows.flat_map(|row| row[from..from + length].iter().copied()).collect()
    }
    let (from, length) = (left * channels, width * channels);
    let samples = match &image.samples {
        Samples::U8(s) => Samples::U8(rows(s, stride, from, length, top, height)),
        Samples::U16(s) => Samples::U16(rows(s, stride, from, length, top, height)),
        Samples::U32(s) => Samples::U32(rows(s, stride, from, length, top, height)),
        Samples::I32(s) => Samples::I32(rows(s, stride, from, length, top, height)),
    };
    Image { width: target.width, height: target.height, channels, mode: image.mode, samples }
}

/// Whether an orientation swaps the sides.
pub(crate) fn lies(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Turns a picture upright.
pub(crate) fn turn(image: Image, orientation: Orientation) -> Image {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels);
    let samples = match &image.samples {
        Samples::U8(s) => Samples::U8(turn_samples(s, width, height, channels, orientation)),
        Samples::U16(s) => Samples::U16(turn_samples(s, width, height, channels, orientation)),
        Samples::U32(s) => Samples::U32(turn_samples(s, width, height, channels, orientation)),
        Samples::I32(s) => Samples::I32(turn_samples(s, width, height, channels, orientation)),
    };
    let (width, height) = if lies(orientation) { (image.height, image.width) } else { (image.width, image.height) };
    Image { width, height, samples, ..image }
}

fn turn_samples<T: Copy>(
    samples: &[T],
    width: usize,
    height: usize,
    channels: usize,
    orientation: Orientation,
) -> Vec<T> {
    let (out_width, out_height) = if lies(orientation) { (height, width) } else { (width, height) };
    let mut out = Vec::with_capacity(samples.len());
    for y in 0..out_height {
        for x in 0..out_width {
            // Where the pixel comes from.
            let (sx, sy) = match orientation {
                Orientation::NoTransforms => (x, y),
                Orientation::FlipHorizontal => (width - 1 - x, y),
                Orientation::Rotate180 => (width - 1 - x, height - 1 - y),
                Orientation::FlipVertical => (x, height - 1 - y),
                Orientation::Rotate90FlipH => (y, x),
                Orientation::Rotate90 => (y, height - 1 - x),
                Orientation::Rotate270FlipH => (width - 1 - y, height - 1 - x),
                Orientation::Rotate270 => (width - 1 - y, x),
            };
            let at = (sy * width + sx) * channels;
            out.extend_from_slice(&samples[at..at + channels]);
        }
    }
    out
}
