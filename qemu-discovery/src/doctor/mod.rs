//! Looks a host over: is what machines need there, and if not, what would mend it.
//!
//! Nothing is changed, except that what QEMU tells of itself is remembered as usual.

mod host;
mod network;
mod qemu;
mod storage;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Places;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// All is well.
    Ok,
    /// Machines run, but slowly, less safely, or without something that some want.
    Warning,
    /// Machines do not run.
    Problem,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What would help, such as a command to type.
    pub remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, detail: detail.into(), remedy: None }
    }

    fn problem(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Problem, detail: detail.into(), remedy: None }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// What to look at beyond the host itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The QEMU to look at instead of the one that would be found.
    pub qemu: Option<PathBuf>,
    /// The folder that machines' sockets go to.
    pub socket_dir: Option<PathBuf>,
}

/// Looks this host over.
///
/// The first time it takes about a second, because QEMU is asked and the accelerator is tried.
pub async fn examine(subject: &Subject) -> Vec<Check> {
    examine_in(&Places::host(), subject).await
}

/// Looks a given host over.
pub async fn examine_in(places: &Places, subject: &Subject) -> Vec<Check> {
    let mut checks = qemu::checks(places, subject.qemu.as_deref()).await;
    checks.extend([
        storage::disk_tools(places),
        network::bridge_helper(places),
        network::tun(places),
        network::vhost_net(places),
        host::hugepages(places),
        host::user_namespaces(places),
        host::seccomp(places),
    ]);
    checks.extend(subject.socket_dir.as_deref().map(storage::socket_dir));
    checks.push(storage::cache(places));
    checks.extend(host::limits(places));
    checks
}

/// The gravest verdict.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
}

/// Opens a device node as QEMU would.
fn open_device(places: &Places, node: &str) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).open(places.at(node)).map(drop)
}

/// The error without Rust's number behind it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or_else(|| text.clone(), |(words, _)| words.to_owned())
}

/// A path as somebody inside the tree would name it.
fn shown(places: &Places, path: &Path) -> String {
    places.inside(path).display().to_string()
}
