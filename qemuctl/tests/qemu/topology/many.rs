//! Very many devices: refused in time, accepted by QEMU, counted by a guest.

use qemu_argv::{
    AccelChoice, Arch, Cpu, Disk, DiskBackend, Endpoints, Machine, Memory, NullDisk, Size, Target, Version,
    VmConfig, plan,
};

use super::frozen::Frozen;
use super::guest::Guest;
use super::tree::planned;
use crate::support::{VERSIONS, qemu};

/// A machine with so many small disks.
fn disks(machine: &str, count: usize) -> VmConfig {
    VmConfig {
        name: Some("many".into()),
        arch: Some(Arch::X86_64),
        machine: Machine { kind: Some(machine.into()), accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(512)),
        disks: (0..count).map(|_| Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))).collect(),
        ..VmConfig::default()
    }
}

#[test]
fn three_hundred_on_the_i440fx_are_refused_before_qemu() {
    let target = Target::new(Version::new(10, 0), Arch::X86_64);
    let error = plan(&disks("pc", 300), &target, &Endpoints::default()).expect_err("it has 30 slots");
    assert_eq!(
        error.to_string(),
        "cannot plan the machine: disks[240]: no room for disk240 and 59 more devices: pci.0 is full (30 slots for \
         hot-pluggable devices, or 8 other devices in each); set hotplug = false on permanent devices (8 share a slot), \
         use virtio-scsi for disks (256 in one slot), or use a machine with PCI Express, such as q35 or virt"
    );
}

#[tokio::test]
async fn hundreds_on_q35_are_accepted_where_they_were_planned() {
    // QEMU 10.0 and 11.1 take memory with the square of the number: 20 GiB for 500, which not every machine has.
    for (version, count) in VERSIONS.into_iter().zip([500, 240, 240]) {
        accepted_on_q35(version, count).await;
    }
}

async fn accepted_on_q35(version: &str, count: usize) {
    let target = Target::new(version.parse().expect("a version"), Arch::X86_64);
    let endpoints = Endpoints { qmp_fd: Some(0), ..Endpoints::default() };
    let config = VmConfig { serials: Vec::new(), ..disks("q35", count) };
    let plan = plan(&config, &target, &endpoints).expect("they fit");
    let line = plan.command_line();
    let frozen = Frozen::start(&qemu(version, "qemu-system-x86_64"), line.args()).await;
    let tree = frozen.expect(version).tree().await;
    assert_eq!(tree.places(plan.topology()), planned(plan.topology()), "{version}");
}

#[tokio::test]
async fn a_guest_counts_a_hundred_and_twenty() {
    let mut config = disks("q35", 120);
    // Each disk takes two interrupts, and a processor of x86 has about 200 vectors to give.
    config.cpu = Cpu::new(2);
    for disk in &mut config.disks {
        disk.queues = Some(1);
        // They share slots: with a port for each, booting takes more than 70 s of processor time.
        disk.hotplug = Some(false);
    }
    let mut guest = Guest::boot("7.2", &config, None).await;
    // The shell may answer before the kernel has the last disk.
    let all = "i=0; while [ $(ls -d /sys/block/vd* | wc -l) -lt 120 ] && [ $i -lt 300 ]; do i=$((i+1)); sleep 1; done";
    let count = "ls -d /sys/block/vd* | wc -l";
    assert_eq!(guest.run(&format!("{all}; {count}")).await, ["120"]);
    // Each is read to show that it works.
    let read = "for disk in /sys/block/vd*; do dd if=/dev/${disk##*/} of=/dev/null bs=512 count=1 2>/dev/null && echo; done";
    assert_eq!(guest.run(&format!("({read}) | wc -l")).await, ["120"]);
    guest.agrees_with_the_plan().await;
}
