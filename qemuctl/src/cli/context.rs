//! What all subcommands share: the socket directory, verbosity and output format.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::{ArgAction, Args, ValueHint};
use qemu_discovery::doctor::Verdict;
use qemuctl::qmp_client::Printable;
use qemuctl::runtime::{Ended, default_socket_dir};
use serde::Serialize;

use super::failure::Failure;

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// Options of all subcommands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Context {
    /// Directory of the VMs' sockets [default: `$QEMUCTL_SOCKET_DIR`, or else /var/run/qemu for root and ~/.cache/qemuctl
    /// for other users]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    socket_dir: Option<PathBuf>,

    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print more about what is done
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,

    /// Runs this program as the keeper of one machine
    #[arg(long, global = true, hide = true, value_name = "NAME")]
    pub(crate) keeper_of: Option<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Context {
    /// The directory given by option or environment, if any.
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

    /// The context of a process whose output is not read.
    pub(crate) fn silent(&self) -> Self {
        Self { quiet: true, verbose: 0, ..self.clone() }
    }

    /// Decides whether colours are printed.
    pub(crate) fn set_up(&self) {
        match self.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
    }

    /// Whether to draw progress bars on standard error.
    pub(crate) fn is_lively(&self) -> bool {
        !self.quiet && !matches!(self.color, Color::Never) && io::stderr().is_terminal()
    }

    /// Prints results, with control characters escaped.
    pub(crate) fn print(&self, text: impl Display) -> Result<(), Failure> {
        self.print_styled(Printable::text(&text.to_string()))
    }

    /// Prints results unchanged, for a program that reads them; control characters are escaped only for a terminal.
    pub(crate) fn print_exactly(&self, text: impl Display) -> Result<(), Failure> {
        if io::stdout().is_terminal() { self.print(text) } else { self.print_styled(text) }
    }

    /// Prints results in colour. Text from elsewhere has to be [`Printable`] already.
    #[expect(clippy::unused_self, reason = "who may print has the context, and asks it to")]
    pub(crate) fn print_styled(&self, text: impl Display) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// Prints a finding in the colour of its severity.
    pub(crate) fn print_verdict(&self, verdict: Verdict, name: &str, detail: &str) -> Result<(), Failure> {
        let (style, word) = match verdict {
            Verdict::Ok => (GOOD, "ok"),
            Verdict::Problem => (ERROR, "problem"),
            _ => (WARNING, "warning"),
        };
        let detail = Printable::text(detail);
        self.print_styled(format_args!("{style}{word:>9}{style:#}  {name}: {detail}"))
    }

    /// Prints results as JSON, indented for a terminal and on one line otherwise.
    pub(crate) fn print_json(&self, data: &impl Serialize) -> Result<(), Failure> {
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(data)
        } else {
            serde_json::to_string(data)
        };
        self.print_styled(escaped(text.map_err(io::Error::from)?))
    }

    /// Prints results as one line of JSON.
    pub(crate) fn print_json_line(&self, data: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(data).map_err(io::Error::from)?;
        self.print_styled(escaped(text))
    }

    /// Prints results as text, or as JSON with `--json`.
    pub(crate) fn show(&self, data: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { self.print_json(data) } else { self.print(text) }
    }

    /// Reports what was done.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            say("", &text);
        }
    }

    /// Reports a detail, with `--verbose` only.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.verbose > 0 {
            say("", &text);
        }
    }

    /// Prints a warning.
    pub(crate) fn warn(&self, text: impl Display) {
        if !self.quiet {
            say(&format!("{WARNING}warning:{WARNING:#} "), &text);
        }
    }

    /// Reports VMs that were found dead, except those that ended together with their launcher.
    pub(crate) fn tell_ended(&self, ended: &[Ended]) {
        for vm in ended {
            if vm.detached { self.note(vm) } else { self.detail(vm) }
        }
    }

    /// Prints an error.
    pub(crate) fn fail(&self, failure: &Failure) {
        say(&format!("{ERROR}error:{ERROR:#} "), &failure.message);
        if let Some(detail) = failure.detail.as_ref().filter(|_| self.verbose > 0) {
            say("", detail);
        }
        if let Some(help) = &failure.help {
            say(&format!("{HELP}help:{HELP:#} "), help);
        }
    }
}

/// Writes a line with a title to standard error, with control characters escaped. Write errors are ignored, since there
/// is nowhere to report them.
fn say(title: &str, text: &dyn Display) {
    let text = text.to_string();
    let mut line = String::new();
    for (number, part) in text.split('\n').enumerate() {
        if number > 0 {
            line.push('\n');
        }
        // A terminal in raw mode needs the carriage returns that are passed in `text`.
        let inner = part.trim_matches('\r');
        let (begin, end) = part.split_at(part.len() - part.trim_start_matches('\r').len());
        line.push_str(begin);
        line.push_str(if number == 0 { title } else { "" });
        line.push_str(&Printable::text(inner).to_string());
        line.push_str(&end[inner.len().min(end.len())..]);
    }
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Escapes the control characters in JSON that serde leaves as they are. The meaning does not change.
pub(crate) fn escaped(json: String) -> String {
    let is_special = |c: char| c != '\n' && Printable::is_obeyed(c);
    if !json.contains(is_special) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if is_special(c) {
            // All of these are in the basic multilingual plane. Writing to a String cannot fail.
            let _ = fmt::Write::write_fmt(&mut out, format_args!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_nothing_that_a_terminal_obeys_and_means_the_same() {
        let data = serde_json::json!({"a\u{9b}": "x\u{1b}]0;\u{7}\u{7f}\u{202e}\u{9d}\n\t \u{2028}日本"});
        for text in [serde_json::to_string(&data), serde_json::to_string_pretty(&data)] {
            let text = escaped(text.expect("JSON"));
            assert!(!text.contains(|c| c != '\n' && Printable::is_obeyed(c)), "{text:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), data);
        }
    }
}
