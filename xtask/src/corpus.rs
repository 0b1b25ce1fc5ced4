//! `cargo xtask corpus`: the machines that people run, on each version of QEMU.

use anyhow::{Context, Result};

use crate::{qemus, system, test};

/// Start every machine of `qemu-argv/tests/corpus` that `check` calls valid
#[derive(clap::Args)]
pub struct Args {
    /// The version of QEMU, such as 7.2 [default: all]
    version: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    system::ensure()?;
    qemus::ensure(args.version.as_slice()).context("cannot set up the QEMU versions")?;
    let version = args.version.as_deref().unwrap_or_default().replace('.', "_");
    test::run_target("storms", Some(&format!("corpus::corpus_of_{version}")))
}
