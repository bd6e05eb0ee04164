//! Which format a file has, by its first bytes.

/// A format that this crate decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG; of an animation the first frame.
    Png,
    /// WebP; of an animation the first frame.
    WebP,
    /// GIF, the first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF, the first page.
    Tiff,
    /// PGF.
    Pgf,
    /// A resilient stream of the coefficients of a PGF.
    Pgfr,
    /// Samples in memory, from a decoder of the caller's.
    Pixels,
}

impl Format {
    /// The format of a file, by its magic bytes; `None` if this crate does not decode it.
    pub fn of(data: &[u8]) -> Option<Format> {
        match data {
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
            // Of two letters alone, text and noise begin with them too: the reserved fields must be zero.
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Format::Bmp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
            _ if pgf::check(data) == Some(true) => Some(Format::Pgf),
            _ if pgf_resilient::check(data) == Some(true) => Some(Format::Pgfr),
            _ => None,
        }
    }

    /// The name that statistics and Python use.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "jpeg",
            Format::Png => "png",
            Format::WebP => "webp",
            Format::Gif => "gif",
            Format::Bmp => "bmp",
            Format::Tiff => "tiff",
            Format::Pgf => "pgf",
            Format::Pgfr => "pgfr",
            Format::Pixels => "pixels",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (data, format) in [
            (&b"\xff\xd8\xff\xe0"[..], Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Png)),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
            (b"GIF89a", Some(Format::Gif)),
            (b"BM\x01\x00\x00\x00\x00\x00\x00\x00", Some(Format::Bmp)),
            (b"BM: a text that begins so", None),
            (b"II*\x00", Some(Format::Tiff)),
            (b"MM\x00*", Some(Format::Tiff)),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(data), format, "{data:?}");
        }
    }
}
