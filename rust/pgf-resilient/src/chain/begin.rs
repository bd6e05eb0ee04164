//! The beginning of a chain: which first segment of a block, and what of it.

use super::{BlockReader, BlockState, Candidates, End, Fate};
use crate::block::Part;
use crate::coder::Fit;
use crate::picture::Payload;
use crate::reader::Found;
use crate::segment::{Address, check_of, unstuff};

impl BlockReader<'_, '_> {
    /// Finds the beginning of a block; its state, the next plane, and the segment if its check contradicts.
    pub(super) fn begin(
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
            cut: None,
        };
        let mut found: Option<(BlockState, Option<u8>, Option<usize>)> = None;
        let mut damaged = Vec::new();
        let mut cut = Vec::new();
        for &i in &candidates.firsts {
            if found.is_some() {
                self.fates[i] = Fate::Duplicate;
                continue;
            }
            let a = if mending { self.mended(at(i), parts, &candidates.planes) } else { at(i).address };
            let (fit, whole) = self.content_of(at(i).content.clone(), parts, a);
            let open = match fit {
                Fit::Exact => true,
                Fit::Excess(_) if !self.is_damaged(fit, at(i)) => true,
                Fit::Short | Fit::Wrong if self.trusting => false,
                Fit::Contradicted if self.trusting => true,
                _ => {
                    let is_cut = fit == Fit::Short && at(i).last;
                    if is_cut { &mut cut } else { &mut damaged }.push(i);
                    self.tiles.start(parts.len());
                    continue;
                }
            };
            let readdressed = a != at(i).address;
            self.repaired += usize::from(readdressed);
            self.fates[i] = match fit {
                Fit::Wrong | Fit::Contradicted => Fate::Doubted,
                _ if readdressed => Fate::Doubted,
                Fit::Short => Fate::Cut,
                _ => Fate::Used,
            };
            self.note_tail(at(i), fit);
            *after = if candidates.versions { i } else { 0 };
            found = Some((begun(a, whole), a.plane.checked_sub(a.count).filter(|_| open), None));
        }
        // One that the end of a stream cuts only where there is no other.
        if found.is_none()
            && let Some((i, state)) = self.begin_cut(candidates, &cut, mending)
        {
            *after = if candidates.versions { i } else { 0 };
            found = Some((state, None, None));
        }
        if found.is_some() {
            self.pass_over(&cut);
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
        }
        if contents.picture.payload == Payload::Tokens {
            let believed = !mending || self.survey.get().is_none_or(|s| !s.checked);
            for &i in &damaged {
                let a = at(i).address;
                let (fit, whole) = self.content_of(at(i).content.clone(), parts, a);
                if fit == Fit::Contradicted {
                    self.fates[i] = Fate::Doubted;
                    *after = if candidates.versions { i } else { 0 };
                    if believed {
                        return Some((begun(a, whole), a.plane.checked_sub(a.count), None));
                    }
                    self.tiles.start(parts.len());
                    return Some((begun(a, self.before_contradiction(at(i), parts)), None, None));
                }
                self.tiles.start(parts.len());
            }
        }
        if mending && let Some((top, low)) = self.adopt_first(candidates) {
            return Some((BlockState { top, low, cut: None }, low.checked_sub(1).map(|n| n as u8), None));
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

    /// Decodes a content of tokens up to the middle between the first end of a list that contradicts what is before it and
    /// the end before that; how many of its planes are whole.
    fn before_contradiction(&mut self, segment: &Found, parts: &[Part]) -> usize {
        let mut content = std::mem::take(&mut self.content);
        unstuff(&self.contents.data[segment.content.clone()], &mut content);
        let check = check_of(&self.contents.picture, &self.contents.geometry, &segment.address);
        if let Some(lists) = check.first_contradiction(&content) {
            content.truncate(lists.start.midpoint(lists.end));
        }
        let (_, whole) = self.decode(&content, parts, segment.address);
        self.content = content;
        whole
    }
}
