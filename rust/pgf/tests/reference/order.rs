//! The order in which coefficients are coded (sections 10, 13 and 17).

use super::MACROBLOCK;
use super::container::Header;
use super::quantize::BandKind;
use super::wavelet::level_size;

/// One coefficient: its plane, its step (1..=L), its band and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub plane: usize,
    pub level: usize,
    pub kind: BandKind,
    pub x: usize,
    pub y: usize,
}

/// Coefficients that share macroblocks; each run starts a new macroblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The step to which the run belongs; 0 for the one run of a file without tiles, which spans all steps.
    pub level: usize,
    pub places: Vec<Place>,
}

/// All positions of a `w` x `h` rectangle in 8 x 8 blocks.
pub fn scan(w: usize, h: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    for by in (0..h).step_by(8) {
        for bx in (0..w).step_by(8) {
            for y in by..(by + 8).min(h) {
                for x in bx..(bx + 8).min(w) {
                    out.push((x, y));
                }
            }
        }
    }
    out
}

/// Whether a coefficient of the interleaved order is from HL, else it is from LH.
pub type FromHl = bool;

/// HL and LH interleaved, for a plane of `w` x `h` before the step (files without the V5 flag).
pub fn interleaved(w: usize, h: usize) -> Vec<(FromHl, usize, usize)> {
    let (hl_w, hl_h) = (w / 2, h.div_ceil(2));
    let (lh_w, lh_h) = (w.div_ceil(2), h / 2);
    let mut out = Vec::new();
    for by in (0..lh_h).step_by(4) {
        let rows = by..(by + 4).min(lh_h);
        let rest = hl_w / 4 * 4;
        for bx in (0..rest).step_by(4) {
            for y in rows.clone() {
                for x in bx..bx + 4 {
                    out.push((true, x, y));
                    out.push((false, x, y));
                }
            }
        }
        for y in rows {
            for x in rest..hl_w {
                out.push((true, x, y));
                out.push((false, x, y));
            }
            if lh_w > hl_w {
                out.push((false, hl_w, y));
            }
        }
    }
    if hl_h > lh_h {
        for x in 0..hl_w {
            out.push((true, x, lh_h));
        }
    }
    out
}

/// Position and size of part `t` of `parts` (a power of two) of a length `n`.
pub fn tile_span(n: usize, parts: usize, t: usize) -> (usize, usize) {
    let mut pos = 0;
    let mut size = n;
    let mut bit = parts / 2;
    while bit > 0 {
        if t & bit == 0 {
            size = size.div_ceil(2);
        } else {
            pos += size.div_ceil(2);
            size /= 2;
        }
        bit /= 2;
    }
    (pos, size)
}

/// Size of a band of step `level` for a plane of `w` x `h`.
pub fn band_size(w: usize, h: usize, level: usize, kind: BandKind) -> (usize, usize) {
    let (w, h) = (level_size(w, level - 1), level_size(h, level - 1));
    match kind {
        BandKind::Ll => (w.div_ceil(2), h.div_ceil(2)),
        BandKind::Hl => (w / 2, h.div_ceil(2)),
        BandKind::Lh => (w.div_ceil(2), h / 2),
        BandKind::Hh => (w / 2, h / 2),
    }
}

/// All coefficients of steps L down to `level + 1`, that is, all that level `level` needs, in coded order.
pub fn runs(header: &Header, level: usize) -> Vec<Run> {
    if header.tiled() { tiled_runs(header, level) } else { vec![Run { level: 0, places: plain_run(header, level) }] }
}

/// The coefficients of each macroblock that level `level` needs.
pub fn macroblocks(header: &Header, level: usize) -> Vec<Vec<Place>> {
    let mut out = Vec::new();
    for run in runs(header, level) {
        out.extend(run.places.chunks(MACROBLOCK).map(<[Place]>::to_vec));
    }
    out
}

fn whole_band(out: &mut Vec<Place>, plane: usize, level: usize, kind: BandKind, size: (usize, usize)) {
    for (x, y) in scan(size.0, size.1) {
        out.push(Place { plane, level, kind, x, y });
    }
}

fn plain_run(header: &Header, to_level: usize) -> Vec<Place> {
    let top = usize::from(header.levels);
    let mut out = Vec::new();
    for level in (to_level + 1..=top).rev() {
        for plane in 0..usize::from(header.channels) {
            let (w, h) = header.plane_size(plane);
            let size = |kind| band_size(w, h, level, kind);
            if level == top {
                whole_band(&mut out, plane, level, BandKind::Ll, size(BandKind::Ll));
            }
            if header.has_v5() {
                whole_band(&mut out, plane, level, BandKind::Hl, size(BandKind::Hl));
                whole_band(&mut out, plane, level, BandKind::Lh, size(BandKind::Lh));
            } else {
                for (from_hl, x, y) in interleaved(level_size(w, level - 1), level_size(h, level - 1)) {
                    let kind = if from_hl { BandKind::Hl } else { BandKind::Lh };
                    out.push(Place { plane, level, kind, x, y });
                }
            }
            whole_band(&mut out, plane, level, BandKind::Hh, size(BandKind::Hh));
        }
    }
    out
}

fn tiled_runs(header: &Header, to_level: usize) -> Vec<Run> {
    let top = usize::from(header.levels);
    let mut out = Vec::new();
    for level in (to_level + 1..=top).rev() {
        let parts = 1 << (top - level);
        for plane in 0..usize::from(header.channels) {
            let (w, h) = header.plane_size(plane);
            if level == top {
                let mut places = Vec::new();
                whole_band(&mut places, plane, level, BandKind::Ll, band_size(w, h, level, BandKind::Ll));
                out.push(Run { level, places });
            }
            for ty in 0..parts {
                for tx in 0..parts {
                    let mut places = Vec::new();
                    for kind in [BandKind::Hl, BandKind::Lh, BandKind::Hh] {
                        let (band_w, band_h) = band_size(w, h, level, kind);
                        let (x0, tile_w) = tile_span(band_w, parts, tx);
                        let (y0, tile_h) = tile_span(band_h, parts, ty);
                        for (x, y) in scan(tile_w, tile_h) {
                            places.push(Place { plane, level, kind, x: x0 + x, y: y0 + y });
                        }
                    }
                    out.push(Run { level, places });
                }
            }
        }
    }
    out
}
