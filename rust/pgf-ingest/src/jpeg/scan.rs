//! From coded data to planes of samples.
//!
//! The coded data are cut into parts that [streams](super::streams) decode at the same time. Nothing in them says where
//! a part may begin; but a decoder that begins anywhere, in the middle of a code, falls into step with the right one
//! soon, mostly within a few MCUs, and stays in step. So the stream of a part is decoded on, MCU by MCU, until it meets
//! the next one's at the same bit between two MCUs: from there on the next one's are the right ones, and what it decoded
//! before is dropped. The result is that of decoding all in one go, whatever the data.

use super::blocks::{self, Mcus, Transform};
use super::headers::{Component, Headers};
use super::kept::{Kept, Kind, Table};
use super::streams::{Block, MORE_BITS, MORE_ROOM, MOST, ROOM, Stream, Work};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// MCUs that a stream may need to fall into step; one that does not shows that this file's never will.
const MOST_OUT_OF_STEP: usize = 100;
/// Fewest MCUs worth a part of their own.
const FEWEST: usize = 24;
/// Fewest bytes worth a part of their own.
const FEWEST_BYTES: usize = 256;
/// Coefficients of the buffer for one stream; what is left is for [walking](Decoding::join) beside them.
const REGION: usize = ROOM / MOST - MORE_ROOM;
/// Most bytes of unstuffed data, and most samples, that a thread keeps for the next file.
const MOST_KEPT: usize = 1 << 22;

/// The samples of one component.
#[derive(Default)]
pub(super) struct Plane {
    pub samples: Vec<u8>,
    pub stride: usize,
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Decodes all components at 1/`reduction` of the size and gives what `of` makes of them; `None` if the data are cut or
/// contradict themselves.
///
/// Components of half the size both ways are reduced by half as much: they need no enlarging then.
pub(super) fn decode<T>(headers: &Headers<'_>, reduction: usize, of: impl FnOnce(&[Plane]) -> T) -> Option<T> {
    // Taken out meanwhile: should this panic, the next file begins anew.
    let mut kept = KEPT.take().unwrap_or_else(Kept::new);
    let decoded = planes(headers, reduction, &mut kept).map(|()| of(&kept.planes));
    if kept.data.capacity() > MOST_KEPT {
        kept.data = Vec::new();
    }
    if kept.planes.iter().map(|plane| plane.samples.capacity()).sum::<usize>() > MOST_KEPT {
        kept.planes.clear();
    }
    KEPT.set(Some(kept));
    decoded
}

/// Fills the planes.
fn planes(headers: &Headers<'_>, reduction: usize, kept: &mut Kept) -> Option<()> {
    let ends = segments(headers, &mut kept.data)?;
    let mut blocks = Vec::new();
    let mut transforms = Vec::new();
    let sides: Vec<usize> = headers.components.iter().map(|c| side(headers, c, reduction)).collect();
    let pairs = sides.iter().all(|side| *side == 8);
    let mut wanted = Vec::new();
    for (component, side) in headers.components.iter().zip(&sides) {
        let (dc, ac) = (headers.dc[component.dc]?, headers.ac[component.ac]?);
        // Nothing is passed over where all is wanted.
        let kinds = match side {
            8 if pairs => [Kind::DcOfPairs, Kind::Pairs, Kind::Pairs],
            8 => [Kind::Dc, Kind::Ac, Kind::Ac],
            _ => [Kind::Dc, Kind::Ac, Kind::Skip],
        };
        wanted.extend(kinds.into_iter().zip([dc, ac, ac]));
    }
    let numbers = kept.tables(&wanted)?;
    for ((component, side), numbers) in headers.components.iter().zip(sides).zip(numbers.as_chunks::<3>().0) {
        let &Component { across, down, quantizer, .. } = component;
        blocks.extend(std::iter::repeat_n(block(side, *numbers, &kept.tables), across * down));
        transforms.push(Transform::new(across, down, side, &headers.quantizers[quantizer]));
    }
    kept.work.set_blocks(&blocks, pairs);
    let (across, down) = mcus(headers);
    kept.planes.resize_with(transforms.len(), Plane::default);
    for (plane, t) in kept.planes.iter_mut().zip(&transforms) {
        plane.stride = across * t.across * t.side;
        // All of them are written before any is read.
        plane.samples.resize(plane.stride * down * t.down * t.side, 0);
    }
    if std::mem::replace(&mut kept.littered, true) {
        kept.work.values.fill(0);
    }
    let mut decoding = Decoding {
        work: &mut kept.work,
        data: &kept.data,
        transforms,
        planes: &mut kept.planes,
        row: across,
        total: across * down,
        interval: if headers.restart == 0 { across * down } else { headers.restart },
        whole: blocks.iter().map(|block| block.size).sum(),
        end: 0,
        done: 0,
        left: 0,
        lanes: VecDeque::new(),
        free: (0..MOST).map(|n| n * REGION).collect(),
    };
    if headers.restart > 0 && decoding.interval * decoding.whole <= REGION / 2 {
        decoding.segments(&ends)?;
    } else {
        let mut start = 0;
        for end in ends {
            decoding.segment(start, end)?;
            start = end;
        }
    }
    kept.littered = false;
    Some(())
}

/// Samples that a block of a component gives across and down.
pub(super) fn side(headers: &Headers<'_>, component: &Component, reduction: usize) -> usize {
    let luma = &headers.components[0];
    let quartered = (luma.across, luma.down) == (2, 2) && (component.across, component.down) == (1, 1);
    if quartered && reduction > 1 { 16 / reduction } else { 8 / reduction }
}

/// MCUs across and down.
pub(super) fn mcus(headers: &Headers<'_>) -> (usize, usize) {
    let luma = &headers.components[0];
    (headers.width.div_ceil(8 * luma.across), headers.height.div_ceil(8 * luma.down))
}

/// A block whose codes are those of the tables of these numbers.
fn block(side: usize, numbers: [usize; 3], tables: &[Table]) -> Block {
    let place = |n: usize| blocks::place(n, side);
    Block {
        tables: numbers.map(|number| tables[number].begin),
        codes: [numbers[0], numbers[1]],
        wanted: (0..64).rfind(|n| place(*n).is_some()).unwrap_or(0),
        places: std::array::from_fn(|n| place(n).unwrap_or(side * side) as u8),
        size: blocks::size(side),
    }
}

/// The coded data without the zeros stuffed behind bytes of 255 (F.1.2.3, B.1.1.5), and where those between two restarts
/// end.
pub(super) fn segments(headers: &Headers<'_>, data: &mut Vec<u8>) -> Option<Vec<usize>> {
    let mut rest = headers.coded;
    let (across, down) = mcus(headers);
    let count = if headers.restart == 0 { 1 } else { (across * down).div_ceil(headers.restart) };
    let mut ends = Vec::new();
    data.clear();
    data.reserve(rest.len());
    loop {
        let Some(at) = memchr::memchr(0xff, rest) else {
            data.extend_from_slice(rest);
            break;
        };
        match rest.get(at + 1) {
            Some(0) => data.extend_from_slice(&rest[..=at]),
            Some(0xff) => {
                // A fill byte: the marker is behind it.
                data.extend_from_slice(&rest[..at]);
                rest = &rest[at + 1..];
                continue;
            }
            Some(marker @ 0xd0..=0xd7) if headers.restart > 0 && usize::from(marker & 7) == ends.len() % 8 => {
                data.extend_from_slice(&rest[..at]);
                ends.push(data.len());
            }
            Some(0xd9) | None => {
                data.extend_from_slice(&rest[..at]);
                break;
            }
            // Where the picture should be over already.
            Some(_) => return None,
        }
        rest = &rest[at + 2..];
    }
    ends.push(data.len());
    (ends.len() == count).then_some(ends)
}

/// One stream and the part of the coded data that it decodes.
struct Lane {
    stream: Stream,
    /// The bit that the part begins with.
    origin: usize,
    /// Whether no part of the segment follows.
    last: bool,
    /// Where its coefficients begin in the buffer, and where those that count do.
    region: usize,
    first: usize,
    /// The blocks in which it went astray.
    astray: Vec<usize>,
}

/// The decoding of a picture. The first lane is always in step.
struct Decoding<'a> {
    work: &'a mut Work,
    data: &'a [u8],
    transforms: Vec<Transform>,
    planes: &'a mut [Plane],
    /// MCUs to a row, of the picture, and between two restarts.
    row: usize,
    total: usize,
    interval: usize,
    /// Coefficients of an MCU in the buffer.
    whole: usize,
    /// The last bit of the segment.
    end: usize,
    /// MCUs that became samples, and those that the segment still has.
    done: usize,
    left: usize,
    lanes: VecDeque<Lane>,
    /// Regions of the buffer that no lane has.
    free: Vec<usize>,
}

impl Decoding<'_> {
    /// Decodes whole segments, each stream some that follow each other.
    fn segments(&mut self, ends: &[usize]) -> Option<()> {
        let start = |number: usize| if number == 0 { 0 } else { 8 * ends[number - 1] };
        let count = |number: usize| self.interval.min(self.total - number * self.interval);
        let most = REGION / 2 / (self.interval * self.whole);
        let each = most.min(ends.len().div_ceil(MOST));
        let begin = |work: &Work, number: usize, place: usize, region: usize| {
            let mut stream = work.stream(start(number), place);
            stream.stop = ((8 * ends[number]).saturating_sub(2 * MORE_BITS), region + REGION - 3 * MORE_ROOM);
            stream
        };
        for first in (0..ends.len()).step_by(each * MOST) {
            let lanes = (first..ends.len()).step_by(each).take(MOST);
            // Where each is, in which segment, behind which it is done, and where the segment's coefficients end.
            let mut lanes: Vec<(Stream, usize, usize, usize)> = lanes
                .zip((0..).step_by(REGION))
                .map(|(number, region)| {
                    let stream = begin(self.work, number, region, region);
                    (stream, number, (number + each).min(ends.len()), region + count(number) * self.whole)
                })
                .collect();
            while lanes.iter().any(|(_, number, last, _)| number < last) {
                let going: Vec<usize> = (0..lanes.len()).filter(|n| lanes[*n].1 < lanes[*n].2).collect();
                let mut streams: Vec<Stream> = going.iter().map(|n| lanes[*n].0).collect();
                if !streams.iter().any(Stream::stopped) {
                    self.work.run(self.data, &mut streams);
                    for (n, astray) in going.iter().zip(&self.work.rarely.astray) {
                        if astray.iter().any(|place| *place < lanes[*n].3) {
                            return None;
                        }
                    }
                }
                for (n, mut stream) in going.into_iter().zip(streams) {
                    let (lane, number, _, end) = &mut lanes[n];
                    if stream.stopped() {
                        while self.work.start_of_mcu(&stream) < *end {
                            if !self.work.walk(self.data, &mut stream) || stream.bit > 8 * ends[*number] {
                                return None;
                            }
                        }
                        self.work.values[*end..stream.place.max(*end) + MORE_ROOM].fill(0);
                        *number += 1;
                        if *number < ends.len() {
                            stream = begin(self.work, *number, *end, n * REGION);
                            *end += count(*number) * self.whole;
                        }
                    }
                    *lane = stream;
                }
            }
            for (n, (.., number, end)) in lanes.into_iter().enumerate() {
                // The last of them began the next segment already.
                let end = if number < ends.len() { end - count(number) * self.whole } else { end };
                let values = &self.work.values[n * REGION..end];
                let mcus = Mcus { values, first: self.done, row: self.row, interval: self.interval };
                blocks::transform(&mcus, &mut self.transforms, self.planes);
                self.done += values.len() / self.whole;
                self.work.values[n * REGION..end].fill(0);
            }
        }
        Some(())
    }

    /// Decodes the MCUs of the bytes between two restarts.
    fn segment(&mut self, start: usize, end: usize) -> Option<()> {
        let count = self.interval.min(self.total - self.done);
        (self.left, self.end) = (count, 8 * end);
        // As many as there are streams, or a multiple, so that no region overflows soon.
        let rounds = (count * self.whole * 3 / 2).div_ceil(REGION * MOST);
        let parts = (rounds * MOST).min(count / FEWEST).min((end - start) / FEWEST_BYTES).max(1);
        let bound = |part: usize| 8 * (start + (end - start) / parts * part);
        let mut next = 0;
        while self.left > 0 {
            while next < parts
                && let Some(region) = self.free.pop()
            {
                let mut stream = self.work.stream(bound(next), region);
                let last = next + 1 == parts;
                let stop = if last { self.end.saturating_sub(2 * MORE_BITS) } else { bound(next + 1) };
                stream.stop = (stop, region + REGION - 3 * MORE_ROOM);
                self.lanes.push_back(Lane {
                    stream,
                    origin: bound(next),
                    last,
                    region,
                    first: region,
                    astray: Vec::new(),
                });
                next += 1;
            }
            if !self.lanes[0].stream.stopped() {
                self.run()?;
            }
            let front = &self.lanes[0];
            if self.complete(front) >= self.left || front.stream.place >= front.stream.stop.1 {
                self.flush();
            } else if front.stream.bit >= front.stream.stop.0 {
                if front.last {
                    self.advance()?;
                } else if !self.join()? {
                    // Codes that never fall into step.
                    while self.lanes.len() > 1 {
                        self.release(1);
                    }
                    next = parts;
                    let front = &mut self.lanes[0];
                    (front.last, front.stream.stop.0) = (true, self.end.saturating_sub(2 * MORE_BITS));
                }
            }
        }
        while !self.lanes.is_empty() {
            self.release(0);
        }
        Some(())
    }

    /// MCUs of a lane that count and are complete.
    fn complete(&self, lane: &Lane) -> usize {
        self.work.start_of_mcu(&lane.stream).saturating_sub(lane.first) / self.whole
    }

    /// Lets all lanes go on that can; `None` if the first went astray.
    fn run(&mut self) -> Option<()> {
        let going: Vec<usize> = (0..self.lanes.len()).filter(|n| !self.lanes[*n].stream.stopped()).collect();
        let mut streams: Vec<Stream> = going.iter().map(|n| self.lanes[*n].stream).collect();
        self.work.run(self.data, &mut streams);
        for ((n, stream), astray) in going.into_iter().zip(streams).zip(&self.work.rarely.astray) {
            self.lanes[n].stream = stream;
            self.lanes[n].astray.extend(astray);
        }
        self.check()
    }

    /// `None` if the first lane went astray in an MCU that counts.
    fn check(&self) -> Option<()> {
        let front = &self.lanes[0];
        let counts = front.first..front.first + self.left * self.whole;
        (!front.astray.iter().any(|place| counts.contains(place))).then_some(())
    }

    /// Decodes the first lane up to the next end of an MCU.
    fn advance(&mut self) -> Option<()> {
        let stream = &mut self.lanes[0].stream;
        (self.work.walk(self.data, stream) && stream.bit <= self.end).then_some(())
    }

    /// Goes on with the first lane until the second is in step, which then becomes the first. If that takes as many MCUs
    /// as the second has, it is dropped; `false` if that takes too many.
    fn join(&mut self) -> Option<bool> {
        if !self.lanes[0].stream.between() {
            self.advance()?;
        }
        let most = self.complete(&self.lanes[1]);
        let mut trial = self.work.stream(self.lanes[1].origin, MOST * REGION);
        let (mut steps, mut passed) = (0, 0);
        loop {
            let front = &self.lanes[0];
            if self.complete(front) >= self.left {
                return Some(true);
            }
            match front.stream.bit.cmp(&trial.bit) {
                Ordering::Equal => {
                    self.flush();
                    self.release(0);
                    self.lanes[0].first += passed * self.whole;
                    self.check()?;
                    return Some(true);
                }
                Ordering::Less => {
                    if front.stream.place >= front.stream.stop.1 {
                        self.flush();
                    }
                    self.advance()?;
                }
                Ordering::Greater if passed < most => {
                    trial.place = MOST * REGION;
                    // It goes astray where the second lane did.
                    self.work.walk(self.data, &mut trial);
                    passed += 1;
                }
                Ordering::Greater => {
                    let Lane { last, stream, .. } = self.lanes[1];
                    let front = &mut self.lanes[0];
                    (front.last, front.stream.stop.0) = (last, stream.stop.0);
                    self.release(1);
                    return Some(true);
                }
            }
            steps += 1;
            if steps > MOST_OUT_OF_STEP {
                return Some(false);
            }
        }
    }

    /// Makes samples of the complete MCUs of the first lane and moves the one it is in to the start of its region.
    fn flush(&mut self) {
        let front = &self.lanes[0];
        let count = self.complete(front).min(self.left);
        let begun = self.work.start_of_mcu(&front.stream);
        let values = &self.work.values[front.first..front.first + count * self.whole];
        let mcus = Mcus { values, first: self.done, row: self.row, interval: self.interval };
        blocks::transform(&mcus, &mut self.transforms, self.planes);
        self.done += count;
        self.left -= count;
        let front = &mut self.lanes[0];
        let reached = front.stream.place + MORE_ROOM;
        self.work.values.copy_within(begun..begun + self.whole, front.region);
        self.work.values[front.region + self.whole..reached].fill(0);
        front.stream.place -= begun - front.region;
        front.first = front.region;
        front.astray.clear();
    }

    /// Removes a lane and leaves its region empty.
    fn release(&mut self, number: usize) {
        if let Some(lane) = self.lanes.remove(number) {
            self.work.values[lane.region..lane.stream.place + MORE_ROOM].fill(0);
            self.free.push(lane.region);
        }
    }
}
