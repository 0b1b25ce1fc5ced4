//! Which QEMU runs a VM, and what it can do.

use std::path::PathBuf;

use qemu_argv::{Arch, Target, VmConfig};
use qemu_discovery::{accel, find_binary, probe};

use crate::error::Error;

/// The QEMU that a VM runs on, as a launch chooses it. With its target a config can be planned without a launch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Qemu {
    /// The program, seen to run.
    pub program: PathBuf,
    /// What it can do, and how it is going to be used.
    pub target: Target,
    /// Why with this accelerator.
    pub why: String,
    /// What is worse than it could be, such as that KVM cannot be used.
    pub warning: Option<String>,
}

impl Qemu {
    /// Chooses the program by the config's `arch` and `qemu`, asks it what it can do, and sees which accelerator works. The
    /// answers are remembered for as long as the program's files stay the same.
    ///
    /// # Errors
    ///
    /// [`Error::Discovery`] if there is no such program, it is no QEMU, or it is for another architecture.
    ///
    /// # Cancel safety
    ///
    /// A QEMU that is being asked is ended.
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
