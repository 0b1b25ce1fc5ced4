//! `completions` and `man`: what a package of the program installs beside it.

use std::io::{self, Write};

use clap::Command;
use clap_complete::env::Shells;
use clap_mangen::Man;

use super::exit::Exit;
use super::failure::Failure;

/// Print the script that makes a shell complete this program's command line, with the names of VMs
///
/// For bash: `source <(qemuctl completions bash)` in ~/.bashrc.
#[derive(clap::Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Print a manual page: `qemuctl man | man -l -`
#[derive(clap::Args, Debug)]
pub(crate) struct Manual {
    /// The subcommand. Left out: the program
    subcommand: Option<String>,
}

pub(crate) fn completions(args: &Completions) -> Result<Exit, Failure> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        return Err(Failure::new(Exit::Usage, format!("no completions for {}", args.shell)));
    };
    let mut script = Vec::new();
    shell.write_registration("COMPLETE", "qemuctl", "qemuctl", "qemuctl", &mut script)?;
    write_out(&script)
}

/// Prints a page of the manual of `program`.
pub(crate) fn manual(args: &Manual, mut program: Command) -> Result<Exit, Failure> {
    program.build();
    let page = match &args.subcommand {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => {
                found.clone().name(format!("qemuctl-{name}")).display_name(format!("qemuctl-{name}"))
            }
            None => return Err(no_subcommand(name, &program)),
        },
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text)?;
    write_out(&text)
}

fn no_subcommand(name: &str, program: &Command) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("there is no subcommand {name}"));
    match qemuctl::config::nearest(name, program.get_subcommands().map(Command::get_name)) {
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
