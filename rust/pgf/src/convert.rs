//! Conversions between modes after decoding, where they are lossless or standard.

use crate::error::{Error, Result};
use crate::header::Palette;
use crate::image::{Image, Mode, Samples};

/// The picture in another mode.
///
/// Possible are: any mode to itself; `indexed` to `rgb` and `rgba` by its palette; `bitmap` to `gray` (0 or 255);
/// `gray` to `rgb`; `rgba` to `rgb` (alpha is dropped); `rgb12` and `rgb16` to `rgb` (bits repeated); `gray16` to
/// `gray`, `rgb48` to `rgb` and `gray31` to `gray16` or `gray` (upper bits kept).
///
/// # Errors
/// [`Error::Unsupported`] for any other pair, and for an indexed picture without a palette.
pub fn convert(image: Image, to: Mode, palette: Option<&Palette>) -> Result<Image> {
    let from = image.mode;
    if from == to {
        return Ok(image);
    }
    let refused =
        |image: &Image| Err(Error::Unsupported(format!("conversion of mode {} to {}", image.mode.name(), to.name())));
    let (channels, samples) = match (from, to, &image.samples) {
        (Mode::Indexed, Mode::Rgb | Mode::Rgba, Samples::U8(s)) => {
            let Some(palette) = palette else {
                return Err(Error::Unsupported("colours of an indexed picture whose file has no palette".into()));
            };
            let channels = if to == Mode::Rgb { 3 } else { 4 };
            let opaque = |[r, g, b, _]: [u8; 4]| [r, g, b, 255];
            let colour = |index: &u8| opaque(palette[usize::from(*index)]);
            (channels, Samples::U8(s.iter().flat_map(|i| colour(i).into_iter().take(channels)).collect()))
        }
        (Mode::Bitmap, Mode::Gray, Samples::U8(s)) => (1, Samples::U8(s.iter().map(|b| b * 255).collect())),
        (Mode::Gray, Mode::Rgb, Samples::U8(s)) => (3, Samples::U8(s.iter().flat_map(|v| [*v; 3]).collect())),
        (Mode::Rgba, Mode::Rgb, Samples::U8(s)) => {
            (3, Samples::U8(s.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()))
        }
        (Mode::Rgb12, Mode::Rgb, Samples::U8(s)) => (3, Samples::U8(s.iter().map(|v| v << 4 | v).collect())),
        (Mode::Rgb16, Mode::Rgb, Samples::U8(s)) => {
            let five = |v: u8| v << 3 | v >> 2;
            let six = |v: u8| v << 2 | v >> 4;
            (3, Samples::U8(s.chunks_exact(3).flat_map(|p| [five(p[0]), six(p[1]), five(p[2])]).collect()))
        }
        (Mode::Gray16, Mode::Gray, Samples::U16(s)) | (Mode::Rgb48, Mode::Rgb, Samples::U16(s)) => {
            (image.channels, Samples::U8(s.iter().map(|v| (v >> 8) as u8).collect()))
        }
        (Mode::Gray31, Mode::Gray16, Samples::U32(s)) => {
            (1, Samples::U16(s.iter().map(|v| (v >> 15) as u16).collect()))
        }
        (Mode::Gray31, Mode::Gray, Samples::U32(s)) => (1, Samples::U8(s.iter().map(|v| (v >> 23) as u8).collect())),
        _ => return refused(&image),
    };
    Ok(Image { width: image.width, height: image.height, channels, mode: to, samples })
}
