//! What mending needs to know of a stream as a whole.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{BlockReader, Candidates, End, Fate};
use crate::reader::Contents;
use crate::segment::{Address, parse_address};

/// What only damage asks for: where else segments may be, found once by decoding every block as it stands.
pub(super) struct Survey {
    /// Bytes without a sure address: tails behind the end of a segment, pieces with an impossible address, and segments
    /// that do not fit where they say that they belong.
    pub suspects: Vec<Range<usize>>,
    /// Those whose bytes begin with an address, by its block, in their order: with the address and its length.
    pub addressed: HashMap<usize, Vec<(Range<usize>, Address, usize)>>,
    /// Blocks whose damaged segments may be corrected by trial.
    pub correctable: Vec<usize>,
    /// Damaged blocks that other addresses are tried for.
    pub broken: HashSet<usize>,
    /// By group and finest level of blocks: the plane in which they mostly begin.
    pub tops: HashMap<(u8, u8), u8>,
    /// Whether contents agree with their checks often enough for a contradiction to mean damage: a model may write
    /// contents well and checks at random.
    pub checked: bool,
}

/// Blocks in which segments are corrected by trial, and blocks whose beginnings are looked for elsewhere, at most. Work
/// stays bounded, whatever the bytes.
const MOST_CORRECTED: usize = 16;
const MOST_READDRESSED: usize = 256;

/// How far from the median the beginning of a block is still believed where its check contradicts.
pub(super) const MOST_STEPS: u8 = 2;

/// One segment in so many must agree with its check for checks to count.
const LEAST_AGREEING: usize = 3;

impl BlockReader<'_, '_> {
    /// Decodes every block as it stands, for what mending needs to know.
    pub(super) fn look_round(&self) -> Survey {
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
        let mut addressed: HashMap<usize, Vec<(Range<usize>, Address, usize)>> = HashMap::new();
        for range in &suspects {
            let bytes = &contents.data[range.clone()];
            if let Some((address, length)) = parse_address(&contents.picture, &contents.geometry, bytes) {
                addressed.entry(address.block).or_default().push((range.clone(), address, length));
            }
        }
        Survey { suspects, addressed, correctable, broken, tops: tops(contents), checked }
    }

    /// Where blocks like this one begin, as far as the survey knows.
    pub(super) fn expected_top(&self, block: usize) -> Option<u8> {
        let survey = self.survey.get().filter(|s| s.broken.contains(&block))?;
        let (group, level) = kind_of(self.contents, block);
        let levels = self.contents.geometry.levels;
        let near = (0..=levels).flat_map(|step| [level.saturating_sub(step), level.saturating_add(step)]);
        near.clone().find_map(|l| survey.tops.get(&(group, l)).copied())
    }

    /// Whether a beginning is about where those of other blocks are.
    pub(super) fn is_plausible(&self, address: Address) -> bool {
        self.expected_top(address.block).is_none_or(|top| address.plane <= top.saturating_add(MOST_STEPS))
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
