//! Photographs for benchmarks: 8-bit RGB out of PNG files.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// An 8-bit RGB picture.
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// The photograph of the repository that benchmarks use unless told otherwise.
#[allow(dead_code, reason = "not every user of this module has a default")]
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/astronaut.png")
}

/// Reads an 8-bit RGB PNG file.
///
/// # Panics
/// If it is something else, or cannot be read.
pub fn read(path: &Path) -> Picture {
    let name = path.display();
    let file = File::open(path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap_or_else(|e| panic!("{name}: {e}"));
    let size = reader.output_buffer_size().unwrap_or_else(|| panic!("{name}: too large"));
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).unwrap_or_else(|e| panic!("{name}: {e}"));
    let kind = (frame.color_type, frame.bit_depth);
    assert!(kind == (png::ColorType::Rgb, png::BitDepth::Eight), "{name}: {kind:?} is not 8-bit RGB");
    Picture { width: frame.width, height: frame.height, pixels }
}
