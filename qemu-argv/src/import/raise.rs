//! The order in which options become fields: what others refer to is known before they are.

use super::devices::{self, Found};
use super::line::Line;
use super::options::{Fate, Opt};
use super::{
    board, chardev, debug, disks, drive, flash, gadgets, general, memory, network, nodes, screen, serial,
    settle, shares, sound, tables,
};
use crate::config::{Cdrom, Pvpanic, VmConfig};

/// Makes a config of a command line; what it has no field for is marked to be passed on.
pub(super) fn raise(line: &mut Line, is_kvm: bool) -> VmConfig {
    let mut config = VmConfig { arch: Some(line.arch), serials: Vec::new(), ..VmConfig::default() };
    line.planned = is_planned(line);
    if line.planned {
        passed_on(line);
    }
    let mut found = Found { interfaces: Vec::new(), ports: Vec::new(), usb: Vec::new() };

    general::names(line, &mut config);
    board::machine(line, &mut config, is_kvm);
    board::cpu(line, &mut config);
    memory::memory(line, &mut config);
    nodes::nodes(line, &mut config);
    flash::firmware(line, &mut config);
    general::sandbox(line, &mut config);
    general::ends(line, &mut config);
    general::boot(line, &mut config);
    general::globals(line, &mut config);
    tables::smbios(line, &mut config);
    tables::fw_cfg(line, &mut config);
    tables::objects(line, &mut config);
    general::monitors(line, &mut config);
    debug::debug(line, &mut config);
    debug::counting(line, &mut config);
    chardev::listed(line, &mut config);
    screen::display(line, &mut config);
    screen::vnc(line, &mut config);
    screen::spice(line, &mut config);
    devices::controllers(line, &mut config, &mut found);
    let own = found.usb.iter().filter(|(_, by_itself)| !by_itself);
    config.usb = own.map(|(usb, _)| usb.clone()).collect();
    sound::sounds(line, &mut config);
    drive::drives(line, &mut config);
    shares::virtfs(line, &mut config);
    devices::devices(line, &mut config, &mut found);
    disks::alone(line, &mut config);
    network::shorthand(line, &config, &mut found.interfaces);
    network::alone(line, &config, &mut found.interfaces);
    network::by_default(line, &mut found.interfaces);
    gadgets::vga(line, &mut config);
    default_cdrom(line, &mut config);
    if !line.planned && !line.has("nodefaults") && (line.is_pc() || line.is_q35()) {
        let what = if line.is_pc() { "the parallel port and the floppy drive" } else { "the parallel port" };
        line.general.push(format!("dropped: {what} that QEMU adds by default"));
    }
    if line.has("nographic") {
        config.machine.options.set("graphics", false);
    }
    serial::board(line, &config, &mut found.ports);
    general::other_monitors(line, &mut config);
    chardev::rest(line, &mut config);
    debug::objects(line, &mut config);

    found.interfaces.sort_by_key(|(at, _)| *at);
    config.networks = found.interfaces.into_iter().map(|(_, network)| network).collect();
    found.ports.sort_by_key(|(at, _)| *at);
    config.serials = found.ports.into_iter().map(|(_, port)| port).collect();
    // A launcher adds the device by itself where a config does not say anything about it.
    if config.pvpanic.is_none() && (line.is_pc() || line.is_q35() || line.is_virt()) {
        config.pvpanic = Some(Pvpanic::None);
    }
    if line.planned {
        let node = |id: Option<&str>| id.and_then(|id| line.anywhere("blockdev", id)).unwrap_or(usize::MAX);
        config.disks.sort_by_key(|disk| node(disk.id.as_deref()));
        settle::settle(line, &mut config, found.usb);
    } else {
        network::addresses(&mut config.networks);
    }
    rest(line, &mut config);
    config
}

/// Whether this crate made the command line: it begins as all of these do.
fn is_planned(line: &Line) -> bool {
    let is_plain = line.has("nodefaults") && line.has("smp");
    let explicit = line.has("no-user-config") && (is_plain || memory::decides_itself(line));
    // A wrapper around QEMU may say where its files are.
    let first = line.options.iter().position(|option| option.name != "L").unwrap_or_default();
    let [machine, accel, name, ..] = &line.options[first..] else { return false };
    let told = |option: &Opt, name: &str, key: &str| {
        option.name == name && option.bag.as_ref().is_some_and(|bag| bag.has(key))
    };
    explicit
        && told(machine, "machine", "dump-guest-core")
        && accel.name == "accel"
        && told(name, "name", "guest")
}

/// What stands behind the parts of a planned machine is what its config passes on.
fn passed_on(line: &mut Line) {
    let is_part = |option: &Opt| match option.name {
        "object" | "netdev" | "blockdev" | "device" => option.text().starts_with('{'),
        "chardev" => option.text().starts_with("backend="),
        _ => false,
    };
    let Some(last) = line.options.iter().rposition(is_part) else { return };
    for at in last + 1..line.options.len() {
        line.extra(at, "it was in `extra_args` before");
    }
}

/// PCs have an empty drive unless something else is in its place.
fn default_cdrom(line: &Line, config: &mut VmConfig) {
    let pc = line.is_pc() || line.is_q35();
    let drives = line.options.iter().any(|option| match option.name {
        "cdrom" | "hdc" => true,
        "drive" => option.bag.as_ref().is_some_and(|bag| bag.peek("index") == Some("2")),
        "device" => {
            let driver = option.bag.as_ref().and_then(|bag| bag.peek("driver"));
            matches!(driver, Some("ide-cd" | "ide-hd" | "scsi-cd" | "scsi-hd"))
        }
        _ => false,
    });
    if pc && !drives && !line.planned && !line.has("nodefaults") {
        config.cdroms.push(Cdrom::default());
    }
}

/// What nobody has taken is passed on, unless that would break the launch.
fn rest(line: &mut Line, config: &mut VmConfig) {
    for at in 0..line.options.len() {
        let option = &line.options[at];
        let (name, value) = (option.name, option.text().to_owned());
        if option.fate == Fate::Open {
            let why = match name {
                "" => "a config has no field for it".to_owned(),
                "drive" | "blockdev" | "fsdev" | "tpmdev" => "no device of the config uses it".to_owned(),
                "object" => {
                    let kind = line.bag(at).peek("qom-type").unwrap_or_default().to_owned();
                    format!("a config has no field for objects of the type {}", super::bag::short(&kind))
                }
                name => format!("a config has no field for -{name}"),
            };
            line.extra(at, why);
        }
        if !matches!(line.options[at].fate, Fate::Extra(_)) {
            continue;
        }
        let streams =
            matches!(name, "serial" | "parallel" | "debugcon" | "gdb" | "virtioconsole" | "chardev");
        if streams
            && value
                .strip_prefix("mon:")
                .unwrap_or(&value)
                .split(',')
                .any(|word| matches!(word, "stdio" | "backend=stdio"))
        {
            line.drop(at, "QEMU's standard input and output belong to qemuctl");
        } else if matches!(name, "runas" | "chroot") || name == "run-with" && value.contains(['u', 'c']) {
            config.sandbox.allow_elevate = true;
        } else if name == "netdev" || name == "nic" || name == "net" {
            // A script or a helper is a program that QEMU starts.
            config.sandbox.allow_spawn = true;
            config.sandbox.allow_elevate |= value.contains("bridge") || value.contains("helper");
        }
    }
}
