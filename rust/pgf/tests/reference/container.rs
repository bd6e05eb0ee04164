//! The headers of a file (sections 2, 3 and 7).

use super::Result;

pub const V2: u8 = 0x02;
pub const PGF32: u8 = 0x04;
pub const ROI: u8 = 0x08;
pub const V5: u8 = 0x10;
pub const V6: u8 = 0x20;
pub const V7: u8 = 0x40;
/// What a present writer puts into byte 3, without and with [`ROI`].
pub const PRESENT: u8 = V2 | PGF32 | V5 | V6 | V7;

/// Modes that the code has to name.
pub mod mode {
    pub const BITMAP: u8 = 0;
    pub const GRAY: u8 = 1;
    pub const INDEXED: u8 = 2;
    pub const RGB: u8 = 3;
    pub const CMYK: u8 = 4;
    pub const HSL: u8 = 5;
    pub const HSB: u8 = 6;
    pub const LAB: u8 = 9;
    pub const GRAY16: u8 = 10;
    pub const RGB48: u8 = 11;
    pub const LAB48: u8 = 12;
    pub const CMYK64: u8 = 13;
    pub const RGBA: u8 = 17;
    pub const GRAY31: u8 = 18;
    pub const RGB12: u8 = 19;
    pub const RGB16: u8 = 20;
    pub const UNKNOWN: u8 = 255;
}

/// Samples of all planes that this codec agrees to hold.
const MOST_SAMPLES: u64 = 1 << 27;

/// Everything before the coded data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub flags: u8,
    pub width: u32,
    pub height: u32,
    pub levels: u8,
    pub quality: u8,
    pub bpp: u8,
    pub channels: u8,
    pub mode: u8,
    pub used_bits: u8,
    pub writer: u16,
    /// 1024 bytes, 256 times blue, green, red, reserved.
    pub color_table: Option<Vec<u8>>,
    pub user_data: Vec<u8>,
    /// In file order, smallest image first.
    pub level_lengths: Vec<u32>,
}

/// bpp and channels of the modes whose bpp is fixed.
fn fixed_layout(m: u8) -> Option<(u8, u8)> {
    Some(match m {
        mode::BITMAP => (1, 1),
        mode::GRAY | mode::INDEXED => (8, 1),
        mode::RGB | mode::LAB => (24, 3),
        mode::CMYK | mode::RGBA => (32, 4),
        mode::GRAY16 => (16, 1),
        mode::RGB48 | mode::LAB48 => (48, 3),
        mode::CMYK64 => (64, 4),
        mode::GRAY31 => (32, 1),
        mode::RGB12 => (12, 3),
        mode::RGB16 => (16, 3),
        _ => return None,
    })
}

impl Header {
    /// Tiles are in use. The flag means nothing without wavelet steps.
    pub fn tiled(&self) -> bool {
        self.flags & ROI != 0 && self.levels > 0
    }

    pub fn has_v5(&self) -> bool {
        self.flags & V5 != 0
    }

    pub fn has_v7(&self) -> bool {
        self.flags & V7 != 0
    }

    pub fn major(&self) -> u8 {
        if self.flags & V7 != 0 {
            7
        } else if self.flags & V6 != 0 {
            6
        } else if self.flags & V5 != 0 {
            5
        } else if self.flags & V2 != 0 {
            2
        } else {
            1
        }
    }

    /// The sample depth B that the colour transform works with.
    pub fn depth(&self) -> u32 {
        let bits = u32::from(self.bpp / self.channels);
        if bits > 8 { u32::from(self.used_bits) } else { bits }
    }

    /// Planes 1.. have half the size in both directions.
    pub fn subsampled(&self) -> bool {
        self.quality > 3
            && matches!(
                self.mode,
                mode::RGB | mode::CMYK | mode::LAB | mode::RGB48 | mode::LAB48 | mode::CMYK64 | mode::RGBA
            )
    }

    /// The quantization parameter Q.
    pub fn quantizer(&self) -> i32 {
        i32::from(self.quality) - i32::from(self.subsampled())
    }

    /// Width and height of a plane before the wavelet.
    pub fn plane_size(&self, plane: usize) -> (usize, usize) {
        let (w, h) = (self.width as usize, self.height as usize);
        if plane > 0 && self.subsampled() { (w.div_ceil(2), h.div_ceil(2)) } else { (w, h) }
    }

    /// Bytes up to the first byte of coded data.
    pub fn len(&self) -> usize {
        let size_field = if self.flags & V6 != 0 { 4 } else { 2 };
        4 + size_field + self.size_value() + 4 * self.level_lengths.len()
    }

    fn size_value(&self) -> usize {
        16 + self.color_table.as_ref().map_or(0, |table| table.len()) + self.user_data.len()
    }

    /// Fills in what was left 0 or unknown and checks the rest (section 3.2).
    pub fn complete(&mut self) -> Result<()> {
        if self.mode == mode::UNKNOWN {
            self.mode = match self.bpp {
                1 => mode::BITMAP,
                8 => mode::GRAY,
                12 => mode::RGB12,
                16 => mode::RGB16,
                24 => mode::RGB,
                32 => mode::RGBA,
                48 => mode::RGB48,
                _ => mode::RGB,
            };
        }
        if self.bpp == 0 {
            self.bpp = fixed_layout(self.mode).map_or(24, |(bpp, _)| bpp);
        }
        if self.mode == mode::RGB && self.bpp == 32 {
            self.mode = mode::RGBA;
        }
        let fixed = fixed_layout(self.mode);
        if let Some((bpp, channels)) = fixed {
            if self.bpp != bpp {
                return Err(format!("bpp {} in mode {}, must be {bpp}", self.bpp, self.mode));
            }
            if self.channels == 0 {
                self.channels = channels;
            }
            if self.channels != channels {
                return Err(format!("{} channels in mode {}, must be {channels}", self.channels, self.mode));
            }
        }
        if !(1..=8).contains(&self.channels) {
            return Err(format!("{} channels in mode {}, must be 1..8", self.channels, self.mode));
        }
        let most = (self.bpp / self.channels).min(31);
        if most == 0 {
            return Err(format!("bpp {} for {} channels", self.bpp, self.channels));
        }
        if matches!(self.mode, mode::HSL | mode::HSB) && self.bpp != 8 * self.channels {
            return Err(format!("bpp {} for {} channels of 8 bits", self.bpp, self.channels));
        }
        if self.used_bits == 0 || self.used_bits > most {
            self.used_bits = most;
        }
        if self.quality > 31 {
            return Err(format!("quality {}, at most 31", self.quality));
        }
        if self.width == 0 || self.height == 0 {
            return Err(format!("size {} x {}", self.width, self.height));
        }
        if u64::from(self.width) * u64::from(self.height) * u64::from(self.channels) > MOST_SAMPLES {
            return Err(format!("size {} x {} x {} is too much", self.width, self.height, self.channels));
        }
        if self.tiled() {
            let parts = 1_u64 << (self.levels - 1);
            for plane in 0..usize::from(self.channels) {
                let (w, h) = self.plane_size(plane);
                if (w as u64) / 2 < parts || (h as u64) / 2 < parts {
                    return Err(format!("{} levels of tiles for a plane of {w} x {h}", self.levels));
                }
            }
        }
        Ok(())
    }

    pub fn parse(data: &[u8]) -> Result<Header> {
        let mut at = 0;
        let mut take = |count: usize, what: &str| -> Result<Vec<u8>> {
            match data.get(at..).and_then(|rest| rest.get(..count)) {
                Some(bytes) => {
                    at += count;
                    Ok(bytes.to_vec())
                }
                None => Err(format!("{what}: {count} bytes at {at} of {}", data.len())),
            }
        };
        let pre = take(4, "magic and version")?;
        if pre[..3] != *b"PGF" {
            return Err(format!("magic {:?}", &pre[..3]));
        }
        let flags = pre[3];
        if flags == 0 {
            return Err("version flags 0".to_string());
        }
        let size_field = take(if flags & V6 != 0 { 4 } else { 2 }, "header size")?;
        let size = little_endian(&size_field) as usize;
        if size < 16 {
            return Err(format!("header size {size}, at least 16"));
        }
        let h = take(16, "header")?;
        let mut header = Header {
            flags,
            width: little_endian(&h[0..4]) as u32,
            height: little_endian(&h[4..8]) as u32,
            levels: h[8],
            quality: h[9],
            bpp: h[10],
            channels: h[11],
            mode: h[12],
            used_bits: h[13],
            writer: little_endian(&h[14..16]) as u16,
            color_table: None,
            user_data: Vec::new(),
            level_lengths: Vec::new(),
        };
        let mut rest = size - 16;
        if rest > 0 && header.mode == mode::INDEXED {
            if rest < 1024 {
                return Err(format!("header size {size} leaves {rest} bytes for the colour table"));
            }
            header.color_table = Some(take(1024, "colour table")?);
            rest -= 1024;
        }
        header.user_data = take(rest, "user data")?;
        if header.levels > 30 {
            return Err(format!("{} levels, at most 30", header.levels));
        }
        let table = take(4 * usize::from(header.levels), "level lengths")?;
        header.level_lengths = table.chunks(4).map(|bytes| little_endian(bytes) as u32).collect();
        header.complete()?;
        Ok(header)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = b"PGF".to_vec();
        out.push(self.flags);
        let size = self.size_value() as u32;
        if self.flags & V6 != 0 {
            out.extend(size.to_le_bytes());
        } else {
            assert!(size <= 0xFFFF);
            out.extend((size as u16).to_le_bytes());
        }
        out.extend(self.width.to_le_bytes());
        out.extend(self.height.to_le_bytes());
        out.extend([self.levels, self.quality, self.bpp, self.channels, self.mode, self.used_bits]);
        out.extend(self.writer.to_le_bytes());
        out.extend(self.color_table.iter().flatten());
        out.extend(&self.user_data);
        for length in &self.level_lengths {
            out.extend(length.to_le_bytes());
        }
        out
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The number of wavelet steps that a writer uses when `requested` were asked for (section 7).
pub fn level_count(width: u32, height: u32, requested: u32) -> u8 {
    let m = u64::from(width.min(height));
    let mut n = requested;
    if !(1..=30).contains(&n) {
        n = 1;
        let mut s = m;
        while s > 100 {
            n += 1;
            s >>= 1;
        }
    }
    while n > 0 && m < 5 << n {
        n -= 1;
    }
    n as u8
}
