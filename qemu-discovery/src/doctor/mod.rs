//! Checks that a host can run machines, and how to fix what is missing.
//!
//! Nothing is changed, except for the cache of QEMU's capabilities.

mod check;
mod host;
mod network;
mod qemu;
mod storage;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use check::{Check, Verdict};

use crate::Places;

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
