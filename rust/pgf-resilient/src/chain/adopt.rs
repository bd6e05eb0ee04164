//! Segments that are missing where they belong, looked for among bytes without a sure address.

use std::ops::Range;

use super::{BlockReader, Candidates};
use crate::coder::Fit;
use crate::segment::{Address, MOST_PLANES, is_possible};

/// Suspects that are tried at most for a missing segment.
const MOST_SUSPECTS: usize = 24;

impl BlockReader<'_, '_> {
    fn take_in(&mut self, range: &Range<usize>) {
        self.repaired += 1;
        self.adopted.push(range.clone());
    }

    /// What may hold a missing segment of a block: the first suspects, and those that say an address in the block.
    #[allow(clippy::type_complexity)]
    fn suspects(&self, block: usize) -> (Vec<Range<usize>>, Vec<(Range<usize>, Address, usize)>) {
        let Some(survey) = self.survey.get() else { return Default::default() };
        let first = survey.suspects.iter().take(MOST_SUSPECTS).cloned().collect();
        (first, survey.addressed.get(&block).cloned().unwrap_or_default())
    }

    /// Looks among the suspects for the segment of a block that begins with plane `need`; its number of planes.
    pub(super) fn adopt(&mut self, candidates: &Candidates, need: u8) -> Option<u8> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let (suspects, addressed) = self.suspects(candidates.block);
        for (range, a, length) in addressed {
            // A whole address that fits needs no further witness.
            if a.plane == need && !a.first {
                let (fit, _) = self.content_of(range.start + length..range.end, parts, a);
                if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                    self.take_in(&range);
                    return Some(a.count);
                }
                self.rollback(parts, need.into());
            }
        }
        // Only where something waits below: there a guess can be checked.
        for &witness in &candidates.lower {
            let plane = contents.segments[witness].address.plane;
            if plane >= need || need - plane > MOST_PLANES[1] {
                continue;
            }
            let address = Address { block: candidates.block, plane: need, count: need - plane, first: false };
            for range in &suspects {
                for skip in 1..=(1 + contents.geometry.digits).min(range.len().saturating_sub(1)) {
                    let (fit, _) = self.content_of(range.start + skip..range.end, parts, address);
                    if fit == Fit::Exact {
                        let next = &contents.segments[witness];
                        let (fit, _) = self.content_of(next.content.clone(), parts, next.address);
                        self.rollback(parts, plane.into());
                        if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                            self.take_in(range);
                            return Some(address.count);
                        }
                    }
                    self.rollback(parts, need.into());
                }
            }
        }
        None
    }

    /// Looks among the suspects for the first segment of a block; one more than its highest plane, and its lowest.
    pub(super) fn adopt_first(&mut self, candidates: &Candidates) -> Option<(usize, usize)> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let (suspects, addressed) = self.suspects(candidates.block);
        let bounds = |a: Address| (usize::from(a.plane) + 1, usize::from(a.plane) + 1 - usize::from(a.count));
        for (range, a, length) in addressed {
            if a.first {
                let (fit, _) = self.content_of(range.start + length..range.end, parts, a);
                if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                    self.take_in(&range);
                    return Some(bounds(a));
                }
                self.tiles.start(parts.len());
            }
        }
        let below = |i: &usize| contents.segments[*i].address.plane;
        let witness = &contents.segments[*candidates.lower.iter().max_by_key(|i| below(i))?];
        let below = witness.address.plane;
        for range in &suspects {
            for count in 1..=MOST_PLANES[0] {
                let a = Address { block: candidates.block, plane: below.saturating_add(count), count, first: true };
                if !is_possible(&contents.picture, &contents.geometry, &a) {
                    continue;
                }
                for skip in 1..=(1 + contents.geometry.digits).min(range.len().saturating_sub(1)) {
                    let (fit, _) = self.content_of(range.start + skip..range.end, parts, a);
                    if fit == Fit::Exact {
                        let (fit, _) = self.content_of(witness.content.clone(), parts, witness.address);
                        if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                            self.rollback(parts, below.into());
                            self.take_in(range);
                            return Some(bounds(a));
                        }
                    }
                    self.tiles.start(parts.len());
                }
            }
        }
        None
    }
}
