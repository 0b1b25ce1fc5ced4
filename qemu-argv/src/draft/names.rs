//! Names: made of harmless characters, unique where QEMU wants them so, kept from plan to plan.

use std::collections::BTreeSet;

use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use super::Draft;
use crate::error::{At, Fault, short};
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
        let print = |item| given(item).is_none().then(|| fingerprint(item));
        let prints: Vec<_> = items.iter().map(print).collect();
        let mut ids = ids::kept(list, &prints, self.earlier_ids);
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = given(item) {
                ids[index] = Some(id.into());
            }
        }
        let mut taken: BTreeSet<SmolStr> = ids.iter().flatten().cloned().collect();
        // Numbers below this are known to be in use.
        let mut first_free = 0;
        let named: Vec<_> = ids
            .into_iter()
            .enumerate()
            .map(|(index, id)| {
                id.unwrap_or_else(|| {
                    let mut numbers = index.max(first_free)..;
                    let free = |number| {
                        let id = format_smolstr!("{prefix}{number}");
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
        match self.where_named(space, name) {
            None => self.record(space, name, self.origin(at)),
            Some(first) => {
                let first = first.to_owned();
                self.fault(at, Fault::Duplicate { what: space.what(), value: short(name), first });
            }
        }
    }

    /// The place a name comes from, where anybody will be told.
    fn origin(&self, at: At<'_>) -> String {
        if self.explaining { at.path() } else { String::new() }
    }

    pub(super) fn record(&mut self, space: Space, name: impl Into<SmolStr>, path: String) {
        self.names[space as usize].insert(name.into(), path);
    }

    /// Whether something of that name has been added.
    pub(crate) fn has(&self, space: Space, name: &str) -> bool {
        self.where_named(space, name).is_some()
    }

    /// The place in the configuration of what has that name.
    pub(crate) fn where_named(&self, space: Space, name: &str) -> Option<&str> {
        self.names[space as usize].get(name).map(String::as_str)
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
