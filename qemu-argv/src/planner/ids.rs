//! Names and numbers that must be the same every time.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::config::{CharBackend, DbusChardev};
use crate::name::join;
use crate::plan::{Bundle, Owner};

/// Gives each element without a name of its own (those with a print) the name that it had in an earlier plan.
///
/// An element is known again by its content. Where the list is as long as before, one that was edited in place is known by
/// being the next that is left.
pub(crate) fn keep(list: &str, ids: &mut [(Option<SmolStr>, Option<u64>)], earlier: &[Bundle]) {
    // The names that were chosen, each with the print of its element.
    let chosen = earlier.iter().filter_map(|bundle| match &bundle.owner {
        Owner::Entry { list: same, .. } if same == list => Some((bundle.print?, bundle.id.as_ref()?)),
        _ => None,
    });
    let mut left: Vec<_> = chosen.map(Some).collect();
    if left.is_empty() {
        return;
    }
    let same_length = left.len() == ids.iter().filter(|(_, print)| print.is_some()).count();
    // Where each print is left, the first one last.
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, own) in left.iter().enumerate().rev() {
        places.entry(own.map_or(0, |(print, _)| print)).or_default().push(place);
    }
    for (id, print) in ids.iter_mut() {
        let place = print.and_then(|print| places.get_mut(&print)?.pop());
        if let Some((_, own)) = place.and_then(|place| left[place].take()) {
            *id = Some(own.clone());
        }
    }
    if same_length {
        let unknown = ids.iter_mut().filter(|(id, print)| print.is_some() && id.is_none());
        for ((id, _), (_, own)) in unknown.zip(left.into_iter().flatten()) {
            *id = Some(own.clone());
        }
    }
}

/// The name of a device's own character device. On D-Bus it is part of an object's path, and QEMU crashes on dashes and dots.
pub(crate) fn chardev_name(id: &str, backend: &CharBackend) -> SmolStr {
    match backend {
        CharBackend::Dbus(DbusChardev { .. }) => format!("{}_chardev", id.replace(['-', '.'], "_")).into(),
        _ => join([id, "-chardev"]),
    }
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
