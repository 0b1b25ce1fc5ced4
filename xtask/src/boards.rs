//! `cargo xtask boards`: every machine type of every architecture and version.

use anyhow::{Context, Result};

use crate::{qemus, system, test};

/// Start every machine type of every architecture, or see that `check` refuses it
#[derive(clap::Args)]
pub struct Args {
    /// The version of QEMU, such as 7.2 [default: all]
    version: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    system::ensure()?;
    qemus::ensure(args.version.as_slice()).context("cannot set up the QEMU versions")?;
    let version = args.version.as_deref().unwrap_or_default().replace('.', "_");
    test::run_target("storms", Some(&format!("all_boards::boards_of_{version}")))
}
