//! What the kernel tells of a process that has ended: its status, and what it used.
//!
//! `waitid` takes a place for the resources, which no safe interface offers; and since Linux 6.15 a pidfd tells the
//! status of a process that is not our child.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::libc;

use super::ProcessExit;

/// What a process has used in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceUsage {
    /// Processor time in its own code; for QEMU this has the guest's.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The most memory that was resident at a time, in bytes.
    pub max_resident: u64,
}

impl ResourceUsage {
    fn of(usage: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.try_into().unwrap_or_default())
                .saturating_add(Duration::from_micros(time.tv_usec.try_into().unwrap_or_default()))
        };
        Self {
            user: time(usage.ru_utime),
            system: time(usage.ru_stime),
            // The kernel counts in KiB.
            max_resident: u64::try_from(usage.ru_maxrss).unwrap_or_default().saturating_mul(1024),
        }
    }
}

/// Collects a child that has ended; `None` while it lives.
#[expect(unsafe_code, reason = "no safe interface tells what a child has used")]
pub(super) fn collect(pidfd: BorrowedFd<'_>) -> io::Result<Option<(ProcessExit, ResourceUsage)>> {
    // SAFETY: both are plain numbers, for which zero is a value.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) = unsafe { (zeroed(), zeroed()) };
    // SAFETY: the pointers are to values of the types that the kernel writes, and live until the call is over.
    let done = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            &raw mut info,
            libc::WEXITED | libc::WNOHANG,
            &raw mut usage,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `waitid` has filled in the fields of a child, or left them zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let exit = match info.si_code {
        libc::CLD_EXITED => ProcessExit::Code(status),
        libc::CLD_KILLED => ProcessExit::Signal { number: status, core_dumped: false },
        libc::CLD_DUMPED => ProcessExit::Signal { number: status, core_dumped: true },
        _ => ProcessExit::Unknown,
    };
    Ok(Some((exit, ResourceUsage::of(&usage))))
}

/// `struct pidfd_info` of `linux/pidfd.h`, in its first form.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;

nix::ioctl_readwrite!(pidfd_get_info, 0xff, 11, PidfdInfo);

/// How a process ended that is not our child. `None` before its parent has collected it, and on kernels before 6.15.
#[expect(unsafe_code, reason = "no crate in use has a safe call for this")]
pub(super) fn exit_of_another(pidfd: BorrowedFd<'_>) -> Option<ProcessExit> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the pointer is to a value of the size that the number of the call names, and lives until it is over.
    unsafe { pidfd_get_info(pidfd.as_raw_fd(), &raw mut info) }.ok()?;
    if info.mask & PIDFD_INFO_EXIT == 0 {
        return None;
    }
    let status = info.exit_code;
    Some(match (libc::WIFEXITED(status), libc::WIFSIGNALED(status)) {
        (true, _) => ProcessExit::Code(libc::WEXITSTATUS(status)),
        (_, true) => {
            ProcessExit::Signal { number: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
        }
        _ => ProcessExit::Unknown,
    })
}
