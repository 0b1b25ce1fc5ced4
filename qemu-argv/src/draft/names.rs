//! Names: made of harmless characters, unique where QEMU wants them so, kept from plan to plan.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use serde::Serialize;
use smol_str::SmolStr;

use super::Draft;
use crate::error::{At, Fault, short};
use crate::name::{Name, numbered};
use crate::plan::ids::{self, OwnId};
use crate::plan::print::fingerprint;

/// The namespaces of QEMU in which a name must be unique.
#[derive(Clone, Copy)]
pub(crate) enum Space {
    Device,
    Object,
    Node,
    Netdev,
    Chardev,
}

impl Space {
    pub(super) const COUNT: usize = 5;

    const fn what(self) -> &'static str {
        match self {
            Self::Device => "the device id",
            Self::Object => "the object id",
            Self::Node => "the block node name",
            Self::Netdev => "the network backend id",
            Self::Chardev => "the character device id",
        }
    }
}

impl Draft<'_> {
    /// The ids of a list: those given; for the others the id that an earlier plan gave the same element, else `PREFIX0`,
    /// `PREFIX1`, … by position, skipping names in use.
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
                self.check_id(At::ROOT.item(list, index).field("id"), id);
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
        ids::keep(list, &mut ids, self.earlier_ids);
        let taken: BTreeSet<SmolStr> = ids.iter().filter_map(|(id, _)| id.clone()).collect();
        // Numbers below this are in use.
        let mut first_free = 0;
        for (index, (id, print)) in ids.iter_mut().enumerate() {
            let id = id.get_or_insert_with(|| {
                let mut numbers = index.max(first_free)..;
                let free = |number| {
                    let id = numbered(prefix, number);
                    (!taken.contains(&id) && !self.has(Space::Device, &id)).then_some((number, id))
                };
                let (number, id) = numbers.find_map(free).unwrap_or_default();
                first_free = number + 1;
                id
            });
            if let Some(print) = *print {
                self.own_ids.push(OwnId { list: list.into(), print, id: id.clone() });
            }
        }
        ids.into_iter().map(|(id, _)| id.unwrap_or_default()).collect()
    }

    /// QEMU's rule for ids. Before 11.1 it does not check those of JSON devices, and `a/b` aborts it.
    pub(crate) fn check_id(&mut self, at: At<'_>, id: &str) -> bool {
        let mut bytes = id.bytes();
        let good = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && id.len() <= 64;
        if !good {
            self.invalid(
                at,
                id,
                "is no id: a letter first, then letters, digits, `-`, `.` and `_`, at most 64 in all",
            );
        }
        good
    }

    pub(super) fn claim(&mut self, at: At<'_>, space: Space, name: &SmolStr) {
        let origin = self.origin(at);
        match self.names[space as usize].entry(name.clone().into()) {
            Entry::Vacant(free) => drop(free.insert(origin)),
            Entry::Occupied(first) => {
                let (first, path) = (first.get().clone(), at.path());
                // What has an id of another has parts that are called after it. The last of them, its device, tells it.
                self.problems.retain(|problem| match &problem.fault {
                    Fault::Duplicate { value, .. } => {
                        !value.starts_with(name.as_str()) || !problem.path.starts_with(&path)
                    }
                    _ => true,
                });
                self.fault(at, Fault::Duplicate { what: space.what(), value: short(name), first });
            }
        }
    }

    /// The place a name comes from, where anybody will be told.
    fn origin(&self, at: At<'_>) -> String {
        if self.explaining { at.path() } else { String::new() }
    }

    pub(super) fn record(&mut self, space: Space, name: impl Into<Name>, path: String) {
        self.names[space as usize].insert(name.into(), path);
    }

    /// Whether something of that name has been added.
    pub(crate) fn has(&self, space: Space, name: &str) -> bool {
        self.where_named(space, name).is_some()
    }

    /// The place in the configuration of what has that name.
    pub(crate) fn where_named(&self, space: Space, name: &str) -> Option<&str> {
        self.names[space as usize].get(&name.into()).map(String::as_str)
    }

    /// Claims a place in the boot order, which only one device can have.
    pub(crate) fn boot_index(&mut self, at: At<'_>, index: u32) {
        let at = at.field("boot_index");
        match self.boot_indexes.get(&index) {
            Some(first) => {
                let first = first.clone();
                self.fault(at, Fault::Duplicate { what: "the boot index", value: index.to_string(), first });
            }
            None => drop(self.boot_indexes.insert(index, self.origin(at))),
        }
        if i32::try_from(index).is_err() {
            self.invalid(at, &index.to_string(), "is too large for a boot index");
        }
    }
}
