//! Segments that the end of a stream cuts; of several streams, one behind the other, each may end with one.

use super::{BlockReader, BlockState, Candidates, Fate};

impl BlockReader<'_, '_> {
    /// Begins a block with the one of the cut beginnings that holds most; which it is, and the state of the block.
    pub(super) fn begin_cut(
        &mut self,
        candidates: &Candidates,
        cut: &[usize],
        mending: bool,
    ) -> Option<(usize, BlockState)> {
        let contents = self.contents;
        let parts = contents.geometry.parts_of(candidates.block);
        let at = |i: usize| &contents.segments[i];
        let mut best = None;
        for &i in cut {
            let a = if mending { self.mended(at(i), parts, &candidates.planes) } else { at(i).address };
            let (_, whole) = self.content_of(at(i).content.clone(), parts, a);
            self.tiles.start(parts.len());
            best = best.max(Some((whole, at(i).content.len(), i, a)));
        }
        let (whole, _, i, a) = best?;
        self.content_of(at(i).content.clone(), parts, a);
        let readdressed = a != at(i).address;
        self.repaired += usize::from(readdressed);
        self.fates[i] = if readdressed { Fate::Doubted } else { Fate::Cut };
        let top = usize::from(a.plane) + 1;
        Some((i, BlockState { top, low: top - whole, cut: (!readdressed).then_some(i) }))
    }

    /// Notes that something better than these cut segments is in the picture.
    pub(super) fn pass_over(&mut self, cut: &[usize]) {
        for &i in cut {
            if self.fates[i] == Fate::Lost {
                self.fates[i] = Fate::Duplicate;
            }
        }
    }
}
