//! Pictures as people keep them (JPEG, PNG, WebP, GIF, BMP, TIFF, PGF) to PGF, ready for training: decoded, turned
//! upright, brought to a size and encoded, a batch in one call.
//!
//! What happens to a picture, in this order, and where it is written down:
//!
//! 1. [`Format`] is told by the first bytes, never by a name (`format.rs`).
//! 2. It is decoded, a JPEG at reduced size where the target is that much smaller (`decode.rs`, `jpeg`).
//! 3. [`Select`] drops pictures that are too small, too large or too narrow (`geometry.rs`).
//! 4. Samples become gray, RGB or RGBA, of 8 bits unless 16 are asked for; ICC profiles are applied (`colour.rs`).
//! 5. It is resized ([`Resize`], `geometry.rs`, `pixels.rs`) and turned upright by its Exif orientation.
//! 6. [`Output`] says what it is encoded to (`output.rs`).
//!
//! Every row of a batch ends as a [`Converted`] or a [`Failure`] of its own.

#![deny(unsafe_code)]

mod batch;
mod colour;
mod decode;
mod error;
mod format;
mod geometry;
mod jpeg;
mod output;
mod pixels;

pub use batch::{Converted, Input, Options, Prepared, convert, convert_batch, prepare};
pub use colour::{Alpha, Channels, Colour, Icc};
pub use error::{Failure, FailureKind};
pub use format::Format;
pub use geometry::{Resize, Rule, Select};
pub use output::Output;
pub use pixels::Filter;
