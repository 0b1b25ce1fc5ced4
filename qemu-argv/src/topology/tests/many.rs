//! Very many devices, and machines that change.

use super::super::*;
use super::check::check;
use super::{disk, lines, machine, pci, pinned};

fn plan(machine: Machine, devices: &[DeviceRequest], earlier: Option<&Topology>) -> Topology {
    let topology =
        Topology::plan(machine, devices, None, earlier).unwrap_or_else(|problems| panic!("{problems:?}"));
    check(&topology, devices);
    topology
}

/// How many root ports, switch ports and shared slots there are, and how many devices can be unplugged.
fn summary(topology: &Topology) -> String {
    let count =
        |wanted: fn(&Role) -> bool| topology.controllers().iter().filter(|each| wanted(&each.role)).count();
    let hotplug = topology
        .placements()
        .filter(|(_, placement)| matches!(placement, Placement::Pci { hotplug: true, .. }))
        .count();
    format!(
        "{} root ports, {} of them free; {} ports of {} switches; {hotplug} of {} devices can be unplugged",
        count(|role| matches!(role, Role::RootPort { .. })),
        topology.free_ports().len(),
        count(|role| matches!(role, Role::Downstream { .. })),
        count(|role| matches!(role, Role::Upstream)),
        topology.placements().count(),
    )
}

fn many(count: usize, hotplug: Hotplug) -> Vec<DeviceRequest> {
    (0..count).map(|number| pci(format!("{hotplug:?}{number}"), true, hotplug)).collect()
}

#[test]
fn two_hundred_hot_pluggable_and_three_hundred_that_stay() {
    let mut devices = vec![DeviceRequest::new("vga", Connector::Pci(PciRequest::conventional()))];
    devices.extend(many(300, Hotplug::Never));
    devices.extend(many(200, Hotplug::Required));
    for (name, ports) in [("q35", 34), ("microvm", 33)] {
        let options = MachineOptions { pcie: true, ..MachineOptions::default() };
        let topology = plan(Machine::new("x86_64", name, options), &devices, None);
        let expected = format!(
            "205 root ports, 4 of them free; {ports} ports of 1 switches; 200 of 501 devices can be unplugged"
        );
        assert_eq!(summary(&topology), expected);
    }
}

#[test]
fn five_hundred_of_no_particular_kind() {
    let topology = plan(machine("x86_64", "q35"), &many(500, Hotplug::Preferred), None);
    assert_eq!(
        summary(&topology),
        "220 root ports, 4 of them free; 34 ports of 1 switches; 215 of 500 devices can be unplugged"
    );
    // LoongArch has half the bus numbers.
    let topology = plan(machine("loongarch64", "virt"), &many(500, Hotplug::Preferred), None);
    assert_eq!(
        summary(&topology),
        "93 root ports, 4 of them free; 33 ports of 1 switches; 88 of 500 devices can be unplugged"
    );
}

#[test]
fn as_many_as_there_are_bus_numbers() {
    let q35 = machine("x86_64", "q35");
    assert_eq!(
        summary(&plan(q35, &many(240, Hotplug::Required), None)),
        "240 root ports, 0 of them free; 0 ports of 0 switches; 240 of 240 devices can be unplugged"
    );
    let problems = Topology::plan(q35, &many(241, Hotplug::Required), None, None).expect_err("one too many");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "no room for Required240: pcie.0 is full (30 slots of 8 functions, and 256 bus numbers); set hotplug = false \
          on permanent devices (8 share a slot), or use virtio-scsi for disks (256 on one controller)"
        ]
    );
    let problems =
        Topology::plan(q35, &many(240, Hotplug::Required), Some(1), None).expect_err("none is free");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "pcie.0 has room for only 0 of 1 hotplug_ports (30 slots of 8 functions, and 256 bus numbers); set a lower number"
        ]
    );
}

#[test]
fn a_nic_in_the_middle_moves_nothing() {
    for name in ["q35", "pc"] {
        let mut devices = vec![disk("disk0"), disk("net0"), disk("net1"), disk("disk1")];
        let first = plan(machine("x86_64", name), &devices, None);
        let saved = serde_json::to_string(&first).expect("is plain data");
        devices.insert(2, disk("new"));
        let earlier = serde_json::from_str(&saved).expect("reads back");
        let second = plan(machine("x86_64", name), &devices, Some(&earlier));
        let before = lines(&first);
        let after = lines(&second);
        let added: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
        let expected: &[&str] = match name {
            // It takes the first spare port, and another one is added behind the spare ones.
            "q35" => &["rp9 bus=pcie.0,addr=0x3,multifunction=true", "new bus=rp5,addr=0x0"],
            _ => &["new bus=pci.0,addr=0x6"],
        };
        assert_eq!(added, expected);
        // Without the earlier plan it would have pushed the others aside.
        assert_ne!(lines(&plan(machine("x86_64", name), &devices, None)), after);
    }
}

#[test]
fn function_zero_of_a_shared_slot_is_filled_again() {
    let stay: Vec<_> = many(40, Hotplug::Never);
    let first = plan(machine("x86_64", "q35"), &stay, None);
    let second = plan(machine("x86_64", "q35"), &stay[1..], Some(&first));
    let filler: Vec<_> =
        second.controllers().iter().filter(|each| matches!(each.role, Role::PciBridge { .. })).collect();
    assert_eq!(filler.len(), 1);
    let mut devices = stay[1..].to_vec();
    devices.push(pci("newcomer", true, Hotplug::Never));
    let third = plan(machine("x86_64", "q35"), &devices, Some(&first));
    assert_eq!(third.placement("newcomer"), first.placement("Never0"));
}

#[test]
fn a_pin_on_a_kept_place_is_refused() {
    let q35 = machine("x86_64", "q35");
    let first = plan(q35, &[pci("stays", true, Hotplug::Never)], None);
    let devices = [pci("stays", true, Hotplug::Never), pinned("new", "01.0")];
    let problems = Topology::plan(q35, &devices, None, Some(&first)).expect_err("stays has that place");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["stays requires pcie.0:01.0, which is used by new; that place was assigned by the earlier plan; \
         choose another one for the new device"]
    );
}

#[test]
fn controllers_are_filled_to_their_limits() {
    let q35 = machine("x86_64", "q35");
    let mut devices = Vec::new();
    for number in 0..257 {
        devices
            .push(DeviceRequest::new(format!("scsi-disk{number}"), Connector::Scsi(ScsiRequest::default())));
    }
    // Six ports are on the board.
    for number in 0..13 {
        devices.push(DeviceRequest::new(format!("cd{number}"), Connector::Sata { bus: None }));
    }
    for number in 0..16 {
        devices.push(DeviceRequest::new(format!("usb-disk{number}"), Connector::Usb(UsbRequest::default())));
    }
    for number in 0..31 {
        let connector = Connector::VirtioSerial(VirtioSerialRequest::default());
        devices.push(DeviceRequest::new(format!("port{number}"), connector));
    }
    let topology = plan(q35, &devices, None);
    let controllers: Vec<String> = topology
        .controllers()
        .iter()
        .filter(|controller| !controller.is_pci_bus())
        .map(|controller| format!("{} {}", controller.id, controller.driver()))
        .collect();
    assert_eq!(
        controllers,
        [
            "scsi0 virtio-scsi-pci",
            "scsi1 virtio-scsi-pci",
            "sata0 ich9-ahci",
            "sata1 ich9-ahci",
            "usb0 qemu-xhci",
            "usb1 qemu-xhci",
            "vserial0 virtio-serial-pci",
            "vserial1 virtio-serial-pci",
        ]
    );
}

/// A number alone, without a controller, is free on the newcomer, too.
#[test]
fn a_disk_with_a_number_stays_on_its_controller() {
    let request = ScsiRequest { target: Some(0), ..ScsiRequest::default() };
    let disk = DeviceRequest::new("disk", Connector::Scsi(request));
    let machine = machine("aarch64", "virt");
    let before = Topology::plan(machine, std::slice::from_ref(&disk), None, None).expect("fits");
    let connector = Connector::Virtio(PciRequest::express());
    let controller = DeviceRequest {
        provides: Some(Provides::Scsi { targets: 7 }),
        ..DeviceRequest::new("own", connector)
    };
    let after = Topology::plan(machine, &[controller, disk], None, Some(&before)).expect("fits");
    assert_eq!(after.placement("disk"), before.placement("disk"));
}
