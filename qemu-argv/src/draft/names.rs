//! Names: made of harmless characters, unique where QEMU wants them so, kept from plan to plan.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Draft;
use crate::error::{At, Fault, short};
use crate::plan::ids::{self, OwnId, stable_hash};

/// The namespaces of QEMU in which a name must be unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Space {
    Device,
    Object,
    Node,
    Netdev,
    Chardev,
}

impl Space {
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
    ) -> Vec<String> {
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = given(item) {
                self.check_id(At::ROOT.item(list, index).field("id"), id);
            }
        }
        let print = |item: &T| {
            given(item).is_none().then(|| stable_hash(&[&serde_json::to_vec(item).unwrap_or_default()]))
        };
        let prints: Vec<_> = items.iter().map(print).collect();
        let mut ids = ids::kept(list, &prints, self.earlier_ids);
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = given(item) {
                ids[index] = Some(id.to_owned());
            }
        }
        let mut taken: BTreeSet<String> = ids.iter().flatten().cloned().collect();
        // Numbers below this are known to be in use.
        let mut first_free = 0;
        let named: Vec<_> = ids
            .into_iter()
            .enumerate()
            .map(|(index, id)| {
                id.unwrap_or_else(|| {
                    let mut numbers = index.max(first_free)..;
                    let free = |number| {
                        let id = format!("{prefix}{number}");
                        (!taken.contains(&id) && !self.has(Space::Device, &id)).then_some((number, id))
                    };
                    let (number, id) = numbers.find_map(free).unwrap_or_default();
                    first_free = number + 1;
                    taken.insert(id.clone());
                    id
                })
            })
            .collect();
        for (print, id) in prints.into_iter().zip(&named) {
            if let Some(print) = print {
                self.own_ids.push(OwnId { list: list.into(), print, id: id.clone() });
            }
        }
        named
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

    pub(super) fn claim(&mut self, at: At<'_>, space: Space, name: &str) {
        let path = at.to_string();
        match self.names.entry((space, name.to_owned())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(path);
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                let first = entry.get().clone();
                self.fault(at, Fault::Duplicate { what: space.what(), value: short(name), first });
            }
        }
    }

    /// Whether something of that name has been added.
    pub(crate) fn has(&self, space: Space, name: &str) -> bool {
        self.names.contains_key(&(space, name.to_owned()))
    }

    /// Claims a place in the boot order, which only one device can have.
    pub(crate) fn boot_index(&mut self, at: At<'_>, index: u32) {
        let at = at.field("boot_index");
        match self.boot_indexes.iter().find(|(other, _)| *other == index) {
            Some((_, first)) => {
                let first = first.clone();
                self.fault(at, Fault::Duplicate { what: "the boot index", value: index.to_string(), first });
            }
            None => self.boot_indexes.push((index, at.to_string())),
        }
        if i32::try_from(index).is_err() {
            self.invalid(at, &index.to_string(), "is too large for a boot index");
        }
    }
}
