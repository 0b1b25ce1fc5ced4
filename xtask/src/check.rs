//! `cargo xtask check`: what must hold before a change lands and needs no QEMU.

use anyhow::{Context, Result};

use crate::libraries::libraries;
use crate::run::{self, cargo};
use crate::{codegen, tidy};

/// Formatting, lints, documentation, features one by one, and tidy
#[derive(clap::Args)]
pub struct Args {}

/// A check: a short name and what does it.
pub struct Step {
    pub name: &'static str,
    pub run: fn() -> Result<()>,
}

/// The checks, in the order in which they fail fastest.
pub const STEPS: [Step; 6] = [
    Step { name: "fmt", run: || run::run(&mut cargo(["fmt", "--all", "--check"])) },
    Step { name: "tidy", run: || tidy::run(&tidy::Args {}) },
    Step { name: "codegen", run: codegen::check },
    Step { name: "clippy", run: clippy },
    Step { name: "features", run: features },
    Step { name: "doc", run: doc },
];

pub fn run(_args: &Args) -> Result<()> {
    for step in STEPS {
        (step.run)().with_context(|| format!("{} failed", step.name))?;
    }
    Ok(())
}

fn clippy() -> Result<()> {
    // Cargo does not count tests that run on demand alone among all targets.
    for targets in [&["--all-targets"][..], &["--test", "ceph", "--test", "storms"]] {
        let mut command = cargo(["clippy", "--workspace", "--all-features", "--quiet"]);
        run::run(command.args(targets).args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// A package with more features than this has one for each of its modules, too many to try.
const TRIED_ALONE: usize = 8;

/// Every library without its features, and with each of them alone.
fn features() -> Result<()> {
    for package in libraries()? {
        let alone = package.features.keys().filter(|name| *name != "default").map(String::as_str);
        let alone = alone.filter(|_| package.features.len() <= TRIED_ALONE);
        for feature in std::iter::once("").chain(alone) {
            let mut command = cargo(["clippy", "--quiet", "--lib", "--no-default-features"]);
            // The others, with the features that this one needs, are only compiled.
            command.args(["--no-deps", "--package", &package.name, "--features", feature]);
            run::run(command.args(["--", "--deny", "warnings"]))?;
        }
    }
    Ok(())
}

fn doc() -> Result<()> {
    let mut command = cargo(["doc", "--workspace", "--all-features", "--no-deps", "--quiet"]);
    run::run(command.env("RUSTDOCFLAGS", "--deny warnings"))
}
