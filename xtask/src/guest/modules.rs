//! The kernel modules of a guest, in an order in which each finds what it needs already loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::elf::{kernel_name, module_info};

/// A module as it goes into the initramfs.
pub struct Module {
    pub name: String,
    pub data: Vec<u8>,
    /// Every module it needs, those they need included, in the order in which they must be loaded.
    needs: Vec<String>,
    aliases: Vec<String>,
}

/// The tree `/lib/modules/RELEASE` of a kernel package.
pub struct Tree {
    /// The kernel's release, as `uname -r` tells it.
    pub release: String,
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

impl Tree {
    /// Looks through the tree at `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        let release = dir.file_name().context("a module tree is named by its release")?.to_string_lossy();
        let builtin = dir.join("modules.builtin");
        let builtin =
            fs::read_to_string(&builtin).with_context(|| format!("cannot read {}", builtin.display()))?;
        let builtin = builtin.lines().map(|line| module_name(Path::new(line))).collect();
        let mut files = BTreeMap::new();
        index(&dir.join("kernel"), &mut files)?;
        Ok(Self { release: release.into_owned(), files, builtin })
    }

    /// Reads `wanted` and what they depend on, each after what it needs.
    ///
    /// A wanted module that is built into the kernel is left out; one that the kernel does not
    /// have at all is an error.
    pub fn collect<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> Result<Vec<Module>> {
        let mut found = Vec::new();
        for name in wanted {
            self.add(&kernel_name(name), &mut found, &mut Vec::new())?;
        }
        Ok(found)
    }

    fn add(&self, name: &str, found: &mut Vec<Module>, above: &mut Vec<String>) -> Result<()> {
        if self.builtin.contains(name) || found.iter().any(|module| module.name == name) {
            return Ok(());
        }
        if above.iter().any(|known| known == name) {
            bail!("the kernel modules {} depend on each other", above.join(", "));
        }
        let path = self.files.get(name).with_context(|| format!("this kernel has no module {name}"))?;
        let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let info = module_info(&data).with_context(|| format!("kernel module {name}"))?;
        above.push(name.to_owned());
        let mut needs = Vec::new();
        for needed in info.depends {
            self.add(&needed, found, above)?;
            let known = found.iter().find(|module| module.name == needed);
            let further = known.map(|module| module.needs.clone()).unwrap_or_default();
            for name in further.into_iter().chain(known.map(|module| module.name.clone())) {
                if !needs.contains(&name) {
                    needs.push(name);
                }
            }
        }
        above.pop();
        found.push(Module { name: name.to_owned(), data, needs, aliases: info.aliases });
        Ok(())
    }
}

/// The file `modules.dep`, in which modprobe looks up what to load before a module.
///
/// It loads the names of a line from the last to the first.
pub fn dependency_file(modules: &[Module]) -> String {
    let mut text = String::new();
    for module in modules {
        write!(text, "{}.ko:", module.name).expect("writing to a string cannot fail");
        for needed in module.needs.iter().rev() {
            write!(text, " {needed}.ko").expect("writing to a string cannot fail");
        }
        text.push('\n');
    }
    text
}

/// The file `modules.alias`, in which modprobe finds the module for a device.
pub fn alias_file(modules: &[Module]) -> String {
    let mut text = String::new();
    for module in modules {
        for alias in &module.aliases {
            writeln!(text, "alias {alias} {}", module.name).expect("writing to a string cannot fail");
        }
    }
    text
}

fn index(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", dir.display()))?.path();
        if path.is_dir() {
            index(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            files.insert(module_name(&path), path);
        }
    }
    Ok(())
}

/// `kernel/drivers/char/hw_random/virtio-rng.ko` is the module `virtio_rng`.
fn module_name(path: &Path) -> String {
    kernel_name(&path.file_stem().unwrap_or_default().to_string_lossy())
}
