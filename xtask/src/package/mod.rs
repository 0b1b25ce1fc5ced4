//! `cargo xtask package`: what would be published, proven from the outside.
//!
//! Every crate is built from its own archive, the dependencies are judged, and the Debian package is
//! made, installed in a root of its own, run and removed again.

mod archives;
mod deb;
mod tools;

use anyhow::{Context, Result};

/// Build every crate from its archive, judge the dependencies, make and try the Debian package
#[derive(clap::Args, Default)]
pub struct Args {
    /// Optimize the program in the Debian package, as one gives it to others
    #[arg(long)]
    release: bool,

    /// Leave the crates alone: only the Debian package
    #[arg(long)]
    deb: bool,
}

pub fn run(args: &Args) -> Result<()> {
    if !args.deb {
        archives::build().context("a crate does not build from its archive")?;
        archives::judge_dependencies()?;
    }
    let package = deb::build(if args.release { "release" } else { "dev" })?;
    deb::try_out(&package).with_context(|| format!("{} is not good", package.display()))?;
    println!("{}", package.display());
    Ok(())
}
