//! The base: one byte for every coefficient of the coarsest band, in chunks that each see all of the picture.

use crate::block::halved;
use crate::picture::Picture;

/// Values in a chunk.
pub(crate) const CHUNK: usize = 16;

/// Check bytes behind the values of a chunk, where there are any.
pub(crate) const CHECK: usize = 2;

/// Check bytes behind the values of a chunk.
pub(crate) fn check_bytes(picture: &Picture) -> usize {
    if picture.bare { 0 } else { CHECK }
}

/// Values of a chunk of a plane that has so many.
pub(crate) fn chunk_values(values: usize, index: usize) -> usize {
    (values - index * CHUNK).min(CHUNK)
}

/// The checks of chunks are sums modulo this prime.
const MODULUS: u32 = 251;

/// The sums behind a chunk: of its values, its plane and its number, plain and times their place, so that any one of
/// them that is wrong is found and mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    plain: u32,
    weighted: u32,
    count: u32,
}

/// Places of plane and number behind those of the values.
const PLANE_PLACE: u32 = CHUNK as u32 + 1;
const NUMBER_PLACE: u32 = CHUNK as u32 + 2;

impl Sums {
    pub fn new(plane: usize, index: usize) -> Sums {
        let (plane, index) = (plane as u32, (index % MODULUS as usize) as u32);
        let weighted = (PLANE_PLACE * plane + NUMBER_PLACE * index) % MODULUS;
        Sums { plain: (plane + index) % MODULUS, weighted, count: 0 }
    }

    /// The sums with the next value.
    pub fn with(self, value: u8) -> Sums {
        let (value, count) = (u32::from(value), self.count + 1);
        Sums { plain: (self.plain + value) % MODULUS, weighted: (self.weighted + count * value) % MODULUS, count }
    }

    pub fn bytes(self) -> [u8; CHECK] {
        [self.plain as u8, self.weighted as u8]
    }

    pub fn of(place: (usize, usize), values: &[u8]) -> Sums {
        values.iter().fold(Sums::new(place.0, place.1), |sums, v| sums.with(*v))
    }
}

/// A chunk whose check agrees, perhaps after one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sound {
    pub values: Vec<u8>,
    /// Plane and number (modulo 251) if the check says others than the address.
    pub place: Option<(usize, usize)>,
    /// Whether something had to be changed.
    pub mended: bool,
}

/// The values of a chunk out of the bytes behind its address: as they are, or with the one byte wrong, lost or extra
/// that makes them agree with their check. `None` if there is no such change.
///
/// Without a check (`check` is its length) they are sound if they are as many as there should be, and values.
pub(crate) fn sound(check: usize, bytes: &[u8], want: usize, place: (usize, usize)) -> Option<Sound> {
    if check == 0 {
        let values = bytes.to_vec();
        // FF is no base value.
        let fits = bytes.len() == want && !bytes.contains(&0xFF);
        return fits.then_some(Sound { values, place: None, mended: false });
    }
    let agrees = |bytes: &[u8]| {
        let (values, check) = bytes.split_at(want);
        Sums::of(place, values).bytes() == check
    };
    let found = |values: &[u8], mended| Some(Sound { values: values[..want].to_vec(), place: None, mended });
    if bytes.len() == want + CHECK {
        if agrees(bytes) {
            return found(bytes, false);
        }
        let (values, check) = bytes.split_at(want);
        let sums = Sums::of(place, values);
        let plain = (sums.plain + MODULUS - u32::from(check[0]) % MODULUS) % MODULUS;
        let weighted = (sums.weighted + MODULUS - u32::from(check[1]) % MODULUS) % MODULUS;
        if plain == 0 || weighted == 0 {
            // A byte of the check itself is wrong.
            return found(values, true);
        }
        let at = (1..=NUMBER_PLACE).find(|at| at * plain % MODULUS == weighted)?;
        let right = |wrong: u32| (wrong + MODULUS - plain) % MODULUS;
        let mut values = values.to_vec();
        let place = match at {
            PLANE_PLACE => Some((right(place.0 as u32) as usize, place.1 % MODULUS as usize)),
            NUMBER_PLACE => Some((place.0, right((place.1 % MODULUS as usize) as u32) as usize)),
            _ => {
                let slot = values.get_mut(at as usize - 1)?;
                *slot = right(u32::from(*slot) % MODULUS) as u8;
                None
            }
        };
        return Some(Sound { values, place, mended: true });
    }
    if bytes.len() == want + CHECK + 1 {
        return (0..bytes.len()).find_map(|extra| {
            let mut trying = bytes.to_vec();
            trying.remove(extra);
            agrees(&trying).then(|| found(&trying, true))?
        });
    }
    if bytes.len() + 1 == want + CHECK {
        // Of several values that would fit, the one nearest to the others: a chunk is coarse, but not noise.
        let others: i32 = bytes.iter().take(want).map(|v| i32::from(*v)).sum();
        let mean = others / bytes.len().min(want).max(1) as i32;
        let trials = (0..=bytes.len()).flat_map(|at| (0..=LARGEST as u8).map(move |value| (at, value)));
        let fitting = trials.filter_map(|(at, value)| {
            let mut trying = bytes.to_vec();
            trying.insert(at, value);
            agrees(&trying).then_some((if at < want { (i32::from(value) - mean).abs() } else { 0 }, trying))
        });
        return fitting.min_by_key(|f| f.0).and_then(|f| found(&f.1, true));
    }
    None
}

/// The largest base byte; FF stays free.
const LARGEST: i32 = 254;

/// What stands for zero.
const ZERO: i32 = 128;

/// The byte of a value.
pub(crate) fn to_byte(value: i32, shift: u8) -> u8 {
    ((value >> shift).saturating_add(ZERO)).clamp(0, LARGEST) as u8
}

/// The middle of what a byte stands for.
pub(crate) fn from_byte(byte: u8, shift: u8) -> i32 {
    let half = if shift > 0 { 1i32 << (shift - 1) } else { 0 };
    ((i32::from(byte) - ZERO) << shift).wrapping_add(half)
}

/// The smallest shift that loses no value of a plane to clamping.
pub(crate) fn shift_for(values: impl Iterator<Item = i32>, most: u8) -> u8 {
    let (mut low, mut high) = (0, 0);
    for v in values {
        low = low.min(v);
        high = high.max(v);
    }
    (0..most).find(|s| low >> s >= -ZERO && high >> s <= LARGEST - ZERO).unwrap_or(most)
}

/// Size of the base of a plane.
pub(crate) fn size(picture: &Picture, plane: usize) -> (usize, usize) {
    let (w, h) = picture.header.plane_size(plane);
    let levels = picture.levels();
    (halved(w, levels), halved(h, levels))
}

/// Column and row of the first value of each phase of a two by two grid.
const PHASES: [(usize, usize); 4] = [(0, 0), (1, 1), (1, 0), (0, 1)];

/// Positions in the order of the stream: the four phases, each row by row, so that every chunk has neighbours in others.
pub(crate) fn order(width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    PHASES.into_iter().flat_map(move |(dx, dy)| {
        (dy..height).step_by(2).flat_map(move |y| (dx..width).step_by(2).map(move |x| (x, y)))
    })
}

/// The position of one number in [`order`].
pub(crate) fn position(width: usize, height: usize, mut number: usize) -> Option<(usize, usize)> {
    for (dx, dy) in PHASES {
        let (columns, rows) = (width.saturating_sub(dx).div_ceil(2), height.saturating_sub(dy).div_ceil(2));
        if number < columns * rows {
            return Some((dx + 2 * (number % columns), dy + 2 * (number / columns)));
        }
        number -= columns * rows;
    }
    None
}

/// Chunks of a plane.
pub(crate) fn chunks(width: usize, height: usize) -> usize {
    (width * height).div_ceil(CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_nearest_they_can_be() {
        for shift in 0..8 {
            for value in -300..300 {
                let back = from_byte(to_byte(value, shift), shift);
                if (-128 << shift..127 << shift).contains(&value) {
                    assert!((back - value).abs() <= 1 << shift >> 1, "{value} {back}");
                }
            }
            assert_eq!(shift_for([-(128 << shift), (127 << shift) - 1].into_iter(), 20), shift);
        }
    }

    #[test]
    fn one_wrong_lost_or_extra_byte_of_a_chunk_is_mended() {
        let values: Vec<u8> = (0..16).map(|i| (i * 37 % 223) as u8 + 4).collect();
        for want in [1, 5, 16] {
            let place = (2, 3);
            let sums = Sums::of(place, &values[..want]);
            let bytes = [&values[..want], &sums.bytes()].concat();
            let is_right = |found: Option<Sound>, what: &str| {
                let found = found.unwrap_or_else(|| panic!("{what}: nothing"));
                assert_eq!((&found.values[..], found.place), (&values[..want], None), "{what}");
            };
            is_right(sound(CHECK, &bytes, want, place), "as it is");
            for at in 0..bytes.len() {
                for change in 1..=255u8 {
                    let mut wrong = bytes.clone();
                    wrong[at] ^= change;
                    // 251 more or less is the same sum.
                    if u32::from(wrong[at]) % MODULUS != u32::from(bytes[at]) % MODULUS {
                        is_right(sound(CHECK, &wrong, want, place), &format!("{change} at {at} of {want}"));
                    }
                }
                let mut extra = bytes.clone();
                extra.insert(at, 77);
                is_right(sound(CHECK, &extra, want, place), &format!("extra at {at} of {want}"));
            }
            for (wrong, other) in [((1, 3), Some(place)), ((2, 0), Some(place))] {
                let found = sound(CHECK, &bytes, want, wrong).unwrap();
                assert_eq!((&found.values[..], found.place), (&values[..want], other));
            }
        }
        let bytes = [&values[..], &Sums::of((0, 0), &values).bytes()].concat();
        let right = (0..bytes.len()).filter(|at| {
            let mut lost = bytes.clone();
            lost.remove(*at);
            sound(CHECK, &lost, 16, (0, 0)).is_some_and(|s| s.values == values)
        });
        // Two values can explain a gap; the one nearer to the rest is taken.
        assert!(right.count() >= 16);
    }

    #[test]
    fn every_position_comes_once() {
        for (w, h) in [(1, 1), (5, 8), (7, 1), (16, 9)] {
            let mut all: Vec<_> = order(w, h).collect();
            let numbered: Vec<_> = (0..w * h).map_while(|n| position(w, h, n)).collect();
            assert_eq!(all, numbered);
            assert_eq!(position(w, h, w * h), None);
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), w * h);
        }
    }
}
