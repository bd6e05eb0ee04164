//! Inputs made from sound streams and files.

use super::random::Random;
use super::sources::Sources;

/// The container of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Stream,
    File,
}

impl Container {
    /// A sound one of its kind.
    pub fn sound(self, random: &mut Random, sources: &mut Sources) -> Vec<u8> {
        match self {
            Container::Stream => sources.stream(random).to_vec(),
            Container::File => sources.file(random).to_vec(),
        }
    }

    /// An input: mostly a sound one with some damage, seldom bytes that never were sound.
    pub fn input(self, random: &mut Random, sources: &mut Sources) -> Vec<u8> {
        let mut data = match random.below(64) {
            0 => noise(random, 400),
            1 | 2 => {
                let mut data = match self {
                    Container::Stream => hostile_stream_header(random),
                    Container::File => hostile_file_header(random, sources),
                };
                if random.one_in(2) {
                    data.extend(noise(random, 600));
                } else {
                    let sound = self.sound(random, sources);
                    data.extend_from_slice(&sound[data.len().min(sound.len())..]);
                }
                data
            }
            _ => self.sound(random, sources),
        };
        let changes = match random.below(32) {
            0 | 1 => 0,
            2..18 => 1,
            18..28 => 2 + random.below(3),
            _ => 5 + random.below(16),
        };
        for _ in 0..changes {
            self.damage(&mut data, random, sources);
        }
        data
    }

    /// One change to bytes.
    pub fn damage(self, data: &mut Vec<u8>, random: &mut Random, sources: &mut Sources) {
        if data.is_empty() {
            return;
        }
        // Often the first bytes, which say more.
        let reach = if random.one_in(4) { data.len().min(64) } else { data.len() };
        let (place, count) = (random.below(reach), random.pick(&[1, 1, 2, 4, 16, 64]));
        let end = data.len().min(place + count);
        match random.below(if self == Container::Stream { 20 } else { 14 }) {
            0..3 => data[place] = random.byte(),
            3 => data[place] ^= 1 << random.below(8),
            4 => data[place] = random.pick(&[0, 1, 0x7F, 0x80, 0xFE, 0xFF]),
            5 => data[place..end].fill_with(|| random.byte()),
            6 => drop(data.splice(place..place, (0..count.min(16)).map(|_| random.byte()))),
            7 | 8 => drop(data.drain(place..end)),
            9 => data.truncate(place + 1),
            10 => drop(data.drain(..place.min(data.len() / 2))),
            11 => {
                let from = random.below(data.len());
                let copy = data[from..data.len().min(from + 4 * count)].to_vec();
                let end = random.pick(&[place, end]);
                data.splice(place..end, copy);
            }
            12 => {
                let other = self.sound(random, sources);
                data.truncate(place);
                data.extend_from_slice(&other[random.below(other.len())..]);
            }
            13 => {
                let any = random.byte();
                let value = random.pick(&[0, 0xFF, any]);
                data[place..end].fill(value);
            }
            _ => move_pieces(data, random, sources),
        }
    }
}

fn noise(random: &mut Random, most: usize) -> Vec<u8> {
    // Random bytes, markers among them or almost alone.
    let kind = random.below(3);
    let mut byte = || match kind {
        1 if random.one_in(6) => 0xFF,
        2 => random.pick(&[0xFF, 0xFF, 0, 1, 2, 0x0E, 0x0F, 0x7F]),
        _ => random.byte(),
    };
    let length = 1 + usize::from(byte()) * most / 256;
    (0..length).map(|_| byte()).collect()
}

/// Where the pieces of a stream begin; the first is what is before the first marker.
fn pieces(data: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    starts.extend((1..data.len().max(1) - 1).filter(|i| data[*i] == 0xFF && !matches!(data[i + 1], 0 | 0xFF)));
    starts.push(data.len());
    starts
}

/// Drops, repeats, moves, cuts, shuffles or borrows pieces of a stream.
fn move_pieces(data: &mut Vec<u8>, random: &mut Random, sources: &mut Sources) {
    let starts = pieces(data);
    let mut list: Vec<Vec<u8>> = starts.windows(2).map(|w| data[w[0]..w[1]].to_vec()).collect();
    let at = random.below(list.len());
    match random.below(8) {
        0 => drop(list.remove(at)),
        1 => {
            let (from, to) = random.span(list.len());
            list.drain(from..to);
        }
        2 => {
            let piece = list[at].clone();
            list.insert(random.below(list.len()), piece);
        }
        3 => {
            let piece = list.remove(at);
            list.insert(random.below(list.len() + 1), piece);
        }
        4 => {
            for i in (1..list.len()).rev() {
                list.swap(i, random.below(i + 1));
            }
        }
        5 => {
            let keep = random.below(list[at].len());
            list[at].truncate(keep);
        }
        6 => list.retain(|_| !random.one_in(4)),
        _ => {
            let other = sources.stream(random);
            let starts = pieces(&other);
            let from = random.below(starts.len() - 1);
            list.insert(at, other[starts[from]..starts[from + 1]].to_vec());
        }
    }
    *data = list.concat();
}

/// A stream's header whose sum is right, whatever else it says.
fn hostile_stream_header(random: &mut Random) -> Vec<u8> {
    let (big, deep, tokens) = (random.one_in(4), random.one_in(2), random.one_in(2));
    let mut out = vec![1 | u8::from(big) << 3 | u8::from(deep) << 4 | u8::from(tokens) << 5];
    let modes = random.pick(&[21, 21, 21, 21, 21, 21, 21, 32]);
    let mode = random.below(modes) as u8;
    out.push(mode | (random.byte() & 3) << 5);
    if matches!(mode, 7 | 8 | 14 | 15) {
        out.push(1 + random.below(9) as u8);
    }
    for _ in 0..2 {
        let side = match random.below(16) {
            0 => random.next() as u32,
            1 => 1 << random.below(32),
            2 => random.below(20_000) as u32,
            _ => 1 + random.below(90) as u32,
        };
        let digits = if big { 5 } else { 2 };
        out.extend((0..digits).rev().map(|i| (side >> (7 * i)) as u8 & 0x7F));
    }
    let most = random.pick(&[6, 6, 6, 32]);
    let levels = random.below(most) as u8;
    let quality = random.below(32) as u8;
    out.push(levels << 2 & 0x7F | quality >> 3);
    out.push((quality & 7) << 4 | random.byte() & 15);
    if deep {
        out.push(1 + random.below(32) as u8);
        let shifts = 1 + random.below(8);
        out.extend((0..shifts).map(|_| random.below(33) as u8));
    }
    out.push(random.byte() & 0x7F);
    let sum: u32 = out.iter().map(|b| u32::from(*b)).sum();
    out.push((sum & 0x7F) as u8);
    [&[0xFF, 1], &out[..]].concat()
}

/// A file's header in which some fields are anything.
fn hostile_file_header(random: &mut Random, sources: &mut Sources) -> Vec<u8> {
    let mut data = sources.file(random).to_vec();
    data.truncate(40);
    for _ in 0..1 + random.below(4) {
        let at = random.below(data.len().min(28));
        let size = random.pick(&[1, 2, 4]);
        let value = match random.below(4) {
            0 => random.next() as u32,
            1 => u32::MAX >> random.below(32),
            2 => 1 << random.below(32),
            _ => random.below(40) as u32,
        };
        for (slot, byte) in data[at..].iter_mut().zip(&value.to_le_bytes()[..size]) {
            *slot = *byte;
        }
    }
    data
}
