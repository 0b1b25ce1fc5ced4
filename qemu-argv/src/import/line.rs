//! A command line while its options become typed fields, one after the other.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bag::{Bag, Why};
use super::options::{Fate, Opt};
use crate::qemu_target::Arch;
use crate::topology::Address;
use crate::value::Value;

/// Options that define something which others refer to, and the key of its name.
const DEFINITIONS: &[(&str, &str)] = &[
    ("audiodev", "id"),
    ("blockdev", "node-name"),
    ("chardev", "id"),
    ("device", "id"),
    ("drive", "id"),
    ("fsdev", "id"),
    ("netdev", "id"),
    ("object", "id"),
    ("tpmdev", "id"),
];

/// A command line.
pub(super) struct Line {
    pub(super) options: Vec<Opt>,
    pub(super) arch: Arch,
    /// Whether it was made by this crate, which places every device and leaves nothing to QEMU's defaults.
    pub(super) planned: bool,
    /// The name of the machine.
    pub(super) name: String,
    /// The machine's type.
    pub(super) machine: String,
    /// The buses that devices of the command line bring, which a config brings along by itself.
    pub(super) buses: BTreeMap<String, Bus>,
    /// Where devices are, by their ids.
    pub(super) places: BTreeMap<String, Address>,
    /// The controllers and ports of USB devices in a planned machine, by the devices' ids.
    pub(super) usb_ports: BTreeMap<String, (Option<String>, String)>,
    /// The controllers, units and logical units of disks and CD-ROM drives in a planned machine, by their ids.
    pub(super) units: BTreeMap<String, (Option<String>, u16, u16)>,
    /// The first option whose value QEMU would refuse, and why.
    pub(super) refused: Option<(usize, String)>,
    /// What a reader should know of the whole machine.
    pub(super) general: Vec<String>,
    /// What a reader should know of an option that became typed fields.
    pub(super) remarks: Vec<(usize, String)>,
    definitions: BTreeMap<(&'static str, String), usize>,
}

/// A bus that a config brings along by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bus {
    PciPort,
    /// One that the config has, and whether it has slot 0 alone.
    Own(bool),
    Scsi,
    Sata,
    Serial,
    Usb,
}

impl Line {
    pub(super) fn new(options: Vec<Opt>, arch: Arch) -> Self {
        let mut definitions = BTreeMap::new();
        for (at, option) in options.iter().enumerate() {
            let Some((_, key)) = DEFINITIONS.iter().find(|(name, _)| *name == option.name) else { continue };
            if let Some(id) = option.bag.as_ref().and_then(|bag| bag.peek(key)) {
                definitions.entry((option.name, id.to_owned())).or_insert(at);
            }
        }
        Self {
            options,
            arch,
            planned: false,
            name: String::new(),
            machine: String::new(),
            buses: BTreeMap::new(),
            places: BTreeMap::new(),
            usb_ports: BTreeMap::new(),
            units: BTreeMap::new(),
            refused: None,
            general: Vec::new(),
            remarks: Vec::new(),
            definitions,
        }
    }

    /// The options of a name that nobody has looked at, in order.
    pub(super) fn open(&self, name: &str) -> Vec<usize> {
        self.of(name).filter(|at| self.options[*at].fate == Fate::Open).collect()
    }

    /// All options of a name, whatever became of them.
    fn of(&self, name: &str) -> impl Iterator<Item = usize> {
        self.options.iter().enumerate().filter(move |(_, option)| option.name == name).map(|(at, _)| at)
    }

    /// Whether an option is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.of(name).next().is_some()
    }

    /// The keys and values of an option.
    pub(super) fn bag(&self, at: usize) -> Bag {
        self.options[at].bag.clone().unwrap_or_default()
    }

    /// The last of several options of a name, of which only that counts; the others are dropped.
    pub(super) fn last(&mut self, name: &str) -> Option<(usize, String)> {
        let mut all = self.open(name);
        let at = all.pop()?;
        for earlier in all {
            self.drop(earlier, format!("a later -{name} replaces it"));
        }
        self.typed(at);
        Some((at, self.options[at].text().to_owned()))
    }

    /// Whether a switch is there; it is then in typed fields.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        let all = self.open(name);
        self.typed_all(&all);
        !all.is_empty()
    }

    /// The keys and values of all options of a name, as QEMU merges them; they are then in typed fields.
    pub(super) fn merged(&mut self, name: &str) -> Option<(usize, Bag)> {
        let all = self.open(name);
        let mut bag = Bag::default();
        for at in &all {
            bag.append(self.bag(*at));
            self.typed(*at);
        }
        all.last().map(|at| (*at, bag))
    }

    /// Makes typed fields of each option of a name; those that `make` cannot take are passed on.
    pub(super) fn each(
        &mut self,
        name: &str,
        mut make: impl FnMut(&mut Self, usize, Bag) -> Result<(), Why>,
    ) {
        for at in self.open(name) {
            let bag = self.bag(at);
            match make(self, at, bag) {
                Ok(()) => self.typed(at),
                Err(why) => self.extra(at, why),
            }
        }
    }

    pub(super) fn typed(&mut self, at: usize) {
        self.options[at].fate = Fate::Typed;
    }

    pub(super) fn typed_all(&mut self, all: &[usize]) {
        for at in all {
            self.typed(*at);
        }
    }

    /// Marks options that belong together to be passed on.
    pub(super) fn extra_all(&mut self, all: &[usize], why: &str) {
        for at in all {
            self.extra(*at, why);
        }
    }

    pub(super) fn drop(&mut self, at: usize, why: impl Into<String>) {
        self.options[at].fate = Fate::Dropped(why.into());
    }

    pub(super) fn extra(&mut self, at: usize, why: impl Into<String>) {
        self.options[at].fate = Fate::Extra(why.into());
    }

    /// The address for a config: none where this crate planned it and would do so again, which is found out later.
    pub(super) fn placed(&mut self, id: Option<&str>, place: Option<Address>) -> Option<Address> {
        match (self.planned, id, place) {
            (true, Some(id), Some(place)) => {
                self.places.insert(id.to_owned(), place);
                None
            }
            (true, ..) => None,
            (false, _, place) => place,
        }
    }

    /// Refuses the command line for an option's value, as QEMU would.
    pub(super) fn refuse(&mut self, at: usize, why: Why) {
        self.refused.get_or_insert((at, why));
    }

    /// Says something of an option that is in typed fields.
    pub(super) fn remark(&mut self, at: usize, what: impl Into<String>) {
        self.remarks.push((at, what.into()));
    }

    /// The option that defines a name, if nobody has taken it.
    pub(super) fn definition(&self, option: &'static str, id: &str) -> Option<usize> {
        self.anywhere(option, id).filter(|at| self.options[*at].fate == Fate::Open)
    }

    /// The option that defines a name, whatever became of it.
    pub(super) fn anywhere(&self, option: &'static str, id: &str) -> Option<usize> {
        self.definitions.get(&(option, id.to_owned())).copied()
    }

    /// An object that is only there for one device: its place, and what it says without type and id.
    pub(super) fn object(&self, id: &str) -> Result<(usize, String, Bag), Why> {
        let at = self
            .definition("object", id)
            .ok_or_else(|| format!("the object {id} is missing or used elsewhere"))?;
        let mut bag = self.bag(at);
        bag.take("id");
        let kind = bag.needed("qom-type")?;
        Ok((at, kind, bag))
    }

    /// How often an id is referred to, not counting monitors.
    pub(super) fn references(&self, key: &str, id: &str) -> usize {
        let legacy = format!("chardev:{id}");
        let options = self
            .options
            .iter()
            .filter(|option| !matches!(option.name, "mon" | "monitor" | "qmp" | "qmp-pretty"));
        options
            .map(|option| {
                let by_key = option.bag.iter().flat_map(Bag::iter).filter(|(name, value)| {
                    (*name == key || name.strip_prefix(key).is_some_and(|rest| rest.starts_with("s.")))
                        && matches!(value, Value::Str(text) if text == id)
                });
                by_key.count() + usize::from(key == "chardev" && option.text() == legacy)
            })
            .sum()
    }

    /// Whether something on a PCI bus of its own sits on the bus of that device: a bridge, or one function of several.
    pub(super) fn carries(&self, id: Option<&str>) -> bool {
        let Some(id) = id.filter(|_| !self.planned) else { return false };
        let is_on = |option: &&Opt| {
            let bag = option.bag.as_ref();
            let driver = bag.and_then(|bag| bag.peek("driver")).unwrap_or_default();
            let nested = driver.contains("bridge")
                || driver.contains("upstream")
                || bag.is_some_and(|bag| bag.has("multifunction"));
            option.name == "device" && bag.and_then(|bag| bag.peek("bus")) == Some(id) && nested
        };
        self.options.iter().any(|option| is_on(&option))
    }

    /// How many monitors are on a character device.
    pub(super) fn monitors_on(&self, id: &str) -> usize {
        let legacy = format!("chardev:{id}");
        let is_one = |option: &&Opt| match option.name {
            "mon" => option.bag.as_ref().and_then(|bag| bag.peek("chardev")) == Some(id),
            "monitor" | "qmp" | "qmp-pretty" => option.text() == legacy,
            _ => false,
        };
        self.options.iter().filter(is_one).count()
    }

    pub(super) fn is_pc(&self) -> bool {
        let kind = self.machine.as_str();
        matches!(self.arch, Arch::X86_64 | Arch::I386) && (kind == "pc" || kind.starts_with("pc-i440fx"))
    }

    pub(super) fn is_q35(&self) -> bool {
        let kind = self.machine.as_str();
        matches!(self.arch, Arch::X86_64 | Arch::I386) && (kind == "q35" || kind.starts_with("pc-q35"))
    }

    pub(super) fn is_virt(&self) -> bool {
        self.machine == "virt" || self.machine.starts_with("virt-")
    }
}

/// Everything that is passed on, and for each such option where it is in the list.
pub(super) fn extra_args(line: &Line) -> (Vec<String>, BTreeMap<usize, Range<usize>>) {
    let mut args = Vec::new();
    let mut ranges = BTreeMap::new();
    for (at, option) in line.options.iter().enumerate() {
        if matches!(option.fate, Fate::Extra(_)) {
            let start = args.len();
            args.extend(option.words());
            ranges.insert(at, start..args.len());
        }
    }
    (args, ranges)
}
