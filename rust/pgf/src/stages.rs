//! Every stage on its own over a whole picture, for benchmarks; nothing of the codec uses this.
//!
//! The codec fuses stages so that rows stay in the cache. Here each runs over all of its input before the next begins,
//! which shows what it costs, not what it costs inside the whole. The stages in order give the bytes of
//! [`encode`](crate::encode) and the pixels of [`decode`](crate::decode): a test checks that.

use crate::bitplane::{BlockDecoder, BlockEncoder, Checks};
use crate::coefficients::{Band, PlaneData, PlaneLayout, Target};
use crate::colour::{Colour, MAX_PLANES, Sample};
use crate::decode::{DecodeOptions, decode};
use crate::encode::{self, EncodeOptions, collect, colour_of, encode, header_for, too_noisy};
use crate::error::Result;
use crate::header::Header;
use crate::image::{ImageRef, Mode, SamplesRef};
use crate::planes::{BLOCK_VALUES, BitPlanes, BitPlanesHandle, Coefficient};
use crate::quantize::{dequantize, quantize, shift};
use crate::scan::{Block, Kind, Order, Style, block_parts, scatter};
use crate::subsample::{average_rows, repeat_row};
use crate::wavelet::{Forward, Frame, Inverse};

/// A stage of the codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Pixels and full-size planes.
    Colour,
    /// Full-size and halved colour planes; nothing up to quality 3.
    Subsample,
    /// All levels of the wavelet, without quantization.
    Lifting,
    /// Shifts of all bands; nothing at quality 0.
    Quantization,
    /// Bands and macroblocks, by the 8x8 scan.
    Scan,
    /// Macroblocks and bit planes, by transposition.
    Planes,
    /// Bit planes and code words.
    Bits,
}

/// The stages in the order of encoding.
pub const STAGES: [Stage; 7] =
    [Stage::Colour, Stage::Subsample, Stage::Lifting, Stage::Quantization, Stage::Scan, Stage::Planes, Stage::Bits];

/// Which way the data go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Pixels to a file.
    Encode,
    /// A file to pixels.
    Decode,
}

/// The bit planes of one macroblock.
struct BlockPlanes {
    store: BitPlanes,
    count: usize,
}

/// One 8-bit RGB picture at every point between pixels and code words.
pub struct Stages {
    header: Header,
    colour: Colour,
    layouts: Vec<PlaneLayout>,
    order: Order,
    blocks: Vec<Block>,
    file: Vec<u8>,
    /// What comes out of each stage of encoding, kept as input for the next.
    pixels: Vec<u8>,
    full: Vec<Vec<i16>>,
    halved: Vec<PlaneData<i16>>,
    lifted: Vec<PlaneData<i16>>,
    quantized: Vec<PlaneData<i16>>,
    values: Vec<i16>,
    planes: Vec<BlockPlanes>,
    code: Vec<Vec<u8>>,
    /// What comes out of each stage of decoding where encoding lost something.
    dequantized: Vec<PlaneData<i16>>,
    restored: Vec<PlaneData<i16>>,
    restored_full: Vec<Vec<i16>>,
    work: Work,
}

/// What the stages write into.
struct Work {
    full: Vec<Vec<i16>>,
    data: Vec<PlaneData<i16>>,
    values: Vec<i16>,
    store: BitPlanes,
    code: Vec<Vec<u8>>,
    pixels: Vec<u8>,
    encoder: BlockEncoder,
    decoder: BlockDecoder,
}

/// Calls a body compiled for AVX2 where the processor has it, as the codec does with its rows.
macro_rules! vectorised {
    (fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        fn $name($($argument: $type),*) {
            #[inline(always)]
            fn body($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $type),*) {
                body($($argument),*);
            }

            #[cfg(target_arch = "x86_64")]
            if crate::cpu::has_avx2() {
                // SAFETY: the processor has AVX2.
                unsafe { avx2($($argument),*) };
                return;
            }
            body($($argument),*);
        }
    };
}

fn mutable_rows(planes: &mut [Vec<i16>], y: usize, width: usize) -> [&mut [i16]; MAX_PLANES] {
    let mut rows: [&mut [i16]; MAX_PLANES] = Default::default();
    for (slot, plane) in rows.iter_mut().zip(planes) {
        *slot = &mut plane[y * width..][..width];
    }
    rows
}

vectorised! {
    fn import(colour: &Colour, width: usize, pixels: &[u8], planes: &mut [Vec<i16>]) {
        for (y, row) in pixels.chunks_exact(width * planes.len()).enumerate() {
            u8::import(colour, row, &mut mutable_rows(planes, y, width));
        }
    }
}

vectorised! {
    fn export(colour: &Colour, width: usize, planes: &[Vec<i16>], pixels: &mut [u8]) {
        for (y, row) in pixels.chunks_exact_mut(width * planes.len()).enumerate() {
            let mut rows: [&[i16]; MAX_PLANES] = Default::default();
            for (slot, plane) in rows.iter_mut().zip(planes) {
                *slot = &plane[y * width..][..width];
            }
            u8::export(colour, &rows, row);
        }
    }
}

vectorised! {
    fn halve(frame: &Frame, width: usize, full: &[i16], out: &mut [i16]) {
        for (y, pair) in full.chunks(2 * width).enumerate() {
            let (top, bottom) = pair.split_at(width);
            average_rows(top, (!bottom.is_empty()).then_some(bottom), frame.row_mut(out, y));
        }
    }
}

vectorised! {
    fn double(frame: &Frame, width: usize, halved: &[i16], out: &mut [i16]) {
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            repeat_row(frame.row(halved, y / 2), 0, row);
        }
    }
}

vectorised! {
    fn lift(levels: u8, layout: &PlaneLayout, data: &mut [i16]) {
        for (index, step) in layout.steps.iter().enumerate() {
            encode::advance((levels, 0), index as u8 + 1, &mut Forward::new(step.frame), data, step.frame.height);
        }
    }
}

vectorised! {
    fn unlift(header: &Header, layout: &PlaneLayout, data: &mut [i16]) {
        for step in layout.steps.iter().rev() {
            Inverse::new(step.frame).advance(data, step.frame.height, |_: &mut [i16], _| {});
        }
        debug_assert_eq!(layout.steps.len(), usize::from(header.levels));
    }
}

/// Calls `visit(frame, level, band)` for every band that is coded.
#[inline(always)]
fn each_band(header: &Header, layout: &PlaneLayout, mut visit: impl FnMut(&Frame, u8, Band)) {
    for level in 1..=header.levels {
        for band in [Band::LL, Band::HL, Band::LH, Band::HH] {
            if band != Band::LL || level == header.levels {
                visit(&layout.band(0, level, band).3, level, band);
            }
        }
    }
}

vectorised! {
    fn quantize_bands(header: &Header, layout: &PlaneLayout, data: &mut [i16]) {
        each_band(header, layout, |frame, level, band| {
            for y in 0..frame.height {
                quantize(frame.row_mut(data, y), shift(header.quantizer(), level, band), band != Band::LL);
            }
        });
    }
}

vectorised! {
    fn dequantize_bands(header: &Header, layout: &PlaneLayout, data: &mut [i16]) {
        each_band(header, layout, |frame, level, band| {
            for y in 0..frame.height {
                dequantize(frame.row_mut(data, y), shift(header.quantizer(), level, band));
            }
        });
    }
}

impl Stages {
    /// A picture of `width` x `height` RGB pixels at a quality, taken through all stages once, both ways.
    ///
    /// # Errors
    /// As [`encode`]; [`Error::Usage`](crate::Error::Usage) also for pictures too small for a wavelet level.
    pub fn new(width: u32, height: u32, pixels: &[u8], quality: u8) -> Result<Stages> {
        let image = ImageRef { width, height, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(pixels) };
        let options = EncodeOptions { quality, ..EncodeOptions::default() };
        let file = encode(&image, &options)?;
        let header = header_for(&image, &options)?;
        if header.levels == 0 {
            return Err(crate::Error::Usage(format!("{width}x{height} pixels: at least 10x10 have wavelet levels")));
        }
        let target = Target::new(&header, 0, None)?;
        let layouts: Vec<_> = (0..3).map(|c| PlaneLayout::new(&header, c, &target)).collect();
        let order = Order::new(&header, Style { roi: false, interleaved: false }, 0, usize::MAX);
        let blocks = order.blocks(usize::MAX);
        let full = vec![vec![0; pixels.len() / 3]; 3];
        let data: Vec<PlaneData<i16>> = layouts.iter().map(PlaneData::new).collect();
        let values = vec![0; blocks.len() * BLOCK_VALUES];
        let code = vec![Vec::new(); blocks.len()];
        let work = Work {
            full: full.clone(),
            data: data.clone(),
            values: values.clone(),
            store: BitPlanes::new(),
            code: code.clone(),
            pixels: vec![0; pixels.len()],
            encoder: BlockEncoder::new(false),
            decoder: BlockDecoder::new(),
        };
        let mut stages = Stages {
            header,
            colour: colour_of(&header),
            layouts,
            order,
            blocks,
            file,
            pixels: pixels.to_vec(),
            full: full.clone(),
            halved: data.clone(),
            lifted: data.clone(),
            quantized: data.clone(),
            values,
            planes: Vec::new(),
            code,
            dequantized: data.clone(),
            restored: data,
            restored_full: full,
            work,
        };
        stages.fill()?;
        Ok(stages)
    }

    /// Runs all stages in order and keeps what each makes.
    fn fill(&mut self) -> Result<()> {
        use Direction::{Decode, Encode};
        self.step(Encode, Stage::Colour);
        self.full.clone_from(&self.work.full);
        self.step(Encode, Stage::Subsample);
        self.halved.clone_from(&self.work.data);
        if !self.header.subsampled() {
            for (plane, full) in self.halved.iter_mut().zip(&self.full) {
                plane.buffers[0].copy_from_slice(full);
            }
        } else {
            self.halved[0].buffers[0].copy_from_slice(&self.full[0]);
        }
        self.step(Encode, Stage::Lifting);
        self.lifted.clone_from(&self.work.data);
        self.step(Encode, Stage::Quantization);
        self.quantized.clone_from(&self.work.data);
        self.step(Encode, Stage::Scan);
        self.values.clone_from(&self.work.values);
        for (block, values) in self.blocks.iter().zip(self.values.chunks_exact(BLOCK_VALUES)) {
            let (values, mut store) = (&values[..block.values], BitPlanes::new());
            let count = count_planes(values);
            i16::to_planes(values, count, &mut BitPlanesHandle(&mut store));
            self.planes.push(BlockPlanes { store, count });
        }
        self.step(Encode, Stage::Bits);
        self.code.clone_from(&self.work.code);
        if self.code.iter().any(Vec::is_empty) {
            return Err(too_noisy());
        }
        self.step(Decode, Stage::Quantization);
        self.dequantized.clone_from(&self.work.data);
        self.step(Decode, Stage::Lifting);
        self.restored.clone_from(&self.work.data);
        self.step(Decode, Stage::Subsample);
        self.restored_full.clone_from(&self.work.full);
        for (c, full) in self.restored_full.iter_mut().enumerate() {
            if c == 0 || !self.header.subsampled() {
                full.copy_from_slice(&self.restored[c].buffers[0]);
            }
        }
        Ok(())
    }

    fn step(&mut self, direction: Direction, stage: Stage) {
        self.prepare(direction, stage);
        self.run(direction, stage);
    }

    /// Lays out the input of a stage that works in place; to be called before every [`run`](Self::run), untimed.
    pub fn prepare(&mut self, direction: Direction, stage: Stage) {
        let input = match (direction, stage) {
            (Direction::Encode, Stage::Lifting) => &self.halved,
            (Direction::Encode, Stage::Quantization) => &self.lifted,
            (Direction::Decode, Stage::Quantization) => &self.quantized,
            (Direction::Decode, Stage::Lifting) => &self.dequantized,
            _ => return,
        };
        for (data, input) in self.work.data.iter_mut().zip(input) {
            data.buffers[0].copy_from_slice(&input.buffers[0]);
        }
    }

    /// Runs one stage over the whole picture.
    pub fn run(&mut self, direction: Direction, stage: Stage) {
        match direction {
            Direction::Encode => self.encode_stage(stage),
            Direction::Decode => self.decode_stage(stage),
        }
    }

    fn encode_stage(&mut self, stage: Stage) {
        let (header, width) = (&self.header, self.header.width as usize);
        let work = &mut self.work;
        match stage {
            Stage::Colour => import(&self.colour, width, &self.pixels, &mut work.full),
            Stage::Subsample if header.subsampled() => {
                for ((layout, full), data) in self.layouts.iter().zip(&self.full).zip(&mut work.data).skip(1) {
                    halve(&layout.samples, width, full, &mut data.buffers[0]);
                }
            }
            Stage::Subsample => {}
            Stage::Lifting => {
                for (layout, data) in self.layouts.iter().zip(&mut work.data) {
                    lift(header.levels, layout, &mut data.buffers[0]);
                }
            }
            Stage::Quantization => {
                for (layout, data) in self.layouts.iter().zip(&mut work.data) {
                    quantize_bands(header, layout, &mut data.buffers[0]);
                }
            }
            Stage::Scan => {
                for (block, values) in self.blocks.iter().zip(work.values.chunks_exact_mut(BLOCK_VALUES)) {
                    collect(&self.order, &self.layouts, &self.quantized, block, values);
                }
            }
            Stage::Planes => {
                for (block, values) in self.blocks.iter().zip(self.values.chunks_exact(BLOCK_VALUES)) {
                    let values = &values[..block.values];
                    i16::to_planes(values, count_planes(values), &mut BitPlanesHandle(&mut work.store));
                }
            }
            Stage::Bits => {
                let blocks = self.blocks.iter().zip(&mut self.planes).zip(&mut work.code);
                for ((block, planes), out) in blocks {
                    // The coder reads its own store: the planes are lent to it.
                    std::mem::swap(work.encoder.store(), &mut planes.store);
                    let code = work.encoder.encode_planes_of(block.values, planes.count);
                    out.clear();
                    out.extend_from_slice(code.unwrap_or_default());
                    std::mem::swap(work.encoder.store(), &mut planes.store);
                }
            }
        }
    }

    fn decode_stage(&mut self, stage: Stage) {
        let (header, width) = (&self.header, self.header.width as usize);
        let work = &mut self.work;
        match stage {
            Stage::Bits => {
                for (block, code) in self.blocks.iter().zip(&self.code) {
                    let outcome = work.decoder.examine(code, Checks::Exact, block.values);
                    debug_assert_eq!(outcome.lowest, 0);
                }
            }
            Stage::Planes => {
                let blocks = self.blocks.iter().zip(&mut self.planes).zip(work.values.chunks_exact_mut(BLOCK_VALUES));
                for ((block, planes), values) in blocks {
                    let handle = BitPlanesHandle(&mut planes.store);
                    i16::from_planes(&mut values[..block.values], planes.count, 0, &handle);
                }
            }
            Stage::Scan => {
                for (block, values) in self.blocks.iter().zip(self.values.chunks_exact(BLOCK_VALUES)) {
                    let runs = self.order.runs_of(&self.order.groups[block.group]);
                    for (run, from, position, length) in block_parts(runs, block) {
                        let Kind::Band(band) = run.kind else { continue };
                        let plane = usize::from(run.plane);
                        let (buffer, x, y, frame) = self.layouts[plane].band(0, run.level, band);
                        let data = &mut work.data[plane].buffers[buffer];
                        scatter(data, &frame, (x, y), run, from, &values[position..position + length]);
                    }
                }
            }
            Stage::Quantization => {
                for (layout, data) in self.layouts.iter().zip(&mut work.data) {
                    dequantize_bands(header, layout, &mut data.buffers[0]);
                }
            }
            Stage::Lifting => {
                for (layout, data) in self.layouts.iter().zip(&mut work.data) {
                    unlift(header, layout, &mut data.buffers[0]);
                }
            }
            Stage::Subsample if header.subsampled() => {
                for ((layout, full), data) in self.layouts.iter().zip(&mut work.full).zip(&self.restored).skip(1) {
                    double(&layout.samples, width, &data.buffers[0], full);
                }
            }
            Stage::Subsample => {}
            Stage::Colour => export(&self.colour, width, &self.restored_full, &mut work.pixels),
        }
    }

    /// Bytes that a stage has to read and write; the same in both directions.
    ///
    /// Samples between the stages have two bytes. Lifting reads and writes the samples of every level once.
    pub fn bytes(&self, stage: Stage) -> usize {
        let full = 2 * self.full.iter().map(Vec::len).sum::<usize>();
        let held: usize = self.blocks.iter().map(|block| 2 * block.values).sum();
        let planes: usize =
            self.blocks.iter().zip(&self.planes).map(|(b, planes)| b.values * (planes.count + 1) / 8).sum();
        let sum = |count: &dyn Fn(&PlaneLayout) -> usize| self.layouts.iter().map(count).sum::<usize>();
        match stage {
            Stage::Colour => self.pixels.len() + full,
            Stage::Subsample if self.header.subsampled() => {
                2 * self.full[1..].iter().map(Vec::len).sum::<usize>()
                    + 2 * self.layouts[1..].iter().map(|l| l.samples.width * l.samples.height).sum::<usize>()
            }
            Stage::Subsample => 0,
            Stage::Lifting => {
                sum(&|layout| layout.steps.iter().map(|step| 4 * step.frame.width * step.frame.height).sum())
            }
            Stage::Quantization => sum(&|layout| {
                let mut bytes = 0;
                each_band(&self.header, layout, |frame, level, band| {
                    if shift(self.header.quantizer(), level, band) > 0 {
                        bytes += 4 * frame.width * frame.height;
                    }
                });
                bytes
            }),
            Stage::Scan => 2 * held,
            Stage::Planes => held + planes,
            Stage::Bits => planes + self.code.iter().map(Vec::len).sum::<usize>(),
        }
    }

    /// The file that the stages make.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// Encodes the picture with the stages fused, as everyone else does.
    ///
    /// # Errors
    /// None that [`new`](Self::new) did not have.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let (width, height) = (self.header.width, self.header.height);
        let image = ImageRef { width, height, channels: 3, mode: Mode::Rgb, samples: SamplesRef::U8(&self.pixels) };
        encode(&image, &EncodeOptions { quality: self.header.quality, ..EncodeOptions::default() })
    }

    /// Decodes the file with the stages fused.
    ///
    /// # Errors
    /// None that [`new`](Self::new) did not have.
    pub fn decode(&self) -> Result<crate::Image> {
        decode(&self.file, &DecodeOptions::default())
    }
}

fn count_planes(values: &[i16]) -> usize {
    (32 - i16::magnitude_bits(values).leading_zeros()).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Samples;

    #[test]
    fn the_stages_in_order_are_the_codec() {
        let (width, height) = (203, 117);
        let pixels: Vec<u8> =
            (0..width * height * 3u32).map(|i| (i.wrapping_mul(i) / 977 + i % 7 * (i % 11)) as u8).collect();
        for quality in [0, 3, 6] {
            let mut stages = Stages::new(width, height, &pixels, quality).expect("a valid picture");
            let code: Vec<u8> = stages
                .code
                .iter()
                .flat_map(|code| [&((code.len() / 4) as u16).to_le_bytes()[..], code].concat())
                .collect();
            assert!(stages.file().ends_with(&code), "quality {quality}");
            stages.step(Direction::Decode, Stage::Planes);
            assert_eq!(stages.work.values, stages.values);
            stages.step(Direction::Decode, Stage::Scan);
            assert_eq!(stages.work.data, stages.quantized);
            stages.step(Direction::Decode, Stage::Colour);
            let whole = stages.decode().expect("a valid file");
            assert_eq!(whole.samples, Samples::U8(stages.work.pixels.clone()), "quality {quality}");
            for stage in STAGES {
                assert!(stages.bytes(stage) > 0 || quality < 4, "{stage:?} moves nothing at quality {quality}");
            }
        }
    }
}
