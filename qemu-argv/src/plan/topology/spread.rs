//! Gives out the PCI places that nobody insisted on, in the order of the configuration.
//!
//! Counts first: how many devices can have a place of their own, so that the last one still finds one.

use std::collections::VecDeque;

use super::error::{TopologyError, report};
use super::machine::PciRoot;
use super::pci_state::{PciState, at};
use super::placement::Placement;
use super::request::{Hotplug, PciRequest};
use super::slots::Kind;

/// Slots of the root bus that stay free for ports of later devices, as long as nobody has to share for it.
const RESERVE: usize = 4;

/// A device without a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) id: &'a str,
    pub(super) request: &'a PciRequest,
}

/// What the devices without a place ask for, all together.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// Hot-pluggable, whatever it takes.
    required: usize,
    /// Hot-pluggable if there is room.
    preferred: usize,
    /// Never unplugged; can go behind a switch.
    staying: usize,
    /// Never unplugged, and of the root bus.
    rooted: usize,
    /// Never unplugged, in a slot of its own.
    alone: usize,
    /// Conventional devices that want hotplug on a PCI Express machine.
    bridged: usize,
}

/// What there is to meet it.
#[derive(Clone, Copy, Debug)]
struct Supply {
    /// Free slots of the root bus.
    slots: usize,
    /// Free slots behind bridges to conventional PCI.
    bridge_slots: usize,
    /// Root ports with nothing behind them.
    ports: usize,
    /// Functions for further ports in the slot of the last one.
    ports_in_last_slot: usize,
    bus_numbers: usize,
    /// Whether the switch can get ports without a new root port.
    switch_grows: bool,
}

/// How the demand is met.
#[derive(Clone, Copy, Debug)]
struct Budget {
    /// How many of the preferred ones get a place of their own.
    own: usize,
    /// Free ports or slots to keep.
    spare: usize,
    /// Whether those that stay share slots.
    share: bool,
    /// Root slots that may be opened for sharing.
    slots: usize,
}

/// Where devices that share are put next.
#[derive(Default)]
struct Sharing {
    /// Slots whose function 0 is gone, so that guests do not find the others: these come first.
    headless: VecDeque<(String, u8)>,
    /// Slots with several functions already.
    open: VecDeque<(String, u8)>,
    /// Slots with one device that can be joined when all else is full.
    joinable: VecDeque<(String, u8)>,
    /// Root slots that may still be opened.
    slots: usize,
    /// Functions left on the root bus, and how many of them are for devices that can go nowhere else.
    root_functions: usize,
    rooted: usize,
    /// Free functions behind the switches that there were before.
    behind: usize,
}

/// Places `items`; what finds no place is reported. `spare` is the wanted number of free ports, and whether it was
/// asked for by name.
pub(super) fn spread(
    state: &mut PciState,
    items: &[Item<'_>],
    spare: (usize, bool),
    problems: &mut Vec<TopologyError>,
) -> Vec<Option<Placement>> {
    let demand = Demand::of(state, items);
    let mut sharing = Sharing::new(state);
    let budget = find_budget(state, &demand, &sharing, spare);
    sharing.slots = budget.slots;
    sharing.root_functions += budget.slots * 8;
    sharing.rooted = demand.rooted;

    let mut own = budget.own;
    let mut placements = Vec::with_capacity(items.len());
    for item in items {
        let wish = wish(state, item.request);
        let found = match wish {
            Wish::Own => own_place(state, item),
            Wish::OwnIfRoom if own > 0 => {
                own -= 1;
                own_place(state, item)
            }
            Wish::Alone => whole_slot(state, item, false),
            Wish::Bridged => bridged(state, item),
            Wish::Rooted | Wish::OwnIfRoom | Wish::Staying if !budget.share => sharing
                .head(state, item, wish == Wish::Rooted)
                .or_else(|| whole_slot(state, item, item.request.share)),
            Wish::Rooted => sharing.place(state, item, true),
            Wish::OwnIfRoom | Wish::Staying => sharing.place(state, item, !state.root.express),
        };
        if found.is_none() {
            report(problems, full(state, item, wish));
        }
        placements.push(found);
    }
    if state.root.express {
        while state.free_ports.len() < budget.spare {
            if state.new_port().is_none() {
                break;
            }
        }
        if spare.1 && state.free_ports.len() < spare.0 && problems.is_empty() {
            problems.push(TopologyError::FewPorts {
                bus: state.root.bus.to_owned(),
                wanted: u8::try_from(spare.0).unwrap_or(u8::MAX),
                free: state.free_ports.len(),
                limit: limit(state),
            });
        }
    }
    placements
}

/// What one device asks of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Own,
    OwnIfRoom,
    Staying,
    Rooted,
    Alone,
    Bridged,
}

fn wish(state: &PciState, request: &PciRequest) -> Wish {
    let express_bus = state.root.express;
    match request.hotplug {
        Hotplug::Required | Hotplug::Preferred if express_bus && !request.express => Wish::Bridged,
        Hotplug::Required => Wish::Own,
        // One that never shares needs a place of its own anyway.
        Hotplug::Preferred if !request.share && (express_bus || state.root.hotplug) => Wish::Own,
        Hotplug::Preferred if express_bus || state.root.hotplug => Wish::OwnIfRoom,
        _ if !request.share => Wish::Alone,
        _ if express_bus && !request.express => Wish::Rooted,
        _ => Wish::Staying,
    }
}

impl Demand {
    fn of(state: &PciState, items: &[Item<'_>]) -> Self {
        let mut demand = Self::default();
        for item in items {
            *match wish(state, item.request) {
                Wish::Own => &mut demand.required,
                Wish::OwnIfRoom => &mut demand.preferred,
                Wish::Staying => &mut demand.staying,
                Wish::Rooted => &mut demand.rooted,
                Wish::Alone => &mut demand.alone,
                Wish::Bridged => &mut demand.bridged,
            } += 1;
        }
        demand
    }
}

/// The budget with the most spare places, then the most devices in places of their own.
fn find_budget(
    state: &PciState,
    demand: &Demand,
    sharing: &Sharing,
    (spare, exact): (usize, bool),
) -> Budget {
    let supply = Supply::of(state);
    let least = if exact { spare } else { 0 };
    // No machine has more than 256 buses or slots, so that more need not be tried.
    let most_own = demand.preferred.min(256);
    for spare in (least..=spare).rev() {
        for own in (0..=most_own).rev() {
            let found = if state.root.express {
                express_budget(&supply, demand, sharing, own, spare)
            } else {
                conventional_budget(&state.root, &supply, demand, sharing, own, spare)
            };
            if let Some(budget) = found {
                return budget;
            }
        }
    }
    // Nothing fits: fill what there is, so that the error can say how many are left over.
    let taken = if state.root.express { demand.alone } else { demand.alone + demand.required };
    Budget { own: 0, spare: 0, share: true, slots: supply.slots.saturating_sub(taken) }
}

fn express_budget(
    supply: &Supply,
    demand: &Demand,
    sharing: &Sharing,
    own: usize,
    spare: usize,
) -> Option<Budget> {
    let bridges = demand.bridged.saturating_sub(supply.bridge_slots).div_ceil(31);
    let ports = (demand.required + own + spare).saturating_sub(supply.ports) + bridges;
    let buses = ports + bridges;
    (buses <= supply.bus_numbers).then_some(())?;
    let left_beside = |ports: usize| {
        let slots = ports.saturating_sub(supply.ports_in_last_slot).div_ceil(8);
        supply.slots.checked_sub(slots)?.checked_sub(demand.alone)
    };

    let left = left_beside(ports)?;
    let stay = demand.staying + demand.rooted + demand.preferred - own;
    if stay == 0 || stay + RESERVE <= left {
        return Some(Budget { own, spare, share: false, slots: left });
    }
    (demand.rooted <= sharing.root_functions + 8 * left).then_some(())?;
    if stay <= sharing.root_functions + sharing.behind + 8 * left {
        return Some(Budget { own, spare, share: true, slots: left });
    }

    // The rest goes behind a switch: a root port and two buses more, and a bus for every eight devices.
    let switches = usize::from(!supply.switch_grows || ports > 0);
    let left = left_beside(ports + switches)?;
    (demand.rooted <= sharing.root_functions + 8 * left).then_some(())?;
    let rest = stay.saturating_sub(sharing.root_functions + sharing.behind + 8 * left);
    let buses = buses + 2 * switches + rest.div_ceil(8);
    (buses <= supply.bus_numbers).then_some(Budget { own, spare, share: true, slots: left })
}

fn conventional_budget(
    root: &PciRoot,
    supply: &Supply,
    demand: &Demand,
    sharing: &Sharing,
    own: usize,
    spare: usize,
) -> Option<Budget> {
    let spare_slots = if root.hotplug { spare } else { 0 };
    let left = supply.slots.checked_sub(demand.required + own + demand.alone + spare_slots)?;
    let stay = demand.staying + demand.rooted + demand.preferred - own;
    if stay <= left {
        return Some(Budget { own, spare, share: false, slots: left });
    }
    let shared = root.multifunction && stay <= sharing.root_functions + 8 * left;
    shared.then_some(Budget { own, spare, share: true, slots: left })
}

impl Supply {
    fn of(state: &PciState) -> Self {
        let free = |name: &str| state.buses.get(name).map_or(0, super::slots::Bus::free_slots);
        Self {
            slots: free(state.root.bus),
            bridge_slots: state.bridges.iter().map(|bridge| free(bridge)).sum(),
            ports: state.free_ports.len(),
            ports_in_last_slot: state.ports_left_in_last_slot(),
            bus_numbers: state.bus_numbers_left(),
            switch_grows: state.switch_grows(),
        }
    }
}

/// A place that the device can leave while the guest runs.
fn own_place(state: &mut PciState, item: &Item<'_>) -> Option<Placement> {
    if !state.root.express {
        return if state.root.hotplug { whole_slot(state, item, false) } else { None };
    }
    let port = match state.free_ports.first() {
        Some((_, port)) => port.clone(),
        None => state.new_port()?,
    };
    state.take(&port, 0, 0, item.id, false).ok()?;
    Some(at(&port, 0, 0))
}

/// A slot of the root bus. On PCI Express they go from the top down after the first, because ports grow from below.
fn whole_slot(state: &mut PciState, item: &Item<'_>, share: bool) -> Option<Placement> {
    let slot = endpoint_slot(state)?;
    let bus = state.root.bus.to_owned();
    state.take(&bus, slot, 0, item.id, share).ok()?;
    Some(at(&bus, slot, 0))
}

fn endpoint_slot(state: &PciState) -> Option<u8> {
    let root = state.buses.get(state.root.bus)?;
    let free = |slot: &u8| root.is_free(*slot);
    if !state.root.express {
        return (root.first..=root.last).find(free);
    }
    (root.first..=1).chain((2..=root.last).rev()).find(free)
}

/// A slot behind a bridge to conventional PCI.
fn bridged(state: &mut PciState, item: &Item<'_>) -> Option<Placement> {
    let free = state.bridges.iter().find_map(|name| {
        let bus = state.buses.get(name)?;
        let slot = (bus.first..=bus.last).find(|&slot| bus.is_free(slot))?;
        Some((name.clone(), slot))
    });
    let (bus, slot) = match free {
        Some(free) => free,
        None => (state.new_bridge()?, 1),
    };
    state.take(&bus, slot, 0, item.id, false).ok()?;
    Some(at(&bus, slot, 0))
}

impl Sharing {
    fn new(state: &PciState) -> Self {
        let mut sharing = Self::default();
        if !state.root.multifunction {
            return sharing;
        }
        for (name, bus) in &state.buses {
            match bus.kind {
                Kind::Root => {
                    for slot in (bus.first..=bus.last).filter(|&slot| bus.can_join(slot)) {
                        sharing.root_functions += bus.used(slot).count_zeros() as usize;
                        let list = match bus.used(slot) {
                            1 => &mut sharing.joinable,
                            used if used & 1 == 0 => &mut sharing.headless,
                            _ => &mut sharing.open,
                        };
                        list.push_back((name.clone(), slot));
                    }
                }
                Kind::Shared if bus.is_empty() || bus.can_join(0) => {
                    sharing.behind += bus.used(0).count_zeros() as usize;
                    let headless = !bus.is_empty() && bus.used(0) & 1 == 0;
                    let list = if headless { &mut sharing.headless } else { &mut sharing.open };
                    list.push_back((name.clone(), 0));
                }
                Kind::Port | Kind::Switch | Kind::Shared | Kind::Bridge => {}
            }
        }
        sharing
    }

    /// Function 0 of a slot that has lost it.
    fn head(&mut self, state: &mut PciState, item: &Item<'_>, rooted: bool) -> Option<Placement> {
        let root = state.root.bus;
        let found = take_from(&mut self.headless, state, item, |name| name == root || !rooted)?;
        // The slot is like any other shared one from now on.
        if let Placement::Pci { bus, slot, .. } = &found {
            self.headless.retain(|(name, headless)| (name, headless) != (bus, slot));
            self.open.push_back((bus.clone(), *slot));
        }
        Some(found)
    }

    /// One more function of a shared slot; `rooted` devices only on the root bus.
    fn place(&mut self, state: &mut PciState, item: &Item<'_>, rooted: bool) -> Option<Placement> {
        let root = state.root.bus;
        let on_root = rooted || self.root_functions > self.rooted;
        let mut found = self.head(state, item, rooted);
        if found.is_none() && on_root {
            found = take_from(&mut self.open, state, item, |name| name == root);
            if found.is_none()
                && self.slots > 0
                && let Some(slot) = endpoint_slot(state)
            {
                self.slots -= 1;
                self.open.push_back((root.to_owned(), slot));
                found = take_from(&mut self.open, state, item, |name| name == root);
            }
            if found.is_none() {
                found = take_from(&mut self.joinable, state, item, |name| name == root);
            }
        }
        if let Some(found) = found {
            if found.bus() == Some(root) {
                self.root_functions = self.root_functions.saturating_sub(1);
            }
            self.rooted = self.rooted.saturating_sub(usize::from(rooted && state.root.express));
            return Some(found);
        }
        if rooted {
            return None;
        }
        if let Some(found) = take_from(&mut self.open, state, item, |name| name != root) {
            return Some(found);
        }
        let port = state.new_shared_port()?;
        self.open.push_back((port, 0));
        take_from(&mut self.open, state, item, |name| name != root)
    }
}

/// Takes the next function of the first slot in the list that is on a fitting bus; full slots leave the list.
fn take_from(
    slots: &mut VecDeque<(String, u8)>,
    state: &mut PciState,
    item: &Item<'_>,
    fits: impl Fn(&str) -> bool,
) -> Option<Placement> {
    let mut index = 0;
    while let Some((name, slot)) = slots.get(index) {
        if !fits(name) {
            index += 1;
            continue;
        }
        let function = state.buses.get(name).and_then(|bus| bus.free_function(*slot));
        let Some(function) = function else {
            slots.remove(index);
            continue;
        };
        let (name, slot) = (name.clone(), *slot);
        state.take(&name, slot, function, item.id, true).ok()?;
        return Some(at(&name, slot, function));
    }
    None
}

fn full(state: &PciState, item: &Item<'_>, wish: Wish) -> TopologyError {
    let device = item.id.to_owned();
    let bus = state.root.bus.to_owned();
    if wish == Wish::Own && !state.root.express && !state.root.hotplug {
        let help = "set hotplug = false on it, or choose a machine that has hotplug";
        return TopologyError::NoHotplug { device, bus, help };
    }
    let help = match wish {
        _ if !state.root.express => {
            if state.root.multifunction {
                "set hotplug = false on devices that stay (8 share a slot), put disks on virtio-scsi (256 on one slot), or use a machine with PCI Express, such as q35 or virt"
            } else {
                "put disks on virtio-scsi (256 on one slot), or devices on channel I/O"
            }
        }
        Wish::Rooted | Wish::Alone => {
            "use PCI Express devices, which can go behind ports, or let devices share slots"
        }
        _ => {
            "set hotplug = false on devices that stay (8 share a slot), or put disks on virtio-scsi (256 on one controller)"
        }
    };
    TopologyError::Full { device, others: 0, bus, limit: limit(state), help }
}

fn limit(state: &PciState) -> String {
    let root = &state.root;
    let taken: std::collections::BTreeSet<u8> = root.taken.iter().map(|(slot, _, _)| *slot).collect();
    let slots = usize::from(root.last - root.first) + 1 - taken.len();
    match (root.express, root.multifunction) {
        (true, _) => format!("{slots} slots of 8 functions, and {} bus numbers", root.buses),
        (false, true) => format!("{slots} slots for hot-pluggable devices, or 8 other devices in each"),
        (false, false) => format!("{slots} slots"),
    }
}
