//! From coded data to planes of samples: Huffman decoding, dequantization, inverse transform, MCU by MCU.

use super::headers::{Component, Headers};
use super::huffman::{Bits, END_OF_BLOCK, Table};
use super::idct;
use std::cell::RefCell;
use std::rc::Rc;

/// Where the n-th coefficient of the zigzag stands in its block (figure 5 of T.81).
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55,
    62, 63,
];
/// The last of the zigzag inside the first four, two and one rows and columns.
const LAST_OF_4: u32 = 24;
const LAST_OF_2: u32 = 4;
/// The zigzag up to here stays inside the first four rows and columns.
const INSIDE_4: u32 = 9;
/// Huffman tables that a thread keeps: files of one encoder share theirs.
const MOST_TABLES: usize = 16;

/// The samples of one component.
pub(super) struct Plane {
    pub samples: Vec<u8>,
    pub stride: usize,
}

struct Decoding<'a> {
    component: Component,
    dc: &'a Table,
    ac: &'a Table,
    quantizer: &'a [u16; 64],
    /// Samples a block gives across and down.
    side: usize,
    last_dc: i32,
}

/// Whether it is for DC coefficients, what the file says of it, and the table.
type Known = (bool, Vec<u8>, Rc<Table>);

thread_local! {
    static TABLES: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// Decodes all components at 1/`reduction` of the size; `None` if the data are cut or contradict themselves.
///
/// Components of half the size both ways are reduced by half as much: they need no enlarging then.
pub(super) fn planes(headers: &Headers<'_>, reduction: usize) -> Option<Vec<Plane>> {
    let segments = segments(headers)?;
    let table = |spec: Option<&[u8]>, dc: bool| table_of(spec?, dc);
    let tables: Option<Vec<_>> = headers
        .components
        .iter()
        .map(|c| Some((table(headers.dc[c.dc], true)?, table(headers.ac[c.ac], false)?)))
        .collect();
    let tables = tables?;
    let mut decodings: Vec<Decoding<'_>> = headers
        .components
        .iter()
        .zip(&tables)
        .map(|(component, (dc, ac))| Decoding {
            component: *component,
            dc,
            ac,
            quantizer: &headers.quantizers[component.quantizer],
            side: side(headers, component, reduction),
            last_dc: 0,
        })
        .collect();
    let (across, down) = mcus(headers);
    let mut planes: Vec<Plane> = decodings
        .iter()
        .map(|d| {
            let stride = across * d.component.across * d.side;
            Plane { samples: vec![0; stride * down * d.component.down * d.side], stride }
        })
        .collect();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        unsafe { decode_avx2(&segments, headers.restart, (across, down), &mut decodings, &mut planes) }?;
        return Some(planes);
    }
    decode(&segments, headers.restart, (across, down), &mut decodings, &mut planes)?;
    Some(planes)
}

/// Samples that a block of a component gives across and down.
pub(super) fn side(headers: &Headers<'_>, component: &Component, reduction: usize) -> usize {
    let luma = &headers.components[0];
    let quartered = (luma.across, luma.down) == (2, 2) && (component.across, component.down) == (1, 1);
    if quartered && reduction > 1 { 16 / reduction } else { 8 / reduction }
}

/// MCUs across and down.
fn mcus(headers: &Headers<'_>) -> (usize, usize) {
    let luma = &headers.components[0];
    (headers.width.div_ceil(8 * luma.across), headers.height.div_ceil(8 * luma.down))
}

fn table_of(spec: &[u8], dc: bool) -> Option<Rc<Table>> {
    TABLES.with_borrow_mut(|known| {
        if let Some((_, _, table)) = known.iter().find(|(d, s, _)| *d == dc && s == spec) {
            return Some(Rc::clone(table));
        }
        let mut table = Table::new(spec, dc)?;
        if !dc {
            table.prepare_skipping();
        }
        let table = Rc::new(table);
        if known.len() == MOST_TABLES {
            known.remove(0);
        }
        known.push((dc, spec.to_vec(), Rc::clone(&table)));
        Some(table)
    })
}

/// The coded data between restarts, without the zeros stuffed behind bytes of 255 (F.1.2.3, B.1.1.5).
fn segments(headers: &Headers<'_>) -> Option<Vec<Vec<u8>>> {
    let mut rest = headers.coded;
    let (across, down) = mcus(headers);
    let count = if headers.restart == 0 { 1 } else { (across * down).div_ceil(headers.restart) };
    let mut segments = Vec::new();
    let mut segment = Vec::with_capacity(rest.len());
    loop {
        let Some(at) = memchr::memchr(0xff, rest) else {
            segment.extend_from_slice(rest);
            break;
        };
        match rest.get(at + 1) {
            Some(0) => segment.extend_from_slice(&rest[..=at]),
            Some(0xff) => {
                // A fill byte: the marker is behind it.
                segment.extend_from_slice(&rest[..at]);
                rest = &rest[at + 1..];
                continue;
            }
            Some(marker @ 0xd0..=0xd7) if headers.restart > 0 && usize::from(marker & 7) == segments.len() % 8 => {
                segment.extend_from_slice(&rest[..at]);
                segments.push(std::mem::take(&mut segment));
            }
            _ => {
                segment.extend_from_slice(&rest[..at]);
                break;
            }
        }
        rest = &rest[at + 2..];
    }
    segments.push(segment);
    (segments.len() == count).then_some(segments)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn decode_avx2(
    segments: &[Vec<u8>],
    restart: usize,
    size: (usize, usize),
    decodings: &mut [Decoding<'_>],
    planes: &mut [Plane],
) -> Option<()> {
    decode(segments, restart, size, decodings, planes)
}

#[inline(always)]
fn decode(
    segments: &[Vec<u8>],
    restart: usize,
    (across, down): (usize, usize),
    decodings: &mut [Decoding<'_>],
    planes: &mut [Plane],
) -> Option<()> {
    let interval = if restart == 0 { across * down } else { restart };
    let mut block = [0i32; 64];
    for (number, segment) in segments.iter().enumerate() {
        let mut bits = Bits::new(segment);
        for decoding in decodings.iter_mut() {
            decoding.last_dc = 0;
        }
        let first = number * interval;
        for mcu in first..(first + interval).min(across * down) {
            let (column, row) = (mcu % across, mcu / across);
            for (decoding, plane) in decodings.iter_mut().zip(planes.iter_mut()) {
                let Component { across, down, .. } = decoding.component;
                for y in 0..down {
                    for x in 0..across {
                        let (left, top) = ((column * across + x) * decoding.side, (row * down + y) * decoding.side);
                        let out = &mut plane.samples[top * plane.stride + left..];
                        decode_block(&mut bits, decoding, &mut block, out, plane.stride)?;
                    }
                }
            }
            if bits.overran() {
                return None;
            }
        }
    }
    Some(())
}

#[inline(always)]
fn decode_block(
    reader: &mut Bits<'_>,
    decoding: &mut Decoding<'_>,
    block: &mut [i32; 64],
    out: &mut [u8],
    stride: usize,
) -> Option<()> {
    // A copy of its own, so that the state stays in registers.
    let mut bits = *reader;
    let (_, difference) = bits.next(decoding.dc)?;
    decoding.last_dc = decoding.last_dc.wrapping_add(difference);
    let side = decoding.side;
    let wanted = match side {
        8 => 63,
        4 => LAST_OF_4,
        2 => LAST_OF_2,
        _ => 0,
    };
    let dc = decoding.last_dc.wrapping_mul(i32::from(decoding.quantizer[0]));
    let (mut k, mut last) = (1, 0);
    while k <= wanted {
        let (run, value) = bits.next(decoding.ac)?;
        if run == END_OF_BLOCK {
            k = 64;
            break;
        }
        k += run;
        if k > 63 {
            return None;
        }
        let index = k as usize;
        block[usize::from(ZIGZAG[index])] = value.wrapping_mul(i32::from(decoding.quantizer[index]));
        last = k;
        k += 1;
    }
    if k < 64 {
        bits.skip(decoding.ac, k)?;
    }
    *reader = bits;
    if last == 0 || side == 1 {
        let mean = idct::mean(dc);
        for row in out.chunks_mut(stride).take(side) {
            row[..side].fill(mean);
        }
        if last > 0 {
            *block = [0; 64];
        }
        return Some(());
    }
    block[0] = dc;
    match side {
        8 if last <= INSIDE_4 => idct::full::<4>(block, out, stride),
        8 => idct::full::<8>(block, out, stride),
        4 => idct::half(block, out, stride),
        _ => idct::quarter(block, out, stride),
    }
    *block = [0; 64];
    Some(())
}
