//! `cargo xtask bench argv`: what it costs to plan and render a machine, and how small the crate's tree is.
//!
//! The measuring itself is the example `bench` of `qemu-argv`.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::run;

/// Time to plan and render a typical machine and many devices, crates in the tree of qemu-argv
#[derive(clap::Args)]
pub struct Args {}

/// The most crates that the tree of `qemu-argv` may have with default features, itself included.
const MOST_CRATES: usize = 16;

pub fn run(_: &Args) -> Result<()> {
    run::run(&mut run::cargo([
        "run",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "qemu-argv",
        "--example",
        "bench",
    ]))?;
    let tree = run::output(&mut run::cargo([
        "tree",
        "--package",
        "qemu-argv",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    // A crate that is there twice has a star the second time.
    let crates: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !name.is_empty())
        .collect();
    let word = if crates.len() <= MOST_CRATES { "met" } else { "missed" };
    println!("goal argv-crates-in-tree {} {MOST_CRATES} {word}", crates.len());
    Ok(())
}
