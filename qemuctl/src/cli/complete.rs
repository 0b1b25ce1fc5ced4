//! Candidates for shell completion.

use std::ffi::OsStr;
use std::path::Path;

use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};
use qemuctl::home::{Home, StoredMachine};
use qemuctl::runtime::{Record, default_socket_dir};

/// Completes the names of running VMs. The socket directory is taken from the environment, since the options earlier on
/// the command line are not known here.
pub(crate) fn vm_names(typed: &OsStr) -> Vec<CompletionCandidate> {
    names(typed).into_iter().map(CompletionCandidate::new).collect()
}

/// Completes files here or in a guest: files, and the names of running VMs followed by a colon.
pub(crate) fn guest_paths(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::any().complete(typed);
    found.extend(names(typed).into_iter().map(|name| CompletionCandidate::new(format!("{name}:"))));
    found
}

/// Completes the names of machines, and files.
pub(crate) fn machines_and_files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = machine_names(typed);
    found.extend(PathCompleter::any().complete(typed));
    found
}

/// Completes the names of machines.
pub(crate) fn machine_names(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let machines = Home::open().and_then(|home| home.machines()).unwrap_or_default();
    let names = machines.iter().map(StoredMachine::name).filter(|name| name.starts_with(typed));
    names.map(CompletionCandidate::new).collect()
}

fn names(typed: &OsStr) -> Vec<String> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let dir = std::env::var_os("QEMUCTL_SOCKET_DIR").map(Into::into).or_else(|| default_socket_dir().ok());
    let names = dir.map(|dir| names_in(&dir)).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(typed)).collect()
}

/// Returns the names of the running VMs whose sockets are in `dir`.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let records = Record::all(dir).unwrap_or_default();
    records.into_iter().filter(Record::is_alive).map(|record| record.name).collect()
}
