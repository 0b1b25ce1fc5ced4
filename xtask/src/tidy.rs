//! `cargo xtask tidy`: what no compiler says about the files of this repository.

use anyhow::{Result, bail};

use crate::run::{output, workspace};

/// File sizes, words and paths that have no place in a source file
#[derive(clap::Args)]
pub struct Args {}

/// A source file above this many lines is refused; generated files are exempt.
const MAX_LINES: usize = 600;

pub fn run(_args: &Args) -> Result<()> {
    let mut git = std::process::Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(workspace());
    let mut problems = Vec::new();
    for file in output(&mut git)?.split_terminator('\0') {
        if file.contains("/generated/") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(workspace().join(file)) else { continue };
        let lines = text.lines().count();
        if lines > MAX_LINES {
            problems.push(format!("{file}: {lines} lines; split it by subject ({MAX_LINES} at most)"));
        }
    }
    if !problems.is_empty() {
        bail!("tidy: {} problems\n{}", problems.len(), problems.join("\n"));
    }
    Ok(())
}
