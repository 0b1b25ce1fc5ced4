//! Places the devices that hang off a controller rather than the machine's own buses, and says which controllers that takes.

use smol_str::SmolStr;

use super::Topology;
use super::controllers::Hubs;
use super::error::{TopologyError, report};
use super::family::Family;
use super::machine::Machine;
use super::names::Names;
use super::placement::{Placement, Role};
use super::port_request::controller_for;
use super::request::{Connector, DeviceRequest, PciRequest};

/// The outcome: places, and the controllers that must be put on the machine's own buses.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// Places by position of the device.
    pub(super) placements: Vec<Option<Placement>>,
    /// Controllers that devices use: those of the earlier topology first.
    pub(super) controllers: Vec<NewController>,
    /// The ids of devices and controllers, among which those of ports must differ.
    pub(super) names: Names,
}

/// A controller that devices use.
#[derive(Clone, Debug)]
pub(super) struct NewController {
    pub(super) id: SmolStr,
    pub(super) role: Role,
    /// The position of the device that it was created for, just before which it is placed; none for those kept.
    pub(super) before: Option<usize>,
}

/// Places all devices whose connector is behind a controller.
pub(super) fn place(
    machine: Machine,
    devices: &[DeviceRequest],
    earlier: Option<&Topology>,
    names: Names,
    problems: &mut Vec<TopologyError>,
) -> Children {
    let mut work = Work { machine, hubs: Hubs::of_board(machine), names, children: Children::default() };
    work.children.placements.resize(devices.len(), None);
    for device in devices {
        if let Some(provides) = device.provides {
            work.hubs.add_provided(&device.id, provides);
        }
    }
    for controller in earlier.into_iter().flat_map(|earlier| &earlier.controllers) {
        if !controller.is_pci_bus() && work.names.insert(controller.id.clone()) {
            work.hubs.add_created(&controller.id, controller.role);
            let (id, role) = (controller.id.clone(), controller.role);
            work.children.controllers.push(NewController { id, role, before: None });
        }
    }

    let behind: Vec<(usize, &DeviceRequest)> = devices
        .iter()
        .enumerate()
        .filter(|(_, device)| {
            !matches!(device.connector, Connector::Pci(_) | Connector::Virtio(_) | Connector::Bus(_))
        })
        .collect();
    let (pinned, rest): (Vec<_>, Vec<_>) =
        behind.into_iter().partition(|(_, device)| Hubs::is_pinned(&device.connector));
    // A number alone may be free on several controllers: one that is still asked for is kept where it was.
    for list in [pinned, rest] {
        let mut left = Vec::new();
        for (position, device) in list {
            let Some(placement) = earlier.and_then(|earlier| earlier.placement(&device.id)) else {
                left.push((position, device));
                continue;
            };
            match work.hubs.keep(&device.id, &device.connector, placement) {
                Ok(true) => work.children.placements[position] = Some(placement.clone()),
                Ok(false) => left.push((position, device)),
                Err(problem) => report(problems, problem),
            }
        }
        for (position, device) in left {
            work.place(position, device, problems);
        }
    }

    let Work { hubs, names, mut children, .. } = work;
    let used = hubs.owners_in_use();
    children.controllers.retain(|controller| used.contains(controller.id.as_str()));
    children.names = names;
    children
}

struct Work {
    machine: Machine,
    hubs: Hubs,
    names: Names,
    children: Children,
}

impl Work {
    fn place(&mut self, position: usize, device: &DeviceRequest, problems: &mut Vec<TopologyError>) {
        // What only the board knows: its IDE channels, and its own USB ports where it has some.
        let is_left = match &device.connector {
            Connector::Ide { at: None } => true,
            Connector::Usb(usb) => self.machine.options.usb && usb.controller.is_none() && usb.port.is_none(),
            _ => false,
        };
        if self.machine.family == Family::Unknown && is_left {
            self.children.placements[position] = Some(Placement::Unplaced);
            return;
        }
        let mut found = self.hubs.place(&device.id, &device.connector);
        if matches!(found, Err(None)) {
            match controller_for(&device.id, &device.connector, self.machine) {
                Ok(role) => self.create(role, position),
                Err(problem) => return report(problems, problem),
            }
            found = self.hubs.place(&device.id, &device.connector);
        }
        match found {
            Ok(placement) => self.children.placements[position] = Some(placement),
            Err(Some(problem)) => report(problems, problem),
            // A new controller has room; were it not so, the device would be named here all the same.
            Err(None) => report(problems, TopologyError::NoDevice { device: device.id.to_string() }),
        }
    }

    fn create(&mut self, role: Role, before: usize) {
        let id = self.names.add(first_name(role));
        self.hubs.add_created(&id, role);
        self.children.controllers.push(NewController { id, role, before: Some(before) });
    }
}

pub(super) fn first_name(role: Role) -> &'static str {
    match role {
        Role::Sata => "sata0",
        Role::Usb => "usb0",
        Role::Scsi => "scsi0",
        Role::VirtioSerial => "vserial0",
        Role::RootPort { .. } | Role::Upstream | Role::Downstream { .. } => "port0",
        Role::PcieBridge | Role::PciBridge { .. } => "bridge0",
    }
}

/// What a created controller itself plugs into.
pub(super) fn connector_of(role: Role) -> Connector {
    match role {
        Role::Scsi | Role::VirtioSerial => Connector::Virtio(PciRequest::express()),
        Role::Usb => Connector::Pci(PciRequest::express()),
        _ => Connector::Pci(PciRequest::conventional()),
    }
}
