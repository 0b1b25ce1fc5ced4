//! The top level of the repository: exactly these entries, so that it stays readable at a glance.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const ENTRIES: [&str; 21] = [
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "qemu-argv",
    "qemu-discovery",
    "qemuctl",
    "qmp-client",
    "qmp-proto",
    "rustfmt.toml",
    "xtask",
];

#[test]
fn the_top_level_has_these_entries() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().expect("git starts");
    assert!(git.status.success(), "git ls-files: {}", String::from_utf8_lossy(&git.stderr));
    let files = String::from_utf8(git.stdout).expect("file names are UTF-8");
    let found: BTreeSet<_> =
        files.split_terminator('\0').map(|file| file.split('/').next().unwrap_or_default()).collect();
    assert_eq!(found, ENTRIES.into());
}
