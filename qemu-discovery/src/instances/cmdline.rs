//! A QEMU's command line, taken apart option by option.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use qemu_argv::{Accelerator, Arch, FLAG_OPTIONS};

use super::options::Options;
use super::{procfs, readconfig};
use crate::Places;

/// The longest `-readconfig` file that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Which guests the program of this name runs; `None`: it is no QEMU.
pub(super) fn qemu_arch(program: &Path) -> Option<Arch> {
    let name = program.file_name()?.to_str()?;
    if matches!(name, "qemu-kvm" | "kvm") {
        return Arch::host();
    }
    // Wrappers of Nix and builds for small machines have something around the name.
    let name = name.trim_start_matches('.').trim_end_matches("-wrapped").trim_end_matches("-microvm");
    name.strip_prefix("qemu-system-")?.parse().ok()
}

/// The options with their values, those of configuration files included.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    /// Option without dashes, value.
    given: Vec<(String, String)>,
    /// Options from configuration files, by group.
    sections: Vec<readconfig::Section>,
}

impl CommandLine {
    pub(super) fn read(places: &Places, pid: u32, argv: &[OsString]) -> Self {
        let mut line = Self { given: pairs(argv), sections: Vec::new() };
        for file in line.values("readconfig").map(PathBuf::from).collect::<Vec<_>>() {
            let Some(file) = procfs::resolve(places, pid, &file) else { continue };
            // The process may have a root of its own; of others' processes that cannot be told.
            let inside = places.at(format!("/proc/{pid}/root")).join(file.strip_prefix("/").unwrap_or(&file));
            let path = if inside.exists() { inside } else { places.at(&file) };
            if path.metadata().is_ok_and(|file| file.is_file() && file.len() <= MAX_CONFIG_BYTES)
                && let Ok(text) = std::fs::read(&path)
            {
                line.sections.extend(readconfig::sections(&String::from_utf8_lossy(&text)));
            }
        }
        line
    }

    /// The values of an option, in order.
    pub(super) fn values(&self, option: &str) -> impl Iterator<Item = &str> {
        let option = option.to_owned();
        self.given.iter().filter(move |(name, _)| *name == option).map(|(_, value)| value.as_str())
    }

    /// The values of an option, taken apart, then those of its group in configuration files.
    pub(super) fn options(&self, group: &'static str, implied: &str) -> Vec<Options> {
        let given = self.values(group).map(|value| Options::read(value, implied));
        given
            .chain(self.sections.iter().filter(|(name, _)| name == group).map(|(_, options)| options.clone()))
            .collect()
    }

    pub(super) fn name(&self) -> Option<String> {
        let names = self.options("name", "guest");
        names.iter().rev().find_map(|options| options.get("guest")).map(str::to_owned)
    }

    pub(super) fn uuid(&self) -> Option<String> {
        self.values("uuid").last().map(str::to_owned)
    }

    /// What the options ask for, if they name one. Of several, the first is what QEMU tries first, so it is no proof.
    pub(super) fn accelerator(&self) -> Option<Accelerator> {
        if self.values("enable-kvm").next().is_some() {
            return Some(Accelerator::Kvm);
        }
        let accel = self.options("accel", "accel");
        let machine = self.options("machine", "type");
        let old = self.values("M").map(|value| Options::read(value, "type")).collect::<Vec<_>>();
        let asked = accel
            .iter()
            .find_map(|options| options.get("accel"))
            .or_else(|| machine.iter().chain(&old).rev().find_map(|options| options.get("accel")));
        match asked {
            Some(names) => names.split(':').next()?.parse().ok(),
            None => Some(Accelerator::Tcg),
        }
    }
}

/// Options and values. An argument that is no option is a disk image.
fn pairs(argv: &[OsString]) -> Vec<(String, String)> {
    let mut arguments = argv.iter().skip(1).map(|argument| argument.to_string_lossy());
    let mut pairs = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
            continue;
        };
        let value = if FLAG_OPTIONS.contains(&option) {
            String::new()
        } else {
            arguments.next().unwrap_or_default().into_owned()
        };
        pairs.push((option.to_owned(), value));
    }
    pairs
}
