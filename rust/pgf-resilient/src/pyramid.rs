//! The integers of a stream: the bands of [`Coefficients`], further levels of the coarsest band, and the base.

use crate::base;
use crate::block::{Geometry, Part, band_size};
use crate::picture::Picture;
use crate::tile::{Tile, Tiles};
use pgf::rows::{ROW, split_i16, split_i32};
use pgf::{Band, BandRows, Coefficients, Lifted, Result, Row};

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
        let (x, width) = (part.x as usize, usize::from(part.width));
        let header = self.coefficients.header();
        if part.band == Band::LL {
            return load_rows(part, tile, |y| Row::Wide(&base.residual[y * base.width + x..][..width]));
        }
        if part.level > header.levels {
            let (further, level) = (&self.further[plane], part.level - header.levels);
            return load_rows(part, tile, |y| Row::Wide(&further.row(level, part.band, y)[x..x + width]));
        }
        let [hl, lh, hh] = &self.details[plane][usize::from(part.level) - 1];
        let rows = match part.band {
            Band::HL => hl,
            Band::LH => lh,
            _ => hh,
        };
        load_rows(part, tile, |y| match rows.row(y) {
            Row::Narrow(row) => Row::Narrow(&row[x..x + width]),
            Row::Wide(row) => Row::Wide(&row[x..x + width]),
        });
    }
}

fn load_rows<'r>(part: &Part, tile: &mut Tile, row: impl Fn(usize) -> Row<'r>) {
    let mut split = [0u32; ROW];
    for y in 0..usize::from(part.height) {
        let negative = &mut tile.negative[y];
        let top = match row(part.y as usize + y) {
            Row::Narrow(row) => split_i16(row, negative, &mut split),
            Row::Wide(row) => split_i32(row, negative, &mut split),
        };
        if top > tile.top {
            tile.reserve(top);
            // Rows above had no such planes.
            for plane in &mut tile.planes[tile.top..top] {
                *plane = [0; 32];
            }
            tile.top = top;
        }
        for (plane, bits) in tile.planes.iter_mut().zip(&split[..top]) {
            plane[y] = *bits;
        }
        for plane in &mut tile.planes[top..tile.top] {
            plane[y] = 0;
        }
    }
    // Rows behind the end.
    for plane in &mut tile.planes[..tile.top] {
        plane[usize::from(part.height)..].fill(0);
    }
}
