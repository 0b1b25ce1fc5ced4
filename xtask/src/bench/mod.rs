//! `cargo xtask bench NAME`: measures one part in a release build.
//!
//! One module a benchmark. The programs that measure live with the crate they measure (as an
//! example or a bench target); here they are set up, run, and their limits checked.

mod argv;
mod compile;
mod discovery;
mod launch;
mod qmp;

use anyhow::Result;

/// Measure one part in a release build
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(clap::Subcommand)]
enum Bench {
    Argv(argv::Args),
    Compile(compile::Args),
    Discovery(discovery::Args),
    Launch(launch::Args),
    Qmp(qmp::Args),
}

pub fn run(args: &Args) -> Result<()> {
    match &args.bench {
        Bench::Argv(args) => argv::run(args),
        Bench::Compile(args) => compile::run(args),
        Bench::Discovery(args) => discovery::run(args),
        Bench::Launch(args) => launch::run(args),
        Bench::Qmp(args) => qmp::run(args),
    }
}
