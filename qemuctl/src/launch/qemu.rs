//! The choice of QEMU for a VM.

use std::path::PathBuf;

use qemu_argv::{Arch, Target, VmConfig};
use qemu_discovery::{accel, find_binary, probe};

use crate::error::Error;

/// The QEMU that a launch chooses for a VM. With its target, a config can be planned without a launch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// Its capabilities, and how it will be used.
    pub target: Target,
    /// Why this accelerator was chosen.
    pub why: String,
    /// A warning, for example that KVM is not available.
    pub warning: Option<String>,
}

impl Qemu {
    /// Chooses the program according to the config's `arch` and `qemu`, queries its capabilities, and tests which
    /// accelerator works. The results are cached until the program's files change.
    ///
    /// # Errors
    ///
    /// [`Error::Discovery`] if there is no such program, or it is not QEMU, or is for a different architecture.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a QEMU that is being queried is stopped.
    pub async fn find(config: &VmConfig) -> Result<Self, Error> {
        let arch = config.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
        let program = find_binary(arch, config.qemu.as_deref())?;
        let probe = probe(&program).await?;
        probe.expect_arch(arch)?;
        let machine = config.machine.kind.as_deref().unwrap_or(arch.default_machine());
        let chosen = accel::choose(config.machine.accel, &probe, machine, &config.cpu).await?;
        let target = probe.target(arch, &chosen);
        Ok(Self { program, target, why: chosen.why, warning: chosen.warning })
    }
}
