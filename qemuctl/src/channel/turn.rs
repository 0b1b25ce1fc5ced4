//! Turns at a socket that serves one client at a time.
//!
//! Implemented by locks on ranges of a file that the launcher created. They are released when their process ends,
//! however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use tokio::time::{Instant, sleep};

/// Locked by the process whose turn it is.
const HOLDER: libc::off_t = 0;
/// Locked by all processes that wait.
const QUEUE: libc::off_t = 1;
/// Locked by the process that takes the turn away from a stopped one.
pub(super) const EVICTION: libc::off_t = 2;

/// Returns the path of the lock file for the socket at `socket`.
pub(crate) fn lock_file(socket: &Path) -> PathBuf {
    socket.with_extension("lock")
}

/// Creates the file. Only the launcher does so, since a client that arrives at the VM's end would leave it behind.
pub(crate) fn make_lock_file(path: &Path) -> io::Result<()> {
    let flags = OFlag::O_NOFOLLOW.bits();
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).custom_flags(flags).open(path)?;
    Ok(())
}

/// A turn, until dropped.
#[derive(Debug)]
pub(crate) struct Turn(File);

impl Turn {
    /// Waits for a turn. `told` is called with the process that currently has it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the place in the queue is lost.
    pub(super) async fn take(socket: &Path, mut told: impl FnMut(Option<u32>)) -> io::Result<Self> {
        let turn = Self::open(socket)?;
        let begin = Instant::now();
        turn.lock(QUEUE, libc::F_RDLCK)?;
        while !turn.lock(HOLDER, libc::F_WRLCK)? {
            told(turn.holder());
            sleep(pause(begin.elapsed())).await;
        }
        told(None);
        turn.lock(QUEUE, libc::F_UNLCK)?;
        turn.sign()?;
        Ok(turn)
    }

    /// Takes the turn if it is free. Otherwise returns who has it, if known.
    pub(crate) fn try_take(socket: &Path) -> io::Result<Result<Self, Option<u32>>> {
        let turn = Self::open(socket)?;
        if !turn.lock(HOLDER, libc::F_WRLCK)? {
            return Ok(Err(turn.holder()));
        }
        turn.sign()?;
        Ok(Ok(turn))
    }

    fn open(socket: &Path) -> io::Result<Self> {
        let flags = OFlag::O_NOFOLLOW.bits();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(lock_file(socket))?;
        Ok(Self(file))
    }

    /// Whether others are waiting for a turn.
    pub(super) fn is_wanted(&self) -> bool {
        let mut wanted = range(QUEUE, libc::F_WRLCK);
        let asked = fcntl(&self.0, FcntlArg::F_OFD_GETLK(&mut wanted));
        asked.is_ok() && libc::c_int::from(wanted.l_type) != libc::F_UNLCK
    }

    fn lock(&self, byte: libc::off_t, kind: libc::c_int) -> io::Result<bool> {
        lock(&self.0, byte, kind)
    }

    /// Records who has the turn, for the messages of those who wait.
    fn sign(&self) -> io::Result<()> {
        let mut file = &self.0;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        write!(file, "{}", std::process::id())
    }

    fn holder(&self) -> Option<u32> {
        let mut text = String::new();
        let mut file = &self.0;
        file.seek(SeekFrom::Start(0)).ok()?;
        file.take(16).read_to_string(&mut text).ok()?;
        text.parse().ok()
    }
}

/// Locks or unlocks a byte. Returns whether that succeeded.
pub(super) fn lock(file: &File, byte: libc::off_t, kind: libc::c_int) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range(byte, kind))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns the delay before the next attempt, which is shorter for those who have waited longer.
fn pause(waited: Duration) -> Duration {
    match waited.as_millis() {
        0..250 => Duration::from_millis(20),
        250..1000 => Duration::from_millis(8),
        _ => Duration::from_millis(2),
    }
}

fn range(byte: libc::off_t, kind: libc::c_int) -> libc::flock {
    libc::flock {
        // All of these numbers are small.
        l_type: libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_has_the_turn_and_knows_that_others_want_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("vm.agent.sock");
        make_lock_file(&lock_file(&socket)).expect("made");
        assert_eq!(lock_file(&socket), dir.path().join("vm.agent.lock"));
        let first = Turn::take(&socket, |holder| assert_eq!(holder, None)).await.expect("free");
        assert!(!first.is_wanted());
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let second =
            tokio::spawn(
                async move { Turn::take(&socket, |holder| tell.send(holder).expect("heard")).await },
            );
        assert_eq!(told.recv().await, Some(Some(std::process::id())));
        assert!(first.is_wanted());
        let holder = Turn::try_take(&dir.path().join("vm.agent.sock")).expect("readable").expect_err("taken");
        assert_eq!(holder, Some(std::process::id()));
        drop(first);
        let second = second.await.expect("no panic").expect("free again");
        assert!(!second.is_wanted());
    }

    #[tokio::test]
    async fn a_visitor_makes_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = Turn::take(&dir.path().join("vm.agent.sock"), |_| ()).await.expect_err("no VM");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(dir.path().read_dir().expect("readable").count(), 0);
    }
}
