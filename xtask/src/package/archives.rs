//! The crates as crates.io would get them.

use std::process::Command;

use anyhow::Result;

use super::tools;
use crate::places;
use crate::run::{self, cargo};

/// Packs every crate and builds it from its archive, against the archives of the others.
pub fn build() -> Result<()> {
    // The workshop is not published. What is not committed may be packed: nothing is uploaded here.
    let mut command = cargo(["package", "--workspace", "--exclude", "xtask", "--allow-dirty", "--quiet"]);
    // An archive has no profile. With the workspace's, the crates of others need not be compiled again.
    command.env("CARGO_TARGET_DIR", places::target()).env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    run::run(&mut command)
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
