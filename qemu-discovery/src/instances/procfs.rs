//! Reads single facts about a process from `/proc`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::{SysconfVar, sysconf};
use qemu_argv::Accelerator;

use crate::Places;

/// What `/proc/PID/stat` tells, with the owner of the folder.
pub(super) struct Stat {
    pub start_ticks: u64,
    pub uid: u32,
}

/// `None` if there is no such process, or it has ended and waits to be collected.
pub(super) fn stat(places: &Places, pid: u32) -> Option<Stat> {
    let folder = places.at(format!("/proc/{pid}"));
    let text = fs::read(folder.join("stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name in parentheses is the process's own choice and may hold parentheses, spaces and line ends.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let (state, start) = (*fields.first()?, fields.get(19)?);
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    Some(Stat { start_ticks: start.parse().ok()?, uid: folder.metadata().ok()?.uid() })
}

/// The arguments, program included. `None` for a process without any, such as the kernel's own.
pub(super) fn cmdline(places: &Places, pid: u32) -> Option<Vec<OsString>> {
    let bytes = fs::read(places.at(format!("/proc/{pid}/cmdline"))).ok()?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if bytes.is_empty() {
        return None;
    }
    Some(bytes.split(|byte| *byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect())
}

/// The program file; after an upgrade the kernel appends a note to the path of the old one.
pub(super) fn executable(places: &Places, pid: u32) -> Option<PathBuf> {
    let path = fs::read_link(places.at(format!("/proc/{pid}/exe"))).ok()?;
    let mut bytes = path.into_os_string().into_vec();
    if bytes.ends_with(b" (deleted)") {
        bytes.truncate(bytes.len() - b" (deleted)".len());
    }
    Some(OsString::from_vec(bytes).into())
}

/// Where a path that the process was given leads, as the process's own tree has it. A relative one counts from the folder
/// that it works in or, since QEMU leaves that for `/` with `-daemonize`, from the one that it was started in. `None`:
/// there is nothing at either.
pub(super) fn resolve(places: &Places, pid: u32, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let working = fs::read_link(places.at(format!("/proc/{pid}/cwd"))).ok();
    let environment = fs::read(places.at(format!("/proc/{pid}/environ"))).unwrap_or_default();
    let started = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"PWD="));
    let started = started.map(|folder| PathBuf::from(OsString::from_vec(folder.to_vec())));
    let found =
        |folder: PathBuf| Some(folder.join(path)).filter(|path| places.at(path).symlink_metadata().is_ok());
    [working, started].into_iter().flatten().find_map(found)
}

/// Open descriptors and what they lead to, such as `socket:[1234]`.
pub(super) type Files = BTreeMap<u32, String>;

/// The open descriptors, which only the process's user and root may see.
pub(super) fn files(places: &Places, pid: u32) -> io::Result<Files> {
    let entries = fs::read_dir(places.at(format!("/proc/{pid}/fd")))?;
    Ok(entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect())
}

/// The path or, after `@`, the abstract name of each Unix socket that takes connections, by its inode number: in the
/// network namespace of the process, which alone lists them.
pub(super) fn listening_sockets(places: &Places, pid: u32) -> BTreeMap<u64, String> {
    /// `SO_ACCEPTCON`, in the column of flags.
    const ACCEPTS: u32 = 0x1_0000;
    let text = places.text(format!("/proc/{pid}/net/unix")).or_else(|| places.text("/proc/net/unix"));
    text.unwrap_or_default()
        .lines()
        .skip(1)
        .filter_map(|line| {
            // Num RefCount Protocol Flags Type St Inode Path; numbers are padded, and the path may hold spaces.
            let mut rest = line;
            let columns = [(); 7].map(|()| {
                let (column, after) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
                rest = after;
                column
            });
            let accepts = u32::from_str_radix(columns[3], 16).ok()? & ACCEPTS != 0;
            let inode = columns[6].parse().ok()?;
            (accepts && !rest.is_empty()).then(|| (inode, rest.to_owned()))
        })
        .collect()
}

/// What runs the guest: a virtual machine of KVM among the descriptors, else the names of the threads.
pub(super) fn accelerator(places: &Places, pid: u32, files: Option<&Files>) -> Option<Accelerator> {
    if files.is_some_and(|files| files.values().any(|target| target == "anon_inode:kvm-vm")) {
        return Some(Accelerator::Kvm);
    }
    let threads = fs::read_dir(places.at(format!("/proc/{pid}/task"))).into_iter().flatten().flatten();
    for name in threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok()) {
        match name.trim_end().rsplit_once('/') {
            Some((cpu, "KVM")) if cpu.contains("CPU") => return Some(Accelerator::Kvm),
            Some((cpu, "TCG")) if cpu.contains("CPU") => return Some(Accelerator::Tcg),
            _ => {}
        }
    }
    None
}

/// The time on the clock that a number of ticks since boot stands for.
pub(super) fn started(places: &Places, ticks: u64) -> Option<SystemTime> {
    let stat = places.text("/proc/stat")?;
    let boot: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok().filter(|ticks| *ticks > 0)?;
    let since_boot = Duration::from_millis(ticks.checked_mul(1000)? / per_second);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(boot))?.checked_add(since_boot)
}
