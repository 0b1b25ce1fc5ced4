//! The way from a config to a plan without a launch: which QEMU, which accelerator, what it will be told.

use std::path::PathBuf;

use qemu_argv::{Arch, Target, VmConfig};
use qemu_discovery::{accel, find_binary, probe};

use super::failure::Failure;

/// The QEMU that a machine will run on.
pub(crate) struct Qemu {
    pub(crate) program: PathBuf,
    pub(crate) target: Target,
    /// Why this accelerator.
    pub(crate) why: String,
    pub(crate) warning: Option<String>,
}

impl Qemu {
    pub(crate) async fn find(config: &VmConfig) -> Result<Self, Failure> {
        let arch = config.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
        let program = find_binary(arch, config.qemu.as_deref())?;
        let probe = probe(&program).await?;
        let machine = config.machine.kind.as_deref().unwrap_or_else(|| arch.default_machine());
        let chosen =
            accel::choose(config.machine.accel, &probe, machine, config.cpu.model.as_deref()).await?;
        let target = probe.target(arch, &chosen);
        Ok(Self { program, target, why: chosen.why, warning: chosen.warning })
    }
}
