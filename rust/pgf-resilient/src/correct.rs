//! Damaged segments corrected: the one byte wrong, lost or extra that makes them, and what follows, fit.

use crate::block::Part;
use crate::check::Check;
use crate::coder::{Fit, PlaneDecoder};
use crate::picture::Payload;
use crate::tile::{Classes, Mark, Tiles, is_active};

/// Contents longer than this are not corrected: trials grow with the square of the length.
const MOST_BYTES: usize = 96;

/// Longer ones are not tried with the piece behind them either; no block of those that are corrected takes as many.
const MOST_JOINED: usize = 1 << 14;

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
        let mut best: Option<(usize, f64, Vec<u8>)> = None;
        let mut room = Vec::new();
        let mut left = self.trials;
        let mut trial = |best: &mut Option<(usize, f64, Vec<u8>)>, content: &[u8], tiles: &mut Tiles| {
            if left == 0 {
                return;
            }
            // Checks of tokens are told without reading them.
            if self.payload == Payload::Tokens && self.address.first_contradiction(content).is_some() {
                return;
            }
            left -= 1;
            let (fit, _) = decoder.planes(self.payload, self.parts, tiles, self.planes, (self.address, content));
            if fit == Fit::Exact {
                let mut agreeing = 0;
                let mut low = self.planes.0 + 1 - self.planes.1;
                for Witness { planes, address, content } in self.witnesses {
                    let (fit, _) = decoder.planes(self.payload, self.parts, tiles, *planes, (*address, content));
                    if fit != Fit::Exact {
                        break;
                    }
                    agreeing += 1;
                    low = planes.0 + 1 - planes.1;
                }
                if agreeing >= LEAST_WITNESSES {
                    let cost = match self.payload {
                        // All that fit take the same bits. Wrong beginnings make more coefficients significant.
                        Payload::Packed => f64::from(ones(self.parts, tiles)),
                        Payload::Tokens => bits(self.parts, tiles, &marks, (self.planes.0, low), &mut room),
                    };
                    if best.as_ref().is_none_or(|b| agreeing > b.0 || agreeing == b.0 && cost < b.1) {
                        *best = Some((agreeing, cost, content.to_vec()));
                    }
                }
            }
            tiles.restore(&marks);
        };
        // The marker is an extra or a wrong FF.
        if (self.content.len() + 1..=MOST_JOINED).contains(&self.joined.len()) {
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
        let end = self.suspect();
        // An extra byte.
        for at in 0..end {
            let byte = trying.remove(at);
            trial(&mut best, &trying, tiles);
            trying.insert(at, byte);
        }
        // A wrong one.
        for at in 0..end {
            for change in 1..=255 {
                trying[at] ^= change;
                trial(&mut best, &trying, tiles);
                trying[at] ^= change;
            }
        }
        // A lost one.
        for at in 0..=end {
            for value in 0..=255 {
                trying.insert(at, value);
                trial(&mut best, &trying, tiles);
                trying.remove(at);
            }
        }
        best.map(|(_, _, content)| content)
    }

    /// Behind the last byte that can be wrong: in tokens the first list that its check contradicts is the last.
    fn suspect(&self) -> usize {
        let contradiction = match self.payload {
            Payload::Packed => None,
            Payload::Tokens => self.address.first_contradiction(self.content),
        };
        contradiction.map_or(self.content.len(), |lists| lists.end + 1)
    }
}

/// How many coefficients are significant.
fn ones(parts: &[Part], tiles: &Tiles) -> u32 {
    tiles.tiles[..parts.len()].iter().flat_map(|tile| tile.rows()).map(|row| row.count_ones()).sum()
}

/// Bits that planes `from` to `to` would take if each class of coefficients had a code of its own: where coefficients are
/// misplaced, those of the planes below do not gather around them. `above` is the state above plane `from`.
fn bits(parts: &[Part], tiles: &mut Tiles, above: &[Mark], (from, to): (usize, usize), room: &mut Vec<Classes>) -> f64 {
    for (tile, mark) in tiles.tiles.iter_mut().zip(above) {
        tile.significant = mark.significant;
    }
    let mut sum = 0.0;
    for p in (to..=from).rev() {
        let (mut all, mut ones) = ([0; 3], [0; 3]);
        let (tiles, classes) = tiles.classes(parts, p, room);
        for ((part, tile), classes) in
            parts.iter().zip(&mut *tiles).zip(classes).filter(|((part, _), _)| is_active(part, p))
        {
            let n = p - usize::from(part.lift);
            for class in (0..3).filter(|class| n < tile.top && classes.lengths[*class] > 0) {
                let hits =
                    tile.planes[n].iter().zip(&classes.rows[class]).map(|(plane, rows)| (plane & rows).count_ones());
                ones[class] += hits.sum::<u32>();
            }
            for (sum, count) in all.iter_mut().zip(classes.lengths) {
                *sum += count;
            }
            tile.absorb(n);
        }
        for (all, ones) in all.into_iter().zip(ones) {
            // Never quite sure, so that no class is free; a sign each.
            let (all, ones) = (f64::from(all) + 1.0, f64::from(ones) + 0.5);
            sum += ones - ones * (ones / all).log2() - (all - ones) * (1.0 - ones / all).log2();
        }
    }
    sum
}
