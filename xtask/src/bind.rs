//! Binds unpacked programs to the C library beside them, so that they run on a machine with another one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// How Debian and the dynamic linker name the architecture this program runs on.
pub struct Host {
    pub debian: &'static str,
    pub triplet: &'static str,
    pub linker: &'static str,
}

/// The architecture this program runs on.
///
/// # Errors
///
/// If Debian's packages are not prepared for it.
pub fn host() -> Result<Host> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Host { debian: "amd64", triplet: "x86_64-linux-gnu", linker: "ld-linux-x86-64.so.2" }),
        "aarch64" => {
            Ok(Host { debian: "arm64", triplet: "aarch64-linux-gnu", linker: "ld-linux-aarch64.so.1" })
        }
        other => {
            bail!("programs for a host of architecture {other} are not prepared; x86_64 and aarch64 are")
        }
    }
}

/// The libraries in `dir` that say themselves where theirs lie (`DT_RUNPATH`).
fn own_search_path(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let subs = ["", "ceph", "pulseaudio", "systemd", "samba"].map(|sub| dir.join(sub));
    for sub in subs.iter().filter(|sub| sub.is_dir()) {
        for path in list(sub)? {
            if path.is_file()
                && !path.is_symlink()
                && is_elf(&path)?
                && crate::elf::needs(&path)?.has_search_path
            {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Runs the patchelf of the tree itself, by the linker and libraries of the tree.
pub struct Patcher<'a> {
    /// Where the tree is.
    pub staged: &'a Path,
    /// Where the tree is going to be.
    pub prefix: &'a Path,
    pub host: &'a Host,
}

impl Patcher<'_> {
    /// Has the libraries in `dir` that carry a search path of their own look beside them: theirs would hide the program's.
    pub fn unhide(&self, dir: &Path) -> Result<()> {
        own_search_path(dir)?.iter().try_for_each(|library| self.set_search_path(library))
    }

    /// Binds a program to the linker and the libraries of the tree.
    pub fn bind(&self, program: &Path) -> Result<()> {
        self.set_interpreter(program)?;
        self.set_search_path(program)
    }

    fn set_interpreter(&self, file: &Path) -> Result<()> {
        let linker = self.linker(self.prefix);
        self.patch(&["--set-interpreter", &linker.display().to_string()], file)
    }

    /// Sets the old-style `DT_RPATH`, which unlike `DT_RUNPATH` also counts for modules loaded later.
    fn set_search_path(&self, file: &Path) -> Result<()> {
        let lib = self.prefix.join("usr/lib").join(self.host.triplet);
        let path =
            ["", "/ceph", "/pulseaudio", "/systemd", "/samba"].map(|sub| format!("{}{sub}", lib.display()));
        self.patch(&["--force-rpath", "--set-rpath", &path.join(":")], file)
    }

    fn patch(&self, options: &[&str], file: &Path) -> Result<()> {
        let libraries = self.staged.join("usr/lib").join(self.host.triplet);
        let mut patchelf = Command::new(self.linker(self.staged));
        patchelf.arg("--library-path").arg(libraries).arg(self.staged.join("usr/bin/patchelf"));
        run::output(patchelf.args(options).arg(file)).map(drop)
    }

    fn linker(&self, root: &Path) -> PathBuf {
        root.join("usr/lib").join(self.host.triplet).join(self.host.linker)
    }
}

/// Whether the file is a program or library of the machine's own kind, not a script.
pub fn is_elf(path: &Path) -> Result<bool> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(4).read_to_end(&mut start).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(start == b"\x7fELF")
}

pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of `dir`, by name.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let paths: BTreeSet<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("cannot list {}", dir.display()))?;
    Ok(paths.into_iter().collect())
}
