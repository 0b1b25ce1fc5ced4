//! Candidates for shell completion.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};
use qemuctl::home::{Home, StoredMachine};
use qemuctl::qmp_proto::AnyEvent;
use qemuctl::runtime::{Record, default_socket_dir};

use super::examples;
use super::fields::Schema;
use super::schema::SCHEMA;

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

/// Completes a VM name, or that of a machine that is off.
pub(crate) fn vms_and_machines(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = machine_names(typed);
    let is_new = |name: &CompletionCandidate| found.iter().all(|known| known.get_value() != name.get_value());
    let running: Vec<_> = vm_names(typed).into_iter().filter(is_new).collect();
    found.extend(running);
    found
}

/// Completes the names of machines.
pub(crate) fn machine_names(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let machines = Home::open().and_then(|home| home.machines()).unwrap_or_default();
    let names = machines.iter().map(StoredMachine::name).filter(|name| name.starts_with(typed));
    names.map(CompletionCandidate::new).collect()
}

/// Completes the disks and drives of all running VMs: which VM was typed before is not known here.
pub(crate) fn disks(typed: &OsStr) -> Vec<CompletionCandidate> {
    let records = socket_dir().map(|dir| Record::all(&dir).unwrap_or_default()).unwrap_or_default();
    let plans = records.iter().filter(|record| record.is_alive()).map(|record| &record.plan);
    let is_disk = |driver: &str| DISKS.iter().any(|start| driver.starts_with(start));
    let disks = plans.flat_map(qemu_argv::Plan::devices).filter(|device| is_disk(&device.driver));
    let mut ids: Vec<String> = disks.map(|device| device.id.to_string()).collect();
    ids.sort();
    ids.dedup();
    starting(typed, ids.iter().map(String::as_str))
}

/// What the drivers of disks and drives begin with.
const DISKS: [&str; 5] = ["virtio-blk", "scsi-", "nvme", "ide-", "usb-storage"];

/// Returns the words that a config field may be, as candidates with their descriptions.
pub(crate) fn values(field: &str) -> Vec<CompletionCandidate> {
    let Ok(schema) = Schema::parse(SCHEMA) else { return Vec::new() };
    let words = schema.root().find(field).map(|field| field.words()).unwrap_or_default();
    let candidate = |(word, text): (&str, Option<&str>)| {
        CompletionCandidate::new(word).help(text.map(|text| text.to_owned().into()))
    };
    words.into_iter().map(candidate).collect()
}

/// Returns fixed words as candidates.
pub(crate) fn words<const COUNT: usize>(words: [&'static str; COUNT]) -> Vec<CompletionCandidate> {
    words.map(CompletionCandidate::new).into()
}

/// Completes `KEY=` with the fields of a config.
pub(crate) fn settings(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(schema) = Schema::parse(SCHEMA) else { return Vec::new() };
    let mut keys = vec!["cpus=".to_owned(), "restart=".to_owned()];
    for (name, field) in schema.root().tables().into_iter().flat_map(|table| table.fields) {
        keys.push(format!("{name}="));
        if !field.is_list {
            let inner = field.tables().into_iter().flat_map(|table| table.fields);
            keys.extend(inner.map(|(inner, _)| format!("{name}.{inner}=")));
        }
    }
    starting(typed, keys.iter().map(String::as_str))
}

/// Completes the topics of `help`: subcommands, `config`, and its fields.
pub(crate) fn topics(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(schema) = Schema::parse(SCHEMA) else { return Vec::new() };
    let fields: Vec<_> = schema.root().tables().into_iter().flat_map(|table| table.fields).collect();
    let topics = examples::subcommands().chain(["config"]).map(str::to_owned);
    let topics: Vec<String> = topics.chain(fields.iter().map(|(name, _)| (*name).to_owned())).collect();
    starting(typed, topics.iter().map(String::as_str))
}

/// Completes the names of events.
pub(crate) fn events(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting(typed, AnyEvent::NAMES.iter().copied())
}

/// Returns the words that start with what was typed.
fn starting<'a>(typed: &OsStr, words: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    words
        .filter(|word| word.starts_with(typed))
        .map(|word| CompletionCandidate::new(word.to_owned()))
        .collect()
}

fn socket_dir() -> Option<PathBuf> {
    std::env::var_os("QEMUCTL_SOCKET_DIR").map(Into::into).or_else(|| default_socket_dir().ok())
}

fn names(typed: &OsStr) -> Vec<String> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let names = socket_dir().map(|dir| names_in(&dir)).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(typed)).collect()
}

/// Returns the names of the running VMs whose sockets are in `dir`.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let records = Record::all(dir).unwrap_or_default();
    records.into_iter().filter(Record::is_alive).map(|record| record.name).collect()
}
