//! Running other programs, with errors that say what was run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};

/// The workspace's root directory: that of the cargo that runs us, because checkouts may share a
/// target directory; without a cargo, the one we were built in.
pub fn workspace() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
        package.parent().expect("xtask lies inside the workspace").to_owned()
    });
    &ROOT
}

/// A cargo command that runs in the workspace: the cargo that runs us, else the one in `PATH`.
pub fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(cargo);
    command.args(args).current_dir(workspace());
    command
}

/// Runs `command` to its end, its output going to ours.
///
/// # Errors
///
/// If it cannot be started or does not end with exit code 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", show(command)))?;
    if !status.success() {
        bail!("{}: {status}", show(command));
    }
    Ok(())
}

/// Runs `command` to its end and returns what it wrote to its standard output.
///
/// # Errors
///
/// If it cannot be started, does not end with exit code 0 (the error then holds what it wrote to
/// its standard error) or writes something that is not UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", show(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", show(command), output.status, stderr.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("output of {}", show(command)))
}

/// The command as a reader would type it.
pub fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
