//! The base: one byte for every coefficient of the coarsest band, in chunks that each see all of the picture.

use crate::block::halved;
use crate::picture::Picture;

/// Values in a chunk.
pub(crate) const CHUNK: usize = 16;

/// The largest base byte; FF stays free.
const LARGEST: i32 = 254;

/// What stands for zero.
const ZERO: i32 = 128;

/// The byte of a value.
pub(crate) fn to_byte(value: i32, shift: u8) -> u8 {
    ((value >> shift).saturating_add(ZERO)).clamp(0, LARGEST) as u8
}

/// The middle of what a byte stands for.
pub(crate) fn from_byte(byte: u8, shift: u8) -> i32 {
    let half = if shift > 0 { 1i32 << (shift - 1) } else { 0 };
    ((i32::from(byte) - ZERO) << shift).wrapping_add(half)
}

/// The smallest shift that loses no value of a plane to clamping.
pub(crate) fn shift_for(values: impl Iterator<Item = i32>, most: u8) -> u8 {
    let (mut low, mut high) = (0, 0);
    for v in values {
        low = low.min(v);
        high = high.max(v);
    }
    (0..most).find(|s| low >> s >= -ZERO && high >> s <= LARGEST - ZERO).unwrap_or(most)
}

/// Size of the base of a plane.
pub(crate) fn size(picture: &Picture, plane: usize) -> (usize, usize) {
    let (w, h) = picture.header.plane_size(plane);
    let levels = picture.levels();
    (halved(w, levels), halved(h, levels))
}

/// Positions in the order of the stream: the four phases of a two by two grid, each row by row, so that every chunk
/// has neighbours in others.
pub(crate) fn order(width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    [(0, 0), (1, 1), (1, 0), (0, 1)].into_iter().flat_map(move |(dx, dy)| {
        (dy..height).step_by(2).flat_map(move |y| (dx..width).step_by(2).map(move |x| (x, y)))
    })
}

/// Chunks of a plane.
pub(crate) fn chunks(width: usize, height: usize) -> usize {
    (width * height).div_ceil(CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_nearest_they_can_be() {
        for shift in 0..8 {
            for value in -300..300 {
                let back = from_byte(to_byte(value, shift), shift);
                if (-128 << shift..127 << shift).contains(&value) {
                    assert!((back - value).abs() <= 1 << shift >> 1, "{value} {back}");
                }
            }
            assert_eq!(shift_for([-(128 << shift), (127 << shift) - 1].into_iter(), 20), shift);
        }
    }

    #[test]
    fn every_position_comes_once() {
        for (w, h) in [(1, 1), (5, 8), (7, 1), (16, 9)] {
            let mut all: Vec<_> = order(w, h).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), w * h);
        }
    }
}
