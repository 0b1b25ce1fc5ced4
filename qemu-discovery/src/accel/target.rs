//! The target of a plan for a program.

use qemu_argv::{Arch, Target};

use super::Acceleration;
use crate::Probe;

impl Probe {
    /// Returns the target of a plan for this program.
    pub fn target(&self, arch: Arch, acceleration: &Acceleration) -> Target {
        let mut target = Target::new(self.version, arch);
        target.accel = acceleration.accelerator;
        target.cpu.clone_from(&acceleration.cpu);
        target.machines = self
            .machines
            .iter()
            .filter_map(|machine| Some((machine.alias.clone()?, machine.name.clone())))
            .collect();
        target.devices = self.devices.clone().map(Into::into);
        target
    }
}
