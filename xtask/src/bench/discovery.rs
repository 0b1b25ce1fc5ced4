//! `cargo xtask bench discovery`: what it costs to know a QEMU, and to choose an accelerator for it.
//!
//! The measuring itself is the example `discovery_bench` of `qemu-discovery`.

use std::path::PathBuf;

use anyhow::Result;

use crate::{places, run};

/// Compare a probe with a bare start of QEMU; time to recall one, and to choose an accelerator
#[derive(clap::Args)]
pub struct Args {
    /// The QEMU to ask; left out: the one of 10.0 that `cargo xtask qemus` sets up
    #[arg(long)]
    qemu: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let qemu = places::qemu(args.qemu.as_deref())?;
    let example = [
        "run",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "qemu-discovery",
        "--example",
        "discovery_bench",
        "--",
    ];
    run::run(run::cargo(example).arg(qemu))
}
