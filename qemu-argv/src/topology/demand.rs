//! What the devices without a place ask for.

use smol_str::SmolStr;

use super::pci_state::PciState;
use super::request::{Hotplug, PciRequest};

/// A device without a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a, 'r> {
    pub(super) id: &'a SmolStr,
    pub(super) request: &'r PciRequest,
}

/// What the devices without a place ask for, all together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// Hot-pluggable, whatever it takes.
    pub(super) required: usize,
    /// Hot-pluggable if there is room.
    pub(super) preferred: usize,
    /// Never unplugged; can go behind a switch.
    pub(super) staying: usize,
    /// Never unplugged, and of the root bus.
    pub(super) rooted: usize,
    /// Never unplugged, in a slot of its own.
    pub(super) alone: usize,
    /// Conventional devices that want hotplug on a PCI Express machine.
    pub(super) bridged: usize,
}

/// What one device asks of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Own,
    OwnIfRoom,
    Staying,
    Rooted,
    Alone,
    Bridged,
}

pub(super) fn wish(state: &PciState, request: &PciRequest) -> Wish {
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
    pub(super) fn of(state: &PciState, items: &[Item<'_, '_>]) -> Self {
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
