//! Sizes: which pictures are taken, what size they become, from which part of the source.

use crate::error::{Failure, FailureKind};

/// Which pictures are taken, by their size upright and before resizing.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// Fewest pixels of the shorter side.
    pub min_side: Option<u32>,
    /// Most pixels of the longer side.
    pub max_side: Option<u32>,
    /// Largest ratio of the longer to the shorter side, at least 1.
    pub max_aspect: Option<f64>,
}

impl Select {
    pub(crate) fn check(&self, width: u32, height: u32) -> Result<(), Failure> {
        let (shorter, longer) = (width.min(height), width.max(height));
        if let Some(bound) = self.min_side.filter(|bound| shorter < *bound) {
            let message = format!("{width}x{height}: a side of {shorter} is below min_side {bound}");
            return Err(Failure::new(FailureKind::TooSmall, message));
        }
        if let Some(bound) = self.max_side.filter(|bound| longer > *bound) {
            let message = format!("{width}x{height}: a side of {longer} is over max_side {bound}");
            return Err(Failure::new(FailureKind::TooLarge, message));
        }
        let aspect = f64::from(longer) / f64::from(shorter);
        if let Some(bound) = self.max_aspect.filter(|bound| aspect > *bound) {
            let message = format!("{width}x{height}: a ratio of sides of {aspect:.3} is over max_aspect {bound}");
            return Err(Failure::new(FailureKind::Aspect, message));
        }
        Ok(())
    }
}

/// What `size` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The shorter side becomes `size`.
    Shortest,
    /// The longer side becomes `size`.
    Longest,
    /// The centre square of `size` by `size`, after the shorter side became `size`.
    Crop,
}

/// How pictures are resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// What `size` means.
    pub rule: Rule,
    /// Pixels, at least 1.
    pub size: u32,
    /// Also enlarge pictures that are smaller. Otherwise they keep their scale; a crop of one is as much of the
    /// square as it fills.
    pub enlarge: bool,
}

/// The size that a picture becomes, and the part of the source that it shows, in source pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    pub width: u32,
    pub height: u32,
    pub left: f64,
    pub top: f64,
    pub part_width: f64,
    pub part_height: f64,
}

impl Target {
    /// The whole picture as it is.
    pub fn whole(width: u32, height: u32) -> Target {
        let (part_width, part_height) = (f64::from(width), f64::from(height));
        Target { width, height, left: 0.0, top: 0.0, part_width, part_height }
    }

    pub fn of(resize: Option<Resize>, width: u32, height: u32) -> Target {
        let Some(Resize { rule, size, enlarge }) = resize else { return Target::whole(width, height) };
        let (w, h, size) = (f64::from(width), f64::from(height), f64::from(size));
        let side = if rule == Rule::Longest { w.max(h) } else { w.min(h) };
        let scale = if enlarge { size / side } else { (size / side).min(1.0) };
        // The result is bounded by the sides of the source or, where it is enlarged, by 65535.
        let scaled = |side: f64| (side * scale).round().clamp(1.0, f64::from(u16::MAX).max(side)) as u32;
        let (out_width, out_height) = (scaled(w), scaled(h));
        if rule != Rule::Crop {
            return Target { width: out_width, height: out_height, ..Target::whole(width, height) };
        }
        let (out_width, out_height) = (out_width.min(size as u32), out_height.min(size as u32));
        let (part_width, part_height) = ((f64::from(out_width) / scale).min(w), (f64::from(out_height) / scale).min(h));
        // Without a change of scale whole pixels are cut out.
        let start = |rest: f64| if scale == 1.0 { (rest / 2.0).floor() } else { rest / 2.0 };
        Target {
            width: out_width,
            height: out_height,
            left: start(w - part_width),
            top: start(h - part_height),
            part_width,
            part_height,
        }
    }

    /// The largest of 8, 4, 2, 1 by which the source may be reduced while decoding without losing resolution.
    pub fn reduction(&self) -> u32 {
        let shrinks = (self.part_width / f64::from(self.width)).min(self.part_height / f64::from(self.height));
        // Sides are rounded: half a pixel of the target may be missing.
        let slack = 0.5 / f64::from(self.width.min(self.height));
        [8, 4, 2].into_iter().find(|by| f64::from(*by) <= shrinks * (1.0 + slack)).unwrap_or(1)
    }

    /// The same part in a source that was decoded at another size.
    pub fn of_reduced(self, full: (u32, u32), reduced: (u32, u32)) -> Target {
        let (x, y) = (f64::from(reduced.0) / f64::from(full.0), f64::from(reduced.1) / f64::from(full.1));
        let (width, height) = (f64::from(reduced.0), f64::from(reduced.1));
        let (left, top) = (self.left * x, self.top * y);
        Target {
            left,
            top,
            part_width: (self.part_width * x).min(width - left),
            part_height: (self.part_height * y).min(height - top),
            ..self
        }
    }

    /// Sides and axes swapped, for a source that lies on its side.
    pub fn transposed(self) -> Target {
        Target {
            width: self.height,
            height: self.width,
            left: self.top,
            top: self.left,
            part_width: self.part_height,
            part_height: self.part_width,
        }
    }

    /// Whether every pixel is one pixel of the source.
    pub fn copies(&self) -> bool {
        self.part_width == f64::from(self.width)
            && self.part_height == f64::from(self.height)
            && self.left.fract() == 0.0
            && self.top.fract() == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Resize, Rule, Target};

    fn size(rule: Rule, size: u32, enlarge: bool, source: (u32, u32)) -> (u32, u32) {
        let target = Target::of(Some(Resize { rule, size, enlarge }), source.0, source.1);
        (target.width, target.height)
    }

    #[test]
    fn rules_give_the_sizes_they_promise() {
        assert_eq!(size(Rule::Shortest, 256, false, (1024, 768)), (341, 256));
        assert_eq!(size(Rule::Longest, 256, false, (1024, 768)), (256, 192));
        assert_eq!(size(Rule::Crop, 256, false, (1024, 768)), (256, 256));
        assert_eq!(size(Rule::Shortest, 256, false, (100, 50)), (100, 50));
        assert_eq!(size(Rule::Shortest, 256, true, (100, 50)), (512, 256));
        assert_eq!(size(Rule::Crop, 256, false, (300, 50)), (256, 50));
        assert_eq!(size(Rule::Longest, 10, false, (100_000, 1)), (10, 1));
    }

    #[test]
    fn a_crop_is_the_centre() {
        let target = Target::of(Some(Resize { rule: Rule::Crop, size: 256, enlarge: false }), 1024, 512);
        assert_eq!((target.left, target.top, target.part_width, target.part_height), (256.0, 0.0, 512.0, 512.0));
        let target = Target::of(Some(Resize { rule: Rule::Crop, size: 256, enlarge: false }), 301, 256);
        assert!(target.copies());
        assert_eq!(target.left, 22.0);
    }

    #[test]
    fn reduction_never_goes_below_the_target() {
        let cases = [(1024, 256, 4), (1023, 256, 4), (1020, 256, 2), (2048, 256, 8), (256, 256, 1), (510, 256, 1)];
        for (side, size, by) in cases {
            assert!(u32::div_ceil(side, by) >= size);
            let target = Target::of(Some(Resize { rule: Rule::Shortest, size, enlarge: false }), side, side);
            assert_eq!(target.reduction(), by, "{side} to {size}");
        }
    }
}
