//! Names, monitors, the sandbox and how the machine starts.

use crate::draft::Draft;
use crate::error::{At, Fault};
use crate::parts::{FdRole, FdSlot, SocketRole};
use crate::render::chardev;
use crate::value::Props;

pub(super) fn names(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let config = draft.config;
    if let Some(arch) = config.arch.filter(|arch| *arch != draft.target.arch) {
        let why = format!("{arch} is asked for, but the target is a QEMU for {}", draft.target.arch);
        draft.conflict(root.field("arch"), why);
    }
    if let Some(name) = &config.name {
        check_name(draft, name);
    }
    let name = draft.name.clone().into_owned();
    draft.option(root.field("name"), "-name", Props::new().with("guest", name));
    if let Some(uuid) = &config.uuid {
        let at = root.field("uuid");
        if is_uuid(uuid) {
            draft.plain(at, "-uuid", uuid);
        } else {
            draft.invalid(at, uuid, "is no UUID: 8-4-4-4-12 hexadecimal digits");
        }
    }
    draft.flag("-nodefaults");
    draft.flag("-no-user-config");
}

/// Whether it is written as 8-4-4-4-12 hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// A name is part of file names and of log lines.
fn check_name(draft: &mut Draft<'_>, name: &str) {
    let at = At::ROOT.field("name");
    let why = if name.is_empty() {
        "is empty"
    } else if name.contains('/') {
        "has a slash: it becomes part of a file name"
    } else if name.chars().any(char::is_control) {
        "has a control character"
    } else if name.starts_with(['.', '-']) {
        "starts with a dot or a dash: it becomes the start of a file name"
    } else {
        return;
    };
    draft.invalid(at, name, why);
}

pub(super) fn monitors(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    if let Some(fd) = draft.endpoints.qmp_fd {
        draft.fds.push(FdSlot { fd, role: FdRole::Qmp });
        let node = chardev::socket_fd("qmp0", fd);
        draft.chardev(root, node);
        draft.plain(root, "-qmp", "chardev:qmp0");
    }
    if let Some(path) = draft.socket(SocketRole::Qmp, ".sock") {
        let path = draft.raw_path(root.field("socket_dir"), &path);
        let node = chardev::unix_server("qmp1", path);
        draft.chardev(root, node);
        draft.plain(root, "-qmp", "chardev:qmp1");
    }
}

/// QEMU's own seccomp filter: on, and open only where a chosen device starts a program.
pub(super) fn sandbox(draft: &mut Draft<'_>) {
    let sandbox = draft.config.sandbox;
    if !sandbox.enabled {
        return;
    }
    let word = |allowed: bool| if allowed { "allow" } else { "deny" };
    let props = Props::new()
        .with("enable", true)
        .with("obsolete", word(sandbox.allow_obsolete))
        .with("elevateprivileges", word(sandbox.allow_elevate || draft.sandbox.elevate))
        .with("spawn", word(sandbox.allow_spawn || draft.sandbox.spawn))
        .with("resourcecontrol", word(sandbox.allow_resource_control));
    draft.option(At::ROOT, "-sandbox", props);
}

pub(super) fn run(draft: &mut Draft<'_>) {
    // A launcher connects consoles and events before the first instruction, then lets the machine run.
    if draft.endpoints.qmp_fd.is_some() || draft.config.paused {
        draft.flag("-S");
    }
    if draft.config.incoming {
        draft.plain(At::ROOT.field("incoming"), "-incoming", "defer");
    }
    let extra = At::ROOT;
    for (index, argument) in draft.config.extra_args.iter().enumerate() {
        if argument.contains('\0') {
            draft.fault(
                extra.item("extra_args", index),
                Fault::Conflict { why: "a text has a NUL character inside".into() },
            );
        }
    }
}
