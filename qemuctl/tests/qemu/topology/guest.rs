//! What a Linux guest sees: devices that come and go, each at its planned address, and names that stay.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use qemu_argv::plan::topology::{Placement, Topology};
use qemu_argv::{
    AccelChoice, Arch, Boot, Disk, DiskBackend, HubportNet, Machine, Memory, NetBackend, Network, NullDisk,
    Plan, QmpCommand, Size, VmConfig,
};
use qemuctl::{Console, Instance, LaunchOptions, guest::ConsoleReader};
use qmp_proto::AnyEvent;
use serde_json::{Value, json};

use crate::support::{guest_file, qemu};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(600);

/// A booted Linux with a shell on its serial console.
pub struct Guest {
    pub vm: Instance,
    console: Console,
    reader: ConsoleReader,
    _dir: tempfile::TempDir,
}

impl Guest {
    /// Boots the test guest on the machine of `config`.
    pub async fn boot(version: &str, config: &VmConfig, earlier: Option<Plan>) -> Self {
        // A launch is much to keep on a stack.
        Box::pin(Self::launch(version, config, earlier)).await
    }

    async fn launch(version: &str, config: &VmConfig, earlier: Option<Plan>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let arch = config.arch.expect("it says its architecture");
        let tty = if arch == Arch::Aarch64 { "ttyAMA0" } else { "ttyS0" };
        let file = |name| Some(guest_file(arch.qemu_name(), name));
        let config = VmConfig {
            qemu: Some(qemu(version, &format!("qemu-system-{arch}"))),
            socket_dir: Some(PathBuf::from(dir.path())),
            boot: Boot {
                kernel: file("vmlinuz"),
                initrd: file("initramfs"),
                // The kernel's check of the timer fails by chance when the host has no time for the guest.
                append: Some(format!("console={tty} quiet panic=-1 no_timer_check qemuctl.noagent")),
                ..Boot::default()
            },
            ..config.clone()
        };
        let options = LaunchOptions { ready_timeout: GENEROUS, earlier, ..LaunchOptions::default() };
        let vm = Instance::start_with(&config, &options).await.expect("started");
        let console = vm.console().await.expect("it has one");
        let mut reader = console.reader_with_history();
        reader.expect("guest ready", GENEROUS).await.expect("it boots");
        Self { vm, console, reader, _dir: dir }
    }

    /// Runs a command in the guest and returns the lines it prints.
    pub async fn run(&mut self, command: &str) -> Vec<String> {
        // The quotes keep the echo of the command from looking like its output.
        let line = format!("echo 'BE''GIN'; {command}; echo 'E''ND'\n");
        self.console.write_all(line.as_bytes()).await.expect("typed");
        let found = self.reader.expect(r"BEGIN\r?\n([\s\S]*?)END\r?\n", GENEROUS).await.expect(command);
        found.groups.last().expect("one group").lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// The addresses of a device's way from the root bus: of the ports above it, and its own.
    async fn addresses(&mut self, find: &str) -> Vec<String> {
        let script = format!("until readlink -f $({find}) 2>/dev/null | grep pci; do usleep 20000; done");
        let lines = self.run(&script).await;
        let path = lines.first().expect("one line");
        let is_pci =
            |part: &&str| part.len() == 12 && part.as_bytes()[4] == b':' && part.as_bytes()[10] == b'.';
        path.split('/').filter(is_pci).map(str::to_owned).collect()
    }

    /// Of a disk that has `id` for its serial number.
    async fn disk(&mut self, id: &str) -> Vec<String> {
        let find =
            format!("grep -lx {id} /sys/block/vd*/serial 2>/dev/null | head -n1 | sed 's,serial$,device,'");
        self.addresses(&find).await
    }

    /// Of an interface with this MAC address.
    async fn interface(&mut self, mac: &str) -> Vec<String> {
        let find = format!(
            "grep -lx {mac} /sys/class/net/*/address 2>/dev/null | head -n1 | sed 's,address$,device,'"
        );
        self.addresses(&find).await
    }

    /// Every device of the plan that is on PCI is in the guest where the plan has it.
    pub async fn agrees_with_the_plan(&mut self) {
        let listed = self.run("ls -l /sys/bus/pci/devices | sed 's,.*devices/,,'").await;
        let mut seen: Vec<Vec<String>> = listed
            .iter()
            .map(|path| {
                path.split('/').filter(|part| part.contains('.')).map(|part| part[8..].to_owned()).collect()
            })
            .collect();
        seen.sort();
        let topology = self.vm.plan().expect("it was planned").topology().clone();
        let controllers = topology.controllers().iter().map(|each| &each.placement);
        let placements = controllers.chain(topology.placements().map(|(_, placement)| placement));
        for way in placements.filter_map(|placement| way(&topology, placement)) {
            assert!(seen.binary_search(&way).is_ok(), "nothing at {way:?} in {seen:?}");
        }
    }

    async fn ask(&self, command: &str) -> Value {
        self.vm.execute_raw(command, None).await.expect(command)
    }

    async fn carry_out(&self, commands: &[QmpCommand]) {
        for command in commands {
            let arguments = serde_json::to_value(&command.arguments).expect("it is JSON");
            self.vm.execute_raw(command.name, Some(arguments)).await.expect(command.name);
        }
    }
}

/// Slot and function of the ports above a place, and its own, as a guest writes them.
fn way(topology: &Topology, placement: &Placement) -> Option<Vec<String>> {
    let Placement::Pci { bus, slot, function, .. } = placement else { return None };
    let above = topology.controllers().iter().find(|controller| controller.id == *bus);
    let mut way = above.and_then(|controller| way(topology, &controller.placement)).unwrap_or_default();
    way.push(format!("{slot:02x}.{function:x}"));
    Some(way)
}

/// Without domain and bus, which firmware or the guest gives out.
fn slots(addresses: &[String]) -> Vec<String> {
    addresses.iter().map(|address| address[8..].to_owned()).collect()
}

fn machine(arch: Arch, kind: &str, hotplug_ports: u8) -> VmConfig {
    VmConfig {
        name: Some("guest".into()),
        arch: Some(arch),
        machine: Machine { kind: Some(kind.into()), accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(512)),
        hotplug_ports: Some(hotplug_ports),
        ..VmConfig::default()
    }
}

/// Twenty disks and ten network interfaces, plugged in one by one and unplugged again, by the commands that the plan says.
async fn come_and_go(version: &str, arch: Arch, kind: &str) {
    let mut guest = Guest::boot(version, &machine(arch, kind, 30), None).await;
    let first = guest.vm.plan().expect("it was planned").clone();
    let before = guest.run("lspci | wc -l").await;
    let mut plan = first.as_ref().clone();
    let mut ids = Vec::new();
    let mut addresses = BTreeSet::new();
    for number in 0..30 {
        let (id, addition, seen);
        if number < 20 {
            id = format!("disk{number}");
            let disk = Disk {
                serial: Some(id.clone()),
                ..Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))
            };
            addition = plan.plug(&disk).expect("there is room");
            guest.carry_out(&addition.commands()).await;
            seen = guest.disk(&id).await;
        } else {
            id = format!("net{number}");
            let mac = format!("52:54:00:00:00:{number:02x}");
            let backend = NetBackend::Hubport(HubportNet { hub: number, netdev: None });
            let mac_address = Some(mac.parse().expect("a MAC address"));
            let network = Network { id: Some(id.clone()), mac: mac_address, ..Network::new(backend) };
            addition = plan.plug(&network).expect("there is room");
            guest.carry_out(&addition.commands()).await;
            seen = guest.interface(&mac).await;
        }
        assert_eq!(addition.id, id);
        plan = addition.plan;
        let topology = plan.topology();
        let planned = topology.placement(&id).and_then(|placement| way(topology, placement));
        assert_eq!(Some(slots(&seen)), planned, "{id} on {kind} of {version}");
        addresses.insert(seen.last().expect("it has an address").trim_start_matches("0000:").to_owned());
        ids.push(id);
    }
    let listed = guest.run("lspci | cut -d' ' -f1").await;
    let listed = listed.iter().map(|address| address.trim_start_matches("0000:").to_owned()).collect();
    let missing: Vec<_> = addresses.difference(&listed).collect();
    assert!(missing.is_empty(), "lspci has no {missing:?}, only {listed:?}, on {kind} of {version}");

    let mut events = guest.vm.events();
    for id in &ids {
        let removal = plan.unplug(id).expect("it came while the guest ran");
        guest.carry_out(removal.device.as_slice()).await;
    }
    // A guest with native hotplug waits five seconds before it lets go, for each slot by itself.
    let mut waiting: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let gone = async {
        while !waiting.is_empty() {
            let event = events.recv().await.expect("QEMU lives").event;
            if let AnyEvent::DeviceDeleted(deleted) = event
                && let Some(id) = deleted.device
            {
                waiting.remove(id.as_str());
                let removal = plan.unplug(&id).expect("it was there");
                guest.carry_out(&removal.backends).await;
                plan = removal.plan;
            }
        }
    };
    let in_time = tokio::time::timeout(GENEROUS, gone).await.is_ok();
    assert!(in_time, "{waiting:?} stay on {kind} of {version}");
    assert_eq!(guest.run("lspci | wc -l").await, before);
    assert_eq!(plan, *first, "every place and every name is free again");
    assert_eq!(guest.ask("query-named-block-nodes").await, json!([]), "no node is left");
}

#[tokio::test]
async fn devices_come_and_go_on_q35() {
    come_and_go("10.0", Arch::X86_64, "q35").await;
}

#[tokio::test]
async fn devices_come_and_go_on_the_i440fx() {
    come_and_go("11.1", Arch::X86_64, "pc").await;
}

#[tokio::test]
async fn devices_come_and_go_on_virt() {
    come_and_go("7.2", Arch::Aarch64, "virt").await;
}

#[tokio::test]
async fn an_interface_in_the_middle_renames_none() {
    for kind in ["q35", "pc"] {
        let network = |id: &str| Network {
            id: Some(id.into()),
            mac: Some(format!("52:54:00:00:00:{id}").parse().expect("a MAC address")),
            ..Network::default()
        };
        let with = |ids: &[&str]| {
            let networks =
                ids.iter().map(|id| Network { id: Some(format!("n{id}")), ..network(id) }).collect();
            VmConfig { networks, ..machine(Arch::X86_64, kind, 4) }
        };
        let mut first = Guest::boot("10.0", &with(&["0a", "0c"]), None).await;
        let plan = first.vm.plan().expect("it was planned").clone();
        let before = [interface(&mut first, "0a").await, interface(&mut first, "0c").await];
        drop(first);

        // The plan is kept as a file would keep it.
        let saved = serde_json::to_string(&*plan).expect("it is plain data");
        let earlier = serde_json::from_str(&saved).expect("it reads back");
        let mut second = Guest::boot("10.0", &with(&["0a", "0b", "0c"]), Some(earlier)).await;
        let after = [interface(&mut second, "0a").await, interface(&mut second, "0c").await];
        assert_eq!(before, after, "{kind}");
        assert_ne!(interface(&mut second, "0b").await.1, before[1].1, "{kind}");
    }
}

/// The kernel's name of an interface, and its address, which systemd's names are made of.
async fn interface(guest: &mut Guest, mac: &str) -> (String, Vec<String>) {
    let mac = format!("52:54:00:00:00:{mac}");
    let addresses = guest.interface(&mac).await;
    let find = format!("grep -lx {mac} /sys/class/net/*/address | cut -d/ -f5");
    (guest.run(&find).await.concat(), addresses)
}
