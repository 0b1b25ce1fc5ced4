//! Asking for confirmation on the terminal.

use std::io::{self, IsTerminal, Write};

use super::exit::Exit;
use super::failure::Failure;

/// Whether the user wants to `deed`, such as "remove web".
pub(crate) fn is_sure(deed: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let text = format!("cannot ask whether to {deed}: standard input is not a terminal");
        return Err(Failure::new(Exit::Usage, text).with_help("confirm with --yes"));
    }
    let mut out = io::stderr().lock();
    write!(out, "{deed}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
