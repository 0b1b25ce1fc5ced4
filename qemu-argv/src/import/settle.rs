//! A command line of this crate's own: what was planned is left to the plan again, unless it would plan otherwise.

use std::collections::BTreeSet;

use super::line::Line;
use crate::config::{UsbController, VmConfig};
use crate::endpoints::Endpoints;
use crate::planner::plan;
use crate::qemu_target::{Target, Version};

/// A change that may bring the plan closer to the command line.
type Change = Box<dyn Fn(&mut VmConfig)>;

/// More changes than a machine with everything needs.
const MOST_CHANGES: usize = 600;

/// Adds what the config must say so that devices are where they were, and leaves out names that it would choose anyway.
pub(super) fn settle(line: &mut Line, config: &mut VmConfig, usb: Vec<(UsbController, bool)>) {
    let wanted: BTreeSet<String> = line
        .options
        .iter()
        .filter(|option| option.name == "device")
        .map(|option| option.text().to_owned())
        .collect();
    let mut distance = distance_of(config, &wanted);
    let mut changes = changes(line, config, usb);
    changes.truncate(MOST_CHANGES);
    // A change may bring something only after another one.
    for _ in 0..3 {
        for change in &changes {
            if distance == 0 {
                break;
            }
            let mut changed = config.clone();
            change(&mut changed);
            let now = distance_of(&changed, &wanted);
            if now < distance {
                (*config, distance) = (changed, now);
            }
        }
    }
    if distance > 0 {
        line.general.push("some devices are in other places than before".into());
    }
    shorten(config);
}

/// How many devices differ. The version does not matter for where devices are.
fn distance_of(config: &VmConfig, wanted: &BTreeSet<String>) -> usize {
    let Some(args) = rendered(config) else { return usize::MAX };
    let mut planned = BTreeSet::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "-device" {
            planned.extend(args.next());
        }
    }
    planned.symmetric_difference(wanted).count()
}

/// The whole command line, if there is one.
fn rendered(config: &VmConfig) -> Option<Vec<String>> {
    let target = Target::new(Version::new(11, 1), config.arch.unwrap_or(crate::qemu_target::Arch::X86_64));
    let plan = plan(config, &target, &Endpoints::default()).ok()?;
    Some(plan.command_line().args().map(|arg| arg.to_string_lossy().into_owned()).collect())
}

fn changes(line: &Line, config: &VmConfig, usb: Vec<(UsbController, bool)>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    if usb.iter().any(|(_, by_itself)| *by_itself) {
        let all: Vec<UsbController> = usb.into_iter().map(|(usb, _)| usb).collect();
        changes.push(Box::new(move |config| config.usb.clone_from(&all)));
    }
    for (id, place) in &line.places {
        let (id, place) = (id.clone(), place.clone());
        changes.push(Box::new(move |config| {
            if let Some(address) = address_of(config, &id) {
                *address = Some(place.clone());
            }
        }));
    }
    for ports in 0..=32 {
        changes.push(Box::new(move |config| config.hotplug_ports = Some(ports)));
    }
    for hotplug in [false, true] {
        for index in 0..config.disks.len() {
            changes.push(Box::new(move |config| config.disks[index].hotplug = Some(hotplug)));
        }
        for index in 0..config.networks.len() {
            changes.push(Box::new(move |config| config.networks[index].hotplug = Some(hotplug)));
        }
    }
    let ports = line.usb_ports.clone();
    for index in 0..config.usb_devices.len() {
        let Some(id) = config.usb_devices[index].id.clone() else { continue };
        let Some((controller, port)) = ports.get(&id).cloned() else { continue };
        let wanted = controller.clone();
        changes.push(Box::new(move |config| config.usb_devices[index].controller.clone_from(&wanted)));
        changes.push(Box::new(move |config| {
            config.usb_devices[index].controller.clone_from(&controller);
            config.usb_devices[index].port = Some(port.clone());
        }));
    }
    changes
}

/// Where the config says the address of a device.
fn address_of<'c>(config: &'c mut VmConfig, id: &str) -> Option<&'c mut Option<crate::topology::Address>> {
    use crate::config::Share;
    let is = |own: &Option<String>| own.as_deref() == Some(id);
    match id {
        "rng0" => return config.rng.as_mut().map(|rng| &mut rng.address),
        "balloon0" => return config.balloon.as_mut().map(|balloon| &mut balloon.address),
        "vsock0" => return config.vsock.as_mut().map(|vsock| &mut vsock.address),
        _ => {}
    }
    if let Some(disk) = config.disks.iter_mut().find(|disk| is(&disk.id)) {
        return Some(&mut disk.address);
    }
    if let Some(network) = config.networks.iter_mut().find(|network| is(&network.id)) {
        return Some(&mut network.address);
    }
    if let Some(video) = config.video.iter_mut().find(|video| is(&video.id)) {
        return Some(&mut video.address);
    }
    if let Some(audio) = config.audio.iter_mut().find(|audio| is(&audio.id)) {
        return Some(&mut audio.address);
    }
    if let Some(usb) = config.usb.iter_mut().find(|usb| is(&usb.id)) {
        return Some(&mut usb.address);
    }
    if let Some(host) = config.host_devices.iter_mut().find(|host| is(&host.id)) {
        return Some(&mut host.address);
    }
    if let Some(other) = config.devices.iter_mut().find(|other| is(&other.id)) {
        return Some(&mut other.address);
    }
    config.shares.iter_mut().find(|share| share.id() == Some(id)).map(|share| match share {
        Share::Virtiofs(share) => &mut share.address,
        Share::NineP(share) => &mut share.address,
    })
}

/// Leaves out names and MAC addresses that the config would have anyway.
fn shorten(config: &mut VmConfig) {
    fn forget(id: &mut Option<String>, prefix: &str, index: usize) {
        if *id == Some(format!("{prefix}{index}")) {
            *id = None;
        }
    }
    let attempts: [fn(&mut VmConfig); 12] = [
        |config| config.disks.iter_mut().enumerate().for_each(|(n, disk)| forget(&mut disk.id, "disk", n)),
        |config| {
            config.cdroms.iter_mut().enumerate().for_each(|(n, cdrom)| forget(&mut cdrom.id, "cdrom", n))
        },
        |config| config.networks.iter_mut().for_each(|network| network.mac = None),
        |config| {
            config.networks.iter_mut().enumerate().for_each(|(n, network)| forget(&mut network.id, "net", n))
        },
        |config| config.video.iter_mut().enumerate().for_each(|(n, video)| forget(&mut video.id, "video", n)),
        |config| config.audio.iter_mut().enumerate().for_each(|(n, audio)| forget(&mut audio.id, "audio", n)),
        |config| {
            config.serials.iter_mut().enumerate().for_each(|(n, serial)| forget(&mut serial.id, "serial", n))
        },
        |config| {
            config
                .channels
                .iter_mut()
                .enumerate()
                .for_each(|(n, channel)| forget(&mut channel.id, "channel", n))
        },
        |config| config.usb.iter_mut().enumerate().for_each(|(n, usb)| forget(&mut usb.id, "usb", n)),
        |config| {
            config.usb_devices.iter_mut().enumerate().for_each(|(n, usb)| forget(&mut usb.id, "usbdev", n))
        },
        |config| {
            config
                .host_devices
                .iter_mut()
                .enumerate()
                .for_each(|(n, host)| forget(&mut host.id, "hostdev", n))
        },
        |config| {
            config.devices.iter_mut().enumerate().for_each(|(n, other)| forget(&mut other.id, "device", n))
        },
    ];
    let Some(before) = rendered(config) else { return };
    let mut attempt = |change: &dyn Fn(&mut VmConfig)| {
        let mut changed = config.clone();
        change(&mut changed);
        if rendered(&changed).as_ref() == Some(&before) {
            *config = changed;
        }
    };
    attempts.iter().for_each(|change| attempt(change));
    attempt(&|config: &mut VmConfig| {
        use crate::config::Share;
        config.shares.iter_mut().enumerate().for_each(|(n, share)| match share {
            Share::Virtiofs(share) => forget(&mut share.id, "share", n),
            Share::NineP(share) => forget(&mut share.id, "share", n),
        });
    });
    attempt(&|config: &mut VmConfig| config.sandbox.allow_spawn = false);
    attempt(&|config: &mut VmConfig| config.sandbox.allow_elevate = false);
}
