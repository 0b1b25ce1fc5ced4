//! Screens, shares, and the small devices of which a machine has one each.

use super::bag::{Bag, Why};
use super::chardev;
use super::line::Line;
use super::place;
use super::shares;
use crate::config::{
    Balloon, DebugExit, HostDevice, Pvpanic, RandomSource, Rng, RngSource, Size, Tpm, TpmModel, Video,
    VideoModel, VmConfig, Vsock, Watchdog, WatchdogModel,
};
use crate::qemu_target::Arch;

/// A device whose bag has no driver and no id any more; `virtio` is its driver without the bus.
pub(super) fn device(
    line: &mut Line,
    config: &mut VmConfig,
    driver: &str,
    virtio: &str,
    id: Option<String>,
    mut bag: Bag,
) -> Result<(), Why> {
    let name = if virtio.starts_with("virtio-gpu") { virtio } else { driver };
    if let Some((model, ..)) = VideoModel::ALL.iter().find(|(.., known)| *known == name) {
        return video(line, config, *model, id, bag);
    }
    let place = place::take(line, &mut bag)?;
    let address = line.placed(id.as_deref(), place.clone());
    let taken = match virtio {
        "virtio-rng" => rng(line, config, id.as_deref(), address, bag)?,
        "virtio-9p" => shares::nine_p(line, config, id, address, bag)?,
        "vhost-user-fs" => shares::virtiofs(line, config, id, address, bag)?,
        "virtio-balloon" => {
            alone(line, id.as_deref(), "balloon0", config.balloon.is_some())?;
            let balloon = Balloon {
                deflate_on_oom: bag.flag("deflate-on-oom")?.unwrap_or_default(),
                free_page_reporting: bag.flag("free-page-reporting")?.unwrap_or_default(),
                stats_s: bag.number("guest-stats-polling-interval")?,
                address,
                properties: bag.properties()?,
            };
            config.balloon = Some(balloon);
            None
        }
        "vhost-vsock" => {
            alone(line, id.as_deref(), "vsock0", config.vsock.is_some())?;
            let cid = bag.number("guest-cid")?.ok_or("`guest-cid` is missing")?;
            let pass_fd = bag.text("vhostfd")?.is_some();
            let properties = bag.properties()?;
            config.vsock = Some(Vsock { pass_fd, address, properties, ..Vsock::new(cid) });
            None
        }
        _ => return small(line, config, driver, id, place.is_some(), address, bag),
    };
    line.typed_all(taken.as_slice());
    Ok(())
}

/// A config has one of its kind, under a name that is its own in a planned machine.
fn alone(line: &Line, id: Option<&str>, usual: &str, is_there: bool) -> Result<(), Why> {
    if is_there {
        Err("a config has one of its kind".into())
    } else if line.planned && id != Some(usual) {
        Err("it has another name".into())
    } else {
        Ok(())
    }
}

fn small(
    line: &mut Line,
    config: &mut VmConfig,
    driver: &str,
    id: Option<String>,
    has_place: bool,
    address: Option<crate::topology::Address>,
    mut bag: Bag,
) -> Result<(), Why> {
    if driver == "vfio-pci" {
        let host = HostDevice {
            id,
            host: bag.text("host")?,
            sysfs: bag.text("sysfsdev")?.map(Into::into),
            rom_file: bag.text("romfile")?.map(Into::into),
            boot_index: bag.number("bootindex")?,
            address,
            properties: bag.properties()?,
        };
        if host.host.is_some() == host.sysfs.is_some() {
            return Err("a config has either `host` or `sysfs`".into());
        }
        config.host_devices.push(host);
        return Ok(());
    }
    if has_place && !line.planned {
        return Err("a config plans its place".into());
    }
    let watchdog = match driver {
        "i6300esb" => Some(WatchdogModel::I6300esb),
        "ib700" => Some(WatchdogModel::Ib700),
        "diag288" => Some(WatchdogModel::Diag288),
        _ => None,
    };
    if let Some(model) = watchdog {
        alone(line, id.as_deref(), "watchdog0", config.watchdog.is_some())?;
        bag.done()?;
        config.watchdog = Some(Watchdog { model });
        return Ok(());
    }
    match driver {
        "pvpanic" | "pvpanic-pci" => {
            alone(line, id.as_deref(), "pvpanic0", config.pvpanic.is_some())?;
            bag.done()?;
            config.pvpanic = Some(if driver == "pvpanic" { Pvpanic::Isa } else { Pvpanic::Pci });
            Ok(())
        }
        "vmgenid" => {
            alone(line, id.as_deref(), "vmgenid0", config.vmgenid.is_some())?;
            let guid = bag.text("guid")?.unwrap_or_else(|| "auto".into());
            bag.done()?;
            config.vmgenid = Some(guid);
            Ok(())
        }
        "isa-debug-exit" => {
            alone(line, id.as_deref(), "debug-exit0", config.debug_exit.is_some())?;
            // QEMU's own defaults.
            let port = bag.number("iobase")?.unwrap_or(0x501);
            let size = bag.number("iosize")?.unwrap_or(2);
            bag.done()?;
            config.debug_exit = Some(DebugExit { port, size });
            Ok(())
        }
        "tpm-tis" | "tpm-tis-device" | "tpm-crb" | "tpm-spapr" => {
            tpm(line, config, driver, id.as_deref(), bag)
        }
        _ => Err(format!("a config has no field for {driver}")),
    }
}

fn tpm(
    line: &mut Line,
    config: &mut VmConfig,
    driver: &str,
    id: Option<&str>,
    mut bag: Bag,
) -> Result<(), Why> {
    alone(line, id, "tpm0", config.tpm.is_some())?;
    let name = bag.needed("tpmdev")?;
    bag.done()?;
    let at = line.definition("tpmdev", &name).ok_or("its backend is not on the command line")?;
    let mut backend = line.bag(at);
    backend.take("id");
    if backend.needed("type")? != "emulator" {
        return Err("a config only has the TPM emulator swtpm".into());
    }
    let chardev = backend.needed("chardev")?;
    backend.done()?;
    let (chardev_at, socket, server) = chardev::unix_client(line, config, &chardev)?;
    if server {
        return Err("swtpm listens, and QEMU connects".into());
    }
    let model = match driver {
        "tpm-crb" => TpmModel::Crb,
        "tpm-spapr" => TpmModel::Spapr,
        _ => TpmModel::Tis,
    };
    config.tpm = Some(Tpm { model, ..Tpm::new(socket) });
    line.typed(at);
    line.typed(chardev_at);
    Ok(())
}

fn rng(
    line: &Line,
    config: &mut VmConfig,
    id: Option<&str>,
    address: Option<crate::topology::Address>,
    mut bag: Bag,
) -> Result<Option<usize>, Why> {
    alone(line, id, "rng0", config.rng.is_some())?;
    let (at, source) = match bag.text("rng")? {
        None => (None, RngSource::Builtin),
        Some(name) => {
            let (at, kind, mut object) = line.object(&name)?;
            let source = match kind.as_str() {
                "rng-builtin" => RngSource::Builtin,
                "rng-random" => {
                    let path = object.text("filename")?.unwrap_or_else(|| "/dev/urandom".into());
                    RngSource::Random(RandomSource::new(path))
                }
                other => return Err(format!("a config has no random numbers of the kind {other}")),
            };
            object.done()?;
            (Some(at), source)
        }
    };
    let max_bytes: Option<Size> = bag.size("max-bytes")?;
    let period_ms: Option<u32> = bag.number("period")?.filter(|_| max_bytes.is_some());
    let properties = bag.properties()?;
    config.rng = Some(Rng { source, max_bytes, period_ms, address, properties });
    Ok(at)
}

fn video(
    line: &mut Line,
    config: &mut VmConfig,
    model: VideoModel,
    id: Option<String>,
    mut bag: Bag,
) -> Result<(), Why> {
    let place = place::take(line, &mut bag)?;
    let address = line.placed(id.as_deref(), place);
    let mib: Option<u64> = bag.number("vgamem_mb")?;
    let video = Video {
        vga_memory: bag.size("vgamem")?.or(mib.map(Size::mib)),
        ram: bag.size("ram_size")?,
        vram: bag.size("vram_size")?,
        host_memory: bag.size("max_hostmem")?,
        outputs: bag.number("max_outputs")?,
        width: bag.number("xres")?,
        height: bag.number("yres")?,
        address,
        id,
        properties: bag.properties()?,
        ..Video::new(model)
    };
    config.video.push(video);
    Ok(())
}

/// `-vga`, and the screen that a board has by itself.
pub(super) fn vga(line: &mut Line, config: &mut VmConfig) {
    let virtio = if matches!(line.arch, Arch::X86_64 | Arch::I386) {
        VideoModel::VirtioVga
    } else {
        VideoModel::VirtioGpu
    };
    let given = line.has("vga");
    if let Some((at, word)) = line.last("vga") {
        let model = match word.as_str() {
            "none" => return,
            "std" => VideoModel::Vga,
            "cirrus" => VideoModel::Cirrus,
            "vmware" => VideoModel::Vmware,
            "qxl" => VideoModel::QxlVga,
            "virtio" => virtio,
            _ => return line.extra(at, "a config has no such screen"),
        };
        config.video.insert(0, Video::new(model));
        return;
    }
    // These stand for the board's own.
    let replaced = config.video.iter().any(|video| {
        use VideoModel as Model;
        matches!(
            video.model,
            Model::Vga
                | Model::Cirrus
                | Model::Vmware
                | Model::QxlVga
                | Model::VirtioVga
                | Model::VirtioVgaGl
                | Model::Ati
        )
    });
    if !given && !replaced && !line.planned && !line.has("nodefaults") && (line.is_pc() || line.is_q35()) {
        config.video.insert(0, Video::new(VideoModel::Vga));
    }
}
