//! The `qemuctl` program: QEMU virtual machines from the command line.
//!
//! It uses the library through its public API only. One subcommand is one file in `cli/`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
