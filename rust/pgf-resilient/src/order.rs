//! What every plane of a block is worth, and the order of segments that follows from it.

use crate::block::{Part, shift_of};
use crate::segment::{Address, MOST_PLANES};
use crate::tile::{Tiles, is_active, words};
use pgf::bits::{BitMoves, BitWork, dispatch};
use pgf::{Band, Header, Mode};

/// L2 norms of the 5/3 synthesis basis for levels 1 to 6, measured by inverting single coefficients; every further
/// level doubles the last.
const NORMS: [[f64; 3]; 6] = [
    [1.500, 1.038, 0.719],
    [2.750, 1.592, 0.922],
    [5.375, 2.920, 1.586],
    [10.69, 5.703, 3.043],
    [21.34, 11.34, 6.021],
    [42.67, 22.64, 12.01],
];

/// Error in a colour difference and in the first plane, squared and summed over red, green and blue: from
/// `G = Y - (U + V) / 4`, `R = U + G`, `B = V + G`.
const FIRST_WEIGHT: f64 = 3.0;
const DIFFERENCE_WEIGHT: f64 = (9.0 + 1.0 + 1.0) / 16.0;

/// Squared error of the picture that a unit of a part's integers stands for.
pub(crate) fn weight(header: &Header, part: &Part, chroma: f64) -> f64 {
    let level = usize::from(part.level.max(1)) - 1;
    let row = NORMS[level.min(5)];
    let norm = match part.band {
        Band::LL => row[0],
        Band::HL | Band::LH => row[1],
        Band::HH => row[2],
    } * (level.saturating_sub(5) as f64).exp2();
    let norm = if part.level == 0 { 1.0 } else { norm };
    let step = f64::from(shift_of(header, part.level, part.band)).exp2();
    let differences = matches!(
        header.mode,
        Mode::Rgb | Mode::Rgba | Mode::Cmyk | Mode::Rgb48 | Mode::Cmyk64 | Mode::Rgb12 | Mode::Rgb16
    );
    let colour = match (differences, part.plane) {
        (true, 0) => FIRST_WEIGHT,
        (true, 1 | 2) => DIFFERENCE_WEIGHT * chroma,
        _ => 1.0,
    };
    // A sample of a halved plane covers four pixels.
    let area = if part.plane > 0 && header.subsampled() { 4.0 } else { 1.0 };
    norm * norm * step * step * colour * area
}

/// What plane `p` of a block takes from the squared error, and about how many bits it needs.
///
/// A coefficient that becomes significant in plane `n` lies between 2^n and 2^(n+1): about 9/4 of 4^n is gained; one
/// that is refined gains a quarter of 4^n.
pub(crate) fn worth(parts: &[Part], weights: &[f64], tiles: &Tiles, p: usize) -> (f64, f64) {
    dispatch(Worth { parts, weights, tiles, p })
}

struct Worth<'a> {
    parts: &'a [Part],
    weights: &'a [f64],
    tiles: &'a Tiles,
    p: usize,
}

impl BitWork for Worth<'_> {
    type Out = (f64, f64);

    #[inline(always)]
    fn run<B: BitMoves>(self, _: B) -> (f64, f64) {
        estimate(self.parts, self.weights, self.tiles, self.p)
    }
}

#[inline(always)]
fn estimate(parts: &[Part], weights: &[f64], tiles: &Tiles, p: usize) -> (f64, f64) {
    let (mut gain, mut bits) = (0.0, 0.0);
    for ((part, weight), tile) in parts.iter().zip(weights).zip(&tiles.tiles) {
        if !is_active(part, p) {
            continue;
        }
        let n = p - usize::from(part.lift);
        let plane = if n < tile.top { &tile.planes[n] } else { &[0; 32] };
        let (mut found, mut refined) = (0, 0);
        for (old, bits) in words(tile.rows()).zip(words(plane)) {
            found += (bits & !old).count_ones();
            refined += old.count_ones();
        }
        gain += weight * power_of_four(n) * (2.25 * f64::from(found) + 0.25 * f64::from(refined));
        let open = f64::from(u32::from(part.width) * u32::from(part.height) - refined);
        let found = f64::from(found);
        if found > 0.0 {
            bits += found * (2.5 + 0.8 * (open / found).log2());
        }
        bits += f64::from(refined) + open / 64.0;
    }
    (gain, bits)
}

/// 4^n, exactly.
pub(crate) fn power_of_four(n: usize) -> f64 {
    (1u64 << (2 * n.min(31))) as f64
}

/// One plane of a block, as far as order and segments care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaneWorth {
    pub gain: f64,
    pub bits: usize,
}

/// A segment with its place in the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub address: Address,
    /// Gain per byte, not increasing in a block.
    pub slope: f64,
    /// Bytes with marker and address, before stuffing.
    pub bytes: usize,
}

/// Cuts the planes of a block, `planes[0]` being plane `top - 1`, in segments of at least `least` bytes where that is
/// possible, and gives each its slope.
pub(crate) fn plan(block: usize, top: usize, planes: &[PlaneWorth], head: usize, least: usize, out: &mut Vec<Planned>) {
    let start = out.len();
    let mut at = 0;
    let mut gains = Vec::new();
    while at < planes.len() {
        let most = usize::from(MOST_PLANES[usize::from(at > 0)]).min(planes.len() - at);
        let (mut count, mut bits, mut gain) = (1, planes[at].bits, planes[at].gain);
        while count < most {
            let next = planes[at + count];
            let small = bits.div_ceil(8) < least;
            let steeper = next.gain * (bits + 8 * head) as f64 >= gain * next.bits as f64;
            if !small && !steeper {
                break;
            }
            bits += next.bits;
            gain += next.gain;
            count += 1;
        }
        let bytes = bits / 8 + 1 + head;
        let address = Address { block, plane: (top - 1 - at) as u8, count: count as u8, first: at == 0 };
        out.push(Planned { address, slope: gain / bytes as f64, bytes });
        gains.push((gain, bytes as f64));
        at += count;
    }
    // Slopes of a block fall: those that rise share the mean of their run (pool adjacent violators).
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (gain, bytes) in gains {
        let mut pool = (gain, bytes, 1);
        while let Some(last) = pools.last() {
            if last.0 * pool.1 > pool.0 * last.1 {
                break;
            }
            pool = (last.0 + pool.0, last.1 + pool.1, last.2 + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let mut planned = out[start..].iter_mut();
    for (gain, bytes, count) in pools {
        for segment in planned.by_ref().take(count) {
            segment.slope = gain / bytes;
        }
    }
}
