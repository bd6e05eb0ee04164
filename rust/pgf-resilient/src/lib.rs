//! The resilient stream `.pgfr` over the coefficients of PGF images.
#![forbid(unsafe_code)]

mod base;
mod block;
mod chain;
mod check;
mod coder;
mod conceal;
mod correct;
mod decode;
mod edit;
mod grammar;
mod index;
mod merge;
mod note;
mod opening;
mod order;
mod packed;
mod picture;
mod pyramid;
mod reader;
mod runs;
mod segment;
mod stream;
mod threads;
mod tile;
mod tokens;
mod wanted;
mod writer;

pub use chain::Fate;
#[doc(hidden)]
pub use chain::limit_trials;
pub use edit::{refine, remove};
pub use grammar::{Grammar, Mask, Next, Position, Positions, Room, Rules, Spot};
pub use index::{StreamMap, add_index};
pub use merge::merge;
pub use picture::{Payload, Picture};
pub use reader::Fault;
pub use stream::{
    DecodeOptions, Extras, Kind, Segment, SegmentCount, StreamReport, check, decode, decode_into, encode,
    read_coefficients, read_extras, read_picture, rewrite, segments,
};
pub use wanted::{Suggestion, wanted};
pub use writer::{Order, Profile, StreamOptions, write};
