//! The ids of a machine, among which those of new controllers must differ.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::name::numbered;

/// The ids of a machine.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<SmolStr>);

impl Names {
    /// Adds a name, if it is new.
    pub(super) fn insert(&mut self, name: SmolStr) -> bool {
        self.0.insert(name)
    }

    /// Adds `wanted`, or the same with the next number that is not in use.
    pub(super) fn add(&mut self, wanted: impl Into<SmolStr>) -> SmolStr {
        let wanted = wanted.into();
        if self.insert(wanted.clone()) {
            return wanted;
        }
        let base = wanted.trim_end_matches(|last: char| last.is_ascii_digit());
        let number: u32 = wanted[base.len()..].parse().unwrap_or(0);
        // Above the numbers that ports have, so that names and numbers do not cross.
        let start = if number <= 1 { number + 1 } else { 1000 };
        // One name more than there are devices: one of them is unused.
        let candidates = (start..).map(|number| numbered(base, number)).take(self.0.len() + 1);
        for name in candidates {
            if self.insert(name.clone()) {
                return name;
            }
        }
        wanted
    }
}

impl FromIterator<SmolStr> for Names {
    fn from_iter<T: IntoIterator<Item = SmolStr>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}
