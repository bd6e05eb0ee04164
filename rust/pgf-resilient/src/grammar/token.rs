//! A plane of tokens, byte by byte: how many coefficients are left and which of a part become significant.

use super::{Chains, Frame, Mask, Room};
use crate::check::Check;
use crate::segment::{Address, check_of};
use crate::tile::is_active;
use crate::tokens::{BITS_PER_BYTE, LONGEST_RUN, MOST_REST, PAIR_GAPS, PAIR_RUNS, PAIRS, REST, ZEROS};

/// Parts of a block at most: two planes of LL and of three levels.
pub(super) const MOST_PARTS: usize = 20;

/// What the byte before was, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// One coefficient after a short run: with one close behind it would have been a pair.
    Single,
    /// A run that no coefficient ended.
    Zeros,
    Other,
}

/// Where in the planes of a segment the next byte stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenPlane {
    block: usize,
    /// The plane that is read, and how many are left with it.
    plane: u8,
    planes: u8,
    /// The check behind the bytes before.
    check: Check,
    /// Whether the list has ended.
    refining: bool,
    before: Before,
    /// The part that the list is in, and the place in it.
    part: u8,
    at: u16,
    /// Coefficients of the list that are left.
    left: u32,
    /// Refinement bits that are left.
    refine: u32,
    /// By part: insignificant coefficients in the list; significant ones before this plane, and with those found.
    open: [u16; MOST_PARTS],
    significant: [u16; MOST_PARTS],
}

impl TokenPlane {
    pub fn new(frame: &Frame, chains: &Chains, address: &Address) -> TokenPlane {
        let Address { block, plane, count: planes, .. } = *address;
        let mut out = TokenPlane {
            block,
            plane,
            planes,
            check: check_of(&frame.picture, &frame.geometry, address),
            refining: false,
            before: Before::Other,
            part: 0,
            at: 0,
            left: 0,
            refine: 0,
            open: [0; MOST_PARTS],
            significant: [0; MOST_PARTS],
        };
        let range = frame.geometry.blocks[block].parts.clone();
        for (slot, count) in out.significant.iter_mut().zip(&chains.counts[range]) {
            *slot = *count;
        }
        out.begin(frame);
        out
    }

    /// Prepares for the next plane.
    fn begin(&mut self, frame: &Frame) {
        (self.part, self.at, self.left, self.refine) = (0, 0, 0, 0);
        (self.refining, self.before) = (false, Before::Other);
        for (i, part) in frame.geometry.parts_of(self.block).iter().enumerate() {
            self.open[i] = 0;
            if is_active(part, self.plane.into()) {
                self.open[i] = u16::from(part.width) * u16::from(part.height) - self.significant[i];
                self.left += u32::from(self.open[i]);
                self.refine += u32::from(self.significant[i]);
            }
        }
    }

    /// By part, significant coefficients.
    pub fn significant(&self) -> &[u16; MOST_PARTS] {
        &self.significant
    }

    pub fn is_whole(&self) -> bool {
        self.planes == 0
    }

    pub fn block(&self) -> usize {
        self.block
    }

    /// The plane that is read.
    pub fn plane(&self) -> u8 {
        self.plane
    }

    /// How many are left with it.
    pub fn planes(&self) -> u8 {
        self.planes
    }

    /// Whether the list of the plane has ended.
    pub fn is_refining(&self) -> bool {
        self.refining
    }

    /// The next coefficient of the list, if any is left: its part, and how many insignificant ones of the part are
    /// before it.
    pub fn next(&self) -> Option<(usize, u32)> {
        let (mut part, mut at) = (usize::from(self.part), u32::from(self.at));
        // At the beginning of a plane parts without open coefficients are not passed yet.
        while part + 1 < MOST_PARTS && at >= u32::from(self.open[part]) {
            at -= u32::from(self.open[part]);
            part += 1;
        }
        (self.left > 0).then_some((part, at))
    }

    pub fn room(&self) -> Room {
        let coefficients = if self.refining || self.planes == 0 { 0 } else { self.left };
        Room { planes: self.planes, coefficients, refinement: if self.planes == 0 { 0 } else { self.refine } }
    }

    pub fn allowed(&self) -> Mask {
        if self.planes == 0 {
            return Mask::NONE;
        }
        if self.refining {
            return Mask::below(1 << self.refine.min(BITS_PER_BYTE));
        }
        // Where a pair is possible it must be used.
        let shortest = if self.before == Before::Single { PAIR_GAPS as u32 } else { 0 };
        let longest = self.left.min(LONGEST_RUN as u32);
        let mut mask = Mask::range(2 * shortest as u16, 2 * longest as u16);
        for run in shortest..PAIR_RUNS as u32 {
            let gaps = self.left.saturating_sub(run + 1).min(PAIR_GAPS as u32);
            let from = u16::from(PAIRS) + 4 * PAIR_GAPS as u16 * run as u16;
            mask.join(Mask::range(from, from + 4 * gaps as u16));
        }
        if self.left > LONGEST_RUN as u32 {
            mask.insert(ZEROS);
        }
        if self.before != Before::Zeros {
            mask.insert(self.check.rest());
        }
        mask
    }

    pub fn take(&mut self, byte: u8, frame: &Frame) -> bool {
        if !self.allowed().contains(byte) {
            return false;
        }
        if self.refining {
            self.refine -= self.refine.min(BITS_PER_BYTE);
        } else {
            match byte {
                REST..=MOST_REST => self.refining = true,
                ZEROS => {
                    self.skip(LONGEST_RUN as u32);
                    self.before = Before::Zeros;
                }
                PAIRS..ZEROS => {
                    let runs = u32::from(byte - PAIRS) / 4;
                    self.hit(runs / PAIR_GAPS as u32);
                    self.hit(runs % PAIR_GAPS as u32);
                    self.before = Before::Other;
                }
                _ => {
                    self.hit(u32::from(byte) / 2);
                    let short = usize::from(byte) / 2 < PAIR_RUNS;
                    self.before = if short { Before::Single } else { Before::Other };
                }
            }
        }
        self.check = self.check.with(byte);
        if self.refining && self.refine == 0 {
            self.planes -= 1;
            if self.planes > 0 {
                self.plane -= 1;
                self.begin(frame);
            }
        }
        true
    }

    /// Goes on by so many coefficients.
    pub fn skip(&mut self, zeros: u32) {
        self.left -= zeros;
        let mut at = u32::from(self.at) + zeros;
        while usize::from(self.part) + 1 < MOST_PARTS && at >= u32::from(self.open[usize::from(self.part)]) {
            at -= u32::from(self.open[usize::from(self.part)]);
            self.part += 1;
        }
        self.at = at as u16;
    }

    /// A coefficient after so many zeros.
    fn hit(&mut self, zeros: u32) {
        self.skip(zeros);
        self.significant[usize::from(self.part)] += 1;
        self.skip(1);
    }
}
