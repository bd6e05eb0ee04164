//! The pieces before all detail: header, base, the header again, and what else a file holds.

use crate::base;
use crate::conceal;
use crate::note::Note;
use crate::picture::Picture;
use crate::reader::{Contents, CutChunk};
use crate::segment::{code, stuff, write_number};
use pgf::Palette;
use std::collections::BTreeMap;

/// Palette entries in a piece.
pub(crate) const PALETTE_CHUNK: usize = 16;
/// Pieces of a palette.
pub(crate) const PALETTE_CHUNKS: usize = 256 / PALETTE_CHUNK;
/// Bytes of user data in a piece.
pub(crate) const USER_CHUNK: usize = 64;
/// Digits of the index of a piece of user data.
pub(crate) const USER_DIGITS: usize = 4;

/// What a file carries besides coefficients.
pub(crate) struct Extras<'a> {
    pub note: Note,
    pub palette: Option<&'a Palette>,
    /// Which chunks of the palette to write.
    pub palette_chunks: [bool; PALETTE_CHUNKS],
    /// Chunks of user data.
    pub user: UserChunks<'a>,
}

/// Chunks of user data by number.
pub(crate) type UserChunks<'a> = BTreeMap<usize, &'a [u8]>;

/// User data in chunks. One that is not full says that it is the last.
pub(crate) fn user_chunks(data: &[u8]) -> UserChunks<'_> {
    let last = (!data.is_empty() && data.len().is_multiple_of(USER_CHUNK)).then_some(&[][..]);
    data.chunks(USER_CHUNK).chain(last).enumerate().collect()
}

/// The pieces before all detail: header, base, the header again, and what else the file holds.
pub(crate) fn opening(picture: &Picture, bases: &[Vec<Option<u8>>], extras: &Extras<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(picture, &mut out);
    write_bases(picture, bases, &mut out);
    write_header(picture, &mut out);
    extras.note.write(picture, &mut out);
    write_extras(extras, &mut out);
    out
}

/// The opening of a stream that was read, perhaps without a chunk; base values that are missing in the others are filled in.
pub(crate) fn opening_again(contents: &Contents<'_>, picture: &Picture, without: Option<&CutChunk>) -> Vec<u8> {
    let bases: Vec<Vec<Option<u8>>> = contents
        .bases
        .iter()
        .enumerate()
        .map(|(plane, values)| {
            let (width, height) = base::size(picture, plane);
            let complete = conceal::complete_base(values, width, picture.outlier[usize::from(plane > 0)]);
            let mut known = vec![None; width * height];
            let order: Vec<usize> = base::order(width, height).map(|(x, y)| y * width + x).collect();
            let left_out = without.filter(|chunk| chunk.plane == plane).map(|chunk| chunk.index);
            for (index, chunk) in order.chunks(base::CHUNK).enumerate() {
                if left_out == Some(index) || chunk.iter().all(|i| values[*i].is_none()) {
                    continue;
                }
                for &i in chunk {
                    // Known ones as they are: what is pulled in depends on all that is known.
                    known[i] = values[i].or(Some(complete[i]));
                }
            }
            known
        })
        .collect();
    let palette = contents.palette.as_deref();
    let (palette_chunks, user) = (contents.palette_known, contents.user_chunks());
    opening(picture, &bases, &Extras { note: contents.note, palette, palette_chunks, user })
}

pub(crate) fn write_header(picture: &Picture, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xFF, code::PICTURE]);
    out.extend_from_slice(&picture.to_bytes());
}

/// Chunks of base values; those of which nothing is known are left out.
pub(crate) fn write_bases(picture: &Picture, bases: &[Vec<Option<u8>>], out: &mut Vec<u8>) {
    for (plane, base) in bases.iter().enumerate() {
        let (width, height) = base::size(picture, plane);
        let digits = crate::block::digits_for(base::chunks(width, height));
        let values: Vec<Option<u8>> = base::order(width, height).map(|(x, y)| base[y * width + x]).collect();
        for (index, chunk) in values.chunks(base::CHUNK).enumerate() {
            let Some(chunk) = chunk.iter().copied().collect::<Option<Vec<u8>>>() else { continue };
            out.extend_from_slice(&[0xFF, code::BASE + plane as u8]);
            write_number(index, digits, out);
            out.extend_from_slice(&chunk);
            if !picture.bare {
                out.extend_from_slice(&base::Sums::of((plane, index), &chunk).bytes());
            }
        }
    }
}

/// Palette entries and user data in chunks.
pub(crate) fn write_extras(extras: &Extras<'_>, out: &mut Vec<u8>) {
    if let Some(palette) = extras.palette {
        for (index, entries) in palette.chunks(PALETTE_CHUNK).enumerate().filter(|(i, _)| extras.palette_chunks[*i]) {
            out.extend_from_slice(&[0xFF, code::PALETTE, index as u8]);
            stuff(entries.as_flattened(), out);
        }
    }
    for (index, chunk) in &extras.user {
        out.extend_from_slice(&[0xFF, code::USER]);
        write_number(*index, USER_DIGITS, out);
        stuff(chunk, out);
    }
}
