//! Gives out the PCI places that nobody insisted on, in the order of the configuration.

use super::budget::find_budget;
use super::demand::{Demand, Item, Wish, wish};
use super::error::{TopologyError, report};
use super::pci_state::{PciState, at, endpoint_slot};
use super::placement::Placement;
use super::shared_slots::Sharing;

/// Places `items`; what finds no place is reported. `spare` is the wanted number of free ports, and whether it was
/// asked for by name.
pub(super) fn spread(
    state: &mut PciState,
    items: &[Item<'_, '_>],
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

/// A place that the device can leave while the guest runs.
fn own_place(state: &mut PciState, item: &Item<'_, '_>) -> Option<Placement> {
    if !state.root.express {
        return if state.root.hotplug { whole_slot(state, item, false) } else { None };
    }
    let port = match state.free_ports.first() {
        Some((_, port)) => *port,
        None => state.new_port()?,
    };
    let port = state.id_of(port);
    state.take(&port, 0, 0, item.id, false).ok()?;
    Some(at(&port, 0, 0))
}

/// A slot of the root bus. On PCI Express they go from the top down after the first, because ports grow from below.
fn whole_slot(state: &mut PciState, item: &Item<'_, '_>, share: bool) -> Option<Placement> {
    let (bus, slot) = (state.buses.root_name.clone(), endpoint_slot(state)?);
    state.take(&bus, slot, 0, item.id, share).ok()?;
    Some(at(&bus, slot, 0))
}

/// A slot behind a bridge to conventional PCI.
fn bridged(state: &mut PciState, item: &Item<'_, '_>) -> Option<Placement> {
    let free = state.bridges.iter().find_map(|name| {
        let bus = state.buses.get(name)?;
        let slot = (bus.first..=bus.last).find(|&slot| bus.is_free(slot))?;
        Some((name.clone(), slot))
    });
    let (bus, slot) = if let Some(free) = free {
        free
    } else {
        let bridge = state.new_bridge()?;
        (state.id_of(bridge), 1)
    };
    state.take(&bus, slot, 0, item.id, false).ok()?;
    Some(at(&bus, slot, 0))
}

fn full(state: &PciState, item: &Item<'_, '_>, wish: Wish) -> TopologyError {
    let device = item.id.to_string();
    let bus = state.root.bus.to_owned();
    if wish == Wish::Own && !state.root.express && !state.root.hotplug {
        let help = "set hotplug = false on it, or choose a machine that has hotplug";
        return TopologyError::NoHotplug { device, bus, help };
    }
    let help = match wish {
        _ if !state.root.express => {
            if state.root.multifunction {
                "set hotplug = false on permanent devices (8 share a slot), use virtio-scsi for disks (256 in one slot), or use a machine with PCI Express, such as q35 or virt"
            } else {
                "use virtio-scsi for disks (256 in one slot), or channel I/O for devices"
            }
        }
        Wish::Rooted | Wish::Alone => {
            "use PCI Express devices, which can be placed behind ports, or let devices share slots"
        }
        _ => {
            "set hotplug = false on permanent devices (8 share a slot), or use virtio-scsi for disks (256 on one controller)"
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
