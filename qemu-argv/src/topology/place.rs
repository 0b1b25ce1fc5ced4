//! Places devices and controllers on the machine's own buses: PCI, channel I/O or memory-mapped virtio.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::address::Address;
use super::assign_pci::spread;
use super::behind_controllers::{Children, NewController, connector_of};
use super::ccw_mmio::number;
use super::demand::Item;
use super::entry::{Entry, Owner};
use super::error::{TopologyError, keeps_its_place, report};
use super::family::Family;
use super::machine::{Machine, VirtioTransport};
use super::pci::PciBus;
use super::pci_state::PciState;
use super::pci_state::at;
use super::placement::{Controller, Placement};
use super::request::{Connector, DeviceRequest, Hotplug, PciRequest};
use super::{DEFAULT_HOTPLUG_PORTS, Device, Topology};

/// Puts everything together.
pub(super) fn place(
    machine: Machine,
    devices: &[DeviceRequest],
    children: Children,
    hotplug_ports: Option<u8>,
    earlier: Option<&Topology>,
    problems: &mut Vec<TopologyError>,
) -> Topology {
    let Children { mut placements, controllers: wanted, names } = children;
    let mut entries = entries(machine, devices, &wanted);
    let before = |id: &str| earlier.and_then(|earlier| earlier.place_of(id));
    let ports = if let Some(root) = machine.pci() {
        let mut state = PciState::new(machine, root, names);
        for device in devices {
            if let Some(provides) = device.provides {
                state.provide(&device.id, provides);
            }
        }
        place_pci(&mut state, &mut entries, hotplug_ports, earlier, problems);
        state.created
    } else {
        refuse_pci(machine, &mut entries, problems);
        Vec::new()
    };
    number(machine, &mut entries, VirtioTransport::Ccw, &before, problems);
    number(machine, &mut entries, VirtioTransport::Mmio, &before, problems);

    // A controller is not in the configuration; the device that it is for is.
    for NewController { id, before, .. } in &wanted {
        let user = before.and_then(|position| devices.get(position)).map(|device| device.id.as_str());
        for problem in problems.iter_mut().filter(|problem| problem.device() == Some(id)) {
            problem.blame(user.unwrap_or(id));
        }
    }

    let mut of_controllers = vec![None; wanted.len()];
    for entry in entries {
        match entry.owner {
            Owner::Device(position) => placements[position] = entry.placement,
            Owner::Controller(position) => of_controllers[position] = entry.placement,
        }
    }
    let mut controllers = ports;
    controllers.extend(wanted.into_iter().zip(of_controllers).map(|(controller, placement)| {
        let NewController { id, role, .. } = controller;
        Controller { id, role, placement: placement.unwrap_or(Placement::Unplaced) }
    }));
    let devices = devices.iter().zip(placements).map(|(device, placement)| {
        let placement = placement.unwrap_or(Placement::Unplaced);
        (device.id.clone(), Device { placement, provides: device.provides })
    });
    Topology { machine, controllers, devices: devices.collect() }
}

impl Topology {
    /// Where a device or controller is.
    pub(crate) fn place_of(&self, id: &str) -> Option<&Placement> {
        let controller = || self.controllers.iter().find(|controller| controller.id == id);
        self.placement(id).or_else(|| controller().map(|controller| &controller.placement))
    }
}

/// All that goes on the machine's own buses, controllers just before the first device that needs them.
fn entries<'a>(
    machine: Machine,
    devices: &'a [DeviceRequest],
    controllers: &'a [NewController],
) -> Vec<Entry<'a>> {
    let entry = |owner, id: &'a SmolStr, connector: &Connector| {
        let (request, transport, bus) = match connector {
            Connector::Pci(request) => (request.clone(), VirtioTransport::Pci, None),
            Connector::Virtio(request) => (request.clone(), machine.transport_of(request), None),
            Connector::Bus(bus) => (PciRequest::conventional(), VirtioTransport::Pci, Some(bus.clone())),
            _ => return None,
        };
        Some(Entry { owner, id, request, transport, bus, placement: None })
    };
    let of_controller = |(number, controller): (usize, &'a NewController)| {
        entry(Owner::Controller(number), &controller.id, &connector_of(controller.role))
    };
    let mut sorted: Vec<(usize, &NewController)> = controllers.iter().enumerate().collect();
    sorted.sort_by_key(|(_, controller)| controller.before);
    let mut waiting = sorted.into_iter().peekable();
    let mut entries = Vec::with_capacity(devices.len() + controllers.len());
    for (position, device) in devices.iter().enumerate() {
        while let Some(waiting) = waiting.next_if(|(_, controller)| controller.before <= Some(position)) {
            entries.extend(of_controller(waiting));
        }
        entries.extend(entry(Owner::Device(position), &device.id, &device.connector));
    }
    entries.extend(waiting.filter_map(of_controller));
    entries
}

fn place_pci(
    state: &mut PciState,
    entries: &mut [Entry<'_>],
    hotplug_ports: Option<u8>,
    earlier: Option<&Topology>,
    problems: &mut Vec<TopologyError>,
) {
    for controller in earlier.into_iter().flat_map(|earlier| &earlier.controllers) {
        if controller.is_pci_bus()
            && let Err(problem) = state.restore(controller)
        {
            report(problems, problem);
        }
    }
    let earlier_places = earlier.map(places_by_id).unwrap_or_default();
    let mut failed = BTreeSet::new();
    let pci = |entry: &&mut Entry<'_>| entry.transport == VirtioTransport::Pci;
    // A bus that is no PCI bus is not known here.
    for entry in entries.iter_mut() {
        if let Some(bus) = entry.bus.as_ref().filter(|bus| state.buses.get(bus).is_none()) {
            entry.placement = Some(Placement::Bus { bus: bus.clone() });
        }
    }
    for entry in entries.iter_mut().filter(pci) {
        let Some(address) = &entry.request.address else { continue };
        match state.take_pinned(entry.id, address, entry.request.share) {
            Ok(placement) => entry.placement = Some(placement),
            Err(problem) => {
                failed.insert(entry.id);
                report(problems, problem);
            }
        }
    }
    let unasked = |entry: &&mut Entry<'_>| entry.request.address.is_none() && entry.placement.is_none();
    for entry in entries.iter_mut().filter(pci).filter(unasked) {
        let Some(Placement::Pci { bus, slot, function, hotplug, multifunction }) =
            earlier_places.get(entry.id.as_str())
        else {
            continue;
        };
        // A device that must be hot-pluggable from now on cannot stay where it could not be unplugged.
        let outgrown = entry.request.hotplug == Hotplug::Required && !hotplug;
        let elsewhere = entry.bus.as_ref().is_some_and(|wanted| wanted != bus);
        if outgrown || elsewhere || state.buses.get(bus).is_none() {
            continue;
        }
        let share = entry.request.share && !hotplug;
        match state.take(bus, *slot, *function, entry.id, share).map_err(keeps_its_place) {
            Ok(()) => {
                entry.placement = Some(Placement::Pci {
                    bus: bus.clone(),
                    slot: *slot,
                    function: *function,
                    multifunction: *multifunction,
                    hotplug: *hotplug,
                });
            }
            Err(problem) => {
                failed.insert(entry.id);
                report(problems, problem);
            }
        }
    }

    for entry in entries.iter_mut().filter(|entry| entry.placement.is_none()) {
        let Some(bus) = entry.bus.as_ref().filter(|_| !failed.contains(entry.id)) else { continue };
        match state.take_on(entry.id, bus) {
            Ok(placement) => entry.placement = Some(placement),
            Err(problem) => {
                failed.insert(entry.id);
                report(problems, problem);
            }
        }
    }

    let left = |entry: &Entry<'_>| {
        entry.transport == VirtioTransport::Pci && entry.placement.is_none() && !failed.contains(entry.id)
    };
    let items: Vec<Item<'_, '_>> = entries
        .iter()
        .filter(|entry| left(entry))
        .map(|entry| Item { id: entry.id, request: &entry.request })
        .collect();
    let spare = (usize::from(hotplug_ports.unwrap_or(DEFAULT_HOTPLUG_PORTS)), hotplug_ports.is_some());
    let mut found = spread(state, &items, spare, problems).into_iter();
    for entry in entries.iter_mut().filter(|entry| left(entry)) {
        entry.placement = found.next().flatten();
    }
    fill_heads(state, problems);
    finish(state, entries, problems);
}

fn places_by_id(earlier: &Topology) -> BTreeMap<&str, &Placement> {
    let controllers =
        earlier.controllers.iter().map(|controller| (controller.id.as_str(), &controller.placement));
    controllers.chain(earlier.placements()).collect()
}

/// Guests look for further functions of a slot only where function 0 answers.
fn fill_heads(state: &mut PciState, problems: &mut Vec<TopologyError>) {
    let headless: Vec<(SmolStr, u8)> = state
        .buses
        .iter()
        .flat_map(|(name, bus)| bus.headless().map(move |slot| (name.clone(), slot)))
        .collect();
    for (bus, slot) in headless {
        if state.fill_function_zero(&bus, slot).is_none() {
            let function = state.buses.get(&bus).map_or(0, |bus| bus.lowest(slot));
            let device = state.buses.holder(&bus, slot, function).to_owned();
            let range =
                "function 0 of the slot is not available, and guests do not see a slot without it".to_owned();
            report(
                problems,
                TopologyError::OutOfRange { device, place: format!("slot {slot:02x} of {bus}"), range },
            );
        }
    }
}

/// Says of each place whether it has neighbours, and so whether it can be left while the guest runs.
fn finish(state: &mut PciState, entries: &mut [Entry<'_>], problems: &mut Vec<TopologyError>) {
    let PciState { buses, created, .. } = state;
    let used = |bus: &SmolStr, slot: u8| buses.get(bus).map_or(0, |bus| bus.used(slot));
    for controller in created.iter_mut() {
        if let Placement::Pci { bus, slot, function: 0, multifunction, .. } = &mut controller.placement {
            // A slot of ports may get further ones later, and shall look the same to the guest then.
            *multifunction |=
                matches!(controller.role, super::Role::RootPort { .. } | super::Role::Downstream { .. })
                    || used(bus, *slot) != 1;
        }
    }
    for entry in entries {
        let Some(Placement::Pci { bus, slot, function, multifunction, hotplug }) = &mut entry.placement
        else {
            continue;
        };
        let alone = used(bus, *slot) == 1 << *function;
        *multifunction = *function == 0 && (*multifunction || !alone);
        *hotplug = alone
            && entry.request.hotplug != Hotplug::Never
            && *function == 0
            && buses.get(bus).is_some_and(|bus| bus.hotplug);
        if entry.request.hotplug == Hotplug::Required && !*hotplug {
            report(
                problems,
                TopologyError::NoHotplug {
                    device: entry.id.to_string(),
                    bus: bus.to_string(),
                    help: "omit its address, or set hotplug = false on it",
                },
            );
        }
    }
}

/// The place of a PCI device on a board whose buses are not known: the one that its address names.
fn on_unknown_bus(
    entry: &Entry<'_>,
    holders: &mut BTreeMap<(SmolStr, u8, u8), SmolStr>,
) -> Result<Placement, TopologyError> {
    let Some(address) = &entry.request.address else { return Ok(Placement::Unplaced) };
    if let Address::Pci(address) = address
        && let PciBus::Named(bus) = address.bus()
    {
        let (slot, function) = (address.slot(), address.function());
        return match holders.insert((bus.into(), slot, function), entry.id.clone()) {
            None => Ok(at(&bus.into(), slot, function)),
            Some(holder) => Err(TopologyError::Taken {
                device: entry.id.to_string(),
                place: address.to_string(),
                holder: holder.to_string(),
                help: "choose another one",
            }),
        };
    }
    Err(TopologyError::OutOfRange {
        device: entry.id.to_string(),
        place: address.to_string(),
        range: "the buses of this board are not known; name the bus, such as pci.0:05.0".to_owned(),
    })
}

/// Refuses, or leaves to QEMU, what needs PCI on a machine without.
fn refuse_pci(machine: Machine, entries: &mut [Entry<'_>], problems: &mut Vec<TopologyError>) {
    let mut holders: BTreeMap<(SmolStr, u8, u8), SmolStr> = BTreeMap::new();
    for entry in entries.iter_mut().filter(|entry| entry.transport == VirtioTransport::Pci) {
        if let Some(bus) = &entry.bus {
            entry.placement = Some(Placement::Bus { bus: bus.clone() });
            continue;
        }
        if machine.family == Family::Unknown {
            match on_unknown_bus(entry, &mut holders) {
                Ok(placement) => entry.placement = Some(placement),
                Err(problem) => report(problems, problem),
            }
            continue;
        }
        let help = match machine.family {
            Family::Microvm => "set pcie = true for the machine",
            Family::None => "choose a machine such as q35 or virt",
            _ => "choose a machine with PCI, such as pc or q35",
        };
        let device = entry.id.to_string();
        report(problems, TopologyError::NoBus { device, wanted: "a PCI bus", machine: machine.name(), help });
    }
}
