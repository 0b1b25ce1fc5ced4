//! The boards are measured again: what the machine models say must stay true on every supported QEMU.

use std::collections::BTreeSet;

use qemu_argv::plan::topology::{Machine, MachineOptions};
use serde_json::Value;

use super::frozen::Frozen;
use crate::support::{VERSIONS, qemu};

/// Binary, machine type, and whether QEMU's `usb=on` means anything to it.
const BOARDS: [(&str, &str, bool); 16] = [
    ("x86_64", "q35", true),
    ("x86_64", "pc", true),
    ("x86_64", "isapc", false),
    ("x86_64", "microvm", true),
    ("x86_64", "none", false),
    ("i386", "q35", true),
    ("aarch64", "virt", false),
    ("arm", "virt", false),
    ("riscv64", "virt", false),
    ("riscv32", "virt", false),
    ("loongarch64", "virt", false),
    ("ppc64", "pseries", true),
    ("ppc", "g3beige", false),
    ("s390x", "s390-ccw-virtio", false),
    ("mips", "malta", false),
    ("sparc64", "sun4u", false),
];

/// What the model says of a board, or what QEMU does.
#[derive(Debug, PartialEq, Eq)]
struct Board {
    /// Slots and functions of the root PCI bus that are taken.
    taken: BTreeSet<(u64, u64)>,
    /// The buses that devices can be put on.
    buses: BTreeSet<String>,
}

fn modelled(machine: Machine) -> Board {
    let root = machine.pci();
    let taken = root.iter().flat_map(|root| &root.taken);
    let mut buses: BTreeSet<String> = root.iter().map(|root| root.bus.to_owned()).collect();
    buses.extend((0..machine.virtio_mmio_buses()).map(|number| format!("virtio-mmio-bus.{number}")));
    buses.extend((0..machine.sata_ports().max(machine.ide_channels())).map(|number| format!("ide.{number}")));
    buses.extend(machine.usb_ports().map(|_| "usb-bus.0".to_owned()));
    Board { taken: taken.map(|(slot, function, _)| ((*slot).into(), (*function).into())).collect(), buses }
}

async fn measured(qemu: &Frozen, machine: Machine) -> Board {
    let tree = qemu.tree().await;
    // Buses for things that are not planned: ISA, the floppy drive, I2C, and what is special to one board.
    let planned = |bus: &&String| {
        ["pci", "ide", "usb", "virtio-mmio"].iter().any(|kind| bus.starts_with(kind))
            // sun4u has further PCI buses, with the board's own devices.
            && !["pci", "pciA"].iter().any(|other| machine.name() == "sun4u" && bus == other)
    };
    let buses = tree.buses.iter().filter(planned).cloned().collect();
    let mut taken = BTreeSet::new();
    if machine.pci().is_some_and(|root| root.bus != "pciB") {
        for bus in qemu.ask("query-pci").await.as_array().expect("a list of buses") {
            let devices = bus["devices"].as_array().expect("a list of devices");
            let place = |device: &Value| Some((device["slot"].as_u64()?, device["function"].as_u64()?));
            taken.extend(devices.iter().map(|device| place(device).expect("it has a place")));
        }
    }
    Board { taken, buses }
}

#[tokio::test]
async fn the_boards_are_as_they_are_modelled() {
    for version in VERSIONS {
        for (arch, name, usb) in BOARDS {
            let program = qemu(version, &format!("qemu-system-{arch}"));
            let mut variants = vec![(name.to_owned(), MachineOptions::default())];
            if usb {
                let options = MachineOptions { usb: true, ..MachineOptions::default() };
                variants.push((format!("{name},usb=on"), options));
            }
            if name == "q35" {
                let options = MachineOptions { sata: false, smbus: false, ..MachineOptions::default() };
                variants.push((format!("{name},sata=off,smbus=off"), options));
            }
            if name == "microvm" {
                let options = MachineOptions { pcie: true, ..MachineOptions::default() };
                variants.push((format!("{name},pcie=on"), options));
            }
            for (option, options) in variants {
                let machine = Machine::new(arch, name, options);
                let qemu = Frozen::bare(&program, &option, &[]).await.expect(&option);
                assert_eq!(measured(&qemu, machine).await, modelled(machine), "{arch} {option} of {version}");
            }
        }
    }
}

#[tokio::test]
async fn an_amd_iommu_takes_the_first_slot() {
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64");
        let options = MachineOptions { amd_iommu: true, ..MachineOptions::default() };
        let machine = Machine::new("x86_64", "q35", options);
        let iommu = serde_json::json!({ "driver": "amd-iommu" });
        let qemu = Frozen::bare(&program, "q35", &[iommu]).await.expect(version);
        assert_eq!(measured(&qemu, machine).await, modelled(machine), "{version}");
    }
}
