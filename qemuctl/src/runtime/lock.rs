//! One launcher per name: `<dir>/<name>.lock` is locked while its VM is ours.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;

use super::{SocketDir, open_regular};

/// How long whoever cleans up behind a dead VM may keep its name. It takes microseconds.
const CLEANING: Duration = Duration::from_millis(500);

/// The size of a launcher's lock file; that of one that only cleans up is empty. A hole needs no room on a full disk.
const LAUNCHER: u64 = 1;

/// A name that is ours. Dropping it removes the lock file and frees the name.
#[derive(Debug)]
pub(crate) struct NameLock {
    dir: SocketDir,
    name: String,
    path: PathBuf,
    file: Flock<File>,
}

impl NameLock {
    /// Takes the name for a VM, or says that somebody has it. Waits for nobody but one that cleans up.
    pub(crate) fn acquire(dir: &SocketDir, name: &str) -> Result<Self, Error> {
        let deadline = Instant::now() + CLEANING;
        loop {
            match Self::take(dir, name) {
                Ok(lock) => {
                    lock.mark()?;
                    return Ok(lock);
                }
                Err(Error::NameTaken { .. }) if is_cleaned(dir, name) && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the name for the moment that it takes to remove what a dead VM left. Never waits.
    pub(crate) fn to_clean(dir: &SocketDir, name: &str) -> Result<Self, Error> {
        Self::take(dir, name)
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn mark(&self) -> Result<(), Error> {
        let marked = self.file.set_len(LAUNCHER);
        marked.map_err(|source| Error::Io { action: "lock the name in", path: self.path.clone(), source })
    }

    fn take(dir: &SocketDir, name: &str) -> Result<Self, Error> {
        let path = dir.file(name, ".lock");
        let fail = |source| Error::Io { action: "lock the name in", path: path.clone(), source };
        loop {
            let mut options = OpenOptions::new();
            let options = options.create(true).truncate(false).write(true).mode(0o600);
            let file = open_regular(&path, options).map_err(fail)?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(Error::NameTaken {
                        name: name.to_owned(),
                        by: "another launcher".to_owned(),
                    });
                }
                Err((_, errno)) => return Err(fail(errno.into())),
            };
            // The last owner removes the file while it holds the lock. Who opened it just before that has locked
            // a file that nobody else will ever see.
            match path.symlink_metadata() {
                Ok(named) if named.ino() == file.metadata().map_err(fail)?.ino() => {
                    return Ok(Self { dir: dir.clone(), name: name.to_owned(), path, file });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }
}

/// Whether whoever has the name only cleans up, or has left it meanwhile.
fn is_cleaned(dir: &SocketDir, name: &str) -> bool {
    dir.file(name, ".lock").symlink_metadata().map_or(true, |facts| facts.len() == 0)
}

impl Drop for NameLock {
    fn drop(&mut self) {
        // Before the lock is let go. If the directory is gone, so is the file.
        let _ = self.dir.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_name_has_one_owner_and_leaves_nofile() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = SocketDir::open(base.path()).expect("ours");
        let lock = NameLock::acquire(&dir, "vm").expect("free");
        let error = NameLock::acquire(&dir, "vm").expect_err("taken");
        assert_eq!(error.to_string(), "a VM called vm is already running (another launcher)");
        NameLock::acquire(&dir, "vm2").expect("another name");
        drop(lock);
        assert_eq!(base.path().read_dir().expect("readable").count(), 0);
        NameLock::acquire(&dir, "vm").expect("free again");
    }

    #[test]
    fn a_launch_waits_for_one_that_cleans_up_and_for_no_launcher() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = SocketDir::open(base.path()).expect("ours");
        let cleaner = NameLock::to_clean(&dir, "vm").expect("free");
        NameLock::to_clean(&dir, "vm").expect_err("two do not clean at once");
        let launcher = thread::spawn({
            let dir = dir.clone();
            move || NameLock::acquire(&dir, "vm")
        });
        drop(cleaner);
        let launcher = launcher.join().expect("no panic").expect("free soon");
        NameLock::to_clean(&dir, "vm").expect_err("a launcher has it");
        NameLock::acquire(&dir, "vm").expect_err("a launcher has it");
        drop(launcher);
        assert_eq!(base.path().read_dir().expect("readable").count(), 0);
    }

    #[test]
    fn threads_never_own_a_name_together() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = SocketDir::open(base.path()).expect("ours");
        let (owners, wins) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(lock) = NameLock::acquire(&dir, "vm") {
                            assert_eq!(owners.fetch_add(1, Ordering::SeqCst), 0);
                            wins.fetch_add(1, Ordering::SeqCst);
                            owners.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(wins.into_inner() >= 1);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = SocketDir::open(base.path()).expect("ours");
        let victim = base.path().join("victim");
        std::os::unix::fs::symlink(&victim, dir.file("vm", ".lock")).expect("linked");
        NameLock::acquire(&dir, "vm").expect_err("a link is no lock file");
        assert!(!victim.exists());
    }
}
