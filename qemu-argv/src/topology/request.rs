//! What a device asks of the machine: the kind of connector, and what it insists on.
//!
//! Never says where the device ends up; that is the [`Topology`](super::Topology).

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::address::Address;

/// A device that needs a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The device's QEMU id, unique in the machine.
    pub id: SmolStr,
    /// What it plugs into.
    pub connector: Connector,
    /// The bus it brings along for others, when it is a controller of the configuration's own.
    pub provides: Option<Provides>,
}

impl DeviceRequest {
    /// A device that brings no bus along.
    pub fn new(id: impl Into<SmolStr>, connector: Connector) -> Self {
        Self { id: id.into(), connector, provides: None }
    }
}

/// What a device plugs into.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connector {
    /// A PCI or PCI Express bus.
    Pci(PciRequest),
    /// Whatever carries virtio on this machine: PCI, channel I/O (`-ccw`) or a memory-mapped slot (`-device`).
    /// See [`Machine::virtio_transport`](super::Machine::virtio_transport).
    Virtio(PciRequest),
    /// A SCSI bus; a `virtio-scsi` controller is created when none has room.
    Scsi(ScsiRequest),
    /// A SATA port, one device each; an `ich9-ahci` controller is created when none has room.
    Sata {
        /// The port as QEMU calls it, such as `ide.2` or `sata0.5`.
        bus: Option<String>,
    },
    /// One of the two places on one of the machine's own parallel ATA channels.
    Ide {
        /// Channel and unit.
        at: Option<IdeAddress>,
    },
    /// A USB port; a `qemu-xhci` controller is created when none has room.
    Usb(UsbRequest),
    /// A virtio-serial port; a `virtio-serial` controller is created when none has room.
    VirtioSerial(VirtioSerialRequest),
    /// The bus of that name: the first free slot if it is a PCI bus, else a place that QEMU chooses.
    Bus(SmolStr),
}

/// A place on a parallel ATA channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdeAddress {
    /// 0 for `ide.0`, 1 for `ide.1`.
    pub channel: u8,
    /// 0 for the first drive of the channel, 1 for the second.
    pub unit: u8,
}

/// What a device wants of PCI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciRequest {
    /// Whether it speaks PCI Express. Devices that do not (`e1000`, `rtl8139`, `VGA`, `ich9-ahci` …) are endpoints of
    /// the root bus, or sit behind a `pcie-pci-bridge` when they are to be hot-pluggable.
    pub express: bool,
    /// Whether it must be possible to unplug it while the guest runs.
    pub hotplug: Hotplug,
    /// The place it insists on.
    pub address: Option<Address>,
    /// Whether others may be functions of the same slot.
    pub share: bool,
}

impl PciRequest {
    /// A PCI Express device, hot-pluggable if there is room.
    pub fn express() -> Self {
        Self { express: true, hotplug: Hotplug::Preferred, address: None, share: true }
    }

    /// A conventional PCI device on the root bus, such as a video card.
    pub fn conventional() -> Self {
        Self { express: false, hotplug: Hotplug::Never, address: None, share: true }
    }
}

/// Whether a device must be removable while the guest runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hotplug {
    /// It stays as long as the guest runs, and may share a slot with others.
    Never,
    /// It gets a place of its own while there are enough; when there are very many devices, it may share a slot.
    #[default]
    Preferred,
    /// It gets a place of its own, or planning fails.
    Required,
}

/// Configurations say yes, no, or nothing.
impl From<Option<bool>> for Hotplug {
    fn from(wanted: Option<bool>) -> Self {
        match wanted {
            Some(true) => Self::Required,
            Some(false) => Self::Never,
            None => Self::Preferred,
        }
    }
}

/// What a SCSI device wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScsiRequest {
    /// The id of the controller.
    pub controller: Option<String>,
    /// The target number (QEMU's `scsi-id`).
    pub target: Option<u16>,
    /// The logical unit behind the target.
    pub lun: u16,
    /// Whether it goes on a controller of another kind than `virtio-scsi`, which the configuration has.
    pub other: bool,
}

/// What a USB device wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsbRequest {
    /// The id of the controller.
    pub controller: Option<String>,
    /// The port: a number, or numbers with dots through hubs (`1.2`).
    pub port: Option<String>,
}

/// What a virtio-serial port wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtioSerialRequest {
    /// The id of the controller.
    pub controller: Option<String>,
    /// The port number; 0 is for consoles alone.
    pub nr: Option<u16>,
    /// Whether it is a console (`virtconsole`), which may have port 0.
    pub console: bool,
}

/// The bus that a controller of the configuration's own offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bus", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Provides {
    /// `ID.0` with SCSI targets, of a `virtio-scsi` controller.
    Scsi {
        /// How many targets: 256 unless QEMU is told otherwise.
        targets: u16,
    },
    /// `ID.0` with SCSI targets, of any other controller.
    OtherScsi {
        /// How many targets: 7 for lsi53c895a.
        targets: u16,
    },
    /// `ID` with PCI slots.
    Pci {
        /// The first slot for devices.
        first: u8,
        /// The last slot.
        last: u8,
        /// Whether devices can come and go there.
        hotplug: bool,
    },
    /// `ID.0`, `ID.1` … one SATA port each.
    Sata {
        /// How many ports: 6 for ich9-ahci.
        ports: u16,
    },
    /// `ID.0` with USB ports numbered from 1.
    Usb {
        /// How many ports.
        ports: u16,
    },
    /// `ID.0` with virtio-serial ports numbered from 0.
    VirtioSerial {
        /// QEMU's `max_ports`: 31 unless set.
        ports: u16,
    },
}
