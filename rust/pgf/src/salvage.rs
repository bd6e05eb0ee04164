//! placeholder
use crate::error::Result;
use crate::header::FileHeader;
use crate::macroblock::{Place, follow};
use crate::report::Damage;
use crate::scan::Block;
pub(crate) struct Mended { pub places: Vec<Place>, pub damage: Vec<Damage>, pub repaired: Vec<bool>, pub truncated: bool, pub end: usize }
pub(crate) fn parse_header(data: &[u8]) -> Result<(FileHeader, Vec<Damage>)> { FileHeader::parse(data).map(|f| (f, Vec::new())) }
pub(crate) fn locate(data: &[u8], file: &FileHeader, blocks: &[Block]) -> Mended {
    let c = follow(data, file.data_offset, blocks, file.roi());
    let n = blocks.len();
    Mended { places: c.places, damage: vec![], repaired: vec![false; n], truncated: c.cut, end: c.end }
}
