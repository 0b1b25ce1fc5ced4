//! Whether the VM of a record lives: its process is that QEMU, or it is out of sight and its socket is served.
//!
//! A process id alone proves nothing: after a reboot, or in another PID namespace, it is another process's. QEMU's command
//! line has the VM's name, and QEMU holds the socket of its monitor open.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use qemu_discovery::process::Process;

/// How long a process may take that has begun to end. A guest's memory is freed at some gigabytes a second.
const REST: Duration = Duration::from_secs(5);

/// Whether a VM lives.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    /// As this process.
    Process(Arc<Process>),
    /// Somebody serves one of its sockets: it, as a process that cannot be seen from here.
    OutOfSight,
    /// No more.
    Gone,
}

/// The process `pid`, if it is a QEMU that runs a VM called `name`.
pub(super) fn qemu_of(pid: u32, name: &str) -> Option<Arc<Process>> {
    let process = Process::attach(pid).ok()?;
    runs(pid, name).then_some(process)
}

/// Waits until a process that has begun to end has closed its sockets, which it does last: the kernel frees the guest's
/// memory first. Until then it has no command line any more, but its sockets are served.
pub(super) fn wait_for_rest(pid: u32, started: u64) {
    if let Ok(process) = Process::attach(pid)
        && process.started() == started
        && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty())
    {
        process.wait_blocking(REST);
    }
}

/// The first process that runs a VM called `name` and holds the monitor at `socket`. With a wrapper script that waits for QEMU
/// it is the wrapper, as for whoever started it.
pub(super) fn find_qemu(name: &str, socket: &Path) -> Option<Arc<Process>> {
    let inodes = inodes_of(socket);
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let process = qemu_of(pid, name)?;
        holds(pid, &inodes).then_some(process)
    });
    processes.min_by_key(|process| (process.started(), process.pid()))
}

/// Whether the process was started to run a VM called `name`.
pub(super) fn runs(pid: u32, name: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| has_name(&line, name))
}

/// Whether a command line, as the kernel tells it, is of a VM called `name`.
fn has_name(line: &[u8], name: &str) -> bool {
    // In QEMU's options a comma in a value is written twice.
    let wanted = format!("guest={}", name.replace(',', ",,"));
    line.split(|byte| *byte == 0).any(|argument| match argument.strip_prefix(wanted.as_bytes()) {
        Some([]) => true,
        Some([b',', next, ..]) => *next != b',',
        _ => false,
    })
}

/// The sockets that are bound to a path, by the number that the kernel gives each.
fn inodes_of(socket: &Path) -> Vec<String> {
    let list = fs::read("/proc/net/unix").unwrap_or_default();
    let of_line = |line: &[u8]| {
        // Num RefCount Protocol Flags Type St Inode Path
        let (facts, path) = line.split_at_checked(line.iter().position(|byte| *byte == b'/')?)?;
        let inode = str::from_utf8(facts).ok()?.split_ascii_whitespace().nth(6)?;
        (path == socket.as_os_str().as_bytes()).then(|| format!("socket:[{inode}]"))
    };
    list.split(|byte| *byte == b'\n').filter_map(of_line).collect()
}

/// Whether the process has one of the sockets open.
fn holds(pid: u32, inodes: &[String]) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let mut targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
}

/// Whether somebody serves the socket. Never waits.
pub(super) fn is_served(path: &Path) -> bool {
    let Ok(address) = UnixAddr::new(path) else { return false };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let Ok(probe) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else { return false };
    // A full queue is somebody's too.
    matches!(connect(probe.as_raw_fd(), &address), Ok(()) | Err(Errno::EAGAIN))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_command_line_names_its_vm() {
        let line = b"qemu\0-name\0guest=a,,b\0-nodefaults\0";
        assert!(has_name(line, "a,b"));
        assert!(has_name(b"qemu\0-name\0guest=web,debug-threads=on\0", "web"));
        for other in ["a", "b", "a,,b", "a,b2", "", "qemu"] {
            assert!(!has_name(line, other), "{other}");
        }
        assert!(!runs(std::process::id(), "vm"));
        assert!(qemu_of(std::process::id(), "vm").is_none());
    }

    #[test]
    fn a_process_holds_the_sockets_that_it_has_bound() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("a b.sock");
        assert_eq!(inodes_of(&path), [""; 0]);
        let listener = UnixListener::bind(&path).expect("bound");
        let inodes = inodes_of(&path);
        assert!(holds(std::process::id(), &inodes), "{inodes:?}");
        assert!(!holds(1, &inodes) && !holds(std::process::id(), &[]));
        drop(listener);
    }

    #[test]
    fn a_socket_is_served_while_somebody_listens() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("vm.sock");
        assert!(!is_served(&path));
        let listener = UnixListener::bind(&path).expect("bound");
        // More than any queue holds, and nobody takes one of them.
        for _ in 0..5000 {
            assert!(is_served(&path));
        }
        drop(listener);
        assert!(!is_served(&path));
        fs::remove_file(&path).expect("there");
        fs::write(&path, "no socket").expect("written");
        assert!(!is_served(&path));
    }
}
