//! Whole topologies, compared as a whole.

mod check;
mod many;
mod random;

use smol_str::SmolStr;

use super::*;
use crate::value::Value;

fn machine(arch: &str, name: &str) -> Machine {
    Machine::new(arch, name, MachineOptions::default())
}

fn pci(id: impl Into<SmolStr>, express: bool, hotplug: Hotplug) -> DeviceRequest {
    let request = PciRequest { express, hotplug, ..PciRequest::express() };
    DeviceRequest::new(id, if express { Connector::Virtio(request) } else { Connector::Pci(request) })
}

fn disk(id: impl Into<SmolStr>) -> DeviceRequest {
    pci(id, true, Hotplug::Preferred)
}

fn pinned(id: &str, address: &str) -> DeviceRequest {
    let address = Some(address.parse().expect("is an address"));
    DeviceRequest::new(id, Connector::Virtio(PciRequest { address, ..PciRequest::express() }))
}

/// One line for each controller and device: id and place.
fn lines(topology: &Topology) -> String {
    let line = |id: &str, placement: &Placement| {
        let properties = placement.properties();
        let properties = properties.iter().map(|(name, value)| match value {
            Value::Bool(flag) => format!("{name}={flag}"),
            Value::Uint(number) => format!("{name}={number}"),
            Value::Str(text) => format!("{name}={text}"),
            other => panic!("no place has {other:?}"),
        });
        format!("{id} {}\n", properties.collect::<Vec<_>>().join(","))
    };
    let controllers = topology.controllers().iter().map(|each| line(&each.id, &each.placement));
    controllers.chain(topology.placements().map(|(id, placement)| line(id, placement))).collect()
}

fn planned(machine: Machine, devices: &[DeviceRequest]) -> String {
    match Topology::plan(machine, devices, None, None) {
        Ok(topology) => lines(&topology),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect::<Vec<_>>().concat(),
    }
}

#[test]
fn a_small_q35() {
    let devices = [
        DeviceRequest::new("vga", Connector::Pci(PciRequest::conventional())),
        disk("a"),
        pci("stays", true, Hotplug::Never),
        pci("old", false, Hotplug::Preferred),
        DeviceRequest::new("tablet", Connector::Usb(UsbRequest::default())),
        DeviceRequest::new("cd", Connector::Sata { bus: None }),
        DeviceRequest::new("agent", Connector::VirtioSerial(VirtioSerialRequest::default())),
        pinned("here", "1c.3"),
    ];
    assert_eq!(
        planned(machine("x86_64", "q35"), &devices),
        "\
rp1 bus=pcie.0,addr=0x2,multifunction=true
rp2 bus=pcie.0,addr=0x2.0x1
rp3 bus=pcie.0,addr=0x2.0x2
rp4 bus=pcie.0,addr=0x2.0x3
rp5 bus=pcie.0,addr=0x2.0x4
rp6 bus=pcie.0,addr=0x2.0x5
rp7 bus=pcie.0,addr=0x2.0x6
rp8 bus=pcie.0,addr=0x2.0x7
bridge1 bus=rp2,addr=0x0
usb0 bus=rp3,addr=0x0
vserial0 bus=rp4,addr=0x0
a bus=rp1,addr=0x0
agent bus=vserial0.0,nr=1
cd bus=ide.0,unit=0
here bus=pcie.0,addr=0x1c.0x3
old bus=bridge1,addr=0x1
stays bus=pcie.0,addr=0x1
tablet bus=usb0.0,port=1
vga bus=pcie.0,addr=0x1c,multifunction=true
"
    );
}

#[test]
fn other_transports() {
    let devices = [disk("a"), disk("b"), DeviceRequest::new("c", Connector::Scsi(ScsiRequest::default()))];
    assert_eq!(
        planned(machine("s390x", "s390-ccw-virtio"), &devices),
        "scsi0 devno=fe.0.0002\na devno=fe.0.0000\nb devno=fe.0.0001\nc bus=scsi0.0,channel=0,scsi-id=0,lun=0\n"
    );
    assert_eq!(
        planned(machine("x86_64", "microvm"), &devices),
        "scsi0 bus=virtio-mmio-bus.2\na bus=virtio-mmio-bus.0\nb bus=virtio-mmio-bus.1\n\
         c bus=scsi0.0,channel=0,scsi-id=0,lun=0\n"
    );
    assert_eq!(
        planned(machine("x86_64", "none"), &devices[..1]),
        "a requires a PCI bus, but machine none has none; choose a machine such as q35 or virt\n"
    );
    assert_eq!(planned(machine("x86_64", "xenpv"), &devices[..1]), "a \n");
}

#[test]
fn too_many_for_the_i440fx() {
    let devices: Vec<_> = (0..300).map(|number| disk(format!("disk{number}"))).collect();
    assert_eq!(
        planned(machine("x86_64", "pc"), &devices),
        "no room for disk240 and 59 more devices: pci.0 is full (30 slots for hot-pluggable devices, or 8 other \
         devices in each); set hotplug = false on permanent devices (8 share a slot), use virtio-scsi for disks (256 \
         in one slot), or use a machine with PCI Express, such as q35 or virt\n"
    );
}
