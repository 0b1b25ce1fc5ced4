//! Where the workshop keeps what it builds, and how it puts a finished directory there.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

use crate::run::workspace;

/// The project's cache directory: `$XDG_CACHE_HOME/qemuctl`, else `~/.cache/qemuctl`.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| Path::new(value).is_absolute()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            std::env::home_dir().context("neither XDG_CACHE_HOME nor a home directory is set")?.join(".cache")
        }
    };
    Ok(base.join("qemuctl"))
}

/// Where the test guests lie: `$QEMUCTL_GUEST_DIR`, else `guest` in the cache.
pub fn guests() -> Result<PathBuf> {
    from_env("QEMUCTL_GUEST_DIR", "guest")
}

/// Where the QEMU versions lie: `$QEMUCTL_QEMUS_DIR`, else `qemus` in the cache.
pub fn qemus() -> Result<PathBuf> {
    from_env("QEMUCTL_QEMUS_DIR", "qemus")
}

/// The QEMU that was asked for, or the project's own, which is there without a QEMU of the system.
pub fn qemu(asked: Option<&Path>) -> Result<PathBuf> {
    match asked {
        Some(asked) => Ok(asked.to_owned()),
        None => Ok(qemus()?.join("10.0/bin/qemu-system-x86_64")),
    }
}

/// Where the servers of the tests lie: `$QEMUCTL_SERVERS_DIR`, else `servers` in the cache.
pub fn servers() -> Result<PathBuf> {
    from_env("QEMUCTL_SERVERS_DIR", "servers")
}

/// Where Ceph's programs lie: `$QEMUCTL_CEPH_DIR`, else `ceph` in the cache.
pub fn ceph() -> Result<PathBuf> {
    from_env("QEMUCTL_CEPH_DIR", "ceph")
}

/// Where the images of whole systems lie: `$QEMUCTL_CLOUD_DIR`, else `cloud` in the cache.
pub fn cloud() -> Result<PathBuf> {
    from_env("QEMUCTL_CLOUD_DIR", "cloud")
}

/// Where cargo builds: `$CARGO_TARGET_DIR`, else `target` in the workspace.
pub fn target() -> PathBuf {
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn from_env(variable: &str, name: &str) -> Result<PathBuf> {
    match std::env::var_os(variable) {
        Some(dir) => std::path::absolute(&dir).with_context(|| format!("{variable}={}", dir.display())),
        None => Ok(cache()?.join(name)),
    }
}

/// Makes the directory `dir` by `build`, unless it is there and was made from the same `inputs`.
///
/// `build` gets an empty directory to build in, which takes the place of `dir` when it is done: a
/// reader sees the old one or the new one, never half of one. Of two workshops that run at once
/// the second waits, then finds the work done.
pub fn made(dir: &Path, inputs: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let note = "inputs";
    let is_current = || fs::read_to_string(dir.join(note)).is_ok_and(|text| text == inputs);
    if is_current() {
        return Ok(());
    }
    let _lock = lock(dir)?;
    if is_current() {
        return Ok(());
    }
    let began = Instant::now();
    let staged = beside(dir, "new")?;
    remove(&staged)?;
    fs::create_dir_all(&staged).with_context(|| format!("cannot create {}", staged.display()))?;
    build(&staged)?;
    fs::write(staged.join(note), inputs)
        .with_context(|| format!("cannot note in {} what it was made from", staged.display()))?;
    let old = beside(dir, "old")?;
    remove(&old)?;
    if dir.exists() {
        fs::rename(dir, &old).with_context(|| format!("cannot move {} aside", dir.display()))?;
    }
    fs::rename(&staged, dir).with_context(|| format!("cannot put {} in place", dir.display()))?;
    eprintln!("made {} in {:.0?}", dir.display(), began.elapsed());
    remove(&old)
}

/// Waits for the lock of `dir` (a file beside it), which is given back when the value is dropped.
pub fn lock(dir: &Path) -> Result<Flock<File>> {
    let parent = dir.parent().context("a directory to lock has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let path = beside(dir, "lock")?;
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", path.display()))
}

/// Removes a directory with all that is in it; one that is not there is no error.
pub fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// `/a/.NAME.SUFFIX` for `/a/NAME`.
fn beside(dir: &Path, suffix: &str) -> Result<PathBuf> {
    let name = dir.file_name().context("the directory has a name")?.to_string_lossy();
    Ok(dir.with_file_name(format!(".{name}.{suffix}")))
}
