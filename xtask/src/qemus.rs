//! `cargo xtask qemus`: every supported QEMU side by side, each with its own libraries.
//!
//! Debian's packages of three releases are unpacked into one directory a version and their
//! programs bound to the C library beside them, so that nothing of the system is touched and any
//! user can do it. `bin/` has a small script a program, which also tells QEMU where its firmware
//! and modules lie: Debian builds QEMU with absolute paths.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::apt::{Archive, unpack};
use crate::{places, run};

/// Put the supported QEMU versions side by side, where they are not there yet
#[derive(clap::Args)]
pub struct Args {
    /// Versions to set up; left out: all
    versions: Vec<String>,
}

/// A QEMU version and the release of Debian that has it.
struct Version {
    name: &'static str,
    suite: &'static str,
    /// What this version needs beside [`PACKAGES`].
    packages: &'static [&'static str],
}

const VERSIONS: [Version; 3] = [
    Version { name: "7.2", suite: "bookworm", packages: &[] },
    Version { name: "10.0", suite: "trixie", packages: SEPARATE },
    Version { name: "11.1", suite: "sid", packages: SEPARATE },
];

/// In every release: emulators, image tools, firmware, and what binds them to this place.
const PACKAGES: &[&str] = &[
    "ovmf",
    "patchelf",
    "qemu-efi-aarch64",
    "qemu-system-arm",
    "qemu-system-mips",
    "qemu-system-misc",
    "qemu-system-ppc",
    "qemu-system-sparc",
    "qemu-system-x86",
    "qemu-utils",
];

/// Part of other packages up to Debian 12, packages of their own since.
const SEPARATE: &[&str] =
    &["qemu-system-modules-opengl", "qemu-system-modules-spice", "qemu-system-riscv", "qemu-system-s390x"];

/// Counted up when the code that sets up a version changes what comes out.
const FORMAT: u32 = 1;

/// How Debian and the dynamic linker name the architecture this program runs on.
struct Host {
    debian: &'static str,
    triplet: &'static str,
    linker: &'static str,
}

pub fn run(args: &Args) -> Result<()> {
    for name in &args.versions {
        if !VERSIONS.iter().any(|version| version.name == name) {
            bail!(
                "there is no QEMU {name} to set up; there are: {}",
                VERSIONS.map(|version| version.name).join(", ")
            );
        }
    }
    ensure(&args.versions)
}

/// Sets up the named versions (none named: all) that are not there yet, side by side in time too.
pub fn ensure(names: &[String]) -> Result<()> {
    let wanted = |version: &&Version| names.is_empty() || names.iter().any(|name| name == version.name);
    thread::scope(|scope| {
        let jobs: Vec<_> =
            VERSIONS.iter().filter(wanted).map(|version| scope.spawn(|| ensure_one(version))).collect();
        let results =
            jobs.into_iter().map(|job| job.join().unwrap_or_else(|_| Err(anyhow!("a set-up job panicked"))));
        // Every job is waited for; the first failure is told.
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

fn ensure_one(version: &Version) -> Result<()> {
    let host = host()?;
    let prefix = places::qemus()?.join(version.name);
    let packages = [PACKAGES, version.packages].concat();
    let inputs = format!("format {FORMAT}\nsuite {}\npackages {}\n", version.suite, packages.join(" "));
    places::made(&prefix, &inputs, |staged| {
        eprintln!("QEMU {}: fetching from Debian {}", version.name, version.suite);
        let dir = places::cache()?.join("apt").join(format!("qemu-{}", version.name));
        let _lock = places::lock(&dir)?;
        let apt = Archive::open(&dir, version.suite, host.debian)?;
        for deb in apt.fetch_closure(&packages)? {
            unpack(&deb, staged)?;
        }
        apt.clean()?;
        bind(staged, &prefix, &host).with_context(|| format!("cannot set up QEMU {}", version.name))
    })
}

fn host() -> Result<Host> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Host { debian: "amd64", triplet: "x86_64-linux-gnu", linker: "ld-linux-x86-64.so.2" }),
        "aarch64" => {
            Ok(Host { debian: "arm64", triplet: "aarch64-linux-gnu", linker: "ld-linux-aarch64.so.1" })
        }
        other => bail!("QEMUs for a host of architecture {other} are not prepared; x86_64 and aarch64 are"),
    }
}

/// Makes the unpacked tree `staged` work from `prefix`, where it will be put.
fn bind(staged: &Path, prefix: &Path, host: &Host) -> Result<()> {
    let bin = staged.join("bin");
    fs::remove_file(&bin).context("bin is a link to usr/bin after unpacking")?;
    for dir in [&bin, &staged.join("libexec")] {
        fs::create_dir(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let libraries = staged.join("usr/lib").join(host.triplet);
    let patcher = Patcher { staged, prefix, host };
    // These libraries carry a search path of their own, which would hide the program's.
    for library in own_search_path(&libraries)? {
        patcher.set_search_path(&library)?;
    }
    let mut programs = list(&staged.join("usr/bin"))?;
    programs.extend(list(&staged.join("usr/libexec")).unwrap_or_default());
    for program in programs {
        let name = file_name(&program);
        if !name.starts_with("qemu-") {
            continue;
        }
        if let Ok(target) = fs::read_link(&program) {
            // `qemu-system-arm64` and its like: other names of a program beside it.
            let link = bin.join(&name);
            if link.symlink_metadata().is_err() && file_name(&target) != name {
                std::os::unix::fs::symlink(file_name(&target), &link)
                    .with_context(|| format!("cannot create {}", link.display()))?;
            }
        } else if is_elf(&program)? {
            let bound = staged.join("libexec").join(&name);
            fs::rename(&program, &bound).with_context(|| format!("cannot move {}", program.display()))?;
            patcher.set_interpreter(&bound)?;
            patcher.set_search_path(&bound)?;
            write_script(&bin.join(&name), &name, prefix, host)?;
        }
    }
    Ok(())
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
struct Patcher<'a> {
    staged: &'a Path,
    prefix: &'a Path,
    host: &'a Host,
}

impl Patcher<'_> {
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

/// Writes the script that starts `libexec/NAME` of `prefix`.
fn write_script(path: &Path, name: &str, prefix: &Path, host: &Host) -> Result<()> {
    let prefix = prefix.to_str().context("the directory of the QEMUs is not UTF-8")?;
    let quoted = |path: &str| format!("'{}'", format!("{prefix}/{path}").replace('\'', r"'\''"));
    let modules = quoted(&format!("usr/lib/{}/qemu", host.triplet));
    let mut words = vec!["exec".to_owned(), quoted(&format!("libexec/{name}"))];
    if name.starts_with("qemu-system-") {
        for data in ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"] {
            words.extend(["-L".to_owned(), quoted(data)]);
        }
    }
    let script =
        format!("#!/bin/sh\nQEMU_MODULE_DIR={modules}\nexport QEMU_MODULE_DIR\n{} \"$@\"\n", words.join(" "));
    fs::write(path, script).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", path.display()))
}

fn is_elf(path: &Path) -> Result<bool> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(4).read_to_end(&mut start).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(start == b"\x7fELF")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of `dir`, by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let paths: BTreeSet<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("cannot list {}", dir.display()))?;
    Ok(paths.into_iter().collect())
}
