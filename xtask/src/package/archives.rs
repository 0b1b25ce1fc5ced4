//! The crates as crates.io would get them.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::tools;
use crate::libraries::libraries;
use crate::places;
use crate::run::{self, cargo};

/// Packs every crate and compiles all of them from their archives, each against the archives of the others.
///
/// Not by `cargo package` itself: it takes a crate that it has built from an archive once for the same as long as the
/// version is, so that it proves nothing from the second run on.
pub fn build() -> Result<()> {
    let archives = places::target().join("package");
    let unpacked = archives.join("unpacked");
    places::remove(&unpacked)?;
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    // The workshop is not published. What is not committed may be packed: nothing is uploaded here.
    let mut command = cargo(["package", "--workspace", "--exclude", "xtask", "--allow-dirty", "--no-verify"]);
    run::run(command.arg("--quiet").env("CARGO_TARGET_DIR", places::target()))?;

    let mut manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n\n[patch.crates-io]\n".to_owned();
    for package in libraries()? {
        let directory = format!("{}-{}", package.name, package.version);
        let archive = archives.join(format!("{directory}.crate"));
        let mut command = Command::new("tar");
        // Every archive has the same times, by which cargo would see no change.
        run::run(command.args(["--touch", "-xzf"]).arg(archive).current_dir(&unpacked))?;
        writeln!(manifest, "{} = {{ path = \"{directory}\" }}", package.name).context("memory")?;
    }
    fs::write(unpacked.join("Cargo.toml"), manifest).context("cannot write the manifest of the archives")?;
    fs::copy(run::workspace().join("Cargo.lock"), unpacked.join("Cargo.lock"))
        .context("cannot lock the dependencies of the archives")?;
    let mut command = cargo(["check", "--workspace", "--quiet"]);
    // With the workspace's profile the crates of others need not be compiled again.
    command.env("CARGO_TARGET_DIR", places::target()).env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    run::run(command.current_dir(&unpacked))
}

/// Licences, duplicates and sources, as `deny.toml` has them.
///
/// Advisories are left out: they need a database from the network, and change without us.
pub fn judge_dependencies() -> Result<()> {
    // Compiling cargo-deny takes minutes; without it `xtask/tests/dependencies.rs` holds the same lists.
    let Some(program) = tools::installed("cargo-deny")? else {
        eprintln!("cargo-deny is not there: licences and sources are left to the tests");
        return Ok(());
    };
    let mut command = Command::new(program);
    run::run(command.args(["check", "licenses", "bans", "sources"]).current_dir(run::workspace()))
}
