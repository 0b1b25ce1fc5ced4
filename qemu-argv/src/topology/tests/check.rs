//! What must hold for every topology, whatever was asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;

/// Panics with a sentence when `topology` breaks a rule of the buses it is on.
pub(super) fn check(topology: &Topology, requests: &[DeviceRequest]) {
    let machine = topology.machine();
    let mut buses = board_buses(machine);
    let mut places = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    let mut bus_numbers = u16::from(machine.pci().is_some());
    for controller in topology.controllers() {
        take(&mut places, &buses, &controller.id, &controller.placement);
        match controller.role {
            Role::RootPort { number } | Role::Downstream { number } | Role::PciBridge { number } => {
                assert!(numbers.insert(number), "number {number} is given twice");
            }
            _ => {}
        }
        bus_numbers += u16::from(controller.is_pci_bus());
        provide(&mut buses, controller);
    }
    if let Some(root) = machine.pci() {
        assert!(bus_numbers <= root.buses, "{bus_numbers} buses");
    }
    for request in requests {
        if let Some(provides) = request.provides {
            let (count, first) = match provides {
                Provides::Sata { ports } => (ports, 0),
                _ => (1, 0),
            };
            buses.extend((first..count).map(|number| format!("{}.{number}", request.id)));
        }
    }
    assert_eq!(topology.placements().count(), requests.len());
    for request in requests {
        let placement = topology.placement(&request.id).expect("each device has a place");
        // Of such a board nobody knows the buses.
        if topology.machine().family == Family::Unknown && matches!(placement, Placement::Pci { .. }) {
            buses.extend(placement.bus().map(str::to_owned));
        }
        take(&mut places, &buses, &request.id, placement);
        asked(request, placement);
    }
    heads(topology);
}

fn board_buses(machine: Machine) -> BTreeSet<String> {
    let mut buses = BTreeSet::new();
    buses.extend(machine.pci().map(|root| root.bus.to_owned()));
    buses.extend((0..machine.virtio_mmio_buses()).map(|number| format!("virtio-mmio-bus.{number}")));
    buses.extend((0..machine.sata_ports().max(machine.ide_channels())).map(|number| format!("ide.{number}")));
    buses.extend(machine.usb_ports().map(|_| "usb-bus.0".to_owned()));
    buses
}

fn provide(buses: &mut BTreeSet<String>, controller: &Controller) {
    let id = &controller.id;
    match controller.role {
        Role::Sata => buses.extend((0..6).map(|port| format!("{id}.{port}"))),
        Role::Usb | Role::Scsi | Role::VirtioSerial => buses.extend([format!("{id}.0")]),
        _ => buses.extend([id.to_string()]),
    }
}

/// Takes a place: on a bus that is there, within its limits, and held by nobody else.
fn take(places: &mut BTreeSet<String>, buses: &BTreeSet<String>, id: &str, placement: &Placement) {
    if let Some(bus) = placement.bus() {
        assert!(buses.contains(bus), "{id} is on {bus}, which is not there yet");
    }
    let place = match placement {
        Placement::Pci { bus, slot, function, .. } => {
            assert!(*slot < 32 && *function < 8, "{id} is at {slot}.{function}");
            format!("{bus} {slot}.{function}")
        }
        Placement::Ccw { devno } => format!("ccw {devno}"),
        Placement::VirtioMmio { bus } | Placement::Sata { bus } => bus.to_string(),
        Placement::Scsi { bus, target, lun } => {
            assert!(*target < 256, "{id} is target {target}");
            format!("{bus} {target} {lun}")
        }
        Placement::Ide { bus, unit } => {
            assert!(*unit < 2, "{id} is unit {unit}");
            format!("{bus} {unit}")
        }
        Placement::Usb { bus, port } => format!("{bus} {port}"),
        Placement::VirtioSerial { bus, nr } => {
            assert!(*nr < 31, "{id} is port {nr}");
            format!("{bus} {nr}")
        }
        Placement::Bus { .. } | Placement::Unplaced => return,
    };
    assert!(places.insert(place.clone()), "{id} is not alone at {place}");
}

/// The place is what the device asked for.
fn asked(request: &DeviceRequest, placement: &Placement) {
    let id = &request.id;
    let (Connector::Pci(wanted) | Connector::Virtio(wanted)) = &request.connector else { return };
    if let Placement::Pci { hotplug, .. } = placement {
        assert!(*hotplug || wanted.hotplug != Hotplug::Required, "{id} must be hot-pluggable");
    }
    match (&wanted.address, placement) {
        (Some(Address::Pci(wanted)), Placement::Pci { slot, function, .. }) => {
            assert_eq!((wanted.slot(), wanted.function()), (*slot, *function), "{id} insists on its place");
        }
        (Some(Address::Ccw(wanted)), Placement::Ccw { devno }) => assert_eq!(wanted, devno, "{id}"),
        (None, _) | (_, Placement::VirtioMmio { .. } | Placement::Unplaced) => {}
        (Some(wanted), other) => panic!("{id} wants {wanted} and got {other:?}"),
    }
}

/// One function of a slot.
struct Function {
    number: u8,
    multifunction: bool,
    hotplug: bool,
}

/// Where a slot has several functions, function 0 is there and says so; one that can be unplugged is alone.
fn heads(topology: &Topology) {
    let mut slots: BTreeMap<(&str, u8), Vec<Function>> = BTreeMap::new();
    let controllers = topology.controllers().iter().map(|controller| &controller.placement);
    for placement in controllers.chain(topology.placements().map(|(_, placement)| placement)) {
        if let Placement::Pci { bus, slot, function, multifunction, hotplug } = placement {
            slots.entry((bus, *slot)).or_default().push(Function {
                number: *function,
                multifunction: *multifunction,
                hotplug: *hotplug,
            });
        }
    }
    let board = topology.machine().pci();
    for ((bus, slot), functions) in slots {
        let of_board = board
            .as_ref()
            .is_some_and(|root| root.bus == bus && root.taken.iter().any(|(taken, ..)| *taken == slot));
        let head = functions.iter().find(|function| function.number == 0);
        assert!(of_board || head.is_some(), "slot {slot} of {bus} has no function 0");
        if functions.len() > 1 {
            assert!(
                of_board || head.is_some_and(|head| head.multifunction),
                "slot {slot} of {bus} has several functions"
            );
            assert!(functions.iter().all(|function| !function.hotplug), "slot {slot} of {bus} is shared");
        }
    }
}
