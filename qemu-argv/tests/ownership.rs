//! A plan knows which entry of the configuration brought each part: what comes is whole, and what goes leaves nothing of its
//! own and takes nothing of others.

mod support;

use qemu_argv::{
    Arch, Audio, Cdrom, Channel, CharBackend, Chardev, Disk, DiskInterface, Endpoints, HubportNet,
    NetBackend, Network, NicModel, OtherBus, OtherDevice, Owner, Plan, Props, Rate, Serial, SerialDevice,
    StdioChardev, Target, Throttle, Version, VmConfig, plan,
};
use support::{VERSIONS, machines, planned};

fn machine(config: VmConfig) -> Plan {
    let config = VmConfig { name: Some("web".into()), ..config };
    planned(&config, Version::new(10, 0)).unwrap_or_else(|error| panic!("{error}"))
}

fn limited(group: &str, rate: u64) -> Disk {
    let limits = Throttle { group: Some(group.into()), bps: Some(Rate::new(rate)), ..Throttle::default() };
    Disk { throttle: Some(limits), ..Disk::file("/vm/more.qcow2") }
}

fn channel(id: &str) -> Channel {
    Channel { id: Some(id.into()), ..Channel::new(format!("org.example.{id}")) }
}

fn paths(plan: &Plan) -> Vec<String> {
    plan.sockets().map(|socket| socket.path.display().to_string()).collect()
}

fn commands(removal: &qemu_argv::UnplugPlan) -> Vec<String> {
    removal
        .backends
        .iter()
        .map(|command| format!("{} {}", command.name, command.arguments.to_json()))
        .collect()
}

#[test]
fn a_socket_goes_with_its_own_channel_alone() {
    let before = machine(VmConfig { channels: vec![channel("x"), channel("y.x")], ..VmConfig::default() });
    let removal = before.unplug("x").expect("it can go");
    let gone: Vec<_> = removal.sockets.iter().map(|socket| socket.path.display().to_string()).collect();
    assert_eq!(gone, ["/run/vms/web.x.sock"]);
    assert!(paths(&removal.plan).contains(&"/run/vms/web.y.x.sock".to_owned()), "{:?}", paths(&removal.plan));
}

#[test]
fn a_named_group_goes_with_the_last_disk_in_it() {
    let before = machine(VmConfig::default());
    let first = before.plug(&limited("g", 1 << 20)).expect("there is a free port");
    assert_eq!(first.commands().first().map(|command| command.name), Some("object-add"));
    let second = first.plan.plug(&limited("g", 1 << 20)).expect("the group is there already");
    assert!(second.commands().iter().all(|command| command.name != "object-add"));
    // One that only names it, too.
    let named = Throttle { group: Some("g".into()), ..Throttle::default() };
    let named = Disk { throttle: Some(named), ..Disk::file("/vm/third.qcow2") };
    let third = second.plan.plug(&named).expect("the group is there already");

    let removal = third.plan.unplug(&third.id).expect("it can go");
    assert!(!commands(&removal).concat().contains("object-del"), "others are in the group");
    let removal = removal.plan.unplug(&first.id).expect("it can go");
    assert!(!commands(&removal).concat().contains("object-del"), "another is in the group");
    let removal = removal.plan.unplug(&second.id).expect("it can go");
    assert_eq!(commands(&removal).last().map(String::as_str), Some(r#"object-del {"id":"g"}"#));
    assert_eq!(removal.plan, before);
    removal.plan.plug(&limited("g", 2 << 20)).expect("the name is free again");
}

#[test]
fn a_group_of_the_start_takes_another_disk_and_no_other_limits() {
    let before = machine(VmConfig { disks: vec![limited("g", 1 << 20)], ..VmConfig::default() });
    let second = before.plug(&limited("g", 1 << 20)).expect("as two disks at the start can share it");
    assert_eq!(second.plan.objects().filter(|object| object.id == "g").count(), 1);
    let error = before.plug(&limited("g", 2 << 20)).expect_err("the limits are others").to_string();
    insta::assert_snapshot!(error, @r#"cannot plan the machine: throttle: the group "g" has different limits already; set them once"#);
}

#[test]
fn a_character_device_of_the_list_outlives_its_user() {
    let mail = Channel { chardev: Some("mail-chardev".into()), ..channel("mail") };
    let before = machine(VmConfig {
        chardevs: vec![Chardev::new("mail-chardev", CharBackend::Null)],
        channels: vec![mail.clone()],
        ..VmConfig::default()
    });
    let removal = before.unplug("mail").expect("it can go");
    assert_eq!(commands(&removal), [""; 0]);
    assert!(removal.plan.chardevs().any(|chardev| chardev.id == "mail-chardev"));
    removal.plan.plug(&mail).expect("it finds the character device again");
}

#[test]
fn a_device_that_qemu_does_not_have_is_refused_later_as_at_the_start() {
    let mut target = Target::new(Version::new(10, 0), Arch::X86_64);
    target.devices = Some(["virtio-net-pci", "virtio-blk-pci", "pcie-root-port"].into_iter().collect());
    let card = Network { model: NicModel::Igb, ..Network::default() };
    let start = VmConfig { networks: vec![card.clone()], ..VmConfig::default() };
    let at_start = plan(&start, &target, &Endpoints::default()).expect_err("it has no igb").to_string();
    let running = plan(&VmConfig::default(), &target, &Endpoints::default()).expect("a plan");
    // As one that another process has read.
    let saved = serde_json::to_string(&running).expect("a plan serializes");
    let running: Plan = serde_json::from_str(&saved).expect("a plan reads back");
    let later = running.plug(&card).expect_err("it has no igb").to_string();
    insta::assert_snapshot!(format!("{at_start}\n{later}"), @r"
    cannot plan the machine: networks[0]: this QEMU was built without device igb
    cannot plan the machine: this QEMU was built without device igb
    ");
}

#[test]
fn what_others_use_stays() {
    let hub = |netdev: Option<&str>| {
        let port = HubportNet { hub: 1, netdev: netdev.map(Into::into) };
        Network { model: NicModel::None, ..Network::new(NetBackend::Hubport(port)) }
    };
    let before = machine(VmConfig {
        networks: vec![Network { model: NicModel::None, ..Network::default() }, hub(Some("net0"))],
        audio: vec![Audio::default()],
        ..VmConfig::default()
    });
    let error = before.unplug("net0").expect_err("the hub uses it").to_string();
    insta::assert_snapshot!(error, @"net0 is in use by net1, which must be unplugged first");
    let without = before.unplug("net1").expect("nothing uses it").plan;
    let without = without.unplug("net0").expect("nothing uses it any more").plan;
    assert_eq!(without.netdevs().count(), 0);

    // A device of QEMU's own name uses what its properties say.
    let card = OtherDevice {
        driver: "virtio-net-pci".into(),
        id: None,
        bus: OtherBus::Virtio,
        address: None,
        properties: Props::new().with("netdev", "net0"),
    };
    let with = before.unplug("net1").expect("nothing uses it").plan.plug(&card).expect("there is room").plan;
    let error = with.unplug("net0").expect_err("the card uses it").to_string();
    insta::assert_snapshot!(error, @"net0 is in use by device0, which must be unplugged first");
}

#[test]
fn what_only_one_can_use_is_not_given_to_two() {
    let card = OtherDevice {
        driver: "virtio-net-pci".into(),
        id: None,
        bus: OtherBus::Virtio,
        address: None,
        properties: Props::new().with("netdev", "net0"),
    };
    let mail = Channel { chardev: Some("mail".into()), ..Channel::new("org.example.mail") };
    let again = Channel { name: "org.example.again".into(), ..mail.clone() };
    let config = |mux| VmConfig {
        networks: vec![Network::default()],
        chardevs: vec![Chardev { mux, ..Chardev::new("mail", CharBackend::Null) }],
        channels: vec![mail.clone()],
        ..VmConfig::default()
    };
    let both = VmConfig {
        devices: vec![card.clone()],
        channels: vec![mail.clone(), again.clone()],
        ..config(false)
    };
    let running = machine(config(false));
    let said = [
        planned(&both, Version::new(10, 0)).expect_err("both are taken").to_string(),
        running.plug(&card).expect_err("its own card has it").to_string(),
        running.plug(&again).expect_err("another channel has it").to_string(),
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot plan the machine, 2 problems:
      channels[1].chardev: the character device "mail" is already used by channels[0]
      devices[0]: the network "net0" is already used by networks[0]
    cannot plan the machine: the network "net0" is already used by net0 of the running machine
    cannot plan the machine: chardev: the character device "mail" is already used by channel0 of the running machine
    "#);
    machine(config(true)).plug(&again).expect("it is made for several");
}

#[test]
fn what_is_part_of_another_goes_with_it() {
    let sound = Audio { device: qemu_argv::SoundDevice::IntelHda, ..Audio::default() };
    let before = machine(VmConfig { audio: vec![sound], ..VmConfig::default() });
    let error = before.unplug("audio0-codec0").expect_err("it has no place of its own").to_string();
    insta::assert_snapshot!(error, @"audio0-codec0 must be hot-pluggable, but audio0 does not support that; unplug the whole of it");
    // A console's socket goes with its port.
    let console = Serial { device: SerialDevice::Virtio, ..Serial::default() };
    let before = machine(VmConfig { serials: vec![console], ..VmConfig::default() });
    let removal = before.unplug("serial0").expect("it can go");
    let gone: Vec<_> = removal.sockets.iter().map(|socket| socket.path.display().to_string()).collect();
    assert_eq!(gone, ["/run/vms/web.console0.sock"]);
}

#[test]
fn one_mac_address_is_for_one_device_whoever_brings_it() {
    let card = |number: u8| OtherDevice {
        driver: "virtio-net-pci".into(),
        id: None,
        bus: OtherBus::Virtio,
        address: None,
        properties: Props::new().with("mac", format!("52:54:00:00:00:0{number}")),
    };
    let start = VmConfig { devices: vec![card(1), card(1)], ..VmConfig::default() };
    let at_start = planned(&start, Version::new(10, 0)).expect_err("they are the same").to_string();
    let running = machine(VmConfig { devices: vec![card(1)], ..VmConfig::default() });
    running.plug(&card(2)).expect("another address");
    let later = running.plug(&card(1)).expect_err("they are the same").to_string();
    insta::assert_snapshot!(format!("{at_start}\n{later}"), @r#"
    cannot plan the machine: devices[1].properties.mac: MAC address "52:54:00:00:00:01" is already used by devices[0]
    cannot plan the machine: properties.mac: MAC address "52:54:00:00:00:01" is already used by device0 of the running machine
    "#);
}

/// What a launcher has told at the start counts later, too.
#[test]
fn the_launchers_input_and_directory_are_known_later() {
    let vnc = qemu_argv::Vnc {
        listen: qemu_argv::VncListen::Unix(qemu_argv::VncUnix { path: "/elsewhere/vnc.sock".into() }),
        ..qemu_argv::Vnc::default()
    };
    let config = VmConfig { vnc: Some(vnc), ..VmConfig::default() };
    let target = Target::new(Version::new(10, 0), Arch::X86_64);
    let alone = plan(&config, &target, &Endpoints::default()).expect("a plan");
    let addition = alone.plug(&channel("x")).expect("there is room");
    assert_eq!(addition.sockets().count(), 0, "no directory was given for it");
    let stdio = Channel { backend: CharBackend::Stdio(StdioChardev { signal: None }), ..channel("x") };
    alone.plug(&stdio).expect("standard input is free");
    machine(config).plug(&stdio).expect_err("standard input is the launcher's");
}

/// Every part of every machine is in the bundle of one entry, and every entry is in one bundle.
#[test]
fn every_part_has_one_owner() {
    for machine in machines() {
        for version in VERSIONS {
            let Ok(plan) = planned(&machine.config, version) else { continue };
            let mut owners: Vec<_> = plan.bundles().iter().map(|bundle| bundle.owner.to_string()).collect();
            let all = owners.len();
            owners.sort();
            owners.dedup();
            assert_eq!(owners.len(), all, "{}: {owners:?}", machine.name);
            for bundle in plan.bundles().iter().filter(|bundle| bundle.owner != Owner::Controllers) {
                // Parts are called after the entry's id.
                if let Some(id) = &bundle.id {
                    let devices = bundle.devices.iter().map(|device| &device.id);
                    let nodes = bundle.block_nodes.iter().map(|node| &node.node_name);
                    let netdevs = bundle.netdevs.iter().map(|netdev| &netdev.id);
                    for name in devices.chain(nodes).chain(netdevs) {
                        assert!(
                            name.starts_with(id.as_str()),
                            "{}: {name} in {}",
                            machine.name,
                            bundle.owner
                        );
                    }
                }
                for part in &bundle.uses {
                    let providers = plan.bundles().iter().filter(|other| other.has(part)).count();
                    assert_eq!(providers, 1, "{}: {part:?}", machine.name);
                    assert!(!bundle.has(part), "{}: {part:?} is its own", machine.name);
                }
            }
        }
    }
}

/// Of every machine everything that can be unplugged goes as a whole, and the rest stays as it is.
#[test]
fn whatever_can_go_leaves_the_rest_as_it_is() {
    let mut gone = 0;
    for machine in machines() {
        let Ok(plan) = planned(&machine.config, Version::new(11, 1)) else { continue };
        for bundle in plan.bundles() {
            let Some(Ok(removal)) = bundle.id.as_ref().map(|id| plan.unplug(id)) else { continue };
            let shared = |owner: &Owner| matches!(owner, Owner::ThrottleGroup(_));
            let kept = plan.bundles().iter().filter(|other| *other != bundle && !shared(&other.owner));
            let after = removal.plan.bundles().iter().filter(|other| !shared(&other.owner));
            for (before, after) in kept.zip(after) {
                // Those behind it count one less.
                let mut after = after.clone();
                after.owner = before.owner.clone();
                assert_eq!(*before, after, "{} without {}", machine.name, bundle.owner);
            }
            gone += 1;
        }
    }
    assert!(gone > 50, "{gone}");
}

#[test]
fn what_only_the_start_can_give_is_refused() {
    let cdrom = Cdrom { interface: qemu_argv::CdromInterface::Ide, ..Cdrom::default() };
    let disk = Disk { interface: DiskInterface::Ide, ..Disk::file("/vm/a.raw") };
    let plan = machine(VmConfig::default());
    plan.plug(&cdrom).expect_err("IDE takes none later");
    plan.plug(&disk).expect_err("IDE takes none later");
}
