//! Rectangles of up to 32 x 32 coefficients as bits, for containers with small blocks: forward and inverse.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Most rows of a rectangle, and most coefficients of a row.
pub const ROW: usize = 32;

/// One bit of every coefficient of a rectangle: bit `x` of row `y`.
pub type Bits = [u32; ROW];

/// Most planes of a 16-bit magnitude.
const NARROW_PLANES: usize = 16;

/// A rectangle of coefficients where they lie: row `y` begins at `data[y * stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a, T> {
    /// From the first coefficient on.
    pub data: &'a [T],
    /// Coefficients from one row to the next.
    pub stride: usize,
    /// Columns, at most 32.
    pub width: usize,
    /// Rows, at most 32.
    pub height: usize,
}

impl<'a, T> Patch<'a, T> {
    #[inline(always)]
    fn row(&self, y: usize) -> &'a [T] {
        &self.data[y * self.stride..][..self.width]
    }
}

/// As [`Patch`], to be written.
#[derive(Debug)]
pub struct PatchMut<'a, T> {
    /// From the first coefficient on.
    pub data: &'a mut [T],
    /// Coefficients from one row to the next.
    pub stride: usize,
    /// Columns, at most 32.
    pub width: usize,
    /// Rows, at most 32.
    pub height: usize,
}

impl<T> PatchMut<'_, T> {
    /// Row `y`, below `height`.
    #[inline(always)]
    pub fn row(&mut self, y: usize) -> &mut [T] {
        &mut self.data[y * self.stride..][..self.width]
    }
}

/// Makes planes below `count` available; what new ones hold is not said.
fn reserve(planes: &mut Vec<Bits>, count: usize) {
    if planes.len() < count {
        planes.resize(count, [0; ROW]);
    }
}

/// Signs and magnitude planes of a rectangle; bits outside it are zero.
///
/// The result is the length of the largest magnitude in bits. `planes` is made at least as long; planes from that
/// length on, and signs of zeros, mean nothing.
pub fn split_i16(patch: &Patch<'_, i16>, negative: &mut Bits, planes: &mut Vec<Bits>) -> usize {
    if patch.width == ROW {
        return split_full(patch, negative, planes);
    }
    let mut room = [[0i16; ROW]; ROW];
    for (y, row) in room.iter_mut().enumerate().take(patch.height) {
        row[..patch.width].copy_from_slice(patch.row(y));
    }
    split_full(&Patch { data: room.as_flattened(), stride: ROW, width: ROW, ..*patch }, negative, planes)
}

/// As [`split_i16`], of rows of 32.
fn split_full(patch: &Patch<'_, i16>, negative: &mut Bits, planes: &mut Vec<Bits>) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if crate::cpu::has_avx2() && is_x86_feature_detected!("lzcnt") {
            // SAFETY: the processor has these features.
            return unsafe { split_avx2(patch, negative, planes) };
        }
        split_sse2(patch, negative, planes)
    }
    #[cfg(not(target_arch = "x86_64"))]
    split_plain(patch, |v| (v.unsigned_abs().into(), *v < 0), negative, planes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,lzcnt")]
fn split_avx2(patch: &Patch<'_, i16>, negative: &mut Bits, planes: &mut Vec<Bits>) -> usize {
    assert!(patch.height <= ROW);
    let load = |y: usize| {
        let row: &[i16; ROW] = patch.row(y).try_into().expect("rows of 32");
        let at = row.as_ptr().cast::<__m256i>();
        // SAFETY: a row is two vectors long.
        unsafe { (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))) }
    };
    let mut any = _mm256_setzero_si256();
    for y in 0..patch.height {
        let (a, b) = load(y);
        any = _mm256_or_si256(any, _mm256_or_si256(_mm256_abs_epi16(a), _mm256_abs_epi16(b)));
    }
    let any = _mm_or_si128(_mm256_castsi256_si128(any), _mm256_extracti128_si256(any, 1));
    let any = _mm_or_si128(any, _mm_srli_si128(any, 8));
    let any = _mm_or_si128(any, _mm_srli_si128(any, 4));
    let any = _mm_or_si128(any, _mm_srli_si128(any, 2));
    let top = 32 - (_mm_cvtsi128_si32(any) as u32 & 0xFFFF).leading_zeros() as usize;
    if top == 0 {
        return 0;
    }
    reserve(planes, top);
    let planes = &mut planes[..top];
    // Packing works on halves of vectors; this puts the quarters in order.
    let in_order = |packed| _mm256_permute4x64_epi64(packed, 0b11_01_10_00);
    let bytes = _mm256_set1_epi16(0xFF);
    // The highest plane of either byte comes to its sign bit. Bits of the lower byte that cross into the upper do not
    // get as far as its sign before all planes are out.
    let low_planes = top.min(8);
    let low_shift = _mm_cvtsi32_si128(8 - low_planes as i32);
    let high_shift = _mm_cvtsi32_si128(16 - top as i32);
    for y in 0..patch.height {
        let (a, b) = load(y);
        negative[y] = _mm256_movemask_epi8(in_order(_mm256_packs_epi16(a, b))) as u32;
        let (a, b) = (_mm256_abs_epi16(a), _mm256_abs_epi16(b));
        if top > 8 {
            let high = in_order(_mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)));
            let mut high = _mm256_sll_epi16(high, high_shift);
            for plane in planes[8..].iter_mut().rev() {
                plane[y] = _mm256_movemask_epi8(high) as u32;
                high = _mm256_add_epi8(high, high);
            }
        }
        let low = in_order(_mm256_packus_epi16(_mm256_and_si256(a, bytes), _mm256_and_si256(b, bytes)));
        let mut low = _mm256_sll_epi16(low, low_shift);
        for plane in planes[..low_planes].iter_mut().rev() {
            plane[y] = _mm256_movemask_epi8(low) as u32;
            low = _mm256_add_epi8(low, low);
        }
    }
    clear_below(patch.height, negative, planes);
    top
}

#[cfg(target_arch = "x86_64")]
fn split_sse2(patch: &Patch<'_, i16>, negative: &mut Bits, planes: &mut Vec<Bits>) -> usize {
    let any = (0..patch.height).flat_map(|y| patch.row(y)).fold(0, |any, v| any | v.unsigned_abs());
    let top = 16 - any.leading_zeros() as usize;
    reserve(planes, top);
    for y in 0..patch.height {
        let row: &[i16; ROW] = patch.row(y).try_into().expect("rows of 32");
        // SAFETY: SSE2 is part of the x86-64 baseline; the loads stay in the array of 32 values.
        unsafe {
            let at = row.as_ptr().cast::<__m128i>();
            let raw = [0, 1, 2, 3].map(|i| _mm_loadu_si128(at.add(i)));
            let signs = raw.map(|v| _mm_srai_epi16(v, 15));
            let mut magnitudes = raw;
            for (m, s) in magnitudes.iter_mut().zip(signs) {
                *m = _mm_sub_epi16(_mm_xor_si128(*m, s), s);
            }
            // One bit of each of 32 words: packed to the sign of bytes.
            let gather = |v: [__m128i; 4]| {
                let low = _mm_movemask_epi8(_mm_packs_epi16(v[0], v[1])) as u32;
                let high = _mm_movemask_epi8(_mm_packs_epi16(v[2], v[3])) as u32;
                low | high << 16
            };
            negative[y] = gather(signs);
            for (n, plane) in planes.iter_mut().enumerate().take(top) {
                let shift = _mm_cvtsi32_si128(15 - n as i32);
                plane[y] = gather(magnitudes.map(|m| _mm_sll_epi16(m, shift)));
            }
        }
    }
    clear_below(patch.height, negative, &mut planes[..top]);
    top
}

/// As [`split_i16`], for 32-bit values.
pub fn split_i32(patch: &Patch<'_, i32>, negative: &mut Bits, planes: &mut Vec<Bits>) -> usize {
    split_plain(patch, |v| (v.unsigned_abs(), *v < 0), negative, planes)
}

fn split_plain<T>(
    patch: &Patch<'_, T>,
    parts: impl Fn(&T) -> (u32, bool),
    negative: &mut Bits,
    planes: &mut Vec<Bits>,
) -> usize {
    let any = (0..patch.height).flat_map(|y| patch.row(y)).fold(0, |any, v| any | parts(v).0);
    let top = 32 - any.leading_zeros() as usize;
    reserve(planes, top);
    for plane in &mut planes[..top] {
        plane.fill(0);
    }
    negative.fill(0);
    for y in 0..patch.height {
        for (x, v) in patch.row(y).iter().enumerate() {
            let (mut magnitude, minus) = parts(v);
            negative[y] |= u32::from(minus) << x;
            while magnitude != 0 {
                planes[magnitude.trailing_zeros() as usize][y] |= 1 << x;
                magnitude &= magnitude - 1;
            }
        }
    }
    top
}

fn clear_below(height: usize, negative: &mut Bits, planes: &mut [Bits]) {
    if height < ROW {
        negative[height..].fill(0);
        for plane in planes {
            plane[height..].fill(0);
        }
    }
}

/// What is known of the coefficients of a rectangle, and what stands for what is not.
#[derive(Debug)]
pub struct Known<'a> {
    /// Coefficients that are not zero; the others stay as they are.
    pub significant: &'a Bits,
    /// 1 = negative.
    pub negative: &'a Bits,
    /// Magnitude planes.
    pub planes: &'a [Bits],
    /// Planes from here on are zero.
    pub top: usize,
    /// Planes from here on are known of all coefficients.
    pub low: usize,
    /// Coefficients of which plane `low - 1` is known too.
    pub partial: &'a Bits,
    /// Magnitudes are shifted up by so many bits.
    pub shift: u32,
    /// Then this is added: where planes are known from `low` on, and from `low - 1` on.
    pub offsets: [i16; 2],
}

impl Known<'_> {
    /// Whether values fit 16 bits, so that [`join_i16`] can be used.
    pub fn is_narrow(&self) -> bool {
        // One bit for the offset, one for the sign.
        self.top + self.shift as usize <= NARROW_PLANES - 2
    }
}

/// Values of a part of a rectangle, from column and row `from` on; undoes [`split_i16`] where everything is known.
///
/// # Panics
/// If the values do not fit; see [`Known::is_narrow`].
pub fn join_i16(known: &Known<'_>, from: (usize, usize), out: &mut PatchMut<'_, i16>) {
    assert!(known.is_narrow() && from.0 + out.width <= ROW && from.1 + out.height <= ROW);
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        return unsafe { join_avx2(known, from, out) };
    }
    join_rows(known, from, out, join_row);
}

#[inline(always)]
fn join_rows(
    known: &Known<'_>,
    (left, top): (usize, usize),
    out: &mut PatchMut<'_, i16>,
    join: impl Fn(&Known<'_>, usize, &mut [i16; ROW]),
) {
    for y in 0..out.height {
        if known.significant[top + y] == 0 {
            continue;
        }
        let row = out.row(y);
        if let Ok(full) = row.try_into() {
            join(known, top + y, full);
        } else {
            let mut room = [0; ROW];
            join(known, top + y, &mut room);
            row.copy_from_slice(&room[left..left + row.len()]);
        }
    }
}

fn join_row(known: &Known<'_>, y: usize, out: &mut [i16; ROW]) {
    out.fill(0);
    let mut rest = known.significant[y];
    while rest != 0 {
        let x = rest.trailing_zeros();
        rest &= rest - 1;
        let part = usize::from(known.partial[y] >> x & 1 == 1 && known.low > 0);
        let mut magnitude = 0;
        for n in known.low - part..known.top {
            magnitude |= ((known.planes[n][y] >> x & 1) as i16) << n;
        }
        let value = (magnitude << known.shift) + known.offsets[part];
        out[x as usize] = if known.negative[y] >> x & 1 == 1 { -value } else { value };
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn join_avx2(known: &Known<'_>, from: (usize, usize), out: &mut PatchMut<'_, i16>) {
    let places: [u16; 16] = std::array::from_fn(|x| 1 << x);
    // SAFETY: the array is one vector long.
    let places = unsafe { _mm256_loadu_si256(places.as_ptr().cast()) };
    // All ones in the lanes of the bits that are set.
    let spread = |bits: u32| {
        let low = _mm256_and_si256(_mm256_set1_epi16(bits as i16), places);
        let high = _mm256_and_si256(_mm256_set1_epi16((bits >> 16) as i16), places);
        [_mm256_cmpeq_epi16(low, places), _mm256_cmpeq_epi16(high, places)]
    };
    let whole = _mm256_set1_epi16(known.offsets[0]);
    let part = _mm256_set1_epi16(known.offsets[1]);
    join_rows(known, from, out, |known, y, out| {
        let partial = if known.low > 0 { known.partial[y] } else { 0 };
        let lowest = known.low - usize::from(partial != 0);
        let mut values = [_mm256_setzero_si256(); 2];
        let mut append = |bits: u32| {
            for (value, bits) in values.iter_mut().zip(spread(bits)) {
                *value = _mm256_sub_epi16(_mm256_add_epi16(*value, *value), bits);
            }
        };
        for plane in known.planes[known.low..known.top.max(known.low)].iter().rev() {
            append(plane[y]);
        }
        if partial != 0 {
            append(known.planes[lowest][y] & partial);
        }
        let shift = _mm_cvtsi32_si128((lowest + known.shift as usize) as i32);
        let masks = spread(known.significant[y]).into_iter().zip(spread(known.negative[y])).zip(spread(partial));
        for ((i, value), ((significant, minus), part_of)) in values.into_iter().enumerate().zip(masks) {
            let offset = _mm256_blendv_epi8(whole, part, part_of);
            let value = _mm256_add_epi16(_mm256_sll_epi16(value, shift), offset);
            let value = _mm256_sub_epi16(_mm256_xor_si256(value, minus), minus);
            let value = _mm256_and_si256(value, significant);
            // SAFETY: the row is two vectors long.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast::<__m256i>().add(i), value) };
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64) -> impl FnMut() -> u32 {
        let mut x = seed;
        move || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 32) as u32
        }
    }

    #[test]
    fn rectangles_split_as_their_values_say() {
        let mut next = random(1);
        for round in 0..200 {
            let (width, height) = if round % 2 == 0 { (32, 32) } else { (1 + next() % 32, 1 + next() % 32) };
            let (width, height, stride) = (width as usize, height as usize, 40);
            let data: Vec<i32> = (0..32 * stride)
                .map(|_| i32::from(if round == 7 { i16::MIN } else { next() as i16 >> (round % 16) }))
                .collect();
            let narrow: Vec<i16> = data.iter().map(|v| *v as i16).collect();
            let wide = Patch { data: &data, stride, width, height };
            let narrow = Patch { data: &narrow, stride, width, height };
            let (mut a, mut b, mut c) = (vec![[7; 32]; 3], vec![[9; 32]; 1], vec![[5; 32]; 4]);
            let (mut na, mut nb, mut nc) = ([7; 32], [9; 32], [5; 32]);
            let top = split_i16(&narrow, &mut na, &mut a);
            assert_eq!(top, split_i32(&wide, &mut nb, &mut b));
            assert_eq!((na, &a[..top]), (nb, &b[..top]));
            crate::cpu::use_baseline_only(true);
            assert_eq!(top, split_i16(&narrow, &mut nc, &mut c));
            crate::cpu::use_baseline_only(false);
            assert_eq!((na, &a[..top]), (nc, &c[..top]));
            for (x, y) in (0..32).flat_map(|y| (0..32).map(move |x| (x, y))) {
                let inside = x < width && y < height;
                let v = if inside { data[y * stride + x] } else { 0 };
                let magnitude: u32 = (0..top).map(|n| (a[n][y] >> x & 1) << n).sum();
                assert_eq!(magnitude, v.unsigned_abs());
                assert!(v == 0 || (na[y] >> x & 1 == 1) == (v < 0));
            }
        }
    }

    #[test]
    fn values_are_what_is_known_of_them() {
        let mut next = random(2);
        for round in 0..200 {
            let top = 1 + next() as usize % 12;
            let low = next() as usize % (top + 1);
            let planes: Vec<Bits> = (0..top).map(|_| [0; 32].map(|_| next())).collect();
            let mut some = || [0; 32].map(|_| if next().is_multiple_of(3) { 0 } else { next() & next() });
            let (significant, negative, partial) = (some(), some(), if round % 2 == 0 { some() } else { [0; 32] });
            let known = Known {
                significant: &significant,
                negative: &negative,
                planes: &planes,
                top,
                low,
                partial: &partial,
                shift: next() % (15 - top as u32),
                offsets: [(next() % 16) as i16, (next() % 8) as i16],
            };
            let from = (next() as usize % 3 * 5, next() as usize % 7);
            let (width, height) = (32 - from.0, 25);
            let mut fast = vec![1i16; 40 * 32];
            let mut slow = fast.clone();
            let patch = |data| PatchMut { data, stride: 40, width, height };
            join_i16(&known, from, &mut patch(&mut fast));
            join_rows(&known, from, &mut patch(&mut slow), join_row);
            assert_eq!(fast, slow);
            if low == 0 {
                let x = (0..width).find(|x| significant[from.1] >> (x + from.0) & 1 == 1);
                let Some(x) = x else { continue };
                let m: i32 = (0..top).map(|n| ((planes[n][from.1] >> (x + from.0) & 1) as i32) << n).sum();
                let m = (m << known.shift) + i32::from(known.offsets[0]);
                assert_eq!(i32::from(fast[x]), if negative[from.1] >> (x + from.0) & 1 == 1 { -m } else { m });
            }
        }
    }
}
