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
                let at = |quality| {
                    let options = EncodeOptions { quality, levels: *levels, ..EncodeOptions::default() };
                    pgf_resilient::encode(&image.as_ref(), &options, stream)
                };
                // Coefficients finer than a budget has use for cost time and bring nothing. Where they turn out not to
                // fill it, they were too coarse.
                let coarse = stream.max_bytes.map_or(0, |bytes| coarsest_useful(image, bytes));
                match stream.max_bytes {
                    Some(budget) if coarse > *quality => match at(coarse) {
                        Ok(coded) if coded.len() + SLACK < budget => at(*quality),
                        coded => coded,
                    },
                    _ => at(*quality),
                }
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

/// Bytes that a stream may fall short of its budget because the next segment does not fit.
const SLACK: usize = 128;

/// A coarse quality that costs little within a budget and saves much of the time.
///
/// Measured at 256x256 against quality 0, mean PSNR of 8 Kodak pictures and of the four colour photographs of `samples`
/// (`tests/test_ingest.py -k budget`): 5 at 0.24 bits a pixel -0.02 and -0.05 dB, 4 at 0.61
/// bits -0.09 and -0.14 dB (3 would cost -0.04 and -0.07 dB and a fifth of the speed), 2 at 1.22 bits -0.02 and -0.05 dB.
fn coarsest_useful(image: &Image, budget: usize) -> u8 {
    if !matches!(image.samples, Samples::U8(_)) || image.channels < 3 {
        return 0;
    }
    match 8.0 * budget as f64 / (f64::from(image.width) * f64::from(image.height)) {
        ..=0.3 => 5,
        ..=0.7 => 4,
        ..=1.3 => 2,
        _ => 0,
    }
}

fn squares<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| ((*a).into() - (*b).into()).powi(2)).sum()
}
