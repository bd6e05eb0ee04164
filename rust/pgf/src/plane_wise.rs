//! Encoding plane after plane: less memory for large pictures, or several threads.
//!
//! The ordinary way takes all planes through the first level in one sweep over the pixels and then holds them all. Here
//! every plane is computed on its own, which repeats the colour transform, and with one thread is coded and released
//! before the next.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bitplane::BlockEncoder;
use crate::coefficients::{PlaneData, PlaneLayout, Target};
use crate::colour::{Plane, Sample};
use crate::encode::{EncodeOptions, collect_part, too_noisy, transform, write_blocks};
use crate::error::Result;
use crate::header::{Header, flags};
use crate::planes::BLOCK_VALUES;
use crate::quantize::Quantize;
use crate::scan::{Block, Order, Style, block_parts};
use crate::threads::{clamped, start};

/// Bytes of samples from which one thread goes plane by plane.
const LARGE: usize = 1 << 26;
/// More planes than this would repeat the colour transform too often.
pub(crate) const MOST_PLANES: u8 = 4;

/// Whether a picture of so many 8-bit samples is to be encoded this way.
///
/// Tiles are not: their macroblocks may be so small that their padding repeats what earlier ones left (format section
/// 16), so that they have to be coded in order, and by one coder. Those of plain files are all alike, and with at most
/// 15 bit planes they and all that is tried for them stay inside what is cleared for each.
pub(crate) fn suits(header: &Header, options: &EncodeOptions<'_>, samples: usize) -> bool {
    header.levels > 0 && header.channels <= MOST_PLANES && !options.roi && (options.num_threads > 1 || samples >= LARGE)
}

/// Where the code words of every macroblock lie: which buffer and which bytes of it.
struct Coded {
    buffers: Vec<Vec<u8>>,
    places: Vec<(usize, Range<usize>)>,
}

struct Geometry {
    layouts: Vec<PlaneLayout>,
    order: Order,
    blocks: Vec<Block>,
}

impl Geometry {
    /// The planes of which a macroblock holds values: first and last.
    fn planes_of(&self, block: &Block) -> (usize, usize) {
        block_parts(self.order.runs_of(&self.order.groups[block.group]), block)
            .map(|(run, ..)| usize::from(run.plane))
            .fold((usize::MAX, 0), |(first, last), plane| (first.min(plane), last.max(plane)))
    }

    /// Fills in what a macroblock holds of a plane; its padding with zeros.
    fn collect(&self, block: &Block, plane: usize, data: &PlaneData<i16>, values: &mut [i16]) {
        for (run, from, position, length) in block_parts(self.order.runs_of(&self.order.groups[block.group]), block) {
            if usize::from(run.plane) == plane {
                collect_part(&self.layouts[plane], data, run, from, &mut values[position..position + length]);
            }
        }
        values[block.held..block.values].fill(0i16);
    }
}

/// Appends the file of a picture with wavelet levels to its header.
///
/// The bytes are those of the ordinary way for any number of threads.
pub(crate) fn write(header: &Header, options: &EncodeOptions<'_>, samples: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (favor_speed, threads) = (options.favor_speed, clamped(options.num_threads));
    let target = Target::new(header, 0, None)?;
    let layouts: Vec<_> = (0..usize::from(header.channels)).map(|c| PlaneLayout::new(header, c, &target)).collect();
    let order = Order::new(header, Style::of_flags(flags::CURRENT, header), 0, usize::MAX);
    let blocks = order.blocks(usize::MAX);
    let geometry = Geometry { layouts, order, blocks };
    let coded = if threads > 1 {
        code_on_threads(header, &geometry, favor_speed, threads, samples)?
    } else {
        code_in_turn(header, &geometry, favor_speed, samples)?
    };
    out.reserve_exact(coded.buffers.iter().map(Vec::len).sum::<usize>() + 4 * geometry.blocks.len());
    write_blocks(&geometry.order, &geometry.blocks, usize::MAX, out, |index, out| {
        let (buffer, range) = &coded.places[index];
        out.extend_from_slice(&coded.buffers[*buffer][range.clone()]);
        Ok(())
    })
    .map(|_| ())
}

/// One plane of the picture, transformed and quantised.
fn plane(header: &Header, c: usize, samples: &[u8]) -> Result<PlaneData<i16>> {
    Ok(transform(header, header.quantizer(), samples, Some(c))?.swap_remove(c))
}

/// A plane at a time: macroblocks across two planes wait for the later one.
fn code_in_turn(header: &Header, geometry: &Geometry, favor_speed: bool, samples: &[u8]) -> Result<Coded> {
    let mut coder = BlockEncoder::new(favor_speed);
    let mut coded = Coded { buffers: vec![Vec::new()], places: vec![(0, 0..0); geometry.blocks.len()] };
    let mut waiting: Vec<Option<Vec<i16>>> = vec![None; geometry.blocks.len()];
    let mut values = vec![0i16; BLOCK_VALUES];
    for c in 0..geometry.layouts.len() {
        let data = plane(header, c, samples)?;
        for (index, block) in geometry.blocks.iter().enumerate() {
            let (first, last) = geometry.planes_of(block);
            if c < first || c > last {
                continue;
            }
            if c < last {
                let partial = waiting[index].get_or_insert_with(|| vec![0i16; block.values]);
                geometry.collect(block, c, &data, partial);
                continue;
            }
            let mut partial = waiting[index].take();
            let values = partial.as_deref_mut().unwrap_or(&mut values[..block.values]);
            geometry.collect(block, c, &data, values);
            let code = coder.encode(values).ok_or_else(too_noisy)?;
            let start = coded.buffers[0].len();
            coded.buffers[0].extend_from_slice(code);
            coded.places[index] = (0, start..start + code.len());
        }
    }
    Ok(coded)
}

/// All planes of a picture, transformed and quantised, each on its own.
pub(crate) fn planes_on_threads<S: Sample, T: Quantize + Plane + Send>(
    header: &Header,
    quantizer: i32,
    threads: usize,
    samples: &[S],
) -> Result<Vec<PlaneData<T>>> {
    let channels = usize::from(header.channels);
    let next = AtomicUsize::new(0);
    let made = Mutex::new(Vec::with_capacity(channels));
    on_threads(threads.min(channels), |_| {
        loop {
            let c = next.fetch_add(1, Ordering::Relaxed);
            if c >= channels {
                return Ok(());
            }
            let data = transform(header, quantizer, samples, Some(c))?.swap_remove(c);
            made.lock().expect("no thread panics with the lock").push((c, data));
        }
    })?;
    let mut planes = made.into_inner().expect("no thread panics with the lock");
    planes.sort_by_key(|(c, _)| *c);
    Ok(planes.into_iter().map(|(_, data)| data).collect())
}

/// First the planes, then the macroblocks are shared out; each thread takes what comes next.
fn code_on_threads(
    header: &Header,
    geometry: &Geometry,
    favor_speed: bool,
    threads: usize,
    samples: &[u8],
) -> Result<Coded> {
    let planes: Vec<PlaneData<i16>> = planes_on_threads(header, header.quantizer(), threads, samples)?;

    let next = AtomicUsize::new(0);
    let threads = threads.min(geometry.blocks.len()).max(1);
    let parts = Mutex::new(Vec::with_capacity(threads));
    on_threads(threads, |thread| {
        let mut coder = BlockEncoder::new(favor_speed);
        let mut values = vec![0i16; BLOCK_VALUES];
        let (mut buffer, mut places) = (Vec::new(), Vec::new());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(block) = geometry.blocks.get(index) else { break };
            let (first, last) = geometry.planes_of(block);
            for (c, data) in (first..).zip(&planes[first..=last]) {
                geometry.collect(block, c, data, &mut values);
            }
            let code = coder.encode(&values[..block.values]).ok_or_else(too_noisy)?;
            places.push((index, buffer.len()..buffer.len() + code.len()));
            buffer.extend_from_slice(code);
        }
        parts.lock().expect("no thread panics with the lock").push((thread, buffer, places));
        Ok(())
    })?;
    let mut coded = Coded { buffers: vec![Vec::new(); threads], places: vec![(0, 0..0); geometry.blocks.len()] };
    for (thread, buffer, places) in parts.into_inner().expect("no thread panics with the lock") {
        coded.buffers[thread] = buffer;
        for (index, range) in places {
            coded.places[index] = (thread, range);
        }
    }
    Ok(coded)
}

/// Runs `work(number)` on so many threads, the caller's among them; the first error in their order is returned.
fn on_threads(threads: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let others = start(scope, threads, work);
        let mut result = work(0);
        for other in others {
            let found = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(found);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{encode, header_for};
    use crate::header::FileHeader;
    use crate::image::{ImageRef, Mode, SamplesRef};

    #[test]
    fn one_thread_and_many_write_what_the_ordinary_way_writes() {
        for (mode, channels, quality) in [(Mode::Gray, 1, 0), (Mode::Rgb, 3, 0), (Mode::Rgb, 3, 5), (Mode::Rgba, 4, 6)]
        {
            let (width, height) = (301u32, 203u32);
            let samples: Vec<u8> = (0..width * height * channels)
                .map(|i| (i / channels % width + i / (width * channels) * 2 + i.wrapping_mul(i) % 23) as u8)
                .collect();
            let samples_ref = SamplesRef::U8(&samples);
            let image = ImageRef { width, height, channels: channels as usize, mode, samples: samples_ref };
            for num_threads in [1, 3] {
                let options = EncodeOptions { quality, ..EncodeOptions::default() };
                let expected = encode(&image, &options).expect("a valid picture");
                let header = header_for(&image, &options).expect("a valid picture");
                let mut file = Vec::new();
                FileHeader::write(&header, flags::CURRENT, None, &[], &mut file).expect("a valid header");
                write(&header, &EncodeOptions { num_threads, ..options }, &samples, &mut file)
                    .expect("a valid picture");
                assert!(file == expected, "{mode:?} quality {quality}, {num_threads} threads");
            }
        }
    }
}
