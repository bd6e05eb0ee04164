//! What pixels look like in memory.

use crate::error::{Error, Result};

/// How a mode's samples become integer planes (format section 4, column "class").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Bit,
    Plain8,
    Yuv8,
    Plain16,
    Yuv16,
    Gray31,
    Yuv4,
    Yuv565,
    /// No pixel import or export in the format: the planes themselves are the picture.
    Planes,
}

/// The type of one sample in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleType {
    /// 8-bit unsigned; bitmaps hold 0 or 1.
    U8,
    /// 16-bit unsigned.
    U16,
    /// 32-bit unsigned, top bit 0.
    U32,
    /// 32-bit signed: raw planes.
    I32,
}

macro_rules! modes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $bpp:literal, $channels:literal, $class:ident, $sub:literal;)*) => {
        /// The image modes of the format.
        ///
        /// Samples are interleaved, rows top first, without padding; colour channels in the order
        /// red, green, blue, alpha whatever order the format itself uses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Mode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Mode {
            /// All modes, by ascending number.
            pub const ALL: &'static [Mode] = &[$(Mode::$variant,)*];

            /// The mode with this number in the file header.
            pub fn from_number(number: u8) -> Option<Mode> {
                match number { $($number => Some(Mode::$variant),)* _ => None }
            }

            /// The mode of this name, as the Python package spells it.
            pub fn from_name(name: &str) -> Option<Mode> {
                match name { $($name => Some(Mode::$variant),)* _ => None }
            }

            /// The name, in lower case.
            pub fn name(self) -> &'static str {
                match self { $(Mode::$variant => $name,)* }
            }

            /// Bits per pixel of the mode, 0 where the header must say.
            pub(crate) fn bits_per_pixel(self) -> u8 {
                match self { $(Mode::$variant => $bpp,)* }
            }

            /// Channels of the mode, 0 where the header must say (1 to 8).
            pub fn fixed_channels(self) -> usize {
                match self { $(Mode::$variant => $channels,)* }
            }

            pub(crate) fn class(self) -> Class {
                match self { $(Mode::$variant => Class::$class,)* }
            }

            /// Whether every plane but the first is halved above quality 3 (format section 6).
            pub(crate) fn subsamples(self) -> bool {
                match self { $(Mode::$variant => $sub,)* }
            }
        }
    };
}

modes! {
    /// One bit per pixel; in memory one byte of 0 or 1.
    Bitmap = 0, "bitmap", 1, 1, Bit, false;
    /// 8-bit gray.
    Gray = 1, "gray", 8, 1, Plain8, false;
    /// 8-bit palette index.
    Indexed = 2, "indexed", 8, 1, Plain8, false;
    /// 8-bit red, green, blue.
    Rgb = 3, "rgb", 24, 3, Yuv8, true;
    /// 8-bit cyan, magenta, yellow, black.
    Cmyk = 4, "cmyk", 32, 4, Yuv8, true;
    /// 8-bit hue, saturation, lightness.
    Hsl = 5, "hsl", 0, 3, Plain8, false;
    /// 8-bit hue, saturation, brightness.
    Hsb = 6, "hsb", 0, 3, Plain8, false;
    /// Raw planes, 1 to 8.
    Multichannel = 7, "multichannel", 0, 0, Planes, false;
    /// Raw planes, 1 to 8.
    Duotone = 8, "duotone", 0, 0, Planes, false;
    /// 8-bit lightness, a, b.
    Lab = 9, "lab", 24, 3, Plain8, true;
    /// 16-bit gray.
    Gray16 = 10, "gray16", 16, 1, Plain16, false;
    /// 16-bit red, green, blue.
    Rgb48 = 11, "rgb48", 48, 3, Yuv16, true;
    /// 16-bit lightness, a, b.
    Lab48 = 12, "lab48", 48, 3, Plain16, true;
    /// 16-bit cyan, magenta, yellow, black.
    Cmyk64 = 13, "cmyk64", 64, 4, Yuv16, true;
    /// Raw planes, 1 to 8.
    DeepMultichannel = 14, "deepmultichannel", 0, 0, Planes, false;
    /// Raw planes, 1 to 8.
    Duotone16 = 15, "duotone16", 0, 0, Planes, false;
    /// 8-bit red, green, blue, alpha.
    Rgba = 17, "rgba", 32, 4, Yuv8, true;
    /// 31-bit gray in 32-bit words, top bit 0.
    Gray31 = 18, "gray31", 32, 1, Gray31, false;
    /// 4-bit red, green, blue; in memory one byte of 0..15 each.
    Rgb12 = 19, "rgb12", 12, 3, Yuv4, false;
    /// 5-bit red, 6-bit green, 5-bit blue; in memory one byte each.
    Rgb16 = 20, "rgb16", 16, 3, Yuv565, false;
}

impl Mode {
    /// The type of a sample in memory.
    pub fn sample_type(self) -> SampleType {
        match self.class() {
            Class::Bit | Class::Plain8 | Class::Yuv8 | Class::Yuv4 | Class::Yuv565 => SampleType::U8,
            Class::Plain16 | Class::Yuv16 => SampleType::U16,
            Class::Gray31 => SampleType::U32,
            Class::Planes => SampleType::I32,
        }
    }
}

/// Owned samples of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// 8-bit samples.
    U8(Vec<u8>),
    /// 16-bit samples.
    U16(Vec<u16>),
    /// 32-bit samples, top bit 0.
    U32(Vec<u32>),
    /// Raw plane samples.
    I32(Vec<i32>),
}

impl Samples {
    /// `count` zero samples of the given type.
    pub fn zeroed(kind: SampleType, count: usize) -> Samples {
        match kind {
            SampleType::U8 => Samples::U8(vec![0; count]),
            SampleType::U16 => Samples::U16(vec![0; count]),
            SampleType::U32 => Samples::U32(vec![0; count]),
            SampleType::I32 => Samples::I32(vec![0; count]),
        }
    }

    /// A borrowed view.
    pub fn as_ref(&self) -> SamplesRef<'_> {
        match self {
            Samples::U8(v) => SamplesRef::U8(v),
            Samples::U16(v) => SamplesRef::U16(v),
            Samples::U32(v) => SamplesRef::U32(v),
            Samples::I32(v) => SamplesRef::I32(v),
        }
    }

    /// A mutable view.
    pub fn as_mut(&mut self) -> SamplesMut<'_> {
        match self {
            Samples::U8(v) => SamplesMut::U8(v),
            Samples::U16(v) => SamplesMut::U16(v),
            Samples::U32(v) => SamplesMut::U32(v),
            Samples::I32(v) => SamplesMut::I32(v),
        }
    }
}

/// Borrowed samples of a picture.
#[derive(Debug, Clone, Copy)]
pub enum SamplesRef<'a> {
    /// 8-bit samples.
    U8(&'a [u8]),
    /// 16-bit samples.
    U16(&'a [u16]),
    /// 32-bit samples, top bit 0.
    U32(&'a [u32]),
    /// Raw plane samples.
    I32(&'a [i32]),
}

impl SamplesRef<'_> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            SamplesRef::U8(v) => v.len(),
            SamplesRef::U16(v) => v.len(),
            SamplesRef::U32(v) => v.len(),
            SamplesRef::I32(v) => v.len(),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of a sample.
    pub fn sample_type(&self) -> SampleType {
        match self {
            SamplesRef::U8(_) => SampleType::U8,
            SamplesRef::U16(_) => SampleType::U16,
            SamplesRef::U32(_) => SampleType::U32,
            SamplesRef::I32(_) => SampleType::I32,
        }
    }
}

/// Samples to be written.
#[derive(Debug)]
pub enum SamplesMut<'a> {
    /// 8-bit samples.
    U8(&'a mut [u8]),
    /// 16-bit samples.
    U16(&'a mut [u16]),
    /// 32-bit samples, top bit 0.
    U32(&'a mut [u32]),
    /// Raw plane samples.
    I32(&'a mut [i32]),
}

impl SamplesMut<'_> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            SamplesMut::U8(v) => v.len(),
            SamplesMut::U16(v) => v.len(),
            SamplesMut::U32(v) => v.len(),
            SamplesMut::I32(v) => v.len(),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of a sample.
    pub fn sample_type(&self) -> SampleType {
        match self {
            SamplesMut::U8(_) => SampleType::U8,
            SamplesMut::U16(_) => SampleType::U16,
            SamplesMut::U32(_) => SampleType::U32,
            SamplesMut::I32(_) => SampleType::I32,
        }
    }
}

/// A picture to encode: interleaved samples, rows top first, no padding between rows.
#[derive(Debug, Clone, Copy)]
pub struct ImageRef<'a> {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Samples per pixel, 1 to 8.
    pub channels: usize,
    /// What the samples mean.
    pub mode: Mode,
    /// `width * height * channels` samples of [`Mode::sample_type`].
    pub samples: SamplesRef<'a>,
}

impl<'a> ImageRef<'a> {
    /// Checks that shape, mode and samples fit one another.
    ///
    /// # Errors
    /// [`Error::Usage`] naming what does not fit.
    pub fn validate(&self) -> Result<()> {
        if self.width == 0 || self.height == 0 {
            return Err(Error::Usage(format!(
                "image of {}x{} pixels: both sides must be at least 1",
                self.width, self.height
            )));
        }
        let fixed = self.mode.fixed_channels();
        if fixed != 0 && self.channels != fixed {
            return Err(Error::Usage(format!(
                "mode {} has {fixed} channels, the image has {}",
                self.mode.name(),
                self.channels
            )));
        }
        if !(1..=8).contains(&self.channels) {
            return Err(Error::Usage(format!("{} channels: between 1 and 8 are possible", self.channels)));
        }
        if self.samples.sample_type() != self.mode.sample_type() {
            return Err(Error::Usage(format!(
                "mode {} takes {:?} samples, the image has {:?}",
                self.mode.name(),
                self.mode.sample_type(),
                self.samples.sample_type()
            )));
        }
        let want = self.width as u64 * self.height as u64 * self.channels as u64;
        if self.samples.len() as u64 != want {
            return Err(Error::Usage(format!("{} samples for {want} of the stated shape", self.samples.len())));
        }
        Ok(())
    }
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Samples per pixel.
    pub channels: usize,
    /// What the samples mean.
    pub mode: Mode,
    /// Interleaved samples, rows top first.
    pub samples: Samples,
}

impl Image {
    /// A borrowed view, as [`encode`](crate::encode) takes it.
    pub fn as_ref(&self) -> ImageRef<'_> {
        ImageRef {
            width: self.width,
            height: self.height,
            channels: self.channels,
            mode: self.mode,
            samples: self.samples.as_ref(),
        }
    }
}
