//! The kernel modules of a guest, in an order in which each finds what it needs already loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::elf::module_depends;

/// A module as it goes into the initramfs.
pub struct Module {
    pub name: String,
    pub data: Vec<u8>,
}

/// Reads `wanted` and what they depend on from the tree `dir` (`/lib/modules/RELEASE`).
///
/// A wanted module that is built into the kernel is left out, one that the kernel does not have
/// at all is an error.
pub fn collect(dir: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let builtin_list = dir.join("modules.builtin");
    let builtin_list = fs::read_to_string(&builtin_list)
        .with_context(|| format!("cannot read {}", builtin_list.display()))?;
    let builtin = builtin_list.lines().map(|line| module_name(Path::new(line))).collect();
    let mut files = BTreeMap::new();
    index(&dir.join("kernel"), &mut files)?;
    let mut order = Order { files, builtin, done: Vec::new(), modules: Vec::new() };
    for name in wanted {
        order.add(&name.replace('-', "_"), &mut Vec::new())?;
    }
    Ok(order.modules)
}

struct Order {
    files: BTreeMap<String, PathBuf>,
    builtin: Vec<String>,
    done: Vec<String>,
    modules: Vec<Module>,
}

impl Order {
    fn add(&mut self, name: &str, above: &mut Vec<String>) -> Result<()> {
        if self.done.iter().chain(&self.builtin).any(|known| known == name) {
            return Ok(());
        }
        if above.iter().any(|known| known == name) {
            bail!("the kernel modules {} depend on each other", above.join(", "));
        }
        let path = self.files.get(name).with_context(|| format!("this kernel has no module {name}"))?;
        let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        above.push(name.to_owned());
        for needed in module_depends(&data).with_context(|| format!("kernel module {name}"))? {
            self.add(&needed.replace('-', "_"), above)?;
        }
        above.pop();
        self.done.push(name.to_owned());
        self.modules.push(Module { name: name.to_owned(), data });
        Ok(())
    }
}

fn index(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        let path = entry.path();
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
    path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_")
}
