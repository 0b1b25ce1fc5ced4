//! The boot order: FILE first, unless `--boot` says otherwise.

use clap::ValueEnum;
use qemu_argv::VmConfig;

use super::exit::Exit;
use super::failure::Failure;

/// The values of `--boot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootFrom {
    /// The first disk
    Disk,
    /// The first CD-ROM drive
    Cdrom,
    /// The first network interface
    Network,
    /// Choose in the firmware's boot menu
    Menu,
}

/// The kind of image that the config was made from.
pub(crate) fn image_of(config: &VmConfig) -> Option<BootFrom> {
    match (config.disks.is_empty(), config.cdroms.is_empty()) {
        (false, true) => Some(BootFrom::Disk),
        (true, false) => Some(BootFrom::Cdrom),
        _ => None,
    }
}

/// Sets the boot order. `booted` is the kind of FILE, which comes first unless `chosen` says otherwise. The boot order
/// of a config file is kept unless `chosen` changes it.
pub(crate) fn order(
    config: &mut VmConfig,
    chosen: Option<BootFrom>,
    booted: Option<BootFrom>,
) -> Result<(), Failure> {
    if chosen == Some(BootFrom::Menu) {
        config.boot.menu = Some(true);
    }
    let chosen = chosen.filter(|&chosen| chosen != BootFrom::Menu);
    // A single image needs no order.
    let several = config.disks.len() + config.cdroms.len() > 1;
    let Some(first) = chosen.or(booted.filter(|_| several)) else { return Ok(()) };
    if chosen.is_some() {
        if config.boot.kernel.is_some() {
            let text = "--boot sets the firmware's boot order, which has no effect on a kernel that is booted directly";
            return Err(Failure::new(Exit::Usage, text).with_help("remove --boot or the kernel"));
        }
        config.boot.order = None;
        config.boot.once = None;
    }
    let mut kinds = vec![first];
    kinds.extend([BootFrom::Disk, BootFrom::Cdrom].into_iter().filter(|&kind| kind != first));
    let mut index = 0;
    for kind in kinds {
        let before = index;
        let mut place = |field: &mut Option<u32>| {
            *field = Some(index);
            index += 1;
        };
        match kind {
            BootFrom::Disk => config.disks.iter_mut().for_each(|disk| place(&mut disk.boot_index)),
            BootFrom::Cdrom => config.cdroms.iter_mut().for_each(|drive| place(&mut drive.boot_index)),
            BootFrom::Network => {
                config.networks.iter_mut().take(1).for_each(|network| place(&mut network.boot_index));
            }
            BootFrom::Menu => {}
        }
        if kind == first && index == before {
            let what = match first {
                BootFrom::Disk => "disk",
                BootFrom::Cdrom => "CD-ROM drive",
                BootFrom::Network | BootFrom::Menu => "network",
            };
            return Err(Failure::new(Exit::Usage, format!("the VM has no {what} to boot from")));
        }
    }
    if first != BootFrom::Network {
        config.networks.iter_mut().for_each(|network| network.boot_index = None);
    }
    Ok(())
}
