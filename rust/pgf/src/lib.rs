//! PGF codec (work in progress).
mod bitplane;
mod bits;
mod coefficients;
mod colour;
mod convert;
mod decode;
mod encode;
mod error;
mod header;
mod image;
mod macroblock;
mod planes;
mod progressive;
mod quantize;
mod rate;
mod report;
mod salvage;
mod scan;
mod subsample;
mod wavelet;

pub use coefficients::{Band, Coefficients, Rect};
pub use convert::convert;
pub use decode::{
    DecodeOptions, decode, decode_into, decode_with_report, decoded_size, read_coefficients, read_header, repair,
    synthesise,
};
pub use encode::{EncodeOptions, analyse, encode, levels_for, write_coefficients};
pub use error::{Error, Result};
pub use header::{FileHeader, Header, Limits, MAX_CHANNELS, MAX_LEVELS, MAX_QUALITY, Palette, check, flags};
pub use image::{Image, ImageRef, Mode, SampleType, Samples, SamplesMut, SamplesRef};
pub use progressive::{Progress, ProgressiveDecoder};
pub use rate::encode_max_bytes;
pub use report::{Damage, DamageKind, Report};
