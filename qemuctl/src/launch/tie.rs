//! Whether a started QEMU is the very process that was started, and ends with this one.
//!
//! Whatever is started as QEMU may be a wrapper. One that ends with `exec` becomes QEMU. One that does not has QEMU as a
//! child, which neither a signal to the wrapper nor the parent-death signal reaches: it would go on with the disk locked
//! when everybody takes it for dead.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt};
use thiserror::Error;

use crate::error::Cause;

/// Why a QEMU that works is refused.
#[derive(Debug, Error)]
pub(super) enum Untied {
    /// The one who speaks is another process than the one that was started.
    #[error("it runs as process {0}, below the program that was started")]
    Wrapped(u32),
    /// The kernel has dropped the parent-death signal.
    #[error("it has other privileges than this process, so it would not end when this process is killed")]
    Privileged,
    /// The connection could not be looked at.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Untied {
    /// The class of a launch that fails by it.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self {
            Self::Wrapped(_) => Some(Cause::Wrapped),
            Self::Privileged => Some(Cause::Untied),
            Self::Io(_) => None,
        }
    }
}

/// Has the kernel note on `monitor` who writes to it.
pub(super) fn note_writers(monitor: &UnixStream) -> io::Result<()> {
    Ok(setsockopt(monitor, sockopt::PassCred, &true)?)
}

/// Waits for the first byte from the other end, and leaves it there. Fails if it is not process `child` that wrote it.
pub(super) async fn spoken_by(child: u32, monitor: UnixStream) -> Result<UnixStream, Untied> {
    monitor.set_nonblocking(true)?;
    let monitor = tokio::net::UnixStream::from_std(monitor)?;
    let writer = monitor.async_io(tokio::io::Interest::READABLE, || peek_writer(monitor.as_raw_fd())).await?;
    let monitor = monitor.into_std()?;
    // From now on nobody asks any more.
    setsockopt(&monitor, sockopt::PassCred, &false).map_err(io::Error::from)?;
    match writer {
        Some(pid) if pid != child => Err(Untied::Wrapped(pid)),
        // The end of the monitor: the handshake tells that better.
        _ => Ok(monitor),
    }
}

/// Who wrote the next byte, by the process id that it has here; 0 if it has none. `None` at the end.
fn peek_writer(monitor: std::os::fd::RawFd) -> io::Result<Option<u32>> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!(UnixCredentials);
    let message = recvmsg::<()>(monitor, &mut parts, Some(&mut space), MsgFlags::MSG_PEEK)?;
    if message.bytes == 0 {
        return Ok(None);
    }
    let writer = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmCredentials(writer) => u32::try_from(writer.pid()).ok(),
        _ => None,
    });
    Ok(writer)
}

/// Fails if process `pid` gained or changed privileges since it was started: the kernel then forgets the parent-death
/// signal, so that a user cannot end by it what they may not signal. That happens to a program with file capabilities or a
/// set-user-ID bit, and by QEMU's own `-runas`.
pub(super) fn check(pid: u32) -> Result<(), Untied> {
    let read = |of: &str| fs::read_to_string(format!("/proc/{of}/status")).ok();
    let space = |of: &str| fs::read_link(format!("/proc/{of}/ns/user")).ok();
    let its = pid.to_string();
    // What cannot be read has nothing to say.
    let (Some(own), Some(its_status)) = (read("self"), read(&its)) else { return Ok(()) };
    if changed_user(&own, &its_status) {
        return Err(Untied::Privileged);
    }
    // In a user namespace of its own it has capabilities that are none here.
    let (here, there) = (space("self"), space(&its));
    if there.is_some() && here != there {
        return Ok(());
    }
    if gained(&own, &its_status) || secure(pid, &its_status) { Err(Untied::Privileged) } else { Ok(()) }
}

fn field<'a>(status: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace()
}

/// Whether the real, effective or file system user or group differ. The saved one is set by every `execve`.
fn changed_user(own: &str, its: &str) -> bool {
    ["Uid:", "Gid:"].iter().any(|name| {
        let pairs = field(own, name).zip(field(its, name)).enumerate();
        pairs.filter(|(index, _)| *index != 2).any(|(_, (own, its))| own != its)
    })
}

fn permitted(status: &str) -> u64 {
    field(status, "CapPrm:").next().and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or(0)
}

fn gained(own: &str, its: &str) -> bool {
    permitted(its) & !permitted(own) != 0
}

/// Whether the kernel took the program for a privileged one although it gained nothing.
fn secure(pid: u32, its: &str) -> bool {
    const AT_SECURE: usize = 23;
    if permitted(its) == 0 || field(its, "Uid:").nth(1) == Some("0") {
        return false;
    }
    // It can be read unless the process is shielded from this one, as a privileged program is.
    let Ok(auxv) = fs::read(format!("/proc/{pid}/auxv")) else { return true };
    let words: Vec<usize> = auxv
        .chunks_exact(size_of::<usize>())
        .filter_map(|word| word.try_into().ok().map(usize::from_ne_bytes))
        .collect();
    words.chunks_exact(2).any(|pair| pair[0] == AT_SECURE && pair[1] != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str =
        "Name:\tqemuctl\nUid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\nCapPrm:\t0000000000000000\n";
    const ROOT: &str = "Name:\tqemuctl\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapPrm:\t000001ffffffffff\n";

    #[test]
    fn privileges_that_were_gained_or_given_up_are_seen() {
        assert!(!changed_user(USER, USER) && !gained(USER, USER));
        assert!(!changed_user(ROOT, ROOT) && !gained(ROOT, ROOT));
        let saved = USER.replace("1000\t1000\t1000\t1000", "1000\t1000\t0\t1000");
        assert!(!changed_user(USER, &saved), "a program that was set-user-ID has given it up before");
        let capable = USER.replace("CapPrm:\t0000000000000000", "CapPrm:\t0000000000001000");
        assert!(gained(USER, &capable), "cap_net_admin");
        assert!(!gained(&capable, USER));
        assert!(changed_user(ROOT, USER), "-runas");
        let set_group = USER.replace("100\t100\t100\t100", "100\t36\t36\t36");
        assert!(changed_user(USER, &set_group), "a set-group-ID program");
    }

    #[test]
    fn a_process_without_more_privileges_passes() {
        check(std::process::id()).expect("this process itself");
        check(u32::MAX).expect("nobody");
    }

    #[tokio::test]
    async fn the_writer_is_told_and_nothing_is_lost() {
        use std::io::{Read, Write};
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        note_writers(&ours).expect("set");
        theirs.write_all(b"greeting").expect("written");
        drop(theirs);
        let mut monitor = spoken_by(std::process::id(), ours).await.expect("this process wrote it");
        monitor.set_nonblocking(false).expect("set");
        let mut text = String::new();
        monitor.read_to_string(&mut text).expect("text");
        assert_eq!(text, "greeting");
    }
}
