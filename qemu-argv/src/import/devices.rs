//! `-device`: which section each belongs to.

use super::bag::{Bag, Why, as_number};
use super::chardev;
use super::disks;
use super::line::{Bus, Line};
use super::network::{self, Interfaces};
use super::place;
use super::serial::{self, Ports};
use super::{gadgets, options::Fate};
use crate::config::{
    OtherBus, OtherDevice, SerialDevice, UsbController, UsbDevice, UsbHost, UsbKind, UsbModel,
    UsbRedirection, VmConfig,
};
use crate::planner::provides;
use crate::topology::Provides;
use crate::value::Value;

/// What becomes of all devices, until each is in its list.
pub(super) struct Found {
    pub(super) interfaces: Interfaces,
    pub(super) ports: Ports,
    /// USB controllers, and whether this crate adds it by itself where there are USB devices.
    pub(super) usb: Vec<(UsbController, bool)>,
}

/// Controllers and bridges first: others sit on them.
pub(super) fn controllers(line: &mut Line, config: &mut VmConfig, found: &mut Found) {
    for at in line.open("device") {
        let mut bag = line.bag(at);
        let driver = bag.text("driver").ok().flatten().unwrap_or_default();
        let id = bag.peek("id").map(str::to_owned);
        let on_root = line.planned || bag.peek("bus").is_none_or(place::is_root);
        // A device of the config's own has a name of its own, too.
        let added = !line.planned || id.as_deref().is_some_and(is_automatic);
        let plain = |bag: &mut Bag, keys: &[&str]| {
            for key in ["id", "bus", "addr", "devno", "multifunction"].iter().chain(keys) {
                bag.take(key);
            }
            bag.is_empty()
        };
        let bus = match driver.as_str() {
            "pcie-root-port"
                if on_root
                    && added
                    && !line.carries(id.as_deref())
                    && plain(&mut bag, &["chassis", "slot", "port"]) =>
            {
                Bus::PciPort
            }
            "pcie-pci-bridge" | "pci-bridge" | "x3130-upstream" | "xio3130-downstream"
                if line.planned && added =>
            {
                Bus::PciPort
            }
            "virtio-scsi" | "virtio-scsi-pci" | "virtio-scsi-ccw" | "virtio-scsi-device"
                if added && plain(&mut bag, &[]) =>
            {
                Bus::Scsi
            }
            "virtio-serial" | "virtio-serial-pci" | "virtio-serial-ccw" | "virtio-serial-device"
                if added && plain(&mut bag, &[]) =>
            {
                Bus::Serial
            }
            "ich9-ahci" | "ahci" if added && plain(&mut bag, &[]) => Bus::Sata,
            "qemu-xhci" | "nec-usb-xhci" | "piix3-usb-uhci" if !bag.has("masterbus") => {
                match usb_controller(line, &driver, bag) {
                    Ok(usb) => {
                        line.typed(at);
                        line.buses.insert(id.unwrap_or_default(), Bus::Usb);
                        let by_itself = line.planned && driver == "qemu-xhci" && usb.ports.is_none();
                        found.usb.push((usb, by_itself));
                    }
                    Err(why) => line.extra(at, why),
                }
                continue;
            }
            driver if provides(driver, &crate::value::Props::new()).is_some() => {
                if other(line, config, at).is_ok() {
                    line.typed(at);
                }
                continue;
            }
            _ => continue,
        };
        let used = bus != Bus::PciPort || line.planned;
        if !used {
            line.remark(at, "PCIe ports are added automatically");
        }
        line.typed(at);
        if let Some(id) = id {
            line.buses.insert(id, bus);
        }
    }
}

fn usb_controller(line: &mut Line, driver: &str, mut bag: Bag) -> Result<UsbController, Why> {
    let model = match driver {
        "qemu-xhci" => UsbModel::Xhci,
        "nec-usb-xhci" => UsbModel::NecXhci,
        _ => UsbModel::Uhci,
    };
    let id = bag.text("id")?;
    let place = place::take(line, &mut bag)?;
    let (two, three): (Option<u8>, Option<u8>) = (bag.number("p2")?, bag.number("p3")?);
    let properties = bag.properties()?;
    if two != three {
        return Err("a config has as many ports for USB 2 as for USB 3".into());
    }
    let address = line.placed(id.as_deref(), place);
    // Without a word QEMU has four of each; more of them are not missed.
    Ok(UsbController { id, model, ports: two.filter(|ports| *ports != 15), address, properties })
}

/// All other devices.
pub(super) fn devices(line: &mut Line, config: &mut VmConfig, found: &mut Found) {
    for at in line.open("device") {
        // A device before may have taken it along.
        if line.options[at].fate != Fate::Open {
            continue;
        }
        let bag = line.bag(at);
        match one(line, config, found, at, bag) {
            Ok(()) => line.typed(at),
            Err(why) => match other(line, config, at) {
                Ok(()) => line.typed(at),
                Err(_) => line.extra(at, why),
            },
        }
    }
    for at in line.open("usbdevice") {
        let kind = match line.options[at].text() {
            "tablet" => UsbKind::Tablet,
            "mouse" => UsbKind::Mouse,
            "keyboard" => UsbKind::Keyboard,
            "wacom-tablet" => UsbKind::WacomTablet,
            "ccid" => UsbKind::Ccid,
            _ => continue,
        };
        // It switches the board's own controller on.
        config.machine.usb = Some(true);
        config.usb_devices.push(UsbDevice::new(kind));
        line.typed(at);
    }
}

fn one(
    line: &mut Line,
    config: &mut VmConfig,
    found: &mut Found,
    at: usize,
    mut bag: Bag,
) -> Result<(), Why> {
    let driver = bag.needed("driver")?;
    let id = bag.text("id")?;
    let virtio =
        ["-pci", "-ccw", "-device"].iter().find_map(|bus| driver.strip_suffix(bus)).unwrap_or(&driver);
    if let Some(model) = network::model(&driver) {
        let place = place::placed(line, &mut bag, model == crate::config::NicModel::UsbNet)?;
        let address = line.placed(id.as_deref(), place);
        network::device(line, config, id, model, bag, &mut found.interfaces)?;
        if let Some((_, network)) = found.interfaces.last_mut() {
            network.address = address;
        }
        return Ok(());
    }
    match driver.as_str() {
        "scsi-hd" | "ide-hd" | "nvme" | "usb-storage" => return disks::disk(line, config, &driver, id, bag),
        _ if virtio == "virtio-blk" => return disks::disk(line, config, "virtio-blk", id, bag),
        "scsi-cd" | "ide-cd" => return disks::cdrom(line, config, &driver, id, bag),
        "pci-serial" | "usb-serial" | "virtconsole" => {
            let device = match driver.as_str() {
                "pci-serial" => SerialDevice::Pci,
                "usb-serial" => SerialDevice::Usb,
                _ => SerialDevice::Virtio,
            };
            place::placed(line, &mut bag, true)?;
            let chardev = bag.needed("chardev")?;
            bag.done()?;
            let port = serial::port(line, config, &chardev, device, id)?;
            found.ports.push(port);
            return Ok(());
        }
        "virtserialport" => {
            place::placed(line, &mut bag, true)?;
            return serial::channel(line, config, at, id.as_deref(), bag);
        }
        _ => {}
    }
    if driver.starts_with("usb-") {
        return usb(line, config, &driver, id, bag);
    }
    gadgets::device(line, config, &driver, virtio, id, bag)
}

fn usb(
    line: &mut Line,
    config: &mut VmConfig,
    driver: &str,
    id: Option<String>,
    mut bag: Bag,
) -> Result<(), Why> {
    let bus = bag.peek("bus").map(str::to_owned);
    place::take(line, &mut bag)?;
    let port = bag.text("port")?;
    let mut taken = None;
    let device = match driver {
        "usb-tablet" => UsbKind::Tablet,
        "usb-mouse" => UsbKind::Mouse,
        "usb-kbd" => UsbKind::Keyboard,
        "usb-wacom-tablet" => UsbKind::WacomTablet,
        "usb-hub" => UsbKind::Hub,
        "usb-ccid" => UsbKind::Ccid,
        "usb-host" => UsbKind::Host(UsbHost {
            vendor: bag.number("vendorid")?,
            product: bag.number("productid")?,
            bus: bag.number("hostbus")?,
            port: match bag.take("hostport") {
                Some(Value::Str(port)) => Some(port.into()),
                Some(number) => as_number(&number).map(|port| port.to_string()),
                None => None,
            },
            address: bag.number("hostaddr")?,
        }),
        "usb-redir" => {
            let used = chardev::used(line, config, &bag.needed("chardev")?)?;
            let chardev::Used::Own { at, backend, log: None } = used else {
                return Err("redirection of a config has a character device of its own".into());
            };
            taken = Some(at);
            UsbKind::Redirection(UsbRedirection { backend: Some(backend) })
        }
        other => return Err(format!("a config has no field for {other}")),
    };
    let properties = bag.properties()?;
    line.typed_all(taken.as_slice());
    let controller = bus.and_then(|bus| bus.strip_suffix(".0").map(str::to_owned));
    let named = controller.clone().filter(|controller| {
        !line.planned && config.usb.iter().any(|usb| usb.id.as_deref() == Some(controller.as_str()))
    });
    let port = if line.planned {
        if let (Some(id), Some(port)) = (&id, port) {
            // Ports are planned anew; should that give another one, it is asked for.
            line.usb_ports.insert(id.clone(), (controller.clone(), port));
        }
        None
    } else {
        port.filter(|_| named.is_some())
    };
    config.usb_devices.push(UsbDevice { id, port, controller: named, properties, ..UsbDevice::new(device) });
    Ok(())
}

/// Any other device, by QEMU's name.
fn other(line: &mut Line, config: &mut VmConfig, at: usize) -> Result<(), Why> {
    let mut bag = line.bag(at);
    let driver = bag.needed("driver")?;
    let id = bag.text("id")?;
    let loads = driver == "loader";
    let refers = ["drive", "netdev", "fsdev", "tpmdev", "rng", "audiodev"].iter().any(|key| bag.has(key));
    if refers && !line.planned {
        return Err("it refers to other options".into());
    }
    let has_place = bag.has("bus") || bag.has("addr") && !loads || bag.has("devno");
    let bus = bag.peek("bus").map(str::to_owned);
    // A bus of one of these devices, or one that only QEMU knows.
    let named = bus.clone().filter(|bus| is_named(line, bus));
    let known = bus.as_deref().and_then(|bus| place::known_bus(line, bus));
    let is_virtio = driver.starts_with("virtio-") || driver.starts_with("vhost-");
    let (bus, place) = if let Some(bus) = named {
        bag.take("bus");
        let place = place::on(&bus, &mut bag)?;
        (OtherBus::Named(bus), place)
    } else if loads {
        (OtherBus::None, None)
    } else {
        let place = if has_place { place::take(line, &mut bag)? } else { None };
        let bus = match (has_place, known) {
            (false, _) => OtherBus::None,
            (true, Some(Bus::Usb)) => {
                bag.take("port");
                OtherBus::Usb
            }
            (true, _) if is_virtio => OtherBus::Virtio,
            (true, Some(Bus::PciPort)) => OtherBus::Pcie,
            (true, None) if place.is_some() => OtherBus::Pci,
            _ => return Err("a config does not know its bus".into()),
        };
        (bus, place)
    };
    let address = line.placed(id.as_deref(), place);
    let properties = bag.properties()?;
    let provided = provides(&driver, &properties);
    if let (Some(id), Some(provided)) = (&id, provided) {
        let bus = match provided {
            Provides::Scsi { .. } => Some(Bus::Scsi),
            Provides::Sata { .. } => Some(Bus::Sata),
            Provides::Usb { .. } => Some(Bus::Usb),
            Provides::VirtioSerial { .. } => Some(Bus::Serial),
            Provides::Pci { last, .. } => Some(Bus::Own(last == 0)),
            _ => None,
        };
        line.buses.extend(bus.map(|bus| (id.clone(), bus)));
    }
    // Its driver says where it goes.
    let bus = if provided.is_some() && matches!(bus, OtherBus::Pci | OtherBus::Virtio) {
        OtherBus::None
    } else {
        bus
    };
    config.devices.push(OtherDevice { id, bus, address, properties, ..OtherDevice::new(driver) });
    Ok(())
}

/// Whether a bus has a name that a config can only repeat: that of a device's own, or one that this crate does not know.
fn is_named(line: &Line, bus: &str) -> bool {
    let owner = bus.rsplit_once('.').map_or(bus, |(owner, _)| owner);
    let known = place::known_bus(line, bus).is_some_and(|bus| !matches!(bus, Bus::Own(_)));
    let of_the_plan = line.planned && is_automatic(owner) || known;
    !of_the_plan && !place::is_root(bus) && !bus.starts_with("virtio-mmio-bus.") && !place::is_board_bus(bus)
}

/// Whether this crate gives such a name to a controller that it adds by itself.
fn is_automatic(id: &str) -> bool {
    let base = id.trim_end_matches(|last: char| last.is_ascii_digit());
    base != id && matches!(base, "rp" | "dp" | "switch" | "bridge" | "scsi" | "sata" | "usb" | "vserial")
}
