//! The files of one VM, and when they may be removed: when it is dead, and by whoever holds its name.

use std::fs;
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
            Self::Ours { lock, files } => {
                remove_all(&files);
                drop(lock);
            }
            Self::Inherited { dir, record } => {
                let is_there = || match Record::read(dir.path(), &record.name) {
                    Ok(Some(found)) => (found.pid, found.started) == (record.pid, record.started),
                    _ => false,
                };
                // Its launcher still lives and removes them itself, or another VM has got the name. Looked at before
                // locking too, because locking makes a file.
                if !is_there() {
                    return;
                }
                let Ok(lock) = NameLock::acquire(&dir, &record.name) else { return };
                if is_there() {
                    remove_all(&record.files);
                    remove_all(&[record.path(&dir)]);
                }
                drop(lock);
            }
        }
    }
}

fn remove_all(files: &[PathBuf]) {
    for file in files {
        // Gone is as good as removed, and nobody could act on another error.
        let _ = fs::remove_file(file);
    }
}
