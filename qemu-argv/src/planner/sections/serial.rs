//! Serial ports: a character device, and a port of the board or a card.

use smol_str::SmolStr;

use super::chardev;
use crate::config::{CharBackend, Serial, SerialDevice, StdioChardev, VmConfig};
use crate::name::join;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::planner::ids::chardev_name;
use crate::topology::{Connector, Family, PciRequest, UsbRequest, VirtioSerialRequest};
use crate::value::Props;

pub(super) fn serials(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("serials", "serial", &config.serials, |serial| serial.id.as_deref());
    let mut ports = 0;
    for (index, (serial, id)) in config.serials.iter().zip(ids).enumerate() {
        let at = At::entry("serials", index);
        let chardev = chardev_of(builder, at, serial, &id);
        match serial.device {
            SerialDevice::Board => board_port(builder, at, &chardev, &mut ports),
            SerialDevice::Pci => {
                let connector = Connector::Pci(PciRequest::conventional());
                builder.device(at, "pci-serial", &id, Props::new().with("chardev", chardev), connector);
            }
            SerialDevice::Usb => {
                let connector = Connector::Usb(UsbRequest::default());
                builder.device(at, "usb-serial", &id, Props::new().with("chardev", chardev), connector);
            }
            SerialDevice::Virtio => {
                let connector = Connector::VirtioSerial(VirtioSerialRequest {
                    console: true,
                    ..VirtioSerialRequest::default()
                });
                builder.device(at, "virtconsole", &id, Props::new().with("chardev", chardev), connector);
            }
        }
    }
}

fn chardev_of(builder: &mut Builder<'_>, at: At<'_>, serial: &Serial, id: &str) -> SmolStr {
    if let Some(chardev) = &serial.chardev {
        builder.chardev_of_list(at.field("chardev"), "character device", chardev);
        if serial.log.is_some() {
            builder.conflict(at.field("log"), "set `log` on the character device instead");
        }
        return chardev.into();
    }
    let name = chardev_name(id, &serial.backend);
    let served = chardev::console(builder);
    // QEMU's standard input is the launcher's monitor, and the launcher shows this port in its place.
    let launcher = CharBackend::Launcher;
    let backend = match &serial.backend {
        CharBackend::Stdio(StdioChardev { .. }) if chardev::has_no_stdio(builder) => &launcher,
        backend => backend,
    };
    if *backend == launcher {
        builder.consoles += 1;
    }
    chardev::add_logged(builder, at, &name, backend, Some(served), serial.log.as_deref());
    name
}

/// `-serial` fills the board's ports in order, on every board.
fn board_port(builder: &mut Builder<'_>, at: At<'_>, chardev: &str, ports: &mut u32) {
    let room = match builder.board.family() {
        Family::Q35 | Family::I440fx => 4,
        // One that guests know; s390x shows one SCLP line console.
        // The secure world's, and another one since 9.1.
        Family::VirtArm if builder.machine_is_secure || !builder.before(9, 1) => 2,
        Family::VirtArm | Family::VirtRiscv | Family::VirtLoongarch | Family::Microvm | Family::S390Ccw => 1,
        _ => 8,
    };
    *ports += 1;
    if *ports > room {
        let hint = "; use another `device` for further serial ports, such as virtio";
        builder.not_here(at.field("device"), &format!("serial port {ports} of the board"), hint);
    }
    builder.plain(at, "-serial", join(["chardev:", chardev]));
}
