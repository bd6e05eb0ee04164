//! Pictures without levels: 32-bit samples, plane after plane (format section 11.4).

use super::wide::PlaneRows;
use crate::coefficients::{PlaneData, PlaneLayout, plane_size};
use crate::header::{FileHeader, Header};
use crate::report::{Damage, DamageKind, Report};

/// The samples of a target where they are in a file: planes that are four times an 8-bit picture need not be made.
pub(super) struct Raw<'a> {
    data: &'a [u8],
    header: Header,
    /// Where the planes begin; a region can be taken of a picture so large that its end is behind all numbers.
    starts: Vec<u64>,
    layouts: Vec<PlaneLayout>,
    rows: Vec<Vec<i32>>,
}

impl<'a> Raw<'a> {
    pub fn new(data: &'a [u8], file: &FileHeader, layouts: &[PlaneLayout]) -> Raw<'a> {
        let mut at = file.data_offset as u64;
        let mut starts = vec![at];
        for plane in 0..layouts.len() {
            let (width, height) = plane_size(&file.header, plane);
            at = at.saturating_add((width as u64).saturating_mul(height as u64).saturating_mul(4));
            starts.push(at);
        }
        let rows = vec![Vec::new(); layouts.len()];
        Raw { data, header: file.header, starts, layouts: layouts.to_vec(), rows }
    }

    /// The bytes of a row of what is wanted of a plane, as far as they are there.
    fn bytes(&self, plane: usize, y: usize) -> &'a [u8] {
        let layout = &self.layouts[plane];
        let width = plane_size(&self.header, plane).0 as u64;
        let first = ((layout.y + y) as u64).saturating_mul(width).saturating_add(layout.x as u64);
        let start = self.starts[plane].saturating_add(first.saturating_mul(4)).min(self.data.len() as u64) as usize;
        let bytes = &self.data[start..];
        &bytes[..bytes.len().min(4 * layout.samples.width)]
    }

    fn read(&self, plane: usize, y: usize, out: &mut [i32]) {
        for (v, word) in out.iter_mut().zip(self.bytes(plane, y).as_chunks::<4>().0) {
            *v = i32::from_le_bytes(*word);
        }
    }

    /// Notes what is there.
    pub fn report(&self, report: &mut Report) {
        let (start, end) = (self.starts[0], *self.starts.last().expect("an end"));
        report.macroblocks = 1;
        report.bytes_used = end.min(self.data.len() as u64) as usize;
        // The last row that is wanted of the last plane lies behind all others.
        let whole = self.layouts.iter().enumerate().all(|(plane, layout)| {
            let last = layout.samples.height.checked_sub(1);
            last.is_none_or(|last| self.bytes(plane, last).len() == 4 * layout.samples.width)
        });
        if whole {
            report.finest_complete_level = Some(0);
            report.intact = 1;
            return;
        }
        report.truncated = true;
        report.partial = 1;
        let message = format!("the planes need {} bytes", end - start);
        let bytes = self.data.len()..self.data.len();
        report.damage.push(Damage { bytes, kind: DamageKind::Truncated, repaired: false, message });
    }

    /// All of it, as coefficients.
    pub fn planes(&self) -> Vec<PlaneData<i32>> {
        let plane_of = |(plane, layout): (usize, &PlaneLayout)| {
            let mut out = PlaneData::new(layout);
            for y in 0..layout.samples.height {
                self.read(plane, y, layout.samples.row_mut(&mut out.buffers[0], y));
            }
            out
        };
        self.layouts.iter().enumerate().map(plane_of).collect()
    }
}

impl PlaneRows for Raw<'_> {
    fn advance(&mut self, plane: usize, y: usize) {
        let mut row = std::mem::take(&mut self.rows[plane]);
        row.clear();
        row.resize(self.layouts[plane].samples.width, 0);
        self.read(plane, y, &mut row);
        self.rows[plane] = row;
    }

    fn row(&self, plane: usize, _y: usize) -> &[i32] {
        &self.rows[plane]
    }
}
