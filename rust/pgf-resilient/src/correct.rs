//! Damaged segments corrected: the one byte wrong, lost or extra that makes them, and what follows, fit.

use crate::block::Part;
use crate::check::Check;
use crate::coder::{Fit, PlaneDecoder};
use crate::picture::Payload;
use crate::tile::Tiles;

/// Contents longer than this are not corrected: trials grow with the square of the length.
const MOST_BYTES: usize = 96;

/// Segments below that must agree with a correction; with fewer, too many wrong ones pass.
const LEAST_WITNESSES: usize = 2;

/// A segment that must go on from a corrected one.
pub(crate) struct Witness {
    /// The highest plane and the number of planes.
    pub planes: (usize, usize),
    /// The check behind its address.
    pub address: Check,
    pub content: Vec<u8>,
}

/// One segment to be corrected and its surroundings.
pub(crate) struct Damaged<'a> {
    pub payload: Payload,
    pub parts: &'a [Part],
    /// The highest plane and the number of planes.
    pub planes: (usize, usize),
    pub content: &'a [u8],
    /// The check behind its address.
    pub address: Check,
    /// The same with the piece behind it: a false marker may stand between.
    pub joined: &'a [u8],
    /// The segments that follow in the chain.
    pub witnesses: &'a [Witness],
    /// Changes that may be tried.
    pub trials: usize,
}

impl Damaged<'_> {
    /// The content as it was, if one change of a byte explains it. `tiles` are in the state above the segment, before
    /// and after.
    pub fn correct(&self, decoder: &mut PlaneDecoder, tiles: &mut Tiles) -> Option<Vec<u8>> {
        if self.witnesses.len() < LEAST_WITNESSES {
            return None;
        }
        let marks = tiles.mark(self.parts.len());
        let mut best: Option<(usize, u32, Vec<u8>)> = None;
        let mut left = self.trials;
        let mut trial = |best: &mut Option<(usize, u32, Vec<u8>)>, content: &[u8], tiles: &mut Tiles| {
            if left == 0 {
                return;
            }
            left -= 1;
            let (fit, _) = decoder.planes(self.payload, self.parts, tiles, self.planes, (self.address, content));
            if fit == Fit::Exact {
                let mut agreeing = 0;
                for Witness { planes, address, content } in self.witnesses {
                    let (fit, _) = decoder.planes(self.payload, self.parts, tiles, *planes, (*address, content));
                    if fit != Fit::Exact {
                        break;
                    }
                    agreeing += 1;
                }
                if agreeing >= LEAST_WITNESSES {
                    // Wrong beginnings make more coefficients significant.
                    let found = tiles.tiles[..self.parts.len()].iter().flat_map(|t| t.rows());
                    let found = found.map(|r| r.count_ones()).sum::<u32>();
                    if best.as_ref().is_none_or(|b| (agreeing, b.1) > (b.0, found)) {
                        *best = Some((agreeing, found, content.to_vec()));
                    }
                }
            }
            tiles.restore(&marks);
        };
        // The marker is an extra or a wrong FF.
        if self.joined.len() > self.content.len() {
            let at = self.content.len();
            let mut trying = self.joined.to_vec();
            let marker = trying.remove(at);
            trial(&mut best, &trying, tiles);
            trying.insert(at, marker);
            for value in 0..=254 {
                trying[at] = value;
                trial(&mut best, &trying, tiles);
            }
        }
        if best.is_some() || self.content.len() > MOST_BYTES {
            return best.map(|(_, _, content)| content);
        }
        let mut trying = self.content.to_vec();
        // An extra byte.
        for at in 0..self.content.len() {
            let byte = trying.remove(at);
            trial(&mut best, &trying, tiles);
            trying.insert(at, byte);
        }
        // A wrong one.
        for at in 0..self.content.len() {
            for change in 1..=255 {
                trying[at] ^= change;
                trial(&mut best, &trying, tiles);
                trying[at] ^= change;
            }
        }
        // A lost one.
        for at in 0..=self.content.len() {
            for value in 0..=255 {
                trying.insert(at, value);
                trial(&mut best, &trying, tiles);
                trying.remove(at);
            }
        }
        best.map(|(_, _, content)| content)
    }
}
