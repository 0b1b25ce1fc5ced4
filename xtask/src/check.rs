//! `cargo xtask check`: what must hold before a change lands and needs no QEMU.

use anyhow::Result;

use crate::run::{self, cargo};
use crate::tidy;

/// Formatting, lints, the libraries without their optional features, and tidy
#[derive(clap::Args)]
pub struct Args {}

/// The library crates that must also build without their default features.
const LIBRARIES: [&str; 5] = ["qmp-proto", "qmp-client", "qemu-argv", "qemu-discovery", "qemuctl"];

pub fn run(_args: &Args) -> Result<()> {
    run_all()
}

/// Everything `check` stands for, in the order in which it fails fastest.
pub fn run_all() -> Result<()> {
    run::run(&mut cargo(["fmt", "--all", "--check"]))?;
    tidy::run(&tidy::Args {})?;
    run::run(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    for library in LIBRARIES {
        run::run(&mut cargo([
            "clippy",
            "--package",
            library,
            "--lib",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ]))?;
    }
    Ok(())
}
