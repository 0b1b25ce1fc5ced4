//! Random mixes of devices: QEMU accepts each, and has every device exactly where it was planned.

use qemu_argv::plan::topology::{
    Connector, DeviceRequest, Hotplug, Machine, MachineOptions, PciRequest, ScsiRequest, Topology,
    UsbRequest, VirtioSerialRequest,
};
use serde_json::Value;

use super::frozen::Frozen;
use super::tree::{device, planned};
use crate::support::{VERSIONS, qemu};

/// Mixes for each machine.
const ROUNDS: u64 = 2;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // The multiplier and increment of Knuth's MMIX; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A device: what it asks for, its driver, and properties beside its place.
type Mixed = (DeviceRequest, String, Value);

fn mix(dice: &mut Dice, machine: Machine, arch: &str, most: u64) -> Vec<Mixed> {
    let suffix = machine.virtio_transport().suffix();
    let root = machine.pci();
    let has_usb = root.is_some() && arch != "s390x";
    let count = 1 + dice.below(most);
    let devices = (0..count).map(|number| {
        let id = format!("dev{number}");
        let hotplug = match dice.below(4) {
            0 => Hotplug::Never,
            1 if root.as_ref().is_some_and(|root| root.express || root.hotplug) => Hotplug::Required,
            _ => Hotplug::Preferred,
        };
        let pci = PciRequest { hotplug, ..PciRequest::express() };
        let nothing = serde_json::json!({});
        let (connector, driver, more) = match dice.below(12) {
            0 if root.is_some() && arch != "s390x" => {
                (Connector::Pci(PciRequest { express: false, ..pci }), "e1000".to_owned(), nothing)
            }
            1 if root.is_some() => (Connector::Pci(pci), "virtio-rng-pci".to_owned(), nothing),
            2 | 3 => (Connector::Scsi(ScsiRequest::default()), "scsi-cd".to_owned(), nothing),
            4 if machine.sata_ports() > 0 || arch == "x86_64" && root.is_some() => {
                (Connector::Sata { bus: None }, "ide-cd".to_owned(), nothing)
            }
            5 if machine.ide_channels() > 0 && number < 4 => {
                (Connector::Ide { at: None }, "ide-cd".to_owned(), nothing)
            }
            6 if has_usb => (Connector::Usb(UsbRequest::default()), "usb-tablet".to_owned(), nothing),
            7 | 8 => (
                Connector::VirtioSerial(VirtioSerialRequest::default()),
                "virtserialport".to_owned(),
                serde_json::json!({ "name": format!("port.{number}") }),
            ),
            _ => (Connector::Virtio(pci), format!("virtio-rng-{suffix}"), nothing),
        };
        (DeviceRequest::new(id, connector), driver, more)
    });
    devices.collect()
}

async fn accepted(version: &str, arch: &str, option: &str, topology: &Topology, mixed: &[Mixed]) {
    let controllers = topology.controllers().iter();
    let mut devices: Vec<Value> =
        controllers.map(|each| device(each.driver(), &each.id, &each.properties())).collect();
    for (request, driver, more) in mixed {
        let placement = topology.placement(&request.id).expect("it is planned");
        let mut value = device(driver, &request.id, &placement.properties());
        let more = more.as_object().expect("a table").clone();
        value.as_object_mut().expect("a table").extend(more);
        devices.push(value);
    }
    let program = qemu(version, &format!("qemu-system-{arch}"));
    let frozen = Frozen::bare(&program, option, &devices).await;
    let frozen = frozen.unwrap_or_else(|said| panic!("{arch} {option} of {version}: {said}"));
    assert_eq!(frozen.tree().await.places(topology), planned(topology), "{arch} {option} of {version}");
}

#[tokio::test]
async fn random_mixes_are_accepted_as_planned() {
    let usb = MachineOptions { usb: true, ..MachineOptions::default() };
    let pcie = MachineOptions { pcie: true, ..MachineOptions::default() };
    let boards = [
        ("x86_64", "q35", "q35", MachineOptions::default(), 60),
        ("x86_64", "q35", "q35,usb=on", usb, 200),
        ("x86_64", "pc", "pc", MachineOptions::default(), 60),
        ("x86_64", "microvm", "microvm", MachineOptions::default(), 20),
        ("x86_64", "microvm", "microvm,pcie=on", pcie, 60),
        ("aarch64", "virt", "virt", MachineOptions::default(), 60),
        ("riscv64", "virt", "virt", MachineOptions::default(), 60),
        ("loongarch64", "virt", "virt", MachineOptions::default(), 60),
        ("ppc64", "pseries", "pseries", MachineOptions::default(), 60),
        ("s390x", "s390-ccw-virtio", "s390-ccw-virtio", MachineOptions::default(), 60),
        ("mips64el", "malta", "malta", MachineOptions::default(), 60),
        ("sparc64", "sun4u", "sun4u", MachineOptions::default(), 12),
        ("ppc", "g3beige", "g3beige", MachineOptions::default(), 30),
    ];
    for (arch, name, option, options, most) in boards {
        let machine = Machine::new(arch, name, options);
        let mut dice = Dice(7);
        for round in 0..ROUNDS {
            let mixed = mix(&mut dice, machine, arch, most);
            let requests: Vec<_> = mixed.iter().map(|(request, ..)| request.clone()).collect();
            let topology = Topology::plan(machine, &requests, None, None);
            let topology =
                topology.unwrap_or_else(|problems| panic!("{arch} {option}, {round}: {problems:?}"));
            for version in VERSIONS {
                accepted(version, arch, option, &topology, &mixed).await;
            }
        }
    }
}
