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
                remove_all(&dir, &files);
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
                    remove_all(&dir, &record.files);
                    remove_all(&dir, &[record.path(&dir)]);
                }
                drop(lock);
            }
        }
    }
}

fn remove_all(dir: &SocketDir, files: &[PathBuf]) {
    for file in files {
        // Nobody could act on an error: the name is free without it.
        let _ = dir.remove(file);
    }
}
