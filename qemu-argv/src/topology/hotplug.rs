//! Places for hotplugged devices.
//!
//! Nothing is added to the root bus: PCI Express devices use the free ports that the plan reserved, others use free
//! slots, targets and ports.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::address::Address;
use super::behind_controllers::connector_of;
use super::controllers::Hubs;
use super::error::TopologyError;
use super::family::Family;
use super::machine::VirtioTransport;
use super::names::Names;
use super::pci_state::PciState;
use super::placement::{Controller, Placement, Role};
use super::port_request::controller_for;
use super::request::{Connector, DeviceRequest, PciRequest};
use super::{Device, Topology};

/// What to add for a hotplugged device, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plugged {
    /// Controllers that must be added before the device. Usually none.
    pub controllers: Vec<Controller>,
    /// The place of the device.
    pub placement: Placement,
}

impl Topology {
    /// Places a device on the running machine, and records its place. Nothing is changed on error.
    ///
    /// # Errors
    ///
    /// If no hotplug place is free, or the requested one is not available.
    pub fn plug(&mut self, device: &DeviceRequest) -> Result<Plugged, TopologyError> {
        let id = &device.id;
        if self.place_of(id).is_some() {
            return Err(TopologyError::DuplicateId { device: id.to_string() });
        }
        let mut controllers = Vec::new();
        let placement = match &device.connector {
            Connector::Pci(request) => self.plug_bus(id, request, VirtioTransport::Pci)?,
            Connector::Virtio(request) => self.plug_bus(id, request, self.machine.transport_of(request))?,
            Connector::Bus(bus) => self.plug_named(id, bus)?,
            Connector::Sata { .. } | Connector::Ide { .. } => {
                return Err(TopologyError::NoHotplug {
                    device: id.to_string(),
                    bus: if matches!(device.connector, Connector::Ide { .. }) { "IDE" } else { "SATA" }
                        .to_owned(),
                    help: "use virtio, SCSI, NVMe or USB for hotplugged disks",
                });
            }
            behind => {
                let mut hubs = self.hubs();
                match hubs.place(id, behind) {
                    Ok(placement) => placement,
                    Err(Some(problem)) => return Err(problem),
                    Err(None) => {
                        let role = controller_for(id, behind, self.machine)?;
                        let controller = self.plug_controller(id, role)?;
                        hubs.add_created(&controller.id, role);
                        controllers.push(controller);
                        hubs.place(id, behind).map_err(|problem| {
                            problem.unwrap_or(TopologyError::NoDevice { device: id.to_string() })
                        })?
                    }
                }
            }
        };
        self.controllers.extend(controllers.iter().cloned());
        self.devices.insert(id.clone(), Device { placement: placement.clone(), provides: device.provides });
        Ok(Plugged { controllers, placement })
    }

    /// Frees the place of a device that was removed (QEMU reports `DEVICE_DELETED`), and returns it.
    ///
    /// # Errors
    ///
    /// If there is no such device, if its bus does not support unplugging, or if other devices are on a bus it
    /// provides.
    pub fn unplug(&mut self, id: &str) -> Result<Placement, TopologyError> {
        self.can_unplug(id)?;
        let device = self.devices.remove(id);
        device.map(|device| device.placement).ok_or_else(|| TopologyError::NoDevice { device: id.to_owned() })
    }

    /// Checks whether [`unplug`](Self::unplug) would succeed. Call this before `device_del`.
    ///
    /// # Errors
    ///
    /// The same as those of [`unplug`](Self::unplug).
    pub fn can_unplug(&self, id: &str) -> Result<(), TopologyError> {
        let device = id.to_owned();
        let Some(known) = self.devices.get(id) else {
            return Err(TopologyError::NoDevice { device });
        };
        let fixed = matches!(
            known.placement,
            Placement::Pci { hotplug: false, .. }
                | Placement::VirtioMmio { .. }
                | Placement::Sata { .. }
                | Placement::Ide { .. }
        );
        if fixed {
            let bus = known.placement.bus().unwrap_or_default().to_owned();
            let help = "shut the guest down, and remove the device from the config";
            return Err(TopologyError::NoHotplug { device, bus, help });
        }
        let behind = |placement: &Placement| {
            let rest = placement.bus().and_then(|bus| bus.strip_prefix(id));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        match self.placements().find(|(_, placement)| behind(placement)) {
            Some((user, _)) => Err(TopologyError::InUse { device, user: user.to_owned() }),
            None => Ok(()),
        }
    }

    fn plug_controller(&self, user: &str, role: Role) -> Result<Controller, TopologyError> {
        let controllers = self.controllers.iter().map(|controller| controller.id.clone());
        let mut names: Names = self.devices.keys().cloned().chain(controllers).chain([user.into()]).collect();
        let id = names.add(super::behind_controllers::first_name(role));
        let placement = match connector_of(role) {
            Connector::Virtio(request) => {
                self.plug_bus(&id, &request, self.machine.transport_of(&request))?
            }
            Connector::Pci(request) => self.plug_bus(&id, &request, VirtioTransport::Pci)?,
            _ => Placement::Unplaced,
        };
        Ok(Controller { id, role, placement })
    }

    fn plug_bus<'a>(
        &'a self,
        id: &'a str,
        request: &PciRequest,
        transport: VirtioTransport,
    ) -> Result<Placement, TopologyError> {
        match transport {
            VirtioTransport::Pci => self.plug_pci(id, request),
            VirtioTransport::Ccw => self.plug_ccw(id, request),
            VirtioTransport::Mmio => Err(TopologyError::NoHotplug {
                device: id.to_owned(),
                bus: "virtio-mmio".to_owned(),
                help: "set pcie = true for the machine",
            }),
        }
    }

    fn plug_named(&self, id: &SmolStr, bus: &SmolStr) -> Result<Placement, TopologyError> {
        if let Some(root) = self.machine.pci() {
            let mut state = self.pci_state(root)?;
            if state.buses.get(bus).is_some() {
                return state.take_on(id, bus);
            }
        }
        Ok(Placement::Bus { bus: bus.clone() })
    }

    fn plug_pci<'a>(&'a self, id: &'a str, request: &PciRequest) -> Result<Placement, TopologyError> {
        let device = id.to_owned();
        let Some(root) = self.machine.pci() else {
            if self.machine.family == Family::Unknown {
                return Ok(Placement::Unplaced);
            }
            let machine = self.machine.name();
            let help = "choose a machine with PCI, such as pc or q35";
            return Err(TopologyError::NoBus { device, wanted: "a PCI bus", machine, help });
        };
        let (express, bus) = (root.express, root.bus.to_owned());
        if !express && !root.hotplug {
            let help = "add it to the config, and restart the machine";
            return Err(TopologyError::NoHotplug { device, bus, help });
        }
        let mut state = self.pci_state(root)?;
        let (bus, slot) = if let Some(address) = &request.address {
            let Placement::Pci { bus, slot, function, .. } = state.take_pinned(&id.into(), address, false)?
            else {
                return Ok(Placement::Unplaced);
            };
            let takes = state.buses.get(&bus).is_some_and(|bus| bus.hotplug) && function == 0;
            if !takes {
                let help = "omit its address, or choose function 0 behind a free root port";
                return Err(TopologyError::NoHotplug { device, bus: bus.to_string(), help });
            }
            (bus, slot)
        } else {
            let candidates: Vec<SmolStr> = match (express, request.express) {
                (true, true) => state.free_ports.iter().map(|(_, port)| state.id_of(*port)).collect(),
                (true, false) => state.bridges.clone(),
                (false, _) => vec![SmolStr::from(bus.as_str())],
            };
            let free = candidates.into_iter().find_map(|name| {
                let bus = state.buses.get(&name)?;
                let slot = (bus.first..=bus.last).find(|&slot| bus.is_free(slot))?;
                Some((name, slot))
            });
            free.ok_or_else(|| TopologyError::Full {
                device,
                others: 0,
                bus,
                limit: match (express, request.express) {
                    (true, true) => "no free root port".to_owned(),
                    (true, false) => "no bridge to conventional PCI with a free slot".to_owned(),
                    (false, _) => "no free slot".to_owned(),
                },
                help: match (express, request.express) {
                    (true, true) => "unplug something, or start the machine with more hotplug_ports",
                    (true, false) => "use a PCI Express or virtio device",
                    (false, _) => "unplug something, or use a machine with PCI Express, such as q35 or virt",
                },
            })?
        };
        Ok(Placement::Pci { bus, slot, function: 0, multifunction: false, hotplug: true })
    }

    /// The PCI buses as they are.
    fn pci_state(&self, root: super::PciRoot) -> Result<PciState, TopologyError> {
        let names = self.devices.keys().cloned().collect();
        let mut state = PciState::new(self.machine, root, names);
        for controller in self.controllers.iter().filter(|controller| controller.is_pci_bus()) {
            state.restore(controller)?;
        }
        for (id, device) in &self.devices {
            if let Some(provides) = device.provides {
                state.provide(id, provides);
            }
        }
        let controllers = self.controllers.iter().filter(|controller| !controller.is_pci_bus());
        let controllers = controllers.map(|controller| (controller.id.as_str(), &controller.placement));
        for (id, placement) in self.placements().chain(controllers) {
            if let Placement::Pci { bus, slot, function, .. } = placement {
                state.take(bus, *slot, *function, &id.into(), true)?;
            }
        }
        Ok(state)
    }

    fn plug_ccw(&self, id: &str, request: &PciRequest) -> Result<Placement, TopologyError> {
        let controllers =
            self.controllers.iter().map(|controller| (controller.id.as_str(), &controller.placement));
        let used: BTreeMap<u16, &str> = self
            .placements()
            .chain(controllers)
            .filter_map(|(id, placement)| match placement {
                Placement::Ccw { devno } => Some((*devno, id)),
                _ => None,
            })
            .collect();
        let device = id.to_owned();
        if self.machine.family != Family::S390Ccw {
            let machine = self.machine.name();
            let help = "leave its address out";
            return Err(TopologyError::NoBus { device, wanted: "channel I/O", machine, help });
        }
        let wanted = match request.address {
            Some(Address::Ccw(devno)) => Some(devno),
            _ => (0..=u16::MAX).find(|devno| !used.contains_key(devno)),
        };
        match wanted.map(|devno| (devno, used.get(&devno))) {
            Some((devno, None)) => Ok(Placement::Ccw { devno }),
            Some((devno, Some(holder))) => Err(TopologyError::Taken {
                device,
                place: format!("fe.0.{devno:04x}"),
                holder: (*holder).to_owned(),
                help: "omit the address, or choose another one",
            }),
            None => Err(TopologyError::Full {
                device,
                others: 0,
                bus: "fe.0.0000".to_owned(),
                limit: "65536 devices".to_owned(),
                help: "unplug something",
            }),
        }
    }

    /// The controllers and what is on them.
    fn hubs(&self) -> Hubs {
        let mut hubs = Hubs::of_board(self.machine);
        for (id, device) in &self.devices {
            if let Some(provides) = device.provides {
                hubs.add_provided(id.as_str(), provides);
            }
        }
        for controller in &self.controllers {
            hubs.add_created(&controller.id, controller.role);
        }
        for (id, placement) in self.placements() {
            hubs.occupy(id, placement);
        }
        hubs
    }
}
