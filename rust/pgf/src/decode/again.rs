//! Macroblocks that 16 bits do not hold, decoded again where their coefficients are needed.
//!
//! Only damage makes such macroblocks in 8-bit pictures. Their values are left out of the planes, which can so stay in
//! 16 bits; a few macroblocks at a time are kept in 32.

use std::collections::VecDeque;

use super::read::Job;
use crate::bitplane::{BlockDecoder, Checks};
use crate::coefficients::Band;
use crate::planes::BLOCK_VALUES;
use crate::scan::{Block, Kind, Order, block_parts, interleaved, run_rows, scatter};
use crate::wavelet::Frame;

/// See the module.
pub(super) struct Again<'a> {
    order: Order,
    blocks: Vec<Block>,
    jobs: Vec<Job<'a>>,
    values: Values,
}

/// Coefficients of the macroblocks that were needed last.
struct Values {
    checks: Checks,
    decoder: BlockDecoder,
    /// With the position in the list of jobs, the one that was used last at the end.
    kept: VecDeque<(usize, Vec<i32>)>,
    most: usize,
}

/// As many macroblocks are kept whatever the size of the picture: rows of a level touch one of each band and plane.
const FEWEST: usize = 4;

impl<'a> Again<'a> {
    /// Macroblocks are decoded with the `checks` that they were with first; `room` is what they may take in bytes.
    pub fn new(order: Order, blocks: Vec<Block>, mut jobs: Vec<Job<'a>>, checks: Checks, room: usize) -> Again<'a> {
        // Threads find them in any order.
        jobs.sort_unstable_by_key(|job| job.index);
        let most = (room / (4 * BLOCK_VALUES)).max(FEWEST);
        let values = Values { checks, decoder: BlockDecoder::new(), kept: VecDeque::new(), most };
        Again { order, blocks, jobs, values }
    }

    /// Puts the coefficients of a plane and level into `data`: `part` says which rectangle of a band is there, and
    /// where; none of some bands may be.
    pub fn place(
        &mut self,
        plane: usize,
        level: u8,
        part: impl Fn(Band) -> Option<(Frame, (usize, usize))>,
        data: &mut [i32],
    ) {
        for (number, job) in self.jobs.iter().enumerate() {
            let block = &self.blocks[job.index];
            for (run, from, position, length) in block_parts(self.order.runs_of(&self.order.groups[block.group]), block)
            {
                if usize::from(run.plane) != plane || run.level != level {
                    continue;
                }
                let rows = run_rows(run, from, length);
                let touched = |band: Band| {
                    part(band).filter(|(frame, (_, y))| {
                        frame.height > 0 && rows.start < (y + frame.height) as u64 && rows.end > *y as u64
                    })
                };
                match run.kind {
                    Kind::Band(band) => {
                        let Some((frame, origin)) = touched(band) else { continue };
                        let values = &self.values.of(number, job, block)[position..position + length];
                        scatter(data, &frame, origin, run, from, values);
                    }
                    Kind::Interleaved => {
                        let (hl, lh) = (touched(Band::HL), touched(Band::LH));
                        if hl.is_none() && lh.is_none() {
                            continue;
                        }
                        let values = &self.values.of(number, job, block)[position..position + length];
                        for (value, (is_lh, x, y)) in values.iter().zip(interleaved(run).skip(from)) {
                            let Some((frame, (x0, y0))) = (if is_lh { &lh } else { &hl }) else { continue };
                            if (*x0..x0 + frame.width).contains(&x) && (*y0..y0 + frame.height).contains(&y) {
                                frame.row_mut(data, y - y0)[x - x0] = *value;
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Values {
    /// The coefficients of a macroblock.
    fn of(&mut self, number: usize, job: &Job<'_>, block: &Block) -> &[i32] {
        let (values, known) = match self.kept.iter().position(|(kept, _)| *kept == number) {
            Some(at) => (self.kept.remove(at).expect("found there").1, true),
            None if self.kept.len() < self.most => (vec![0; block.values], false),
            None => (self.kept.pop_front().expect("as many as are kept").1, false),
        };
        self.kept.push_back((number, values));
        let values = &mut self.kept.back_mut().expect("just put there").1;
        if !known {
            values.clear();
            values.resize(block.values, 0);
            self.decoder.decode(job.code, job.cut, self.checks, values);
        }
        values
    }
}
