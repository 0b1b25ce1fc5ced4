//! USB controllers and devices.

use super::chardev;
use crate::config::{
    CharBackend, SpicevmcChardev, UsbController, UsbDevice, UsbHost, UsbKind, UsbModel, UsbRedirection,
    VmConfig,
};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::planner::ids::chardev_name;
use crate::topology::{Connector, DeviceRequest, PciRequest, Provides, UsbRequest};
use crate::value::Props;

pub(super) fn controllers(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("usb", "usb", &config.usb, |usb| usb.id.as_deref());
    for (index, (usb, id)) in config.usb.iter().zip(ids).enumerate() {
        controller(builder, At::entry("usb", index), &id, usb);
    }
}

fn controller(builder: &mut Builder<'_>, at: At<'_>, id: &str, usb: &UsbController) {
    let xhci = matches!(usb.model, UsbModel::Xhci | UsbModel::NecXhci);
    if usb.ports.is_some() && !xhci {
        builder.conflict(at.field("ports"), "`ports` is only supported by xhci controllers");
    }
    let ports = match usb.model {
        UsbModel::Xhci | UsbModel::NecXhci => usb.ports.unwrap_or(15),
        UsbModel::Uhci => 2,
    };
    if !(1..=15).contains(&ports) {
        builder.invalid(
            at.field("ports"),
            &ports.to_string(),
            "is not a valid number of ports; expected 1 to 15",
        );
    }
    let mut props = if xhci { Props::new().with("p2", ports).with("p3", ports) } else { Props::new() };
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &usb.properties);
    props.extend(usb.properties.clone());
    let (driver, mut pci) = match usb.model {
        UsbModel::Xhci => ("qemu-xhci", PciRequest::express()),
        UsbModel::NecXhci => ("nec-usb-xhci", PciRequest::express()),
        UsbModel::Uhci => ("piix3-usb-uhci", PciRequest::conventional()),
    };
    pci.address.clone_from(&usb.address);
    let request = DeviceRequest {
        provides: Some(Provides::Usb { ports: ports.into() }),
        ..DeviceRequest::new(id, Connector::Pci(pci))
    };
    builder.request(at, driver, props, request);
}

pub(super) fn devices(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("usb_devices", "usbdev", &config.usb_devices, |usb| usb.id.as_deref());
    for (index, (usb, id)) in config.usb_devices.iter().zip(ids).enumerate() {
        device(builder, At::entry("usb_devices", index), &id, usb);
    }
}

pub(super) fn newcomer(builder: &mut Builder<'_>, usb: &UsbDevice) {
    let (at, id) = builder.join("usb_devices", "usbdev", usb, usb.id.as_deref());
    device(builder, at, &id, usb);
}

fn device(builder: &mut Builder<'_>, at: At<'_>, id: &str, usb: &UsbDevice) {
    let (driver, mut props) = match &usb.device {
        UsbKind::Tablet => ("usb-tablet", Props::new()),
        UsbKind::Mouse => ("usb-mouse", Props::new()),
        UsbKind::Keyboard => ("usb-kbd", Props::new()),
        UsbKind::WacomTablet => ("usb-wacom-tablet", Props::new()),
        UsbKind::Hub => ("usb-hub", Props::new()),
        UsbKind::Ccid => ("usb-ccid", Props::new()),
        UsbKind::Host(UsbHost { vendor, product, bus, port, address }) => {
            let on_bus = port.is_some() || address.is_some();
            if vendor.is_some() != product.is_some() || bus.is_some() != on_bus {
                let why = "`vendor` requires `product`, and `bus` requires `port` or `address`";
                builder.conflict(at.field("device"), why);
            } else if vendor.is_none() && bus.is_none() {
                let why = "set `vendor` and `product`, `bus` and `port`, or `bus` and `address`";
                builder.conflict(at.field("device"), why);
            }
            if let Some(port) = port
                && !port.split('.').all(|part| {
                    (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
                })
            {
                builder.invalid(
                    at.field("device"),
                    port,
                    "is not a valid USB port; expected for example 2 or 1.2",
                );
            }
            let props = Props::new()
                .with_some("vendorid", *vendor)
                .with_some("productid", *product)
                .with_some("hostbus", *bus)
                .with_some("hostport", port.as_ref())
                .with_some("hostaddr", *address);
            ("usb-host", props)
        }
        UsbKind::Redirection(UsbRedirection { backend }) => {
            let backend = backend.clone().unwrap_or_else(|| {
                if !builder.has_spice {
                    builder.conflict(at.field("device"), "USB redirection requires `spice`");
                }
                CharBackend::Spicevmc(SpicevmcChardev { name: "usbredir".into() })
            });
            let name = chardev_name(id, &backend);
            chardev::add(builder, at, &name, &backend, None);
            ("usb-redir", Props::new().with("chardev", name))
        }
    };
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &usb.properties);
    props.extend(usb.properties.clone());
    let request = UsbRequest { controller: usb.controller.clone(), port: usb.port.clone() };
    builder.device(at, driver, id, props, Connector::Usb(request));
}
