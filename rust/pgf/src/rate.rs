//! The best picture in a given number of bytes.
//!
//! A quality fixes the step sizes of all bands; that is far too coarse to meet a byte count, as one step of it halves
//! or doubles the file. Inside a quality the encoder is free in which coefficients it rounds to zero. [`Shaper`] makes
//! that choice for a price per bit; here the price is found at which the file just fits, for the qualities that come
//! into question, and the last bytes are spent macroblock by macroblock.

mod shape;
mod source;

use crate::bitplane::BlockEncoder;
use crate::coefficients::{Coefficients, Planes};
use crate::decode::{DecodeOptions, decode};
use crate::encode::{EncodeOptions, analyse_unquantised, encode, header_for, too_noisy, write_blocks};
use crate::error::{Error, Result};
use crate::header::Limits;
use crate::image::{ImageRef, Samples, SamplesRef};
use crate::planes::BLOCK_VALUES;
use crate::quantize::Quantize;
use shape::{Shaper, Stakes, words_of_zeros};
use source::{Held, Source, exp2, log2};
use std::rc::Rc;

/// The coarsest quality that the encoder offers.
const COARSEST: u8 = 30;
/// The finest quality at which planes are halved.
const FIRST_HALVED: u8 = 4;
/// Trials of prices for one quality; a handful suffice.
const MOST_TRIALS: usize = 24;
/// Squared error of a squared step of 1, about, in bands of middle levels: what prices are measured in.
const STEP_WEIGHT: f64 = 0.4;
/// The price, in that measure, below which nothing more is gained.
const LEAST_PRICE: f64 = 0.01;
/// How much of the budget a quality must be able to fill to be worth trying.
const FULL: f64 = 0.925;
/// How near to the budget, as a part of it, a trial must come to be completed macroblock by macroblock.
const NEAR: f64 = 0.08;
/// How much more the bytes change with the price than the stakes say, because every coefficient that is dropped makes
/// its neighbours dearer.
const AMPLIFICATION: f64 = 1.7;
/// Bytes of what cannot be coded.
const ENDLESS: u64 = 1 << 40;

/// Encodes the best picture, by squared error of its samples, that fits in `max_bytes` bytes.
///
/// The bytes include everything: headers, palette and user data. If the file that [`encode`] makes of the same options
/// fits, it is returned; otherwise `options.quality` is the finest quality that may be used. The result is a
/// standard file. Levels are never changed: small files of large pictures gain by asking for more of them in
/// `options.levels`. `options.favor_speed` is ignored.
///
/// # Errors
/// As [`encode`]; [`Error::Usage`] naming the smallest possible size if that is over `max_bytes`.
pub fn encode_max_bytes(image: &ImageRef<'_>, options: &EncodeOptions<'_>, max_bytes: usize) -> Result<Vec<u8>> {
    let options = &EncodeOptions { favor_speed: false, ..options.clone() };
    if header_for(image, options)?.levels == 0 {
        return without_levels(image, options, max_bytes);
    }
    // Without halved planes one transform serves all qualities.
    let first = if image.mode.subsamples() { options.quality.max(FIRST_HALVED) } else { options.quality };
    let coefficients = analyse_unquantised(image, &EncodeOptions { quality: first, ..options.clone() })?;
    let shaped = match coefficients.planes {
        Planes::Narrow(_) => Search::<i16>::new(image, options, max_bytes, coefficients)?.run()?,
        Planes::Wide(_) => Search::<i32>::new(image, options, max_bytes, coefficients)?.run()?,
    };
    // Just above the size of a whole quality step nothing may be better than that step itself.
    match whole_step(image, options, max_bytes)? {
        Some(whole) if whole != shaped && loss(image, &whole)? < loss(image, &shaped)? => Ok(whole),
        _ => Ok(shaped),
    }
}

/// The file of the finest quality that fits as it is, if any does.
fn whole_step(image: &ImageRef<'_>, options: &EncodeOptions<'_>, max_bytes: usize) -> Result<Option<Vec<u8>>> {
    let (mut too_fine, mut fits, mut best) = (i16::from(options.quality) - 1, i16::from(COARSEST) + 1, None);
    while fits - too_fine > 1 {
        let middle = too_fine + (fits - too_fine) / 2;
        match encode(image, &EncodeOptions { quality: middle as u8, ..options.clone() }) {
            Ok(file) if file.len() <= max_bytes => (fits, best) = (middle, Some(file)),
            // Too noisy for any file, so surely for this one.
            Ok(_) | Err(Error::Unsupported(_)) => too_fine = middle,
            Err(error) => return Err(error),
        }
    }
    Ok(best)
}

/// Squared error of the samples that a file decodes to.
fn loss(image: &ImageRef<'_>, file: &[u8]) -> Result<f64> {
    let limits = Limits { max_pixels: u64::MAX, max_bytes: u64::MAX };
    let decoded = decode(file, &DecodeOptions { limits, ..DecodeOptions::default() })?;
    Ok(match (image.samples, &decoded.samples) {
        (SamplesRef::U8(a), Samples::U8(b)) => squares(a, b),
        (SamplesRef::U16(a), Samples::U16(b)) => squares(a, b),
        (SamplesRef::U32(a), Samples::U32(b)) => squares(a, b),
        (SamplesRef::I32(a), Samples::I32(b)) => squares(a, b),
        _ => f64::MAX,
    })
}

/// Pictures too small for the wavelet are stored as they are; only halved planes make them smaller.
fn without_levels(image: &ImageRef<'_>, options: &EncodeOptions<'_>, max_bytes: usize) -> Result<Vec<u8>> {
    let mut smallest = usize::MAX;
    for quality in [options.quality, options.quality.max(FIRST_HALVED)] {
        let file = encode(image, &EncodeOptions { quality, ..options.clone() })?;
        if file.len() <= max_bytes {
            return Ok(file);
        }
        smallest = smallest.min(file.len());
    }
    Err(too_small(max_bytes, smallest as u64))
}

fn too_small(max_bytes: usize, smallest: u64) -> Error {
    Error::Usage(format!("max_bytes {max_bytes}: the smallest file of this picture takes {smallest} bytes"))
}

/// A whole picture shaped at one price.
#[derive(Clone)]
struct Trial {
    price: f64,
    /// Code of all macroblocks, and where each ends.
    code: Vec<u8>,
    ends: Vec<usize>,
    gain: f64,
    /// Of the whole file.
    bytes: u64,
    stakes: Stakes,
}

/// What one quality can do with the bytes.
struct Fit<T> {
    source: Rc<Source<T>>,
    quality: u8,
    trial: Trial,
    /// The gain that is expected once the trial is made to fit exactly.
    gain: f64,
    /// Nothing more can be bought.
    saturated: bool,
}

impl<T: Held> Fit<T> {
    /// The price beside the distortion of a step.
    fn relative_price(&self) -> f64 {
        self.trial.price / unit(&self.source, self.quality)
    }
}

/// What prices are measured in: see [`STEP_WEIGHT`].
fn unit<T: Held>(source: &Source<T>, quality: u8) -> f64 {
    STEP_WEIGHT * exp2(2.0 * f64::from(source.quantizer(quality)))
}

struct Search<'a, T> {
    image: &'a ImageRef<'a>,
    options: &'a EncodeOptions<'a>,
    max_bytes: usize,
    /// Planes halved where the mode and the finest quality allow it.
    source: Rc<Source<T>>,
    /// All planes in full, once needed.
    full: Option<Rc<Source<T>>>,
    shaper: Shaper<T>,
}

impl<'a, T: Held + Quantize> Search<'a, T> {
    fn new(
        image: &'a ImageRef<'a>,
        options: &'a EncodeOptions<'a>,
        max_bytes: usize,
        coefficients: Coefficients,
    ) -> Result<Self> {
        let source = Rc::new(Source::new(coefficients)?);
        Ok(Search { image, options, max_bytes, source, full: None, shaper: Shaper::new() })
    }

    fn run(mut self) -> Result<Vec<u8>> {
        let zeros: usize = self.source.blocks.iter().map(|b| 4 * words_of_zeros(b.values)).sum();
        let smallest = self.source.frame_bytes()? + zeros as u64;
        if smallest > self.max_bytes as u64 {
            return Err(too_small(self.max_bytes, smallest));
        }
        let finest = self.options.quality;
        if self.source.fewest_bits_of_first_plane(finest) <= 8 * self.max_bytes as u64
            && let Some(file) = self.standard(finest)?
        {
            return Ok(file);
        }
        if finest >= FIRST_HALVED || !self.image.mode.subsamples() {
            let fit = self.best_fit(finest, COARSEST)?;
            return self.finish(fit);
        }
        // Where the last but one of the qualities with halved planes has spent what it can, full planes are better.
        let edge = self.likely_bytes(&self.source, FIRST_HALVED + 1)?;
        let budget = self.max_bytes as f64;
        let halved = if budget < 1.1 * edge { Some(self.best_fit(FIRST_HALVED, COARSEST)?) } else { None };
        let full = if budget > 0.75 * edge { Some(self.best_fit(finest, FIRST_HALVED - 1)?) } else { None };
        match (halved, full) {
            (Some(halved), Some(full)) => {
                let (halved, full) = (self.finish(halved)?, self.finish(full)?);
                Ok(if self.error_of(&full)? < self.error_of(&halved)? { full } else { halved })
            }
            (Some(fit), None) | (None, Some(fit)) => self.finish(fit),
            (None, None) => unreachable!("one bound is above the other"),
        }
    }

    /// The coefficients for a quality.
    fn source_of(&mut self, quality: u8) -> Result<Rc<Source<T>>> {
        if !self.image.mode.subsamples() || self.options.quality >= FIRST_HALVED || quality >= FIRST_HALVED {
            return Ok(self.source.clone());
        }
        if self.full.is_none() {
            let options = EncodeOptions { quality, ..self.options.clone() };
            self.full = Some(Rc::new(Source::new(analyse_unquantised(self.image, &options)?)?));
        }
        Ok(self.full.clone().expect("made above"))
    }

    /// The file that [`encode`] makes, if it fits.
    fn standard(&mut self, quality: u8) -> Result<Option<Vec<u8>>> {
        let source = self.source_of(quality)?;
        let mut out = Vec::new();
        source.write_header(quality, &mut out)?;
        let mut coder = BlockEncoder::new(false);
        let mut values = vec![T::default(); BLOCK_VALUES];
        let fits = write_blocks(&source.order, &source.blocks, self.max_bytes, &mut out, |index, out| {
            source.quantize(index, quality, &mut values);
            let code = coder.encode(&values[..source.blocks[index].values]).ok_or_else(too_noisy)?;
            out.extend_from_slice(code);
            Ok(())
        });
        match fits {
            // Too noisy for any file, so surely for this one.
            Ok(false) | Err(Error::Unsupported(_)) => Ok(None),
            Ok(true) => Ok(Some(out)),
            Err(error) => Err(error),
        }
    }

    /// About how long a file becomes at a quality whatever the price.
    fn likely_bytes(&self, source: &Source<T>, quality: u8) -> Result<f64> {
        Ok(source.frame_bytes()? as f64 + source.likely_bits(source.quantizer(quality)) / 8.0)
    }

    /// The best fit among qualities whose planes are alike.
    fn best_fit(&mut self, finest: u8, coarsest: u8) -> Result<Fit<T>> {
        let source = self.source_of(finest)?;
        let budget = self.max_bytes as f64;
        // Coarse steps with a narrow dead zone are better than fine ones with a wide one, as long as they fill the file.
        let mut quality = coarsest;
        let mut likely = self.likely_bytes(&source, quality)?;
        while quality > finest && likely < FULL * budget {
            quality -= 1;
            likely = self.likely_bytes(&source, quality)?;
        }
        let coefficients = source.blocks.iter().map(|b| b.held).sum::<usize>() as f64;
        let density = 8.0 * likely / coefficients;
        let least_slope = if source.header.subsampled() || source.header.channels == 1 { 0.05 } else { 0.14 };
        let slope = (0.18 - 0.08 * log2(density)).max(least_slope);
        let relative = (0.2 * (1.0 - budget / likely) / slope).min(1.5);
        let mut best = self.fit(quality, relative * unit(&source, quality))?;
        loop {
            let (quality, used) = (best.quality, best.trial.bytes as f64 / budget);
            let finer = best.saturated && used < 0.97 && quality > finest;
            let coarser = best.relative_price() > 0.25
                && quality < coarsest
                && self.likely_bytes(&source, quality + 1)? > 0.85 * budget;
            let other = if finer {
                self.fit(quality - 1, 0.42 * unit(&source, quality - 1))?
            } else if coarser {
                self.fit(quality + 1, 0.0)?
            } else {
                return Ok(best);
            };
            if other.gain <= best.gain {
                return Ok(best);
            }
            best = other;
            if coarser {
                return Ok(best);
            }
        }
    }

    /// Finds about the price at which a quality fits.
    fn fit(&mut self, quality: u8, start: f64) -> Result<Fit<T>> {
        let source = self.source_of(quality)?;
        let least = LEAST_PRICE * unit(&source, quality);
        let budget = self.max_bytes as f64;
        // Prices that are known to be too low and too high.
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut price = f64::max(start, least);
        let mut tries = 0;
        loop {
            let trial = self.trial(&source, quality, price)?;
            let bytes = trial.bytes as f64;
            if bytes > budget {
                low = price;
            } else {
                high = price;
            }
            tries += 1;
            let close = (bytes - budget).abs() <= NEAR * budget;
            let saturated = bytes <= budget && price <= least;
            if close || saturated || tries >= MOST_TRIALS || high / low < 1.01 {
                let trial =
                    if trial.is_possible() { trial } else { self.possible_trial(&source, quality, high, price)? };
                let bytes = trial.bytes as f64;
                let unspent = if saturated { 0.0 } else { 8.0 * (budget - bytes) * price };
                let gain = trial.gain + unspent;
                return Ok(Fit { source, quality, trial, gain, saturated });
            }
            price = trial.price_for(budget).clamp(least, f64::MAX / 1e9);
            if price < 3.0 * least {
                price = least;
            }
            if price <= low || price >= high {
                // Known better: between the bounds.
                price = if low > 0.0 && high.is_finite() {
                    (low * high).sqrt()
                } else if low > 0.0 {
                    4.0 * low
                } else {
                    high / 4.0
                };
                price = price.max(least);
            }
        }
    }

    /// The trial at a price that is known to be high enough or, where none is, at the first that all macroblocks can
    /// hold; `price` is too low for them.
    fn possible_trial(&mut self, source: &Source<T>, quality: u8, known: f64, mut price: f64) -> Result<Trial> {
        if known.is_finite() {
            return self.trial(source, quality, known);
        }
        // At some price all values are zeros.
        while price < f64::MAX / 4.0 {
            price *= 4.0;
            let trial = self.trial(source, quality, price)?;
            if trial.is_possible() {
                return Ok(trial);
            }
        }
        Err(too_noisy())
    }

    fn trial(&mut self, source: &Source<T>, quality: u8, price: f64) -> Result<Trial> {
        let quantizer = source.quantizer(quality);
        let mut trial = Trial {
            price,
            code: Vec::new(),
            ends: Vec::with_capacity(source.blocks.len()),
            gain: 0.0,
            bytes: source.frame_bytes()?,
            stakes: Stakes::new(),
        };
        for index in 0..source.blocks.len() {
            match self.shaper.shape(source, index, quantizer, price, Some(&mut trial.stakes)) {
                Some((code, gain)) => {
                    trial.code.extend_from_slice(code);
                    trial.bytes += code.len() as u64;
                    trial.gain += gain;
                }
                // What no macroblock can hold counts as endless.
                None => trial.bytes += ENDLESS,
            }
            trial.ends.push(trial.code.len());
        }
        Ok(trial)
    }

    /// Makes a fit's trial fit exactly, macroblock by macroblock, and writes it.
    fn finish(&mut self, fit: Fit<T>) -> Result<Vec<u8>> {
        let Fit { source, quality, trial, .. } = fit;
        let quantizer = source.quantizer(quality);
        let budget = self.max_bytes as i64;
        let mut changed: Vec<Option<Vec<u8>>> = vec![None; source.blocks.len()];
        let start_of = |index: usize| if index == 0 { 0 } else { trial.ends[index - 1] };
        let mut bytes = trial.bytes as i64;
        let length = |changed: &[Option<Vec<u8>>], index: usize| match &changed[index] {
            Some(code) => code.len() as i64,
            None => (trial.ends[index] - start_of(index)) as i64,
        };
        let mut from = trial.price;
        let least = LEAST_PRICE * unit(&source, quality);
        'passes: loop {
            let over = bytes > budget;
            if !over && (from <= least || budget - bytes < 8) {
                break;
            }
            let aim = if over { 2 * budget - bytes - bytes / 100 } else { 2 * budget - bytes + bytes / 100 };
            let factor = trial.price_for(aim.max(1) as f64) / trial.price;
            let factor = if over { factor.max(1.02) } else { factor.min(0.98) };
            let price = from * factor;
            for index in 0..source.blocks.len() {
                let before = length(&changed, index);
                let Some((code, _)) = self.shaper.shape(&source, index, quantizer, price, None) else { continue };
                let after = code.len() as i64;
                if over {
                    if after < before {
                        changed[index] = Some(code.to_vec());
                        bytes += after - before;
                    }
                    if bytes > budget {
                        continue;
                    }
                } else {
                    if bytes + after - before <= budget {
                        if after > before {
                            bytes += after - before;
                            changed[index] = Some(code.to_vec());
                        }
                        continue;
                    }
                }
                // This macroblock takes what is left.
                let (mut coarse, mut fine) = if over { (price, from) } else { (from, price) };
                for _ in 0..5 {
                    let middle = 0.5 * (coarse + fine);
                    let before = length(&changed, index);
                    match self.shaper.shape(&source, index, quantizer, middle, None) {
                        Some((code, _)) if bytes + code.len() as i64 - before <= budget => {
                            coarse = middle;
                            let after = code.len() as i64;
                            if after > before {
                                bytes += after - before;
                                changed[index] = Some(code.to_vec());
                            }
                        }
                        _ => fine = middle,
                    }
                    if budget - bytes < 8 {
                        break;
                    }
                }
                break 'passes;
            }
            from = price;
        }
        let mut out = Vec::with_capacity(self.max_bytes);
        source.write_header(quality, &mut out)?;
        write_blocks(&source.order, &source.blocks, usize::MAX, &mut out, |index, out| {
            match &changed[index] {
                Some(code) => out.extend_from_slice(code),
                None => out.extend_from_slice(&trial.code[start_of(index)..trial.ends[index]]),
            }
            Ok(())
        })?;
        assert!(out.len() <= self.max_bytes, "{} bytes counted as {}", out.len(), self.max_bytes);
        Ok(out)
    }

    /// Sum of squared errors of a file's samples.
    fn error_of(&self, file: &[u8]) -> Result<f64> {
        loss(self.image, file)
    }
}

impl Trial {
    /// Whether every macroblock can hold its values.
    fn is_possible(&self) -> bool {
        self.bytes < ENDLESS
    }

    /// The price that the stakes promise to lead to so many bytes.
    fn price_for(&self, bytes: f64) -> f64 {
        let wanted = 8.0 * (bytes - self.bytes as f64) / AMPLIFICATION;
        let (mut low, mut high) = (-2.0, 2.0);
        for _ in 0..16 {
            let middle = 0.5 * (low + high);
            if self.stakes.change(exp2(middle)) > wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.price * exp2(0.5 * (low + high))
    }
}

fn squares<S: Copy + Into<f64>>(a: &[S], b: &[S]) -> f64 {
    a.iter().zip(b).map(|(a, b)| ((*a).into() - (*b).into()).powi(2)).sum()
}
