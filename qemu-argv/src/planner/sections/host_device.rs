//! Devices of the host, and devices by QEMU's name.

use super::provider;
use crate::config::{HostDevice, OtherBus, OtherDevice, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::pci::{PciAddress, PciBus};
use crate::topology::{Address, Connector, DeviceRequest, PciRequest, UsbRequest};
use crate::value::Props;

pub(super) fn host_devices(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("host_devices", "hostdev", &config.host_devices, |device| device.id.as_deref());
    for (index, (device, id)) in config.host_devices.iter().zip(ids).enumerate() {
        vfio(builder, At::entry("host_devices", index), &id, device);
    }
}

pub(super) fn newcomer(builder: &mut Builder<'_>, device: &HostDevice) {
    let (at, id) = builder.join("host_devices", "hostdev", device, device.id.as_deref());
    vfio(builder, at, &id, device);
}

fn vfio(builder: &mut Builder<'_>, at: At<'_>, id: &str, device: &HostDevice) {
    let mut props = Props::new();
    match (&device.host, &device.sysfs) {
        (Some(host), None) => {
            let good = host.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
                && host.contains(':');
            if !good {
                builder.invalid(
                    at.field("host"),
                    host,
                    "is not a valid PCI address of the host; expected for example 0000:01:00.0",
                );
            }
            props.set("host", host);
        }
        (None, Some(path)) => props.set("sysfsdev", builder.path(at.field("sysfs"), path)),
        _ => builder.conflict(at, "set either `host` or `sysfs`"),
    }
    if let Some(path) = &device.rom_file {
        let path = builder.path(at.field("rom_file"), path);
        props.set("romfile", path);
    }
    if let Some(index) = device.boot_index {
        builder.boot_index(at, index);
        props.set("bootindex", index);
    }
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &device.properties);
    props.extend(device.properties.clone());
    let mut pci = PciRequest::express();
    pci.address.clone_from(&device.address);
    builder.device(at, "vfio-pci", id, props, Connector::Pci(pci));
}

pub(super) fn others(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("devices", "device", &config.devices, |device| device.id.as_deref());
    for (index, (device, id)) in config.devices.iter().zip(ids).enumerate() {
        other(builder, At::entry("devices", index), &id, device);
    }
}

pub(super) fn other_newcomer(builder: &mut Builder<'_>, device: &OtherDevice) {
    let (at, id) = builder.join("devices", "device", device, device.id.as_deref());
    other(builder, at, &id, device);
}

/// Refuses a text that cannot be the name of a driver or of a type of objects.
pub(super) fn check_driver(builder: &mut Builder<'_>, at: At<'_>, driver: &str) {
    let good = !driver.is_empty()
        && driver.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._,+".contains(&byte))
        && driver != "help";
    if !good {
        builder.invalid(at, driver, "is not a valid driver name");
    }
}

fn other(builder: &mut Builder<'_>, at: At<'_>, id: &str, device: &OtherDevice) {
    let driver = &device.driver;
    check_driver(builder, at.field("driver"), driver);
    let properties_at = at.field("properties");
    // The generic loader has an address of its own kind.
    let (loads, places): (bool, Props) = (driver == "loader", device.properties.clone());
    builder.check_keys_but(properties_at, &places, if loads { "addr" } else { "" });
    let props = places;
    if let Some(Ok(mac)) = props.get_str("mac").map(str::parse) {
        builder.mac(properties_at, mac);
    }
    let provides = provider::provides(driver, &props);
    let usual = provider::usual_bus(driver, &props);
    // An address says which kind of bus it is.
    let usual = match (&device.address, usual) {
        (Some(Address::Pci(_)), OtherBus::None) if !driver.starts_with("virtio-") => OtherBus::Pci,
        (Some(_), OtherBus::None) => OtherBus::Virtio,
        (_, usual) => usual,
    };
    let bus = if device.bus == OtherBus::None { &usual } else { &device.bus };
    let with_address = |mut pci: PciRequest| {
        pci.address.clone_from(&device.address);
        pci
    };
    let connector = match bus {
        OtherBus::Pci => Connector::Pci(with_address(PciRequest::conventional())),
        OtherBus::Pcie => Connector::Pci(with_address(PciRequest::express())),
        OtherBus::Virtio => Connector::Virtio(with_address(PciRequest::express())),
        OtherBus::Usb => Connector::Usb(UsbRequest::default()),
        OtherBus::Named(name) => {
            check_bus(builder, at.field("bus"), name);
            match &device.address {
                None => Connector::Bus(name.into()),
                Some(address) => Connector::Pci(on_bus(builder, at.field("address"), name, address)),
            }
        }
        OtherBus::None => {
            let early = provider::is_early(driver, &props);
            let number = builder.fixed_device(at, driver.clone(), id, props);
            if early || provider::is_first(driver) {
                builder.early.push((number, provider::is_first(driver)));
            }
            return;
        }
    };
    let early = provider::is_early(driver, &props);
    let request = DeviceRequest { provides, ..DeviceRequest::new(id, connector) };
    let number = builder.request(at, driver.clone(), props, request);
    if early || provider::is_first(driver) {
        builder.early.push((number, provider::is_first(driver)));
    }
}

/// A name that QEMU could give a bus.
fn check_bus(builder: &mut Builder<'_>, at: At<'_>, name: &str) {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let usable = !name.is_empty() && name.len() <= 80 && name != "help";
    if !usable || !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.bytes().all(good) {
        let why = "is not a valid bus; expected none, pci, pcie, virtio, usb, or the name of a bus";
        builder.invalid(at, name, why);
    }
}

/// The slot of a named bus, whose own name an address repeats or leaves out.
fn on_bus(builder: &mut Builder<'_>, at: At<'_>, name: &str, address: &Address) -> PciRequest {
    let mut request = PciRequest::conventional();
    let same = match address {
        Address::Pci(pci) => match pci.bus() {
            PciBus::Numbered { domain: 0, bus: 0 } => true,
            PciBus::Named(own) => own == name,
            PciBus::Numbered { .. } => false,
        }
        .then_some(pci),
        _ => None,
    };
    match same.map(|pci| PciAddress::new(PciBus::Named(name.to_owned()), pci.slot(), pci.function())) {
        Some(Ok(place)) => request.address = Some(Address::Pci(place)),
        _ => builder.invalid(at, &address.to_string(), format!("is not a slot of {name}, such as 02.0")),
    }
    request
}
