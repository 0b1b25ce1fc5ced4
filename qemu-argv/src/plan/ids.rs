//! Names and numbers that must be the same every time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::config::CharBackend;
use crate::name::join;

/// A name that the plan chose for an element of a list, remembered so that the element keeps it when others come and go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnId {
    pub(crate) list: Cow<'static, str>,
    /// The element's content, hashed.
    pub(crate) print: u64,
    pub(crate) id: SmolStr,
}

/// Gives each element without a name of its own (those with a print) the name that it had in an earlier plan.
///
/// An element is known again by its content. Where the list is as long as before, one that was edited in place is known by
/// being the next that is left.
pub(crate) fn keep(list: &str, ids: &mut [(Option<SmolStr>, Option<u64>)], earlier: &[OwnId]) {
    let mut left: Vec<_> = earlier.iter().filter(|own| own.list == list).map(Some).collect();
    if left.is_empty() {
        return;
    }
    let same_length = left.len() == ids.iter().filter(|(_, print)| print.is_some()).count();
    // Where each print is left, the first one last.
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, own) in left.iter().enumerate().rev() {
        places.entry(own.map_or(0, |own| own.print)).or_default().push(place);
    }
    for (id, print) in ids.iter_mut() {
        let place = print.and_then(|print| places.get_mut(&print)?.pop());
        if let Some(own) = place.and_then(|place| left[place].take()) {
            *id = Some(own.id.clone());
        }
    }
    if same_length {
        let unknown = ids.iter_mut().filter(|(id, print)| print.is_some() && id.is_none());
        for ((id, _), own) in unknown.zip(left.into_iter().flatten()) {
            *id = Some(own.id.clone());
        }
    }
}

/// The name of a device's own character device.
pub(crate) fn chardev_name(id: &str, backend: &CharBackend) -> SmolStr {
    match backend {
        CharBackend::Dbus { .. } => dbus_chardev_name(id).into(),
        _ => join([id, "-chardev"]),
    }
}

/// The same on D-Bus, where the name is part of an object's path: QEMU crashes on others.
fn dbus_chardev_name(id: &str) -> String {
    format!("{}_chardev", id.replace(['-', '.'], "_"))
}

/// Whether it is the name of the device's own character device.
pub(crate) fn is_chardev_of(name: &str, id: &str) -> bool {
    name.strip_suffix("-chardev") == Some(id) || name == dbus_chardev_name(id)
}

/// FNV-1a over all parts, each ended by a byte that no text has, so that `("a", "b")` and `("ab", "")` differ.
///
/// Not `std`'s hasher: its result may change with the compiler, and MAC addresses must not.
pub(crate) fn stable_hash(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    for part in parts {
        for &byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    // The first octets are used for addresses; folding brings the entropy of the last ones there.
    hash ^ (hash << 29) ^ (hash >> 31)
}
