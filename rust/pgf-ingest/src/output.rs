//! What pictures are encoded to.

use crate::error::{Failure, FailureKind};
use pgf::{DecodeOptions, EncodeOptions, Image, Limits, Samples};
use pgf_resilient::StreamOptions;

/// The format that pictures are encoded to, with its options.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// A `.pgf` file.
    Pgf {
        /// 0 (lossless) to 30; with `max_bytes` the finest that may be used.
        quality: u8,
        /// Wavelet levels; `None` leaves it to the size.
        levels: Option<u8>,
        /// Cut the levels in tiles.
        roi: bool,
        /// The best picture that fits.
        max_bytes: Option<usize>,
    },
    /// A `.pgfr` stream.
    Pgfr {
        /// 0 (lossless) to 30; with a largest number of bytes the finest that may be used.
        quality: u8,
        /// Wavelet levels; `None` leaves it to the size.
        levels: Option<u8>,
        /// How the coefficients become a stream.
        stream: StreamOptions,
    },
}

impl Output {
    pub(crate) fn encode(&self, image: &Image) -> Result<Vec<u8>, Failure> {
        let coded = match self {
            Output::Pgf { quality, levels, roi, max_bytes } => {
                let options =
                    EncodeOptions { quality: *quality, levels: *levels, roi: *roi, ..EncodeOptions::default() };
                match max_bytes {
                    Some(bytes) => pgf::encode_max_bytes(&image.as_ref(), &options, *bytes),
                    None => pgf::encode(&image.as_ref(), &options),
                }
            }
            Output::Pgfr { quality, levels, stream } => {
                let options = EncodeOptions { quality: *quality, levels: *levels, ..EncodeOptions::default() };
                pgf_resilient::encode(&image.as_ref(), &options, stream)
            }
        };
        coded.map_err(|e| Failure::new(FailureKind::Encode, e.to_string()))
    }

    /// Decodes what [`encode`](Output::encode) made.
    fn decode(&self, data: &[u8]) -> pgf::Result<Image> {
        let limits = Limits { max_pixels: u64::MAX, max_bytes: u64::MAX };
        match self {
            Output::Pgf { .. } => pgf::decode(data, &DecodeOptions { limits, strict: true, ..Default::default() }),
            Output::Pgfr { .. } => {
                let options = pgf_resilient::DecodeOptions { limits, strict: true, ..Default::default() };
                Ok(pgf_resilient::decode(data, &options)?.0)
            }
        }
    }

    /// Peak signal to noise ratio of an encoded picture, in dB over all samples; infinite for equal ones.
    pub(crate) fn psnr(&self, image: &Image, data: &[u8]) -> Result<f64, Failure> {
        let decoded = self.decode(data).map_err(|e| Failure::new(FailureKind::Encode, format!("read back: {e}")))?;
        let (squares, count, peak) = match (&image.samples, &decoded.samples) {
            (Samples::U8(a), Samples::U8(b)) if a.len() == b.len() => (squares(a, b), a.len(), 255.0),
            (Samples::U16(a), Samples::U16(b)) if a.len() == b.len() => (squares(a, b), a.len(), 65535.0),
            _ => return Err(Failure::new(FailureKind::Encode, "read back: a picture of another shape")),
        };
        Ok(10.0 * (peak * peak * count as f64 / squares).log10())
    }
}

fn squares<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| ((*a).into() - (*b).into()).powi(2)).sum()
}
