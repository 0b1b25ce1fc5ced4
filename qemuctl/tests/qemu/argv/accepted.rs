//! Every snapshot machine is started on every version: it runs without a word and is what was configured, or we refuse it
//! by name. No third outcome.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::world::{World, machine_names};
use super::{facts, meaning};
use crate::support::VERSIONS;

/// Machines that need something of the host or the network when QEMU starts, and what.
const OUTSIDE: [(&str, &str); 16] = [
    ("display-curses", "a terminal"),
    ("display-dbus-bus", "a message bus, and a device that draws"),
    ("display-egl", "a device that draws"),
    ("display-sdl", "a screen"),
    ("display-spice-app", "a desktop"),
    ("displays", "a screen"),
    ("helpers", "VFIO devices, swtpm, virtiofsd, vhost"),
    ("load-snapshot", "a snapshot, see `again`"),
    ("network-disks", "servers for NBD, RBD, iSCSI, SSH and HTTP, an LVM volume, a free NVMe device"),
    ("passt", "the program passt"),
    ("plugins", "a plugin for each version"),
    ("ports", "ports of the host, a terminal, a Braille display"),
    ("replay-again", "a recording, see `again`"),
    ("sounds", "sound devices and servers"),
    ("spice-gl", "a device that draws"),
    ("tap", "TAP interfaces, a bridge, a VDE switch, vhost devices"),
];

/// Lines that QEMU may print: part of the machine's name, part of the line, and why it is there.
const EXPECTED: [(&str, &str, &str); 8] = [
    ("flash-arm", "nic ftgmac100.1 has no peer", "the board has two, and one is connected"),
    (
        "ppc64",
        "TCG doesn't support requested feature, cap-",
        "pseries defends against what only hardware has",
    ),
    ("loongarch64", "No kernel provided, booting from flash drive", "11.1 says what the machine is to do"),
    ("", "VD_INTERFACE_REMOVING unsupported", "11.1 says so whenever SPICE ends"),
    ("words-pc", "display device: Not a PCI device", "SPICE asks where each screen is, and ramfb is nowhere"),
    ("monitors", "Unable to connect character device mon3", "it goes on trying"),
    ("words-q35", "Unable to connect character device again", "it goes on trying"),
    ("", "VNC server running on", "the port is chosen from a range, and told"),
];

#[test]
fn every_machine_is_what_was_configured_or_refused_by_us() {
    let jobs: Vec<_> = machine_names()
        .into_iter()
        .filter(|name| !OUTSIDE.iter().any(|(outside, _)| outside == name))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = String::new();
        // One version after the other: some machines listen at fixed ports.
        let mine = std::iter::from_fn(|| jobs.get(next.fetch_add(1, Ordering::Relaxed)));
        for (name, version) in mine.flat_map(|name| VERSIONS.map(|version| (name, version))) {
            let outcome = std::panic::catch_unwind(|| accepted(name, version));
            if let Err(fault) = outcome.unwrap_or_else(|_| Err("the test panicked".into())) {
                writeln!(faults, "{name} on {version}: {fault}").expect("a String takes it");
            }
        }
        faults
    };
    let faults = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().expect("a worker ends")).concat()
    });
    assert!(faults.is_empty(), "{faults}");
}

fn accepted(name: &str, version: &'static str) -> Result<(), String> {
    let world = World::new(version);
    let config = world.machine(name);
    let Ok(plan) = world.plan(&config) else {
        // What we refuse, and with which words, is in the snapshots.
        return Ok(());
    };
    world.furnish(&config, &plan);
    let mut vm = world.start(&config, &plan);
    vm.ready()?;
    let different =
        [facts::differences(&mut vm, &config, &plan), meaning::differences(&mut vm, &plan)].concat();
    if !different.is_empty() {
        return Err(format!("\n{}", different.join("\n")));
    }
    let (status, said) = vm.quit();
    let unexpected: Vec<_> = said
        .lines()
        .filter(|line| !EXPECTED.iter().any(|(part, words, _)| name.contains(part) && line.contains(words)))
        .collect();
    if !status.success() || !unexpected.is_empty() {
        return Err(format!("{status}: {}", unexpected.join("\n  ")));
    }
    Ok(())
}
