//! The files of one VM, and when they may be removed: when it is dead, and by whoever holds its name.

use std::path::PathBuf;

use super::{NameLock, Record, SocketDir};

/// What a VM leaves in the file system.
#[derive(Debug, Default)]
pub(crate) enum Residue {
    /// Nothing that is for us to remove.
    #[default]
    Nothing,
    /// The files of a VM that was launched here; its name is ours until they are gone.
    Ours {
        /// Where they are.
        dir: SocketDir,
        /// The name.
        lock: NameLock,
        /// The files. QEMU removes some of them itself when it ends in an orderly way.
        files: Vec<PathBuf>,
    },
    /// The files of a VM that outlives its launcher.
    Inherited {
        /// Where they are.
        dir: SocketDir,
        /// What the launcher wrote about it.
        record: Box<Record>,
    },
}

impl Residue {
    /// Adds files to those that are ours.
    pub(crate) fn add(&mut self, more: impl IntoIterator<Item = PathBuf>) {
        if let Self::Ours { files, .. } = self {
            files.extend(more);
        }
    }

    /// Adds a file that is the last one to go.
    pub(crate) fn add_first(&mut self, file: PathBuf) {
        if let Self::Ours { files, .. } = self {
            files.insert(0, file);
        }
    }

    /// The files that are ours.
    pub(crate) fn files(&self) -> &[PathBuf] {
        match self {
            Self::Ours { files, .. } => files,
            _ => &[],
        }
    }

    /// Removes the files of a dead VM, then frees its name.
    pub(crate) fn remove(self) {
        match self {
            Self::Nothing => {}
            Self::Ours { dir, lock, files } => {
                // Other processes may have plugged in devices with sockets.
                let record = Record::read_in(&dir, lock.name());
                let more = record.ok().flatten().map(|record| record.files).unwrap_or_default();
                remove_all(&dir, more.iter().filter(|file| !files.contains(file)));
                remove_all(&dir, &files);
                drop(lock);
            }
            Self::Inherited { dir, record } => {
                let is_there = || match Record::read_in(&dir, &record.name) {
                    // One without a process is of a launcher that did not come to write it down.
                    Ok(Some(found)) => found.is_same(&record) || found.pid == 0,
                    _ => false,
                };
                // Its launcher still lives and removes them itself, or another VM has got the name. Looked at before
                // locking too, because locking makes a file.
                if !is_there() {
                    return;
                }
                let Ok(lock) = NameLock::to_clean(&dir, &record.name) else { return };
                if let Ok(Some(found)) = Record::read_in(&dir, &record.name)
                    && (found.is_same(&record) || found.pid == 0)
                    && !found.is_alive()
                {
                    found.remove_files(&dir);
                }
                drop(lock);
            }
        }
    }
}

/// The last one first: the record is the first that is made, and tells of the others until they are gone.
fn remove_all<'a>(dir: &SocketDir, files: impl IntoIterator<Item = &'a PathBuf>) {
    let files: Vec<_> = files.into_iter().collect();
    for file in files.into_iter().rev() {
        // Nobody could act on an error: the name is free without it.
        let _ = dir.remove(file);
    }
}
