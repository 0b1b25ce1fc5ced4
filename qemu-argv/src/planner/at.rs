//! Places in the configuration, to name them when something is wrong there.

use std::fmt::Write as _;

/// A place in the configuration: cheap to build on every step down, printed only when something is wrong there.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    parent: Option<&'a At<'a>>,
    name: &'a str,
    index: Option<usize>,
    entry: Entry,
    /// Whether it is the section that describes a device for a running machine: places in it are named from there.
    is_relative: bool,
}

/// What a place belongs to: a section of the configuration, or an entry of one that is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) section: &'static str,
    pub(crate) index: Option<usize>,
}

impl<'a> At<'a> {
    const fn top(entry: Entry, is_relative: bool) -> At<'static> {
        At { parent: None, name: entry.section, index: entry.index, entry, is_relative }
    }

    /// A section of the configuration.
    pub(crate) const fn section(section: &'static str) -> At<'static> {
        Self::top(Entry { section, index: None }, false)
    }

    /// An entry of a section that is a list.
    pub(crate) const fn entry(section: &'static str, index: usize) -> At<'static> {
        Self::top(Entry { section, index: Some(index) }, false)
    }

    /// An entry that comes to a running machine. Who describes it has no list, so that places are named from the entry on.
    pub(crate) const fn newcomer(section: &'static str, index: usize) -> At<'static> {
        Self::top(Entry { section, index: Some(index) }, true)
    }

    /// What this place belongs to.
    pub(crate) fn of(&self) -> Entry {
        self.entry
    }

    /// A field of this place.
    pub(crate) fn field(&'a self, name: &'a str) -> At<'a> {
        At { parent: Some(self), name, index: None, ..*self }
    }

    /// An element of a list field of this place.
    pub(crate) fn item(&'a self, name: &'a str, index: usize) -> At<'a> {
        At { parent: Some(self), name, index: Some(index), ..*self }
    }

    fn write(&self, out: &mut String) {
        match self.parent {
            None if self.is_relative => return,
            None => {}
            Some(parent) => {
                parent.write(out);
                if !out.is_empty() {
                    out.push('.');
                }
            }
        }
        out.push_str(self.name);
        if let Some(index) = self.index {
            // Writing to a String cannot fail.
            let _ = write!(out, "[{index}]");
        }
    }

    /// The place as a reader would write it, such as `disks[1].throttle`.
    pub(crate) fn path(&self) -> String {
        let mut out = String::with_capacity(32);
        self.write(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_print_as_a_reader_would_write_them() {
        let disk = At::entry("disks", 1);
        let throttle = disk.field("throttle");
        assert_eq!(throttle.field("group").path(), "disks[1].throttle.group");
        assert_eq!(throttle.of(), disk.of());
        let newcomer = At::newcomer("disks", 2);
        assert_eq!((newcomer.path().as_str(), newcomer.field("serial").path().as_str()), ("", "serial"));
    }
}
