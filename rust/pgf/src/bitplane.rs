//! The bit-plane coder of one macroblock (format section 12), 64 coefficients at a time.
//!
//! A plane's bits fall in two lists: those of coefficients that are still zero (significance) and those of the
//! others (refinement). Both lists are made and read by compaction and expansion under the significance mask. The
//! run-length code of the significance list is closed over whole runs: with `v = run + 2^k`, the code is
//! `log2 v - k` zero bits, a one, and the bits of `v` below its top bit, after which `k = log2 v - 1`.

mod decoder;
mod encoder;
mod runs;
mod sign_runs;

pub(crate) use decoder::{BlockDecoder, BlockOutcome, Checks, Ending, announced_planes};
pub(crate) use encoder::BlockEncoder;

use crate::planes::BLOCK_VALUES;

/// Most 32-bit code words of a macroblock that a reader accepts (format section 11.1).
pub(crate) const MAX_WORDS: usize = 16384;
/// Longest list or code that its 15-bit length field can state.
const MAX_LENGTH: usize = 32767;
/// Bytes that a run-length code can take: with N coefficients each of the at most N events pays 1 or 2 bits plus k
/// count bits, and all k together cannot exceed 3 plus the number of events that raised k; so 4 N + 8 bits.
const CODE_BYTES: usize = BLOCK_VALUES / 2 + 64;

#[inline(always)]
fn align(position: usize) -> usize {
    (position + 31) & !31
}

/// Ones at the coefficients that exist, of a macroblock of `count` values.
#[inline(always)]
fn valid_word(w: usize, count: usize) -> u64 {
    let left = count - 64 * w;
    if left >= 64 { u64::MAX } else { (1 << left) - 1 }
}
