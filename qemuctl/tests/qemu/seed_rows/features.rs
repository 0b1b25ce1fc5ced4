//! Section "Features", and the two of "Quick Start".

use std::time::Duration;

use qemuctl::qmp_proto::AnyEvent;
use qemuctl::{
    State,
    config::{Arch, Disk},
    control::{Authentication, IoLimits, StopStep},
    qemu_discovery,
};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::{ask, config, driver, image, launch};
use crate::boot_sector::Guest;
use crate::guest_agent::{GENEROUS, boot, linux, run};
use crate::support::{VERSIONS, qemu};

#[tokio::test]
async fn launch_qemu_instances_with_comprehensive_configuration() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let lines = r#"
            uuid = "6f1b4d2e-8c1a-4b69-9f0d-3a6c1f2b7e55"
            memory = "256MiB"
            cpu = 2
            disks = ["DIR/a.raw"]
            cdroms = [{}]
            networks = ["user"]
            video = ["vga"]
            vnc = {}
            usb_devices = ["tablet"]
            guest_agent = true
            rng = {}
            balloon = {}
            watchdog = {}
            pvpanic = "isa""#;
        let vm = launch(version, dir.path(), lines).await;
        assert_eq!(ask(&vm, "query-uuid", json!({})).await["UUID"], "6f1b4d2e-8c1a-4b69-9f0d-3a6c1f2b7e55");
        let planned = vm.plan().expect("planned");
        for device in planned.devices() {
            // Some say what they are by a longer name, such as `virtio-blk-pci-non-transitional`.
            assert_eq!(driver(&vm, &device.id).await, device.driver.as_ref(), "{version}");
        }
    }
}

#[tokio::test]
async fn attach_to_existing_qemu_processes_by_socket_path_or_pid() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "").await;
        let socket = vm.socket().expect("it has one").to_owned();
        let by_path = qemuctl::Instance::attach(&socket).await.expect(version);
        assert_eq!((by_path.name(), by_path.pid(), by_path.state()), ("row", vm.pid(), State::Prelaunch));
        drop(by_path);
        let by_pid = qemuctl::Instance::attach_pid(vm.pid().expect("a process")).await.expect(version);
        assert_eq!((by_pid.name(), by_pid.pid()), ("row", vm.pid()));
    }
}

#[tokio::test]
async fn full_qmp_support_for_vm_control() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "").await;
        // Every command that this QEMU has can be sent: each that asks something and needs nothing is.
        let commands = vm.execute(qmp_proto::QueryCommands {}).await.expect(version);
        assert!(commands.len() > 200, "{version}: {}", commands.len());
        vm.resume().await.expect("it runs");
        vm.pause().await.expect("it stops");
        vm.reset().await.expect("it starts anew");
        // A machine that is reset while it is stopped waits before its first instruction.
        assert_eq!(vm.query_state().await.expect("answered"), State::Prelaunch, "{version}");
        vm.quit(GENEROUS).await.expect("it quits");
    }
}

#[tokio::test]
async fn vnc_spice_client_passthrough_via_scm_rights() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "vnc = {}\nspice = {}\nvideo = [\"vga\"]").await;
        let (mut ours, qemus) = tokio::net::UnixStream::pair().expect("a pair");
        vm.add_vnc_client(qemus, Authentication::Skipped).await.expect(version);
        let mut greeting = [0; 12];
        tokio::time::timeout(GENEROUS, ours.read_exact(&mut greeting))
            .await
            .expect("in time")
            .expect("greeted");
        assert_eq!(&greeting, b"RFB 003.008\n");
        let mut connected = vm.events_of::<qmp_proto::event::SpiceConnected>();
        let (_ours, qemus) = tokio::net::UnixStream::pair().expect("a pair");
        vm.add_spice_client(qemus, Authentication::Skipped).await.expect(version);
        tokio::time::timeout(GENEROUS, connected.recv()).await.expect("in time").expect("connected");
    }
}

#[tokio::test]
async fn event_handling_with_callbacks_for_state_changes() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "").await;
        let (sender, mut states) = tokio::sync::mpsc::unbounded_channel();
        let _subscription = vm.on_state(move |state| sender.send(state).expect("somebody listens"));
        let mut next = async || tokio::time::timeout(GENEROUS, states.recv()).await.expect("in time");
        assert_eq!(next().await, Some(State::Prelaunch));
        vm.resume().await.expect("it runs");
        assert_eq!(next().await, Some(State::Running));
        vm.pause().await.expect("it stops");
        assert_eq!(next().await, Some(State::Paused), "{version}");
    }
}

#[tokio::test]
async fn automatic_qemu_discovery() {
    let found = qemu_discovery::find_binary(Arch::X86_64, None);
    let dir = qemu("10.0", "qemu-system-x86_64");
    let by_path = qemu_discovery::find_binary(Arch::X86_64, Some(&dir)).expect("it is there");
    assert_eq!(by_path, dir);
    // A machine without a QEMU of its own says where it has looked.
    if let Err(error) = found {
        assert!(error.to_string().contains("/usr/bin"), "{error}");
    }
}

#[tokio::test]
async fn architecture_support_using_goarch_style_names() {
    for name in ["amd64", "arm64", "386", "arm", "riscv64", "ppc64", "ppc64le", "mips", "mips64", "s390x"] {
        name.parse::<Arch>().expect(name);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let vm = launch("10.0", dir.path(), "arch = \"arm64\"").await;
    assert_eq!(ask(&vm, "query-target", json!({})).await["arch"], "aarch64");
}

#[tokio::test]
async fn io_throttling_with_configurable_bps_iops_limits() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let lines = "disks = [{ backend = \"DIR/a.raw\", throttle = { bps = 1000000, iops = 100 } }]";
        let vm = launch(version, dir.path(), lines).await;
        let limits = IoLimits { bytes_total: 1_000_000, requests_total: 100, ..IoLimits::default() };
        assert_eq!(vm.io_limits("disk0").await.expect(version), limits);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_agent_support_via_virtio_serial() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = boot(&linux("11.1", "x86_64", dir.path())).await;
    assert_eq!(run(&vm, "uname -s").await, "Linux");
    let outcome = vm.stop(GENEROUS).await.expect("stopped");
    assert_eq!(outcome.step, StopStep::Agent);
}

#[tokio::test]
async fn automatic_pci_slot_allocation_for_q35_and_i440fx_machines() {
    for version in VERSIONS {
        for machine in ["q35", "pc"] {
            let dir = tempfile::tempdir().expect("a directory");
            let mut config = config(version, dir.path(), &format!("machine = \"{machine}\""));
            for number in 0..12 {
                let name = format!("{number}.raw");
                image(dir.path(), &name);
                config.disks.push(Disk::file(dir.path().join(name)));
            }
            let vm = Box::pin(qemuctl::Instance::start(&config)).await.expect(version);
            assert_eq!(vm.block_devices().await.expect("told").len(), 12, "{machine} on {version}");
        }
    }
}

#[tokio::test]
async fn simple_vm_basic_config() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let made = std::process::Command::new(qemu(version, "qemu-img"))
            .args(["create", "-q", "-f", "qcow2"])
            .arg(dir.path().join("disk.qcow2"))
            .arg("1M")
            .status();
        assert!(made.expect("qemu-img starts").success());
        let lines = "name = \"my-vm\"\nmemory = \"64MiB\"\ncpu = 4\ndisks = [\"DIR/disk.qcow2\"]";
        let vm = launch(version, dir.path(), lines).await;
        assert!(vm.pid().is_some());
        assert_eq!(vm.block_devices().await.expect("told")[0].inserted.as_ref().expect("in").drv, "qcow2");
        let outcome = vm.stop(Duration::from_secs(1)).await.expect("stopped");
        assert_eq!(outcome.reason.state(), State::Shutdown);
        vm.wait().await;
    }
}

#[tokio::test]
async fn advanced_vm_vm_config() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "system.raw");
        let lines = r#"
            name = "production-vm"
            memory = "128MiB"
            guest_agent = true
            vnc = {}
            usb_devices = ["tablet"]
            machine = { type = "q35" }
            cpu = { sockets = 1, cores = 4, threads = 2, count = 8 }
            disks = [{ id = "system", backend = "DIR/system.raw", boot_index = 1 }]
            [[networks]]
            id = "net0"
            mac = "52:54:00:12:34:56"
            backend = { type = "user", forwards = ["tcp:127.0.0.1:0-:22"] }"#;
        let vm = launch(version, dir.path(), lines).await;
        assert_eq!(driver(&vm, "system").await, "virtio-blk-pci");
        assert_eq!(driver(&vm, "net0").await, "virtio-net-pci");
        assert_eq!(super::property(&vm, "/machine/peripheral/net0", "mac").await, "52:54:00:12:34:56");
        assert!(vm.agent_socket().is_some());
    }
}

#[tokio::test]
async fn event_stream() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::PowerOff.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "row");
    let options = qemuctl::LaunchOptions { paused: true, ..qemuctl::LaunchOptions::default() };
    let vm = qemuctl::Instance::start_with(&config, &options).await.expect("started");
    let (sender, mut called) = tokio::sync::mpsc::unbounded_channel();
    let _subscription = vm.on_event(move |event| {
        let name = event.expect("nothing is missed").event.name().to_owned();
        sender.send(name).expect("heard");
    });
    let mut events = vm.events();
    vm.resume().await.expect("it runs");
    let shutdown = tokio::time::timeout(GENEROUS, async {
        loop {
            if let AnyEvent::Shutdown(shutdown) = events.recv().await.expect("an event").event {
                return shutdown;
            }
        }
    });
    assert!(shutdown.await.expect("in time").guest);
    vm.wait().await;
    let mut names = Vec::new();
    while let Ok(Some(name)) = tokio::time::timeout(GENEROUS, called.recv()).await {
        names.push(name);
    }
    assert!(names.contains(&"RESUME".to_owned()) && names.contains(&"SHUTDOWN".to_owned()), "{names:?}");
}
