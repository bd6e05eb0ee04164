//! Reader and writer of PGF (Progressive Graphics File) images: a reversible 5/3 wavelet, bit planes, no entropy model.
//!
//! Slices in, vectors out: no I/O, no threads unless asked for and then for one call, nothing allocated from an unchecked number.
//!
//! # From open to a partial decode
//!
//! The header is enough to know a picture; [`encode`] and [`decode`] are the whole codec for most users.
//!
//! ```
//! use pgf::{DecodeOptions, EncodeOptions, ImageRef, Mode, Rect, SamplesRef, decode, encode, read_header};
//!
//! let pixels: Vec<u8> = (0..64 * 48 * 3).map(|i| (i % 251) as u8).collect();
//! let image = ImageRef { width: 64, height: 48, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(&pixels) };
//! let file = encode(&image, &EncodeOptions { roi: true, ..EncodeOptions::default() })?;
//!
//! let header = read_header(&file)?.header;
//! assert_eq!((header.width, header.height), (64, 48));
//! // Half the size reads only what half the size needs, a region only its tiles.
//! let half = decode(&file, &DecodeOptions { level: 1, ..DecodeOptions::default() })?;
//! assert_eq!((half.width, half.height), (32, 24));
//! let region = Some(Rect { left: 10, top: 5, right: 30, bottom: 20 });
//! let part = decode(&file, &DecodeOptions { region, ..DecodeOptions::default() })?;
//! assert_eq!((part.width, part.height), (20, 15));
//! // A file cut anywhere behind its header still decodes.
//! let cut = decode(&file[..file.len() / 2], &DecodeOptions::default())?;
//! assert_eq!((cut.width, cut.height), (64, 48));
//! # Ok::<(), pgf::Error>(())
//! ```
//!
//! # The way of the data
//!
//! [`analyse`] takes pixels to [`Coefficients`] (colour, subsampling, wavelet, quantization), [`write_coefficients`]
//! takes those to a file (scan, bit planes, macroblocks); [`read_coefficients`] and [`synthesise`] go back.
//! [`repair`] is a read of whatever is there and a write. [`decode_with_report`] says what was missing or damaged,
//! [`ProgressiveDecoder`] takes a file piece by piece, [`encode_max_bytes`] meets a byte count.

mod bands;
mod bitplane;
#[doc(hidden)]
pub mod bits;
mod bytemap;
mod coefficients;
mod colour;
mod convert;
mod cpu;
mod decode;
mod encode;
mod error;
mod header;
mod image;
mod macroblock;
mod plane_wise;
mod planes;
mod progressive;
mod quantize;
mod rate;
mod report;
#[doc(hidden)]
pub mod rows;
mod salvage;
mod scan;
#[doc(hidden)]
pub mod stages;
mod subsample;
mod threads;
mod wavelet;

pub use bands::{BandPatch, BandPatchMut, BandRows, BandRowsMut, Lifted, RowMut, Synthesis, Window, Windows};
pub use bytemap::ByteMap;
pub use coefficients::{Band, Coefficients, Rect};
pub use convert::convert;
#[doc(hidden)]
pub use cpu::use_baseline_only;
pub use decode::{
    DecodeOptions, decode, decode_into, decode_with_report, decoded_size, read_coefficients, read_header, repair,
    synthesise,
};
pub use encode::{EncodeOptions, analyse, encode, levels_for, write_coefficients};
pub use error::{Error, Result};
pub use header::{
    FileHeader, Header, Limits, MAX_CHANNELS, MAX_LEVELS, MAX_QUALITY, Palette, WRITER_VERSION, check, flags,
};
pub use image::{Image, ImageRef, Mode, SampleType, Samples, SamplesMut, SamplesRef};
pub use progressive::{Progress, ProgressiveDecoder};
pub use rate::encode_max_bytes;
pub use report::{Damage, DamageKind, Report};
