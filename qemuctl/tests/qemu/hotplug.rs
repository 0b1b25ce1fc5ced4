//! Devices that come and go while a guest runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use qemuctl::runtime::Record;
use qemuctl::{
    Error, Instance, VmConfig,
    config::{
        BlockFormat, Cpu, Disk, DiskBackend, DiskInterface, Memory, Network, NullDisk, OtherBus, OtherDevice,
        Props, Rate, Size, Throttle, UsbController,
    },
};
use qmp_proto::{QueryMemorySizeSummary, QueryNamedBlockNodes};

use crate::boot_sector::Guest;
use crate::guest_agent::{GENEROUS, boot, linux, run};
use crate::support::{VERSIONS, qemu};

fn image(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::File::create(&path).and_then(|file| file.set_len(8 << 20)).expect("written");
    path
}

fn disk(dir: &Path, name: &str) -> Disk {
    Disk { format: Some(BlockFormat::Raw), serial: Some(name.into()), ..Disk::file(image(dir, name)) }
}

/// The names of all block nodes.
async fn nodes(vm: &Instance) -> Vec<String> {
    let nodes = vm.execute(QueryNamedBlockNodes::default()).await.expect("answered");
    let mut names: Vec<_> = nodes.into_iter().filter_map(|node| node.node_name).collect();
    names.sort();
    names
}

/// Waits until a shell's condition holds in the guest.
async fn until(vm: &Instance, condition: &str) {
    run(vm, &format!("until {condition}; do usleep 20000; done")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_guest_sees_devices_come_and_go() {
    for version in ["7.2", "11.1"] {
        let dir = tempfile::tempdir().expect("a directory");
        let config = VmConfig {
            memory: Memory { max: Some(Size::gib(1)), ..Memory::new(Size::mib(512)) },
            cpu: Cpu { max: Some(3), ..Cpu::default() },
            ..linux(version, "x86_64", dir.path())
        };
        let vm = boot(&config).await;
        let before = nodes(&vm).await;

        let limited = Throttle { bps: Some(Rate::new(50 << 20)), ..Throttle::default() };
        let first = vm.plug(&Disk { throttle: Some(limited), ..disk(dir.path(), "first") }).await;
        let first = first.expect(version);
        let nvme = vm.plug(&Disk { interface: DiskInterface::Nvme, ..disk(dir.path(), "second") }).await;
        let nvme = nvme.expect(version);
        let net = vm.plug(&Network::default()).await.expect(version);
        assert_eq!((first.as_str(), nvme.as_str(), net.as_str()), ("disk0", "disk1", "net0"));
        until(&vm, "grep -qx first /sys/block/vd*/serial").await;
        until(&vm, "grep -q second /sys/block/nvme*/device/serial").await;
        let plan = vm.plan().expect("it was planned");
        let device = plan.devices().find(|device| device.id == net).expect("it is planned");
        let mac = device.props.get_str("mac").expect("it has one").to_owned();
        until(&vm, &format!("grep -qx {mac} /sys/class/net/*/address")).await;
        // What is written comes out of the image.
        run(&vm, "echo written > $(grep -lx first /sys/block/vd*/serial | sed 's,/sys/block/,/dev/,;s,/serial,,'); sync")
            .await;

        // A later process knows of them, and takes one away.
        let record = Record::read(dir.path(), "linux").expect("readable").expect("there is one");
        assert_eq!(record.plan, *plan);
        let other = Instance::attach_name_in(dir.path(), "linux").await.expect("attached");
        other.unplug(&first, GENEROUS).await.expect(version);
        drop(other);
        until(&vm, "! grep -qx first /sys/block/vd*/serial 2>/dev/null").await;
        let bytes = std::fs::read(dir.path().join("first")).expect("readable");
        assert!(bytes.starts_with(b"written\n"));

        vm.unplug(&nvme, GENEROUS).await.expect(version);
        vm.unplug(&net, GENEROUS).await.expect(version);
        until(&vm, &format!("! grep -qx {mac} /sys/class/net/*/address")).await;
        assert_eq!(nodes(&vm).await, before, "{version}");
        let error = vm.unplug(&net, GENEROUS).await.expect_err("it is gone");
        assert_eq!(error.to_string(), "linux has no device net0");
        // The places are free again, for as many as there were at first.
        for number in 0..4 {
            vm.plug(&disk(dir.path(), &format!("again{number}"))).await.expect(version);
        }
        let error = vm.plug(&disk(dir.path(), "more")).await.expect_err("all ports are taken");
        assert!(matches!(error, Error::Plan(_)), "{error}");

        assert_eq!(vm.plug_cpus(2).await.expect(version), ["cpu0", "cpu1"]);
        until(&vm, "[ $(nproc) = 3 ]").await;
        let error = vm.plug_cpus(1).await.expect_err("no room");
        assert_eq!(
            error.to_string(),
            "adding CPUs to linux failed: only 0 can be added, not 1; raise `cpu.max`"
        );
        let dimm = vm.plug_memory(Size::mib(128)).await.expect(version);
        until(&vm, "[ $(ls -d /sys/firmware/acpi/memhp* /sys/devices/system/memory/memory* | wc -l) -gt 4 ]")
            .await;
        let sizes = vm.execute(QueryMemorySizeSummary {}).await.expect("answered");
        assert_eq!((sizes.plugged_memory, dimm.as_str()), (Some(128 << 20), "dimm0"));
        vm.plug_memory(Size::gib(8)).await.expect_err("more than there may be");
        assert_eq!(vm.plug_memory(Size::mib(128)).await.expect("nothing was left of it"), "dimm1");
        vm.kill().await.expect("killed");
    }
}

#[tokio::test]
async fn a_guest_that_does_not_let_go_keeps_its_device() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let vm = Instance::start(&config).await.expect(version);
        let id = vm.plug(&disk(dir.path(), "more")).await.expect(version);
        let moment = Duration::from_millis(300);
        for _ in 0..2 {
            let error = vm.unplug(&id, moment).await.expect_err("nobody lets go of it");
            assert_eq!(
                error.to_string(),
                "disk1 of vm is still plugged in: the guest did not release it within 300ms"
            );
        }
        assert!(nodes(&vm).await.contains(&id), "{version}");
        // A reset lets go of what was asked for.
        let mut deleted = vm.qmp().wait_for::<qmp_proto::event::DeviceDeleted>();
        vm.reset().await.expect("reset");
        deleted.wait_timeout(GENEROUS).await.expect("it goes");
        vm.unplug(&id, GENEROUS).await.expect("what was behind it goes now");
        assert!(!nodes(&vm).await.contains(&id), "{version}");
    }
}

#[tokio::test]
async fn what_cannot_come_leaves_nothing() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let vm = Instance::start(&config).await.expect(version);
        let (before, plan) = (nodes(&vm).await, vm.plan().expect("planned"));
        let limited = Some(Throttle { iops: Some(Rate::new(10)), ..Throttle::default() });
        let missing = Disk { throttle: limited, ..Disk::file(dir.path().join("missing.raw")) };
        let error = vm.plug(&missing).await.expect_err("there is no such file");
        assert!(matches!(error, Error::Qmp(_)), "{error}");
        let wrong = Disk { properties: Props::new().with("no-such-property", true), ..disk(dir.path(), "x") };
        vm.plug(&wrong).await.expect_err("there is no such property");
        let ide = Disk { interface: DiskInterface::Ide, ..disk(dir.path(), "y") };
        let error = vm.plug(&ide).await.expect_err("not while it runs");
        assert!(matches!(error, Error::Plan(_)), "{error}");
        assert_eq!((nodes(&vm).await, vm.plan()), (before, Some(plan)), "{version}");
        // The object of the first went as well: its name is free.
        let limited = Some(Throttle { iops: Some(Rate::new(10)), ..Throttle::default() });
        vm.plug(&Disk { throttle: limited, ..disk(dir.path(), "z") }).await.expect(version);

        // Any other device, and one of a backend in memory.
        let rng = OtherDevice {
            driver: "virtio-rng-pci".into(),
            id: None,
            bus: OtherBus::Virtio,
            address: None,
            properties: Props::new(),
        };
        vm.plug(&rng).await.expect(version);
        vm.plug(&Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))).await.expect(version);
    }
}

#[tokio::test]
async fn a_vm_of_unknown_plan_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = Instance::start(&config).await.expect("started");
    std::fs::remove_file(dir.path().join("vm.json")).expect("removed");
    let stranger = Instance::attach(vm.socket().expect("it has one")).await.expect("attached");
    let error = stranger.plug(&disk(dir.path(), "x")).await.expect_err("no plan");
    assert_eq!(
        error.to_string(),
        "adding a device to vm failed: it was not started by qemuctl, so its device plan is unknown"
    );
    let error = stranger.unplug("nothing", GENEROUS).await.expect_err("no such device");
    assert_eq!(error.to_string(), "vm has no device nothing");
}

/// The disks that the record tells of, and those that QEMU has; each with its nodes beneath.
async fn told_and_there(vm: &Instance, dir: &Path) -> (Vec<String>, Vec<String>) {
    let record = Record::read(dir, "vm").expect("readable").expect("there is one");
    let disks = |names: Vec<String>| {
        let mut names: Vec<_> =
            names.into_iter().filter(|name| name.starts_with("mine") || name.starts_with("theirs")).collect();
        names.sort();
        names
    };
    let planned = record.plan.devices().map(|device| device.id.to_string()).collect();
    (disks(planned), disks(nodes(vm).await.into_iter().filter(|name| !name.contains('-')).collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_plug_at_the_same_time_and_the_record_is_what_qemu_has() {
    const ROUNDS: usize = 15;
    let dir = tempfile::tempdir().expect("a directory");
    // A guest lets go of a USB disk by itself.
    let config = VmConfig {
        usb: vec![UsbController::default()],
        ..Guest::Deaf.config(&qemu("11.1", "qemu-system-x86_64"), dir.path(), "vm")
    };
    let vm = Instance::start(&config).await.expect("started");
    let image = image(dir.path(), "theirs.raw").display().to_string();
    let socket_dir = dir.path().to_owned();
    let theirs = tokio::task::spawn_blocking(move || {
        for round in 0..ROUNDS {
            let id = format!("theirs{round}");
            let add = ["block", "add", "vm", &image, "--interface", "usb", "--id", &id, "--read-only"];
            let remove = ["block", "remove", "vm", &id];
            for args in [&add[..], &remove].iter().take(if round % 3 == 2 { 1 } else { 2 }) {
                let output = std::process::Command::new(env!("CARGO_BIN_EXE_qemuctl"))
                    .args(*args)
                    .env("QEMUCTL_SOCKET_DIR", &socket_dir)
                    .output()
                    .expect("the program starts");
                assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    });
    let usb = |name: String| Disk {
        id: Some(name),
        interface: DiskInterface::Usb,
        read_only: true,
        ..Disk::file(dir.path().join("mine.raw"))
    };
    self::image(dir.path(), "mine.raw");
    let mut round = 0;
    while !theirs.is_finished() {
        let name = format!("mine{round}");
        assert_eq!(vm.plug(&usb(name.clone())).await.expect("plugged"), name);
        vm.unplug(&name, GENEROUS).await.expect("unplugged");
        // One that QEMU refuses leaves nothing behind.
        let missing =
            Disk { id: Some(format!("minerefused{round}")), ..Disk::file(dir.path().join("none.raw")) };
        vm.plug(&Disk { interface: DiskInterface::Usb, ..missing }).await.expect_err("no such file");
        round += 1;
    }
    theirs.await.expect("every command of the other process has succeeded");
    let kept = vm.plug(&usb("minekept".into())).await.expect("plugged");
    let (told, there) = told_and_there(&vm, dir.path()).await;
    let left = (0..ROUNDS).filter(|round| round % 3 == 2).map(|round| format!("theirs{round}"));
    let mut expected: Vec<_> = left.chain([kept]).collect();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(there, expected);
    assert!(round > 0);
    vm.kill().await.expect("killed");
}
