//! Where things are: one place for each kind of connector, and the controllers that were added to make room.

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::topology::pci::addr;
use crate::value::{Props, Value};

/// Where a device is, in the words of QEMU's properties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Placement {
    /// On a PCI bus.
    Pci {
        /// The name of the bus.
        bus: SmolStr,
        /// The slot, 0 to 31.
        slot: u8,
        /// The function, 0 to 7.
        function: u8,
        /// Whether the slot holds further functions; set on function 0.
        multifunction: bool,
        /// Whether the device can be unplugged while the guest runs.
        hotplug: bool,
    },
    /// On the channel subsystem, as `fe.0.NNNN`.
    Ccw {
        /// The device number.
        devno: u16,
    },
    /// In a memory-mapped virtio slot.
    VirtioMmio {
        /// The name of the bus, which holds one device.
        bus: SmolStr,
    },
    /// On a SCSI bus.
    Scsi {
        /// The name of the bus.
        bus: SmolStr,
        /// The target number (`scsi-id`).
        target: u16,
        /// The logical unit.
        lun: u16,
    },
    /// On a SATA port.
    Sata {
        /// The name of the port's bus, which holds one device.
        bus: SmolStr,
    },
    /// On a parallel ATA channel.
    Ide {
        /// The name of the channel's bus.
        bus: SmolStr,
        /// 0 or 1.
        unit: u8,
    },
    /// On a USB port.
    Usb {
        /// The name of the bus.
        bus: SmolStr,
        /// The port, with dots through hubs.
        port: SmolStr,
    },
    /// On a virtio-serial port.
    VirtioSerial {
        /// The name of the bus.
        bus: SmolStr,
        /// The port number.
        nr: u16,
    },
    /// On the bus of that name, in a place that QEMU chooses.
    Bus {
        /// The name of the bus.
        bus: SmolStr,
    },
    /// Left to QEMU, because the machine type is not known here, or there is no choice.
    #[default]
    Unplaced,
}

impl Placement {
    /// The properties that put a device here, in the order to render them.
    pub fn properties(&self) -> Props {
        let mut props = Props::new();
        self.each(|key, value| props.set(key, value));
        props
    }

    /// The same one by one, without a list to hold them.
    pub(crate) fn each(&self, mut say: impl FnMut(&'static str, Value)) {
        if let Some(bus) = self.bus_name() {
            say("bus", bus.into());
        }
        match self {
            Self::Pci { slot, function, multifunction, .. } => {
                say("addr", addr(*slot, *function).into());
                if *multifunction {
                    say("multifunction", true.into());
                }
            }
            Self::Ccw { devno } => say("devno", format_smolstr!("fe.0.{devno:04x}").into()),
            Self::Scsi { target, lun, .. } => {
                say("channel", 0_u32.into());
                say("scsi-id", (*target).into());
                say("lun", (*lun).into());
            }
            Self::Sata { .. } => say("unit", 0_u32.into()),
            Self::Ide { unit, .. } => say("unit", (*unit).into()),
            Self::Usb { port, .. } => say("port", port.into()),
            Self::VirtioSerial { nr, .. } => say("nr", (*nr).into()),
            Self::VirtioMmio { .. } | Self::Bus { .. } | Self::Unplaced => {}
        }
    }

    /// Whether it is left to QEMU.
    pub(crate) fn is_unplaced(&self) -> bool {
        *self == Self::Unplaced
    }

    /// The name of the bus, where there is one.
    pub fn bus(&self) -> Option<&str> {
        self.bus_name().map(SmolStr::as_str)
    }

    fn bus_name(&self) -> Option<&SmolStr> {
        match self {
            Self::Pci { bus, .. }
            | Self::VirtioMmio { bus }
            | Self::Bus { bus }
            | Self::Scsi { bus, .. }
            | Self::Sata { bus }
            | Self::Ide { bus, .. }
            | Self::Usb { bus, .. }
            | Self::VirtioSerial { bus, .. } => Some(bus),
            Self::Ccw { .. } | Self::Unplaced => None,
        }
    }
}

/// A controller that was added to make room for devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Controller {
    /// Its id, which names its bus (ports and bridges) or buses (`ID.0` … of the others).
    pub id: SmolStr,
    /// What it is.
    #[serde(flatten)]
    pub role: Role,
    /// Where it is.
    pub placement: Placement,
}

/// The kinds of controllers that are added to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// `pcie-root-port`: one slot for one hot-pluggable device.
    RootPort {
        /// Its chassis, slot and port number, unique in the machine.
        number: u8,
    },
    /// `x3130-upstream`: the upper side of a PCI Express switch.
    Upstream,
    /// `xio3130-downstream`: a port of a switch.
    Downstream {
        /// Its chassis, slot and port number, unique in the machine.
        number: u8,
    },
    /// `pcie-pci-bridge`: slots for devices that speak conventional PCI.
    PcieBridge,
    /// `pci-bridge`, there only so that the other functions of its slot are found.
    PciBridge {
        /// Its chassis number, unique in the machine.
        number: u8,
    },
    /// `ich9-ahci`.
    Sata,
    /// `qemu-xhci`.
    Usb,
    /// `virtio-scsi`.
    Scsi,
    /// `virtio-serial`.
    VirtioSerial,
}

/// Ports of a created xHCI controller: the most it has of each speed.
pub(super) const XHCI_PORTS: u16 = 15;

impl Controller {
    /// QEMU's name of the device.
    pub fn driver(&self) -> &'static str {
        let by_transport = |pci, ccw, device| match self.placement {
            Placement::Ccw { .. } => ccw,
            Placement::VirtioMmio { .. } => device,
            _ => pci,
        };
        match self.role {
            Role::RootPort { .. } => "pcie-root-port",
            Role::Upstream => "x3130-upstream",
            Role::Downstream { .. } => "xio3130-downstream",
            Role::PcieBridge => "pcie-pci-bridge",
            Role::PciBridge { .. } => "pci-bridge",
            Role::Sata => "ich9-ahci",
            Role::Usb => "qemu-xhci",
            Role::Scsi => by_transport("virtio-scsi-pci", "virtio-scsi-ccw", "virtio-scsi-device"),
            Role::VirtioSerial => {
                by_transport("virtio-serial-pci", "virtio-serial-ccw", "virtio-serial-device")
            }
        }
    }

    /// Its properties without driver and id, those of its place included, in the order to render them.
    pub fn properties(&self) -> Props {
        let mut all = self.placement.properties();
        all.extend(self.numbers());
        all
    }

    /// Its properties without those of its place.
    pub(crate) fn numbers(&self) -> Props {
        match self.role {
            // QEMU wants chassis and slot to be unique together; guests name slots by the slot number alone.
            Role::RootPort { number } | Role::Downstream { number } => {
                Props::from([("chassis", number.into()), ("slot", number.into()), ("port", number.into())])
            }
            Role::PciBridge { number } => Props::from([("chassis_nr", number.into())]),
            Role::Usb => Props::from([("p2", XHCI_PORTS.into()), ("p3", XHCI_PORTS.into())]),
            Role::Upstream | Role::PcieBridge | Role::Sata | Role::Scsi | Role::VirtioSerial => Props::new(),
        }
    }

    /// Whether other PCI devices or ports go behind it.
    pub fn is_pci_bus(&self) -> bool {
        self.order() < Role::Sata.order()
    }

    pub(super) fn order(&self) -> u8 {
        self.role.order()
    }
}

impl Role {
    /// A controller comes after all those of a lower number: each bus before what is on it.
    pub(super) fn order(self) -> u8 {
        match self {
            Self::RootPort { .. } => 0,
            Self::Upstream => 1,
            Self::Downstream { .. } => 2,
            Self::PcieBridge | Self::PciBridge { .. } => 3,
            Self::Sata | Self::Usb | Self::Scsi | Self::VirtioSerial => 4,
        }
    }
}
