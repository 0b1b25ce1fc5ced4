//! The workshop: `cargo xtask demo`, `cargo xtask test` and the smaller jobs they are made of.
//!
//! Uses none of the project's own crates, so that it builds while they do not. One module a
//! subcommand: an `Args` that clap fills and a `run` that does the job.

mod apt;
mod bench;
mod bind;
mod boards;
mod ceph;
mod check;
mod cloud;
mod codegen;
mod corpus;
mod demo;
mod elf;
mod guest;
mod libraries;
mod package;
mod places;
mod qemus;
mod run;
mod servers;
mod storm;
mod system;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workshop of qemuctl.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    Bench(bench::Args),
    Boards(boards::Args),
    Corpus(corpus::Args),
    Ceph(ceph::Args),
    Check(check::Args),
    Demo(demo::Args),
    Guest(guest::Args),
    Login(cloud::Args),
    Package(package::Args),
    Qemus(qemus::Args),
    Servers(servers::Args),
    Storm(storm::Args),
    Test(test::Args),
    Codegen(codegen::CodegenArgs),
    Schema(codegen::SchemaArgs),
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().job {
        Job::Bench(args) => bench::run(&args),
        Job::Boards(args) => boards::run(&args),
        Job::Corpus(args) => corpus::run(&args),
        Job::Ceph(args) => ceph::run(&args),
        Job::Check(args) => check::run(&args),
        Job::Demo(args) => demo::run(&args),
        Job::Login(args) => cloud::run(&args),
        Job::Guest(args) => guest::run(&args),
        Job::Package(args) => package::run(&args),
        Job::Qemus(args) => qemus::run(&args),
        Job::Servers(args) => servers::run(&args),
        Job::Storm(args) => storm::run(&args),
        Job::Test(args) => test::run(&args),
        Job::Codegen(args) => codegen::run_codegen(&args),
        Job::Schema(args) => codegen::run_schema(&args),
        Job::Tidy(args) => tidy::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
