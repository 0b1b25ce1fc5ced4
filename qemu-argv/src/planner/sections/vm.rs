//! Names, monitors, the sandbox and how the machine starts.

use crate::config::VmConfig;
use crate::plan::{FdRole, SocketRole};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::planner::sections::chardev;
use crate::value::Props;

pub(super) fn names(builder: &mut Builder<'_>, config: &VmConfig) {
    if let Some(arch) = config.arch.filter(|arch| *arch != builder.target.arch) {
        let why = format!("the config requires {arch}, but this QEMU is for {}", builder.target.arch);
        builder.conflict(At::section("arch"), why);
    }
    if let Some(name) = &config.name {
        check_name(builder, name);
    }
    let name = builder.name.clone().into_owned();
    let mut process = config.debug.process_name.as_ref();
    if process.is_some_and(|process| process.is_empty() || process.contains('\0')) {
        let at = At::section("debug");
        builder.conflict(at.field("process_name"), "must not be empty or contain a NUL character");
        process = None;
    }
    let props = Props::new()
        .with("guest", name)
        .with_some("process", process)
        .with_some("debug-threads", config.debug.thread_names);
    builder.option(At::section("name"), "-name", props);
    for (index, dir) in config.data_dirs.iter().enumerate() {
        let at = At::entry("data_dirs", index);
        let dir = builder.raw_path(at, dir);
        builder.plain(at, "-L", dir);
    }
    if let Some(uuid) = &config.uuid {
        let at = At::section("uuid");
        if is_uuid(uuid) {
            builder.plain(at, "-uuid", uuid);
        } else {
            builder.invalid(at, uuid, "is not a valid UUID; expected 8-4-4-4-12 hexadecimal digits");
        }
    }
    if !builder.board.decides_itself() {
        builder.flag("-nodefaults");
    }
    builder.flag("-no-user-config");
}

/// Whether it is written as 8-4-4-4-12 hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// A name is part of file names and of log lines.
fn check_name(builder: &mut Builder<'_>, name: &str) {
    let at = At::section("name");
    let why = if name.is_empty() {
        "is empty"
    } else if name.contains('/') {
        "must not contain a slash, since it becomes part of a file name"
    } else if name.chars().any(char::is_control) {
        "must not contain control characters"
    } else if name.starts_with(['.', '-']) {
        "must not start with a dot or a dash, since it becomes the start of a file name"
    } else {
        return;
    };
    builder.invalid(at, name, why);
}

pub(super) fn monitors(builder: &mut Builder<'_>) {
    let at = At::section("monitors");
    if let Some(fd) = builder.endpoints.qmp_fd {
        builder.known_fd(at, fd, FdRole::Qmp);
        let node = chardev::socket_fd("qmp0", fd);
        builder.chardev(at, node);
        builder.plain(at, "-qmp", "chardev:qmp0");
    }
    if let Some(path) = builder.socket(at, SocketRole::Qmp, ".sock") {
        if builder.endpoints.monitor_fds.is_empty() {
            let path = builder.raw_path(At::section("socket_dir"), &path);
            let node = chardev::unix_server("qmp1", path);
            builder.chardev(at, node);
            builder.plain(at, "-qmp", "chardev:qmp1");
        }
        for (index, &fd) in builder.endpoints.monitor_fds.iter().enumerate() {
            builder.known_fd(at, fd, FdRole::Monitor);
            let id = format!("qmp1.{index}");
            let node = chardev::fd_server(&id, fd);
            builder.chardev(at, node);
            builder.plain(at, "-qmp", format!("chardev:{id}"));
        }
    }
}

/// QEMU's own seccomp filter: on, and open only where a chosen device starts a program.
pub(super) fn sandbox(builder: &mut Builder<'_>, config: &VmConfig) {
    let sandbox = config.sandbox;
    if !sandbox.enabled {
        return;
    }
    let word = |allowed: bool| if allowed { "allow" } else { "deny" };
    let props = Props::new()
        .with("enable", true)
        .with("obsolete", word(sandbox.allow_obsolete))
        .with("elevateprivileges", word(sandbox.allow_elevate || builder.sandbox.elevate))
        .with("spawn", word(sandbox.allow_spawn || builder.sandbox.spawn))
        .with("resourcecontrol", word(sandbox.allow_resource_control));
    builder.option(At::section("sandbox"), "-sandbox", props);
}

/// QEMU gives its privileges up when everything is open, which its sandbox must let it do.
fn become_user(builder: &mut Builder<'_>, config: &VmConfig, user: &str) {
    let at = At::section("run_as");
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:$".contains(&byte);
    if user.is_empty() || user.starts_with('-') || !user.bytes().all(good) {
        builder.invalid(at, user, "is not a valid user; expected a name, or UID:GID");
    }
    if config.sandbox.enabled && !config.sandbox.allow_elevate {
        builder.conflict(at, "QEMU's sandbox denies this; set `sandbox = { allow_elevate = true }`");
    }
    if builder.before(9, 1) {
        builder.plain(at, "-runas", user);
    } else {
        builder.option(at, "-run-with", Props::new().with("user", user.to_owned()));
    }
}

/// Boards that QEMU alone knows lose parts of theirs with `-nodefaults`, such as their flash and sound, and some do not start at
/// all. What is QEMU's own idea is switched off piece by piece there.
pub(super) fn defaults(builder: &mut Builder<'_>, config: &VmConfig) {
    if !builder.board.decides_itself() {
        return;
    }
    if config.networks.is_empty() {
        builder.plain(At::section("networks"), "-nic", "none");
    }
    if config.serials.is_empty() {
        builder.plain(At::section("serials"), "-serial", "none");
    }
    builder.plain(At::section("machine"), "-parallel", "none");
    // Without a backend the sound of a board goes to the host's sound server, and QEMU ends where there is none. Earlier versions
    // go on without.
    if config.audio.is_empty() && !builder.before(8, 2) {
        builder.plain(At::section("audio"), "-audio", "none");
    }
}

pub(super) fn run(builder: &mut Builder<'_>, config: &VmConfig) {
    // A launcher connects consoles and events before the first instruction, then lets the machine run.
    if builder.endpoints.qmp_fd.is_some() || config.paused {
        builder.flag("-S");
    }
    let incoming_at = At::section("incoming_from");
    match &config.incoming_from {
        Some(address) => {
            if address.is_empty() || address == "defer" || !address.contains(':') {
                builder.invalid(
                    incoming_at,
                    address,
                    "is not a valid address; expected for example tcp:0:4444",
                );
            }
            builder.plain(incoming_at, "-incoming", address);
        }
        None if config.incoming => builder.plain(At::section("incoming"), "-incoming", "defer"),
        None => {}
    }
    if let Some(name) = &config.load_snapshot {
        let at = At::section("load_snapshot");
        if config.incoming || config.incoming_from.is_some() {
            builder.conflict(at, "a machine cannot be loaded and come in by migration at once");
        }
        if name.is_empty() {
            builder.invalid(at, name, "is not a valid name of a snapshot");
        }
        builder.plain(at, "-loadvm", name);
    }
    if let Some(user) = &config.run_as {
        become_user(builder, config, user);
    }
    super::extra::check(builder, config);
}
