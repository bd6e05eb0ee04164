//! The chain of planes of a block: which segments make it, and what mends one that is damaged.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::block::Part;
use crate::coder::{Fit, PlaneDecoder};
use crate::correct::{Damaged, Witness};
use crate::picture::Payload;
use crate::reader::{Contents, Found};
use crate::segment::{Address, MOST_PLANES, check_of, parse_address, unstuff};
use crate::tile::Tiles;

/// What became of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// All of it is in the picture.
    Used,
    /// It is cut; what is there is in the picture.
    Cut,
    /// It contradicts the format; the part that may be right is in the picture.
    Doubted,
    /// Nothing of it is in the picture: it is damaged, or a plane above it is missing.
    Lost,
    /// Another copy is in the picture.
    Duplicate,
    /// It does not bear on the level or region that was asked for.
    Unneeded,
}

/// One block, decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BlockState {
    /// One more than the highest plane; 0 if nothing was found.
    pub top: usize,
    /// The lowest plane that is known throughout.
    pub low: usize,
}

/// What only damage asks for: where else segments may be, found once by decoding every block as it stands.
struct Survey {
    /// Bytes without a sure address: tails behind the end of a segment, pieces with an impossible address, and segments
    /// that do not fit where they say that they belong.
    suspects: Vec<Range<usize>>,
    /// Blocks whose damaged segments may be corrected by trial.
    correctable: Vec<usize>,
    /// Damaged blocks that other addresses are tried for.
    broken: HashSet<usize>,
    /// By group and finest level of blocks: the plane in which they mostly begin.
    tops: HashMap<(u8, u8), u8>,
    /// Whether contents agree with their checks often enough for a contradiction to mean damage: a model may write
    /// contents well and checks at random.
    checked: bool,
}

/// Decodes blocks of a stream. What becomes of a block does not depend on which others are decoded.
pub(crate) struct BlockReader<'c, 'a> {
    contents: &'c Contents<'a>,
    /// Segments by block, each in the order of the stream.
    by_block: Vec<(usize, usize)>,
    decoder: PlaneDecoder,
    content: Vec<u8>,
    pub tiles: Tiles,
    pub fates: Vec<Fate>,
    /// Damaged segments that were found again or corrected.
    pub repaired: usize,
    trusting: bool,
    survey: Option<Survey>,
    /// Bytes behind the ends of segments that are used.
    pub tails: Vec<Range<usize>>,
}

/// The segments of a block by their part in the chain.
struct Candidates {
    block: usize,
    /// Beginnings, the best first.
    firsts: Vec<usize>,
    lower: Vec<usize>,
    /// Beginnings differ: only what follows one belongs to it.
    versions: bool,
}

impl Candidates {
    fn new(contents: &Contents<'_>, block: usize, segments: &[(usize, usize)]) -> Candidates {
        let at = |i: usize| &contents.segments[i];
        let all = segments.iter().map(|s| s.1);
        let mut firsts: Vec<usize> = all.clone().filter(|i| at(*i).address.first).collect();
        let lower: Vec<usize> = all.filter(|i| !at(*i).address.first).collect();
        let content = |i: usize| &contents.data[at(i).content.clone()];
        let mut versions = false;
        if firsts.len() > 1 {
            // A copy that the end of the data cuts says nothing new.
            let is_copy = |i: usize| {
                let other =
                    |o: &usize| *o != i && at(*o).address == at(i).address && content(*o).starts_with(content(i));
                at(i).last && firsts.iter().any(other)
            };
            let cut = firsts.iter().position(|i| is_copy(*i)).map(|n| firsts.remove(n));
            // One that the rest goes on from, else the last: a later version replaces an earlier one.
            firsts.sort_by_key(|i| {
                let a = at(*i).address;
                let next = a.plane.checked_sub(a.count);
                (!lower.iter().any(|l| Some(at(*l).address.plane) == next), std::cmp::Reverse(*i))
            });
            versions = firsts.iter().any(|i| content(*i) != content(firsts[0]));
            firsts.extend(cut);
        }
        Candidates { block, firsts, lower, versions }
    }
}

/// How a chain ended.
#[derive(PartialEq, Eq)]
enum End {
    /// Nothing speaks of damage.
    Sound,
    /// A segment does not fit, or is missing while lower ones are there.
    Broken,
}

/// Suspects that are tried at most for a missing segment, blocks in which segments are corrected by trial, blocks whose
/// beginnings are looked for elsewhere, and trials in the first block that is corrected; half as many in each further one.
/// Work stays bounded, whatever the bytes.
const MOST_SUSPECTS: usize = 24;
const MOST_CORRECTED: usize = 16;
const MOST_READDRESSED: usize = 256;
// Fuzzing wants many inputs rather than deep searches.
const MOST_TRIALS: usize = if cfg!(fuzzing) { 1 << 9 } else { 1 << 15 };

impl<'c, 'a> BlockReader<'c, 'a> {
    /// `trusting`: a segment that ends wrong is taken as the beginning of a right one.
    pub fn new(contents: &'c Contents<'a>, trusting: bool) -> BlockReader<'c, 'a> {
        let mut by_block: Vec<(usize, usize)> =
            contents.segments.iter().enumerate().map(|(i, s)| (s.address.block, i)).collect();
        by_block.sort_unstable();
        BlockReader {
            contents,
            by_block,
            decoder: PlaneDecoder::new(),
            content: Vec::new(),
            tiles: Tiles::default(),
            fates: vec![Fate::Unneeded; contents.segments.len()],
            repaired: 0,
            trusting,
            survey: None,
            tails: Vec::new(),
        }
    }

    fn segments_of(&self, block: usize) -> &[(usize, usize)] {
        let from = self.by_block.partition_point(|s| s.0 < block);
        let to = from + self.by_block[from..].partition_point(|s| s.0 == block);
        &self.by_block[from..to]
    }

    /// Decodes a block into `tiles`.
    pub fn block(&mut self, block: usize) -> BlockState {
        let parts = self.contents.geometry.parts_of(block);
        if self.segments_of(block).is_empty() {
            self.tiles.start(parts.len());
            return BlockState::default();
        }
        let candidates = Candidates::new(self.contents, block, self.segments_of(block));
        let (state, end) = self.chain(&candidates, false);
        if end == End::Sound {
            return state;
        }
        if self.survey.is_none() {
            self.survey = Some(self.look_round());
        }
        self.chain(&candidates, true).0
    }

    /// Decodes every block as it stands, for what mending needs to know.
    fn look_round(&self) -> Survey {
        let contents = self.contents;
        let mut other = BlockReader::new(contents, self.trusting);
        let mut broken: Vec<(usize, usize)> = Vec::new();
        let mut start = 0;
        while let Some(&(block, first)) = other.by_block.get(start) {
            let candidates = Candidates::new(contents, block, other.segments_of(block));
            start += candidates.firsts.len() + candidates.lower.len();
            if other.chain(&candidates, false).1 == End::Broken {
                broken.push((first, block));
            }
        }
        // What comes early in the stream matters most.
        broken.sort_unstable();
        let mut suspects: Vec<Range<usize>> = contents.orphans.iter().map(|r| r.start + 1..r.end).collect();
        // With or without the first byte of a marker that became another.
        suspects.extend(other.tails.into_iter().flat_map(|t| [(t.start + 1).min(t.end)..t.end, t]));
        let stray = contents.segments.iter().zip(&other.fates).filter(|(_, fate)| **fate == Fate::Lost);
        suspects.extend(stray.map(|(s, _)| s.bytes.start + 1..s.bytes.end));
        let agreeing = other.fates.iter().filter(|fate| **fate == Fate::Used).count();
        let checked = agreeing * LEAST_AGREEING >= contents.segments.len();
        let correctable = broken.iter().take(MOST_CORRECTED).map(|b| b.1).collect();
        let broken = broken.into_iter().take(MOST_READDRESSED).map(|b| b.1).collect();
        Survey { suspects, correctable, broken, tops: tops(contents), checked }
    }

    /// Decodes a block as it stands, or with all that may mend it.
    fn chain(&mut self, candidates: &Candidates, mending: bool) -> (BlockState, End) {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let at = |i: usize| &contents.segments[i];
        self.tiles.start(parts.len());
        for i in candidates.firsts.iter().chain(&candidates.lower) {
            self.fates[*i] = Fate::Lost;
        }
        let mut end = End::Sound;
        let mut after = 0;
        let Some((mut state, mut next, mut doubtful)) = self.begin(candidates, mending, &mut after, &mut end) else {
            return (BlockState::default(), End::Broken);
        };
        // What follows a segment that is in the picture although its check contradicts must agree with its own: its codes
        // mean something else if a coefficient above is wrong.
        let believed = !mending || self.survey.as_ref().is_none_or(|s| !s.checked);
        while let Some(need) = next {
            // The latest first.
            let wanted = |i: &usize| at(*i).address.plane == need && *i >= after;
            let here: Vec<usize> = candidates.lower.iter().rev().copied().filter(wanted).collect();
            let mut found = None;
            let mut damaged: Vec<(usize, Fit)> = Vec::new();
            for &i in &here {
                if found.is_some() {
                    self.fates[i] = Fate::Duplicate;
                    continue;
                }
                let a = at(i).address;
                let (fit, _) = self.content_of(at(i).content.clone(), parts, a);
                let whole = matches!(fit, Fit::Exact | Fit::Excess(_) | Fit::Contradicted);
                if whole && !self.is_damaged(fit, at(i)) {
                    self.fates[i] = if fit == Fit::Contradicted { Fate::Doubted } else { Fate::Used };
                    self.note_tail(at(i), fit);
                    found = Some(a.count);
                } else {
                    self.rollback(parts, need.into());
                    damaged.push((i, fit));
                }
            }
            // What the end of the data cuts is not damaged.
            let is_cut = |&(i, fit): &(usize, Fit)| at(i).last && fit != Fit::Contradicted || self.trusting;
            if found.is_none() && damaged.first().is_some_and(|d| !is_cut(d)) {
                end = End::Broken;
            }
            let first_damaged = damaged.first().map(|d| (d.0, is_cut(d)));
            if found.is_none() && mending {
                let all: Vec<usize> = damaged.iter().map(|d| d.0).collect();
                found = self.corrected(candidates, &all, None);
                found = found.or_else(|| self.adopt(candidates, need));
                let contradicted = damaged.iter().find(|d| d.1 == Fit::Contradicted);
                if let Some((i, _)) = contradicted.filter(|_| found.is_none() && (doubtful.is_none() || believed)) {
                    // What ends where it should is mostly right.
                    doubtful = Some(*i);
                    self.content_of(at(*i).content.clone(), parts, at(*i).address);
                    self.fates[*i] = Fate::Doubted;
                    found = Some(at(*i).address.count);
                }
            }
            if let Some(count) = found {
                state.low = usize::from(need) + 1 - usize::from(count);
                next = need.checked_sub(count);
                continue;
            }
            // The lower planes wait for a good copy; the part of this one that may be right is used.
            let above = doubtful.filter(|_| !believed);
            match (first_damaged, above) {
                (Some((i, true)), _) => {
                    let whole = self.beginning_of(at(i), parts, 1.0);
                    state.low = usize::from(need) + 1 - whole;
                    self.fates[i] = Fate::Cut;
                }
                (Some((i, false)), None) => {
                    let whole = self.beginning_of(at(i), parts, 0.5);
                    state.low = usize::from(need) + 1 - whole;
                    self.fates[i] = Fate::Doubted;
                }
                // Two contradictions in a row: of the upper one, too, only a part may be right.
                (Some((_, false)), Some(i)) if at(i).address.first => {
                    self.tiles.start(parts.len());
                    state.low = state.top - self.beginning_of(at(i), parts, 0.5);
                }
                _ => {}
            }
            break;
        }
        let waiting = candidates.lower.iter().any(|i| self.fates[*i] == Fate::Lost && *i >= after);
        (state, if waiting { End::Broken } else { end })
    }

    /// Finds the beginning of a block; its state, the next plane, and the segment if its check contradicts.
    fn begin(
        &mut self,
        candidates: &Candidates,
        mending: bool,
        after: &mut usize,
        end: &mut End,
    ) -> Option<(BlockState, Option<u8>, Option<usize>)> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let at = |i: usize| &contents.segments[i];
        let begun = |a: Address, whole: usize| BlockState {
            top: usize::from(a.plane) + 1,
            low: usize::from(a.plane) + 1 - whole,
        };
        let mut found: Option<(BlockState, Option<u8>, Option<usize>)> = None;
        let mut damaged = Vec::new();
        for &i in &candidates.firsts {
            if found.is_some() {
                self.fates[i] = Fate::Duplicate;
                continue;
            }
            let a = if mending { self.mended(at(i), parts, &candidates.lower) } else { at(i).address };
            let (fit, whole) = self.content_of(at(i).content.clone(), parts, a);
            let open = match fit {
                Fit::Exact => true,
                Fit::Excess(_) if !self.is_damaged(fit, at(i)) => true,
                Fit::Short if at(i).last || self.trusting => false,
                Fit::Wrong if self.trusting => false,
                Fit::Contradicted if self.trusting => true,
                _ => {
                    damaged.push(i);
                    self.tiles.start(parts.len());
                    continue;
                }
            };
            self.fates[i] = match fit {
                Fit::Short => Fate::Cut,
                Fit::Wrong | Fit::Contradicted => Fate::Doubted,
                _ => Fate::Used,
            };
            self.note_tail(at(i), fit);
            *after = if candidates.versions { i } else { 0 };
            found = Some((begun(a, whole), a.plane.checked_sub(a.count).filter(|_| open), None));
        }
        if found.is_some() {
            return found;
        }
        *end = End::Broken;
        if mending {
            let mut used = 0;
            if let Some(count) = self.corrected(candidates, &damaged, Some(&mut used)) {
                let a = at(used).address;
                *after = if candidates.versions { used } else { 0 };
                return Some((begun(a, count.into()), a.plane.checked_sub(count), None));
            }
            if let Some((top, low)) = self.adopt_first(candidates) {
                return Some((BlockState { top, low }, low.checked_sub(1).map(|n| n as u8), None));
            }
        }
        // A wrong beginning spoils everything below: better none, unless all of its planes are there.
        for i in damaged {
            let stated = at(i).address;
            // Much more of a segment is content than address: only what stands out is looked for elsewhere.
            let elsewhere = mending && !self.is_plausible(stated);
            let a = if elsewhere { self.readdressed(at(i), parts).unwrap_or(stated) } else { stated };
            let (fit, whole) = self.content_of(at(i).content.clone(), parts, a);
            let usable = match fit {
                Fit::Exact | Fit::Excess(_) => true,
                Fit::Contradicted => mending && self.is_plausible(a),
                _ => false,
            };
            if usable {
                self.repaired += usize::from(a != stated);
                self.fates[i] = Fate::Doubted;
                *after = if candidates.versions { i } else { 0 };
                let doubtful = (fit == Fit::Contradicted).then_some(i);
                return Some((begun(a, whole), a.plane.checked_sub(a.count), doubtful));
            }
            self.tiles.start(parts.len());
        }
        None
    }

    /// The address of a beginning that does not fit where it says, if a check agrees with another plane or number of
    /// planes: the one nearest to the beginnings of other blocks.
    fn readdressed(&mut self, first: &Found, parts: &[Part]) -> Option<Address> {
        let expected =
            self.expected_top(first.address.block).filter(|_| self.contents.picture.payload == Payload::Packed)?;
        let stated = first.address;
        let mut best: Option<(bool, u8, Address)> = None;
        let planes = expected.saturating_sub(MOST_STEPS)..=expected.saturating_add(MOST_STEPS);
        for (count, plane) in (1..=MOST_PLANES[0]).flat_map(|count| planes.clone().map(move |plane| (count, plane))) {
            let highest = parts.iter().map(|p| p.lift).max().unwrap_or(0);
            if count > plane + 1 || usize::from(plane) >= 32 + usize::from(highest) {
                continue;
            }
            let address = Address { count, plane, ..stated };
            if address == stated || !self.contents.picture.deep && plane > 15 {
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

    /// Where blocks like this one begin, as far as the survey knows.
    fn expected_top(&self, block: usize) -> Option<u8> {
        let survey = self.survey.as_ref().filter(|s| s.broken.contains(&block))?;
        let (group, level) = kind_of(self.contents, block);
        let levels = self.contents.geometry.levels;
        let near = (0..=levels).flat_map(|step| [level.saturating_sub(step), level.saturating_add(step)]);
        near.clone().find_map(|l| survey.tops.get(&(group, l)).copied())
    }

    /// Whether a beginning is about where those of other blocks are.
    fn is_plausible(&self, address: Address) -> bool {
        self.expected_top(address.block).is_none_or(|top| address.plane <= top.saturating_add(MOST_STEPS))
    }

    /// Whether a segment that fits so is damaged, and not cut or with another one behind its end.
    fn is_damaged(&self, fit: Fit, segment: &Found) -> bool {
        match fit {
            Fit::Exact => false,
            Fit::Excess(used) => !self.trusting && !self.is_swallowed(self.tail(segment, used)),
            Fit::Short => !segment.last && !self.trusting,
            Fit::Wrong | Fit::Contradicted => !self.trusting,
        }
    }

    /// Whether bytes can be a segment whose marker is damaged: one that the stream lacks.
    fn is_swallowed(&self, tail: Range<usize>) -> bool {
        let contents = self.contents;
        let data = &contents.data[tail];
        if data.starts_with(&[0xFF, 0]) {
            return true;
        }
        (0..2).any(|skip| {
            let Some(rest) = data.get(skip..) else { return false };
            let Some((a, _)) = parse_address(&contents.picture, &contents.geometry, rest) else { return false };
            let mut others = self.segments_of(a.block).iter().map(|s| contents.segments[s.1].address);
            if a.first {
                others.all(|o| !o.first)
            } else {
                others.clone().all(|o| o.plane != a.plane || o.first)
                    && others.any(|o| o.plane.checked_sub(o.count) == Some(a.plane))
            }
        })
    }

    /// Looks for the one change that makes one of the damaged segments fit, and decodes it so; its number of planes.
    fn corrected(&mut self, candidates: &Candidates, damaged: &[usize], used: Option<&mut usize>) -> Option<u8> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        // Each block has its share, so that none depends on which others are decoded.
        let survey = self.survey.as_ref().filter(|_| !self.trusting)?;
        let rank = survey.correctable.iter().position(|b| *b == candidates.block)?;
        let trials = MOST_TRIALS >> rank;
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
    fn mended(&mut self, first: &Found, parts: &[Part], lower: &[usize]) -> Address {
        let address = first.address;
        let planes = || lower.iter().map(|i| self.contents.segments[*i].address.plane);
        let next = address.plane.checked_sub(address.count);
        let Some(below) = planes().max().filter(|_| !planes().any(|plane| Some(plane) == next)) else {
            return address;
        };
        let other = Address { plane: below.saturating_add(address.count), ..address };
        // Below either plane there may be a hole of one segment; what is reachable then decides.
        let reachable = |from: u8| {
            let mut next = Some(from);
            let mut sum = 0;
            while let Some(need) = next {
                let at =
                    |plane: u8| lower.iter().map(|i| self.contents.segments[*i].address).find(|a| a.plane == plane);
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
        let witness = lower.iter().copied().find(|i| self.contents.segments[*i].address.plane == below);
        let agrees = exact(fit)
            && witness.is_some_and(|i| {
                let witness = &self.contents.segments[i];
                let (fit, _) = self.content_of(witness.content.clone(), parts, witness.address);
                exact(fit)
            });
        self.tiles.start(parts.len());
        if agrees { other } else { address }
    }

    /// Remembers what follows the end of a segment: it may be one whose marker was lost.
    fn note_tail(&mut self, segment: &Found, fit: Fit) {
        if let Fit::Excess(used) = fit {
            self.tails.push(self.tail(segment, used));
        }
    }

    /// Where in the stream the bytes behind the first `used` of a content are.
    fn tail(&self, segment: &Found, used: usize) -> Range<usize> {
        let stuffed = &self.contents.data[segment.content.clone()];
        let (mut at, mut n) = (0, 0);
        while n < used && at < stuffed.len() {
            at += if stuffed[at] == 0xFF && stuffed.get(at + 1) == Some(&0) { 2 } else { 1 };
            n += 1;
        }
        (segment.content.start + at).min(segment.content.end)..segment.content.end
    }

    /// Undoes all planes of a block from `plane` downwards.
    fn rollback(&mut self, parts: &[Part], plane: usize) {
        for (part, tile) in parts.iter().zip(&mut self.tiles.tiles) {
            let Some(n) = plane.checked_sub(part.lift.into()) else { continue };
            if tile.top <= n + 1 {
                // Nothing above.
                tile.clear();
                continue;
            }
            tile.low = n + 1;
            tile.partial = [0; 32];
            tile.significant = [0; 34];
            for above in n + 1..tile.top {
                tile.absorb(above);
            }
            for (negative, significant) in tile.negative.iter_mut().zip(&tile.significant[1..]) {
                *negative &= significant;
            }
        }
    }

    /// Ranges that may hold a missing segment of a block, and the address that they say, if they say one.
    #[allow(clippy::type_complexity)]
    fn suspects(&self) -> Vec<(Range<usize>, Option<(Address, usize)>)> {
        let contents = self.contents;
        let suspects = self.survey.as_ref().map_or(&[][..], |s| &s.suspects);
        let address =
            |range: &Range<usize>| parse_address(&contents.picture, &contents.geometry, &contents.data[range.clone()]);
        suspects.iter().map(|range| (range.clone(), address(range))).collect()
    }

    /// Looks among the suspects for the segment of a block that begins with plane `need`; its number of planes.
    fn adopt(&mut self, candidates: &Candidates, need: u8) -> Option<u8> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let suspects = self.suspects();
        for (range, address) in &suspects {
            // A whole address that fits needs no further witness.
            let Some((a, length)) = *address else { continue };
            if a.block == candidates.block && a.plane == need && !a.first {
                let (fit, _) = self.content_of(range.start + length..range.end, parts, a);
                if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                    self.repaired += 1;
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
            for (range, _) in suspects.iter().take(MOST_SUSPECTS) {
                for skip in 1..=(1 + contents.geometry.digits).min(range.len().saturating_sub(1)) {
                    let (fit, _) = self.content_of(range.start + skip..range.end, parts, address);
                    if fit == Fit::Exact {
                        let next = &contents.segments[witness];
                        let (fit, _) = self.content_of(next.content.clone(), parts, next.address);
                        self.rollback(parts, plane.into());
                        if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                            self.repaired += 1;
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
    fn adopt_first(&mut self, candidates: &Candidates) -> Option<(usize, usize)> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let suspects = self.suspects();
        let bounds = |a: Address| (usize::from(a.plane) + 1, usize::from(a.plane) + 1 - usize::from(a.count));
        for (range, address) in &suspects {
            let Some((a, length)) = *address else { continue };
            if a.block == candidates.block && a.first {
                let (fit, _) = self.content_of(range.start + length..range.end, parts, a);
                if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                    self.repaired += 1;
                    return Some(bounds(a));
                }
                self.tiles.start(parts.len());
            }
        }
        let below = |i: &usize| contents.segments[*i].address.plane;
        let witness = &contents.segments[*candidates.lower.iter().max_by_key(|i| below(i))?];
        let below = witness.address.plane;
        for (range, _) in suspects.iter().take(MOST_SUSPECTS) {
            for count in 1..=MOST_PLANES[0] {
                let a = Address { block: candidates.block, plane: below + count, count, first: true };
                for skip in 1..=(1 + contents.geometry.digits).min(range.len().saturating_sub(1)) {
                    let (fit, _) = self.content_of(range.start + skip..range.end, parts, a);
                    if fit == Fit::Exact {
                        let (fit, _) = self.content_of(witness.content.clone(), parts, witness.address);
                        if matches!(fit, Fit::Exact | Fit::Excess(_)) {
                            self.rollback(parts, below.into());
                            self.repaired += 1;
                            return Some(bounds(a));
                        }
                    }
                    self.tiles.start(parts.len());
                }
            }
        }
        None
    }

    /// Decodes a part of a segment; how many of its planes are whole.
    fn beginning_of(&mut self, segment: &Found, parts: &[Part], share: f64) -> usize {
        let mut content = std::mem::take(&mut self.content);
        unstuff(&self.contents.data[segment.content.clone()], &mut content);
        content.truncate((content.len() as f64 * share) as usize);
        let (_, whole) = self.decode(&content, parts, segment.address);
        self.content = content;
        whole
    }

    fn content_of(&mut self, range: Range<usize>, parts: &[Part], address: Address) -> (Fit, usize) {
        let mut content = std::mem::take(&mut self.content);
        unstuff(&self.contents.data[range], &mut content);
        let result = self.decode(&content, parts, address);
        self.content = content;
        result
    }

    fn decode(&mut self, content: &[u8], parts: &[Part], address: Address) -> (Fit, usize) {
        let planes = (usize::from(address.plane), usize::from(address.count));
        let contents = self.contents;
        let check = check_of(&contents.picture, &contents.geometry, &address);
        self.decoder.planes(contents.picture.payload, parts, &mut self.tiles, planes, (check, content))
    }
}

/// Channel group and finest level of a block.
fn kind_of(contents: &Contents<'_>, block: usize) -> (u8, u8) {
    let level = contents.geometry.parts_of(block).iter().map(|p| p.level).min().unwrap_or(0);
    (contents.geometry.blocks[block].group, level)
}

/// The median plane in which blocks of a group and level begin, by what their segments say.
fn tops(contents: &Contents<'_>) -> HashMap<(u8, u8), u8> {
    let mut planes: HashMap<(u8, u8), Vec<u8>> = HashMap::new();
    for segment in contents.segments.iter().filter(|s| s.address.first) {
        planes.entry(kind_of(contents, segment.address.block)).or_default().push(segment.address.plane);
    }
    let median = |mut planes: Vec<u8>| {
        planes.sort_unstable();
        planes[(planes.len() - 1) / 2]
    };
    planes.into_iter().map(|(kind, planes)| (kind, median(planes))).collect()
}

/// How far from the median the beginning of a block is still believed where its check contradicts.
const MOST_STEPS: u8 = 2;

/// One segment in so many must agree with its check for checks to count.
const LEAST_AGREEING: usize = 3;

/// Segments that bear witness to a correction, at most.
const MOST_WITNESSES: usize = 4;

/// Bytes behind a false marker that are taken to belong to the segment before it, at most.
const MOST_JOINED: usize = 128;
