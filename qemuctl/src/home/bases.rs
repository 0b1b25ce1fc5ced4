//! The bases of linked clones: read-only images that the disks of several machines rest on.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::launch::backing_of;
use crate::runtime::open_regular;

use super::directory::Home;

/// How deep images lie in the folder of a machine.
const DEEPEST: usize = 4;

/// Removes the bases that no image in the home rests on any more. The caller must hold the order of the home. Whatever
/// cannot be read is kept, together with everything it may rest on.
pub(super) fn sweep(home: &Home) {
    let folder = home.path().join("bases");
    let Some(bases) = files_of(&folder, 1) else { return };
    let Some(mut images) = files_of(&home.folders(), DEEPEST) else { return };
    // Of machines that were removed without their disks.
    let kept = home.path().join("disks");
    if kept.exists() {
        let Some(kept) = files_of(&kept, DEEPEST) else { return };
        images.extend(kept);
    }
    let mut used = BTreeSet::new();
    while let Some(image) = images.pop() {
        let Ok(mut file) = open_regular(&image, OpenOptions::new().read(true)) else { return };
        let Some(base) = base_of(&mut file, &image) else { continue };
        // A base may rest on another one.
        if base.starts_with(&folder) && used.insert(base.clone()) && base.exists() {
            images.push(base);
        }
    }
    for base in bases.iter().filter(|base| !used.contains(*base)) {
        // While `clone` works on it, it is writable or has a second name.
        let is_finished = base.metadata().is_ok_and(|facts| facts.mode() & 0o222 == 0 && facts.nlink() == 1);
        if is_finished {
            // If it cannot be removed, it is tried again with the next machine.
            let _ = fs::remove_file(base);
        }
    }
}

fn base_of(file: &mut File, image: &Path) -> Option<PathBuf> {
    let name = backing_of(file)?.file_name()?;
    Some(image.parent()?.join(name))
}

/// The regular files below a folder. `None` if it cannot be read, or is too deep to be known.
fn files_of(folder: &Path, deepest: usize) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), deepest)];
    while let Some((folder, deepest)) = folders.pop() {
        for entry in fs::read_dir(folder).ok()? {
            let entry = entry.ok()?;
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                folders.push((entry.path(), deepest.checked_sub(1)?));
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Some(files)
}
