//! The headers of the JPEG files that cameras and the web are full of: baseline, Huffman coded, one scan.
//!
//! Numbers of sections and tables are those of ITU-T T.81.

/// A file that [`scan`](super::scan) can decode.
pub(super) struct Headers<'a> {
    pub width: usize,
    pub height: usize,
    /// One (gray) or three (Y, Cb, Cr).
    pub components: Vec<Component>,
    /// MCUs between restarts, 0 for none.
    pub restart: usize,
    /// Quantization tables in zigzag order.
    pub quantizers: [[u16; 64]; 4],
    /// Huffman tables as they stand in the file: numbers of codes by length and symbols; DC, then AC.
    pub dc: [Option<&'a [u8]>; 4],
    pub ac: [Option<&'a [u8]>; 4],
    /// What follows the header of the scan.
    pub coded: &'a [u8],
}

/// One component of the frame.
#[derive(Clone, Copy)]
pub(super) struct Component {
    id: u8,
    /// Blocks of an MCU across and down.
    pub across: usize,
    pub down: usize,
    pub quantizer: usize,
    pub dc: usize,
    pub ac: usize,
}

/// What the application segments say, of any JPEG file.
#[derive(Default)]
pub(super) struct Notes<'a> {
    pub exif: Option<&'a [u8]>,
    profile: Vec<(u8, &'a [u8])>,
    adobe: Option<u8>,
    jfif: bool,
}

impl Notes<'_> {
    /// The ICC profile, put together (ICC.1, annex B.4); none if a part is missing.
    pub fn profile(&self) -> Option<Vec<u8>> {
        let mut parts = self.profile.clone();
        parts.sort_by_key(|(number, _)| *number);
        let whole = !parts.is_empty() && parts.iter().zip(1..).all(|((number, _), expected)| *number == expected);
        whole.then(|| parts.iter().flat_map(|(_, data)| data.iter().copied()).collect())
    }
}

/// Where the n-th coefficient of the zigzag stands in its block (figure 5 of T.81).
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55,
    62, 63,
];

const SOF0: u8 = 0xc0;
const SOF1: u8 = 0xc1;
const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;

/// Reads the segments up to the first scan; `None` if the file is of another kind or not in order.
pub(super) fn read(data: &[u8]) -> Option<(Headers<'_>, Notes<'_>)> {
    let mut headers = Headers {
        width: 0,
        height: 0,
        components: Vec::new(),
        restart: 0,
        quantizers: [[0; 64]; 4],
        dc: [None; 4],
        ac: [None; 4],
        coded: &[],
    };
    let mut notes = Notes::default();
    let mut rest = data.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        // Fill bytes (B.1.1.2).
        if *marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*after.first()?, *after.get(1)?]));
        let body = after.get(2..length)?;
        rest = &after[length..];
        match *marker {
            SOF0 | SOF1 => frame(body, &mut headers)?,
            DHT => huffman_tables(body, &mut headers)?,
            DQT => quantizers(body, &mut headers)?,
            DRI => headers.restart = usize::from(u16::from_be_bytes(body.try_into().ok()?)),
            SOS => {
                scan(body, &mut headers)?;
                headers.coded = rest;
                let rgb = headers.components.len() == 3
                    && match notes.adobe {
                        Some(transform) => transform == 0,
                        None => !notes.jfif && headers.components.iter().map(|c| c.id).eq(*b"RGB"),
                    };
                return (!rgb).then_some((headers, notes));
            }
            0xe0 => notes.jfif |= body.starts_with(b"JFIF\0"),
            0xe1 => notes.exif = notes.exif.or(body.strip_prefix(b"Exif\0\0")),
            0xe2 => {
                if let Some([number, _, part @ ..]) = body.strip_prefix(b"ICC_PROFILE\0") {
                    notes.profile.push((*number, part));
                }
            }
            0xee if body.starts_with(b"Adobe") => notes.adobe = body.get(11).copied(),
            0xe3..=0xef | 0xfe => {}
            // Other processes, arithmetic coding, hierarchies.
            _ => return None,
        }
    }
}

fn frame(body: &[u8], headers: &mut Headers<'_>) -> Option<()> {
    let &[8, h1, h0, w1, w0, count @ (1 | 3), ref specs @ ..] = body else { return None };
    headers.height = usize::from(u16::from_be_bytes([h1, h0]));
    headers.width = usize::from(u16::from_be_bytes([w1, w0]));
    if !headers.components.is_empty()
        || headers.width == 0
        || headers.height == 0
        || specs.len() != 3 * usize::from(count)
    {
        return None;
    }
    for spec in specs.chunks_exact(3) {
        let (across, down) = (usize::from(spec[1] >> 4), usize::from(spec[1] & 15));
        let quantizer = usize::from(spec[2]);
        if quantizer > 3 {
            return None;
        }
        headers.components.push(Component { id: spec[0], across, down, quantizer, dc: 0, ac: 0 });
    }
    match &mut headers.components[..] {
        // A scan of one component has MCUs of one block whatever its factors say (A.2.2).
        [gray] => (gray.across, gray.down) = (1, 1),
        [luma, cb, cr] => {
            let whole = [cb, cr].iter().all(|c| c.across == 1 && c.down == 1);
            if !whole || !matches!((luma.across, luma.down), (1 | 2, 1 | 2)) {
                return None;
            }
        }
        _ => return None,
    }
    Some(())
}

fn quantizers(mut body: &[u8], headers: &mut Headers<'_>) -> Option<()> {
    while let [head, rest @ ..] = body {
        let (wide, table) = (head >> 4, usize::from(head & 15));
        if wide != 0 || table > 3 {
            return None;
        }
        for (slot, value) in headers.quantizers[table].iter_mut().zip(rest.get(..64)?) {
            *slot = u16::from(*value);
        }
        body = &rest[64..];
    }
    Some(())
}

fn huffman_tables<'a>(mut body: &'a [u8], headers: &mut Headers<'a>) -> Option<()> {
    while let [head, rest @ ..] = body {
        let table = usize::from(head & 15);
        let counts = rest.get(..16)?;
        let symbols: usize = counts.iter().map(|n| usize::from(*n)).sum();
        // No code may be all ones (C.2), which also leaves none for too many.
        let mut code = 0u32;
        for (length, count) in (1..).zip(counts) {
            code = 2 * code + u32::from(*count);
            if *count > 0 && code >= 1 << length {
                return None;
            }
        }
        // A DC coefficient has no more bits than that.
        if head >> 4 == 0 && rest.get(16..16 + symbols)?.iter().any(|symbol| *symbol > 15) {
            return None;
        }
        let tables = match head >> 4 {
            0 => &mut headers.dc,
            1 => &mut headers.ac,
            _ => return None,
        };
        *tables.get_mut(table)? = Some(rest.get(..16 + symbols)?);
        body = &rest[16 + symbols..];
    }
    Some(())
}

fn scan(body: &[u8], headers: &mut Headers<'_>) -> Option<()> {
    let [count, rest @ ..] = body else { return None };
    let count = usize::from(*count);
    // All components in one scan, all coefficients at once.
    if count == 0 || count != headers.components.len() || rest.get(2 * count..)? != [0, 63, 0] {
        return None;
    }
    for (component, spec) in headers.components.iter_mut().zip(rest.chunks_exact(2)) {
        if spec[0] != component.id {
            return None;
        }
        (component.dc, component.ac) = (usize::from(spec[1] >> 4), usize::from(spec[1] & 15));
        if headers.quantizers[component.quantizer] == [0; 64] {
            return None;
        }
        headers.dc.get(component.dc)?.as_ref()?;
        headers.ac.get(component.ac)?.as_ref()?;
    }
    Some(())
}
