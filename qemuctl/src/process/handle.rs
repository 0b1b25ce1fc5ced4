//! One process, held by a pidfd: signals reach this process or nobody.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

use super::ProcessExit;
use super::exec::Child;

/// A running or ended process: our child, which is reaped, or another's, which is only watched.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    started: u64,
    pidfd: OwnedFd,
    ours: bool,
    exit: Mutex<Option<ProcessExit>>,
}

impl Process {
    /// Takes over a child just started.
    pub(crate) fn of_child(child: Child) -> Arc<Self> {
        let Child { pid, pidfd } = child;
        // The child is not reaped yet, so its id cannot have been given to another process.
        let started = start_time(pid).unwrap_or_default();
        Arc::new(Self { pid, started, pidfd, ours: true, exit: Mutex::new(None) })
    }

    /// Watches a process that somebody else started.
    pub(crate) fn attach(pid: u32) -> io::Result<Arc<Self>> {
        let pidfd = open(pid)?;
        // Read after opening: if the id was recycled in between, the time belongs to another process than the
        // pidfd, and the pidfd tells that its process is dead.
        let started = start_time(pid)?;
        let process = Self { pid, started, pidfd, ours: false, exit: Mutex::new(None) };
        if process.is_dead() {
            return Err(Errno::ESRCH.into());
        }
        Ok(Arc::new(process))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// When the process started, in clock ticks since boot. With the id this names it for ever.
    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// Sends `signal`. A process that is gone already is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the process has ended. A zombie is dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.wait_blocking(Duration::ZERO)
    }

    /// Blocks until the process has ended, at most for `limit`; tells whether it has.
    pub(crate) fn wait_blocking(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) if left.is_zero() => return false,
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Collects the exit status of a child that has ended; `None` while it lives. May be called again and again.
    pub(crate) fn reap(&self) -> Option<ProcessExit> {
        let mut exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if exit.is_none() {
            *exit =
                if self.ours { self.wait_status() } else { self.is_dead().then_some(ProcessExit::Unknown) };
        }
        *exit
    }

    fn wait_status(&self) -> Option<ProcessExit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ProcessExit::Code(code),
                (None, Some(number)) => ProcessExit::Signal { number, core_dumped: status.dumped() },
                (None, None) => ProcessExit::Unknown,
            }),
            // Somebody waits for every child of this process, or SIGCHLD is ignored.
            Err(_) => self.is_dead().then_some(ProcessExit::Unknown),
        }
    }

    /// Kills the process and collects it. Blocks for the moment that takes, at most for `limit`.
    pub(crate) fn kill_blocking(&self, limit: Duration) -> Option<ProcessExit> {
        if let Some(exit) = self.reap() {
            return Some(exit);
        }
        // Only a process of another user refuses the signal; there is nothing left to try then.
        let _ = self.signal(Signal::KILL);
        self.wait_blocking(limit);
        self.reap()
    }
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::EINVAL)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// When process `pid` started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
fn start_time(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name, in parentheses, may itself hold spaces and parentheses.
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19))
        .and_then(|ticks| ticks.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected format of /proc/<pid>/stat"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Bond, Program, Watcher};

    fn shell(script: &str) -> Arc<Process> {
        let args = ["-c", script].map(Into::into).to_vec();
        // It would die with this test's thread, which lives longer than the test needs it.
        let program = Program {
            path: "/bin/sh".into(),
            args,
            descriptors: Vec::new(),
            bond: Bond::Parent,
            hidden: Vec::new(),
        };
        Process::of_child(program.spawn().expect("sh starts"))
    }

    #[tokio::test]
    async fn tells_how_a_child_ended() {
        for (script, expected) in [
            ("exit 0", ProcessExit::Code(0)),
            ("exit 7", ProcessExit::Code(7)),
            ("kill -9 $$", ProcessExit::Signal { number: 9, core_dumped: false }),
        ] {
            let process = shell(script);
            let watcher = Watcher::new(process.clone()).expect("in a runtime");
            assert_eq!(watcher.ended().await, expected, "{script}");
            assert_eq!(process.reap(), Some(expected), "a second look tells the same");
        }
    }

    #[test]
    fn a_zombie_is_dead_before_it_is_reaped() {
        let process = shell("exit 3");
        assert!(process.wait_blocking(Duration::from_secs(30)));
        assert!(process.is_dead());
        assert_eq!(start_time(process.pid()).expect("still in /proc"), process.started());
        assert_eq!(process.reap(), Some(ProcessExit::Code(3)));
    }

    #[test]
    fn killing_reaps() {
        let process = shell("exec sleep 600");
        assert!(!process.is_dead());
        let exit = process.kill_blocking(Duration::from_secs(30));
        assert_eq!(exit, Some(ProcessExit::Signal { number: 9, core_dumped: false }));
        assert!(start_time(process.pid()).is_err(), "no zombie is left");
        process.signal(Signal::TERM).expect("a signal to a dead process is no error");
    }

    #[test]
    fn nobody_is_no_process() {
        assert!(Process::attach(0).is_err());
        assert!(Process::attach(u32::MAX).is_err());
        let own = Process::attach(std::process::id()).expect("this process");
        assert!(!own.is_dead());
    }
}
