//! The PCI buses of a machine by name. The root bus, which nearly every question is about, is at hand.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use smol_str::SmolStr;

use super::slots::Bus;

/// All buses.
#[derive(Debug)]
pub(super) struct Buses {
    name: &'static str,
    pub(super) root: Bus,
    others: BTreeMap<SmolStr, Bus>,
}

impl Buses {
    pub(super) fn new(name: &'static str, root: Bus) -> Self {
        Self { name, root, others: BTreeMap::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Bus> {
        if name == self.name { Some(&self.root) } else { self.others.get(name) }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Bus> {
        if name == self.name { Some(&mut self.root) } else { self.others.get_mut(name) }
    }

    pub(super) fn insert(&mut self, name: SmolStr, bus: Bus) {
        self.others.insert(name, bus);
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Bus)> {
        let before = self.others.range::<str, _>((Unbounded, Excluded(self.name)));
        let after = self.others.range::<str, _>((Excluded(self.name), Unbounded));
        let root = [(self.name, &self.root)];
        before
            .map(|(name, bus)| (name.as_str(), bus))
            .chain(root)
            .chain(after.map(|(name, bus)| (name.as_str(), bus)))
    }
}
