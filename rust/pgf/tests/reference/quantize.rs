//! Scalar quantization by shifts (section 9).

/// Kind of band, in the order in which bands are named everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandKind {
    Ll,
    Hl,
    Lh,
    Hh,
}

/// The shift of a band of step `level` (1..=L) under the quantization parameter `q`; not positive means none.
pub fn shift(q: i32, level: usize, kind: BandKind) -> i32 {
    let level = level as i32;
    match kind {
        BandKind::Ll => q - (level + 1),
        BandKind::Hl | BandKind::Lh => q - level,
        BandKind::Hh => q - (level - 1),
    }
}

/// Quantizes one coefficient of an LL band by `s` bits.
pub fn quantize_ll(x: i32, s: i32) -> i32 {
    if s <= 0 {
        return x;
    }
    let m = x.wrapping_abs();
    let y = (m >> (s - 1)).wrapping_add(1) >> 1;
    if x < 0 { y.wrapping_neg() } else { y }
}

/// Quantizes one coefficient of a detail band by `s` bits, with its dead zone.
pub fn quantize_detail(x: i32, s: i32) -> i32 {
    if s <= 0 {
        return x;
    }
    let in_dead_zone = if s >= 29 || x == i32::MIN { false } else { i64::from(x).abs() <= 7 * (1_i64 << s) / 5 };
    if in_dead_zone { 0 } else { quantize_ll(x, s) }
}

pub fn quantize(x: i32, q: i32, level: usize, kind: BandKind) -> i32 {
    let s = shift(q, level, kind);
    match kind {
        BandKind::Ll => quantize_ll(x, s),
        BandKind::Hl | BandKind::Lh | BandKind::Hh => quantize_detail(x, s),
    }
}

pub fn dequantize(y: i32, q: i32, level: usize, kind: BandKind) -> i32 {
    let s = shift(q, level, kind);
    if s > 0 { y.wrapping_shl(s as u32) } else { y }
}
