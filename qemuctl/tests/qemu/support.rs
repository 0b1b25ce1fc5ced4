//! Where the tests find the QEMUs and guests that `cargo xtask test` prepares.

use std::path::PathBuf;

/// The QEMU releases that every test of versions covers.
pub const VERSIONS: [&str; 3] = ["7.2", "10.0", "11.1"];

/// The folder that `cargo xtask` keeps its downloads and guests in, outside every checkout.
fn cache_dir() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"),
        PathBuf::from,
    );
    base.join("qemuctl")
}

pub fn dir_from(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| cache_dir().join(default), PathBuf::from)
}

/// The program `binary` (such as `qemu-system-x86_64`) of the side-by-side QEMU `version`.
pub fn qemu(version: &str, binary: &str) -> PathBuf {
    let path = dir_from("QEMUCTL_QEMUS_DIR", "qemus").join(version).join("bin").join(binary);
    assert!(path.exists(), "{} is missing: run `cargo xtask qemus`", path.display());
    path
}

/// A file of the small Linux guest: `vmlinuz` or `initramfs`, for `arch` in QEMU's spelling.
pub fn guest_file(arch: &str, name: &str) -> PathBuf {
    let path = dir_from("QEMUCTL_GUEST_DIR", "guest").join(arch).join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask guest`", path.display());
    path
}

#[test]
fn every_version_is_installed() {
    for version in VERSIONS {
        qemu(version, "qemu-system-x86_64");
    }
}
