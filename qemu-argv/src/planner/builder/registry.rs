//! Who has which name.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::plan::PartKind;

/// All names so far, and the bundle of each.
#[derive(Default)]
pub(super) struct Names([BTreeMap<SmolStr, usize>; 5]);

impl Names {
    pub(super) fn of(&mut self, kind: PartKind) -> &mut BTreeMap<SmolStr, usize> {
        &mut self.0[kind as usize]
    }

    pub(super) fn bundle(&self, kind: PartKind, name: &str) -> Option<usize> {
        self.0[kind as usize].get(name).copied()
    }
}
