//! The order of devices on the command line, where QEMU asks for one: IOMMUs before all that they are for, each bus before what is on
//! it. All else stays in the order of the configuration.

use std::collections::BTreeMap;

use crate::plan::{Bundle, Device, Owner};

/// Sorts the bundles. `early` are those that others need, and whether they must come before everything.
pub(super) fn sort(bundles: Vec<Bundle>, early: &[(usize, bool)]) -> Vec<Bundle> {
    if early.is_empty() {
        return bundles;
    }
    let mut ranks: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, is_first) in early {
        let rank = if *is_first { 0 } else { 2 + depth(&bundles, early, *number) };
        ranks.insert(*number, rank);
    }
    let rank = |number: usize, bundle: &Bundle| {
        let controllers = usize::from(bundle.owner != Owner::Controllers) * usize::MAX;
        ranks.get(&number).copied().unwrap_or(controllers.max(1))
    };
    let mut sorted: Vec<(usize, Bundle)> =
        bundles.into_iter().enumerate().map(|(number, bundle)| (rank(number, &bundle), bundle)).collect();
    sorted.sort_by_key(|(rank, _)| *rank);
    sorted.into_iter().map(|(_, bundle)| bundle).collect()
}

/// On how many others of them a device sits, one below the other.
fn depth(bundles: &[Bundle], early: &[(usize, bool)], number: usize) -> usize {
    let mut depth = 0;
    let mut current = number;
    while let Some(parent) = parent(bundles, early, current) {
        depth += 1;
        current = parent;
        // Devices that sit on each other are refused by QEMU.
        if depth > early.len() {
            break;
        }
    }
    depth
}

fn parent(bundles: &[Bundle], early: &[(usize, bool)], number: usize) -> Option<usize> {
    let device = device(bundles, number)?;
    let bus = device.props.get_str("masterbus").or_else(|| device.place.bus())?;
    let owner = |id: &str| bus.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let others = early.iter().map(|(other, _)| *other).filter(|other| *other != number);
    others.into_iter().find(|other| self::device(bundles, *other).is_some_and(|other| owner(&other.id)))
}

fn device(bundles: &[Bundle], number: usize) -> Option<&Device> {
    bundles.get(number)?.devices.first()
}
