//! The machine files of `tests/machines`.

#![expect(clippy::disallowed_methods, reason = "the crate reads no file, its tests do")]

use std::path::{Path, PathBuf};

/// Every file by name, without its ending, and what it says.
pub fn machine_files() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("the machines are there")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no machines");
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a machine can be read");
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (name, text)
        })
        .collect()
}
