//! Disk tools, and the socket and cache directories.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{AccessFlags, Uid, access};

use super::check::{Check, shown};
use crate::Places;

/// `sun_path` holds 108 bytes, the final NUL included.
const LONGEST_SOCKET_PATH: usize = 107;

/// What is appended to the folder: a slash, a name of some length and the longest ending, `.console0.sock`.
const ROOM_FOR_NAME: usize = 40;

pub(super) fn disk_tools(places: &Places) -> Check {
    match crate::binary::find_tool_in(places, "qemu-img") {
        Some(path) => Check::ok("qemu-img", shown(places, &path)),
        None => Check::warning("qemu-img", "not found, so disk images cannot be created or converted")
            .remedy("install qemu-utils (Debian) or qemu-img (Fedora)"),
    }
}

pub(super) fn socket_dir(dir: &Path) -> Check {
    const NAME: &str = "socket directory";
    let shown = dir.display();
    let length = dir.as_os_str().as_bytes().len();
    if length + ROOM_FOR_NAME > LONGEST_SOCKET_PATH {
        return Check::warning(
            NAME,
            format!(
                "{shown} has {length} bytes, which leaves little room for names in a socket path (107 bytes)"
            ),
        )
        .remedy("choose a shorter path");
    }
    // The nearest folder that is there decides whether the rest can be made.
    let Some(nearest) = dir.ancestors().find(|ancestor| ancestor.exists()) else {
        return Check::problem(NAME, format!("{shown} does not exist and cannot be created"));
    };
    if access(nearest, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Check::problem(NAME, format!("{shown}: {} is not writable", nearest.display()))
            .remedy("choose another directory, or ask its owner to change it");
    }
    if nearest != dir {
        return Check::ok(NAME, format!("{shown} will be created"));
    }
    let Ok(metadata) = dir.symlink_metadata() else {
        return Check::problem(NAME, format!("{shown} cannot be read"));
    };
    if !metadata.is_dir() || metadata.uid() != Uid::effective().as_raw() {
        return Check::problem(NAME, format!("{shown} is not a directory of this user"))
            .remedy("remove it, or choose another directory");
    }
    if metadata.mode() & 0o022 != 0 {
        return Check::problem(
            NAME,
            format!("{shown} is writable by other users (mode {:04o})", metadata.mode() & 0o7777),
        )
        .remedy(format!("`chmod 700 {shown}`"));
    }
    Check::ok(NAME, shown.to_string())
}

pub(super) fn cache(places: &Places) -> Check {
    const NAME: &str = "cache";
    match &places.cache_dir {
        Some(dir) if crate::cache::private_dir(dir).is_some() => Check::ok(NAME, shown(places, dir)),
        Some(dir) => Check::warning(
            NAME,
            format!(
                "{} cannot be used, so QEMU is probed again at each start, which takes 0.1 s or more",
                shown(places, dir)
            ),
        )
        .remedy("make it a directory that only this user can write to"),
        None => Check::warning(
            NAME,
            "no home directory, so QEMU is probed again at each start, which takes 0.1 s or more",
        )
        .remedy("set HOME or XDG_CACHE_HOME"),
    }
}
