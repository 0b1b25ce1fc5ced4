//! From packages to a kernel and an initramfs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::contents::{Guest, PACKAGES, PROGRAMS, ROOT_FILES, SUITE};
use super::cpio::Archive as Initramfs;
use super::modules::{self, Tree};
use crate::apt::{Archive, unpack};
use crate::{elf, places};

/// Directories the initramfs has beside those of its files: mount points and places to write.
const DIRECTORIES: [&str; 10] =
    ["dev", "proc", "sys", "run", "tmp", "mnt", "root", "usr/bin", "usr/sbin", "usr/lib"];

/// Makes `vmlinuz` and `initramfs` of `guest` in the directory `into`.
pub fn build(guest: &Guest, into: &Path) -> Result<()> {
    let root = into.join("root");
    fetch(guest, &root)?;
    let boot = root.join("boot");
    let kernel = only_entry(&boot, |name| name.starts_with("vmlinuz-"))?;
    fs::rename(&kernel, into.join("vmlinuz")).context("cannot take the kernel from its package")?;
    let mut out = initramfs(&root)?;
    add_modules(&mut out, guest, &only_entry(&root.join("usr/lib/modules"), |_| true)?)?;
    fs::write(into.join("initramfs"), out.finish()).context("cannot write the initramfs")?;
    places::remove(&root)
}

/// Unpacks the packages of `guest` into `root`.
fn fetch(guest: &Guest, root: &Path) -> Result<()> {
    let dir = places::cache()?.join("apt").join(format!("guest-{}", guest.arch));
    let _lock = places::lock(&dir)?;
    let apt = Archive::open(&dir, SUITE, guest.arch)?;
    // The package with the stable name holds nothing but a dependency on the kernel of the day.
    let depends = apt.depends(guest.kernel)?;
    let Some(kernel) = depends.iter().find(|name| name.starts_with("linux-image-")) else {
        bail!("{} names no kernel, only {depends:?}", guest.kernel);
    };
    unpack(&apt.fetch_one(kernel)?, root)?;
    for deb in apt.fetch_closure(&PACKAGES)? {
        unpack(&deb, root)?;
    }
    apt.clean()
}

/// Everything but the modules.
fn initramfs(root: &Path) -> Result<Initramfs> {
    let mut out = Initramfs::default();
    for dir in DIRECTORIES {
        out.dir(dir);
    }
    for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib")]
    {
        out.symlink(link, target);
    }
    // The kernel opens the console for the first process before that one can mount anything.
    out.char_device("dev/console", 5, 1);
    for file in &ROOT_FILES {
        out.file(file.path, file.mode, file.text);
    }
    let busybox = root.join("usr/bin/busybox");
    out.file("usr/bin/busybox", 0o755, read(&busybox)?);
    add_programs(&mut out, root)?;
    // The kernel itself runs it, to load what a mount or a socket asks for.
    out.symlink("usr/sbin/modprobe", "../bin/busybox");
    Ok(out)
}

/// Adds the modules, the list of those that are loaded at boot, and modprobe's tables for the rest.
fn add_modules(out: &mut Initramfs, guest: &Guest, tree: &Path) -> Result<()> {
    let tree = Tree::read(tree)?;
    let at_boot: String = tree
        .collect(guest.at_boot.concat())?
        .iter()
        .fold(String::new(), |list, module| list + &module.name + "\n");
    let all = tree.collect(guest.at_boot.iter().chain(guest.on_demand).copied().flatten().copied())?;
    let dir = format!("usr/lib/modules/{}", tree.release);
    for module in &all {
        out.file(&format!("{dir}/{}.ko", module.name), 0o644, &*module.data);
    }
    out.file("etc/modules", 0o644, at_boot);
    out.file(&format!("{dir}/modules.dep"), 0o644, modules::dependency_file(&all));
    out.file(&format!("{dir}/modules.alias"), 0o644, modules::alias_file(&all));
    Ok(())
}

/// Adds the programs and every library they need, found as the dynamic linker would find them.
///
/// The libraries go to `/usr/lib`, where the linker of every architecture looks.
fn add_programs(out: &mut Initramfs, root: &Path) -> Result<()> {
    let mut todo: Vec<(String, PathBuf)> =
        PROGRAMS.iter().map(|program| ((*program).to_owned(), root.join(program))).collect();
    let mut seen = BTreeSet::new();
    while let Some((path, file)) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let needs = elf::needs(&file)?;
        for library in needs.libraries.iter().chain(&needs.interpreter) {
            let name = library.rsplit('/').next().unwrap_or(library);
            todo.push((format!("usr/lib/{name}"), find_library(root, name)?));
        }
        let mode =
            fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?.permissions();
        out.file(&path, mode.mode() & 0o777, read(&file)?);
    }
    Ok(())
}

fn find_library(root: &Path, name: &str) -> Result<PathBuf> {
    let lib = root.join("usr/lib");
    let mut places = vec![lib.clone(), root.join("usr/lib64")];
    for entry in fs::read_dir(&lib).with_context(|| format!("cannot list {}", lib.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", lib.display()))?.path();
        if path.to_string_lossy().ends_with("-linux-gnu") {
            places.push(path);
        }
    }
    places
        .iter()
        .find_map(|place| inside(root, &place.join(name)))
        .with_context(|| format!("no unpacked package has the library {name}"))
}

/// The file behind `path`, whose symbolic links are meant to be read from `root`.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    // More links than any library has; a circle ends here.
    for _ in 0..8 {
        let Ok(target) = fs::read_link(&path) else {
            return path.is_file().then_some(path);
        };
        path = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => path.with_file_name(target),
        };
    }
    None
}

/// The one entry of `dir` whose name passes `test`.
fn only_entry(dir: &Path, test: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        if test(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) => bail!("{} has {} of what there should be one of", dir.display(), found.len()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
