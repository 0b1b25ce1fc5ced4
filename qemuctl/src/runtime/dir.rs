//! The directory of sockets, locks and records.
//!
//! It is private, since whoever can open a monitor socket can do everything that QEMU can. It is held open, so that
//! files are removed from this directory and not from one that replaced it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::error::Error;

/// The longest path of a Unix socket, in bytes: `sun_path` has 108 with the final NUL.
const LONGEST_SOCKET_PATH: usize = 107;

/// A directory that is verified to be private.
#[derive(Clone, Debug)]
pub(crate) struct SocketDir {
    path: PathBuf,
    held: Arc<File>,
}

impl SocketDir {
    /// Creates the directory (0700) if it is missing, and rejects one that other users could tamper with.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let path = absolute(path)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|source| Error::Io {
            action: "create the socket directory",
            path: path.clone(),
            source,
        })?;
        Self::hold(path)
    }

    /// Opens the directory, if it exists. One that other users could tamper with is rejected here, too, since its
    /// content cannot be trusted.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, Error> {
        let path = absolute(path)?;
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Self::hold(path).map(Some),
        }
    }

    fn hold(path: PathBuf) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::SocketDirUnsafe { path: path.clone(), reason });
        if path.is_symlink() {
            return refuse("it is a symbolic link".to_owned());
        }
        let look = |source| Error::Io { action: "look at the socket directory", path: path.clone(), source };
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let held = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path).map_err(look)?;
        let facts = held.metadata().map_err(look)?;
        if facts.uid() != geteuid().as_raw() {
            return refuse(format!("it belongs to user {}, not to this user ({})", facts.uid(), geteuid()));
        }
        if facts.mode() & 0o022 != 0 {
            let mode = facts.mode() & 0o777;
            return refuse(format!("other users can write to it (mode {mode:o}); run `chmod 700` on it"));
        }
        Ok(Self { held: Arc::new(held), path })
    }

    /// Returns the names of the files in the directory.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        let fail =
            |source| Error::Io { action: "list the socket directory", path: self.path.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(fail)? {
            // Our file names are UTF-8.
            names.extend(entry.map_err(fail)?.file_name().into_string());
        }
        Ok(names)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of `<name><ending>` in the directory.
    pub(crate) fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.path.join(format!("{name}{ending}"))
    }

    /// Removes a file of this directory. It is not an error if it is already gone, or is elsewhere.
    pub(crate) fn remove(&self, file: &Path) -> io::Result<()> {
        let Some(name) = file.file_name().filter(|_| file.parent() == Some(&self.path)) else {
            return Ok(());
        };
        match unlinkat(&*self.held, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// QEMU and later processes may have a different working directory.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Io {
        action: "find the socket directory",
        path: path.into(),
        source,
    })
}

/// Rejects a socket path that is too long for the kernel, before QEMU is started.
pub(crate) fn check_socket_path(path: &Path) -> Result<(), Error> {
    let length = path.as_os_str().as_bytes().len();
    if length > LONGEST_SOCKET_PATH {
        return Err(Error::SocketPathTooLong { path: path.into(), length, limit: LONGEST_SOCKET_PATH });
    }
    Ok(())
}

/// Makes a socket private. QEMU creates it with 0777, reduced by the umask.
pub(crate) fn make_private(socket: &Path) -> io::Result<()> {
    fs::set_permissions(socket, Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_new_directory_is_private() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = SocketDir::open(&base.path().join("a/b")).expect("created");
        for path in [dir.path(), &base.path().join("a")] {
            assert_eq!(path.metadata().expect("it exists").mode() & 0o777, 0o700);
        }
        assert_eq!(dir.file("vm", ".sock"), base.path().join("a/b/vm.sock"));
    }

    #[test]
    fn a_directory_that_others_control_is_refused() {
        let base = tempfile::tempdir().expect("a directory");
        let open = base.path().join("open");
        fs::create_dir(&open).expect("created");
        fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("changed");
        let link = base.path().join("link");
        symlink("/tmp", &link).expect("linked");
        let file = base.path().join("file");
        fs::write(&file, "").expect("written");
        for path in [&open, &link, &file] {
            SocketDir::find(path).expect_err("whoever only looks is told too");
        }
        assert!(SocketDir::find(&base.path().join("none")).expect("nothing to fear").is_none());
        let refusals = [&open, &link, &file].map(|path| {
            SocketDir::open(path)
                .expect_err("refused")
                .to_string()
                .replace(&base.path().display().to_string(), "BASE")
        });
        insta::assert_snapshot!(refusals.join("\n"), @r#"
the socket directory BASE/open is not safe: other users can write to it (mode 777); run `chmod 700` on it
the socket directory BASE/link is not safe: it is a symbolic link
cannot create the socket directory BASE/file
"#);
    }

    #[test]
    fn a_socket_path_fits_or_is_refused() {
        check_socket_path(Path::new(&"x".repeat(107))).expect("the longest");
        check_socket_path(Path::new(&"x".repeat(108))).expect_err("one too many");
    }

    #[test]
    fn what_has_taken_the_directorys_place_is_left_alone() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("vms");
        let dir = SocketDir::open(&path).expect("created");
        fs::write(dir.file("vm", ".json"), "").expect("written");
        let (moved, victim) = (base.path().join("moved"), base.path().join("victim"));
        fs::rename(&path, &moved).expect("moved");
        fs::create_dir(&victim).expect("created");
        fs::write(victim.join("vm.json"), "dear").expect("written");
        symlink(&victim, &path).expect("linked");
        dir.remove(&dir.file("vm", ".json")).expect("removed");
        dir.remove(&dir.file("vm", ".sock")).expect("it was never there");
        dir.remove(&victim.join("vm.json")).expect("not of this directory");
        assert_eq!(fs::read_to_string(victim.join("vm.json")).expect("there"), "dear");
        assert_eq!(moved.read_dir().expect("readable").count(), 0);
        SocketDir::open(&path).expect_err("it is a link now");
    }
}
