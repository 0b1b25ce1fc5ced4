//! `cargo xtask bench launch`: what a launch costs beside the least it could cost, and what a watched VM costs.
//!
//! The measuring itself is the bench target `launch` of `qemuctl`.

use std::path::PathBuf;

use anyhow::Result;

use crate::{places, run};

/// Compare launches with bare QEMUs, alone and fifty at once; cost of watching 200 VMs
#[derive(clap::Args)]
pub struct Args {
    /// How often single launches are measured; the medians count
    #[arg(long, default_value_t = 40)]
    rounds: u32,
    /// The QEMU to launch; left out: the one of 10.0 that `cargo xtask qemus` sets up
    #[arg(long)]
    qemu: Option<PathBuf>,
}

/// Builds and runs the measuring program; its exit code says whether the goals are met.
pub fn run(args: &Args) -> Result<()> {
    run::run(
        run::cargo([
            "bench",
            "--quiet",
            "--package",
            "qemuctl",
            "--no-default-features",
            "--bench",
            "launch",
        ])
        .arg("--")
        .arg(places::qemu(args.qemu.as_deref())?)
        .arg(args.rounds.to_string()),
    )
}
