//! Which bundle a part goes into.

use smol_str::SmolStr;

use super::Builder;
use crate::plan::{Bundle, Owner, PartRef};
use crate::planner::at::{At, Entry};

impl Builder<'_> {
    /// The bundle of what this place belongs to. Sections come one after another, so that it is the one of before, the next
    /// of its list, or a new one.
    pub(super) fn bundle_of(&mut self, at: At<'_>) -> usize {
        let entry = at.of();
        let is_it = |bundle: Option<&Bundle>| bundle.is_some_and(|bundle| bundle.owner.is(entry));
        if is_it(self.bundles.get(self.current)) {
            return self.current;
        }
        let in_list = entry.index.map(|index| self.list_start + index);
        self.current = match in_list {
            Some(number) if is_it(self.bundles.get(number)) => number,
            _ => self.new_bundle(entry.into(), None, None),
        };
        self.current
    }

    pub(super) fn new_bundle(&mut self, owner: Owner, id: Option<SmolStr>, print: Option<u64>) -> usize {
        self.bundles.push(Bundle::new(owner, id, print));
        self.bundles.len() - 1
    }

    /// Makes the bundles of a list of so many entries; parts of the list go into them.
    pub(super) fn new_list(&mut self, list: &'static str, ids: impl Iterator<Item = (SmolStr, Option<u64>)>) {
        self.list_start = self.bundles.len();
        for (index, (id, print)) in ids.enumerate() {
            self.new_bundle(Entry { section: list, index: Some(index) }.into(), Some(id), print);
        }
    }

    /// Makes the bundle of an entry that comes to a running machine, behind those of its list.
    pub(super) fn join_list(&mut self, list: &'static str) -> At<'static> {
        let is_mine =
            |bundle: &&Bundle| matches!(&bundle.owner, Owner::Entry { list: other, .. } if other == list);
        let index = self.bundles.iter().filter(is_mine).count();
        let at = At::newcomer(list, index);
        self.current = self.new_bundle(at.of().into(), None, None);
        at
    }

    pub(super) fn name_current(&mut self, id: &SmolStr, print: Option<u64>) {
        if let Some(bundle) = self.bundles.get_mut(self.current) {
            bundle.id = Some(id.clone());
            bundle.print = print;
        }
    }

    /// Notes that what this place belongs to needs a part of another bundle.
    pub(super) fn uses(&mut self, at: At<'_>, part: PartRef) {
        let user = self.bundle_of(at);
        if self.bundles[user].uses.contains(&part) {
            return;
        }
        self.sole_user(at, user, &part);
        self.bundles[user].uses.push(part);
    }
}

impl Owner {
    fn is(&self, entry: Entry) -> bool {
        match (self, entry.index) {
            (Self::Section(name), None) => name == entry.section,
            (Self::Entry { list, index }, Some(wanted)) => *index == wanted && list == entry.section,
            _ => false,
        }
    }
}

impl From<Entry> for Owner {
    fn from(entry: Entry) -> Self {
        match entry.index {
            None => Self::Section(entry.section.into()),
            Some(index) => Self::Entry { list: entry.section.into(), index },
        }
    }
}
