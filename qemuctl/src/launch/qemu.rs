//! Which QEMU runs the VM, and what it can do.

use std::path::{Path, PathBuf};

use qemu_argv::{Arch, Target, Version, VmConfig};
use tokio::process::Command;

use crate::error::Error;

/// A QEMU program, seen to run, and how it is going to be used.
pub(super) struct Qemu {
    pub(super) program: PathBuf,
    pub(super) target: Target,
    pub(super) warnings: Vec<String>,
}

impl Qemu {
    pub(super) async fn find(config: &VmConfig) -> Result<Self, Error> {
        let arch = config.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
        let program = match &config.qemu {
            Some(program) => program.clone(),
            None => Path::new("/usr/bin").join(format!("qemu-system-{}", arch.qemu_name())),
        };
        let version = version(&program).await.map_err(|source| Error::Io {
            action: "ask for its version",
            path: program.clone(),
            source,
        })?;
        Ok(Self { program, target: Target::new(version, arch), warnings: Vec::new() })
    }
}

async fn version(program: &Path) -> std::io::Result<Version> {
    let output = Command::new(program).arg("--version").output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_ascii_whitespace()
        .find_map(|word| word.parse().ok())
        .ok_or_else(|| std::io::Error::other(text.into_owned()))
}
