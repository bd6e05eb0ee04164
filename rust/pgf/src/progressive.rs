//! Decoding while the bytes arrive.

use crate::decode::{DecodeOptions, decode_with_report};
use crate::error::{Error, Result};
use crate::header::{FileHeader, Limits};
use crate::image::Image;
use crate::macroblock::{Place, follow};
use crate::report::Report;
use crate::salvage;
use crate::scan::{Block, Order, Style, block_counts};

/// How much of a picture has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes fed so far.
    pub bytes_received: usize,
    /// Whether every macroblock (or, without levels, every sample) has arrived.
    pub complete: bool,
    /// The finest level for which everything has arrived; `None` before the highest.
    pub level: Option<u8>,
    /// Macroblocks that have arrived whole.
    pub macroblocks: u64,
    /// Macroblocks of the picture; `None` before the header is whole.
    pub macroblocks_total: Option<u64>,
}

/// Takes a file piece by piece and shows the picture as far as it is known.
#[derive(Debug, Default)]
pub struct ProgressiveDecoder {
    data: Vec<u8>,
    limits: Limits,
    file: Option<FileHeader>,
    /// As many macroblocks as the bytes so far can hold, and where the chain goes on.
    blocks: Vec<Block>,
    /// Macroblocks up to the end of each level, highest level first.
    level_blocks: Vec<u64>,
    at: usize,
    broken: bool,
    progress: Progress,
}

impl ProgressiveDecoder {
    /// An empty decoder; `limits` hold for the header as soon as it is whole.
    pub fn new(limits: Limits) -> Self {
        ProgressiveDecoder { limits, ..ProgressiveDecoder::default() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Format`] once the header is seen to be wrong beyond recovery, [`Error::Limits`] once it is whole and
    /// the picture over the limits. The bytes are kept in any case.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Progress> {
        self.data.extend_from_slice(chunk);
        self.progress.bytes_received = self.data.len();
        if self.file.is_none() {
            // A header that makes sense so far is waited for: mending would go through all user data with every piece.
            if let Err(Error::Truncated { field: "user data", .. }) = FileHeader::parse(&self.data) {
                return Ok(self.progress);
            }
            match salvage::parse_header(&self.data) {
                Ok((file, _)) => self.start(file)?,
                Err(Error::Truncated { .. }) => return Ok(self.progress),
                Err(error) => return Err(error),
            }
        }
        self.follow();
        Ok(self.progress)
    }

    fn start(&mut self, file: FileHeader) -> Result<()> {
        let header = &file.header;
        if header.pixels() > self.limits.max_pixels {
            return Err(Error::Limits { field: "pixels", value: header.pixels(), bound: self.limits.max_pixels });
        }
        self.level_blocks = block_counts(header, Style::of(&file), 0);
        self.progress.macroblocks_total = Some(self.level_blocks.last().map_or(1, |n| *n));
        self.at = file.data_offset;
        self.file = Some(file);
        Ok(())
    }

    fn follow(&mut self) {
        let Some(file) = &self.file else { return };
        let header = &file.header;
        if header.levels == 0 {
            let samples: u64 = (0..usize::from(header.channels))
                .map(|c| {
                    let (w, h) = crate::coefficients::plane_size(header, c);
                    w as u64 * h as u64
                })
                .fold(0, u64::saturating_add);
            if (self.data.len() - file.data_offset) as u64 / 4 >= samples {
                self.progress.complete = true;
                self.progress.macroblocks = 1;
                self.progress.level = Some(0);
            }
            return;
        }
        let total = self.progress.macroblocks_total.unwrap_or(0);
        while !self.broken && self.progress.macroblocks < total {
            let next = self.progress.macroblocks as usize;
            if next == self.blocks.len() {
                // Listed in doubling steps, bounded by the bytes: a header can announce more than memory holds.
                let most = (2 * self.data.len()).div_ceil(6);
                let order = Order::new(header, Style::of(file), 0, most);
                self.blocks = order.blocks(most);
                if next == self.blocks.len() {
                    break;
                }
            }
            let chain = follow(&self.data, self.at, &self.blocks[next..=next], file.roi());
            match chain.places[0] {
                Place::Whole { end, .. } => {
                    self.at = end;
                    self.progress.macroblocks += 1;
                }
                _ => {
                    self.broken = chain.broken.is_some();
                    break;
                }
            }
        }
        let done = self.level_blocks.iter().take_while(|end| **end <= self.progress.macroblocks).count() as u8;
        self.progress.level = (done > 0).then(|| header.levels - done);
        self.progress.complete = self.progress.macroblocks == total;
    }

    /// The header, once it is whole.
    pub fn header(&self) -> Option<&FileHeader> {
        self.file.as_ref()
    }

    /// All bytes fed so far.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// What has arrived.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The picture at a level (0 = full size) as far as the bytes so far tell it.
    ///
    /// # Errors
    /// [`Error::Truncated`] before the header is whole, else as [`decode_with_report`].
    pub fn render(&self, level: u8) -> Result<(Image, Report)> {
        decode_with_report(&self.data, &DecodeOptions { level, limits: self.limits, ..DecodeOptions::default() })
    }
}
