//! The integers of a stream: the bands of [`Coefficients`], further levels of the coarsest band, and the base.

use crate::base;
use crate::block::{Geometry, Part, band_size};
use crate::picture::Picture;
use crate::tile::{Tile, Tiles};
use pgf::rows::{Patch, split_i16, split_i32};
use pgf::{Band, BandPatch, BandRows, Coefficients, Lifted, Result};

/// What of the coarsest band of a plane the base leaves, and the base itself.
pub(crate) struct Base {
    /// One byte a coefficient, row by row.
    pub bytes: Vec<u8>,
    /// What is missing, row by row.
    pub residual: Vec<i32>,
    pub width: usize,
}

/// The integers that a writer codes.
pub(crate) struct Pyramid<'a> {
    coefficients: &'a Coefficients,
    /// Further levels, plane by plane; none where the stream has no more levels than the coefficients.
    further: Vec<Lifted>,
    /// HL, LH and HH of the levels of the coefficients, the finest first, plane by plane.
    details: Vec<Vec<[BandRows<'a>; 3]>>,
    levels: u8,
}

impl<'a> Pyramid<'a> {
    pub fn new(coefficients: &'a Coefficients, levels: u8) -> Result<Pyramid<'a>> {
        let header = coefficients.header();
        let (mut further, mut details) = (Vec::new(), Vec::new());
        for plane in 0..usize::from(header.channels) {
            let rows = |level, band| coefficients.rows(plane, level, band);
            let level = |l| Ok([rows(l, Band::HL)?, rows(l, Band::LH)?, rows(l, Band::HH)?]);
            details.push((1..=header.levels).map(level).collect::<Result<_>>()?);
            let (w, h) = band_size(header, plane, header.levels, Band::LL);
            let low = coefficients.band(plane, header.levels, Band::LL)?;
            further.push(Lifted::forward(low, w, h, levels - header.levels));
        }
        Ok(Pyramid { coefficients, further, details, levels })
    }

    /// The values of the coarsest band of a plane.
    pub fn coarsest(&self, plane: usize) -> Vec<i32> {
        let further = self.levels - self.coefficients.header().levels;
        let (_, h) = self.further[plane].size(further, Band::LL);
        (0..h).flat_map(|y| self.further[plane].row(further, Band::LL, y).to_vec()).collect()
    }

    /// Splits the coarsest band of a plane in bytes and what they leave.
    pub fn base(&self, picture: &Picture, plane: usize) -> Base {
        let shift = picture.base_shift[plane];
        let values = self.coarsest(plane);
        let bytes: Vec<u8> = values.iter().map(|v| base::to_byte(*v, shift)).collect();
        let residual = values.iter().zip(&bytes).map(|(v, b)| v.wrapping_sub(base::from_byte(*b, shift))).collect();
        Base { bytes, residual, width: base::size(picture, plane).0 }
    }

    /// Fills the tiles of a block; the result is the number of its planes.
    pub fn load(&self, geometry: &Geometry, bases: &[Base], block: usize, tiles: &mut Tiles) -> usize {
        let parts = geometry.parts_of(block);
        tiles.start(parts.len());
        let mut top = 0;
        for (part, tile) in parts.iter().zip(&mut tiles.tiles) {
            if part.width == 0 || part.height == 0 {
                continue;
            }
            self.load_part(part, &bases[usize::from(part.plane)], tile);
            if tile.top > 0 {
                top = top.max(tile.top + usize::from(part.lift));
            }
        }
        top
    }

    fn load_part(&self, part: &Part, base: &Base, tile: &mut Tile) {
        let plane = usize::from(part.plane);
        let (x, y) = (part.x as usize, part.y as usize);
        let (width, height) = (usize::from(part.width), usize::from(part.height));
        let header = self.coefficients.header();
        let patch = if part.band == Band::LL {
            let data = &base.residual[y * base.width + x..];
            BandPatch::Wide(Patch { data, stride: base.width, width, height })
        } else if part.level > header.levels {
            let level = part.level - header.levels;
            BandPatch::Wide(self.further[plane].patch(level, part.band, (x, y), (width, height)))
        } else {
            let [hl, lh, hh] = &self.details[plane][usize::from(part.level) - 1];
            let rows = match part.band {
                Band::HL => hl,
                Band::LH => lh,
                _ => hh,
            };
            rows.patch((x, y), (width, height))
        };
        tile.top = match &patch {
            BandPatch::Narrow(patch) => split_i16(patch, &mut tile.negative, &mut tile.planes),
            BandPatch::Wide(patch) => split_i32(patch, &mut tile.negative, &mut tile.planes),
        };
    }
}
