//! The options of a command line: which take an argument, and how that is written.

use super::bag::Bag;
use super::error::ImportError;
use crate::flag_options::FLAG_OPTIONS;

/// The options of QEMU 7.2 to 11.1 that take an argument, without dashes, and some of earlier releases.
const WITH_ARGUMENT: &[&str] = &[
    "D",
    "L",
    "M",
    "accel",
    "acpitable",
    "action",
    "add-fd",
    "append",
    "audio",
    "audiodev",
    "balloon",
    "bios",
    "blockdev",
    "boot",
    "cdrom",
    "chardev",
    "chroot",
    "compat",
    "cpu",
    "d",
    "debugcon",
    "device",
    "dfilter",
    "display",
    "drive",
    "dtb",
    "dump-vmstate",
    "echr",
    "fda",
    "fdb",
    "fsdev",
    "fw_cfg",
    "g",
    "gdb",
    "global",
    "hda",
    "hdb",
    "hdc",
    "hdd",
    "icount",
    "incoming",
    "initrd",
    "iscsi",
    "k",
    "kernel",
    "loadvm",
    "m",
    "machine",
    "mem-path",
    "mon",
    "monitor",
    "msg",
    "mtdblock",
    "name",
    "net",
    "netdev",
    "nic",
    "numa",
    "object",
    "option-rom",
    "overcommit",
    "parallel",
    "pflash",
    "pidfile",
    "plugin",
    "prom-env",
    "qmp",
    "qmp-pretty",
    "readconfig",
    "rotate",
    "rtc",
    "run-with",
    "runas",
    "sandbox",
    "sd",
    "seed",
    "semihosting-config",
    "serial",
    "set",
    "shim",
    "smbios",
    "smp",
    "soundhw",
    "spice",
    "tb-size",
    "tpmdev",
    "trace",
    "usbdevice",
    "uuid",
    "vga",
    "virtfs",
    "virtioconsole",
    "vnc",
    "watchdog",
    "watchdog-action",
    "writeconfig",
    "xen-domid",
];

/// The options whose argument is keys and values: the key of a first value without one, and whether dots nest.
const STRUCTURED: &[(&str, Option<&str>, bool)] = &[
    ("accel", Some("accel"), false),
    ("action", None, false),
    ("audiodev", Some("driver"), true),
    ("blockdev", Some("driver"), true),
    ("boot", Some("order"), false),
    ("chardev", Some("backend"), false),
    ("device", Some("driver"), false),
    ("display", Some("type"), true),
    ("drive", None, false),
    ("fsdev", Some("fsdriver"), false),
    ("fw_cfg", Some("name"), false),
    ("icount", Some("shift"), false),
    ("m", Some("size"), false),
    ("machine", Some("type"), false),
    ("mon", Some("chardev"), false),
    ("msg", None, false),
    ("name", Some("guest"), false),
    ("net", Some("type"), false),
    ("netdev", Some("type"), true),
    ("nic", Some("type"), false),
    ("numa", Some("type"), false),
    ("object", Some("qom-type"), true),
    ("overcommit", None, false),
    ("plugin", Some("file"), false),
    ("rtc", None, false),
    ("sandbox", Some("enable"), false),
    ("semihosting-config", Some("enable"), false),
    ("smbios", None, false),
    ("smp", Some("cpus"), false),
    ("spice", None, false),
    ("tpmdev", Some("type"), false),
    ("virtfs", Some("fsdriver"), false),
    ("vnc", Some("vnc"), false),
];

/// What becomes of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody has looked at it.
    Open,
    /// It is in typed fields.
    Typed,
    /// It is dropped, because of this.
    Dropped(String),
    /// It is passed on as it is, because of this.
    Extra(String),
}

/// An option, or an image that stands alone.
#[derive(Clone, Debug)]
pub(super) struct Opt {
    /// The place of its name among the words of the command line.
    pub(super) index: usize,
    /// The name without dashes; empty for an image that stands alone.
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    /// Keys and values, where the argument has them.
    pub(super) bag: Option<Bag>,
    pub(super) fate: Fate,
}

impl Opt {
    /// The arguments as they would be written again.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        let name = (!self.name.is_empty()).then(|| format!("-{}", self.name));
        name.into_iter().chain(self.value.clone())
    }

    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

/// Reads the words behind the program; the first has the number `first`.
pub(super) fn options(words: &[String], first: usize) -> Result<Vec<Opt>, ImportError> {
    let mut options = Vec::new();
    let mut words = words.iter().enumerate();
    while let Some((place, word)) = words.next() {
        let index = place + first;
        if word.contains('\0') {
            return Err(ImportError::new(index, word, "an argument has no NUL character inside"));
        }
        let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
            let value = Some(word.clone());
            options.push(Opt { index, name: "", value, bag: None, fate: Fate::Open });
            continue;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        if let Some(name) = FLAG_OPTIONS.iter().find(|known| **known == name) {
            options.push(Opt { index, name, value: None, bag: None, fate: Fate::Open });
            continue;
        }
        let Some(name) = WITH_ARGUMENT.iter().find(|known| **known == name) else {
            return Err(ImportError::new(index, word, "QEMU has no such option"));
        };
        let Some((_, value)) = words.next() else {
            return Err(ImportError::new(index, word, "its value is missing: the command line ends here"));
        };
        if value.contains('\0') {
            return Err(ImportError::new(index + 1, value, "an argument has no NUL character inside"));
        }
        let name = if *name == "M" { "machine" } else { name };
        let bag = match STRUCTURED.iter().find(|(known, ..)| *known == name) {
            None => None,
            Some((_, implied, nested)) => Some(
                Bag::read(value, *implied, *nested).map_err(|why| ImportError::new(index + 1, value, why))?,
            ),
        };
        options.push(Opt { index, name, value: Some(value.clone()), bag, fate: Fate::Open });
    }
    Ok(options)
}
