//! Everything that can come and go does so in any order, and the plan stays the one of the configuration that results.
//!
//! Two things are of the past and not of the configuration: free root ports, which get fewer, and controllers that were added
//! to make room, which stay when they are empty.

use std::collections::BTreeMap;

use proptest::prelude::*;
use qemu_argv::{
    Arch, Backing, BackingImage, Bundle, Cdrom, Channel, CharBackend, Chardev, Disk, DiskBackend,
    DiskInterface, Endpoints, Fault, HostDevice, HubportNet, Iothread, NbdDisk, NetBackend, Network,
    NewDevice, NicModel, NullDisk, OtherBus, OtherDevice, Owner, Plan, Props, Rate, Secret, Size,
    SocketAddress, Target, Throttle, Tls, TlsEndpoint, TlsKind, UsbDevice, UsbKind, UsbRedirection, UserNet,
    Version, VmConfig, plan, plan::topology::TopologyError, replan,
};

/// What can be plugged in.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few of them, in a test")]
enum Entry {
    Disk(Disk),
    Cdrom(Cdrom),
    Network(Network),
    Usb(UsbDevice),
    Channel(Channel),
    Host(HostDevice),
    Other(OtherDevice),
}

impl Entry {
    fn as_new(&self) -> NewDevice<'_> {
        match self {
            Self::Disk(entry) => entry.into(),
            Self::Cdrom(entry) => entry.into(),
            Self::Network(entry) => entry.into(),
            Self::Usb(entry) => entry.into(),
            Self::Channel(entry) => entry.into(),
            Self::Host(entry) => entry.into(),
            Self::Other(entry) => entry.into(),
        }
    }

    fn add_to(self, config: &mut VmConfig) {
        match self {
            Self::Disk(entry) => config.disks.push(entry),
            Self::Cdrom(entry) => config.cdroms.push(entry),
            Self::Network(entry) => config.networks.push(entry),
            Self::Usb(entry) => config.usb_devices.push(entry),
            Self::Channel(entry) => config.channels.push(entry),
            Self::Host(entry) => config.host_devices.push(entry),
            Self::Other(entry) => config.devices.push(entry),
        }
    }
}

/// The entries of a configuration that can go, each as its list and its index there.
fn movable(config: &VmConfig) -> Vec<(&'static str, usize)> {
    let lists = [
        ("disks", config.disks.len()),
        ("cdroms", config.cdroms.len()),
        ("networks", config.networks.len()),
        ("usb_devices", config.usb_devices.len()),
        ("channels", config.channels.len()),
        ("host_devices", config.host_devices.len()),
        ("devices", config.devices.len()),
    ];
    lists.into_iter().flat_map(|(list, length)| (0..length).map(move |index| (list, index))).collect()
}

fn remove_from(config: &mut VmConfig, list: &str, index: usize) {
    match list {
        "disks" => drop(config.disks.remove(index)),
        "cdroms" => drop(config.cdroms.remove(index)),
        "networks" => drop(config.networks.remove(index)),
        "usb_devices" => drop(config.usb_devices.remove(index)),
        "channels" => drop(config.channels.remove(index)),
        "host_devices" => drop(config.host_devices.remove(index)),
        _ => drop(config.devices.remove(index)),
    }
}

fn limits(group: Option<&str>) -> Throttle {
    let group = group.map(Into::into);
    Throttle { group, iops: Some(Rate::new(100)), ..Throttle::default() }
}

fn disks() -> Vec<Disk> {
    let below = BackingImage {
        backend: DiskBackend::file("/vm/base.qcow2"),
        format: None,
        key_secret: Some("key".into()),
        backing: Backing::None,
    };
    let remote = DiskBackend::Nbd(NbdDisk {
        server: SocketAddress::inet("localhost", 10809),
        export: None,
        tls: Some("tls0".into()),
        tls_hostname: None,
        reconnect_s: None,
    });
    let on = |interface| Disk { interface, ..Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) })) };
    vec![
        Disk::file("/vm/a.qcow2"),
        Disk { throttle: Some(limits(None)), ..Disk::file("/vm/b.qcow2") },
        Disk { throttle: Some(limits(Some("g"))), ..Disk::file("/vm/c.raw") },
        Disk { throttle: Some(limits(Some("g"))), ..on(DiskInterface::Usb) },
        Disk {
            iothread: Some("io0".into()),
            backing: Backing::Image(Box::new(below)),
            ..Disk::file("/vm/d.qcow2")
        },
        Disk { key_secret: Some("key".into()), ..Disk::file("/vm/e.qcow2") },
        Disk::new(remote),
        on(DiskInterface::Nvme),
        on(DiskInterface::VirtioScsi),
    ]
}

fn networks() -> Vec<Network> {
    let without = |backend| Network { model: NicModel::None, ..Network::new(backend) };
    let hub =
        |netdev: Option<&str>| NetBackend::Hubport(HubportNet { hub: 1, netdev: netdev.map(Into::into) });
    vec![
        Network::default(),
        Network { model: NicModel::Igb, ..Network::default() },
        Network { model: NicModel::UsbNet, ..Network::default() },
        without(NetBackend::User(UserNet::default())),
        without(hub(Some("base"))),
        Network::new(hub(None)),
    ]
}

/// Every kind of what can come.
fn entries() -> Vec<Entry> {
    let usb = |device| UsbDevice::new(device);
    let other = |driver: &str, bus, properties| OtherDevice {
        driver: driver.into(),
        id: None,
        bus,
        address: None,
        properties,
    };
    let host = HostDevice {
        id: None,
        host: Some("0000:01:00.0".into()),
        sysfs: None,
        rom_file: None,
        boot_index: None,
        address: None,
        properties: Props::new(),
    };
    let cdrom: Cdrom = "/vm/install.iso".parse().expect("a path");
    let cdrom = Cdrom { interface: qemu_argv::CdromInterface::VirtioScsi, ..cdrom };
    let redirection = UsbKind::Redirection(UsbRedirection { backend: Some(CharBackend::Null) });
    let mut all: Vec<_> = disks().into_iter().map(Entry::Disk).collect();
    all.extend(networks().into_iter().map(Entry::Network));
    all.extend([
        Entry::Cdrom(Cdrom { medium: None, ..cdrom.clone() }),
        Entry::Cdrom(cdrom),
        Entry::Usb(usb(UsbKind::Tablet)),
        Entry::Usb(usb(redirection)),
        Entry::Channel(Channel::new("org.example.served")),
        Entry::Channel(Channel { backend: CharBackend::Null, ..Channel::new("org.example.null") }),
        Entry::Channel(Channel { chardev: Some("mail".into()), ..Channel::new("org.example.mail") }),
        Entry::Host(host),
        Entry::Other(other("virtio-rng-pci", OtherBus::Virtio, Props::new())),
        Entry::Other(other("virtio-net-pci", OtherBus::Virtio, Props::new().with("netdev", "base"))),
    ]);
    all
}

fn start() -> VmConfig {
    let tls = Tls {
        id: "tls0".into(),
        dir: "/vm/tls".into(),
        endpoint: TlsEndpoint::Client,
        kind: TlsKind::X509,
        verify_peer: None,
        password_secret: None,
        username: None,
        priority: None,
    };
    VmConfig {
        name: Some("web".into()),
        secrets: vec![Secret::file("key", "/vm/key")],
        tls: vec![tls],
        iothreads: vec![Iothread::new("io0")],
        chardevs: vec![Chardev::new("mail", CharBackend::Null)],
        hotplug_ports: Some(12),
        disks: vec![Disk { throttle: Some(limits(Some("g"))), ..Disk::file("/vm/system.qcow2") }],
        networks: vec![Network { id: Some("base".into()), model: NicModel::None, ..Network::default() }],
        guest_agent: true,
        ..VmConfig::default()
    }
}

fn target() -> Target {
    Target::new(Version::new(10, 0), Arch::X86_64)
}

fn endpoints() -> Endpoints {
    Endpoints { qmp_fd: Some(0), socket_dir: Some("/run/vms".into()), ..Endpoints::default() }
}

/// What entries brought, by the entry. The controllers are the topology's.
fn brought(plan: &Plan) -> BTreeMap<String, &Bundle> {
    let bundles = plan.bundles().iter().filter(|bundle| bundle.owner != Owner::Controllers);
    bundles.map(|bundle| (bundle.owner.to_string(), bundle)).collect()
}

/// The id of an entry.
fn id_of(plan: &Plan, list: &str, index: usize) -> String {
    let owner = format!("{list}[{index}]");
    brought(plan)[&owner].id.clone().expect("it can go by its id").to_string()
}

/// The step that a number stands for: one more entry of the pool, or one less of what is there. What is refused for want of
/// room, or because others use it, changes nothing.
fn step(config: &mut VmConfig, plan: Plan, (comes, number): (bool, usize)) -> Plan {
    let pool = entries();
    let there = movable(config);
    if comes || there.is_empty() {
        let entry = pool[number % pool.len()].clone();
        match plan.plug(entry.as_new()) {
            Ok(addition) => {
                entry.add_to(config);
                addition.plan
            }
            Err(error) => {
                for problem in &error.problems {
                    let is_full = matches!(&problem.fault, Fault::NoPlace(TopologyError::Full { .. }));
                    // What another has gone before, or something else uses already.
                    let is_missing =
                        matches!(&problem.fault, Fault::UnknownReference { id, .. } if id == "base");
                    let is_taken = matches!(&problem.fault, Fault::Duplicate { what, value, .. }
                            if *what == "channel name" || value == "base" || value == "mail");
                    assert!(is_full || is_missing || is_taken, "{entry:?}: {error}");
                }
                plan
            }
        }
    } else {
        let (list, index) = there[number % there.len()];
        match plan.unplug(&id_of(&plan, list, index)) {
            Ok(removal) => {
                remove_from(config, list, index);
                removal.plan
            }
            Err(error) => {
                assert!(matches!(error, TopologyError::InUse { .. }), "{list}[{index}]: {error}");
                plan
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_is_the_one_of_what_is_there(steps in prop::collection::vec((any::<bool>(), 0..1000_usize), 1..30)) {
        let mut config = start();
        let mut planned = plan(&config, &target(), &endpoints()).expect("a plan");
        for each in steps {
            planned = step(&mut config, planned, each);
            let of_config = replan(&config, &target(), &endpoints(), Some(&planned));
            let of_config = of_config.unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(brought(&planned), brought(&of_config));
            // As a later process reads it.
            let saved = serde_json::to_string(&planned).expect("a plan serializes");
            prop_assert_eq!(&serde_json::from_str::<Plan>(&saved).expect("a plan reads back"), &planned);
        }
    }

    #[test]
    fn what_came_goes_without_a_trace(
        numbers in prop::collection::vec(0..1000_usize, 1..12),
        order in prop::collection::vec(0..1000_usize, 12),
    ) {
        let first = plan(&start(), &target(), &endpoints()).expect("a plan");
        let mut planned = first.clone();
        let pool = entries();
        let mut came = Vec::new();
        for number in numbers {
            let entry = &pool[number % pool.len()];
            let Ok(addition) = planned.plug(entry.as_new()) else { continue };
            came.push(addition.id);
            planned = addition.plan;
        }
        for number in order {
            if came.is_empty() {
                break;
            }
            let id = came.swap_remove(number % came.len());
            planned = planned.unplug(&id).expect("nothing uses it").plan;
        }
        prop_assert!(came.is_empty());
        prop_assert_eq!(brought(&planned), brought(&first));
        let ports = |plan: &Plan| -> Vec<String> {
            plan.topology().free_ports().into_iter().map(Into::into).collect()
        };
        let added = planned.devices().count() - first.devices().count();
        prop_assert_eq!(ports(&planned).len() + added, ports(&first).len(), "only empty controllers keep a port");
        if added == 0 {
            prop_assert_eq!(&planned, &first);
        }
    }
}

/// No kind of what can come is left out of the walks because it is refused at once.
#[test]
fn every_kind_can_come_and_go() {
    let first = plan(&start(), &target(), &endpoints()).expect("a plan");
    for entry in entries() {
        let addition = first.plug(entry.as_new()).unwrap_or_else(|error| panic!("{entry:?}: {error}"));
        let removal = addition.plan.unplug(&addition.id).unwrap_or_else(|error| panic!("{entry:?}: {error}"));
        assert_eq!(brought(&removal.plan), brought(&first), "{entry:?}");
        let again = removal.plan.plug(entry.as_new()).unwrap_or_else(|error| panic!("{entry:?}: {error}"));
        assert_eq!(again.id, addition.id);
    }
}
