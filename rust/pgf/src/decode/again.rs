//! Macroblocks that 16 bits do not hold, decoded again where their coefficients are needed.
//!
//! Only damage makes such macroblocks in 8-bit pictures. Their values are left out of the planes, which can so stay in
//! 16 bits; a few macroblocks at a time are kept in 32.

use std::collections::VecDeque;
use std::ops::Range;

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
    /// What the macroblocks hold, by plane and level, the topmost of each first.
    parts: Vec<Part>,
    /// Those that touch some rows, in the order of the macroblocks.
    touched: Vec<Part>,
    values: Values,
}

/// What a macroblock holds of a run.
#[derive(Debug, Clone, Copy)]
struct Part {
    plane: u8,
    level: u8,
    /// Its position in the list of jobs.
    job: u32,
    /// How many parts the macroblock has in front of this one.
    number: u32,
    /// Rows of the band, or of HL and LH, that it touches.
    first: u32,
    end: u32,
    /// The largest `end` of its plane and level up to here.
    reach: u32,
}

impl Part {
    fn level(&self) -> (u8, u8) {
        (self.plane, self.level)
    }
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
        let parts = parts(&order, &blocks, &jobs);
        Again { order, blocks, jobs, parts, touched: Vec::new(), values }
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
        // Rows of any band: those of the bands of a level differ by one at most.
        let wanted = [Band::LL, Band::HL, Band::LH, Band::HH].into_iter().filter_map(&part);
        let wanted = wanted.filter(|(frame, _)| frame.height > 0).map(|(frame, (_, y))| y..y + frame.height);
        let Some(rows) = wanted.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)) else { return };
        self.find(plane, level, rows);
        for found in &self.touched {
            let number = found.job as usize;
            let job = &self.jobs[number];
            let block = &self.blocks[job.index];
            let runs = self.order.runs_of(&self.order.groups[block.group]);
            let (run, from, position, length) =
                block_parts(runs, block).nth(found.number as usize).expect("as many as were listed");
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
                    for (value, (is_lh, x, y)) in values.iter().zip(interleaved(run, from)) {
                        let Some((frame, (x0, y0))) = (if is_lh { &lh } else { &hl }) else { continue };
                        if (*x0..x0 + frame.width).contains(&x) && (*y0..y0 + frame.height).contains(&y) {
                            frame.row_mut(data, y - y0)[x - x0] = *value;
                        }
                    }
                }
            }
        }
    }

    /// Lists the parts that touch some rows of a plane and level.
    fn find(&mut self, plane: usize, level: u8, rows: Range<usize>) {
        let key = (plane as u8, level);
        // Parts in front of the first reach no wanted row; the last begins in front of the end of the wanted rows.
        let from = self.parts.partition_point(|part| (part.level(), part.reach as usize) <= (key, rows.start));
        let to = self.parts.partition_point(|part| (part.level(), part.first as usize) < (key, rows.end));
        let near = self.parts.get(from..to).unwrap_or_default();
        #[cfg(test)]
        tests::LOOKED_AT.set(tests::LOOKED_AT.get() + near.len());
        self.touched.clear();
        self.touched.extend(near.iter().filter(|part| part.end as usize > rows.start));
        // A macroblock's parts stay together: few are kept.
        self.touched.sort_unstable_by_key(|part| (part.job, part.number));
    }
}

/// What the macroblocks hold, by plane and level, the topmost of each first.
fn parts(order: &Order, blocks: &[Block], jobs: &[Job<'_>]) -> Vec<Part> {
    let mut parts = Vec::new();
    for (job, block) in jobs.iter().map(|job| &blocks[job.index]).enumerate() {
        let runs = order.runs_of(&order.groups[block.group]);
        for (number, (run, from, _, length)) in block_parts(runs, block).enumerate() {
            let rows = run_rows(run, from, length);
            let [first, end] = [rows.start, rows.end].map(|row| u32::try_from(row).unwrap_or(u32::MAX));
            let (job, number) = (job as u32, number as u32);
            parts.push(Part { plane: run.plane, level: run.level, job, number, first, end, reach: end });
        }
    }
    parts.sort_unstable_by_key(|part: &Part| (part.level(), part.first, part.job, part.number));
    for index in 1..parts.len() {
        let before = parts[index - 1];
        if before.level() == parts[index].level() {
            parts[index].reach = before.reach.max(parts[index].end);
        }
    }
    parts
}

impl Values {
    /// The coefficients of a macroblock.
    fn of(&mut self, number: usize, job: &Job<'_>, block: &Block) -> &[i32] {
        let (values, known) = match self.kept.iter().rposition(|(kept, _)| *kept == number) {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::header::{Limits, flags};
    use crate::image::{ImageRef, Mode, SamplesRef};
    use crate::macroblock::head_bytes;
    use crate::{DecodeOptions, EncodeOptions, Report, decode_with_report, encode, read_coefficients, read_header};

    thread_local! {
        /// Parts that were looked at because they may touch wanted rows.
        pub(super) static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    /// A tall picture all of whose macroblocks announce 20 bit planes.
    fn tall(height: u32, channels: usize, mode: Mode, style: u8) -> Vec<u8> {
        let width = 16;
        let pixels: Vec<u8> =
            (0..u64::from(width * height) * channels as u64).map(|i| (i * i / 977 + i % 7 * (i % 11)) as u8).collect();
        let image = ImageRef { width, height, channels, mode, samples: SamplesRef::U8(&pixels) };
        let options = EncodeOptions { quality: 2, roi: style & flags::ROI != 0, ..EncodeOptions::default() };
        let mut data = encode(&image, &options).unwrap();
        let mut at = read_header(&data).unwrap().data_offset;
        data[3] = data[3] & !flags::V5 | style & flags::V5;
        let head = head_bytes(options.roi);
        while at + head < data.len() {
            let words = usize::from(u16::from_le_bytes([data[at], data[at + 1]]));
            data[at + head] = data[at + head] & !31 | 20;
            at += head + 4 * words;
        }
        data
    }

    /// The number of parts that decoding looks at; the pixels must be those of coefficients in 32 bits.
    fn looked_at(data: &[u8]) -> usize {
        LOOKED_AT.set(0);
        let (image, report): (_, Report) = decode_with_report(data, &DecodeOptions::default()).unwrap();
        let count = LOOKED_AT.get();
        assert!(report.partial > 0, "{report:?}");
        let (coefficients, _) = read_coefficients(data, false, &Limits::default()).unwrap();
        assert!(image == crate::synthesise(coefficients).unwrap());
        count
    }

    #[test]
    fn four_times_the_rows_are_four_times_the_work() {
        let styles = [flags::V5, flags::V5 | flags::ROI, 0];
        for (style, (channels, mode)) in styles.into_iter().flat_map(|s| [(s, (1, Mode::Gray)), (s, (3, Mode::Rgb))]) {
            let [few, many] = [1 << 13, 1 << 15].map(|height| looked_at(&tall(height, channels, mode, style)));
            println!("{mode:?}, flags {style:#x}: {few} and {many}");
            assert!(few > 100 && many <= 5 * few, "{mode:?}, flags {style:#x}: {few} and {many}");
        }
    }
}
