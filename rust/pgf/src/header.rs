//! Pre-header, header, palette, user data and level table (format sections 2 and 3).

use std::ops::Range;

use crate::error::{Error, Result};
use crate::image::{Class, Mode};

/// The three magic bytes at the start of every file.
pub const MAGIC: [u8; 3] = *b"PGF";
/// Bytes of the fixed header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Bytes of a palette: 256 entries of blue, green, red, reserved.
pub(crate) const PALETTE_BYTES: usize = 1024;
/// Largest number of wavelet levels.
pub const MAX_LEVELS: u8 = 30;
/// Largest quality value a file may hold; the encoder takes 0 to 30.
pub const MAX_QUALITY: u8 = 31;
/// Largest number of planes.
pub const MAX_CHANNELS: usize = 8;

/// Bits of the version byte (format section 2.1).
pub mod flags {
    /// The header has the form of version 2.
    pub const V2: u8 = 0x02;
    /// The writer used 32-bit coefficients.
    pub const PGF32: u8 = 0x04;
    /// Tiles with a header per macroblock.
    pub const ROI: u8 = 0x08;
    /// HL, LH and HH follow one another instead of HL and LH being interleaved.
    pub const V5: u8 = 0x10;
    /// The header size takes four bytes instead of two.
    pub const V6: u8 = 0x20;
    /// Bitmaps hold one sample per pixel.
    pub const V7: u8 = 0x40;
    /// What this codec writes, without [`ROI`].
    pub const CURRENT: u8 = V2 | PGF32 | V5 | V6 | V7;
}

/// The writer version that libPGF 7.21.7 stores: major 7, year 21, week 7 (format section 3, offset 14).
pub const WRITER_VERSION: u16 = 0x1D57;

/// Bounds that are checked before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of the picture that is asked for (level and region counted in).
    pub max_pixels: u64,
    /// Bytes that coefficients and samples may take together.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 2^28 pixels (a quarter of a gigapixel) and 4 GiB.
    fn default() -> Self {
        Limits { max_pixels: 1 << 28, max_bytes: 1 << 32 }
    }
}

/// The 16-byte header, completed and checked (format section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Columns of the picture, at least 1.
    pub width: u32,
    /// Rows of the picture, at least 1.
    pub height: u32,
    /// Number of wavelet levels, 0 to 30.
    pub levels: u8,
    /// Quality, 0 (lossless) to 31.
    pub quality: u8,
    /// Bits per pixel of the pixel buffer.
    pub bits_per_pixel: u8,
    /// Planes, 1 to 8.
    pub channels: u8,
    /// Image mode.
    pub mode: Mode,
    /// Bits of a sample that carry data, counted from the top in 16-bit modes.
    pub used_bits: u8,
    /// What wrote the file; only informative.
    pub writer_version: u16,
}

impl Header {
    /// The sample depth that scales deep modes (`B` of format section 3.2).
    pub(crate) fn depth(&self) -> u32 {
        let bits = u32::from(self.bits_per_pixel) / u32::from(self.channels);
        if bits > 8 { u32::from(self.used_bits) } else { bits }
    }

    /// Whether all planes but the first have half the size (format section 6).
    pub fn subsampled(&self) -> bool {
        self.quality > 3 && self.mode.subsamples()
    }

    /// The quantization parameter `Q` (format section 6).
    pub(crate) fn quantizer(&self) -> i32 {
        i32::from(self.quality) - i32::from(self.subsampled())
    }

    /// Pixels of the whole picture.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Completes and checks the fields as format section 3.2 says.
    fn complete(raw: &RawHeader, offset: usize) -> Result<Header> {
        let at = |field, delta: usize, message: String| Err(Error::format(field, offset + delta, message));
        if raw.width == 0 {
            return at("width", 0, "0 columns: at least 1 is needed".into());
        }
        if raw.height == 0 {
            return at("height", 4, "0 rows: at least 1 is needed".into());
        }
        if raw.levels > MAX_LEVELS {
            return at("nLevels", 8, format!("{} levels: at most {MAX_LEVELS} are possible", raw.levels));
        }
        if raw.quality > MAX_QUALITY {
            return at("quality", 9, format!("quality {}: at most {MAX_QUALITY} is possible", raw.quality));
        }
        let mut number = raw.mode;
        if number == 255 {
            number = mode_of_bits(raw.bits_per_pixel);
        }
        let mut bits = raw.bits_per_pixel;
        if bits == 0 {
            bits = Mode::from_number(number).map_or(24, Mode::bits_per_pixel);
            if bits == 0 {
                bits = 24;
            }
        }
        if number == 3 && bits == 32 {
            number = 17;
        }
        let Some(mode) = Mode::from_number(number) else {
            return at("mode", 12, format!("mode {number} is not one of the format"));
        };
        if mode.bits_per_pixel() != 0 && bits != mode.bits_per_pixel() {
            let want = mode.bits_per_pixel();
            return at("bpp", 10, format!("{bits} bits per pixel: mode {} has {want}", mode.name()));
        }
        let fixed = mode.fixed_channels();
        let mut channels = usize::from(raw.channels);
        if channels == 0 && mode.bits_per_pixel() != 0 {
            channels = fixed;
        }
        if channels == 0 || channels > MAX_CHANNELS || (fixed != 0 && channels != fixed) {
            let want = if fixed == 0 { format!("1 to {MAX_CHANNELS}") } else { fixed.to_string() };
            return at("channels", 11, format!("{channels} channels: mode {} has {want}", mode.name()));
        }
        let depth = bits / channels as u8;
        if depth == 0 {
            return at(
                "bpp",
                10,
                format!("{bits} bits per pixel for {channels} channels: at least 1 bit each is needed"),
            );
        }
        if mode.class() == Class::Plain8 && depth != 8 {
            return at("bpp", 10, format!("{bits} bits per pixel: mode {} has 8 a channel", mode.name()));
        }
        let depth = depth.min(31);
        let used = if raw.used_bits == 0 || raw.used_bits > depth { depth } else { raw.used_bits };
        Ok(Header {
            width: raw.width,
            height: raw.height,
            levels: raw.levels,
            quality: raw.quality,
            bits_per_pixel: bits,
            channels: channels as u8,
            mode,
            used_bits: used,
            writer_version: raw.writer_version,
        })
    }

    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut b = [0; HEADER_BYTES];
        b[0..4].copy_from_slice(&self.width.to_le_bytes());
        b[4..8].copy_from_slice(&self.height.to_le_bytes());
        b[8] = self.levels;
        b[9] = self.quality;
        b[10] = self.bits_per_pixel;
        b[11] = self.channels;
        b[12] = self.mode as u8;
        b[13] = self.used_bits;
        b[14..16].copy_from_slice(&self.writer_version.to_le_bytes());
        b
    }
}

/// The mode that stands for an unknown one, by bits per pixel (format section 3.2, step 1).
pub(crate) fn mode_of_bits(bits: u8) -> u8 {
    match bits {
        1 => 0,
        8 => 1,
        12 => 19,
        16 => 20,
        32 => 17,
        48 => 11,
        _ => 3,
    }
}

/// The header's fields as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawHeader {
    pub width: u32,
    pub height: u32,
    pub levels: u8,
    pub quality: u8,
    pub bits_per_pixel: u8,
    pub channels: u8,
    pub mode: u8,
    pub used_bits: u8,
    pub writer_version: u16,
}

impl RawHeader {
    pub(crate) fn read(b: &[u8; HEADER_BYTES]) -> RawHeader {
        RawHeader {
            width: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            height: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            levels: b[8],
            quality: b[9],
            bits_per_pixel: b[10],
            channels: b[11],
            mode: b[12],
            used_bits: b[13],
            writer_version: u16::from_le_bytes([b[14], b[15]]),
        }
    }
}

/// 256 palette entries: red, green, blue, reserved.
pub type Palette = [[u8; 4]; 256];

/// Everything before the coded data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    /// The version byte, see [`flags`].
    pub flags: u8,
    /// The fixed header.
    pub header: Header,
    /// The palette of an indexed picture; absent if the file leaves it out.
    pub palette: Option<Box<Palette>>,
    /// Where the user data lie.
    pub user_data: Range<usize>,
    /// Bytes of each level's coded data, smallest image first. Hints: a reader never needs them.
    pub level_lengths: Vec<u32>,
    /// The first byte of coded data.
    pub data_offset: usize,
}

impl FileHeader {
    /// Reads the header, which must be whole; coded data need not follow.
    ///
    /// # Errors
    /// [`Error::Truncated`] if the header is cut, [`Error::Format`] naming the field that is wrong.
    pub fn parse(data: &[u8]) -> Result<FileHeader> {
        if let Some(wrong) = data.iter().zip(MAGIC).position(|(a, b)| *a != b) {
            let found: Vec<String> = data.iter().take(MAGIC.len()).map(|byte| format!("{byte:02x}")).collect();
            let message = format!("the data begin with {}, a .pgf file with 50 47 46 (\"PGF\")", found.join(" "));
            return Err(Error::format("magic", wrong, message));
        }
        let flags = *data.get(3).ok_or(truncated("version flags", 4, data))?;
        FileHeader::parse_as(data, flags)
    }

    /// As [`parse`](Self::parse), with the magic not looked at and the version byte given.
    pub(crate) fn parse_as(data: &[u8], flags: u8) -> Result<FileHeader> {
        if flags & !0x81 == 0 {
            return Err(Error::Unsupported(format!("version flags {flags:#04x}: files before version 2 are not read")));
        }
        let (size, base) = if flags & flags::V6 != 0 {
            let b = bytes_at::<4>(data, 4, "header size")?;
            (u32::from_le_bytes(b) as usize, 8)
        } else {
            let b = bytes_at::<2>(data, 4, "header size")?;
            (usize::from(u16::from_le_bytes(b)), 6)
        };
        let raw = RawHeader::read(&bytes_at::<HEADER_BYTES>(data, base, "header")?);
        FileHeader::parse_rest(data, flags, base, size, &raw)
    }

    /// The part behind the 16 fixed bytes, for fields that were read or recovered.
    pub(crate) fn parse_rest(data: &[u8], flags: u8, base: usize, size: usize, raw: &RawHeader) -> Result<FileHeader> {
        if size < HEADER_BYTES {
            return Err(Error::format("header size", 4, format!("{size} bytes: at least {HEADER_BYTES} are needed")));
        }
        let header = Header::complete(raw, base)?;
        check_geometry(&header, flags, base)?;
        let mut at = base + HEADER_BYTES;
        let end = base.checked_add(size).ok_or_else(|| Error::format("header size", 4, format!("{size} bytes")))?;
        let mut palette = None;
        if header.mode == Mode::Indexed && size > HEADER_BYTES {
            if size - HEADER_BYTES < PALETTE_BYTES {
                let message = format!("{size} bytes: a palette needs {}", HEADER_BYTES + PALETTE_BYTES);
                return Err(Error::format("header size", 4, message));
            }
            let bytes = data.get(at..at + PALETTE_BYTES).ok_or(truncated("palette", at + PALETTE_BYTES, data))?;
            let mut entries = Box::new([[0; 4]; 256]);
            for (entry, b) in entries.iter_mut().zip(bytes.chunks_exact(4)) {
                *entry = [b[2], b[1], b[0], b[3]];
            }
            palette = Some(entries);
            at += PALETTE_BYTES;
        }
        if end > data.len() {
            return Err(truncated("user data", end, data));
        }
        let user_data = at..end;
        let count = usize::from(header.levels);
        let table = data.get(end..end + 4 * count).ok_or(truncated("level lengths", end + 4 * count, data))?;
        let level_lengths = table.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok(FileHeader { flags, header, palette, user_data, level_lengths, data_offset: end + 4 * count })
    }

    /// The version of the format, 2 to 7; 1 where the version byte has none of the bits that tell.
    pub fn major_version(&self) -> u8 {
        match self.flags {
            f if f & flags::V7 != 0 => 7,
            f if f & flags::V6 != 0 => 6,
            f if f & flags::V5 != 0 => 5,
            f if f & flags::V2 != 0 => 2,
            _ => 1,
        }
    }

    /// Whether the coded data are cut in tiles that decode on their own (format section 13).
    pub fn roi(&self) -> bool {
        self.flags & flags::ROI != 0 && self.header.levels > 0
    }

    /// Appends everything before the coded data, with level lengths of zero.
    pub(crate) fn write(
        header: &Header,
        flags: u8,
        palette: Option<&Palette>,
        user_data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let with_palette = header.mode == Mode::Indexed;
        let size = HEADER_BYTES + if with_palette { PALETTE_BYTES } else { 0 } + user_data.len();
        let size = u32::try_from(size)
            .map_err(|_| Error::Usage(format!("{} bytes of user data: less than 2^32 fit", user_data.len())))?;
        out.extend_from_slice(&MAGIC);
        out.push(flags);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&header.to_bytes());
        if with_palette {
            for [r, g, b, reserved] in palette.unwrap_or(&[[0; 4]; 256]) {
                out.extend_from_slice(&[*b, *g, *r, *reserved]);
            }
        }
        out.extend_from_slice(user_data);
        out.resize(out.len() + 4 * usize::from(header.levels), 0);
        Ok(())
    }
}

/// Refuses pyramids whose bands or tiles would vanish (format sections 8.4, 13.1 and 18).
pub(crate) fn check_geometry(header: &Header, flags: u8, base: usize) -> Result<()> {
    let levels = u32::from(header.levels);
    if levels == 0 {
        return Ok(());
    }
    let halve = u64::from(header.subsampled());
    let side = |n: u32| (u64::from(n) + halve) >> halve;
    // The chroma planes are the smallest; every step needs two samples to split.
    let (name, smallest) =
        if header.width < header.height { ("width", header.width) } else { ("height", header.height) };
    let side = side(smallest);
    if (side + (1 << (levels - 1)) - 1) >> (levels - 1) < 2 {
        let message = format!("{levels} levels: the {name} of {smallest} is too small for them");
        return Err(Error::format("nLevels", base + 8, message));
    }
    if flags & flags::ROI != 0 && (1u64 << (levels - 1)) > side >> 1 {
        let message =
            format!("{levels} levels: {} tiles do not fit into the {name} of {smallest}", 1u64 << (levels - 1));
        return Err(Error::format("nLevels", base + 8, message));
    }
    Ok(())
}

/// Whether `data` start as a PGF file does; `None` while fewer than three matching bytes are there.
pub fn check(data: &[u8]) -> Option<bool> {
    if data.iter().zip(MAGIC).any(|(a, b)| *a != b) {
        return Some(false);
    }
    if data.len() < MAGIC.len() { None } else { Some(true) }
}

fn truncated(field: &'static str, need: usize, data: &[u8]) -> Error {
    Error::Truncated { field, need: need as u64, have: data.len() as u64 }
}

fn bytes_at<const N: usize>(data: &[u8], at: usize, field: &'static str) -> Result<[u8; N]> {
    match data.get(at..at + N) {
        Some(b) => Ok(b.try_into().expect("the slice has N bytes")),
        None => Err(truncated(field, at + N, data)),
    }
}
