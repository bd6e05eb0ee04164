//! The best picture in a given number of bytes.
//!
//! A quality fixes the step sizes of all bands; one step of it changes the file by a third or more. In between, the
//! encoder is free to round coefficients to zero: the file stays standard. Here the finest quality that does not fit is
//! taken and its smallest coefficients are dropped, macroblock by macroblock from the finest band on, until it fits.

use crate::coefficients::{Coefficients, PlaneData, Planes};
use crate::decode::synthesise;
use crate::encode::{EncodeOptions, analyse, write};
use crate::error::{Error, Result};
use crate::image::{ImageRef, SamplesRef};
use crate::planes::Coefficient;

/// The coarsest quality that the encoder offers.
const COARSEST: u8 = 30;

/// Encodes the best picture, by squared error of its samples, that fits in `max_bytes` bytes.
///
/// The bytes include headers, palette and user data. `options.quality` is the finest quality that may be used; levels
/// are never changed. The result is a standard file.
///
/// # Errors
/// As [`encode`](crate::encode); [`Error::Usage`] naming the smallest possible size if that is over `max_bytes`.
pub fn encode_max_bytes(image: &ImageRef<'_>, options: &EncodeOptions<'_>, max_bytes: usize) -> Result<Vec<u8>> {
    let at = |quality: u8| -> Result<(Coefficients, Vec<u8>)> {
        let coefficients = analyse(image, &EncodeOptions { quality, ..options.clone() })?;
        let file = write(&coefficients, options.favor_speed)?;
        Ok((coefficients, file))
    };
    let (_, finest) = at(options.quality)?;
    if finest.len() <= max_bytes {
        return Ok(finest);
    }
    // The finest quality that fits, by bisection: sizes fall with quality.
    let (mut too_fine, mut fits) = (options.quality, COARSEST + 1);
    while fits - too_fine > 1 {
        let middle = too_fine + (fits - too_fine) / 2;
        if at(middle)?.1.len() <= max_bytes { fits = middle } else { too_fine = middle }
    }
    let mut best: Option<(f64, Vec<u8>)> = None;
    if fits <= COARSEST {
        let (coefficients, file) = at(fits)?;
        best = Some((error_of(image, coefficients)?, file));
    }
    for quality in [too_fine, too_fine.saturating_sub(1)] {
        if quality < options.quality || quality == fits {
            continue;
        }
        let (coefficients, _) = at(quality)?;
        let Some((shaped, file)) = shape(&coefficients, max_bytes)? else { continue };
        let error = error_of(image, shaped)?;
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, file));
        }
    }
    best.map(|(_, file)| file).ok_or_else(|| {
        match at(COARSEST).and_then(|(c, _)| write(&thinned(&c, 0, i32::MAX), false)) {
            Ok(smallest) => Error::Usage(format!(
                "max_bytes={max_bytes}: the smallest file of this picture has {} bytes",
                smallest.len()
            )),
            Err(error) => error,
        }
    })
}

/// Drops coefficients until the file fits: as few as possible of as small ones as possible.
fn shape(coefficients: &Coefficients, max_bytes: usize) -> Result<Option<(Coefficients, Vec<u8>)>> {
    let rows = rows_of(coefficients);
    let mut drop = 1;
    loop {
        let all = thinned(coefficients, 0, drop);
        if write(&all, false)?.len() <= max_bytes {
            break;
        }
        if drop > 1 << 20 {
            return Ok(None);
        }
        drop *= 2;
    }
    // With everything below `drop` gone it fits; how many rows, from the last on, must lose so much?
    let base = thinned(coefficients, 0, drop / 2);
    let (mut fits, mut too_many) = (0, rows + 1);
    let mut best = None;
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        let shaped = thinned(&base, middle, drop);
        let file = write(&shaped, false)?;
        if file.len() <= max_bytes {
            fits = middle;
            best = Some((shaped, file));
        } else {
            too_many = middle;
        }
    }
    match best {
        Some(best) => Ok(Some(best)),
        None => {
            let shaped = thinned(&base, 0, drop);
            let file = write(&shaped, false)?;
            Ok((file.len() <= max_bytes).then_some((shaped, file)))
        }
    }
}

/// Rows of all planes, one plane behind the other.
fn rows_of(coefficients: &Coefficients) -> usize {
    let (mut rows, header) = (0, coefficients.header());
    for plane in 0..usize::from(header.channels) {
        rows += crate::coefficients::plane_size(header, plane).1;
    }
    rows
}

/// A copy in which detail coefficients up to `drop` in magnitude are zero, but for the first `keep` rows.
fn thinned(coefficients: &Coefficients, keep: usize, drop: i32) -> Coefficients {
    fn thin<T: Coefficient>(planes: &mut [PlaneData<T>], sizes: &[(usize, usize)], levels: u8, keep: usize, drop: i32) {
        let mut first = 0;
        for (plane, (width, height)) in planes.iter_mut().zip(sizes) {
            // The LL band lies in every 2^levels-th row, at its start, and is kept.
            let (low_width, step) = (crate::coefficients::halved(*width, levels), 1usize << levels);
            for (y, row) in plane.buffers[0].chunks_exact_mut(*width).enumerate() {
                if first + y < keep {
                    continue;
                }
                let from = if y % step == 0 { low_width } else { 0 };
                for v in &mut row[from..] {
                    if v.to_i32().unsigned_abs() <= drop as u32 {
                        *v = T::default();
                    }
                }
            }
            first += height;
        }
    }
    let mut out = coefficients.clone();
    if drop == 0 {
        return out;
    }
    let header = *out.header();
    let sizes: Vec<_> =
        (0..usize::from(header.channels)).map(|c| crate::coefficients::plane_size(&header, c)).collect();
    if header.levels > 0 {
        match &mut out.planes {
            Planes::Narrow(p) => thin(p, &sizes, header.levels, keep, drop),
            Planes::Wide(p) => thin(p, &sizes, header.levels, keep, drop),
        }
    }
    out
}

/// Squared error of the samples that coefficients decode to.
fn error_of(image: &ImageRef<'_>, coefficients: Coefficients) -> Result<f64> {
    fn squares<S: Copy + Into<f64>>(a: &[S], b: &[S]) -> f64 {
        a.iter().zip(b).map(|(a, b)| ((*a).into() - (*b).into()).powi(2)).sum()
    }
    let decoded = synthesise(coefficients)?;
    Ok(match (image.samples, decoded.samples.as_ref()) {
        (SamplesRef::U8(a), SamplesRef::U8(b)) => squares(a, b),
        (SamplesRef::U16(a), SamplesRef::U16(b)) => squares(a, b),
        (SamplesRef::U32(a), SamplesRef::U32(b)) => squares(a, b),
        (SamplesRef::I32(a), SamplesRef::I32(b)) => squares(a, b),
        _ => f64::MAX,
    })
}
