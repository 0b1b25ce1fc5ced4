//! Findings.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::Places;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// Everything is fine.
    Ok,
    /// Machines can run, but slowly, less safely, or without some feature.
    Warning,
    /// Machines cannot run.
    Problem,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// The severity.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// How to fix it, such as a command.
    pub remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    pub(super) fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, detail: detail.into(), remedy: None }
    }

    pub(super) fn problem(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Problem, detail: detail.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Opens a device node as QEMU would.
pub(super) fn open_device(places: &Places, node: &str) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).open(places.at(node)).map(drop)
}

/// The error without Rust's number behind it.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or_else(|| text.clone(), |(words, _)| words.to_owned())
}

/// A path as somebody inside the tree would name it.
pub(super) fn shown(places: &Places, path: &Path) -> String {
    places.inside(path).display().to_string()
}
