//! The directories of a host: the root of its file tree and the user's own directories.
//!
//! All code in this crate that reads `/dev`, `/proc`, `/sys`, `/etc` or `/usr` uses [`Places`], so that tests can
//! substitute a small file tree.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

/// The directories used by discovery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Places {
    /// The root of the file tree; `/` on a real host.
    pub root: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The search path for programs (`PATH`).
    pub path: Option<OsString>,
    /// The user's configuration directory (`XDG_CONFIG_HOME`).
    pub config_home: Option<PathBuf>,
    /// The cache directory. `None` turns the cache off.
    pub cache_dir: Option<PathBuf>,
    /// The user's runtime directory (`XDG_RUNTIME_DIR`).
    pub runtime_dir: Option<PathBuf>,
    /// An additional directory with QEMU's loadable modules (`QEMU_MODULE_DIR`).
    pub module_dir: Option<PathBuf>,
    /// The installation prefix of the QEMU in question, if that is not `/usr` or `/usr/local`.
    pub prefix: Option<PathBuf>,
}

impl Places {
    /// Returns the directories of this host, from the environment.
    ///
    /// As required by the XDG base directory specification, a variable with a relative path is ignored.
    pub fn host() -> Self {
        let home = absolute("HOME").or_else(|| {
            let user = User::from_uid(Uid::effective()).ok().flatten()?;
            Some(user.dir)
        });
        let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
        Self {
            root: PathBuf::from("/"),
            path: env::var_os("PATH"),
            config_home: absolute("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
            cache_dir: absolute("XDG_CACHE_HOME")
                .or_else(|| below_home(".cache"))
                .map(|dir| dir.join("qemuctl/discovery")),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
            module_dir: absolute("QEMU_MODULE_DIR"),
            prefix: None,
            home,
        }
    }

    /// Returns the directories of a host whose file tree, including the user's home, is below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let home = root.join("home/user");
        Self {
            path: None,
            config_home: Some(home.join(".config")),
            cache_dir: Some(home.join(".cache/qemuctl/discovery")),
            runtime_dir: None,
            module_dir: None,
            prefix: None,
            home: Some(home),
            root,
        }
    }

    /// Adds the data that is installed with a QEMU: `PREFIX/share` of `PREFIX/bin/qemu-system-…`.
    #[must_use]
    pub fn beside(self, program: &Path) -> Self {
        let program = program.canonicalize();
        let prefix = program.ok().and_then(|program| Some(program.parent()?.parent()?.to_owned()));
        let usual = [self.at("/"), self.at("/usr"), self.at("/usr/local")];
        Self { prefix: prefix.filter(|prefix| !usual.contains(prefix)), ..self }
    }

    /// Returns the location of an absolute path in this tree.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns the path as seen from inside the tree, the inverse of [`at`](Self::at).
    pub fn inside<'a>(&self, place: &'a Path) -> Cow<'a, Path> {
        match place.strip_prefix(&self.root) {
            Ok(rest) if self.root != Path::new("/") => Path::new("/").join(rest).into(),
            _ => place.into(),
        }
    }

    /// Returns the text of a file in this tree, such as `/proc/cpuinfo`, or `None` if it cannot be read.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        std::fs::read(self.at(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_into_the_tree_and_out_again() {
        let places = Places::below("/tree");
        assert_eq!(places.at("/dev/kvm"), Path::new("/tree/dev/kvm"));
        assert_eq!(places.inside(Path::new("/tree/dev/kvm")), Path::new("/dev/kvm"));
        let host = Places::host();
        assert_eq!(host.at("/dev/kvm"), Path::new("/dev/kvm"));
        assert_eq!(host.inside(Path::new("/dev/kvm")), Path::new("/dev/kvm"));
    }
}
