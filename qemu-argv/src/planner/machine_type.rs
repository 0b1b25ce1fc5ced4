//! What kind of board a machine type is, as far as options and devices differ by it.

use smol_str::SmolStr;

use crate::config::{Machine as MachineConfig, VirtioBus};
use crate::name::join;
use crate::qemu_target::Arch;
use crate::topology::{Family, Machine, MachineOptions, PciRequest, VirtioTransport};
use crate::value::Value;

/// A machine type.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    /// The type, versioned where that is known.
    pub(crate) kind: String,
    pub(crate) machine: Machine,
    pub(crate) arch: Arch,
}

impl Board {
    pub(crate) fn new(arch: Arch, kind: &str, config: &MachineConfig) -> Self {
        let is = |key, word, flag| match config.options.get(key) {
            Some(Value::Bool(value)) => *value == flag,
            Some(Value::Str(value)) => value == word,
            _ => false,
        };
        let options = MachineOptions {
            usb: config.usb == Some(true),
            sata: !is("sata", "off", false),
            smbus: !is("smbus", "off", false),
            pcie: is("pcie", "on", true),
            virtio: config.virtio.map(|bus| match bus {
                VirtioBus::Pci => VirtioTransport::Pci,
                VirtioBus::Mmio => VirtioTransport::Mmio,
            }),
            ..MachineOptions::default()
        };
        Self { kind: kind.to_owned(), machine: Machine::new(arch.qemu_name(), kind, options), arch }
    }

    pub(crate) fn family(&self) -> Family {
        self.machine.family
    }

    /// Whether it is known to have no PCI bus.
    pub(crate) fn is_without_pci(&self) -> bool {
        self.family() != Family::Unknown && self.machine.pci().is_none()
    }

    /// See [`Machine::decides_itself`].
    pub(crate) fn decides_itself(&self) -> bool {
        self.machine.decides_itself()
    }

    /// Whether it is a PC.
    pub(crate) fn is_pc(&self) -> bool {
        matches!(self.family(), Family::Q35 | Family::I440fx)
    }

    /// Whether it has an ISA bus, as far as that is known.
    pub(crate) fn has_isa(&self) -> bool {
        matches!(self.family(), Family::Q35 | Family::I440fx | Family::IsaPc | Family::Microvm)
    }

    /// Whether the processor is an x86.
    pub(crate) fn is_x86(&self) -> bool {
        matches!(self.arch, Arch::X86_64 | Arch::I386)
    }

    /// `virtio-blk` as a device with this request is called on this machine.
    pub(crate) fn virtio(&self, name: &str, request: &PciRequest) -> SmolStr {
        join([name, "-", self.machine.transport_of(request).suffix()])
    }
}
