//! The unquantised coefficients of a picture in coding order, and what an error of each of them costs.

use crate::coefficients::{Band, Coefficients, PlaneData, PlaneLayout, Planes, Target};
use crate::encode::collect;
use crate::error::Result;
use crate::header::{FileHeader, Header, Palette};
use crate::image::Class;
use crate::macroblock::head_bytes;
use crate::planes::{BLOCK_VALUES, BitPlanes, BitPlanesHandle, Coefficient, MAX_PLANES};
use crate::quantize::{Quantize, quantize, shift};
use crate::scan::{Block, Kind, Order, Style, block_parts};

/// Euclidean norms of the 5/3 synthesis functions, by level from 1: an error of 1 in a coefficient of that band adds
/// the norm's square to the squared error of the plane. Each level beyond doubles the last.
const LL_NORMS: [f64; 6] = [1.500, 2.750, 5.375, 10.69, 21.34, 42.67];
const HL_NORMS: [f64; 6] = [1.038, 1.592, 2.920, 5.703, 11.34, 22.64];
const HH_NORMS: [f64; 6] = [0.719, 0.922, 1.586, 3.043, 6.021, 12.01];

fn norm(level: u8, band: Band) -> f64 {
    let norms = match band {
        Band::LL => &LL_NORMS,
        Band::HL | Band::LH => &HL_NORMS,
        Band::HH => &HH_NORMS,
    };
    let beyond = level.saturating_sub(norms.len() as u8);
    norms[usize::from(level - beyond) - 1] * (1u64 << beyond) as f64
}

/// What a squared error of 1 in a plane adds to the squared error of all samples of a pixel.
fn plane_weight(header: &Header, plane: u8) -> f64 {
    let colour = matches!(header.mode.class(), Class::Yuv8 | Class::Yuv16 | Class::Yuv4 | Class::Yuv565);
    let weight = match plane {
        // g = y - (u + v) / 4, r = u + g, b = v + g: y enters three samples; u enters them by -1/4, 3/4 and -1/4.
        0 if colour => 3.0,
        1 | 2 if colour => 11.0 / 16.0,
        _ => 1.0,
    };
    // A sample of a halved plane is shown at four pixels.
    if plane > 0 && header.subsampled() { 4.0 * weight } else { weight }
}

/// Values of a macroblock that belong to one band.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// First value and the one behind the last, counted in the macroblock.
    pub start: usize,
    pub end: usize,
    pub level: u8,
    pub band: Band,
    /// What a squared error of 1 costs in squared error of the picture's samples.
    pub weight: f64,
    /// Largest magnitude.
    pub peak: u32,
}

/// How large the values of one band of one plane are.
#[derive(Debug, Clone)]
struct Census {
    plane: u8,
    level: u8,
    band: Band,
    values: u64,
    /// Values whose highest one-bit is bit p.
    tops: [u64; MAX_PLANES],
}

/// Both kinds of planes behind one name.
pub(crate) trait Held: Coefficient {
    fn of(planes: Planes) -> Option<Vec<PlaneData<Self>>>;
}

impl Held for i16 {
    fn of(planes: Planes) -> Option<Vec<PlaneData<i16>>> {
        if let Planes::Narrow(planes) = planes { Some(planes) } else { None }
    }
}

impl Held for i32 {
    fn of(planes: Planes) -> Option<Vec<PlaneData<i32>>> {
        if let Planes::Wide(planes) = planes { Some(planes) } else { None }
    }
}

/// A transformed, not yet quantised picture.
pub(crate) struct Source<T> {
    /// Its quality only tells whether planes are halved.
    pub header: Header,
    flags: u8,
    palette: Option<Box<Palette>>,
    user_data: Vec<u8>,
    planes: Vec<PlaneData<T>>,
    layouts: Vec<PlaneLayout>,
    pub order: Order,
    pub blocks: Vec<Block>,
    parts: Vec<Part>,
    /// The first part of each macroblock.
    first_parts: Vec<usize>,
    census: Vec<Census>,
}

impl<T: Held> Source<T> {
    /// `coefficients` are unquantised and have at least one level.
    pub fn new(coefficients: Coefficients) -> Result<Source<T>> {
        let Coefficients { header, flags, planes, palette, user_data, .. } = coefficients;
        let planes = T::of(planes).expect("the caller chose the type by the planes");
        let target = Target::new(&header, 0, None)?;
        let layouts = (0..planes.len()).map(|c| PlaneLayout::new(&header, c, &target)).collect();
        let order = Order::new(&header, Style::of_flags(flags, &header), 0, usize::MAX);
        let blocks = order.blocks(usize::MAX);
        let (parts, first_parts, census) = (Vec::new(), Vec::new(), Vec::new());
        let mut source =
            Source { header, flags, palette, user_data, planes, layouts, order, blocks, parts, first_parts, census };
        source.survey();
        Ok(source)
    }

    /// Finds the parts of every macroblock and how large their values are.
    fn survey(&mut self) {
        let mut values = vec![T::default(); BLOCK_VALUES];
        let mut store = BitPlanes::new();
        for index in 0..self.blocks.len() {
            let block = self.blocks[index];
            self.collect(index, &mut values);
            let planes = (32 - T::magnitude_bits(&values[..block.values]).leading_zeros()).max(1) as usize;
            T::to_planes(&values[..block.values], planes, &mut BitPlanesHandle(&mut store));
            self.first_parts.push(self.parts.len());
            for (run, _, start, length) in block_parts(self.order.runs_of(&self.order.groups[block.group]), &block) {
                let Kind::Band(band) = run.kind else { unreachable!("only files before version 5 interleave bands") };
                let (plane, level, end) = (run.plane, run.level, start + length);
                let peak = T::magnitude_bits(&values[start..end]);
                let tops = top_bits(&store, planes, start, end);
                let weight = plane_weight(&self.header, plane) * norm(level, band).powi(2);
                self.parts.push(Part { start, end, level, band, weight, peak });
                let of_band = |c: &&mut Census| (c.plane, c.level, c.band) == (plane, level, band);
                let census = match self.census.iter_mut().rev().take(4).find(of_band) {
                    Some(census) => census,
                    None => {
                        self.census.push(Census { plane, level, band, values: 0, tops: [0; MAX_PLANES] });
                        self.census.last_mut().expect("just pushed")
                    }
                };
                census.values += length as u64;
                for (sum, top) in census.tops.iter_mut().zip(tops) {
                    *sum += u64::from(top);
                }
            }
        }
        self.first_parts.push(self.parts.len());
    }

    pub fn collect(&self, index: usize, values: &mut [T]) {
        collect(&self.order, &self.layouts, &self.planes, &self.blocks[index], values);
    }

    /// A macroblock with the format's own quantization.
    pub fn quantize(&self, index: usize, quality: u8, values: &mut [T])
    where
        T: Quantize,
    {
        self.collect(index, values);
        for part in self.parts(index) {
            let shift = shift(self.quantizer(quality), part.level, part.band);
            quantize(&mut values[part.start..part.end], shift, part.band != Band::LL);
        }
    }

    pub fn parts(&self, index: usize) -> &[Part] {
        &self.parts[self.first_parts[index]..self.first_parts[index + 1]]
    }

    /// The quantization parameter of a quality whose planes are halved as here.
    pub fn quantizer(&self, quality: u8) -> i32 {
        Header { quality, ..self.header }.quantizer()
    }

    /// Everything in front of the first macroblock.
    pub fn write_header(&self, quality: u8, out: &mut Vec<u8>) -> Result<()> {
        let header = Header { quality, ..self.header };
        FileHeader::write(&header, self.flags, self.palette.as_deref(), &self.user_data, out)
    }

    /// Bytes of a file apart from its code words.
    pub fn frame_bytes(&self) -> Result<u64> {
        let mut head = Vec::new();
        self.write_header(self.header.quality, &mut head)?;
        Ok(head.len() as u64 + self.blocks.len() as u64 * head_bytes(self.order.roi) as u64)
    }

    /// A bound from below on the bits that the first plane takes, quantised as the format says.
    pub fn fewest_bits_of_first_plane(&self, quality: u8) -> u64 {
        let quantizer = self.quantizer(quality);
        let bits = self.census.iter().filter(|c| c.plane == 0).map(|c| {
            let shift = shift(quantizer, c.level, c.band) as usize;
            // Beyond the dead zone of 1.4 steps: a significance bit, a sign, and a bit for every plane below.
            let first = if shift == 0 { 0 } else { shift + 1 };
            (first..MAX_PLANES).map(|top| c.tops[top] * (2 + (top - shift) as u64)).sum::<u64>()
        });
        bits.sum()
    }

    /// About how many bits the code takes at a quantization parameter if nothing is dropped that rounds to a step.
    pub fn likely_bits(&self, quantizer: i32) -> f64 {
        let bits: f64 = self.census.iter().map(|c| c.likely_bits(shift(quantizer, c.level, c.band) as usize)).sum();
        let planes = |index: usize| {
            let planes_of = |part: &Part| {
                let shift = shift(quantizer, part.level, part.band).min(31);
                32 - ((part.peak + (1 << shift >> 1)) >> shift).leading_zeros()
            };
            self.parts(index).iter().map(planes_of).max().unwrap_or(0)
        };
        // Each plane has a head of 16 bits and two lists that end on words.
        let heads: u32 = (0..self.blocks.len()).map(|index| (48 * planes(index)).max(64)).sum();
        bits + f64::from(heads)
    }
}

impl Census {
    /// See [`Source::likely_bits`]. Values are taken as evenly spread between powers of two.
    fn likely_bits(&self, shift: usize) -> f64 {
        let top = |p: usize| self.tops.get(p).map_or(0.0, |n| *n as f64);
        let mut open = self.values as f64;
        let (mut known, mut bits) = (0.0, 0.0);
        for plane in (0..MAX_PLANES - shift.min(MAX_PLANES)).rev() {
            let p = plane + shift;
            // Rounding carries the upper part of each range over to the next plane.
            let hits = if plane == 0 {
                let below = if p > 0 { 0.7 * top(p - 1) } else { 0.0 };
                if shift == 0 { top(0) } else { below + 0.5 * top(p) }
            } else {
                let carry = 0.5 / (1u64 << plane.min(32)) as f64;
                if shift == 0 { top(p) } else { 2.0 * carry * top(p - 1) + (1.0 - carry) * top(p) }
            };
            if hits > 0.0 {
                let runs = hits * (log2(open / hits) + 2.1);
                bits += runs.min(open + hits);
            }
            bits += known;
            known += hits;
            open = (open - hits).max(1.0);
        }
        bits
    }
}

/// How many of the values `start .. end` have bit p as their highest one-bit, for every p.
pub(crate) fn top_bits(store: &BitPlanes, planes: usize, start: usize, end: usize) -> [u32; MAX_PLANES] {
    let mut counts = [0; MAX_PLANES];
    for w in start / 64..end.div_ceil(64) {
        let mut open = u64::MAX;
        if w == start / 64 {
            open &= u64::MAX << (start % 64);
        }
        if (w + 1) * 64 > end {
            open &= u64::MAX >> (64 - end % 64);
        }
        for p in (0..planes).rev() {
            let hits = store.planes[p][w] & open;
            counts[p] += hits.count_ones();
            open &= !hits;
        }
    }
    counts
}

/// Base-2 logarithm of a positive number, linear between powers of two: the same on every machine.
pub(crate) fn log2(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    exponent as f64 + (mantissa - 1.0)
}

/// Inverse of [`log2`], for results that are normal numbers.
pub(crate) fn exp2(x: f64) -> f64 {
    let whole = x.floor();
    let bits = ((whole as i64 + 1023).clamp(1, 2046) as u64) << 52;
    f64::from_bits(bits) * (1.0 + (x - whole))
}
