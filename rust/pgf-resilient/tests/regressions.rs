//! Inputs that once failed, and small real streams: each goes through everything that must hold for any bytes.
//!
//! `scripts/fuzz` finds them and begins with them; a name says what the input holds.

#[path = "../../fuzz/src/streams/mod.rs"]
mod streams;

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
        streams::read(&data);
        streams::repair(&data);
        streams::repairs(&data);
        streams::edit(&data);
        assert!(start.elapsed() < Duration::from_secs(20), "{} takes {:?}", path.display(), start.elapsed());
    }
}
