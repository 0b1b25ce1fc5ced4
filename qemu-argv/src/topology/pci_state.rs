//! Every PCI bus of the machine while places are given out: what is where, which ports are free, what can be added.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::address::Address;
use super::buses::Buses;
use super::error::TopologyError;
use super::machine::{Machine, PciRoot};
use super::names::Names;
use super::placement::{Controller, Placement, Role};
use super::request::Provides;
use super::slots::{Bus, Kind};
use crate::name::numbered;
use crate::topology::pci::{PciAddress, PciBus};

/// A slot for whole devices in which QEMU's own video card lands too; root ports leave it to endpoints.
const FIRST_ENDPOINT: u8 = 1;

/// The buses, and the controllers that make them.
#[derive(Debug)]
pub(super) struct PciState {
    pub(super) machine: Machine,
    pub(super) root: PciRoot,
    pub(super) buses: Buses,
    /// Ports and bridges, those of the earlier plan first.
    pub(super) created: Vec<Controller>,
    /// Ports with nothing behind them by number, the order in which devices get them, and which of `created` each is.
    pub(super) free_ports: BTreeSet<(u8, usize)>,
    /// Bridges to conventional PCI, in the order they are filled.
    pub(super) bridges: Vec<SmolStr>,
    /// The last root port, after which the next one comes: firmware numbers buses in this order, and guests name
    /// network interfaces by bus numbers.
    last_port: Option<(u8, u8)>,
    /// The upper side of the switch that can still get ports without renumbering buses behind it.
    switch: Option<Switch>,
    bus_numbers: u16,
    highest_number: u8,
    names: Names,
}

#[derive(Clone, Debug)]
struct Switch {
    upstream: SmolStr,
    /// The place of its root port.
    port: (u8, u8),
}

impl PciState {
    pub(super) fn new(machine: Machine, root: PciRoot, names: Names) -> Self {
        let mut bus = Bus::new(Kind::Root, root.first, root.last, root.hotplug);
        for &(slot, function, _) in &root.taken {
            // The board's own places do not overlap, and a second taker is left out.
            let _ = bus.take(slot, function, true);
            bus.reserve(slot);
        }
        let name = SmolStr::new_static(root.bus);
        let mut buses = Buses::new(name.clone(), bus);
        for &(slot, function, what) in &root.taken {
            buses.hold(&name, slot, function, SmolStr::new_static(what));
        }
        Self {
            machine,
            root,
            buses,
            created: Vec::with_capacity(16),
            free_ports: BTreeSet::new(),
            bridges: Vec::new(),
            last_port: None,
            switch: None,
            bus_numbers: 1,
            highest_number: 0,
            names,
        }
    }

    /// Puts a port or bridge of the earlier plan where it was.
    pub(super) fn restore(&mut self, controller: &Controller) -> Result<(), TopologyError> {
        let Placement::Pci { bus, slot, function, .. } = &controller.placement else { return Ok(()) };
        self.take(bus, *slot, *function, &controller.id, true)?;
        if self.names.insert(controller.id.clone()) {
            self.register(controller.clone());
            Ok(())
        } else {
            // A device of the configuration now has the id of a port that was created earlier.
            Err(TopologyError::DuplicateId { device: controller.id.to_string() })
        }
    }

    /// Makes the bus of a port or bridge known.
    fn register(&mut self, controller: Controller) {
        let Placement::Pci { bus: parent, slot, function, .. } = &controller.placement else { return };
        let (place, id) = ((*slot, *function), controller.id.clone());
        let bus = match controller.role {
            Role::RootPort { number } => {
                self.highest_number = self.highest_number.max(number);
                self.buses.root.reserve(place.0);
                self.last_port = Some(place);
                let port = (number, self.created.len());
                self.free_ports.insert(port);
                let mut bus = Bus::new(Kind::Port, 0, 0, true);
                bus.port = Some(port);
                bus
            }
            Role::Upstream => {
                let port = self.created.iter().find(|port| port.id == *parent).map(|port| &port.placement);
                if let Some(Placement::Pci { slot, function, .. }) = port {
                    self.switch = Some(Switch { upstream: id.clone(), port: (*slot, *function) });
                }
                Bus::new(Kind::Switch, 0, 31, false)
            }
            Role::Downstream { number } => {
                self.highest_number = self.highest_number.max(number);
                Bus::new(Kind::Shared, 0, 0, false)
            }
            Role::PcieBridge => {
                self.bridges.push(id.clone());
                Bus::new(Kind::Bridge, 1, 31, true)
            }
            Role::PciBridge { number } => {
                self.highest_number = self.highest_number.max(number);
                Bus::new(Kind::Bridge, 1, 31, false)
            }
            Role::Sata | Role::Usb | Role::Scsi | Role::VirtioSerial => return,
        };
        self.bus_numbers += 1;
        self.buses.insert(id, bus);
        self.created.push(controller);
    }

    /// Makes the bus known that a port or bridge of the configuration's own brings along.
    pub(super) fn provide(&mut self, id: &SmolStr, provides: Provides) {
        if let Provides::Pci { first, last, hotplug } = provides {
            self.bus_numbers = self.bus_numbers.saturating_add(1);
            self.buses.insert(id.clone(), Bus::new(Kind::Own, first, last, hotplug));
        }
    }

    /// Takes the first free slot of a bus, or says that there is none.
    pub(super) fn take_on(&mut self, id: &SmolStr, bus: &SmolStr) -> Result<Placement, TopologyError> {
        let slots = self.buses.get(bus).map_or(0..=0, |entry| entry.first..=entry.last);
        let limit = format!("slots {:02x} to {:02x}", slots.start(), slots.end());
        let free = slots.into_iter().find(|slot| self.buses.get(bus).is_some_and(|bus| bus.is_free(*slot)));
        let slot = free.ok_or_else(|| TopologyError::Full {
            device: id.to_string(),
            others: 0,
            bus: bus.to_string(),
            limit,
            help: "add another port or bridge",
        })?;
        self.take(bus, slot, 0, id, true)?;
        Ok(at(bus, slot, 0))
    }

    /// Takes one function of a slot.
    pub(super) fn take(
        &mut self,
        bus: &SmolStr,
        slot: u8,
        function: u8,
        id: &SmolStr,
        share: bool,
    ) -> Result<(), TopologyError> {
        let Some(entry) = self.buses.get_mut(bus) else {
            let known: Vec<_> = self.buses.iter().take(8).map(|(name, _)| name.as_str()).collect();
            return Err(TopologyError::UnknownBus {
                device: id.to_string(),
                bus: bus.to_string(),
                help: format!("there are {}", known.join(", ")),
            });
        };
        let place = || {
            PciAddress::new(PciBus::Named(bus.to_string()), slot, function)
                .map_or_else(|_| format!("slot {slot} of {bus}"), |address| address.to_string())
        };
        if !(entry.first..=entry.last).contains(&slot) {
            return Err(TopologyError::OutOfRange {
                device: id.to_string(),
                place: place(),
                range: match (entry.first, entry.last) {
                    (first, last) if first == last => format!("{bus} has slot {first:02x} only"),
                    (first, last) => format!("{bus} has slots {first:02x} to {last:02x}"),
                },
            });
        }
        if function > 0 && !self.root.multifunction {
            return Err(TopologyError::OutOfRange {
                device: id.to_string(),
                place: place(),
                range: format!("slots of {} have function 0 only", self.machine.name()),
            });
        }
        let port = entry.port;
        if let Err(function) = entry.take(slot, function, share) {
            return Err(TopologyError::Taken {
                device: id.to_string(),
                place: place(),
                holder: self.buses.holder(bus, slot, function).to_owned(),
                help: "omit the address, or choose another one",
            });
        }
        self.buses.hold(bus, slot, function, id.clone());
        if let Some(port) = port {
            self.free_ports.remove(&port);
        }
        Ok(())
    }

    /// Takes the place that a device insists on.
    pub(super) fn take_pinned(
        &mut self,
        id: &SmolStr,
        address: &Address,
        share: bool,
    ) -> Result<Placement, TopologyError> {
        let Address::Pci(address) = address else {
            return Err(TopologyError::OutOfRange {
                device: id.to_string(),
                place: address.to_string(),
                range: format!("devices of {} have PCI addresses", self.machine.name()),
            });
        };
        let bus = match address.bus() {
            PciBus::Numbered { domain: 0, bus: 0 } => self.buses.root_name.clone(),
            PciBus::Named(name) => name.into(),
            numbered @ PciBus::Numbered { .. } => {
                return Err(TopologyError::UnknownBus {
                    device: id.to_string(),
                    bus: format!("PCI bus {numbered}"),
                    help: "bus numbers above 0 are assigned by firmware; use the name of the bus, such as rp1:00.0"
                        .into(),
                });
            }
        };
        if self.buses.get(&bus).is_some_and(|bus| bus.kind == Kind::Switch) {
            return Err(TopologyError::OutOfRange {
                device: id.to_string(),
                place: address.to_string(),
                range: format!("{bus} is internal to a switch and holds only its ports"),
            });
        }
        self.take(&bus, address.slot(), address.function(), id, share)?;
        Ok(at(&bus, address.slot(), address.function()))
    }

    /// How many functions are left after the last root port in its slot.
    pub(super) fn ports_left_in_last_slot(&self) -> usize {
        self.next_in_last_slot().map_or(0, |(slot, function)| {
            let used = self.buses.root.used(slot);
            (function..8).filter(|function| used & (1 << function) == 0).count()
        })
    }

    fn next_in_last_slot(&self) -> Option<(u8, u8)> {
        let (slot, function) = self.last_port?;
        let used = self.buses.root.used(slot);
        let next = (function + 1..8).find(|next| used & (1 << next) == 0)?;
        Some((slot, next))
    }

    /// A new root port after all others; which of `created` it is.
    pub(super) fn new_port(&mut self) -> Option<usize> {
        let (slot, function) = match self.next_in_last_slot() {
            Some(next) => next,
            None => (self.slot_for_ports()?, 0),
        };
        let number = self.next_number()?;
        let id = self.names.add(numbered("rp", number));
        let root = self.buses.root_name.clone();
        self.add(id, Role::RootPort { number }, &root, slot, function)
    }

    fn slot_for_ports(&self) -> Option<u8> {
        let root = &self.buses.root;
        let after = self.last_port.map_or(FIRST_ENDPOINT + 1, |(slot, _)| slot + 1);
        let free = |slot: &u8| root.is_free(*slot);
        (after..=root.last).find(free).or_else(|| (root.first..=root.last).find(free))
    }

    /// A new bridge to conventional PCI, behind a port of its own; which of `created` it is.
    pub(super) fn new_bridge(&mut self) -> Option<usize> {
        // Both or neither: a port alone would be of no use.
        self.has_bus_numbers(2).then_some(())?;
        let port = self.new_port()?;
        let port = self.id_of(port);
        let id = self.names.add("bridge1");
        self.add(id, Role::PcieBridge, &port, 0, 0)
    }

    /// A slot behind a switch, for devices that stay; a new switch when there is none that can grow. Which of `created`
    /// it is.
    pub(super) fn new_shared_port(&mut self) -> Option<usize> {
        let room = |state: &Self, upstream: &SmolStr| {
            state.buses.get(upstream).and_then(|bus| {
                let functions =
                    (bus.first..=bus.last).flat_map(|slot| (0..8).map(move |function| (slot, function)));
                functions.into_iter().find(|(slot, function)| bus.used(*slot) & (1 << function) == 0)
            })
        };
        let grows = self.switch.clone().filter(|switch| Some(switch.port) == self.last_port);
        let existing = grows.and_then(|switch| Some((room(self, &switch.upstream)?, switch.upstream)));
        let ((slot, function), upstream) = if let Some(found) = existing {
            found
        } else {
            self.has_bus_numbers(3).then_some(())?;
            let port = self.new_port()?;
            let port = self.id_of(port);
            let id = self.names.add("switch1");
            let upstream = self.add(id, Role::Upstream, &port, 0, 0)?;
            ((0, 0), self.id_of(upstream))
        };
        let number = self.next_number()?;
        let id = self.names.add(numbered("dp", number));
        self.add(id, Role::Downstream { number }, &upstream, slot, function)
    }

    /// Fills function 0 of a slot whose other functions guests would not find otherwise. A bridge does it: every
    /// QEMU has it, and nothing is behind it.
    pub(super) fn fill_function_zero(&mut self, bus: &SmolStr, slot: u8) -> Option<usize> {
        let number = self.next_number()?;
        let id = self.names.add(numbered("bridge", number));
        self.add(id, Role::PciBridge { number }, bus, slot, 0)
    }

    fn add(&mut self, id: SmolStr, role: Role, bus: &SmolStr, slot: u8, function: u8) -> Option<usize> {
        self.has_bus_numbers(1).then_some(())?;
        self.take(bus, slot, function, &id, true).ok()?;
        self.register(Controller { id, role, placement: at(bus, slot, function) });
        self.created.len().checked_sub(1)
    }

    /// The id of a port or bridge.
    pub(super) fn id_of(&self, created: usize) -> SmolStr {
        self.created.get(created).map(|controller| controller.id.clone()).unwrap_or_default()
    }

    /// Whether this many more buses fit.
    pub(super) fn has_bus_numbers(&self, more: u16) -> bool {
        self.bus_numbers.saturating_add(more) <= self.root.buses
    }

    pub(super) fn bus_numbers_left(&self) -> usize {
        usize::from(self.root.buses.saturating_sub(self.bus_numbers))
    }

    /// Whether the switch can get a port before it needs a root port of its own.
    pub(super) fn switch_grows(&self) -> bool {
        self.switch.as_ref().is_some_and(|switch| Some(switch.port) == self.last_port)
    }

    fn next_number(&mut self) -> Option<u8> {
        self.highest_number = self.highest_number.checked_add(1)?;
        Some(self.highest_number)
    }
}

/// A place on a PCI bus; which neighbours it has is filled in at the end.
pub(super) fn at(bus: &SmolStr, slot: u8, function: u8) -> Placement {
    Placement::Pci { bus: bus.clone(), slot, function, multifunction: false, hotplug: false }
}

pub(super) fn endpoint_slot(state: &PciState) -> Option<u8> {
    let root = &state.buses.root;
    let free = |slot: &u8| root.is_free(*slot);
    if !state.root.express {
        return (root.first..=root.last).find(free);
    }
    (root.first..=1).chain((2..=root.last).rev()).find(free)
}
