//! What all subcommands share: where VMs are, how much to say, and in which form.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::{ArgAction, Args, ValueHint};
use qemu_discovery::doctor::Verdict;
use qemuctl::runtime::default_socket_dir;
use serde::Serialize;

use super::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// Options of every subcommand.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Context {
    /// The directory of the VMs' sockets. Left out: `$QEMUCTL_SOCKET_DIR`, else /var/run/qemu for root and
    /// ~/.cache/qemuctl for others
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    socket_dir: Option<PathBuf>,

    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more about what is done
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Context {
    /// The directory that was asked for, if any was.
    pub(crate) fn chosen_dir(&self) -> Option<PathBuf> {
        let from_environment = || std::env::var_os("QEMUCTL_SOCKET_DIR").map(PathBuf::from);
        self.socket_dir.clone().or_else(from_environment).filter(|dir| !dir.as_os_str().is_empty())
    }

    /// The directory of the VMs' sockets.
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        match self.chosen_dir() {
            Some(dir) => Ok(dir),
            None => Ok(default_socket_dir()?),
        }
    }

    /// Settles whether colours are printed.
    pub(crate) fn set_up(&self) {
        match self.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
    }

    /// Whether a moving picture on standard error is of use.
    pub(crate) fn is_lively(&self) -> bool {
        !self.quiet && !matches!(self.color, Color::Never) && io::stderr().is_terminal()
    }

    /// Prints data.
    #[expect(clippy::unused_self, reason = "who may print has the context, and asks it to")]
    pub(crate) fn print(&self, text: impl Display) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// Prints a finding, in the colour of how grave it is.
    pub(crate) fn print_verdict(&self, verdict: Verdict, name: &str, detail: &str) -> Result<(), Failure> {
        let (style, word) = match verdict {
            Verdict::Ok => (GOOD, "ok"),
            Verdict::Problem => (ERROR, "problem"),
            _ => (WARNING, "warning"),
        };
        self.print(format_args!("{style}{word:>9}{style:#}  {name}: {detail}"))
    }

    /// Prints data as JSON: indented for a terminal, else in one line.
    pub(crate) fn print_json(&self, data: &impl Serialize) -> Result<(), Failure> {
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(data)
        } else {
            serde_json::to_string(data)
        };
        self.print(text.map_err(io::Error::from)?)
    }

    /// Prints data in the form that was asked for.
    pub(crate) fn show(&self, data: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { self.print_json(data) } else { self.print(text) }
    }

    /// Tells what has been done.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            say(format_args!("{text}"));
        }
    }

    /// Tells what is done on the way, for those who want to know.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.verbose > 0 {
            say(format_args!("{text}"));
        }
    }

    /// Tells what may surprise.
    pub(crate) fn warn(&self, text: impl Display) {
        if !self.quiet {
            say(format_args!("{WARNING}warning:{WARNING:#} {text}"));
        }
    }

    /// Tells why something was not done.
    pub(crate) fn fail(&self, failure: &Failure) {
        say(format_args!("{ERROR}error:{ERROR:#} {}", failure.message));
        if let Some(detail) = failure.detail.as_ref().filter(|_| self.verbose > 0) {
            say(format_args!("{detail}"));
        }
        if let Some(help) = &failure.help {
            say(format_args!("{HELP}help:{HELP:#} {help}"));
        }
    }
}

/// A line on standard error. If nobody listens there, there is nobody to tell.
fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}
