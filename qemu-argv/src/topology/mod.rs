//! Assigns each device a permanent place on the machine's buses, and reserves free places for hotplug.
//!
//! No I/O, and deterministic: the same requests give the same topology, in linear time. A [`Placement`] and a
//! [`Controller`] return their properties, which the renderer formats. Note that the order of devices does not matter
//! if there is an earlier topology: each device keeps its place, because guests name network interfaces by PCI
//! addresses, and a migration fails if they differ.
//!
//! The rules are:
//! - **PCI Express** (`q35`, `virt`, `microvm` with `pcie=on`): a hot-pluggable device gets its own root port; ports
//!   are packed eight to a slot from slot 2 upwards, followed by a few spare ones. Permanent devices are endpoints of
//!   the root bus, in slot 1 and then from the top down; if there are many, eight share a slot, and the rest is placed
//!   behind a PCI Express switch. Hot-pluggable devices with conventional PCI are placed behind a `pcie-pci-bridge`.
//! - **Conventional PCI** (`pc`, `pseries`, `malta` …): a hot-pluggable device gets its own slot, from below; if there
//!   are many devices, permanent ones share slots. There are no bridges, so more devices require a different machine
//!   type.
//! - **Channel I/O** (`s390-ccw-virtio`) and **memory-mapped virtio** (`microvm`) number devices in order.
//! - Controllers for SCSI, SATA, USB and virtio-serial are created if a device needs one and the existing ones are
//!   full.
//!
//! ```
//! use qemu_argv::plan::topology::{Connector, DeviceRequest, Machine, MachineOptions, PciRequest, Topology};
//!
//! let machine = Machine::new("x86_64", "q35", MachineOptions::default());
//! let disk = DeviceRequest::new("disk0", Connector::Virtio(PciRequest::express()));
//! let topology = Topology::plan(machine, &[disk], None, None).expect("one disk fits");
//! assert_eq!(topology.placement("disk0").and_then(|place| place.bus()), Some("rp1"));
//! ```

mod address;
mod assign_pci;
mod behind_controllers;
mod budget;
mod buses;
mod ccw_mmio;
mod controllers;
mod demand;
mod entry;
mod error;
mod family;
mod hotplug;
mod machine;
mod names;
pub mod pci;
mod pci_state;
mod place;
mod placement;
mod planning;
mod port_request;
mod request;
mod shared_slots;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use address::Address;
pub use error::TopologyError;
pub use family::Family;
pub use hotplug::Plugged;
pub use machine::{Machine, MachineOptions, PciRoot, VirtioTransport};
pub use placement::{Controller, Placement, Role};
pub use request::{
    Connector, DeviceRequest, Hotplug, IdeAddress, PciRequest, Provides, ScsiRequest, UsbRequest,
    VirtioSerialRequest,
};

/// Root ports that are kept free when the configuration does not say how many.
pub const DEFAULT_HOTPLUG_PORTS: u8 = 4;

/// Where every device of a machine is, and the controllers that were added to make room. Plain data: save it, and plan
/// with it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Topology {
    machine: Machine,
    controllers: Vec<Controller>,
    devices: BTreeMap<SmolStr, Device>,
}

/// A device of the configuration in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Device {
    #[serde(flatten)]
    placement: Placement,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provides: Option<Provides>,
}

impl Topology {
    /// The machine this is for.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Where the device `id` is.
    pub fn placement(&self, id: &str) -> Option<&Placement> {
        self.devices.get(id).map(|device| &device.placement)
    }

    /// All devices of the configuration with their places, by id.
    pub fn placements(&self) -> impl Iterator<Item = (&str, &Placement)> {
        self.devices.iter().map(|(id, device)| (id.as_str(), &device.placement))
    }

    /// The controllers that were added, each after the one it sits on. All of them go before the configuration's
    /// devices on the command line.
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// The root ports with nothing behind them, in the order in which hot-plugged devices get them.
    pub fn free_ports(&self) -> Vec<&str> {
        let used: BTreeSet<&str> = self
            .devices
            .values()
            .map(|device| &device.placement)
            .chain(self.controllers.iter().map(|controller| &controller.placement))
            .filter_map(Placement::bus)
            .collect();
        let ports =
            self.controllers.iter().filter(|controller| matches!(controller.role, Role::RootPort { .. }));
        ports.map(|port| port.id.as_str()).filter(|id| !used.contains(id)).collect()
    }
}
