//! What needs something of the host: QEMU takes the options, and misses that thing alone.

use qemu_argv::{
    AccelChoice, CharBackend, ConnectNet, DiskBackend, Display, HostDeviceDisk, Memory, NetBackend, NvmeDisk,
    Share, SocketNet, StdioChardev, VirtiofsShare, VmConfig,
};

use super::world::World;
use crate::support::VERSIONS;

/// A part of a machine of `tests/machines`, with nothing else that could fail.
struct Part {
    what: &'static str,
    machine: &'static str,
    leave: fn(&mut VmConfig),
}

const PARTS: [Part; 32] = [
    Part { what: "braille", machine: "ports", leave: |vm| one_port(vm, "dots") },
    Part {
        what: "bridge",
        machine: "tap",
        leave: |vm| one_network(vm, |net| matches!(net, NetBackend::Bridge(_))),
    },
    Part { what: "display curses", machine: "display-curses", leave: plain },
    Part { what: "display dbus", machine: "display-dbus-bus", leave: plain },
    Part { what: "display egl-headless", machine: "display-egl", leave: only_the_display },
    Part { what: "display gtk", machine: "displays", leave: only_the_display },
    Part { what: "display sdl", machine: "display-sdl", leave: only_the_display },
    Part { what: "display spice-app", machine: "display-spice-app", leave: only_the_display },
    Part { what: "guest forward", machine: "ports", leave: |vm| one_network(vm, |_| true) },
    Part {
        what: "host device",
        machine: "network-disks",
        leave: |vm| {
            one_disk(vm, |disk| matches!(disk, DiskBackend::HostDevice(HostDeviceDisk { .. })));
        },
    },
    Part {
        what: "huge pages",
        machine: "ports",
        leave: |vm| {
            let memory = vm.memory.clone();
            plain(vm);
            vm.memory = memory;
        },
    },
    Part {
        what: "NVMe",
        machine: "network-disks",
        leave: |vm| {
            one_disk(vm, |disk| matches!(disk, DiskBackend::Nvme(NvmeDisk { .. })));
        },
    },
    Part { what: "parallel port", machine: "ports", leave: |vm| one_port(vm, "printer") },
    Part { what: "persistent memory", machine: "sounds", leave: |vm| vm.audio.clear() },
    Part { what: "serial port", machine: "ports", leave: |vm| one_port(vm, "tty") },
    Part {
        what: "smb",
        machine: "ports",
        leave: |vm| {
            one_network(vm, |_| true);
            if let NetBackend::User(net) = &mut vm.networks[0].backend {
                net.guest_forwards.clear();
            }
        },
    },
    Part {
        what: "socket",
        machine: "tap",
        leave: |vm| {
            one_network(vm, |net| matches!(net, NetBackend::Socket(SocketNet::Connect(ConnectNet { .. }))));
        },
    },
    Part { what: "sound 0", machine: "sounds", leave: |vm| one_sound(vm, 0) },
    Part { what: "sound 1", machine: "sounds", leave: |vm| one_sound(vm, 1) },
    Part { what: "sound 2", machine: "sounds", leave: |vm| one_sound(vm, 2) },
    Part { what: "sound 3", machine: "sounds", leave: |vm| one_sound(vm, 3) },
    Part { what: "sound 4", machine: "sounds", leave: |vm| one_sound(vm, 4) },
    Part { what: "sound 5", machine: "sounds", leave: |vm| one_sound(vm, 5) },
    Part { what: "SPICE with OpenGL", machine: "spice-gl", leave: plain },
    Part {
        what: "TPM, CRB",
        machine: "helpers",
        leave: |vm| {
            let tpm = vm.tpm.clone();
            plain_helpers(vm);
            vm.tpm = tpm;
        },
    },
    Part {
        what: "TPM, TIS",
        machine: "ports",
        leave: |vm| {
            let tpm = vm.tpm.clone();
            plain(vm);
            vm.tpm = tpm;
        },
    },
    Part {
        what: "VDE",
        machine: "tap",
        leave: |vm| one_network(vm, |net| matches!(net, NetBackend::Vde(_))),
    },
    Part { what: "VFIO by address", machine: "helpers", leave: |vm| one_host_device(vm, 0) },
    Part { what: "VFIO, mediated", machine: "helpers", leave: |vm| one_host_device(vm, 1) },
    Part {
        what: "vhost-vdpa",
        machine: "tap",
        leave: |vm| {
            one_network(vm, |net| matches!(net, NetBackend::VhostVdpa(_)));
        },
    },
    Part {
        what: "virtiofs",
        machine: "helpers",
        leave: |vm| {
            let mut shares = vm.shares.clone();
            shares.retain(|share| matches!(share, Share::Virtiofs(VirtiofsShare { .. })));
            plain_helpers(vm);
            vm.shares = shares;
        },
    },
    Part {
        what: "vsock",
        machine: "helpers",
        leave: |vm| {
            let vsock = vm.vsock.clone();
            plain_helpers(vm);
            // QEMU itself opens the device.
            vm.vsock = vsock.map(|vsock| qemu_argv::Vsock { pass_fd: false, ..vsock });
        },
    },
];

/// Everything off that could fail first.
fn plain(vm: &mut VmConfig) {
    vm.memory = Memory::default();
    vm.machine.accel = AccelChoice::Tcg;
    vm.tpm = None;
    vm.vsock = None;
    vm.chardevs.clear();
    vm.serials.clear();
    vm.networks.clear();
    vm.audio.clear();
}

fn plain_helpers(vm: &mut VmConfig) {
    plain(vm);
    vm.shares.clear();
    vm.host_devices.clear();
    vm.usb_devices.clear();
    vm.devices.clear();
    vm.extra_args.clear();
}

/// A display, which is made before the devices that draw on it.
fn only_the_display(vm: &mut VmConfig) {
    plain(vm);
    assert_ne!(vm.display, Display::None);
    vm.video.clear();
    vm.spice = None;
}

fn one_port(vm: &mut VmConfig, id: &str) {
    let mut chardevs = vm.chardevs.clone();
    chardevs.retain(|chardev| chardev.id == id);
    assert_eq!(chardevs.len(), 1, "{id}");
    assert!(!matches!(chardevs[0].backend, CharBackend::Stdio(StdioChardev { .. })), "QMP is there");
    plain(vm);
    vm.chardevs = chardevs;
}

fn one_network(vm: &mut VmConfig, is_it: fn(&NetBackend) -> bool) {
    let mut networks = vm.networks.clone();
    networks.retain(|network| is_it(&network.backend));
    assert_eq!(networks.len(), 1, "{networks:?}");
    plain(vm);
    vm.networks = networks;
}

fn one_disk(vm: &mut VmConfig, is_it: fn(&DiskBackend) -> bool) {
    vm.disks.retain(|disk| is_it(&disk.backend));
    assert_eq!(vm.disks.len(), 1, "{:?}", vm.disks);
    vm.cdroms.clear();
    vm.secrets.clear();
    vm.tls.clear();
}

fn one_sound(vm: &mut VmConfig, number: usize) {
    let sound = vm.audio.remove(number);
    plain(vm);
    vm.audio = vec![sound];
}

fn one_host_device(vm: &mut VmConfig, number: usize) {
    let device = vm.host_devices.remove(number);
    plain_helpers(vm);
    vm.host_devices = vec![device];
}

/// What QEMU says at last, without the option that it says it of.
fn outcome(part: &Part, version: &'static str) -> String {
    let world = World::new(version);
    let mut config = world.machine(part.machine);
    (part.leave)(&mut config);
    let plan = match world.plan(&config) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    world.furnish(&config, &plan);
    let mut vm = world.start(&config, &plan);
    let Err(said) = vm.ready() else { return "starts".to_owned() };
    let said = said.replace(world.dir.path().to_str().expect("is UTF-8"), "/vm");
    let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or_default().trim_end();
    let last = last.trim_start_matches("exit status: 1: ").trim_start_matches("qemu-system-x86_64: ");
    // JSON, or `-name argument`.
    match last.rfind("}: ") {
        Some(end) => last[end + 3..].to_owned(),
        None if last.starts_with('-') => last.split_once(": ").map_or(last, |(_, words)| words).to_owned(),
        None => last.to_owned(),
    }
}

/// What each part says on each version where the host lacks everything. 11.1 crashes where a sound driver is not installed.
const SAID: &str = include_str!("outside.txt");

#[test]
fn only_what_the_host_lacks_is_missed() {
    let mut said = SAID.lines();
    let mut faults = Vec::new();
    for part in &PARTS {
        for version in VERSIONS {
            let outcome = format!("{} on {version}: {}", part.what, outcome(part, version));
            let expected = said.next().unwrap_or_default();
            // Another host may have it.
            if outcome != expected && !outcome.ends_with(": starts") {
                faults.push(format!("{outcome}\n    instead of {expected}"));
            }
        }
    }
    assert_eq!(faults.join("\n"), "");
    assert_eq!(said.next(), None, "a part that nobody starts");
}
