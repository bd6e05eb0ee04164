//! A plane of the packed payload, bit by bit.

use std::sync::Arc;

use super::{Chains, Frame, Mask, Room};
use crate::block::Part;
use crate::check::Check;
use crate::packed::PASSES;
use crate::runs::{HIGHEST, RULES, width_of};
use crate::segment::{Address, check_of};
use crate::tile::is_active;
use crate::tile::{Rows, Tiles};

/// The passes of a plane in order: class 2, refinement, class 1, class 0; then the plane has ended.
const REFINEMENT: u8 = 1;
const END: u8 = 4;

/// The rule of a pass that is not refinement.
fn class_of(pass: u8) -> usize {
    PASSES[usize::from(pass.saturating_sub(u8::from(pass > REFINEMENT)))]
}

/// What of a code has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    /// So many bits of the run.
    Run(u32),
    Sign,
}

/// The place in a plane.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    pass: u8,
    phase: Phase,
    /// The run-length state in quarters of a bit.
    k: i32,
    run: u32,
    at: u32,
    /// Coefficients that became significant in this plane.
    hits: u32,
}

/// What one bit did.
enum Step {
    Fine,
    /// This coefficient of the pass becomes significant.
    Hit(u32),
    Wrong,
}

/// Lengths of the passes.
type Lengths = [u32; 4];

impl Cursor {
    fn new(lengths: &Lengths) -> Cursor {
        let mut cursor = Cursor { pass: 0, phase: Phase::Start, k: 0, run: 0, at: 0, hits: 0 };
        cursor.k = RULES[class_of(0)].start;
        cursor.settle(lengths);
        cursor
    }

    /// Moves on behind passes that are done.
    fn settle(&mut self, lengths: &Lengths) {
        while self.pass < END && self.at >= lengths[usize::from(self.pass)] {
            self.pass += 1;
            self.at = 0;
            if self.pass < END {
                self.k = RULES[class_of(self.pass)].start;
            }
        }
    }

    /// The reach of the next code.
    fn reach(&self, lengths: &Lengths) -> u32 {
        (1u32 << (self.k >> 2)).min(lengths[usize::from(self.pass)] - self.at)
    }

    fn step(&mut self, bit: bool, lengths: &Lengths) -> Step {
        if self.pass == REFINEMENT {
            self.at += 1;
            self.settle(lengths);
            return Step::Fine;
        }
        let rule = &RULES[class_of(self.pass)];
        let reach = self.reach(lengths);
        match self.phase {
            Phase::Start if !bit => {
                self.at += reach;
                self.k = (self.k + rule.up).min(HIGHEST);
                self.settle(lengths);
            }
            Phase::Start => {
                self.run = 0;
                self.phase = if reach == 1 { Phase::Sign } else { Phase::Run(0) };
            }
            Phase::Run(got) => {
                self.run |= u32::from(bit) << got;
                if got + 1 < width_of(reach as usize) {
                    self.phase = Phase::Run(got + 1);
                } else if self.run < reach {
                    self.phase = Phase::Sign;
                } else {
                    return Step::Wrong;
                }
            }
            Phase::Sign => {
                let hit = self.at + self.run;
                self.at = hit + 1;
                self.hits += 1;
                self.phase = Phase::Start;
                self.k = (self.k - rule.down).max(0);
                self.settle(lengths);
                return Step::Hit(hit);
            }
        }
        Step::Fine
    }

    /// Whether surely any `bits` bits may follow, and none of them ends the pass.
    fn takes_any(&self, bits: u32, lengths: &Lengths) -> bool {
        let left = lengths[usize::from(self.pass)] - self.at;
        if self.pass == REFINEMENT {
            return left >= bits;
        }
        let rule = &RULES[class_of(self.pass)];
        let reach = self.reach(lengths);
        // Behind a code the pass has at least so many coefficients left.
        let behind = |bits: u32| surely(left - reach, (self.k - rule.down).max(0), bits, rule.up);
        match self.phase {
            Phase::Start => surely(left, self.k, bits, rule.up),
            Phase::Run(got) => {
                let rest = width_of(reach as usize) - got;
                bits < rest || reach.is_power_of_two() && (bits <= rest + 1 || behind(bits - rest - 1))
            }
            Phase::Sign => bits <= 1 || behind(bits - 1),
        }
    }
}

/// Whether any `bits` bits are possible from the start of a code on, with so many coefficients left: codes with a hit go
/// less far than zeros do, so it suffices to follow the zeros.
fn surely(mut left: u32, mut k: i32, mut bits: u32, up: i32) -> bool {
    while bits > 1 {
        let reach = 1 << (k >> 2);
        if left <= reach {
            return false;
        }
        left -= reach;
        k = (k + up).min(HIGHEST);
        bits -= 1;
    }
    bits == 0 || left > 0
}

/// What a plane starts from.
#[derive(Debug)]
struct Plan {
    /// By part: the significant coefficients before the plane, and the classes of the others.
    before: Vec<Rows>,
    classes: Vec<[Rows; 3]>,
    lengths: Lengths,
}

impl Plan {
    fn new(parts: &[Part], before: Vec<Rows>, plane: usize) -> Plan {
        let mut tiles = Tiles::default();
        tiles.start(parts.len());
        for (tile, rows) in tiles.tiles.iter_mut().zip(&before) {
            tile.significant[1..33].copy_from_slice(rows);
        }
        let mut room = Vec::new();
        let (_, found) = tiles.classes(parts, plane, &mut room);
        let mut lengths = [0; 4];
        let mut classes = Vec::with_capacity(parts.len());
        for ((part, rows), found) in parts.iter().zip(&before).zip(found) {
            if !is_active(part, plane) {
                classes.push([[0; 32]; 3]);
                continue;
            }
            let count = |rows: &Rows| rows.iter().map(|r| r.count_ones()).sum::<u32>();
            for (pass, length) in lengths.iter_mut().enumerate() {
                *length += match pass as u8 {
                    REFINEMENT => count(rows),
                    pass => found.lengths[class_of(pass)],
                };
            }
            classes.push(std::array::from_fn(|c| if found.lengths[c] > 0 { found.rows[c] } else { [0; 32] }));
        }
        Plan { before, classes, lengths }
    }

    /// The significant coefficients behind the plane. Hits are pass and place, ascending.
    fn after(&self, hits: &[(u8, u32)]) -> Vec<Rows> {
        let mut out = self.before.clone();
        let mut hits = hits.iter().peekable();
        for pass in [0, 2, 3] {
            let mut from = 0;
            for (rows, classes) in out.iter_mut().zip(&self.classes) {
                for (row, class) in rows.iter_mut().zip(&classes[class_of(pass)]) {
                    let end = from + class.count_ones();
                    while let Some((_, at)) = hits.next_if(|(p, at)| *p == pass && *at < end) {
                        *row |= nth_one(*class, at - from);
                    }
                    from = end;
                }
            }
        }
        out
    }
}

/// The `n`-th one of a word, alone.
fn nth_one(mut word: u32, n: u32) -> u32 {
    for _ in 0..n {
        word &= word - 1;
    }
    word & word.wrapping_neg()
}

/// Where in the planes of a segment the next byte stands.
#[derive(Debug, Clone)]
pub(super) struct PackedPlane {
    /// The plane that is read, and how many are left with it.
    plane: u8,
    planes: u8,
    plan: Arc<Plan>,
    cursor: Cursor,
    hits: Vec<(u8, u32)>,
    parts: Arc<[Part]>,
    /// The check behind the bytes before.
    check: Check,
    /// Whether the last byte was there.
    sealed: bool,
}

/// The low bits of bytes that may come next.
#[derive(Debug, Clone, Copy, Default)]
struct Path {
    bits: u8,
    /// Bits that may have either value: signs and refinement, which change nothing but the check.
    free: u8,
    /// The first bit that belongs to the present plane.
    since: u32,
}

impl Path {
    /// All that the free bits may make of the path.
    fn each(self, mut visit: impl FnMut(u8)) {
        let mut chosen = 0u8;
        loop {
            visit(self.bits | chosen);
            chosen = chosen.wrapping_sub(self.free) & self.free;
            if chosen == 0 {
                return;
            }
        }
    }

    /// All bytes that begin so.
    fn every(self, depth: u32) -> Mask {
        let mut mask = Mask::every(self.bits, depth);
        (0..8).filter(|bit| self.free >> bit & 1 == 1).for_each(|bit| mask.spread(bit));
        mask
    }
}

/// The low `count` bits of a byte.
fn low(byte: u8, count: u32) -> u8 {
    byte & ((1u32 << count) - 1) as u8
}

impl PackedPlane {
    pub fn new(
        frame: &Frame,
        chains: &Chains,
        (block, plane, planes): (usize, u8, u8),
        address: &Address,
    ) -> PackedPlane {
        let parts = frame.geometry.parts_of(block);
        let before = chains.rows[block].as_ref().map_or_else(|| vec![[0; 32]; parts.len()], |rows| rows.to_vec());
        let plan = Plan::new(parts, before, plane.into());
        let cursor = Cursor::new(&plan.lengths);
        let plan = Arc::new(plan);
        let check = check_of(&frame.picture, &frame.geometry, address);
        let (hits, parts) = (Vec::new(), parts.into());
        let mut out = PackedPlane { plane, planes, plan, cursor, hits, parts, check, sealed: false };
        out.turn();
        out
    }

    /// By part, the significant coefficients before the present plane; behind the last plane, those of all.
    pub fn significant(&self) -> &[Rows] {
        &self.plan.before
    }

    pub fn is_whole(&self) -> bool {
        self.sealed
    }

    pub fn room(&self) -> Room {
        if self.planes == 0 {
            return Room::default();
        }
        let (lengths, pass) = (&self.plan.lengths, self.cursor.pass);
        let left = lengths[usize::from(pass)] - self.cursor.at;
        let (coefficients, refinement) = match pass {
            0 => (left, lengths[1]),
            REFINEMENT => (0, left),
            _ => (left, 0),
        };
        Room { planes: self.planes, coefficients, refinement }
    }

    /// Goes on to the next plane where one has ended.
    fn turn(&mut self) {
        while self.planes > 0 && self.cursor.pass == END {
            let after = self.plan.after(&self.hits);
            self.hits.clear();
            self.planes -= 1;
            self.plane = self.plane.saturating_sub(1);
            let plan = if self.planes > 0 {
                Plan::new(&self.parts, after, self.plane.into())
            } else {
                Plan { before: after, classes: Vec::new(), lengths: [0; 4] }
            };
            self.cursor = Cursor::new(&plan.lengths);
            self.plan = Arc::new(plan);
        }
    }

    /// Takes one bit of a plane; whether it is possible.
    fn step(&mut self, bit: bool) -> bool {
        let pass = self.cursor.pass;
        match self.cursor.step(bit, &self.plan.lengths) {
            Step::Fine => {}
            Step::Hit(at) => self.hits.push((pass, at)),
            Step::Wrong => return false,
        }
        self.turn();
        true
    }

    pub fn take(&mut self, byte: u8) -> bool {
        if self.sealed {
            return false;
        }
        for bit in 0..8 {
            if self.planes == 0 {
                self.sealed = byte == self.check.last_byte(low(byte, bit), bit as usize);
                return self.sealed;
            }
            if !self.step(byte >> bit & 1 == 1) {
                return false;
            }
        }
        self.check = self.check.with(byte);
        true
    }

    pub fn allows(&self, byte: u8) -> bool {
        if self.planes == 0 {
            return !self.sealed && byte == self.check.last_byte(0, 0);
        }
        let mut cursor = self.cursor;
        for at in 0..8 {
            if cursor.pass == END {
                return match self.planes {
                    1 => byte == self.check.last_byte(low(byte, at), at as usize),
                    _ if self.crosses_anyhow(&cursor, 8 - at) => true,
                    _ => self.clone().take(byte),
                };
            }
            if matches!(cursor.step(byte >> at & 1 == 1, &self.plan.lengths), Step::Wrong) {
                return false;
            }
        }
        true
    }

    pub fn allowed(&self) -> Mask {
        let mut mask = Mask::NONE;
        if self.planes == 0 {
            if !self.sealed {
                mask.insert(self.check.last_byte(0, 0));
            }
        } else {
            self.explore(self.cursor, 0, Path::default(), &mut mask);
        }
        mask
    }

    /// Whether behind the end of this plane, at `cursor`, any `bits` bits are possible: the first code of the next plane
    /// that can be wrong ends in its seventh bit, but for those behind the refinement.
    fn crosses_anyhow(&self, cursor: &Cursor, bits: u32) -> bool {
        // What is significant in parts that the next plane leaves out is not refined there.
        let all_go_on = self.parts.iter().all(|part| usize::from(part.lift) != usize::from(self.plane));
        all_go_on && bits <= 6 && self.plan.lengths[usize::from(REFINEMENT)] + cursor.hits >= bits
    }

    /// Adds all bytes with the low `depth` bits of `path`, which led from the state of this to `cursor`.
    fn explore(&self, mut cursor: Cursor, mut depth: u32, path: Path, mask: &mut Mask) {
        let lengths = &self.plan.lengths;
        loop {
            if depth == 8 {
                path.each(|byte| mask.insert(byte));
                return;
            }
            if cursor.pass == END {
                if self.planes == 1 {
                    // The check depends on every bit before it.
                    path.each(|low| mask.insert(self.check.last_byte(low, depth as usize)));
                } else if self.crosses_anyhow(&cursor, 8 - depth) {
                    mask.join(path.every(depth));
                } else {
                    let mut next = self.clone();
                    if (path.since..depth).all(|bit| next.step(path.bits >> bit & 1 == 1)) {
                        let path = Path { since: depth, ..path };
                        match next.planes {
                            // Planes without a coefficient end at once.
                            0 => path.each(|low| mask.insert(self.check.last_byte(low, depth as usize))),
                            _ => next.explore(next.cursor, depth, path, mask),
                        }
                    }
                }
                return;
            }
            if cursor.takes_any(8 - depth, lengths) {
                mask.join(path.every(depth));
                return;
            }
            // Signs and refinement do not change what follows.
            let free = match cursor.phase {
                _ if cursor.pass == REFINEMENT => lengths[usize::from(REFINEMENT)] - cursor.at,
                Phase::Sign => 1,
                _ => 0,
            };
            if free > 0 {
                for _ in 0..free {
                    cursor.step(false, lengths);
                }
                let path = Path { free: path.free | (((1u32 << free) - 1) << depth) as u8, ..path };
                self.explore(cursor, depth + free, path, mask);
                return;
            }
            let mut one = cursor;
            if !matches!(one.step(true, lengths), Step::Wrong) {
                self.explore(one, depth + 1, Path { bits: path.bits | 1 << depth, ..path }, mask);
            }
            if matches!(cursor.step(false, lengths), Step::Wrong) {
                return;
            }
            depth += 1;
        }
    }
}
