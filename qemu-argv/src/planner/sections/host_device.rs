//! Devices of the host, and devices by QEMU's name.

use crate::config::{HostDevice, OtherBus, OtherDevice, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest, UsbRequest};
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
    builder.check_keys(properties_at, &device.properties);
    let props = device.properties.clone();
    if let Some(Ok(mac)) = props.get_str("mac").map(str::parse) {
        builder.mac(properties_at, mac);
    }
    let with_address = |mut pci: PciRequest| {
        pci.address.clone_from(&device.address);
        pci
    };
    let connector = match device.bus {
        OtherBus::Pci => Connector::Pci(with_address(PciRequest::conventional())),
        OtherBus::Pcie => Connector::Pci(with_address(PciRequest::express())),
        OtherBus::Virtio => Connector::Virtio(with_address(PciRequest::express())),
        OtherBus::Usb => Connector::Usb(UsbRequest::default()),
        OtherBus::None => {
            if device.address.is_some() {
                builder.conflict(at.field("address"), "`address` requires `bus`");
            }
            builder.fixed_device(at, driver.clone(), id, props);
            return;
        }
    };
    builder.device(at, driver.clone(), id, props, connector);
}
