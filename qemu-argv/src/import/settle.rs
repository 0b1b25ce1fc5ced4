//! A command line of this crate's own: what was planned is left to the plan again, unless it would plan otherwise.

use std::collections::BTreeSet;

use super::line::Line;
use crate::config::{MemoryBackend, Share, UsbController, VmConfig};
use crate::endpoints::Endpoints;
use crate::planner::plan;
use crate::qemu_target::{Arch, Target, Version};
use crate::topology::Address;
use crate::topology::pci::PciBus;

/// A change that may bring the plan closer to the command line.
struct Change {
    /// What stands in the arguments of the devices that it is about.
    about: String,
    apply: Box<dyn Fn(&mut VmConfig)>,
}

/// More changes than a machine with everything needs.
const MOST_CHANGES: usize = 600;

/// Adds what the config must say so that devices are where they were, and leaves out names that it would choose anyway.
pub(super) fn settle(line: &mut Line, config: &mut VmConfig, usb: Vec<(UsbController, bool)>) {
    let devices = line.options.iter().filter(|option| option.name == "device");
    let wanted: BTreeSet<String> = devices.map(|option| option.text().to_owned()).collect();
    let mut differing = difference(config, &wanted);
    let mut attempts = changes(line, config, usb);
    attempts.truncate(MOST_CHANGES);
    // A change may bring something only after another one.
    for _ in 0..3 {
        for Change { about, apply } in &attempts {
            let Some(now) = &differing else { break };
            if !now.iter().any(|device| device.contains(about)) {
                continue;
            }
            let mut changed = config.clone();
            apply(&mut changed);
            let then = difference(&changed, &wanted);
            if then.as_ref().is_some_and(|then| then.len() < now.len()) {
                (*config, differing) = (changed, then);
            }
        }
    }
    if differing.is_none_or(|differing| !differing.is_empty()) {
        line.general.push("some devices have other addresses than before".into());
    }
    shorten(config);
}

/// The devices that differ, of both sides; `None` when nothing can be planned. The version does not matter for where devices are.
fn difference(config: &VmConfig, wanted: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let mut planned = BTreeSet::new();
    let mut args = rendered(config)?.into_iter();
    while let Some(arg) = args.next() {
        if arg == "-device" {
            planned.extend(args.next());
        }
    }
    Some(planned.symmetric_difference(wanted).cloned().collect())
}

/// The whole command line, if there is one.
fn rendered(config: &VmConfig) -> Option<Vec<String>> {
    let target = Target::new(Version::new(11, 1), config.arch.unwrap_or(Arch::X86_64));
    let plan = plan(config, &target, &Endpoints::default()).ok()?;
    Some(plan.command_line().args().map(|arg| arg.to_string_lossy().into_owned()).collect())
}

fn changes(line: &Line, config: &VmConfig, usb: Vec<(UsbController, bool)>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut may = |about: String, apply: Box<dyn Fn(&mut VmConfig)>| changes.push(Change { about, apply });
    let named = |id: &str| format!("\"id\":\"{id}\"");
    if usb.iter().any(|(_, by_itself)| *by_itself) {
        let all: Vec<UsbController> = usb.into_iter().map(|(usb, _)| usb).collect();
        may("xhci".into(), Box::new(move |config| config.usb.clone_from(&all)));
    }
    for (id, place) in &line.places {
        let (own, place) = (id.clone(), place.clone());
        may(
            named(id),
            Box::new(move |config| {
                if let Some(address) = address_of(config, &own) {
                    *address = Some(place.clone());
                }
            }),
        );
    }
    for ports in 0..=32 {
        may("\"pcie-root-port\"".into(), Box::new(move |config| config.hotplug_ports = Some(ports)));
    }
    for hotplug in [false, true] {
        for (index, disk) in config.disks.iter().enumerate() {
            let about = named(disk.id.as_deref().unwrap_or_default());
            may(about, Box::new(move |config| config.disks[index].hotplug = Some(hotplug)));
        }
        for (index, network) in config.networks.iter().enumerate() {
            let about = named(network.id.as_deref().unwrap_or_default());
            may(about, Box::new(move |config| config.networks[index].hotplug = Some(hotplug)));
        }
    }
    if !line.units.is_empty() {
        // One alone may be in the place of another.
        let units = line.units.clone();
        may(
            String::new(),
            Box::new(move |config| units.iter().for_each(|(id, place)| put(config, id, place))),
        );
    }
    if !config.devices.is_empty() {
        // What is behind a port that was added is there again by itself.
        let mut places = line.places.clone();
        places.retain(
            |_, place| matches!(place, Address::Pci(pci) if matches!(pci.bus(), PciBus::Numbered { .. })),
        );
        let all = move |config: &mut VmConfig| {
            for device in &mut config.devices {
                device.address = device.id.as_ref().and_then(|id| places.get(id)).cloned();
            }
        };
        may(String::new(), Box::new(all));
    }
    for (id, place) in line.units.clone() {
        may(named(&id), Box::new(move |config| put(config, &id, &place)));
    }
    for (index, usb) in config.usb_devices.iter().enumerate() {
        let Some(id) = &usb.id else { continue };
        let Some((controller, port)) = line.usb_ports.get(id).cloned() else { continue };
        let wanted = controller.clone();
        may(named(id), Box::new(move |config| config.usb_devices[index].controller.clone_from(&wanted)));
        may(
            named(id),
            Box::new(move |config| {
                config.usb_devices[index].controller.clone_from(&controller);
                config.usb_devices[index].port = Some(port.clone());
            }),
        );
    }
    changes
}

/// Puts a disk or a CD-ROM drive in its place behind a controller.
fn put(config: &mut VmConfig, id: &str, (controller, unit, lun): &(Option<String>, u16, u16)) {
    let is = |other: &Option<String>| other.as_deref() == Some(id);
    // The first port is one of the board's own if nothing else is said.
    let controller = controller.clone().filter(|controller| controller != "ide");
    let lun = (*lun > 0).then_some(*lun);
    if let Some(disk) = config.disks.iter_mut().find(|disk| is(&disk.id)) {
        (disk.controller, disk.unit, disk.lun) = (controller, Some(*unit), lun);
    } else if let Some(cdrom) = config.cdroms.iter_mut().find(|cdrom| is(&cdrom.id)) {
        (cdrom.controller, cdrom.unit, cdrom.lun) = (controller, Some(*unit), lun);
    }
}

/// Where the config says the address of a device.
fn address_of<'c>(config: &'c mut VmConfig, id: &str) -> Option<&'c mut Option<Address>> {
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

/// Leaves out what the config would have anyway: names, MAC addresses, what the sandbox must let through.
fn shorten(config: &mut VmConfig) {
    let attempts: [fn(&mut VmConfig); 16] = [
        |config| forget(config.disks.iter_mut().map(|disk| &mut disk.id), "disk"),
        |config| forget(config.cdroms.iter_mut().map(|cdrom| &mut cdrom.id), "cdrom"),
        |config| config.networks.iter_mut().for_each(|network| network.mac = None),
        |config| forget(config.networks.iter_mut().map(|network| &mut network.id), "net"),
        |config| forget(config.video.iter_mut().map(|video| &mut video.id), "video"),
        |config| forget(config.audio.iter_mut().map(|audio| &mut audio.id), "audio"),
        |config| forget(config.serials.iter_mut().map(|serial| &mut serial.id), "serial"),
        |config| forget(config.channels.iter_mut().map(|channel| &mut channel.id), "channel"),
        |config| forget(config.usb.iter_mut().map(|usb| &mut usb.id), "usb"),
        |config| forget(config.usb_devices.iter_mut().map(|usb| &mut usb.id), "usbdev"),
        |config| forget(config.host_devices.iter_mut().map(|host| &mut host.id), "hostdev"),
        |config| forget(config.devices.iter_mut().map(|other| &mut other.id), "device"),
        |config| forget(config.shares.iter_mut().map(share_id), "share"),
        |config| config.sandbox.allow_spawn = false,
        |config| config.sandbox.allow_elevate = false,
        // A memfd that is shared is what helpers of devices need.
        |config| (config.memory.backend, config.memory.share) = (MemoryBackend::Default, None),
    ];
    let Some(before) = rendered(config) else { return };
    for attempt in attempts {
        let mut changed = config.clone();
        attempt(&mut changed);
        if rendered(&changed).as_ref() == Some(&before) {
            *config = changed;
        }
    }
}

/// Forgets the names that a list gives its elements by itself.
fn forget<'i>(ids: impl Iterator<Item = &'i mut Option<String>>, prefix: &str) {
    for (index, id) in ids.enumerate() {
        if *id == Some(format!("{prefix}{index}")) {
            *id = None;
        }
    }
}

fn share_id(share: &mut Share) -> &mut Option<String> {
    match share {
        Share::Virtiofs(share) => &mut share.id,
        Share::NineP(share) => &mut share.id,
    }
}
