//! The chain of planes of a block: which segments make it.

mod adopt;
mod begin;
mod cut;
mod mend;
mod survey;

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::block::Part;
use crate::coder::{Fit, PlaneDecoder};
use crate::picture::Payload;
use crate::reader::{Contents, Found};
use crate::segment::{Address, check_of, parse_address, unstuff};
use crate::tile::Tiles;
#[doc(hidden)]
pub use mend::limit_trials;
use survey::Survey;

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

impl Fate {
    /// Whether some of the segment is in the picture.
    pub(crate) fn is_shown(self) -> bool {
        matches!(self, Fate::Used | Fate::Cut | Fate::Doubted)
    }
}

/// One block, decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BlockState {
    /// One more than the highest plane; 0 if nothing was found.
    pub top: usize,
    /// The lowest plane that is known throughout.
    pub low: usize,
    /// The segment with which the chain ends because the end of a stream cuts it.
    pub cut: Option<usize>,
}

/// Decodes blocks of a stream. What becomes of a block does not depend on which others are decoded.
pub(crate) struct BlockReader<'c, 'a> {
    contents: &'c Contents<'a>,
    /// Segments by block, each in the order of the stream.
    by_block: Arc<[(usize, usize)]>,
    decoder: PlaneDecoder,
    content: Vec<u8>,
    pub tiles: Tiles,
    pub fates: Vec<Fate>,
    /// Damaged segments that were found again or corrected.
    pub repaired: usize,
    trusting: bool,
    /// Made once, for all readers of a stream.
    survey: Arc<OnceLock<Survey>>,
    /// Bytes behind the ends of segments that are used.
    pub tails: Vec<Range<usize>>,
    /// Bytes without a sure address that are used as segments.
    pub adopted: Vec<Range<usize>>,
}

/// The segments of a block by their part in the chain.
struct Candidates {
    block: usize,
    /// Beginnings, the best first.
    firsts: Vec<usize>,
    lower: Vec<usize>,
    /// Of each plane the first of `lower`.
    planes: Vec<usize>,
    /// Beginnings differ: only what follows one belongs to it.
    versions: bool,
}

impl Candidates {
    fn new(contents: &Contents<'_>, block: usize, segments: &[(usize, usize)]) -> Candidates {
        let at = |i: usize| &contents.segments[i];
        let all = segments.iter().map(|s| s.1);
        let mut firsts: Vec<usize> = all.clone().filter(|i| at(*i).address.first).collect();
        let lower: Vec<usize> = all.filter(|i| !at(*i).address.first).collect();
        // Of each plane the first: there may be any number of segments, but not of planes.
        let mut planes: Vec<usize> = Vec::new();
        for &i in &lower {
            if planes.iter().all(|p| at(*p).address.plane != at(i).address.plane) {
                planes.push(i);
            }
        }
        let content = |i: usize| &contents.data[at(i).content.clone()];
        let mut versions = false;
        if firsts.len() > 1 {
            // Copies that the end of a stream cuts say nothing new. Of equal ones the last counts.
            let is_copy = |i: &usize| {
                let other = |o: &usize| {
                    let more = content(*o).len() > content(*i).len() || !at(*o).last || o > i;
                    o != i && more && at(*o).address == at(*i).address && content(*o).starts_with(content(*i))
                };
                at(*i).last && firsts.iter().any(other)
            };
            let cut: Vec<usize> = firsts.iter().copied().filter(is_copy).collect();
            firsts.retain(|i| !cut.contains(i));
            // One that the rest goes on from, else the last: a later version replaces an earlier one.
            firsts.sort_by_key(|i| {
                let a = at(*i).address;
                let next = a.plane.checked_sub(a.count);
                (!planes.iter().any(|l| Some(at(*l).address.plane) == next), Reverse(*i))
            });
            versions = firsts.iter().any(|i| content(*i) != content(firsts[0]));
            firsts.extend(cut);
        }
        Candidates { block, firsts, lower, planes, versions }
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

impl<'c, 'a> BlockReader<'c, 'a> {
    /// `trusting`: a segment that ends wrong is taken as the beginning of a right one.
    pub fn new(contents: &'c Contents<'a>, trusting: bool) -> BlockReader<'c, 'a> {
        let mut by_block: Vec<(usize, usize)> =
            contents.segments.iter().enumerate().map(|(i, s)| (s.address.block, i)).collect();
        by_block.sort_unstable();
        BlockReader::of(contents, trusting, by_block.into())
    }

    fn of(contents: &'c Contents<'a>, trusting: bool, by_block: Arc<[(usize, usize)]>) -> BlockReader<'c, 'a> {
        BlockReader {
            contents,
            by_block,
            decoder: PlaneDecoder::new(),
            content: Vec::new(),
            tiles: Tiles::default(),
            fates: vec![Fate::Unneeded; contents.segments.len()],
            repaired: 0,
            trusting,
            survey: Arc::default(),
            tails: Vec::new(),
            adopted: Vec::new(),
        }
    }

    /// The segments of a block, as `(block, position)`, in the order of the stream.
    pub fn segments_of(&self, block: usize) -> &[(usize, usize)] {
        let from = self.by_block.partition_point(|s| s.0 < block);
        let to = from + self.by_block[from..].partition_point(|s| s.0 == block);
        &self.by_block[from..to]
    }

    /// A reader for other blocks, perhaps on another thread.
    pub fn another(&self) -> BlockReader<'c, 'a> {
        let by_block = Arc::clone(&self.by_block);
        BlockReader { survey: Arc::clone(&self.survey), ..BlockReader::of(self.contents, self.trusting, by_block) }
    }

    /// Takes over what a reader of other blocks found.
    pub fn join(&mut self, other: BlockReader<'c, 'a>) {
        let found = self.fates.iter_mut().zip(other.fates).filter(|(_, fate)| *fate != Fate::Unneeded);
        found.for_each(|(slot, fate)| *slot = fate);
        self.repaired += other.repaired;
        self.tails.extend(other.tails);
        self.adopted.extend(other.adopted);
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
        self.survey.get_or_init(|| self.look_round());
        self.chain(&candidates, true).0
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
        // In packed streams, what follows a segment that is in the picture although its check contradicts must agree with
        // its own: its codes mean something else if a coefficient above is wrong. Tokens only move a little.
        let packed = contents.picture.payload == Payload::Packed;
        let believed = !packed || !mending || self.survey.get().is_none_or(|s| !s.checked);
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
            // What the end of a stream cuts is not damaged; the longest is taken.
            let trusting = self.trusting;
            let is_cut = |&(i, fit): &(usize, Fit)| at(i).last && fit != Fit::Contradicted || trusting;
            let length = |d: &(usize, Fit)| if is_cut(d) && !trusting { at(d.0).content.len() } else { 0 };
            damaged.sort_by_key(|d| Reverse(length(d)));
            if found.is_none() && damaged.first().is_some_and(|d| !is_cut(d)) {
                end = End::Broken;
            }
            let first_damaged = damaged.first().map(|d| (d.0, is_cut(d)));
            let cut: Vec<usize> = damaged.iter().filter(|d| is_cut(d) && !trusting).map(|d| d.0).collect();
            let is_short = damaged.first().is_some_and(|d| d.1 == Fit::Short && at(d.0).last);
            if found.is_none() && mending {
                let all: Vec<usize> = damaged.iter().map(|d| d.0).collect();
                let contradicted = damaged.iter().find(|d| d.1 == Fit::Contradicted);
                found = self.corrected(candidates, &all, None);
                found = found.or_else(|| self.adopt(candidates, need));
                if let Some((i, _)) = contradicted.filter(|_| found.is_none() && (doubtful.is_none() || believed)) {
                    // What ends where it should is mostly right.
                    doubtful = Some(*i);
                    self.content_of(at(*i).content.clone(), parts, at(*i).address);
                    self.fates[*i] = Fate::Doubted;
                    found = Some(at(*i).address.count);
                }
            }
            if let Some(count) = found {
                self.pass_over(&cut);
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
                    state.cut = is_short.then_some(i);
                    self.fates[i] = Fate::Cut;
                    self.pass_over(&cut);
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
