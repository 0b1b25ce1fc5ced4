//! The ids of a machine, among which those of new controllers must differ.

use std::collections::BTreeSet;

use smol_str::{SmolStr, format_smolstr};

/// The ids of a machine.
pub(super) type Names = BTreeSet<SmolStr>;

/// `wanted`, or the same with the next number that is not in use.
pub(super) fn unused_name(names: &Names, wanted: impl Into<SmolStr>) -> SmolStr {
    let wanted = wanted.into();
    if !names.contains(&wanted) {
        return wanted;
    }
    let base = wanted.trim_end_matches(|last: char| last.is_ascii_digit());
    let number: u32 = wanted[base.len()..].parse().unwrap_or(0);
    // Above the numbers that ports have, so that names and numbers do not cross.
    let start = if number <= 1 { number + 1 } else { 1000 };
    // One name more than there are devices: one of them is unused.
    let mut candidates = (start..).map(|number| format_smolstr!("{base}{number}")).take(names.len() + 1);
    candidates.find(|name| !names.contains(name)).unwrap_or_else(|| wanted.clone())
}
