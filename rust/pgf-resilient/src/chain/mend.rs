//! Damaged segments where they stand: one byte of a content corrected by trial, the plane of a beginning by what follows.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::survey::MOST_STEPS;
use super::{BlockReader, Candidates, Fate};
use crate::block::Part;
use crate::coder::Fit;
use crate::correct::{Damaged, Witness};
use crate::picture::Payload;
use crate::reader::Found;
use crate::segment::{Address, MOST_PLANES, check_of, is_possible, unstuff};

/// Trials in the first block that is corrected; half as many in each further one.
// Fuzzing wants many inputs rather than deep searches.
static MOST_TRIALS: AtomicUsize = AtomicUsize::new(if cfg!(fuzzing) { 1 << 9 } else { 1 << 15 });

/// Makes readers try fewer corrections than the 2^15 of the first block, for tests that read many damaged streams.
#[doc(hidden)]
pub fn limit_trials(most: usize) {
    MOST_TRIALS.store(most, Ordering::Relaxed);
}

/// Segments that bear witness to a correction, at most.
const MOST_WITNESSES: usize = 4;

/// Bytes behind a false marker that are taken to belong to the segment before it, at most.
const MOST_JOINED: usize = 128;

impl BlockReader<'_, '_> {
    /// The address of a beginning that does not fit where it says, if a check agrees with another plane or number of
    /// planes: the one nearest to the beginnings of other blocks.
    pub(super) fn readdressed(&mut self, first: &Found, parts: &[Part]) -> Option<Address> {
        let expected =
            self.expected_top(first.address.block).filter(|_| self.contents.picture.payload == Payload::Packed)?;
        let stated = first.address;
        let mut best: Option<(bool, u8, Address)> = None;
        let planes = expected.saturating_sub(MOST_STEPS)..=expected.saturating_add(MOST_STEPS);
        for (count, plane) in (1..=MOST_PLANES[0]).flat_map(|count| planes.clone().map(move |plane| (count, plane))) {
            let address = Address { count, plane, ..stated };
            if address == stated || !is_possible(&self.contents.picture, &self.contents.geometry, &address) {
                continue;
            }
            let (fit, _) = self.content_of(first.content.clone(), parts, address);
            self.tiles.start(parts.len());
            let distance = (count != stated.count, plane.abs_diff(expected));
            if fit == Fit::Exact && best.is_none_or(|b| distance < (b.0, b.1)) {
                best = Some((distance.0, distance.1, address));
            }
        }
        best.map(|b| b.2)
    }

    /// Looks for the one change that makes one of the damaged segments fit, and decodes it so; its number of planes.
    pub(super) fn corrected(
        &mut self,
        candidates: &Candidates,
        damaged: &[usize],
        used: Option<&mut usize>,
    ) -> Option<u8> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        // Each block has its share, so that none depends on which others are decoded.
        let survey = self.survey.get().filter(|s| s.checked && !self.trusting)?;
        let rank = survey.correctable.iter().position(|b| *b == candidates.block)?;
        let trials = MOST_TRIALS.load(Ordering::Relaxed) >> rank;
        let i = *damaged.first().filter(|i| !contents.segments[**i].last)?;
        let segment = &contents.segments[i];
        let address = segment.address;
        let mut witnesses = Vec::new();
        let mut next = address.plane.checked_sub(address.count);
        while let Some(plane) = next.filter(|_| witnesses.len() < MOST_WITNESSES) {
            let at = |i: &usize| &contents.segments[*i];
            let below = candidates.lower.iter().rev().map(at);
            let Some(found) = below.filter(|s| !s.last).find(|s| s.address.plane == plane) else { break };
            let mut content = Vec::new();
            unstuff(&contents.data[found.content.clone()], &mut content);
            let planes = (usize::from(plane), usize::from(found.address.count));
            let address = check_of(&contents.picture, &contents.geometry, &found.address);
            witnesses.push(Witness { planes, address, content });
            next = plane.checked_sub(found.address.count);
        }
        let mut content = Vec::new();
        unstuff(&contents.data[segment.content.clone()], &mut content);
        // With a false marker in it, the segment is this piece and the next.
        let mut joined = Vec::new();
        if let Ok(next) = contents.pieces.binary_search_by_key(&segment.bytes.end, |p| p.start) {
            let end = contents.pieces[next].end;
            if end - segment.bytes.end <= MOST_JOINED {
                unstuff(&contents.data[segment.content.start..end], &mut joined);
            }
        }
        let planes = (usize::from(address.plane), usize::from(address.count));
        let payload = contents.picture.payload;
        let check = check_of(&contents.picture, &contents.geometry, &address);
        let damage = Damaged {
            payload,
            parts,
            planes,
            content: &content,
            address: check,
            joined: &joined,
            witnesses: &witnesses,
            trials,
        };
        let content = damage.correct(&mut self.decoder, &mut self.tiles)?;
        self.decode(&content, parts, address);
        self.fates[i] = Fate::Doubted;
        self.repaired += 1;
        if let Some(used) = used {
            *used = i;
        }
        Some(address.count)
    }

    /// The address of a beginning, its plane corrected if only that makes the rest of the block go on from it.
    ///
    /// `waiting` holds of each plane of the rest the first segment.
    pub(super) fn mended(&mut self, first: &Found, parts: &[Part], waiting: &[usize]) -> Address {
        let address = first.address;
        let planes = || waiting.iter().map(|i| self.contents.segments[*i].address.plane);
        let next = address.plane.checked_sub(address.count);
        let Some(below) = planes().max().filter(|_| !planes().any(|plane| Some(plane) == next)) else {
            return address;
        };
        let other = Address { plane: below.saturating_add(address.count), ..address };
        if !is_possible(&self.contents.picture, &self.contents.geometry, &other) {
            return address;
        }
        // Below either plane there may be a hole of one segment; what is reachable then decides.
        let reachable = |from: u8| {
            let mut next = Some(from);
            let mut sum = 0;
            while let Some(need) = next {
                let at =
                    |plane: u8| waiting.iter().map(|i| self.contents.segments[*i].address).find(|a| a.plane == plane);
                let found = (0..=MOST_PLANES[1]).find_map(|hole| at(need.checked_sub(hole)?));
                sum += usize::from(found.is_some());
                next = found.and_then(|a| a.plane.checked_sub(a.count));
            }
            sum
        };
        if next.is_some_and(|next| reachable(next) >= reachable(below)) {
            return address;
        }
        let exact = |fit| matches!(fit, Fit::Exact | Fit::Excess(_));
        let (fit, _) = self.content_of(first.content.clone(), parts, other);
        // The segment below bears witness.
        let witness = waiting.iter().copied().find(|i| self.contents.segments[*i].address.plane == below);
        let agrees = exact(fit)
            && witness.is_some_and(|i| {
                let witness = &self.contents.segments[i];
                let (fit, _) = self.content_of(witness.content.clone(), parts, witness.address);
                exact(fit)
            });
        self.tiles.start(parts.len());
        if agrees { other } else { address }
    }
}
