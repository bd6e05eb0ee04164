//! YCbCr to interleaved RGB, as JFIF defines it and as the Independent JPEG Group's library rounds it.

/// Pixels at a time.
const CHUNK: usize = 32;

type Chunk = [u8; CHUNK];

/// 1.402, 0.344136, 0.714136 and 1.772 in 1/65536, less whole multiples: products then fit 32 bits and sums 16, of which
/// twice as many fit a register.
const RED: i16 = 26345;
const GREEN: [i16; 2] = [-22554, 18734];
const BLUE: i16 = -14942;

/// Interleaves a row, without instructions beyond the baseline.
#[inline(always)]
pub(super) fn plain(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let part = |v: i16, factor: i16| (((i32::from(2 * v) * i32::from(factor)) >> 16) as i16 + 1) >> 1;
    for (((y, cb), cr), out) in luma.iter().zip(cb).zip(cr).zip(out.as_chunks_mut::<3>().0) {
        let (y, cb, cr) = (i16::from(*y), i16::from(*cb) - 128, i16::from(*cr) - 128);
        let green = i32::from(cb) * i32::from(GREEN[0]) + i32::from(cr) * i32::from(GREEN[1]) + 32768;
        let rgb = [y + cr + part(cr, RED), y - cr + (green >> 16) as i16, y + 2 * cb + part(cb, BLUE)];
        *out = rgb.map(|v| v.clamp(0, 255) as u8);
    }
}

/// The same with AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn vector(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let (luma, last_luma) = luma.as_chunks::<CHUNK>();
    let (cb, last_cb) = cb.as_chunks::<CHUNK>();
    let (cr, last_cr) = cr.as_chunks::<CHUNK>();
    let (out, last_out) = out.as_chunks_mut::<{ 3 * CHUNK }>();
    for (((luma, cb), cr), out) in luma.iter().zip(cb).zip(cr).zip(out) {
        vectors::chunk(luma, cb, cr, out);
    }
    if !last_luma.is_empty() {
        let padded = |row: &[u8]| {
            let mut all = [0; CHUNK];
            all[..row.len()].copy_from_slice(row);
            all
        };
        let mut rgb = [0; 3 * CHUNK];
        vectors::chunk(&padded(last_luma), &padded(last_cb), &padded(last_cr), &mut rgb);
        last_out.copy_from_slice(&rgb[..last_out.len()]);
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use super::{BLUE, CHUNK, Chunk, GREEN, RED};
    use std::arch::x86_64::*;

    /// The lower and the upper eight of each sixteen samples, as 16-bit numbers.
    type Wide = [__m256i; 2];

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn chunk(luma: &Chunk, cb: &Chunk, cr: &Chunk, out: &mut [u8; 3 * CHUNK]) {
        let centred = |v: Wide| v.map(|v| _mm256_sub_epi16(v, _mm256_set1_epi16(128)));
        let (y, cb, cr) = (wide(luma), centred(wide(cb)), centred(wide(cr)));
        let add = |a: Wide, b: Wide| [_mm256_add_epi16(a[0], b[0]), _mm256_add_epi16(a[1], b[1])];
        let sub = |a: Wide, b: Wide| [_mm256_sub_epi16(a[0], b[0]), _mm256_sub_epi16(a[1], b[1])];
        let part = |twice: Wide, factor: i16| {
            let (factor, one) = (_mm256_set1_epi16(factor), _mm256_set1_epi16(1));
            twice.map(|v| _mm256_srai_epi16(_mm256_add_epi16(_mm256_mulhi_epi16(v, factor), one), 1))
        };
        let green = |cb, cr| {
            let factors = _mm256_set1_epi32(i32::from(GREEN[0] as u16) | i32::from(GREEN[1]) << 16);
            let sum = |both| {
                let sum = _mm256_add_epi32(_mm256_madd_epi16(both, factors), _mm256_set1_epi32(32768));
                _mm256_srai_epi32(sum, 16)
            };
            _mm256_packs_epi32(sum(_mm256_unpacklo_epi16(cb, cr)), sum(_mm256_unpackhi_epi16(cb, cr)))
        };
        let narrow = |v: Wide| _mm256_packus_epi16(v[0], v[1]);
        let (twice_cb, twice_cr) = (add(cb, cb), add(cr, cr));
        let rgb = [
            narrow(add(add(y, cr), part(twice_cr, RED))),
            narrow(add(sub(y, cr), [green(cb[0], cr[0]), green(cb[1], cr[1])])),
            narrow(add(add(y, twice_cb), part(twice_cb, BLUE))),
        ];
        // Sixteen bytes of the result are a choice of each colour's bytes, which is one shuffle each. The halves of the
        // registers are sixteen pixels each.
        let mut thirds = [_mm256_setzero_si256(); 3];
        for (third, choices) in thirds.iter_mut().zip(&WEAVE) {
            for (colour, choice) in rgb.iter().zip(choices) {
                *third = _mm256_or_si256(*third, _mm256_shuffle_epi8(*colour, load(choice)));
            }
        }
        let parts = [
            _mm256_permute2x128_si256(thirds[0], thirds[1], 0x20),
            _mm256_blend_epi32(thirds[2], thirds[0], 0xf0),
            _mm256_permute2x128_si256(thirds[1], thirds[2], 0x31),
        ];
        for (out, part) in out.as_chunks_mut::<32>().0.iter_mut().zip(parts) {
            // SAFETY: a store to an array of 32 bytes.
            #[allow(unsafe_code)]
            unsafe {
                _mm256_storeu_si256(out.as_mut_ptr().cast(), part)
            };
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: a load of an array of 32 bytes.
        #[allow(unsafe_code)]
        unsafe {
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn wide(samples: &Chunk) -> Wide {
        let (samples, zero) = (load(samples), _mm256_setzero_si256());
        [_mm256_unpacklo_epi8(samples, zero), _mm256_unpackhi_epi8(samples, zero)]
    }

    /// Which byte of a colour stands where in each third of 48 bytes, for both halves of a register; 128 for none.
    const WEAVE: [[[u8; 32]; 3]; 3] = {
        let mut table = [[[128; 32]; 3]; 3];
        let mut at = 0;
        while at < 48 {
            table[at / 16][at % 3][at % 16] = (at / 3) as u8;
            table[at / 16][at % 3][at % 16 + 16] = (at / 3) as u8;
            at += 1;
        }
        table
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in the exact factors.
    fn exact(y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        let rgb = [
            y + ((91881 * cr + 32768) >> 16),
            y + ((-22554 * cb - 46802 * cr + 32768) >> 16),
            y + ((116_130 * cb + 32768) >> 16),
        ];
        rgb.map(|v| v.clamp(0, 255) as u8)
    }

    #[test]
    fn colours_are_those_of_the_exact_factors() {
        let cr: Vec<u8> = (0..=255).collect();
        for cb in 0..=255 {
            for y in [0, 1, 77, 128, 254, 255] {
                let expected: Vec<u8> = cr.iter().flat_map(|cr| exact(y, cb, *cr)).collect();
                let mut out = vec![0; 3 * 256];
                plain(&[y; 256], &[cb; 256], &cr, &mut out);
                assert_eq!(out, expected, "{y} {cb}");
                #[cfg(target_arch = "x86_64")]
                if std::arch::is_x86_feature_detected!("avx2") {
                    // All lengths of the rest behind whole chunks.
                    let length = 256 - usize::from(cb) % 33;
                    out.fill(0);
                    // SAFETY: the processor has AVX2.
                    #[allow(unsafe_code)]
                    unsafe {
                        vector(&vec![y; length], &vec![cb; length], &cr[..length], &mut out[..3 * length])
                    };
                    assert_eq!(out[..3 * length], expected[..3 * length], "{y} {cb}");
                    assert!(out[3 * length..].iter().all(|v| *v == 0));
                }
            }
        }
    }
}
