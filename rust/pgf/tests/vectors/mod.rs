//! The test vectors: files of libPGF and of older layouts with the hashes of what libPGF makes of them.

// Each test file compiles this module on its own and uses only part of it.
#![allow(dead_code)]

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// One file of a vector set with its entry in the manifest.
pub struct Vector {
    pub name: String,
    pub data: Vec<u8>,
    pub entry: Value,
    dir: PathBuf,
}

impl Vector {
    pub fn header(&self, field: &str) -> u64 {
        number(&self.entry["header"][field])
    }

    /// A number of the encoder settings; 0 where the manifest has none.
    pub fn setting(&self, field: &str) -> u64 {
        self.entry["settings"][field].as_u64().unwrap_or(0)
    }

    pub fn setting_is_true(&self, field: &str) -> bool {
        self.entry["settings"][field].as_bool().unwrap_or(false)
    }

    pub fn levels(&self) -> &[Value] {
        list(&self.entry["levels"])
    }

    pub fn rois(&self) -> &[Value] {
        list(&self.entry["rois"])
    }

    /// The present library wrote the file itself, so a writer must make the same bytes.
    pub fn by_present_library(&self) -> bool {
        self.entry["made_by"].as_str().is_some_and(|text| text.starts_with("libPGF 7"))
    }

    /// The file whose level 0 is the source image: another one, or this one where it is lossless.
    pub fn source_file(&self) -> Option<Vec<u8>> {
        match self.entry["source_from"].as_str() {
            Some(name) => Some(fs::read(self.dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))),
            None if self.setting("quality") == 0 => Some(self.data.clone()),
            None => None,
        }
    }
}

/// The committed vectors; there must be some.
pub fn committed() -> Vec<Vector> {
    let vectors = load(&repository().join("tests/data/vectors"));
    assert!(vectors.len() > 50, "only {} vectors", vectors.len());
    vectors
}

/// Files that may not be committed, from the optional shared material; none where that is absent.
pub fn shared_only() -> Vec<Vector> {
    let dir = match std::env::var_os("PGFRS_SHARED") {
        Some(dir) => PathBuf::from(dir),
        None => repository().join("../shared"),
    };
    let dir = dir.join("vectors");
    if !dir.is_dir() {
        eprintln!("skipped: no shared vectors at {}", dir.display());
        return Vec::new();
    }
    load(&dir).into_iter().filter(|vector| vector.name.starts_with("real_")).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn load(dir: &Path) -> Vec<Vector> {
    let manifest = dir.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap_or_else(|e| panic!("{}: {e}", manifest.display()));
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let mut vectors = Vec::new();
    for entry in list(&manifest["files"]) {
        let name = entry["file"].as_str().unwrap().to_string();
        let data = fs::read(dir.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(sha256(&data), entry["sha256"], "{name}: the file itself");
        vectors.push(Vector { name, data, entry: entry.clone(), dir: dir.to_path_buf() });
    }
    vectors
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}

/// Numbers of a list in the manifest.
pub fn numbers(value: &Value) -> Vec<u64> {
    list(value).iter().map(number).collect()
}

pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}
