//! Measures planning and rendering; `cargo xtask bench argv` builds it for release and runs it.
//!
//! The last lines are the goals: `goal NAME VALUE LIMIT met|missed`.

#![expect(clippy::disallowed_types, reason = "the crate looks at no clock, what measures it does")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use qemu_argv::{
    Arch, Disk, DiskInterface, Endpoints, Firmware, Network, Target, UefiFirmware, Version, VmConfig, Vnc,
    plan,
};

fn typical() -> VmConfig {
    let uefi = UefiFirmware {
        code: Some("/usr/share/OVMF/OVMF_CODE_4M.fd".into()),
        vars: Some("/vm/web/vars.fd".into()),
        ..UefiFirmware::default()
    };
    VmConfig {
        name: Some("web".into()),
        firmware: Some(Firmware::Uefi(uefi)),
        disks: vec![Disk::file("/vm/web/system.qcow2"), Disk::file("/vm/web/data.raw")],
        networks: vec![Network::default(), Network::default()],
        vnc: Some(Vnc::default()),
        guest_agent: true,
        ..VmConfig::default()
    }
}

/// Disks on SCSI, of which a machine takes any number.
fn large(devices: usize) -> VmConfig {
    let disk =
        |number| Disk { interface: DiskInterface::VirtioScsi, ..Disk::file(format!("/vm/disk{number}.raw")) };
    VmConfig { name: Some("large".into()), disks: (0..devices).map(disk).collect(), ..VmConfig::default() }
}

/// Disks on virtio, each with a place on PCI Express: what the topology has to think about.
fn on_pci(devices: usize) -> VmConfig {
    let disk = |number| Disk::file(format!("/vm/disk{number}.raw"));
    VmConfig { name: Some("wide".into()), disks: (0..devices).map(disk).collect(), ..VmConfig::default() }
}

/// The best of many short runs within `time`: what the work costs while nothing disturbs it. A neighbour on the same core
/// slows such work down by half, for seconds.
fn measure(config: &VmConfig, time: Duration) -> Duration {
    const RUN: Duration = Duration::from_millis(2);
    let target = Target::new(Version::new(10, 0), Arch::X86_64);
    let endpoints =
        Endpoints { qmp_fd: Some(0), socket_dir: Some("/run/vms".into()), ..Endpoints::default() };
    let once = |rounds: u32| {
        let start = Instant::now();
        for _ in 0..rounds {
            let plan = plan(black_box(config), &target, &endpoints).expect("the machine can be planned");
            black_box(plan.command_line());
        }
        start.elapsed() / rounds
    };
    let rounds = u32::try_from(RUN.as_nanos() / once(1).as_nanos().max(1)).unwrap_or(1).clamp(1, 2000);
    let start = Instant::now();
    let mut best = once(rounds);
    while start.elapsed() < time {
        best = best.min(once(rounds));
    }
    best
}

fn goal(name: &str, value: f64, limit: f64) {
    let word = if value <= limit { "met" } else { "missed" };
    println!("goal {name} {value:.2} {limit:.2} {word}");
}

fn main() {
    const TIME: Duration = Duration::from_secs(2);
    let typical = measure(&typical(), Duration::from_secs(10));
    println!("typical machine (2 disks, 2 NICs, UEFI, VNC, agent): {typical:?}");
    let mut for_each = Vec::new();
    for devices in [10_u32, 100, 1000] {
        let time = measure(&large(devices as usize), TIME);
        let nanos = time.as_secs_f64() * 1e9 / f64::from(devices);
        println!("{devices} devices: {time:?}, {nanos:.0} ns each");
        for_each.push(nanos);
    }
    let mut on_pci_each = Vec::new();
    let mut last = Duration::ZERO;
    for devices in [125_u32, 250, 500] {
        last = measure(&on_pci(devices as usize), TIME);
        let nanos = last.as_secs_f64() * 1e9 / f64::from(devices);
        println!("{devices} devices on PCI Express: {last:?}, {nanos:.0} ns each");
        on_pci_each.push(nanos);
    }
    goal("plan-500-ms", last.as_secs_f64() * 1e3, 5.0);
    goal("plan-500-devices-against-125-each", on_pci_each[2] / on_pci_each[0], 2.0);
    goal("argv-typical-microseconds", typical.as_secs_f64() * 1e6, 30.0);
    // Linear: a device among 1,000 costs no more than twice one among 100.
    goal("argv-1000-devices-against-100-each", for_each[2] / for_each[1], 2.0);
}
