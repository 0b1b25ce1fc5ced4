//! One process, held by a pidfd: signals reach this process or nobody.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

use super::exec::Child;
use super::{ProcessExit, ResourceUsage, usage};

/// A running or ended process: our child, which is reaped, or another's, which is only watched.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    started: u64,
    pidfd: OwnedFd,
    ours: bool,
    /// Whether a child is known to be the program that was wanted, and no wrapper that has started it.
    confirmed: AtomicBool,
    exit: Mutex<Option<ProcessExit>>,
    usage: OnceLock<ResourceUsage>,
    /// When a process of another was first seen dead.
    dead: OnceLock<Instant>,
}

/// How long a process of another may be dead before its parent collects it. Only then does the kernel tell its status.
const COLLECTED: Duration = Duration::from_millis(300);

impl Process {
    /// Takes over a child just started.
    pub fn of_child(child: Child) -> Arc<Self> {
        let Child { pid, pidfd } = child;
        // The child is not reaped yet, so its id cannot have been given to another process.
        let started = start_time(pid).unwrap_or_default();
        Arc::new(Self::new(pid, started, pidfd, true))
    }

    /// Watches a process that somebody else started.
    pub fn attach(pid: u32) -> io::Result<Arc<Self>> {
        let pidfd = open(pid)?;
        // Read after opening: if the id was recycled in between, the time belongs to another process than the
        // pidfd, and the pidfd tells that its process is dead.
        let started = start_time(pid)?;
        let process = Self::new(pid, started, pidfd, false);
        if process.is_dead() {
            return Err(Errno::ESRCH.into());
        }
        Ok(Arc::new(process))
    }

    fn new(pid: u32, started: u64, pidfd: OwnedFd, ours: bool) -> Self {
        let (exit, usage, dead) = (Mutex::new(None), OnceLock::new(), OnceLock::new());
        // What somebody else started is none of ours to doubt.
        let confirmed = AtomicBool::new(!ours);
        Self { pid, started, pidfd, ours, confirmed, exit, usage, dead }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When the process started, in clock ticks since boot. With the id this names it for ever.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Sends `signal`. A process that is gone already is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the process has ended. A zombie is dead.
    pub fn is_dead(&self) -> bool {
        self.wait_blocking(Duration::ZERO)
    }

    /// Blocks until the process has ended, at most for `timeout`; tells whether it has.
    pub fn wait_blocking(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
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
    /// Of a process of another it is told once its parent has collected it, or has not for a while.
    pub fn reap(&self) -> Option<ProcessExit> {
        let mut exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if exit.is_none() {
            *exit = if self.ours { self.wait_status() } else { self.status_of_another() };
        }
        *exit
    }

    /// Tells that this child is the program itself. Until then its whole process group ends with it: a wrapper that failed
    /// must not leave the program behind.
    pub fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Kills everything in the process group that a child leads. The child must not have been collected: until it is, the
    /// kernel gives its id to no other process and no other group.
    fn kill_group(&self) {
        let leader = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(leader) = leader.filter(|_| self.ours) {
            // A group that is gone already is as it should be.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// Called with `exit` locked, which is empty.
    fn wait_status(&self) -> Option<ProcessExit> {
        if !self.confirmed.load(Ordering::Relaxed) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if let Ok(Some(_)) = waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                self.kill_group();
            }
        }
        match usage::collect(self.pidfd.as_fd()) {
            Ok(None) => None,
            Ok(Some((exit, used))) => {
                self.usage.get_or_init(|| used);
                Some(exit)
            }
            // Somebody waits for every child of this process, or SIGCHLD is ignored.
            Err(_) => self.is_dead().then_some(ProcessExit::Unknown),
        }
    }

    fn status_of_another(&self) -> Option<ProcessExit> {
        if !self.is_dead() {
            return None;
        }
        let dead = *self.dead.get_or_init(Instant::now);
        let late = dead.elapsed() > COLLECTED;
        usage::exit_of_another(self.pidfd.as_fd()).or(late.then_some(ProcessExit::Unknown))
    }

    /// What a child has used, once it was collected.
    pub fn usage(&self) -> Option<ResourceUsage> {
        self.usage.get().copied()
    }

    /// Kills the process, with what it has started in its process group, and collects it. Blocks for the moment that takes, at
    /// most for `timeout`.
    pub fn kill_blocking(&self, timeout: Duration) -> Option<ProcessExit> {
        if let Some(exit) = self.reap() {
            return Some(exit);
        }
        {
            let exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
            if exit.is_none() {
                // Only a process of another user refuses the signal; there is nothing left to try then.
                let _ = self.signal(Signal::KILL);
                self.kill_group();
            }
        }
        self.wait_blocking(timeout);
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
    use crate::process::{FdMapping, Program, Watcher};

    fn shell(script: &str) -> Arc<Process> {
        let args = ["-c", script].map(Into::into).to_vec();
        // It would die with this test's thread, which lives longer than the test needs it.
        let program = Program { path: "/bin/sh".into(), args, ..Program::default() };
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
    fn a_group_ends_with_its_leader_until_the_program_is_confirmed() {
        /// Starts a wrapper that leaves a program behind; returns both, and the other end of the wrapper's standard input.
        fn wrapper(then: &str) -> (Arc<Process>, Arc<Process>, io::PipeWriter) {
            let (mut reader, writer) = io::pipe().expect("a pipe");
            let (input, typed) = io::pipe().expect("a pipe");
            let script = format!("sleep 600 >&- & echo $!; exec >&-; {then}");
            let program = Program {
                path: "/bin/sh".into(),
                args: ["-c", &script].map(Into::into).to_vec(),
                descriptors: vec![
                    FdMapping { parent_fd: input.into(), child_fd: 0 },
                    FdMapping { parent_fd: writer.into(), child_fd: 1 },
                ],
                ..Program::default()
            };
            let leader = Process::of_child(program.spawn().expect("sh starts"));
            let mut text = String::new();
            io::Read::read_to_string(&mut reader, &mut text).expect("text");
            let left = Process::attach(text.trim().parse().expect("a number")).expect("it runs");
            (leader, left, typed)
        }
        let limit = Duration::from_secs(30);
        let (leader, left, _) = wrapper("exit 0");
        assert!(leader.wait_blocking(limit));
        assert_eq!(leader.reap(), Some(ProcessExit::Code(0)));
        assert!(left.wait_blocking(limit), "it went with the wrapper");

        let (leader, left, _typed) = wrapper("wait");
        leader.kill_blocking(limit).expect("killed");
        assert!(left.wait_blocking(limit), "it was killed with the wrapper");

        let (leader, left, typed) = wrapper("read line; exit 0");
        leader.confirm();
        drop(typed);
        assert!(leader.wait_blocking(limit));
        leader.reap().expect("collected");
        assert!(!left.is_dead(), "what a program has started is its own");
        left.kill_blocking(limit);
    }

    #[test]
    fn nobody_is_no_process() {
        assert!(Process::attach(0).is_err());
        assert!(Process::attach(u32::MAX).is_err());
        let own = Process::attach(std::process::id()).expect("this process");
        assert!(!own.is_dead());
    }
}
