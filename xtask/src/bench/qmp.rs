//! `cargo xtask bench qmp`: the QMP client beside a blocking floor and its peer.
//!
//! The program that measures is a workspace of its own, `qmp-client/benches/peers`, so that nobody else builds the
//! peers. Its build takes some minutes once.

use std::path::PathBuf;

use anyhow::Result;

use crate::{places, run};

/// Compare the QMP client with a blocking socket and with the peer `qapi`, and check its goals
#[derive(clap::Args)]
pub struct Args {
    /// How often everything is measured; the medians count.
    #[arg(long, default_value_t = 21)]
    rounds: u32,
    /// The QEMU to talk to; left out: the one of 10.0 that `cargo xtask qemus` sets up
    #[arg(long)]
    qemu: Option<PathBuf>,
}

/// Builds and runs the measuring program; its exit code says whether the goals are met.
pub fn run(args: &Args) -> Result<()> {
    let manifest = run::workspace().join("qmp-client/benches/peers/Cargo.toml");
    let target = run::workspace().join("target/peers");
    run::run(
        run::cargo(["run", "--release", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(target)
            .args(["--", "--rounds", &args.rounds.to_string(), "--qemu"])
            .arg(places::qemu(args.qemu.as_deref())?),
    )
}
