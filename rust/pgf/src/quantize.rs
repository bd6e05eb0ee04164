//! Scalar quantization by shifts (format section 9), forward and inverse side by side.

use crate::coefficients::Band;
use crate::wavelet::Lift;

/// The shift of a band: `y = x / 2^shift`, 0 = none. `level` counts from 1, the finest.
pub(crate) fn shift(quantizer: i32, level: u8, band: Band) -> u32 {
    let level = i32::from(level);
    let shift = match band {
        Band::LL => quantizer - (level + 1),
        Band::HL | Band::LH => quantizer - level,
        Band::HH => quantizer - (level - 1),
    };
    shift.max(0) as u32
}

/// Quantizes in place. The dead zone, all but LL, is 1.4 steps wide on each side.
#[inline(always)]
pub(crate) fn quantize<T: Quantize>(values: &mut [T], shift: u32, dead_zone: bool) {
    if shift > 0 {
        T::quantize(values, shift, dead_zone);
    }
}

/// Undoes [`quantize`] up to its loss: plain shifts, no reconstruction offset.
#[inline(always)]
pub(crate) fn dequantize<T: Lift>(values: &mut [T], shift: u32) {
    if shift > 0 {
        for v in values {
            *v = v.shift_up(shift);
        }
    }
}

/// The two widths of arithmetic that quantization is done in.
pub trait Quantize: Lift {
    #[doc(hidden)]
    fn quantize(values: &mut [Self], shift: u32, dead_zone: bool);
}

impl Quantize for i16 {
    #[inline(always)]
    fn quantize(values: &mut [i16], shift: u32, dead_zone: bool) {
        // Magnitudes are below 2^14 (see `FORWARD_16_BIT`): larger shifts leave nothing.
        if shift > 15 {
            values.fill(0);
            return;
        }
        let zone = if dead_zone { (7u32 << shift) / 5 } else { 0 }.min(0x7FFF) as i16;
        for v in values {
            let sign = *v >> 15;
            let magnitude = (*v ^ sign) - sign;
            let step = ((magnitude >> (shift - 1)) + 1) >> 1;
            let kept = if magnitude > zone { step } else { 0 };
            *v = (kept ^ sign) - sign;
        }
    }
}

impl Quantize for i32 {
    #[inline(always)]
    fn quantize(values: &mut [i32], shift: u32, dead_zone: bool) {
        // From 29 on libPGF's dead zone overflows, with the effect that there is none (format section 9).
        let zone = if dead_zone && shift < 29 { ((7u64 << shift) / 5) as i32 } else { i32::MIN };
        for v in values {
            let sign = *v >> 31;
            // -2^31 stays as it is and never counts as inside the dead zone.
            let magnitude = (*v ^ sign).wrapping_sub(sign);
            let step = (magnitude >> (shift - 1)).wrapping_add(1) >> 1;
            let kept = if magnitude > zone || magnitude == i32::MIN { step } else { 0 };
            *v = (kept ^ sign).wrapping_sub(sign);
        }
    }
}
