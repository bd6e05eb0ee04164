//! What stands in for what is missing: base values from their neighbours, coefficients from what is known of them.

use crate::base;
use crate::block::Part;
use crate::picture::NO_LIMIT;
use crate::tile::{MAX_PLANES, Tile};
use pgf::rows::{Known, join_i16};
use pgf::{Band, BandPatchMut, Header, Rect};

/// Where in its interval a coefficient is put whose lower planes are missing. Measured optimum, flat from 0.34 to
/// 0.38: magnitudes fall off within an interval.
pub(crate) const RECONSTRUCTION: f64 = 0.36;

/// Writes the values of a part, from column and row `from` on, in steps of `2^-shift` of the stored integers: `shift`
/// bits are added below. Rows without any value but zero are left as they are, and must be zero.
pub(crate) fn place(tile: &Tile, shift: u32, from: (usize, usize), out: &mut BandPatchMut<'_>) {
    let offset = |known: usize| if known == 0 { 0 } else { estimate(0, known as u32, shift) };
    let known = Known {
        significant: tile.rows(),
        negative: &tile.negative,
        planes: &tile.planes,
        top: tile.top,
        low: tile.low,
        partial: &tile.partial,
        shift,
        offsets: [tile.low, tile.low.saturating_sub(1)].map(|n| offset(n).min(i16::MAX.into()) as i16),
    };
    let mut row = [0; 32];
    match out {
        BandPatchMut::Narrow(patch) if known.is_narrow() => join_i16(&known, from, patch),
        BandPatchMut::Narrow(patch) => {
            for y in (0..patch.height).filter(|y| known.significant[from.1 + y] != 0) {
                values(tile, from.1 + y, shift, &mut row);
                for (slot, v) in patch.row(y).iter_mut().zip(&row[from.0..]) {
                    *slot = (*v).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                }
            }
        }
        BandPatchMut::Wide(patch) => {
            for y in (0..patch.height).filter(|y| known.significant[from.1 + y] != 0) {
                values(tile, from.1 + y, shift, &mut row);
                let width = patch.width;
                patch.row(y).copy_from_slice(&row[from.0..from.0 + width]);
            }
        }
    }
}

/// The values of a row of a part, as [`place`] writes them.
pub(crate) fn values(tile: &Tile, y: usize, shift: u32, out: &mut [i32]) {
    out.fill(0);
    let mut rest = tile.rows()[y];
    let partial = tile.partial[y];
    while rest != 0 {
        let x = rest.trailing_zeros();
        rest &= rest - 1;
        let known = tile.low - usize::from(partial >> x & 1 == 1 && tile.low > 0);
        let mut magnitude = 0u32;
        // Planes from 32 on are there in parts below the highest of their block; sound ones are empty.
        for n in known..tile.top.min(MAX_PLANES) {
            magnitude |= (tile.planes[n][y] >> x & 1) << n;
        }
        let value = estimate(magnitude, known as u32, shift);
        out[x as usize] = if tile.negative[y] >> x & 1 == 1 { value.wrapping_neg() } else { value };
    }
}

/// The estimate of a magnitude of which the bits from `known` on are known; exact if all are.
#[inline(always)]
fn estimate(magnitude: u32, known: u32, shift: u32) -> i32 {
    if known == 0 {
        return magnitude.checked_shl(shift).unwrap_or(0) as i32;
    }
    let known = known.min(MAX_PLANES as u32);
    // The quantizer rounds, so an interval of stored integers begins half a step below its first.
    let half = if shift > 0 { 1i64 << (shift - 1) } else { 0 };
    let offset = (RECONSTRUCTION * (1u64 << (known + shift).min(62)) as f64) as i64;
    let scaled = i64::from(magnitude) << shift.min(31);
    (scaled - half).saturating_add(offset).clamp(0, i64::from(i32::MAX)) as i32
}

/// How far a value stands out from the range of its neighbours.
fn outlier(values: &[u8], width: usize, x: usize, y: usize) -> (u8, u8, u32) {
    let height = values.len() / width;
    let (mut low, mut high) = (255, 0);
    for ny in y.saturating_sub(1)..(y + 2).min(height) {
        for nx in x.saturating_sub(1)..(x + 2).min(width) {
            if (nx, ny) != (x, y) {
                let v = values[ny * width + nx];
                low = low.min(v);
                high = high.max(v);
            }
        }
    }
    let v = values[y * width + x];
    let by = if low > high { 0 } else { u32::from(low.saturating_sub(v)).max(u32::from(v.saturating_sub(high))) };
    (low, high, by)
}

/// The most by which any base value stands out from its eight neighbours.
pub(crate) fn largest_outlier(values: &[u8], width: usize) -> u32 {
    if values.len() < 2 {
        return 0;
    }
    (0..values.len()).map(|i| outlier(values, width, i % width, i / width).2).max().unwrap_or(0)
}

/// Bases of up to so many values are completed from all that is known, larger ones from the nearest.
const SMALL_BASE: usize = 256;

/// How far off, in base values, mid-gray counts as a known value: the less is known, the more it is worth.
const PRIOR_DISTANCE: f32 = 1.5;

/// Fills in missing base values from their neighbours and pulls in those that stand out by more than `limit`.
pub(crate) fn complete_base(values: &[Option<u8>], width: usize, limit: u8) -> Vec<u8> {
    let known: Vec<Option<f32>> = if values.iter().all(Option::is_some) {
        values.iter().map(|v| v.map(f32::from)).collect()
    } else if values.len() <= SMALL_BASE {
        from_all(values, width)
    } else {
        from_nearest(values, width)
    };
    let mut out: Vec<u8> = known.iter().map(|v| v.map_or(128, |v| v.round() as u8)).collect();
    if limit != NO_LIMIT && out.len() > 1 {
        let before = out.clone();
        for i in 0..out.len() {
            let (low, high, by) = outlier(&before, width, i % width, i / width);
            if by > u32::from(limit) {
                out[i] = before[i].clamp(low.saturating_sub(limit), high.saturating_add(limit));
            }
        }
    }
    out
}

/// Mean of all known values and mid-gray, by the inverse fourth power of the distance.
fn from_all(values: &[Option<u8>], width: usize) -> Vec<Option<f32>> {
    let place = |i: usize| ((i % width) as f32, (i / width) as f32);
    let known: Vec<(f32, f32, f32)> =
        values.iter().enumerate().filter_map(|(i, v)| v.map(|v| (place(i).0, place(i).1, f32::from(v)))).collect();
    let prior = PRIOR_DISTANCE.powi(-4);
    let mean = |i: usize| {
        let (x, y) = place(i);
        let (sum, weights) = known.iter().fold((prior * 128.0, prior), |(sum, weights), (kx, ky, v)| {
            let weight = ((kx - x).powi(2) + (ky - y).powi(2)).powi(-2);
            (sum + weight * v, weights + weight)
        });
        sum / weights
    };
    values.iter().enumerate().map(|(i, v)| Some(v.map_or_else(|| mean(i), f32::from))).collect()
}

/// Means of the known neighbours, from the known outwards.
fn from_nearest(values: &[Option<u8>], width: usize) -> Vec<Option<f32>> {
    let height = values.len() / width.max(1);
    let mut known: Vec<Option<f32>> = values.iter().map(|v| v.map(f32::from)).collect();
    let mut open: Vec<usize> = (0..known.len()).filter(|i| known[*i].is_none()).collect();
    // Rounds end when no value has a known neighbour; each looks only at what the one before left open.
    for _ in 0..MOST_ROUNDS {
        let mut found = Vec::new();
        for &i in &open {
            let (x, y) = (i % width, i / width);
            let (mut sum, mut count) = (0.0, 0.0);
            for ny in y.saturating_sub(1)..(y + 2).min(height) {
                for nx in x.saturating_sub(1)..(x + 2).min(width) {
                    if let Some(v) = known[ny * width + nx] {
                        // Next neighbours count twice as much as diagonal ones.
                        let weight = if nx == x || ny == y { 2.0 } else { 1.0 };
                        sum += weight * v;
                        count += weight;
                    }
                }
            }
            if count > 0.0 {
                found.push((i, sum / count));
            }
        }
        if found.is_empty() {
            break;
        }
        for (i, v) in found {
            known[i] = Some(v);
        }
        open.retain(|i| known[*i].is_none());
    }
    known
}

/// Rings that are filled around known values; what is farther off is mid-gray.
const MOST_ROUNDS: usize = 32;

/// The mean of the known neighbours of a base value.
pub(crate) fn mean_near(known: &[Option<u8>], width: usize, (x, y): (usize, usize)) -> Option<i32> {
    let height = known.len() / width;
    let (mut sum, mut count) = (0i32, 0);
    for ny in y.saturating_sub(1)..(y + 2).min(height) {
        for nx in x.saturating_sub(1)..(x + 2).min(width) {
            if let Some(v) = known[ny * width + nx].filter(|_| (nx, ny) != (x, y)) {
                sum += i32::from(v);
                count += 1;
            }
        }
    }
    (count > 0).then(|| sum / count)
}

/// The placement of `found`, one value too many or too few, in the `slots` positions that fits the neighbours best.
pub(crate) fn realign(found: &[u8], slots: &[(usize, usize)], known: &[Option<u8>], width: usize) -> Vec<Option<u8>> {
    let expected: Vec<Option<i32>> = slots.iter().map(|s| mean_near(known, width, *s)).collect();
    let candidates = (0..=slots.len().min(found.len())).map(|at| {
        let mut values: Vec<Option<u8>> = Vec::with_capacity(slots.len());
        if found.len() < slots.len() {
            // A gap.
            let gap = slots.len() - found.len();
            values.extend(found[..at].iter().copied().map(Some));
            values.extend(std::iter::repeat_n(None, gap));
            values.extend(found[at..].iter().copied().map(Some));
        } else {
            // Some too many.
            let over = found.len() - slots.len();
            values.extend(found[..at].iter().copied().map(Some));
            values.extend(found[(at + over).min(found.len())..].iter().copied().map(Some));
        }
        values.resize(slots.len(), None);
        values
    });
    let cost = |values: &Vec<Option<u8>>| -> i64 {
        let distances = values.iter().zip(&expected).filter_map(|(v, e)| Some((i32::from((*v)?) - (*e)?).abs()));
        distances.map(i64::from).sum()
    };
    candidates.min_by_key(cost).unwrap_or_else(|| vec![None; slots.len()])
}

/// The pixels that a part bears on most, without the filters' reach; `None` for an empty part.
pub(crate) fn footprint(header: &Header, levels: u8, part: &Part) -> Option<Rect> {
    if part.width == 0 || part.height == 0 {
        return None;
    }
    let level = if part.band == Band::LL { levels } else { part.level };
    let halved = u32::from(part.plane > 0 && header.subsampled());
    let scale = |v: u32, bound: u32| (u64::from(v) << (u32::from(level) + halved)).min(u64::from(bound)) as u32;
    Some(Rect {
        left: scale(part.x, header.width),
        top: scale(part.y, header.height),
        right: scale(part.x + u32::from(part.width), header.width),
        bottom: scale(part.y + u32::from(part.height), header.height),
    })
}

/// The integer that a base byte stands for.
pub(crate) fn base_value(byte: u8, shift: u8) -> i32 {
    base::from_byte(byte, shift)
}
