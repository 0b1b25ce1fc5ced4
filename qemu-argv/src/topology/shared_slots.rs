//! Slots whose functions are shared by devices that stay.

use std::collections::VecDeque;

use smol_str::SmolStr;

use super::demand::Item;
use super::pci_state::{PciState, at, endpoint_slot};
use super::placement::Placement;
use super::slots::Kind;

/// Where devices that share are put next.
#[derive(Default)]
pub(super) struct Sharing {
    /// Slots whose function 0 is gone, so that guests do not find the others: these come first.
    headless: VecDeque<(SmolStr, u8)>,
    /// Slots with several functions already.
    open: VecDeque<(SmolStr, u8)>,
    /// Slots with one device that can be joined when all else is full.
    joinable: VecDeque<(SmolStr, u8)>,
    /// Root slots that may still be opened.
    pub(super) slots: usize,
    /// Functions left on the root bus, and how many of them are for devices that can go nowhere else.
    pub(super) root_functions: usize,
    pub(super) rooted: usize,
    /// Free functions behind the switches that there were before.
    pub(super) behind: usize,
}

impl Sharing {
    pub(super) fn new(state: &PciState) -> Self {
        let mut sharing = Self::default();
        if !state.root.multifunction {
            return sharing;
        }
        for (name, bus) in state.buses.iter() {
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
                Kind::Port | Kind::Switch | Kind::Shared | Kind::Bridge | Kind::Own => {}
            }
        }
        sharing
    }

    /// Function 0 of a slot that has lost it.
    pub(super) fn head(
        &mut self,
        state: &mut PciState,
        item: &Item<'_, '_>,
        rooted: bool,
    ) -> Option<Placement> {
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
    pub(super) fn place(
        &mut self,
        state: &mut PciState,
        item: &Item<'_, '_>,
        rooted: bool,
    ) -> Option<Placement> {
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
                self.open.push_back((root.into(), slot));
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
        self.open.push_back((state.id_of(port), 0));
        take_from(&mut self.open, state, item, |name| name != root)
    }
}

/// Takes the next function of the first slot in the list that is on a fitting bus; full slots leave the list.
fn take_from(
    slots: &mut VecDeque<(SmolStr, u8)>,
    state: &mut PciState,
    item: &Item<'_, '_>,
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
