//! What the shell is offered for the name of a VM.

use std::ffi::OsStr;
use std::path::Path;

use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};
use qemuctl::home::{Home, StoredMachine};
use qemuctl::runtime::{Record, default_socket_dir};

/// The names of running VMs that begin with what has been typed. The socket directory is the environment's: options
/// that stand earlier on the line are not known here.
pub(crate) fn vm_names(typed: &OsStr) -> Vec<CompletionCandidate> {
    names(typed).into_iter().map(CompletionCandidate::new).collect()
}

/// For files here or in a guest: the names of running VMs with a colon behind, and files.
pub(crate) fn guest_paths(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::any().complete(typed);
    found.extend(names(typed).into_iter().map(|name| CompletionCandidate::new(format!("{name}:"))));
    found
}

/// The names of the machines of the home, and files.
pub(crate) fn machines_and_files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = machine_names(typed);
    found.extend(PathCompleter::any().complete(typed));
    found
}

/// The names of the machines of the home that begin with what has been typed.
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

/// The names of the VMs that run with their sockets in `dir`.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let records = Record::all(dir).unwrap_or_default();
    records.into_iter().filter(Record::is_alive).map(|record| record.name).collect()
}
