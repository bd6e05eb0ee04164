//! A plane of the packed payload, bit by bit.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Chains, Frame, Mask, Room};
use crate::block::Part;
use crate::check::Check;
use crate::packed::{HIGHEST, PASSES, RULES, width_of};
use crate::segment::{Address, check_of};
use crate::tile::{Rows, Tiles};
use crate::tokens::is_active;

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
        let (_, found) = tiles.classes(parts, plane);
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
                    pass => count(&found.0[class_of(pass)]),
                };
            }
            classes.push(found.0);
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

/// Plans that several continuations of one state share.
#[derive(Default)]
struct Shared {
    /// Plane, pass and place of what became significant in planes that ended since the state.
    trail: Vec<(u8, u8, u32)>,
    /// By the number of planes left and the trail.
    plans: HashMap<(u8, Vec<(u8, u8, u32)>), Arc<Plan>>,
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
        self.turn_with(None);
    }

    /// The same; among many ways to go on from one state, those with the same hits share their plans.
    fn turn_with(&mut self, mut shared: Option<&mut Shared>) {
        while self.planes > 0 && self.cursor.pass == END {
            if let Some(shared) = shared.as_deref_mut() {
                shared.trail.extend(self.hits.iter().map(|(pass, at)| (self.plane, *pass, *at)));
            }
            let key = shared.as_deref().map(|shared| (self.planes, shared.trail.clone()));
            let known = key.as_ref().zip(shared.as_deref()).and_then(|(key, shared)| shared.plans.get(key).cloned());
            let plan = known.unwrap_or_else(|| {
                let after = self.plan.after(&self.hits);
                Arc::new(if self.planes > 1 {
                    Plan::new(&self.parts, after, self.plane.saturating_sub(1).into())
                } else {
                    Plan { before: after, classes: Vec::new(), lengths: [0; 4] }
                })
            });
            if let Some((key, shared)) = key.zip(shared.as_deref_mut()) {
                shared.plans.insert(key, plan.clone());
            }
            self.hits.clear();
            self.planes -= 1;
            self.plane = self.plane.saturating_sub(1);
            self.cursor = Cursor::new(&plan.lengths);
            self.plan = plan;
        }
    }

    /// Takes one bit of a plane; whether it is possible.
    fn step(&mut self, bit: bool, shared: Option<&mut Shared>) -> bool {
        let pass = self.cursor.pass;
        match self.cursor.step(bit, &self.plan.lengths) {
            Step::Fine => {}
            Step::Hit(at) => self.hits.push((pass, at)),
            Step::Wrong => return false,
        }
        self.turn_with(shared);
        true
    }

    pub fn take(&mut self, byte: u8) -> bool {
        self.take_with(byte, None)
    }

    fn take_with(&mut self, byte: u8, mut shared: Option<&mut Shared>) -> bool {
        if self.sealed {
            return false;
        }
        for bit in 0..8 {
            if self.planes == 0 {
                self.sealed = byte == self.check.last_byte(low(byte, bit), bit as usize);
                return self.sealed;
            }
            if !self.step(byte >> bit & 1 == 1, shared.as_deref_mut()) {
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
        } else if self.may_end() {
            // The check depends on every bit before it.
            let mut shared = Shared::default();
            for byte in 0..=255 {
                shared.trail.clear();
                if self.clone().take_with(byte, Some(&mut shared)) {
                    mask.insert(byte);
                }
            }
        } else {
            self.explore(self.cursor, 0, 0, 0, &mut mask);
        }
        mask
    }

    /// Whether the content may end within the next byte, and with it the check begin.
    fn may_end(&self) -> bool {
        let (mut cursor, lengths) = (self.cursor, &self.plan.lengths);
        let mut bits = 0;
        if let Phase::Run(got) = cursor.phase {
            // The longest run and a sign, then nothing is shorter than zeros alone.
            let reach = cursor.reach(lengths);
            bits = width_of(reach as usize) - got;
            (cursor.run, cursor.phase) = (reach - 1, Phase::Sign);
        }
        while cursor.pass != END {
            let step = match cursor.phase {
                _ if cursor.pass == REFINEMENT => lengths[usize::from(REFINEMENT)] - cursor.at,
                _ => 1,
            };
            bits += step;
            if bits >= 8 {
                return false;
            }
            for _ in 0..step {
                cursor.step(false, lengths);
            }
        }
        self.planes == 1 || !self.crosses_anyhow(&cursor, 8 - bits)
    }

    /// Whether behind the end of this plane, at `cursor`, any `bits` bits are possible: the first code of the next plane
    /// that can be wrong ends in its seventh bit, but for those behind the refinement.
    fn crosses_anyhow(&self, cursor: &Cursor, bits: u32) -> bool {
        // What is significant in parts that the next plane leaves out is not refined there.
        let all_go_on = self.parts.iter().all(|part| usize::from(part.lift) != usize::from(self.plane));
        all_go_on && bits <= 6 && self.plan.lengths[usize::from(REFINEMENT)] + cursor.hits >= bits
    }

    /// Adds all bytes with the low `depth` bits `path`, of which those from `since` on led from the state of this to
    /// `cursor`.
    fn explore(&self, mut cursor: Cursor, mut depth: u32, path: u8, since: u32, mask: &mut Mask) {
        let lengths = &self.plan.lengths;
        loop {
            if depth == 8 {
                mask.insert(path);
                return;
            }
            if cursor.pass == END {
                if self.crosses_anyhow(&cursor, 8 - depth) {
                    mask.join(Mask::every(path, depth));
                } else {
                    let mut next = self.clone();
                    if (since..depth).all(|bit| next.step(path >> bit & 1 == 1, None)) {
                        next.explore(next.cursor, depth, path, depth, mask);
                    }
                }
                return;
            }
            if cursor.takes_any(8 - depth, lengths) {
                mask.join(Mask::every(path, depth));
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
                let mut behind = Mask::NONE;
                self.explore(cursor, depth + free, path, since, &mut behind);
                (depth..depth + free).for_each(|bit| behind.spread(bit));
                mask.join(behind);
                return;
            }
            let mut one = cursor;
            if !matches!(one.step(true, lengths), Step::Wrong) {
                self.explore(one, depth + 1, path | 1 << depth, since, mask);
            }
            if matches!(cursor.step(false, lengths), Step::Wrong) {
                return;
            }
            depth += 1;
        }
    }
}
