//! The machine types: their buses, the places occupied by the board, and what supports hotplug.
//!
//! The facts were measured on QEMU 7.2, 10.0 and 11.1, where they are the same; `qemuctl/tests/qemu/topology_boards.rs`
//! measures them again. Never knows about a device of the configuration.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::family::Family;
use super::request::PciRequest;

/// A machine, as far as buses and slots are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The kind of board.
    pub family: Family,
    /// The choices that change which places the board occupies.
    #[serde(default)]
    pub options: MachineOptions,
}

/// Choices of the `-machine` option that change which places the board occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of QEMU's -machine option")]
pub struct MachineOptions {
    /// `usb=on`: the board has a USB controller of its own.
    pub usb: bool,
    /// `sata=off` takes the SATA controller off `q35`.
    pub sata: bool,
    /// `smbus=off` takes the `SMBus` controller off `q35`.
    pub smbus: bool,
    /// `pcie=on` gives `microvm` a PCI Express bus.
    pub pcie: bool,
    /// What carries virtio devices, where that is not what is usual on the board.
    pub virtio: Option<VirtioTransport>,
    /// An `amd-iommu` device, which QEMU puts into slot 1 when it is created first.
    pub amd_iommu: bool,
}

impl Default for MachineOptions {
    fn default() -> Self {
        Self { usb: false, sata: true, smbus: true, pcie: false, virtio: None, amd_iommu: false }
    }
}

/// What carries virtio devices, and so which of QEMU's drivers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VirtioTransport {
    /// `virtio-…-pci`.
    Pci,
    /// `virtio-…-ccw`.
    Ccw,
    /// `virtio-…-device` in a memory-mapped slot.
    Mmio,
}

impl VirtioTransport {
    /// The ending of the driver's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Ccw => "ccw",
            Self::Mmio => "device",
        }
    }
}

impl Machine {
    /// The machine called `machine_type` (an alias such as `q35` or a versioned name such as `pc-q35-10.0`) of the
    /// architecture that QEMU calls `arch`.
    pub fn new(arch: &str, machine_type: &str, options: MachineOptions) -> Self {
        Self { family: Family::of(arch, machine_type), options }
    }

    /// What carries virtio devices on this machine, where they do not insist on a place.
    pub fn virtio_transport(self) -> VirtioTransport {
        if let Some(chosen) = self.options.virtio {
            return chosen;
        }
        match self.family {
            Family::S390Ccw => VirtioTransport::Ccw,
            Family::Microvm if !self.options.pcie => VirtioTransport::Mmio,
            Family::VirtM68k | Family::Vexpress => VirtioTransport::Mmio,
            _ => VirtioTransport::Pci,
        }
    }

    /// What carries a virtio device with this request: its address says so, else the machine.
    pub fn transport_of(self, request: &PciRequest) -> VirtioTransport {
        match request.address {
            Some(Address::Pci(_)) => VirtioTransport::Pci,
            Some(Address::Ccw(_)) => VirtioTransport::Ccw,
            Some(Address::VirtioMmio(_)) => VirtioTransport::Mmio,
            None => self.virtio_transport(),
        }
    }

    /// The machine's root PCI bus.
    pub fn pci(self) -> Option<PciRoot> {
        let Self { family, options } = self;
        let express = |first, last| PciRoot {
            bus: "pcie.0",
            express: true,
            first,
            last,
            taken: vec![(0, 0, "the host bridge")],
            hotplug: false,
            multifunction: true,
            buses: 256,
        };
        let conventional = |bus, first, last| PciRoot {
            bus,
            express: false,
            first,
            last,
            taken: Vec::new(),
            hotplug: true,
            multifunction: true,
            buses: 256,
        };
        let root = match family {
            Family::Q35 => {
                let mut root = express(0, 31);
                root.taken.push((0x1f, 0, "the ISA bridge"));
                if options.sata {
                    root.taken.push((0x1f, 2, "the SATA controller"));
                }
                if options.smbus {
                    root.taken.push((0x1f, 3, "the SMBus controller"));
                }
                if options.usb {
                    root.taken.extend([0, 1, 2, 7].map(|function| (0x1d, function, "the USB controller")));
                }
                if options.amd_iommu {
                    root.taken.push((1, 0, "amd-iommu"));
                }
                root
            }
            Family::I440fx => {
                let mut root = conventional("pci.0", 0, 31);
                root.taken.extend([
                    (0, 0, "the host bridge"),
                    (1, 0, "the ISA bridge"),
                    (1, 1, "the IDE controller"),
                    (1, 3, "power management"),
                ]);
                if options.usb {
                    root.taken.push((1, 2, "the USB controller"));
                }
                root
            }
            Family::VirtArm | Family::VirtRiscv => express(0, 31),
            // 128 MiB of configuration space, at 1 MiB a bus.
            Family::VirtLoongarch => PciRoot { buses: 128, ..express(0, 31) },
            Family::Microvm if options.pcie => express(0, 31),
            Family::Pseries => {
                let mut root = conventional("pci.0", 0, 31);
                if options.usb {
                    root.taken.push((0, 0, "the USB controller"));
                }
                root
            }
            Family::S390Ccw => PciRoot { multifunction: false, ..conventional("pci.0", 0, 31) },
            Family::Malta => {
                let mut root = conventional("pci", 0, 31);
                root.hotplug = false;
                root.taken.push((0, 0, "the host bridge"));
                root.taken.extend([
                    (0xa, 0, "the ISA bridge"),
                    (0xa, 1, "the IDE controller"),
                    (0xa, 2, "the USB controller"),
                    (0xa, 3, "power management"),
                ]);
                root
            }
            // The second bus has nothing on it, and four slots.
            Family::Sun4u => PciRoot { hotplug: false, ..conventional("pciB", 0, 3) },
            Family::G3beige => PciRoot {
                hotplug: false,
                taken: vec![(0, 0, "the host bridge"), (0x10, 0, "the I/O controller")],
                ..conventional("pci.0", 0, 31)
            },
            Family::Microvm
            | Family::IsaPc
            | Family::VirtM68k
            | Family::Vexpress
            | Family::None
            | Family::Unknown => return None,
        };
        Some(root)
    }

    /// Whether the board, and not this crate, knows which processors, how many of them and which sizes of memory it takes. What a
    /// configuration leaves out is left to the board then.
    pub fn decides_itself(self) -> bool {
        matches!(self.family, Family::VirtM68k | Family::Vexpress | Family::Unknown)
    }

    /// How many `virtio-mmio-bus.N` the board has.
    pub fn virtio_mmio_buses(self) -> u8 {
        match self.family {
            Family::VirtM68k => 128,
            Family::VirtArm => 32,
            Family::Microvm => 24,
            Family::VirtRiscv => 8,
            Family::Vexpress => 4,
            _ => 0,
        }
    }

    /// How many SATA ports (`ide.0` …, one device each) the board has.
    pub fn sata_ports(self) -> u8 {
        if self.family == Family::Q35 && self.options.sata { 6 } else { 0 }
    }

    /// How many IDE channels (`ide.0` …, two devices each) the board has.
    pub fn ide_channels(self) -> u8 {
        match self.family {
            Family::I440fx | Family::IsaPc | Family::Malta | Family::Sun4u | Family::G3beige => 2,
            _ => 0,
        }
    }

    /// The ports of the board's own USB bus `usb-bus.0` that are free, first and last.
    pub fn usb_ports(self) -> Option<(u16, u16)> {
        match self.family {
            Family::Malta => Some((1, 2)),
            Family::I440fx if self.options.usb => Some((1, 2)),
            Family::Q35 if self.options.usb => Some((1, 6)),
            // A keyboard and a mouse are in ports 1 and 2.
            Family::Pseries if self.options.usb => Some((3, 4)),
            Family::Microvm if self.options.usb => Some((1, 8)),
            _ => None,
        }
    }

    /// The name a person would call the machine by.
    pub fn name(self) -> &'static str {
        match self.family {
            Family::Q35 => "q35",
            Family::I440fx => "pc (i440FX)",
            Family::IsaPc => "isapc",
            Family::VirtArm | Family::VirtRiscv | Family::VirtLoongarch | Family::VirtM68k => "virt",
            Family::Pseries => "pseries",
            Family::S390Ccw => "s390-ccw-virtio",
            Family::Microvm => "microvm",
            Family::Malta => "malta",
            Family::Sun4u => "sun4u",
            Family::G3beige => "g3beige",
            Family::Vexpress => "vexpress",
            Family::None => "none",
            Family::Unknown => "this machine",
        }
    }
}

/// A machine's root PCI bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PciRoot {
    /// QEMU's name of the bus.
    pub bus: &'static str,
    /// Whether it is PCI Express: hotplug happens behind root ports then, and devices that speak only
    /// conventional PCI go behind a bridge.
    pub express: bool,
    /// The first slot.
    pub first: u8,
    /// The last slot.
    pub last: u8,
    /// Slot, function and purpose of what the board has there.
    pub taken: Vec<(u8, u8, &'static str)>,
    /// Whether devices can come and go on the bus itself.
    pub hotplug: bool,
    /// Whether a slot may hold several functions.
    pub multifunction: bool,
    /// How many bus numbers there are, the root's included.
    pub buses: u16,
}
