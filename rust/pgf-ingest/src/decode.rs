//! Files to samples: the header first, so that sizes are checked before pixels are made.

use crate::colour::Raw;
use crate::error::{Failure, FailureKind};
use crate::format::Format;
use crate::jpeg::Jpeg;
use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError};
use pgf::{DecodeOptions, Mode, Samples};
use std::io::Cursor;

/// Most bytes of samples that a decoder may make for one pixel: RGBA of 16 bits.
const MOST_BYTES_PER_PIXEL: u64 = 8;

/// A file whose header was read.
pub(crate) struct Opened<'a> {
    pub format: Format,
    /// Pixels as stored, before turning upright.
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    pub profile: Option<Vec<u8>>,
    decoder: Decoder<'a>,
}

enum Decoder<'a> {
    Jpeg(Box<Jpeg<'a>>),
    Pgf(&'a [u8], Format),
    Other(Box<dyn Decode + 'a>),
}

/// `ImageDecoder`, made into an object that yields a picture.
trait Decode {
    fn picture(self: Box<Self>) -> Result<DynamicImage, ImageError>;
}

impl<D: ImageDecoder> Decode for D {
    fn picture(self: Box<Self>) -> Result<DynamicImage, ImageError> {
        DynamicImage::from_decoder(*self)
    }
}

/// Reads the header.
pub(crate) fn open(data: &[u8], max_pixels: u64) -> Result<Opened<'_>, Failure> {
    if data.is_empty() {
        return Err(Failure::new(FailureKind::Empty, "no bytes"));
    }
    let Some(format) = Format::of(data) else {
        let first: Vec<String> = data.iter().take(8).map(|b| format!("{b:02x}")).collect();
        let message = format!("{} bytes that begin with {}: no known picture format", data.len(), first.join(" "));
        return Err(Failure::new(FailureKind::UnknownFormat, message));
    };
    let limits = || {
        let mut limits = image::Limits::no_limits();
        // Decoders may need a second copy of the samples.
        limits.max_alloc = Some(max_pixels.saturating_mul(2 * MOST_BYTES_PER_PIXEL));
        limits
    };
    let failed = |e: ImageError| failure(format, &e);
    let cursor = Cursor::new(data);
    match format {
        Format::Jpeg => {
            let mut jpeg = Jpeg::open(data)?;
            let (width, height) = jpeg.size();
            check_pixels(width, height, max_pixels)?;
            let orientation = jpeg.exif().and_then(|exif| Orientation::from_exif_chunk(&exif));
            Ok(Opened {
                format,
                width,
                height,
                orientation: orientation.unwrap_or(Orientation::NoTransforms),
                profile: jpeg.profile(),
                decoder: Decoder::Jpeg(Box::new(jpeg)),
            })
        }
        Format::Pgf | Format::Pgfr => {
            let header = match format {
                Format::Pgf => pgf::read_header(data).map(|file| file.header),
                _ => pgf_resilient::read_picture(data).map(|picture| picture.header),
            };
            let header = header.map_err(|e| pgf_failure(&e))?;
            check_pixels(header.width, header.height, max_pixels)?;
            Ok(Opened {
                format,
                width: header.width,
                height: header.height,
                orientation: Orientation::NoTransforms,
                profile: None,
                decoder: Decoder::Pgf(data, format),
            })
        }
        Format::Png => other(format, PngDecoder::with_limits(cursor, limits()).map_err(failed)?, max_pixels, limits()),
        Format::WebP => other(format, WebPDecoder::new(cursor).map_err(failed)?, max_pixels, limits()),
        Format::Gif => other(format, GifDecoder::new(cursor).map_err(failed)?, max_pixels, limits()),
        Format::Bmp => other(format, BmpDecoder::new(cursor).map_err(failed)?, max_pixels, limits()),
        Format::Tiff => other(format, TiffDecoder::new(cursor).map_err(failed)?, max_pixels, limits()),
        Format::Pixels => unreachable!("no file is of this format"),
    }
}

fn other<'a>(
    format: Format,
    mut decoder: impl ImageDecoder + 'a,
    max_pixels: u64,
    limits: image::Limits,
) -> Result<Opened<'a>, Failure> {
    let (width, height) = decoder.dimensions();
    check_pixels(width, height, max_pixels)?;
    decoder.set_limits(limits).map_err(|e| failure(format, &e))?;
    // A broken profile or Exif block does not spoil the picture.
    let profile = decoder.icc_profile().ok().flatten();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(Opened { format, width, height, orientation, profile, decoder: Decoder::Other(Box::new(decoder)) })
}

fn check_pixels(width: u32, height: u32, max_pixels: u64) -> Result<(), Failure> {
    if width == 0 || height == 0 {
        let message = format!("{width}x{height} pixels: both sides must be at least 1");
        return Err(Failure::new(FailureKind::Corrupt, message));
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        let message = format!("{width}x{height} pixels are over max_pixels {max_pixels}");
        return Err(Failure::new(FailureKind::Limits, message));
    }
    Ok(())
}

impl Opened<'_> {
    /// Decodes, where the format can at 1/`reduction` of the size (rounded up), else at full size.
    pub fn decode(self, reduction: u32) -> Result<Raw, Failure> {
        match self.decoder {
            Decoder::Jpeg(jpeg) => jpeg.decode(reduction),
            Decoder::Pgf(data, format) => decode_pgf(data, format),
            Decoder::Other(decoder) => Raw::of(decoder.picture().map_err(|e| failure(self.format, &e))?),
        }
    }
}

/// Always at full size: the smaller pictures inside a PGF are sampled more than averaged, which resizing is not.
fn decode_pgf(data: &[u8], format: Format) -> Result<Raw, Failure> {
    // A damaged picture is no training material: strict.
    let decoded = if format == Format::Pgfr {
        let options = pgf_resilient::DecodeOptions { strict: true, ..Default::default() };
        let palette = pgf_resilient::read_extras(data, &options.limits).map(|extras| extras.palette);
        palette.and_then(|palette| Ok((pgf_resilient::decode(data, &options)?.0, palette)))
    } else {
        let options = DecodeOptions { strict: true, ..DecodeOptions::default() };
        let palette = pgf::read_header(data).map(|file| file.palette);
        palette.and_then(|palette| Ok((pgf::decode(data, &options)?, palette)))
    };
    let (image, palette) = decoded.map_err(|e| pgf_failure(&e))?;
    let to = match image.mode {
        Mode::Bitmap => Mode::Gray,
        Mode::Indexed | Mode::Rgb12 | Mode::Rgb16 => Mode::Rgb,
        Mode::Gray31 => Mode::Gray16,
        mode @ (Mode::Gray | Mode::Rgb | Mode::Rgba | Mode::Gray16 | Mode::Rgb48) => mode,
        mode => {
            let message = format!("PGF mode {}: gray, RGB and palette modes are read", mode.name());
            return Err(Failure::new(FailureKind::Unsupported, message));
        }
    };
    let image = pgf::convert(image, to, palette.as_deref()).map_err(|e| pgf_failure(&e))?;
    Ok(Raw { width: image.width, height: image.height, channels: image.channels, samples: image.samples })
}

fn pgf_failure(error: &pgf::Error) -> Failure {
    let kind = match error {
        pgf::Error::Truncated { .. } => FailureKind::Truncated,
        pgf::Error::Limits { .. } => FailureKind::Limits,
        pgf::Error::Unsupported(_) => FailureKind::Unsupported,
        _ => FailureKind::Corrupt,
    };
    Failure::new(kind, format!("pgf: {error}"))
}

fn failure(format: Format, error: &ImageError) -> Failure {
    let text = error.to_string();
    let cut = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["unexpected end", "unexpected eof", "failed to fill whole buffer", "end of file", "too few"]
            .iter()
            .any(|sign| text.contains(sign))
    };
    let kind = match error {
        ImageError::Limits(_) => FailureKind::Limits,
        ImageError::Unsupported(_) => FailureKind::Unsupported,
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => FailureKind::Truncated,
        _ if cut(&text) => FailureKind::Truncated,
        _ => FailureKind::Corrupt,
    };
    Failure::new(kind, format!("{}: {text}", format.name()))
}

/// Raw samples of the caller's as a picture.
pub(crate) fn raw_of(image: &pgf::ImageRef<'_>) -> Result<Raw, Failure> {
    let samples = match image.samples {
        pgf::SamplesRef::U8(s) => Samples::U8(s.to_vec()),
        pgf::SamplesRef::U16(s) => Samples::U16(s.to_vec()),
        _ => return Err(Failure::new(FailureKind::Unsupported, "pixels of other than 8 or 16 bits")),
    };
    let expected = u64::from(image.width) * u64::from(image.height) * image.channels as u64;
    if !(1..=4).contains(&image.channels) || image.samples.len() as u64 != expected || expected == 0 {
        let message = format!(
            "{} samples for {}x{} pixels of {} channels: 1 to 4 channels and both sides of at least 1 are needed",
            image.samples.len(),
            image.width,
            image.height,
            image.channels
        );
        return Err(Failure::new(FailureKind::Unsupported, message));
    }
    Ok(Raw { width: image.width, height: image.height, channels: image.channels, samples })
}
