//! Devices that come and go in any order: after each step QEMU has what the plan has, no part more and none less.

use std::collections::BTreeSet;

use qemu_argv::{
    Backing, BackingImage, Cdrom, CdromInterface, Channel, CharBackend, Chardev, Disk, DiskBackend,
    DiskInterface, Fault, HubportNet, Iothread, NetBackend, Network, NewDevice, NicModel, NullDisk, OtherBus,
    OtherDevice, Plan, Props, QmpCommand, Rate, Secret, Size, Throttle, UsbDevice, UsbKind, UsbRedirection,
    UserNet, VmConfig, plan::topology::TopologyError,
};
use serde_json::{Value, json};

use super::hostile::devices_and_objects;
use super::world::{Running, World};
use crate::support::VERSIONS;

const STEPS: usize = 60;

/// Everything that can come.
struct Pool {
    disks: Vec<Disk>,
    cdroms: Vec<Cdrom>,
    networks: Vec<Network>,
    usb: Vec<UsbDevice>,
    channels: Vec<Channel>,
    others: Vec<OtherDevice>,
}

impl Pool {
    /// The images of one step are no other's, as QEMU locks them.
    fn new(world: &World, step: usize) -> Self {
        let file = |name: &str| world.dir.path().join(format!("{name}{step}.qcow2"));
        let null = || Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }));
        let below = BackingImage {
            backend: DiskBackend::file(file("base")),
            format: None,
            key_secret: None,
            backing: Backing::None,
        };
        let disks = vec![
            null(),
            Disk { throttle: Some(limits(None)), ..null() },
            Disk { throttle: Some(limits(Some("g"))), ..null() },
            Disk { throttle: Some(limits(Some("late"))), interface: DiskInterface::Usb, ..null() },
            Disk { interface: DiskInterface::Nvme, ..null() },
            Disk { interface: DiskInterface::VirtioScsi, ..null() },
            Disk {
                backing: Backing::Image(Box::new(below)),
                iothread: Some("io0".into()),
                ..Disk::file(file("plain"))
            },
            Disk { key_secret: Some("key".into()), ..Disk::file(file("encrypted")) },
        ];
        let card = |model| Network { model, ..Network::default() };
        let port =
            |netdev: Option<&str>| NetBackend::Hubport(HubportNet { hub: 1, netdev: netdev.map(Into::into) });
        let networks = vec![
            card(NicModel::Virtio),
            card(NicModel::E1000e),
            card(NicModel::UsbNet),
            card(NicModel::None),
            Network { model: NicModel::None, ..Network::new(port(Some("base"))) },
            Network::new(port(None)),
        ];
        let drive = |medium| Cdrom { medium, interface: CdromInterface::VirtioScsi, ..Cdrom::default() };
        let usb = |device| UsbDevice::new(device);
        let other = |driver: &str, properties| OtherDevice {
            driver: driver.into(),
            id: None,
            bus: OtherBus::Virtio,
            address: None,
            properties,
        };
        Self {
            disks,
            cdroms: vec![drive(None), drive(Some(DiskBackend::Null(NullDisk { size: Size::mib(1) })))],
            networks,
            usb: vec![
                usb(UsbKind::Tablet),
                usb(UsbKind::Redirection(UsbRedirection { backend: Some(CharBackend::Null) })),
            ],
            channels: vec![
                Channel::new("org.example.served"),
                Channel { backend: CharBackend::Null, ..Channel::new("org.example.null") },
                Channel { chardev: Some("mail-chardev".into()), ..Channel::new("org.example.mail") },
            ],
            others: vec![
                other("virtio-rng-pci", Props::new()),
                other("virtio-net-pci", Props::new().with("netdev", "base")),
            ],
        }
    }

    fn all(&self) -> Vec<NewDevice<'_>> {
        let disks = self.disks.iter().map(NewDevice::from);
        let cdroms = self.cdroms.iter().map(NewDevice::from);
        let networks = self.networks.iter().map(NewDevice::from);
        let usb = self.usb.iter().map(NewDevice::from);
        let channels = self.channels.iter().map(NewDevice::from);
        let others = self.others.iter().map(NewDevice::from);
        disks.chain(cdroms).chain(networks).chain(usb).chain(channels).chain(others).collect()
    }
}

fn limits(group: Option<&str>) -> Throttle {
    let group = group.map(Into::into);
    Throttle { group, iops: Some(Rate::new(100)), ..Throttle::default() }
}

fn start() -> VmConfig {
    let base = Network {
        id: Some("base".into()),
        model: NicModel::None,
        ..Network::new(NetBackend::User(UserNet::default()))
    };
    let shared = Disk {
        throttle: Some(limits(Some("g"))),
        ..Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))
    };
    VmConfig {
        name: Some("web".into()),
        secrets: vec![Secret::new("key", "correct horse")],
        iothreads: vec![Iothread::new("io0")],
        chardevs: vec![Chardev::new("mail-chardev", CharBackend::Null)],
        hotplug_ports: Some(12),
        disks: vec![shared],
        networks: vec![base],
        guest_agent: true,
        ..VmConfig::default()
    }
}

#[test]
fn qemu_has_what_the_plan_has_whatever_comes_and_goes() {
    for version in VERSIONS {
        let world = World::new(version);
        let config = start();
        let mut plan = world.plan(&config).unwrap_or_else(|error| panic!("{version}: {error}"));
        world.furnish(&config, &plan);
        let mut vm = world.start(&config, &plan);
        vm.ready().expect(version);
        same(&mut vm, &plan, "at the start");

        let mut there = vec!["disk0".to_owned(), "base".to_owned()];
        let (mut came, mut gone) = (0, 0);
        let mut numbers = Numbers(0x2545_f491_4f6c_dd1d ^ version.len() as u64);
        for step in 0..STEPS {
            let (what, changed) = if numbers.below(5) < 3 || there.is_empty() {
                let pool = Pool::new(&world, step);
                let all = pool.all();
                let device = all[numbers.below(all.len())];
                let changed = come(&world, &mut vm, &config, &plan, device);
                (format!("{device:?}"), changed.map(|(id, plan)| (there.push(id), plan).1))
            } else {
                let at = numbers.below(there.len());
                let changed = go(&mut vm, &plan, &there[at]);
                (format!("without {}", there[at]), changed.map(|plan| (there.swap_remove(at), plan).1))
            };
            let Some(changed) = changed else { continue };
            if changed.bundles().len() > plan.bundles().len() {
                came += 1;
            } else {
                gone += 1;
            }
            plan = changed;
            same(&mut vm, &plan, &format!("{version}, step {step}: {what}"));
        }
        // And all of it goes, users before what they use.
        while !there.is_empty() {
            let before = there.len();
            there.retain(|id| match go(&mut vm, &plan, id) {
                Some(left) => {
                    plan = left;
                    same(&mut vm, &plan, &format!("{version}: without {id} at the end"));
                    false
                }
                None => true,
            });
            assert!(there.len() < before, "{version}: {there:?} use each other");
        }
        assert!(came > STEPS / 4 && gone > STEPS / 6, "{version}: {came} came and {gone} went");
        assert_eq!((plan.block_nodes().count(), plan.netdevs().count()), (0, 0), "{version}");
        vm.quit();
    }
}

/// The id of what came, and the plan with it; `None` if there is no room, or what it refers to has gone or is taken.
fn come(
    world: &World,
    vm: &mut Running,
    config: &VmConfig,
    plan: &Plan,
    device: NewDevice<'_>,
) -> Option<(String, Plan)> {
    // A device's own properties are passed on as they are, also a network that `extra_args` may have made.
    if matches!(device, NewDevice::Other(other) if other.properties.get_str("netdev") == Some("base"))
        && !plan.netdevs().any(|netdev| netdev.id == "base")
    {
        return None;
    }
    let addition = match plan.plug(device) {
        Ok(addition) => addition,
        Err(error) => {
            let expected = |fault: &Fault| match fault {
                Fault::NoPlace(TopologyError::Full { .. })
                | Fault::Duplicate { what: "channel name", .. } => true,
                Fault::UnknownReference { id, .. } => id == "base",
                Fault::Duplicate { value, .. } => value == "base" || value == "mail-chardev",
                _ => false,
            };
            assert!(error.problems.iter().all(|problem| expected(&problem.fault)), "{device:?}: {error}");
            return None;
        }
    };
    world.furnish(config, &addition.plan);
    addition.commands().iter().for_each(|command| carry_out(vm, command));
    Some((addition.id, addition.plan))
}

/// The plan without `id`; `None` if others use it.
fn go(vm: &mut Running, plan: &Plan, id: &str) -> Option<Plan> {
    let removal = match plan.unplug(id) {
        Ok(removal) => removal,
        Err(TopologyError::InUse { .. }) => return None,
        Err(error) => panic!("{id}: {error}"),
    };
    if let Some(command) = &removal.device {
        carry_out(vm, command);
        // No guest runs that could let go of it. A reset does that in its place.
        vm.query("system_reset", &json!({}));
        vm.deleted(id);
    }
    removal.backends.iter().for_each(|command| carry_out(vm, command));
    Some(removal.plan)
}

fn carry_out(vm: &mut Running, command: &QmpCommand) {
    let arguments = serde_json::to_value(&command.arguments).expect("arguments are JSON");
    vm.query(command.name, &arguments);
}

fn same(vm: &mut Running, plan: &Plan, when: &str) {
    devices_and_objects(vm, plan).unwrap_or_else(|fault| panic!("{when}: {fault}"));
    let nodes = vm.query("query-named-block-nodes", &json!({ "flat": true }));
    let named = names(&nodes, "node-name").filter(|name| !name.starts_with('#')).collect();
    let nodes = plan.block_nodes().map(|node| node.node_name.to_string()).collect();
    differ("nodes", &nodes, &named, when);
    let chardevs = vm.query("query-chardev", &json!({}));
    let labels = names(&chardevs, "label").collect();
    let planned = plan.chardevs().map(|chardev| chardev.id.to_string()).collect();
    differ("chardevs", &planned, &labels, when);
    let text = vm.monitor("info network");
    let netdevs = plan.netdevs().map(|netdev| netdev.id.to_string()).collect();
    differ("netdevs", &netdevs, &backends(&text), when);
}

fn names<'v>(list: &'v Value, key: &'v str) -> impl Iterator<Item = String> + 'v {
    let list = list.as_array().expect("a list");
    list.iter().map(move |item| item[key].as_str().expect("a name").to_owned())
}

/// The network backends in what `info network` prints: every client but cards, and every port of a hub, which is told in front
/// of what is plugged into it.
fn backends(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let (name, rest) = line.trim_start_matches(" \\ ").split_once(": ").unwrap_or((line, ""));
        if let Some(port) = line.strip_prefix(" \\ ") {
            found.insert(port.split(": ").next().unwrap_or_default().to_owned());
        }
        let client = if rest.starts_with("index=") { Some((name, rest)) } else { rest.split_once(": ") };
        if let Some((name, rest)) = client
            && rest.starts_with("index=")
            && !rest.contains("type=nic")
        {
            found.insert(name.to_owned());
        }
    }
    found
}

fn differ(what: &str, planned: &BTreeSet<String>, there: &BTreeSet<String>, when: &str) {
    assert!(planned == there, "{when}: {what}: planned {planned:?}, there is {there:?}");
}

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }
}
