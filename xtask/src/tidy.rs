//! `cargo xtask tidy`: what no compiler says about the files of this repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{output, workspace};

/// File sizes, words and paths that have no place in a source file
#[derive(clap::Args)]
pub struct Args {}

/// A source file above this many lines is refused; generated files are exempt.
const MAX_LINES: usize = 600;

/// What must not stand in a Rust file, and why. Cut in two, so that this file may have them.
const REFUSED_IN_CODE: [(&str, &str); 6] = [
    (concat!("to", "do!("), "unfinished code"),
    (concat!("unimple", "mented!("), "unfinished code"),
    (concat!("db", "g!("), "left over from debugging"),
    (concat!("#[ign", "ore"), "a test runs or it is deleted"),
    (concat!("allow(dead", "_code)"), "code that nothing uses is deleted"),
    (concat!("// TO", "DO"), "unfinished work belongs in an issue"),
];

/// What must not stand in any file: places of one machine alone.
const REFUSED_ANYWHERE: [(&str, &str); 4] = [
    (concat!("/work", "/main"), "a path of one machine"),
    (concat!("/work", "/shared"), "a path of one machine"),
    (concat!("/opt", "/qemus"), "a path of one machine"),
    (concat!("/root", "/."), "a path of one user"),
];

pub fn run(_args: &Args) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace());
    let mut found = Vec::new();
    for file in output(&mut git)?.split_terminator('\0') {
        let path = workspace().join(file);
        if path.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            // Images and the like have nothing to say here.
            if let Ok(text) = String::from_utf8(bytes) {
                found.extend(problems(file, &text));
            }
        }
    }
    if !found.is_empty() {
        bail!("{} problems\n{}", found.len(), found.join("\n"));
    }
    Ok(())
}

/// What is wrong with the file at `path` (from the root of the repository) that holds `text`.
fn problems(path: &str, text: &str) -> Vec<String> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let generated = path.contains("/generated/") || path == "Cargo.lock";
    // Snapshots hold what a test saw, to the letter.
    let verbatim = generated || extension == "snap" || path.starts_with("LICENSE");
    let mut found = Vec::new();
    let lines = text.lines().count();
    if extension == "rs" && !generated && lines > MAX_LINES {
        found.push(format!("{path}: {lines} lines; split it by subject, {MAX_LINES} are the limit"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let mut say = |what: &str| found.push(format!("{path}:{number}: {what}"));
        if extension == "rs" && !generated {
            for (word, why) in REFUSED_IN_CODE {
                if line.contains(word) {
                    say(&format!("`{word}`: {why}"));
                }
            }
        }
        for (word, why) in REFUSED_ANYWHERE {
            if line.contains(word) {
                say(&format!("`{word}`: {why}"));
            }
        }
        // In Rust, rustfmt sees to it, and leaves what stands in a string.
        if !verbatim && extension != "rs" && line.ends_with([' ', '\t', '\r']) {
            say("white space at the end of the line");
        }
    }
    if !verbatim && !text.is_empty() && !text.ends_with('\n') {
        found.push(format!("{path}: no newline at the end"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINES, REFUSED_ANYWHERE, REFUSED_IN_CODE, problems};

    #[test]
    fn a_clean_file() {
        assert_eq!(problems("a/src/lib.rs", "//! Clean.\n"), Vec::<String>::new());
    }

    #[test]
    fn every_refused_word_is_found() {
        for (word, why) in REFUSED_IN_CODE.into_iter().chain(REFUSED_ANYWHERE) {
            let text = format!("fn a() {{}}\n// {word}\n");
            assert_eq!(problems("a/src/lib.rs", &text), [format!("a/src/lib.rs:2: `{word}`: {why}")]);
        }
    }

    #[test]
    fn a_long_file() {
        let text = "\n".repeat(MAX_LINES + 1);
        assert_eq!(problems("a.rs", &text), ["a.rs: 601 lines; split it by subject, 600 are the limit"]);
        assert_eq!(problems("a/generated/b.rs", &text), Vec::<String>::new());
    }

    #[test]
    fn untidy_ends() {
        assert_eq!(
            problems("a.md", "one \ntwo"),
            ["a.md:1: white space at the end of the line", "a.md: no newline at the end"]
        );
    }
}
