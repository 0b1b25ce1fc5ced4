//! `completions` and `man`: the files that a distribution package installs with the program.

use std::io::{self, Write};

use clap::Command;
use clap_complete::env::Shells;

use super::exit::Exit;
use super::failure::Failure;
use super::manual;

/// Print a shell completion script
///
/// For bash, put `source <(qemuctl completions bash)` into ~/.bashrc.
#[derive(clap::Args, Debug)]
pub(crate) struct Completions {
    /// Shell to print the script for
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Print a man page
#[derive(clap::Args, Debug)]
pub(crate) struct Manual {
    /// Subcommand to describe [default: the program itself]
    subcommand: Option<String>,
}

pub(crate) fn completions(args: &Completions) -> Result<Exit, Failure> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        return Err(Failure::new(Exit::Usage, format!("no completions for the shell {}", args.shell)));
    };
    let mut script = Vec::new();
    shell.write_registration("COMPLETE", "qemuctl", "qemuctl", "qemuctl", &mut script)?;
    write_out(&script)
}

/// Prints one man page of `program`.
pub(crate) fn manual(args: &Manual, mut program: Command) -> Result<Exit, Failure> {
    program.build();
    let page = match &args.subcommand {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => {
                found.clone().name(format!("qemuctl-{name}")).display_name(format!("qemuctl-{name}"))
            }
            None => return Err(no_subcommand(name, program.get_subcommands().map(Command::get_name))),
        },
    };
    let mut text = Vec::new();
    manual::write(page, args.subcommand.as_deref(), &mut text)?;
    write_out(&text)
}

/// Returns the failure for an unknown subcommand, with the nearest of those in `known`.
pub(crate) fn no_subcommand<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("no subcommand is called {name}"));
    match qemuctl::config::nearest(name, known) {
        Some(nearest) => failure.with_help(format!("did you mean `{nearest}`?")),
        None => failure.with_help("`qemuctl --help` lists them"),
    }
}

fn write_out(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(Exit::Done)
}
