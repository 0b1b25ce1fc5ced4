//! Atomic file writes, and locks that are released when their holder ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::error::Error;
use crate::runtime::open_regular;

/// How long to wait for another command on the machine. One that copies disks takes longer, and is reported.
const OTHERS: Duration = Duration::from_secs(5);

/// The polling interval for a lock.
const AGAIN: Duration = Duration::from_millis(5);

/// Turns an I/O error into an [`Error::Io`].
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// Writes `path` atomically, even in case of a power failure.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let draft = beside(path);
    let written = write_draft(&draft, text).and_then(|()| replace(&draft, path));
    if written.is_err() {
        // Remove a partial draft.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

/// Returns the temporary path for the next content of `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    draft.into()
}

/// Writes a new file, replacing an old draft.
pub(super) fn write_draft(draft: &Path, text: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Renames a draft to its final name.
pub(super) fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(draft, path)?;
    sync_folder_of(path)
}

/// Syncs the folder of a file.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// A lock on a file, held until this is dropped or the process ends.
///
/// It is an open file description lock (`F_OFD_SETLK`), which can be tested without taking it.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) file: File,
}

/// Locks the file at `path`, creating it if necessary. Returns `None` if it is locked already.
pub(super) fn try_lock(path: &Path) -> io::Result<Option<Locked>> {
    loop {
        let mut options = OpenOptions::new();
        let file =
            open_regular(path, options.create(true).truncate(false).read(true).write(true).mode(0o600))?;
        match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        // The folder may have been renamed or removed between opening and locking.
        let (named, locked) = (path.symlink_metadata()?, file.metadata()?);
        if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) {
            return Ok(Some(Locked { file }));
        }
    }
}

/// Whether the file at `path` is locked.
pub(super) fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match open_regular(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let mut question = whole_file();
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut question))?;
    Ok(libc::c_int::from(question.l_type) != libc::F_UNLCK)
}

fn whole_file() -> libc::flock {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel's constants fit the fields of its own struct"
    )]
    libc::flock { l_type: libc::F_WRLCK as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Waits some seconds for the lock on a file. Blocks.
pub(super) fn wait_for(path: &Path) -> Result<Option<Locked>, Error> {
    let deadline = Instant::now() + OTHERS;
    loop {
        match try_lock(path).map_err(io_error("lock", path))? {
            None if Instant::now() < deadline => thread::sleep(AGAIN),
            lock => return Ok(lock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_can_be_asked_for_without_taking_it() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("lock");
        assert!(!is_locked(&path).expect("it is not there"));
        let lock = try_lock(&path).expect("made").expect("free");
        assert!(is_locked(&path).expect("asked"));
        assert!(try_lock(&path).expect("opened").is_none());
        drop(lock);
        assert!(!is_locked(&path).expect("asked"));
    }

    #[test]
    fn what_is_written_is_whole_and_private() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("machine.toml");
        std::fs::write(beside(&path), "half of what was to be wr").expect("written");
        write_whole(&path, b"one").expect("written");
        write_whole(&path, b"two").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"two");
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        assert_eq!(base.path().read_dir().expect("readable").count(), 1);
    }
}
