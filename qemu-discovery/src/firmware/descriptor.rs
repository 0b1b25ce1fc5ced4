//! Firmware descriptors: small JSON files in which a distribution describes its firmware images.
//!
//! The format and the search rules are documented by QEMU in `docs/interop/firmware.json`: directories are searched
//! from the most to the least specific, a file hides those of the same name in later directories, an empty file only
//! hides them, and the remaining ones are tried in the order of their file names.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{DiscoveryError, Places};

/// The longest descriptor that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Descriptor {
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// The interface to the guest, such as `uefi` or `bios`.
    pub interface_types: Vec<String>,
    /// The files, and how they are loaded.
    pub mapping: Mapping,
    /// The machines it is for.
    pub targets: Vec<MachineTarget>,
    /// What it supports and requires, such as `secure-boot` and `requires-smm`.
    #[serde(default)]
    pub features: Vec<String>,
}

/// The machines of one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct MachineTarget {
    /// The architecture, by QEMU's name.
    pub architecture: String,
    /// Patterns of versioned machine names, such as `pc-q35-*`.
    pub machines: Vec<String>,
}

/// How the files are loaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "device", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mapping {
    /// As flash memory.
    #[serde(rename_all = "kebab-case")]
    Flash {
        /// Which part holds the variables.
        #[serde(default)]
        mode: FlashMode,
        /// The code; with [`FlashMode::Combined`] the variables as well.
        executable: FlashFile,
        /// The template of a machine's own variables.
        nvram_template: Option<FlashFile>,
    },
    /// By `-kernel`.
    Kernel {
        /// The file.
        filename: PathBuf,
    },
    /// By `-bios`.
    Memory {
        /// The file.
        filename: PathBuf,
    },
    /// In a way that is unknown to this crate.
    #[serde(other)]
    Other,
}

/// Where a firmware in flash stores its variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FlashMode {
    /// In a separate flash.
    #[default]
    Split,
    /// In the same flash as the code, so each machine needs a copy of the whole.
    Combined,
    /// Nowhere: they are lost when the machine ends.
    Stateless,
}

/// A file that becomes flash memory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FlashFile {
    /// The file.
    pub filename: PathBuf,
    /// Its image format: `raw` or `qcow2`.
    pub format: String,
}

/// The folders of descriptors, the most specific first.
pub(crate) fn folders(places: &Places) -> Vec<PathBuf> {
    let own = places.config_home.iter().map(|home| home.join("qemu/firmware"));
    let host = places.at("/etc/qemu/firmware");
    // A release that was unpacked rather than installed has the distribution's whole tree below its prefix.
    let beside = places
        .prefix
        .iter()
        .flat_map(|prefix| ["share/qemu/firmware", "usr/share/qemu/firmware"].map(|dir| prefix.join(dir)));
    let shared = ["/usr/local/share/qemu/firmware", "/usr/share/qemu/firmware"];
    own.chain([host]).chain(beside).chain(shared.map(|dir| places.at(dir))).collect()
}

/// A file that `descriptor` names. One from below a QEMU's prefix counts from there if such a file is there.
pub(crate) fn file(places: &Places, descriptor: &Path, name: &Path) -> PathBuf {
    let below = places.prefix.as_ref().filter(|prefix| descriptor.starts_with(prefix));
    let below = below.map(|prefix| prefix.join(name.strip_prefix("/").unwrap_or(name)));
    below.filter(|file| file.exists()).unwrap_or_else(|| places.at(name))
}

/// Returns the effective descriptors, in the order in which to try them. Unreadable ones are returned as errors,
/// because they may be the ones the user wants.
pub fn descriptors(places: &Places) -> Vec<Result<(PathBuf, Descriptor), DiscoveryError>> {
    let mut in_force: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders(places) {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                in_force.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    in_force.into_values().filter_map(|path| read(&path).transpose()).collect()
}

/// A descriptor; `None` for an empty file, which only hides others.
fn read(path: &Path) -> Result<Option<(PathBuf, Descriptor)>, DiscoveryError> {
    let unfit = |reason: String| DiscoveryError::Firmware { path: path.to_owned(), reason };
    let metadata = path.metadata().map_err(|error| unfit(error.to_string()))?;
    if metadata.len() == 0 {
        return Ok(None);
    }
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(unfit("not a descriptor: not a regular file of at most 1 MiB".into()));
    }
    let text = fs::read(path).map_err(|error| unfit(error.to_string()))?;
    let descriptor =
        serde_json::from_slice(&text).map_err(|error| unfit(format!("not a descriptor: {error}")))?;
    Ok(Some((path.to_owned(), descriptor)))
}

/// Whether a name fits a pattern as the shell's `*` and `?` have it.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern.as_str();
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| fits(rest, &name[at..]))
        }
        Some(wanted) => {
            let mut name = name.chars();
            name.next().is_some_and(|is| wanted == '?' || wanted == is)
                && fits(pattern.as_str(), name.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(places: &Places, path: &str, text: &str) {
        let path = places.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn memory(description: &str) -> String {
        format!(
            r#"{{"description": "{description}", "interface-types": ["bios"], "targets": [], "tags": [], "features": [],
                "mapping": {{"device": "memory", "filename": "/f"}}}}"#
        )
    }

    #[test]
    fn specific_folders_mask_and_empty_files_hide() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        put(&places, "/usr/share/qemu/firmware/10-a.json", &memory("a of the distribution"));
        put(&places, "/usr/share/qemu/firmware/20-b.json", &memory("b of the distribution"));
        put(&places, "/usr/share/qemu/firmware/30-c.json", &memory("c of the distribution"));
        put(&places, "/usr/share/qemu/firmware/README", "no descriptor");
        put(&places, "/etc/qemu/firmware/20-b.json", &memory("b of the host"));
        put(&places, "/etc/qemu/firmware/05-d.json", &memory("d of the host"));
        put(&places, "/home/user/.config/qemu/firmware/30-c.json", "");
        put(&places, "/home/user/.config/qemu/firmware/20-b.json", &memory("b of the user"));
        put(&places, "/etc/qemu/firmware/40-e.json", "{\"description\": \"cut off");
        let told: Vec<String> = descriptors(&places)
            .into_iter()
            .map(|read| read.map_or_else(|error| error.to_string(), |(_, descriptor)| descriptor.description))
            .map(|line| line.replace(dir.path().to_str().unwrap(), ""))
            .collect();
        assert_eq!(
            told,
            [
                "d of the host",
                "a of the distribution",
                "b of the user",
                "firmware /etc/qemu/firmware/40-e.json: not a descriptor: EOF while parsing a string at line 1 column 24",
            ]
        );
    }

    #[test]
    fn every_mapping_is_read_and_new_ones_do_no_harm() {
        let mapping = |json: &str| serde_json::from_str::<Mapping>(json).unwrap();
        let file = |name: &str| FlashFile { filename: name.into(), format: "raw".into() };
        assert_eq!(
            mapping(
                r#"{"device": "flash", "executable": {"filename": "/c", "format": "raw"},
                    "nvram-template": {"filename": "/v", "format": "raw"}}"#
            ),
            Mapping::Flash {
                mode: FlashMode::Split,
                executable: file("/c"),
                nvram_template: Some(file("/v"))
            }
        );
        assert_eq!(
            mapping(
                r#"{"device": "flash", "mode": "stateless", "executable": {"filename": "/c", "format": "raw"}}"#
            ),
            Mapping::Flash { mode: FlashMode::Stateless, executable: file("/c"), nvram_template: None }
        );
        assert_eq!(
            mapping(r#"{"device": "kernel", "filename": "/k"}"#),
            Mapping::Kernel { filename: "/k".into() }
        );
        assert_eq!(mapping(r#"{"device": "igvm", "filename": "/i"}"#), Mapping::Other);
    }

    #[test]
    fn patterns_are_the_shells() {
        for (pattern, name, expected) in [
            ("pc-q35-*", "pc-q35-10.0", true),
            ("pc-q35-*", "q35", false),
            ("virt*", "virt", true),
            ("virt-*", "virt", false),
            ("*", "", true),
            ("p?-*-7.*", "pc-q35-7.2", true),
            ("p?-*-7.*", "pc-q35-10.0", false),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
