//! Devices of the host, and devices by QEMU's name.

use crate::config::{HostDevice, OtherBus, OtherDevice};
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, PciRequest, UsbRequest};
use crate::value::Props;

pub(super) fn host_devices(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("host_devices", "hostdev", &config.host_devices, |device| device.id.as_deref());
    for (index, (device, id)) in config.host_devices.iter().zip(ids).enumerate() {
        vfio(draft, At::ROOT.item("host_devices", index), &id, device);
    }
}

fn vfio(draft: &mut Draft<'_>, at: At<'_>, id: &str, device: &HostDevice) {
    let mut props = Props::new();
    match (&device.host, &device.sysfs) {
        (Some(host), None) => {
            let good = host.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
                && host.contains(':');
            if !good {
                draft.invalid(
                    at.field("host"),
                    host,
                    "is no PCI address of the host: write it like 0000:01:00.0",
                );
            }
            props.set("host", host);
        }
        (None, Some(path)) => props.set("sysfsdev", draft.path(at.field("sysfs"), path)),
        _ => draft.conflict(at, "exactly one of `host` and `sysfs` is needed"),
    }
    if let Some(path) = &device.rom_file {
        let path = draft.path(at.field("rom_file"), path);
        props.set("romfile", path);
    }
    if let Some(index) = device.boot_index {
        draft.boot_index(at, index);
        props.set("bootindex", index);
    }
    let properties_at = at.field("properties");
    draft.check_keys(properties_at, &device.properties);
    props.extend(device.properties.clone());
    let mut pci = PciRequest::express();
    pci.address.clone_from(&device.address);
    draft.device(at, "vfio-pci", id, props, Connector::Pci(pci));
}

pub(super) fn others(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("devices", "device", &config.devices, |device| device.id.as_deref());
    for (index, (device, id)) in config.devices.iter().zip(ids).enumerate() {
        other(draft, At::ROOT.item("devices", index), &id, device);
    }
}

fn other(draft: &mut Draft<'_>, at: At<'_>, id: &str, device: &OtherDevice) {
    let driver = &device.driver;
    let good = !driver.is_empty()
        && driver.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._,+".contains(&byte))
        && driver != "help";
    if !good {
        draft.invalid(at.field("driver"), driver, "is no driver");
    }
    let properties_at = at.field("properties");
    draft.check_keys(properties_at, &device.properties);
    let props = device.properties.clone();
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
                draft.conflict(at.field("address"), "an address needs `bus`");
            }
            draft.fixed_device(at, driver.clone(), id, props);
            return;
        }
    };
    draft.device(at, driver.clone(), id, props, connector);
}
