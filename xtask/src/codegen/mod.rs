//! From QEMU's schema to Rust types: parser → model → merge → naming → emit.
//!
//! Exceptions are rows of data in `overrides`, each with its reason.

mod compare;
mod emit;
mod import;
mod introspect;
mod learn;
mod merge;
mod merged;
mod model;
mod naming;
mod output;
mod overrides;
mod parser;
mod patch;
mod plan;
mod record;
mod rename;
mod store;
mod talk;
mod unify;
mod verify;

use std::path::PathBuf;

use anyhow::Result;

/// Facts about QEMU's schema: import, learn, verify
#[derive(clap::Args)]
pub struct SchemaArgs {
    #[command(subcommand)]
    job: SchemaJob,
}

#[derive(clap::Subcommand)]
enum SchemaJob {
    /// Read the schema files of a QEMU source tree into qmp-proto/schema
    Import {
        /// The unpacked source of QEMU
        #[arg(long, value_name = "DIR")]
        qemu_src: PathBuf,
    },
    /// Add what a live QEMU has beyond the known facts
    Learn {
        /// A `qemu-system-*` program
        #[arg(long, value_name = "BIN")]
        qemu: PathBuf,
    },
    /// Record a live QEMU's replies and events for the replay test
    Record {
        /// A `qemu-system-x86_64` program
        #[arg(long, value_name = "BIN")]
        qemu: PathBuf,
    },
    /// Compare the types with a live QEMU; fails if it has something that they lack
    Verify {
        /// A `qemu-system-*` program; more than one may be given
        #[arg(long, value_name = "BIN", required = true, num_args = 1..)]
        qemu: Vec<PathBuf>,
    },
}

pub fn run_schema(args: &SchemaArgs) -> Result<()> {
    match &args.job {
        SchemaJob::Import { qemu_src } => import::import(qemu_src),
        SchemaJob::Learn { qemu } => learn::run(qemu),
        SchemaJob::Record { qemu } => record::run(qemu),
        SchemaJob::Verify { qemu } => qemu.iter().try_for_each(|qemu| verify::run(qemu)),
    }
}

/// Regenerate the Rust types of qmp-proto from qmp-proto/schema
#[derive(clap::Args)]
pub struct CodegenArgs {
    /// Change nothing; fail if a generated file is not what would be written
    #[arg(long)]
    check: bool,
}

pub fn run_codegen(args: &CodegenArgs) -> Result<()> {
    output::run(args.check)
}

/// Fails if a generated file is not what would be written.
pub fn check() -> Result<()> {
    output::run(true)
}
