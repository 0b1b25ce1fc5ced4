//! Names: made of harmless characters, unique where QEMU wants them so, kept from plan to plan.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use serde::Serialize;
use smol_str::SmolStr;

use super::Builder;
use crate::error::{Fault, short};
use crate::name::numbered;
use crate::plan::{Bundle, PartKind};
use crate::planner::at::At;
use crate::planner::fingerprint::fingerprint;
use crate::planner::ids;

const fn what(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Device => "device id",
        PartKind::Object => "object id",
        PartKind::BlockNode => "block node name",
        PartKind::Netdev => "network backend id",
        PartKind::Chardev => "character device id",
    }
}

impl Builder<'_> {
    /// The ids of a list: those given; for the others the id that an earlier plan gave the same element, else `PREFIX0`,
    /// `PREFIX1`, … by position, skipping names in use. What is added for the elements from then on goes into their bundles.
    pub(crate) fn ids<T: Serialize>(
        &mut self,
        list: &'static str,
        prefix: &str,
        items: &[T],
        given: impl Fn(&T) -> Option<&str>,
    ) -> Vec<SmolStr> {
        if items.is_empty() {
            return Vec::new();
        }
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = given(item) {
                self.check_id(At::entry(list, index).field("id"), id);
            }
        }
        // Each element's id, and the print of one that needs one.
        let mut ids: Vec<(Option<SmolStr>, Option<u64>)> = items
            .iter()
            .map(|item| match given(item) {
                Some(id) => (Some(id.into()), None),
                None => (None, Some(fingerprint(item))),
            })
            .collect();
        ids::keep(list, &mut ids, self.earlier);
        let taken: BTreeSet<SmolStr> = ids.iter().filter_map(|(id, _)| id.clone()).collect();
        // Numbers below this are in use.
        let mut first_free = 0;
        for (index, (id, _)) in ids.iter_mut().enumerate() {
            id.get_or_insert_with(|| {
                let (number, id) = self.free_id(prefix, index.max(first_free), &taken);
                first_free = number + 1;
                id
            });
        }
        self.new_list(list, ids.iter().map(|(id, print)| (id.clone().unwrap_or_default(), *print)));
        ids.into_iter().map(|(id, _)| id.unwrap_or_default()).collect()
    }

    /// The place and the id of an entry that comes to a running machine. What is added at that place goes into its bundle.
    pub(crate) fn join<T: Serialize>(
        &mut self,
        list: &'static str,
        prefix: &str,
        item: &T,
        given: Option<&str>,
    ) -> (At<'static>, SmolStr) {
        let at = self.join_list(list);
        let (id, print) = match given {
            Some(id) => {
                self.check_id(at.field("id"), id);
                (id.into(), None)
            }
            None => (self.free_id(prefix, 0, &BTreeSet::new()).1, Some(fingerprint(item))),
        };
        self.name_current(&id, print);
        (at, id)
    }

    /// The first name `PREFIXn` that is free, from that number on.
    fn free_id(&self, prefix: &str, from: usize, taken: &BTreeSet<SmolStr>) -> (usize, SmolStr) {
        let free = |number| {
            let id = numbered(prefix, number);
            (!taken.contains(&id) && self.named(PartKind::Device, &id).is_none()).then_some((number, id))
        };
        (from..).find_map(free).unwrap_or_default()
    }

    /// QEMU's rule for ids. Before 11.1, QEMU does not check ids in JSON devices, and aborts on `a/b`.
    pub(crate) fn check_id(&mut self, at: At<'_>, id: &str) -> bool {
        let mut bytes = id.bytes();
        let good = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && id.len() <= 64;
        if !good {
            self.invalid(
                at,
                id,
                "is not a valid id: it must start with a letter and contain only letters, digits, `-`, `.` and `_` (at most 64 characters)",
            );
        }
        good
    }

    /// Claims a name for a part of the bundle.
    pub(super) fn claim(&mut self, at: At<'_>, bundle: usize, kind: PartKind, name: &SmolStr) {
        match self.names.of(kind).entry(name.clone()) {
            Entry::Vacant(free) => drop(free.insert(bundle)),
            Entry::Occupied(first) => {
                let first = *first.get();
                let (first, path) = (self.owner_of(first), at.path());
                // A reused id makes every part named after it collide. Report only the last collision, the device.
                self.problems.retain(|problem| match &problem.fault {
                    Fault::Duplicate { value, .. } => {
                        !value.starts_with(name.as_str()) || !problem.path.starts_with(&path)
                    }
                    _ => true,
                });
                self.fault(at, Fault::Duplicate { what: what(kind), value: short(name), first });
            }
        }
    }

    fn owner_of(&self, bundle: usize) -> String {
        match self.bundles.get(bundle) {
            Some(found) if bundle >= self.there => found.owner.to_string(),
            _ => "the running machine".to_owned(),
        }
    }

    /// The bundle of the part of that name.
    pub(crate) fn named(&self, kind: PartKind, name: &str) -> Option<usize> {
        self.names.bundle(kind, name)
    }

    /// The same, to look into it.
    pub(crate) fn bundle_named(&self, kind: PartKind, name: &str) -> Option<&Bundle> {
        self.named(kind, name).and_then(|number| self.bundles.get(number))
    }

    /// Takes all names of a running machine.
    pub(super) fn take_all_names(&mut self) {
        for (number, bundle) in self.bundles.iter().enumerate() {
            for (kind, name) in bundle.names() {
                self.names.of(kind).insert(name.clone(), number);
            }
            // A backend without a device has the id that a device could have been given.
            if let Some(name) = bundle.main() {
                self.names.of(PartKind::Device).entry(name.clone()).or_insert(number);
            }
        }
        self.take_numbers();
    }
}
