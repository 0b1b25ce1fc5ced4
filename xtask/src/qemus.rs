//! `cargo xtask qemus`: every supported QEMU side by side, each with its own libraries.
//!
//! Debian's packages of three releases are unpacked into one directory a version and their
//! programs bound to the C library beside them, so that nothing of the system is touched and any
//! user can do it. `bin/` has a small script a program, which also tells QEMU where its firmware
//! and modules lie: Debian builds QEMU with absolute paths.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::apt::{Archive, unpack};
use crate::bind::{Host, Patcher, file_name, host, is_elf, list};
use crate::places;

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

/// In every release: emulators, image tools, drivers of network disks, firmware, and what binds them to this place.
const PACKAGES: &[&str] = &[
    "ovmf",
    "patchelf",
    "qemu-block-extra",
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

pub fn run(args: &Args) -> Result<()> {
    ensure(&args.versions)
}

/// Sets up the named versions (none named: all) that are not there yet, side by side in time too.
pub fn ensure(names: &[String]) -> Result<()> {
    for name in names {
        if !VERSIONS.iter().any(|version| version.name == name) {
            bail!(
                "there is no QEMU {name} to set up; there are: {}",
                VERSIONS.map(|version| version.name).join(", ")
            );
        }
    }
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

/// Makes the unpacked tree `staged` work from `prefix`, where it will be put.
fn bind(staged: &Path, prefix: &Path, host: &Host) -> Result<()> {
    let bin = staged.join("bin");
    fs::remove_file(&bin).context("bin is a link to usr/bin after unpacking")?;
    for dir in [&bin, &staged.join("libexec")] {
        fs::create_dir(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let libraries = staged.join("usr/lib").join(host.triplet);
    let patcher = Patcher { staged, prefix, host };
    patcher.unhide(&libraries)?;
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
            patcher.bind(&bound)?;
            write_script(&bin.join(&name), &name, prefix, host)?;
        }
    }
    Ok(())
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
