//! Blocks to coefficients and pixels.

use std::ops::Range;
use std::sync::Mutex;

use crate::block::{Part, band_size, shift_of};
use crate::chain::{BlockReader, BlockState};
use crate::conceal;
use crate::reader::Contents;
use crate::threads::each;
use crate::tile::Tiles;
use pgf::{Band, Coefficients, Header, Lifted, Limits, Rect, Result, RowMut, Synthesis, Windows};

/// Blocks that a thread reads at a time.
const AT_A_TIME: usize = 16;

/// Reads blocks on so many threads at most, and hands each to `place`, one at a time.
fn read_blocks(
    reader: &mut BlockReader<'_, '_>,
    threads: usize,
    blocks: impl Iterator<Item = usize>,
    mut place: impl FnMut(usize, BlockState, &Tiles) -> Result<()> + Send,
) -> Result<()> {
    if threads < 2 {
        for block in blocks {
            let state = reader.block(block);
            place(block, state, &reader.tiles)?;
        }
        return Ok(());
    }
    let blocks: Vec<usize> = blocks.collect();
    let (place, first) = (Mutex::new(place), &*reader);
    let work = |reader: &mut BlockReader<'_, '_>, blocks: &[usize]| {
        blocks.iter().try_for_each(|&block| {
            let state = reader.block(block);
            let mut place = place.lock().expect("no thread panics while it places a block");
            (*place)(block, state, &reader.tiles)
        })
    };
    let (results, others) = each(threads, blocks.chunks(AT_A_TIME), || first.another(), work);
    others.into_iter().for_each(|other| reader.join(other));
    results.into_iter().collect()
}

/// All blocks to the quantised integers of `.pgf`; estimates where planes are missing.
pub(crate) fn coefficients(
    contents: &Contents<'_>,
    reader: &mut BlockReader<'_, '_>,
    (limits, threads): (&Limits, usize),
    mut visit: impl FnMut(usize, BlockState) + Send,
) -> Result<Coefficients> {
    let note = &contents.note;
    let header = note.header(&contents.picture.header);
    let (palette, user_data) = (contents.palette.clone(), contents.user_data.clone());
    let wide = contents.picture.deep;
    let mut out = Coefficients::zeroed(&header, note.flags, wide, palette, user_data, limits)?;
    out.favor_speed = note.favor_speed;
    let mut low = Low::new(contents, header.levels);
    let mut row = [0; 32];
    read_blocks(reader, threads, 0..contents.geometry.blocks.len(), |block, state, tiles| {
        visit(block, state);
        for (part, tile) in contents.geometry.parts_of(block).iter().zip(&tiles.tiles) {
            if part.width == 0 || tile.top == 0 {
                continue;
            }
            let (width, height) = (usize::from(part.width), usize::from(part.height));
            if low.takes(part) {
                for y in 0..height {
                    conceal::values(tile, y, 0, &mut row);
                    low.put(part, y, &row[..width]);
                }
            } else {
                let mut rows = out.rows_mut(part.plane.into(), part.level, part.band)?;
                let mut patch = rows.patch((part.x as usize, part.y as usize), (width, height));
                conceal::place(tile, 0, (0, 0), &mut patch);
            }
        }
        Ok(())
    })?;
    for plane in 0..usize::from(header.channels) {
        let values = low.finish(plane);
        let (width, _) = band_size(&header, plane, header.levels, Band::LL);
        let mut rows = out.rows_mut(plane, header.levels, Band::LL)?;
        for (y, values) in values.chunks_exact(width).enumerate() {
            put(&mut rows.row(y), 0, values);
        }
    }
    Ok(out)
}

fn put(row: &mut RowMut<'_>, x: usize, values: &[i32]) {
    match row {
        RowMut::Narrow(row) => {
            for (slot, v) in row[x..].iter_mut().zip(values) {
                *slot = (*v).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            }
        }
        RowMut::Wide(row) => row[x..x + values.len()].copy_from_slice(values),
    }
}

/// The coarsest band of the coefficients: base, residual and further levels of every plane.
struct Low {
    levels: u8,
    stored: u8,
    planes: Vec<Lifted>,
}

impl Low {
    /// All levels above `stored`.
    fn new(contents: &Contents<'_>, stored: u8) -> Low {
        let (header, levels) = (&contents.picture.header, contents.geometry.levels);
        let planes = contents
            .bases
            .iter()
            .enumerate()
            .map(|(plane, values)| {
                let (w, h) = band_size(header, plane, stored, Band::LL);
                let mut lifted = Lifted::zeroed(w, h, levels - stored);
                let (width, _) = lifted.size(levels - stored, Band::LL);
                let limit = contents.picture.outlier[usize::from(plane > 0)];
                let bytes = conceal::complete_base(values, width, limit);
                for (y, bytes) in bytes.chunks_exact(width).enumerate() {
                    let row = lifted.row_mut(levels - stored, Band::LL, y);
                    for (slot, byte) in row.iter_mut().zip(bytes) {
                        *slot = conceal::base_value(*byte, contents.picture.base_shift[plane]);
                    }
                }
                lifted
            })
            .collect();
        Low { levels, stored, planes }
    }

    /// Whether a part belongs here.
    fn takes(&self, part: &Part) -> bool {
        part.band == Band::LL || part.level > self.stored
    }

    /// Takes a row of a part that belongs here.
    fn put(&mut self, part: &Part, y: usize, values: &[i32]) {
        let (x, y) = (part.x as usize, part.y as usize + y);
        let plane = usize::from(part.plane);
        if part.band == Band::LL {
            let row = self.planes[plane].row_mut(self.levels - self.stored, Band::LL, y);
            for (slot, v) in row[x..].iter_mut().zip(values) {
                *slot = slot.wrapping_add(*v);
            }
            return;
        }
        let row = self.planes[plane].row_mut(part.level - self.stored, part.band, y);
        row[x..x + values.len()].copy_from_slice(values);
    }

    /// The quantised coarsest band of a plane, row by row.
    fn finish(&mut self, plane: usize) -> Vec<i32> {
        std::mem::replace(&mut self.planes[plane], Lifted::zeroed(0, 0, 0)).inverse()
    }
}

/// Levels that [`pixels`] inverts itself of a stream whose coefficients have none.
const FINE_LEVELS: u8 = 2;

/// All blocks that bear on a level and region to pixels.
pub(crate) fn pixels(
    contents: &Contents<'_>,
    reader: &mut BlockReader<'_, '_>,
    (level, region): (u8, Option<Rect>),
    (limits, threads): (&Limits, usize),
    mut visit: impl FnMut(usize, BlockState) + Send,
) -> Result<Synthesis> {
    let stated = contents.note.header(&contents.picture.header);
    let mut header = stated;
    if stated.levels == 0 {
        // The stream has levels all the same. Those that hold nearly all coefficients are inverted like those of other
        // pictures, in 16 bits where they do: in 32 they would be four times an 8-bit picture, and planes as many more.
        Windows::new(&stated, contents.note.flags, level, region)?;
        header.levels = contents.geometry.levels.min(FINE_LEVELS);
    }
    let mut synthesis = Synthesis::new(&header, contents.note.flags, level, region, limits)?;
    let mut low = Low::new(contents, header.levels);
    let mut row = [0; 32];
    let all = 0..contents.geometry.blocks.len();
    let needed = |block: &usize| is_needed(contents.geometry.parts_of(*block), &stated, synthesis.windows());
    let needed: Vec<usize> = all.filter(needed).collect();
    read_blocks(reader, threads, needed.into_iter(), |block, state, tiles| {
        visit(block, state);
        for (part, tile) in contents.geometry.parts_of(block).iter().zip(&tiles.tiles) {
            if part.width == 0 || tile.top == 0 {
                continue;
            }
            let width = usize::from(part.width);
            if low.takes(part) {
                for y in 0..usize::from(part.height) {
                    conceal::values(tile, y, 0, &mut row);
                    low.put(part, y, &row[..width]);
                }
                continue;
            }
            let Some((xs, ys)) = shared(synthesis.windows(), part) else { continue };
            let window = synthesis.window(part.plane.into(), part.level, part.band).expect("checked above");
            let shift = shift_of(&stated, part.level, part.band);
            if stated.levels == 0 && tile.top > 15 {
                // Samples are never clamped before all levels are inverted.
                synthesis.widen();
            }
            let mut rows = synthesis.rows_mut(part.plane.into(), part.level, part.band).expect("checked above");
            let from = (xs.start - part.x as usize, ys.start - part.y as usize);
            let mut patch = rows.patch((xs.start - window.x, ys.start - window.y), (xs.len(), ys.len()));
            conceal::place(tile, shift, from, &mut patch);
        }
        Ok(())
    })?;
    for plane in 0..usize::from(header.channels) {
        let shift = shift_of(&stated, stated.levels, Band::LL);
        let (width, _) = band_size(&header, plane, header.levels, Band::LL);
        let values = low.finish(plane);
        if stated.levels == 0 && values.iter().any(|v| i16::try_from(*v).is_err()) {
            synthesis.widen();
        }
        let Some(window) = synthesis.window(plane, header.levels, Band::LL) else { continue };
        let mut rows = synthesis.rows_mut(plane, header.levels, Band::LL).expect("it has a window");
        for y in 0..window.height {
            let start = (window.y + y) * width + window.x;
            let scaled: Vec<i32> =
                values[start..start + window.width].iter().map(|v| v.checked_shl(shift).unwrap_or(0)).collect();
            put(&mut rows.row(y), 0, &scaled);
        }
    }
    Ok(synthesis)
}

/// Whether a block bears on what is asked for; coarse blocks always do.
pub(crate) fn is_needed(parts: &[Part], header: &Header, windows: &Windows) -> bool {
    let bears = |p: &Part| p.band == Band::LL || p.level > header.levels || shared(windows, p).is_some();
    parts.iter().any(bears)
}

/// Columns and rows of its band that a part shares with what is asked for.
fn shared(windows: &Windows, part: &Part) -> Option<(Range<usize>, Range<usize>)> {
    let window = windows.window(part.plane.into(), part.level, part.band)?;
    let cut = |from: u32, length: u8, start: usize, count: usize| {
        let range = (from as usize).max(start)..(from as usize + usize::from(length)).min(start + count);
        (!range.is_empty()).then_some(range)
    };
    Some((cut(part.x, part.width, window.x, window.width)?, cut(part.y, part.height, window.y, window.height)?))
}
