//! Counts in advance how many devices can have their own place, so that there is still one for the last device.

use smol_str::SmolStr;

use super::demand::Demand;
use super::machine::PciRoot;
use super::pci_state::PciState;
use super::shared_slots::Sharing;

/// Slots of the root bus that stay free for ports of later devices, as long as nobody has to share for it.
const RESERVE: usize = 4;

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
pub(super) struct Budget {
    /// How many of the preferred ones get a place of their own.
    pub(super) own: usize,
    /// Free ports or slots to keep.
    pub(super) spare: usize,
    /// Whether those that stay share slots.
    pub(super) share: bool,
    /// Root slots that may be opened for sharing.
    pub(super) slots: usize,
}

/// The budget with the most spare places, then the most devices in places of their own.
pub(super) fn find_budget(
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
        let free = |name: &SmolStr| state.buses.get(name).map_or(0, super::slots::Bus::free_slots);
        Self {
            slots: state.buses.root.free_slots(),
            bridge_slots: state.bridges.iter().map(free).sum(),
            ports: state.free_ports.len(),
            ports_in_last_slot: state.ports_left_in_last_slot(),
            bus_numbers: state.bus_numbers_left(),
            switch_grows: state.switch_grows(),
        }
    }
}
