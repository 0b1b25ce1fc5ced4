//! The PCI buses of a machine by name. The root bus, which nearly every question is about, is at hand.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use smol_str::SmolStr;

use super::slots::Bus;

/// All buses.
#[derive(Debug)]
pub(super) struct Buses {
    pub(super) root_name: SmolStr,
    pub(super) root: Bus,
    others: BTreeMap<SmolStr, Bus>,
    /// Who has which function of which slot, as they came; asked only for errors.
    holders: Vec<Holder>,
}

#[derive(Debug)]
struct Holder {
    bus: SmolStr,
    slot: u8,
    function: u8,
    id: SmolStr,
}

impl Buses {
    pub(super) fn new(root_name: SmolStr, root: Bus) -> Self {
        Self { root_name, root, others: BTreeMap::new(), holders: Vec::with_capacity(32) }
    }

    pub(super) fn get(&self, name: &SmolStr) -> Option<&Bus> {
        if *name == self.root_name { Some(&self.root) } else { self.others.get(name) }
    }

    pub(super) fn get_mut(&mut self, name: &SmolStr) -> Option<&mut Bus> {
        if *name == self.root_name { Some(&mut self.root) } else { self.others.get_mut(name) }
    }

    pub(super) fn insert(&mut self, name: SmolStr, bus: Bus) {
        self.others.insert(name, bus);
    }

    /// Remembers who took a function.
    pub(super) fn hold(&mut self, bus: &SmolStr, slot: u8, function: u8, id: SmolStr) {
        self.holders.push(Holder { bus: bus.clone(), slot, function, id });
    }

    /// Who took a function.
    pub(super) fn holder(&self, bus: &str, slot: u8, function: u8) -> &str {
        let place =
            |holder: &&Holder| holder.bus == bus && (holder.slot, holder.function) == (slot, function);
        self.holders.iter().find(place).map(|holder| holder.id.as_str()).unwrap_or_default()
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&SmolStr, &Bus)> {
        let name = &self.root_name;
        let before = self.others.range::<SmolStr, _>((Unbounded, Excluded(name)));
        let after = self.others.range::<SmolStr, _>((Excluded(name), Unbounded));
        let root = [(&self.root_name, &self.root)];
        before.chain(root).chain(after)
    }
}
