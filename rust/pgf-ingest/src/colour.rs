//! What samples become: gray, RGB or RGBA; 8 or 16 bits; sRGB.
//!
//! Palettes are looked up and CMYK becomes RGB while decoding. Here alpha, the number of channels, the depth and ICC
//! profiles are dealt with.

use crate::error::{Failure, FailureKind};
use image::DynamicImage;
use moxcms::{ColorProfile, Layout, Transform8BitExecutor, TransformOptions};
use pgf::{Image, Mode, Samples};
use std::cell::RefCell;
use std::sync::Arc;

/// What becomes of transparency. An alpha channel that is opaque everywhere is always left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// RGBA pictures stay RGBA; gray with alpha becomes RGBA.
    #[default]
    Keep,
    /// Laid on white.
    White,
    /// Laid on black.
    Black,
}

/// How many channels pictures get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// Gray pictures stay gray, the others are RGB.
    #[default]
    Source,
    /// RGB throughout; gray is repeated.
    Rgb,
    /// Gray throughout: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).
    Gray,
}

/// What becomes of an ICC profile. The results carry none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Icc {
    /// 8-bit gray and RGB samples are converted to sRGB if their profile says something else; a profile that cannot
    /// be read is ignored, and so are those of CMYK and 16-bit pictures.
    #[default]
    Srgb,
    /// Samples stay as they are.
    Ignore,
}

/// What samples become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colour {
    /// Transparency.
    pub alpha: Alpha,
    /// Channels.
    pub channels: Channels,
    /// Keep 16 bits where the source has them, except with alpha. Otherwise 16-bit samples are divided by 257 and
    /// rounded.
    pub deep: bool,
    /// ICC profiles.
    pub icc: Icc,
}

/// Samples as decoders leave them: 1 to 4 channels, 2 and 4 with alpha last.
#[derive(Debug)]
pub(crate) struct Raw {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    pub samples: Samples,
}

impl Raw {
    pub fn of(image: DynamicImage) -> Result<Raw, Failure> {
        let (width, height) = (image.width(), image.height());
        let (channels, samples) = match image {
            DynamicImage::ImageLuma8(i) => (1, Samples::U8(i.into_raw())),
            DynamicImage::ImageLumaA8(i) => (2, Samples::U8(i.into_raw())),
            DynamicImage::ImageRgb8(i) => (3, Samples::U8(i.into_raw())),
            DynamicImage::ImageRgba8(i) => (4, Samples::U8(i.into_raw())),
            DynamicImage::ImageLuma16(i) => (1, Samples::U16(i.into_raw())),
            DynamicImage::ImageLumaA16(i) => (2, Samples::U16(i.into_raw())),
            DynamicImage::ImageRgb16(i) => (3, Samples::U16(i.into_raw())),
            DynamicImage::ImageRgba16(i) => (4, Samples::U16(i.into_raw())),
            other => {
                let message = format!("samples of type {:?}: 8 or 16 bit integers are read", other.color());
                return Err(Failure::new(FailureKind::Unsupported, message));
            }
        };
        Ok(Raw { width, height, channels, samples })
    }
}

fn to_8_bits(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|v| ((u32::from(*v) + 128) / 257) as u8).collect()
}

/// Brings samples to what `colour` asks for.
pub(crate) fn unify(raw: Raw, profile: Option<&[u8]>, colour: &Colour) -> Image {
    let Raw { width, height, mut channels, mut samples } = raw;
    if let Samples::U16(deep) = &samples
        && (!colour.deep || channels % 2 == 0)
    {
        samples = Samples::U8(to_8_bits(deep));
    }
    samples = match samples {
        Samples::U8(mut s) => {
            if let Some(profile) = profile.filter(|_| colour.icc == Icc::Srgb) {
                to_srgb(&mut s, channels, profile);
            }
            if channels % 2 == 0 {
                (channels, s) = resolve_alpha(channels, s, colour.alpha);
            }
            (channels, s) = set_channels(channels, s, colour.channels);
            Samples::U8(s)
        }
        Samples::U16(s) => {
            let (n, s) = set_channels(channels, s, colour.channels);
            channels = n;
            Samples::U16(s)
        }
        other => other,
    };
    let mode = match (channels, &samples) {
        (1, Samples::U16(_)) => Mode::Gray16,
        (1, _) => Mode::Gray,
        (3, Samples::U16(_)) => Mode::Rgb48,
        (3, _) => Mode::Rgb,
        _ => Mode::Rgba,
    };
    Image { width, height, channels, mode, samples }
}

/// Gray with alpha or RGBA to gray, RGB or RGBA.
fn resolve_alpha(channels: usize, samples: Vec<u8>, alpha: Alpha) -> (usize, Vec<u8>) {
    let colours = channels - 1;
    if samples.chunks_exact(channels).all(|p| p[colours] == 255) {
        return (colours, samples.chunks_exact(channels).flat_map(|p| p[..colours].iter().copied()).collect());
    }
    let ground: u32 = match alpha {
        Alpha::Keep if channels == 4 => return (4, samples),
        Alpha::Keep => return (4, samples.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect()),
        Alpha::White => 255,
        Alpha::Black => 0,
    };
    let flat = |p: &[u8]| {
        let a = u32::from(p[colours]);
        let mut out = [0; 3];
        for (slot, v) in out.iter_mut().zip(&p[..colours]) {
            *slot = ((u32::from(*v) * a + ground * (255 - a) + 127) / 255) as u8;
        }
        out.into_iter().take(colours)
    };
    (colours, samples.chunks_exact(channels).flat_map(flat).collect())
}

fn set_channels<T: Copy + Into<u32> + TryFrom<u32>>(
    channels: usize,
    samples: Vec<T>,
    wanted: Channels,
) -> (usize, Vec<T>) {
    match (wanted, channels) {
        (Channels::Rgb, 1) => (3, samples.into_iter().flat_map(|v| [v; 3]).collect()),
        (Channels::Gray, 3 | 4) => {
            // The weights in 1/65536; they add up to 65536, so the result fits the type.
            let luma = |p: &[T]| {
                let [r, g, b]: [u32; 3] = [p[0].into(), p[1].into(), p[2].into()];
                let sum = u64::from(r) * 19595 + u64::from(g) * 38470 + u64::from(b) * 7471 + 32768;
                T::try_from((sum >> 16) as u32).unwrap_or(p[1])
            };
            (1, samples.chunks_exact(channels).map(luma).collect())
        }
        _ => (channels, samples),
    }
}

type Conversion = Option<Arc<Transform8BitExecutor>>;

/// Profiles met by one thread; cameras and editors write the same few over and over.
const MOST_PROFILES: usize = 32;

thread_local! {
    static PROFILES: RefCell<Vec<(usize, Vec<u8>, Conversion)>> = const { RefCell::new(Vec::new()) };
}

/// Converts samples of 1 to 4 channels in place, unless the profile is sRGB, unusable or for other channels.
fn to_srgb(samples: &mut [u8], channels: usize, profile: &[u8]) {
    let Some(conversion) = conversion(channels, profile) else { return };
    let source = samples.to_vec();
    // The lengths fit by construction; should the library refuse, the samples stay as they are.
    if conversion.transform(&source, samples).is_err() {
        samples.copy_from_slice(&source);
    }
}

fn conversion(channels: usize, profile: &[u8]) -> Conversion {
    PROFILES.with_borrow_mut(|known| {
        if let Some((_, _, conversion)) = known.iter().find(|(n, p, _)| *n == channels && p == profile) {
            return conversion.clone();
        }
        let conversion = make_conversion(channels, profile);
        if known.len() == MOST_PROFILES {
            known.remove(0);
        }
        known.push((channels, profile.to_vec(), conversion.clone()));
        conversion
    })
}

fn make_conversion(channels: usize, profile: &[u8]) -> Conversion {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    let (from, to, target) = match channels {
        1 => (Layout::Gray, Layout::Gray, ColorProfile::new_gray_with_gamma(2.2)),
        2 => (Layout::GrayAlpha, Layout::GrayAlpha, ColorProfile::new_gray_with_gamma(2.2)),
        3 => (Layout::Rgb, Layout::Rgb, ColorProfile::new_srgb()),
        _ => (Layout::Rgba, Layout::Rgba, ColorProfile::new_srgb()),
    };
    if channels <= 2 {
        // Gray needs the curve of sRGB, not a power.
        let mut gray = target;
        gray.gray_trc = ColorProfile::new_srgb().red_trc;
        return usable(profile.create_transform_8bit(from, &gray, to, TransformOptions::default()).ok()?, channels);
    }
    usable(profile.create_transform_8bit(from, &target, to, TransformOptions::default()).ok()?, channels)
}

/// The transform, unless it changes next to nothing: most profiles are sRGB under one of its many names.
fn usable(transform: Arc<Transform8BitExecutor>, channels: usize) -> Conversion {
    let steps = [0u8, 32, 64, 96, 128, 160, 192, 224, 255];
    let mut probe = Vec::new();
    for r in steps {
        for g in steps {
            for b in steps {
                let pixel = [r, g, b, 255];
                match channels {
                    1 => probe.push(r),
                    2 => probe.extend([r, 255]),
                    n => probe.extend(&pixel[..n]),
                }
            }
        }
    }
    let mut out = vec![0; probe.len()];
    transform.transform(&probe, &mut out).ok()?;
    probe.iter().zip(&out).any(|(a, b)| a.abs_diff(*b) > 2).then_some(transform)
}
