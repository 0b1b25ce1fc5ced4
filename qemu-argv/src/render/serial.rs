//! Serial ports: a character device, and a port of the board or a card.

use smol_str::SmolStr;

use super::chardev::{self, Served};
use crate::config::{Serial, SerialDevice};
use crate::draft::Draft;
use crate::error::At;
use crate::name::join;
use crate::parts::SocketRole;
use crate::plan::ids::chardev_name;
use crate::plan::topology::{Connector, Family, PciRequest, UsbRequest, VirtioSerialRequest};
use crate::value::Props;

pub(super) fn serials(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("serials", "serial", &config.serials, |serial| serial.id.as_deref());
    let mut consoles = 0;
    let mut ports = 0;
    for (index, (serial, id)) in config.serials.iter().zip(ids).enumerate() {
        let at = At::ROOT.item("serials", index);
        let chardev = chardev_of(draft, at, serial, &id, &mut consoles);
        match serial.device {
            SerialDevice::Board => board_port(draft, at, &chardev, &mut ports),
            SerialDevice::Pci => {
                let connector = Connector::Pci(PciRequest::conventional());
                draft.device(at, "pci-serial", &id, Props::new().with("chardev", chardev), connector);
            }
            SerialDevice::Usb => {
                let connector = Connector::Usb(UsbRequest::default());
                draft.device(at, "usb-serial", &id, Props::new().with("chardev", chardev), connector);
            }
            SerialDevice::Virtio => {
                let connector = Connector::VirtioSerial(VirtioSerialRequest {
                    console: true,
                    ..VirtioSerialRequest::default()
                });
                draft.device(at, "virtconsole", &id, Props::new().with("chardev", chardev), connector);
            }
        }
    }
}

fn chardev_of(draft: &mut Draft<'_>, at: At<'_>, serial: &Serial, id: &str, consoles: &mut u32) -> SmolStr {
    if let Some(chardev) = &serial.chardev {
        let config = draft.config;
        let known = config.chardevs.iter().map(|chardev| chardev.id.as_str());
        draft.refer(at.field("chardev"), "character device", chardev, known);
        return chardev.into();
    }
    let name = chardev_name(id, &serial.backend);
    let served = Served {
        role: SocketRole::Console(*consoles),
        ending: join([".console", itoa::Buffer::new().format(*consoles), ".sock"]),
    };
    if serial.backend == crate::config::CharBackend::Launcher {
        *consoles += 1;
    }
    chardev::add(draft, at, &name, &serial.backend, Some(served));
    name
}

/// `-serial` fills the board's ports in order, on every board.
fn board_port(draft: &mut Draft<'_>, at: At<'_>, chardev: &str, ports: &mut u32) {
    let room = match draft.board.family() {
        Family::Q35 | Family::I440fx => 4,
        // One that guests know; s390x shows one SCLP line console.
        Family::VirtArm | Family::VirtRiscv | Family::VirtLoongarch | Family::Microvm | Family::S390Ccw => 1,
        _ => 8,
    };
    *ports += 1;
    if *ports > room {
        let hint = "; give further serial ports another `device`, such as virtio";
        draft.not_here(at.field("device"), &format!("serial port {ports} of the board"), hint);
    }
    draft.plain(at, "-serial", join(["chardev:", chardev]));
}
