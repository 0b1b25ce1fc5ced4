//! `cargo xtask storm`: what only shows after thousands of rounds, which is too long for an ordinary run.

use anyhow::{Context, Result};

use crate::{guest, qemus, system, test};

/// Run the tests that take many rounds or many minutes
#[derive(clap::Args)]
pub struct Args {
    /// Run only those with this in their name
    name: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    system::ensure()?;
    qemus::ensure(&[]).context("cannot set up the QEMU versions")?;
    guest::GUESTS.iter().try_for_each(guest::ensure)?;
    test::run_target("storms", args.name.as_deref())
}
