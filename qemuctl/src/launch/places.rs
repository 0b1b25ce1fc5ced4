//! Claims a VM's name and directory, and clears what a dead VM of that name left.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use qemu_argv::VmConfig;

use crate::error::Error;
use crate::runtime::{NameLock, Record, Residue, SocketDir, check_name, default_socket_dir, random_name};

use super::LaunchOptions;

/// A name that is ours, in a directory that is ours.
pub(super) struct Places {
    pub(super) name: String,
    pub(super) dir: SocketDir,
    pub(super) residue: Residue,
}

impl Places {
    pub(super) fn claim(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        let name = match &config.name {
            Some(name) => name.clone(),
            None => random_name().map_err(|source| Error::Io {
                action: "read",
                path: "/proc/sys/kernel/random/uuid".into(),
                source,
            })?,
        };
        check_name(&name)?;
        let dir = match options.socket_dir.as_ref().or(config.socket_dir.as_ref()) {
            Some(dir) => SocketDir::open(dir)?,
            None => SocketDir::open(&default_socket_dir()?)?,
        };
        let lock = NameLock::acquire(&dir, &name)?;
        clear_leftovers(&dir, &name)?;
        Ok(Self { name, residue: Residue::Ours { dir: dir.clone(), lock, files: Vec::new() }, dir })
    }
}

/// With the name locked, what is left belongs to a dead VM, or to a living one that outlived its launcher.
fn clear_leftovers(dir: &SocketDir, name: &str) -> Result<(), Error> {
    let taken = |by| Err(Error::NameTaken { name: name.to_owned(), by });
    match Record::read(dir.path(), name) {
        Ok(Some(record)) if record.is_alive() => return taken(format!("process {}", record.pid)),
        Ok(Some(record)) => {
            for file in &record.files {
                remove(dir, file)?;
            }
            remove(dir, &record.path(dir))?;
        }
        Ok(None) => {}
        // Half a record, or one of another release: the socket tells whether anybody lives.
        Err(_) => remove(dir, &dir.file(name, ".json"))?,
    }
    let socket = dir.file(name, ".sock");
    match socket.symlink_metadata() {
        Ok(facts) if facts.file_type().is_socket() => {
            if UnixStream::connect(&socket).is_ok() {
                return taken(format!("a process that listens at {}", socket.display()));
            }
            remove(dir, &socket)
        }
        Ok(_) => taken(format!("{}, which is no socket", socket.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Io { action: "look at", path: socket, source }),
    }
}

fn remove(dir: &SocketDir, file: &Path) -> Result<(), Error> {
    dir.remove(file).map_err(|source| Error::Io {
        action: "remove what a dead VM left:",
        path: file.into(),
        source,
    })
}
