//! The decoder of several streams beside one that reads a symbol after the other.

use super::headers::{self, Headers, ZIGZAG};
use super::huffman::{Codes, END_OF_BLOCK, extend};
use super::{idct, idct8, scan};

/// A generator of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) * u64::from(end)) >> 32) as u32
    }
}

/// What a file is made of.
#[derive(Clone, Copy, Debug)]
struct Kind {
    width: u16,
    height: u16,
    /// Sampling of luma; `None` is gray.
    sampling: Option<(u8, u8)>,
    restart: u16,
    /// Luma and chroma have the same codes: streams that begin in the middle may never fall into step.
    same_codes: bool,
    /// One in so many blocks of the upper half has AC coefficients.
    flat: u32,
}

const DC: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const AC: [[u8; 16]; 2] =
    [[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119]];

/// Numbers of codes by length, and symbols: short codes for short runs and small values.
fn ac_spec(table: usize) -> Vec<u8> {
    let mut symbols: Vec<u8> = (0..=255).filter(|s| matches!(s & 15, 1..=10) || matches!(s, 0 | 0xf0)).collect();
    symbols.sort_by_key(|s| ((s >> 4) + 2 * (s & 15), *s));
    [&AC[table][..], &symbols].concat()
}

fn dc_spec() -> Vec<u8> {
    [&DC[..], &(0..12).collect::<Vec<u8>>()].concat()
}

/// Writes bits.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    bits: u64,
    held: u32,
}

impl Writer {
    fn put(&mut self, value: u32, count: u32) {
        self.bits = self.bits << count | u64::from(value) & ((1 << count) - 1);
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            let byte = (self.bits >> self.held) as u8;
            self.bytes.push(byte);
            if byte == 255 {
                self.bytes.push(0);
            }
        }
    }

    /// Ones up to the end of a byte.
    fn finish(&mut self) {
        self.put(127, (8 - self.held % 8) % 8);
    }

    fn symbol(&mut self, spec: &[u8], symbol: u8) {
        let (mut code, mut index) = (0, 16);
        for (length, count) in (1..).zip(&spec[..16]) {
            let symbols = &spec[index..index + usize::from(*count)];
            if let Some(at) = symbols.iter().position(|s| *s == symbol) {
                return self.put(code + at as u32, length);
            }
            (code, index) = ((code + u32::from(*count)) << 1, index + usize::from(*count));
        }
        panic!("{symbol} has no code");
    }

    fn value(&mut self, value: i32, size: u32) {
        self.put((if value < 0 { value - 1 } else { value }) as u32, size);
    }

    fn block(&mut self, (dc, ac): (&[u8], &[u8]), difference: i32, coefficients: &[i32]) {
        let size = |value: i32| 32 - value.unsigned_abs().leading_zeros();
        self.symbol(dc, size(difference) as u8);
        self.value(difference, size(difference));
        let mut run = 0;
        for value in coefficients {
            if *value == 0 {
                run += 1;
                continue;
            }
            while run > 15 {
                self.symbol(ac, 0xf0);
                run -= 16;
            }
            self.symbol(ac, (run << 4 | size(*value)) as u8);
            self.value(*value, size(*value));
            run = 0;
        }
        if run > 0 {
            self.symbol(ac, 0);
        }
    }
}

/// A file of random coefficients.
fn file(kind: Kind, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        bytes.extend([0xff, marker]);
        bytes.extend((body.len() as u16 + 2).to_be_bytes());
        bytes.extend(body);
    };
    for table in 0..2 {
        let quantizer: Vec<u8> = (0..64).map(|n| 1 + table + n / 9).collect();
        segment(0xdb, &[&[table][..], &quantizer].concat());
    }
    let tables = [ac_spec(0), ac_spec(usize::from(!kind.same_codes))];
    segment(0xc4, &[&[0][..], &dc_spec()].concat());
    segment(0xc4, &[&[0x10][..], &tables[0]].concat());
    segment(0xc4, &[&[0x11][..], &tables[1]].concat());
    if kind.restart > 0 {
        segment(0xdd, &kind.restart.to_be_bytes());
    }
    let (h, v) = kind.sampling.unwrap_or((1, 1));
    let count = if kind.sampling.is_some() { 3 } else { 1 };
    let specs = [[1, h << 4 | v, 0], [2, 0x11, 1], [3, 0x11, 1]];
    let [h1, h0] = kind.height.to_be_bytes();
    let [w1, w0] = kind.width.to_be_bytes();
    segment(0xc0, &[&[8, h1, h0, w1, w0, count][..], &specs[..usize::from(count)].concat()].concat());
    let specs = [[1, 0], [2, 1], [3, 1]];
    segment(0xda, &[&[count][..], &specs[..usize::from(count)].concat(), &[0, 63, 0]].concat());

    let across = usize::from(kind.width).div_ceil(8 * usize::from(h));
    let down = usize::from(kind.height).div_ceil(8 * usize::from(v));
    let mut writer = Writer { bytes, ..Writer::default() };
    let mut dc = [0; 3];
    for mcu in 0..across * down {
        if kind.restart > 0 && mcu > 0 && mcu % usize::from(kind.restart) == 0 {
            writer.finish();
            let number = (mcu / usize::from(kind.restart) - 1) % 8;
            writer.bytes.extend([0xff, 0xd0 + number as u8]);
            dc = [0; 3];
        }
        for (component, dc) in dc.iter_mut().enumerate().take(usize::from(count)) {
            for _ in 0..if component == 0 { h * v } else { 1 } {
                let mut coefficients = [0; 63];
                if mcu > across * down / 2 || random.below(kind.flat) == 0 {
                    let filled = [0, 3, 12, 63][random.below(4) as usize];
                    for value in &mut coefficients[..filled] {
                        let most = [0, 1, 1, 3, 40, 900][random.below(6) as usize];
                        *value = random.below(2 * most + 1) as i32 - most as i32;
                    }
                }
                let value = random.below(400) as i32 - 200;
                let table = usize::from(component > 0);
                writer.block((&dc_spec(), &tables[table]), value - *dc, &coefficients);
                *dc = value;
            }
        }
    }
    writer.finish();
    writer.bytes.extend([0xff, 0xd9]);
    writer.bytes
}

/// The bits of a segment, zeros behind the end.
struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl Bits<'_> {
    fn peek(&self, count: usize) -> u32 {
        let bit = |n: usize| self.bytes.get(n / 8).map_or(0, |byte| u32::from(byte >> (7 - n % 8) & 1));
        (self.next..self.next + count).fold(0, |bits, n| bits << 1 | bit(n))
    }

    fn symbol(&mut self, codes: &Codes) -> Option<(u32, i32)> {
        let (length, on, size) = codes.find(self.peek(16))?;
        self.next += length as usize;
        let value = extend(self.peek(size as usize), size);
        self.next += size as usize;
        Some((on, value))
    }
}

/// The samples of all components, block by block as figure F.12 of T.81 has it.
fn one_by_one(headers: &Headers<'_>, reduction: usize) -> Option<Vec<Vec<u8>>> {
    let mut data = Vec::new();
    let ends = scan::segments(headers, &mut data)?;
    let (across, down) = scan::mcus(headers);
    let interval = if headers.restart == 0 { across * down } else { headers.restart };
    let sides: Vec<usize> = headers.components.iter().map(|c| scan::side(headers, c, reduction)).collect();
    let mut planes: Vec<Vec<u8>> = Vec::new();
    for (c, side) in headers.components.iter().zip(&sides) {
        planes.push(vec![0; across * c.across * down * c.down * side * side]);
    }
    for (number, end) in ends.iter().enumerate() {
        let begin = if number == 0 { 0 } else { ends[number - 1] };
        let mut bits = Bits { bytes: &data[begin..*end], next: 0 };
        let mut dc = [0; 3];
        for mcu in number * interval..((number + 1) * interval).min(across * down) {
            for (c, component) in headers.components.iter().enumerate() {
                let codes =
                    (Codes::new(headers.dc[component.dc]?, true)?, Codes::new(headers.ac[component.ac]?, false)?);
                let quantizer = &headers.quantizers[component.quantizer];
                for n in 0..component.across * component.down {
                    let mut block = [0; 64];
                    dc[c] += bits.symbol(&codes.0)?.1;
                    block[0] = dc[c] * i32::from(quantizer[0]);
                    let mut k = 1;
                    while k < 64 {
                        let (on, value) = bits.symbol(&codes.1)?;
                        if on == END_OF_BLOCK {
                            break;
                        }
                        k += on as usize;
                        let place = ZIGZAG.get(k - 1)?;
                        block[usize::from(*place)] = value * i32::from(quantizer[k - 1]);
                    }
                    let (x, y) = (mcu % across * component.across + n % component.across, n / component.across);
                    let y = mcu / across * component.down + y;
                    let stride = across * component.across * sides[c];
                    let out = &mut planes[c][y * sides[c] * stride + x * sides[c]..];
                    match sides[c] {
                        8 => {
                            let block = block.map(|value| value as i16);
                            let samples = idct8::plain(&block, block[0], &[1; 64]);
                            for (line, out) in samples.iter().zip(out.chunks_mut(stride)) {
                                out[..8].copy_from_slice(line);
                            }
                        }
                        4 => put::<4>(&block, out, stride),
                        2 => put::<2>(&block, out, stride),
                        _ => put::<1>(&block, out, stride),
                    }
                }
            }
            if bits.next > 8 * bits.bytes.len() {
                return None;
            }
        }
    }
    Some(planes)
}

fn put<const SIDE: usize>(block: &[i32; 64], out: &mut [u8], stride: usize) {
    let mut lines = [[0; SIDE]; SIDE];
    for (y, line) in lines.iter_mut().enumerate() {
        line.copy_from_slice(&block[8 * y..8 * y + SIDE]);
    }
    let mut samples = [[0; SIDE]; SIDE];
    idct::inverse(&lines, &mut samples);
    for (line, out) in samples.iter().zip(out.chunks_mut(stride)) {
        out[..SIDE].copy_from_slice(line);
    }
}

/// Whether both decoders agree; gives whether there was a picture.
fn agree(bytes: &[u8], what: &dyn std::fmt::Debug) -> bool {
    let Some((headers, _)) = headers::read(bytes) else { return false };
    let mut picture = false;
    for reduction in [1, 2, 4, 8] {
        let expected = one_by_one(&headers, reduction);
        let found = scan::decode(&headers, reduction, |planes| {
            planes.iter().map(|plane| plane.samples.clone()).collect::<Vec<_>>()
        });
        assert!(found == expected, "{what:?} at 1/{reduction}");
        picture = found.is_some();
    }
    picture
}

fn kinds() -> Vec<Kind> {
    let plain = Kind { width: 333, height: 215, sampling: Some((2, 2)), restart: 0, same_codes: false, flat: 1 };
    let mut kinds = vec![Kind { width: 1, height: 1, ..plain }, Kind { width: 640, height: 480, flat: 300, ..plain }];
    for sampling in [None, Some((1, 1)), Some((2, 1)), Some((1, 2)), Some((2, 2))] {
        for restart in [0, 1, 7, 150] {
            kinds.push(Kind { sampling, restart, ..plain });
        }
        kinds.push(Kind { sampling, same_codes: true, ..plain });
    }
    kinds
}

#[test]
fn streams_decode_what_one_reader_does() {
    let mut random = Random(11);
    for kind in kinds() {
        assert!(agree(&file(kind, &mut random), &kind), "{kind:?}");
    }
}

#[test]
fn damaged_files_are_refused_or_read_alike() {
    let mut random = Random(12);
    let mut pictures = 0;
    for (n, kind) in kinds().into_iter().cycle().take(150).enumerate() {
        let kind = Kind { width: kind.width.min(200), height: kind.height.min(150), ..kind };
        let mut bytes = file(kind, &mut random);
        for _ in 0..1 + random.below(3) {
            // From the tables on.
            let at = 140 + random.below(bytes.len() as u32 - 140) as usize;
            bytes[at] = random.below(256) as u8;
        }
        if n % 5 == 0 {
            bytes.truncate(140 + random.below(bytes.len() as u32 - 140) as usize);
        }
        pictures += u32::from(agree(&bytes, &(n, kind)));
        // What was left of that one is not in the next.
        let next = Kind { width: 64, height: 64, ..kind };
        assert!(agree(&file(next, &mut random), &next));
    }
    assert!(pictures > 20, "{pictures}");
}
