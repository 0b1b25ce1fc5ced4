//! Claims a VM's name and directory, and clears what a dead VM of that name left.

use qemu_argv::VmConfig;

use crate::error::Error;
use crate::runtime::{NameLock, Residue, SocketDir, check_name, clear, default_socket_dir, random_name};

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
        clear(&dir, &name)?;
        Ok(Self { name, residue: Residue::Ours { dir: dir.clone(), lock, files: Vec::new() }, dir })
    }
}
