//! JPEG files: headers and pixels.
//!
//! Baseline files in one scan, which is what most are, are decoded here: at full size to the samples that libjpeg gives,
//! and where a half, a quarter or an eighth of the size is enough without making the large picture first. Several parts
//! of a file are decoded at once, which takes about half of zune-jpeg's time at full size and less than a third of it at
//! a quarter, without a resize behind it. Whatever is not in order or not baseline goes through zune-jpeg, whose word on
//! broken files is final.
//!
//! [`headers`] reads what stands before the coded data, [`huffman`] makes tables of the codes and [`kept`] keeps them,
//! [`streams`] decodes several parts of the data at once, [`scan`] cuts the data into parts and joins them, [`blocks`],
//! [`idct8`] and [`idct`] make samples of coefficients, [`upsample`] and [`rgb`] make pixels of samples.

mod blocks;
mod headers;
mod huffman;
mod idct;
mod idct8;
mod kept;
mod rgb;
mod scan;
mod streams;
#[cfg(test)]
mod tests;
mod upsample;

use crate::colour::Raw;
use crate::error::{Failure, FailureKind};
use pgf::Samples;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// A JPEG file whose headers were read.
pub(crate) struct Jpeg<'a> {
    data: &'a [u8],
    width: u32,
    height: u32,
    exif: Option<Vec<u8>>,
    profile: Option<Vec<u8>>,
    decoder: Decoder<'a>,
}

enum Decoder<'a> {
    Usual(Box<headers::Headers<'a>>),
    Other(Box<JpegDecoder<ZCursor<&'a [u8]>>>),
}

impl<'a> Jpeg<'a> {
    pub fn open(data: &'a [u8]) -> Result<Self, Failure> {
        if let Some((headers, notes)) = headers::read(data) {
            return Ok(Jpeg {
                data,
                width: headers.width as u32,
                height: headers.height as u32,
                exif: notes.exif.map(<[u8]>::to_vec),
                profile: notes.profile(),
                decoder: Decoder::Usual(Box::new(headers)),
            });
        }
        let decoder = other(data)?;
        let (width, height) = decoder.dimensions().unwrap_or((0, 0));
        // The profile of CMYK is about other samples than those that are made.
        let ink = matches!(decoder.input_colorspace(), Some(ColorSpace::CMYK | ColorSpace::YCCK));
        Ok(Jpeg {
            data,
            width: width as u32,
            height: height as u32,
            exif: decoder.exif().cloned(),
            profile: if ink { None } else { decoder.icc_profile() },
            decoder: Decoder::Other(Box::new(decoder)),
        })
    }

    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub fn exif(&mut self) -> Option<Vec<u8>> {
        self.exif.take()
    }

    /// The ICC profile of gray and RGB files.
    pub fn profile(&mut self) -> Option<Vec<u8>> {
        self.profile.take()
    }

    /// Decodes to gray or RGB, where the file is baseline at 1/`reduction` of the size, rounded up.
    pub fn decode(self, reduction: u32) -> Result<Raw, Failure> {
        let decoder = match self.decoder {
            Decoder::Usual(headers) => {
                let by = reduction as usize;
                if let Some(samples) = scan::decode(&headers, by, |planes| upsample::interleave(&headers, planes, by)) {
                    let (channels, samples) = (headers.components.len(), Samples::U8(samples));
                    let (width, height) = (self.width.div_ceil(reduction), self.height.div_ceil(reduction));
                    return Ok(Raw { width, height, channels, samples });
                }
                Box::new(other(self.data)?)
            }
            Decoder::Other(decoder) => decoder,
        };
        let (width, height) = decoder.dimensions().unwrap_or((0, 0));
        if (width as u32, height as u32) != (self.width, self.height) {
            let message = format!("jpeg: {width}x{height} in one frame, {}x{} in another", self.width, self.height);
            return Err(Failure::new(FailureKind::Corrupt, message));
        }
        decode_other(self.data, *decoder)
    }
}

fn other(data: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, Failure> {
    // The size is checked by the caller, before pixels are made.
    let options = DecoderOptions::default().set_max_width(65535).set_max_height(65535).set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(|e| failure(data, &e))?;
    Ok(decoder)
}

fn decode_other(data: &[u8], mut decoder: JpegDecoder<ZCursor<&[u8]>>) -> Result<Raw, Failure> {
    let (space, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => (ColorSpace::CMYK, 4),
        _ => (ColorSpace::RGB, 3),
    };
    let options = DecoderOptions::default()
        .set_max_width(65535)
        .set_max_height(65535)
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(space);
    decoder.set_options(options);
    let samples = decoder.decode().map_err(|e| failure(data, &e))?;
    let (width, height) = decoder.dimensions().unwrap_or((0, 0));
    let (channels, samples) = match channels {
        4 => (3, samples.chunks_exact(4).flat_map(|p| ink_to_light([p[0], p[1], p[2], p[3]])).collect()),
        n => (n, samples),
    };
    Ok(Raw { width: width as u32, height: height as u32, channels, samples: Samples::U8(samples) })
}

/// CMYK as Adobe's programs store it, inverted, to RGB: every ink takes away from the light that the black lets
/// through. Profiles are not used.
fn ink_to_light([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| ((u32::from(ink) * u32::from(k) + 127) / 255) as u8)
}

fn failure(data: &[u8], error: &impl std::fmt::Display) -> Failure {
    Failure::new(failure_kind(data), format!("jpeg: {error}"))
}

/// A file without the marker that ends it broke off; one that has it contradicts itself.
fn failure_kind(data: &[u8]) -> FailureKind {
    let ends = data.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
    if ends { FailureKind::Corrupt } else { FailureKind::Truncated }
}
