//! Inputs that once failed: each goes through everything that must hold for any bytes.
//!
//! `scripts/fuzz` finds them; a name says what the input holds.

#[path = "../../fuzz/src/checks/mod.rs"]
mod checks;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn inputs_that_once_failed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for path in inputs {
        let data = fs::read(&path).unwrap();
        println!("{} ({} bytes)", path.display(), data.len());
        let start = Instant::now();
        checks::header(&data);
        checks::decode(&data);
        checks::region(&data);
        checks::salvage(&data);
        checks::encode(&data);
        assert!(start.elapsed() < Duration::from_secs(20), "{} takes {:?}", path.display(), start.elapsed());
    }
}

/// Every piece has a sound macroblock inside a wrong one whose length leads to the next piece: whoever follows lengths
/// over damage from each of them takes a time that is square in the size of the file.
#[test]
fn search_time_is_bounded() {
    let (side, levels) = (8192u32, 9u8);
    let mut file = b"PGF\x7E\x10\0\0\0".to_vec();
    file.extend_from_slice(&side.to_le_bytes());
    file.extend_from_slice(&side.to_le_bytes());
    file.extend_from_slice(&[levels, 0, 8, 1, 1, 8, 0, 0]);
    file.resize(file.len() + 4 * usize::from(levels), 0);
    let mut piece = [0x5Au8; 68];
    piece[..4].copy_from_slice(&[16, 0, 1, 0]);
    piece[20..28].copy_from_slice(&[1, 0, 1, 0x80, 0, 0, 0, 0]);
    piece[28..32].copy_from_slice(&[9, 0, 1, 0]);
    for _ in 0..15_000 {
        file.extend_from_slice(&piece);
    }
    file.push(0);
    let start = Instant::now();
    let options = pgf::DecodeOptions { level: 2, ..pgf::DecodeOptions::default() };
    let decoded = pgf::decode_with_report(&file, &options);
    println!("{:?} for {} bytes: {:?}", start.elapsed(), file.len(), decoded.map(|(_, r)| (r.intact, r.missing, r.damage.len())));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for {} bytes", start.elapsed(), file.len());
}
