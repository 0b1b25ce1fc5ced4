//! The machines of `tests/corpus`, and what their files say of them.

#![expect(clippy::disallowed_methods, reason = "the crate reads no file, its tests do")]

use std::path::Path;

use qemu_argv::VmConfig;

/// A machine that people run.
pub struct Case {
    pub name: String,
    pub config: VmConfig,
    /// How many options its command line has.
    pub options: usize,
    /// What of them cannot be said, and why.
    pub left: Vec<String>,
}

/// All of them, by name.
pub fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("the corpus is there")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    let case = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a machine can be read");
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let said = |what: &str| -> Vec<String> {
            let prefix = format!("# {what}: ");
            text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
        };
        let options = said("options").first().and_then(|number| number.parse().ok());
        let config = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Case { options: options.expect("a file says how many options"), left: said("left"), config, name }
    };
    files.iter().map(case).collect()
}
