//! Devices that come and go while the machine runs: the commands, and the plan before and after.

use std::fmt::Write as _;

use qemu_argv::{
    Arch, Backing, BackingImage, Cdrom, Channel, Disk, DiskBackend, DiskInterface, Endpoints, HostDevice,
    HotplugPlan, NetBackend, Network, NicModel, NullDisk, OtherBus, OtherDevice, Plan, QmpCommand, Size,
    TapNet, TapOpener, Target, Throttle, UnplugPlan, UsbDevice, UsbKind, Version, VhostUserNet, VmConfig,
    plan,
};

fn machine(kind: &str) -> Plan {
    let config = VmConfig {
        name: Some("web".into()),
        machine: qemu_argv::Machine { kind: Some(kind.into()), ..Default::default() },
        disks: vec![Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))],
        networks: vec![Network::default()],
        ..VmConfig::default()
    };
    let target = Target::new(Version::new(10, 0), Arch::X86_64);
    let endpoints =
        Endpoints { qmp_fd: Some(0), socket_dir: Some("/run/vms".into()), ..Endpoints::default() };
    plan(&config, &target, &endpoints).expect("the machine can be planned")
}

/// A disk with everything that a backend can have below it.
fn rich_disk() -> Disk {
    let below = BackingImage {
        backend: DiskBackend::file("/vm/base.qcow2"),
        format: None,
        key_secret: None,
        backing: Backing::None,
    };
    let limit = qemu_argv::Rate { limit: Size::mib(1), burst: None, burst_s: None };
    Disk {
        backing: Backing::Image(Box::new(below)),
        throttle: Some(Throttle { bps: Some(limit), ..Throttle::default() }),
        ..Disk::file("/vm/more.qcow2")
    }
}

fn cdrom() -> Cdrom {
    "/vm/install.iso".parse().expect("a path")
}

fn queues() -> Network {
    let tap = TapNet { open_by: TapOpener::Launcher, vhost: true, ..TapNet::default() };
    Network { queues: Some(2), ..Network::new(NetBackend::Tap(tap)) }
}

fn lines(commands: &[QmpCommand]) -> String {
    let mut text = String::new();
    for command in commands {
        writeln!(text, "{} {}", command.name, command.arguments.to_json()).expect("memory");
    }
    text
}

fn shown(addition: &HotplugPlan) -> String {
    let fds = addition.fds.iter().map(|slot| format!("{} is {:?}\n", slot.monitor_name(), slot.role));
    let sockets = addition.sockets().map(|socket| format!("{}\n", socket.path.display()));
    fds.chain(sockets).collect::<String>() + &lines(&addition.commands())
}

fn removed(removal: &UnplugPlan) -> String {
    let sockets = removal.sockets.iter().map(|socket| format!("{}\n", socket.path.display()));
    let device: Vec<_> = removal.device.clone().into_iter().collect();
    lines(&device) + "then\n" + &lines(&removal.backends) + &sockets.collect::<String>()
}

#[test]
fn a_disk_comes_with_its_nodes_and_its_limits_and_they_go_with_it() {
    let before = machine("q35");
    let addition = before.plug(&rich_disk()).expect("there is a free port");
    let removal = addition.plan.unplug(&addition.id).expect("it can go");
    insta::assert_snapshot!(shown(&addition) + "---\n" + &removed(&removal));
    assert_eq!(removal.plan, before, "nothing is left of it");
}

#[test]
fn the_same_disk_from_the_start_is_the_same() {
    let addition = machine("q35").plug(&rich_disk()).expect("there is a free port");
    let mut config = VmConfig {
        disks: vec![Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))],
        ..VmConfig::default()
    };
    config.disks.push(rich_disk());
    let target = Target::new(Version::new(10, 0), Arch::X86_64);
    let cold = plan(&config, &target, &Endpoints::default()).expect("the machine can be planned");
    let hot = addition.devices().last().expect("a device");
    let cold = cold.devices().find(|device| device.id == "disk1").expect("a device");
    assert_eq!(hot.props, cold.props);
    assert_eq!(hot.driver, cold.driver);
}

#[test]
fn queues_opened_by_the_launcher_are_named() {
    let addition = machine("q35").plug(&queues()).expect("there is a free port");
    insta::assert_snapshot!(shown(&addition));
}

#[test]
fn controllers_and_sockets_come_where_they_are_needed() {
    let mut plan = machine("q35");
    let scsi = |number| Disk {
        id: Some(format!("scsi-disk{number}")),
        interface: DiskInterface::VirtioScsi,
        ..Disk::file(format!("/vm/{number}.raw"))
    };
    let tablet = UsbDevice::new(UsbKind::Tablet);
    let sound = OtherDevice {
        driver: "pvpanic-pci".into(),
        id: None,
        bus: OtherBus::Pcie,
        address: None,
        properties: qemu_argv::Props::new(),
    };
    let mut text = String::new();
    let channel = Channel::new("org.example.metrics.0");
    for device in [
        (&scsi(0)).into(),
        (&cdrom()).into(),
        (&tablet).into(),
        (&channel).into(),
        (&sound).into(),
        qemu_argv::NewDevice::Network(&Network { model: NicModel::None, ..Network::default() }),
    ] {
        let addition = plan.plug(device).expect("there is room");
        writeln!(text, "{}:\n{}", addition.id, shown(&addition)).expect("memory");
        plan = addition.plan;
    }
    for id in ["channel0", "net1", "scsi-disk0"] {
        let removal = plan.unplug(id).expect("it can go");
        writeln!(text, "without {id}:\n{}", removed(&removal)).expect("memory");
        plan = removal.plan;
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_command_can_be_taken_back() {
    let addition = machine("q35").plug(&rich_disk()).expect("there is a free port");
    let back: Vec<_> = addition.commands().iter().rev().filter_map(QmpCommand::inverse).collect();
    insta::assert_snapshot!(lines(&back), @r#"
    device_del {"id":"disk1"}
    blockdev-del {"node-name":"disk1-throttle"}
    blockdev-del {"node-name":"disk1"}
    blockdev-del {"node-name":"disk1-file"}
    blockdev-del {"node-name":"disk1-b"}
    blockdev-del {"node-name":"disk1-b-file"}
    object-del {"id":"disk1-throttle"}
    "#);
    assert_eq!(back[0].inverse(), None);
}

#[test]
fn what_cannot_come_or_go_is_refused_with_the_reason() {
    let plan = machine("q35");
    let mut text = String::new();
    let taken = Disk { id: Some("disk0".into()), ..Disk::file("/vm/a.raw") };
    let thread = Disk { iothread: Some("io9".into()), ..Disk::file("/vm/a.raw") };
    let sata = Disk { interface: DiskInterface::Sata, ..Disk::file("/vm/a.raw") };
    let mac = plan.devices().find_map(|device| device.props.get_str("mac")).expect("a MAC address");
    let twin = Network { mac: Some(mac.parse().expect("an address")), ..Network::default() };
    let shared =
        Network::new(NetBackend::VhostUser(VhostUserNet { path: "/vm/net.sock".into(), server: false }));
    let old = Network { model: NicModel::E1000, ..Network::default() };
    let cdrom = Cdrom { interface: qemu_argv::CdromInterface::Sata, ..cdrom() };
    let host = HostDevice {
        id: None,
        host: None,
        sysfs: None,
        rom_file: None,
        boot_index: None,
        address: None,
        properties: qemu_argv::Props::new(),
    };
    for device in [
        (&taken).into(),
        (&thread).into(),
        (&sata).into(),
        (&twin).into(),
        (&shared).into(),
        (&old).into(),
        (&cdrom).into(),
        qemu_argv::NewDevice::Host(&host),
    ] {
        writeln!(text, "{}\n", plan.plug(device).expect_err("it is refused")).expect("memory");
    }
    for (plan, id) in [(&plan, "disk7"), (&plan, "rp1"), (&machine("microvm"), "disk0")] {
        writeln!(text, "{}\n", plan.unplug(id).expect_err("it is refused")).expect("memory");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_full_machine_says_what_would_help() {
    let mut plan = machine("q35");
    let disk = Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }));
    for _ in 0..4 {
        plan = plan.plug(&disk).expect("there is a free port").plan;
    }
    let error = plan.plug(&disk).expect_err("four ports are free").to_string();
    insta::assert_snapshot!(error, @"cannot plan the machine: no room for disk5: pcie.0 is full (no free root port); unplug something, or start the machine with more hotplug_ports");
}
