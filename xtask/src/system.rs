//! What the machine itself must have: programs that the set-up and the tests call.
//!
//! QEMU is not among them: it is set up beside the system (see [`crate::qemus`]), so that a machine
//! with another QEMU, or none, gives the same results.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

/// A program that must be there, and Debian's package that has it.
struct Program {
    name: &'static str,
    package: &'static str,
}

const PACKAGES: [Program; 8] = [
    Program { name: "apt-get", package: "apt" },
    // Tests drive the program in a real terminal, and its completion in a real shell.
    Program { name: "bash", package: "bash" },
    Program { name: "dpkg-deb", package: "dpkg" },
    Program { name: "dpkg-shlibdeps", package: "dpkg-dev" },
    Program { name: "git", package: "git" },
    // Encrypts the ticket of a SPICE client.
    Program { name: "openssl", package: "openssl" },
    Program { name: "tar", package: "tar" },
    Program { name: "tmux", package: "tmux" },
];

/// Installs the packages of the programs that are missing, as root or by sudo.
///
/// # Errors
///
/// If it may not install, the error names the command that would.
pub fn ensure() -> Result<()> {
    let mut missing: Vec<_> = PACKAGES
        .iter()
        .filter(|program| find(program.name).is_none())
        .map(|program| program.package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", missing.join(" "));
    let Some(mut install) = privileged("apt-get") else {
        bail!("missing packages; have them installed first: {by_hand}");
    };
    eprintln!("installing {}", missing.join(" "));
    // A machine that never read the package lists has none.
    if let Some(mut update) = privileged("apt-get") {
        run::output(update.arg("update")).context("cannot read Debian's package lists")?;
    }
    install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
    run::output(&mut install).with_context(|| format!("cannot install; try by hand: {by_hand}")).map(drop)
}

/// The program `name` in `PATH` or where only root has it in its `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|dir| dir.join(name)).find(|file| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

/// `program` as root: directly, or by a sudo that asks no password.
fn privileged(program: &str) -> Option<Command> {
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new(program)
    } else {
        let mut asked = Command::new("sudo");
        asked.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !asked.status().is_ok_and(|status| status.success()) {
            return None;
        }
        let mut command = Command::new("sudo");
        command.args(["-n", program]);
        command
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    Some(command)
}
