//! The processes that have an image open.
//!
//! QEMU locks images with open file description locks, for which `/proc/locks` names no process. So the processes are
//! found by their open files, as `fuser` does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that has an image open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command's name, at most 15 bytes, as the kernel keeps it.
    pub command: String,
}

/// Returns the processes that have the file open, as far as they are visible to this user. Blocks while it reads
/// `/proc`.
pub(super) fn holders(path: &Path) -> Vec<Holder> {
    let Ok(image) = fs::metadata(path) else { return Vec::new() };
    let has_it_open = |pid: u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut open = files.flatten().filter_map(|file| fs::metadata(file.path()).ok());
        open.any(|file| (file.dev(), file.ino()) == (image.dev(), image.ino()))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<_> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != std::process::id() && has_it_open(pid))
        .map(|pid| {
            let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            // A process may give itself any name.
            Holder { pid, command: command.trim_end().replace(char::is_control, "\u{fffd}") }
        })
        .collect();
    found.sort_by_key(|holder| holder.pid);
    found
}

/// ` by qemu-system-x86 (pid 12) and …`, or nothing if nobody is known.
pub(super) fn list(holders: &[Holder]) -> String {
    let names: Vec<_> =
        holders.iter().map(|holder| format!("{} (pid {})", holder.command, holder.pid)).collect();
    if names.is_empty() { String::new() } else { format!(" by {}", names.join(" and ")) }
}
