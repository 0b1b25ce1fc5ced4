//! Default directories.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

use crate::error::Error;

/// Returns the default socket directory: `/var/run/qemu` for root, or else `$XDG_CACHE_HOME/qemuctl`
/// (`~/.cache/qemuctl`). For a user without a home directory, as in many containers, it is `$XDG_RUNTIME_DIR/qemuctl`.
///
/// # Errors
///
/// [`Error::NoSocketDir`] for a user other than root who has neither.
pub fn default_socket_dir() -> Result<PathBuf, Error> {
    let base = || Surroundings::now().base("XDG_CACHE_HOME", ".cache");
    place(geteuid(), "/var/run/qemu", base).ok_or(Error::NoSocketDir)
}

/// Returns the default directory of detached VMs' persistent state: `/var/lib/qemuctl` for root, or else
/// `$XDG_STATE_HOME/qemuctl` (`~/.local/state/qemuctl`), or else `$XDG_RUNTIME_DIR/qemuctl`.
///
/// # Errors
///
/// [`Error::NoStateDir`] for a user other than root who has neither.
pub fn default_state_dir() -> Result<PathBuf, Error> {
    let base = || Surroundings::now().base("XDG_STATE_HOME", ".local/state");
    place(geteuid(), "/var/lib/qemuctl", base).ok_or(Error::NoStateDir)
}

/// Returns the default home of machines: `/var/lib/qemuctl` for root, or else `$XDG_DATA_HOME/qemuctl`
/// (`~/.local/share/qemuctl`).
#[cfg(feature = "home")]
pub(crate) fn default_home() -> Result<PathBuf, Error> {
    let base = || Surroundings::now().lasting("XDG_DATA_HOME", ".local/share");
    place(geteuid(), "/var/lib/qemuctl", base).ok_or(Error::NoHome)
}

fn place(user: Uid, for_root: &str, base: impl FnOnce() -> Option<PathBuf>) -> Option<PathBuf> {
    if user.is_root() { Some(for_root.into()) } else { Some(base()?.join("qemuctl")) }
}

/// The environment that determines directories.
struct Surroundings<V> {
    variable: V,
    /// Returns the home directory in the system's user database.
    listed_home: Option<PathBuf>,
}

impl Surroundings<fn(&str) -> Option<OsString>> {
    fn now() -> Self {
        let user = User::from_uid(geteuid()).ok().flatten();
        Self { variable: |name| env::var_os(name), listed_home: user.map(|user| user.dir) }
    }
}

impl<V: Fn(&str) -> Option<OsString>> Surroundings<V> {
    /// According to the XDG base directory specification, a relative path is ignored.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn base(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.lasting(variable, below_home).or_else(|| self.absolute("XDG_RUNTIME_DIR"))
    }

    /// A directory that survives a reboot.
    fn lasting(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        // Users without a home have / as their home directory.
        let is_home = |path: &PathBuf| path != Path::new("/");
        let home = || self.absolute("HOME").or_else(|| self.listed_home.clone()).filter(is_home);
        self.absolute(variable).or_else(|| Some(home()?.join(below_home)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_place_depends_on_the_user() {
        let of = |uid, set: &[(&str, &str)], listed: Option<&str>| {
            let set: Vec<(String, OsString)> =
                set.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            let variable =
                move |name: &str| set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let here = Surroundings { variable, listed_home: listed.map(Into::into) };
            let found = place(Uid::from_raw(uid), "/var/run/qemu", || here.base("XDG_CACHE_HOME", ".cache"));
            found.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
        };
        let (cache, home) = (("XDG_CACHE_HOME", "/c"), ("HOME", "/h"));
        let (runtime, no_home) = (("XDG_RUNTIME_DIR", "/r"), ("HOME", "/"));
        assert_eq!(of(0, &[cache, home], None), "/var/run/qemu");
        assert_eq!(of(1000, &[cache, home], None), "/c/qemuctl");
        assert_eq!(of(1000, &[("XDG_CACHE_HOME", "relative"), home, runtime], None), "/h/.cache/qemuctl");
        assert_eq!(of(1000, &[], Some("/home/me")), "/home/me/.cache/qemuctl");
        // As in a container that runs with some user's number.
        assert_eq!(of(1000, &[no_home, runtime], Some("/")), "/r/qemuctl");
        assert_eq!(of(1000, &[runtime], None), "/r/qemuctl");
        assert_eq!(of(1000, &[no_home], Some("/")), "none");
        assert_eq!(of(1000, &[], None), "none");
    }
}
