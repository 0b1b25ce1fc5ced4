//! Which QEMU runs the VM, and what it can do.

use std::path::PathBuf;

use qemu_argv::{Arch, Target, VmConfig};
use qemu_discovery::{accel, find_binary, probe};

use crate::error::Error;
use crate::process::Guard;

/// A QEMU program, seen to run, and how it is going to be used.
pub(super) struct Qemu {
    pub(super) program: PathBuf,
    pub(super) target: Target,
    pub(super) warnings: Vec<String>,
    /// Ties it to this process. `None` if nothing here can.
    pub(super) guard: Option<Guard>,
}

impl Qemu {
    pub(super) async fn find(config: &VmConfig) -> Result<Self, Error> {
        let arch = config.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
        let program = find_binary(arch, config.qemu.as_deref())?;
        let probe = probe(&program).await?;
        probe.expect_arch(arch)?;
        let machine = config.machine.kind.as_deref().unwrap_or(arch.default_machine());
        let cpu = config.cpu.model.as_deref();
        let chosen = accel::choose(config.machine.accel, &probe, machine, cpu).await?;
        let target = probe.target(arch, &chosen);
        let guard = Guard::find(probe.has_option("run-with", "exit-with-parent"));
        Ok(Self { program, target, warnings: chosen.warning.into_iter().collect(), guard })
    }
}
