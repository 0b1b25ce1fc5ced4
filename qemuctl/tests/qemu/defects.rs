//! The defects of an earlier library of this name, one test each, as far as they are about a running VM.

use std::path::Path;
use std::time::Duration;

use qemuctl::qmp_client::Options;
use qemuctl::qmp_proto::AnyEvent;
use qemuctl::qmp_proto::event::Reset;
use qemuctl::{
    Error, ExitReason, Instance, LaunchOptions, State, VmConfig,
    config::{Disk, DiskBackend, NullDisk, Size},
    control::{IoLimits, StopStep},
    error::Cause,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::timeout;

use crate::boot_sector::{Guest, leftovers};
use crate::seed_rows::{ask, driver, image, launch, property, refused};
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(60);

fn config(guest: Guest, dir: &Path) -> VmConfig {
    guest.config(&qemu("10.0", "qemu-system-x86_64"), dir, "vm")
}

fn signal(vm: &Instance, signal: Signal) {
    let pid = vm.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a process");
    kill_process(pid, signal).expect("signalled");
}

#[tokio::test]
async fn defect_01_a_power_off_does_not_cost_the_whole_timeout() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(Guest::Obedient, dir.path())).await.expect("started");
    let hour = Duration::from_secs(3600);
    let outcome = timeout(GENEROUS, vm.stop(hour)).await.expect("long before the hour").expect("no error");
    assert_eq!((outcome.step, outcome.reason), (StopStep::PowerButton, ExitReason::GuestShutdown));
    let again = vm.stop(hour).await.expect("no error");
    assert_eq!((again.step, again.reason), (StopStep::AlreadyEnded, ExitReason::GuestShutdown));
}

#[tokio::test]
async fn defect_02_a_bad_option_is_told_at_once_in_qemus_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config(Guest::Deaf, dir.path());
    config.extra_args = vec!["-device".into(), "nonsense".into()];
    let hour = LaunchOptions { ready_timeout: Duration::from_secs(3600), ..LaunchOptions::default() };
    let launch = timeout(GENEROUS, Instance::start_with(&config, &hour));
    let error = launch.await.expect("long before the hour").expect_err("refused");
    let Error::Launch(failure) = error else { panic!("{error}") };
    assert_eq!(failure.cause, Cause::UnknownDevice);
    let line = failure.output.last().expect("QEMU said why");
    assert!(line.ends_with("-device nonsense: 'nonsense' is not a valid device model name"), "{line}");
}

#[tokio::test]
async fn defect_03_the_launcher_leaves_the_monitor_socket_to_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(Guest::Deaf, dir.path())).await.expect("started");
    for _ in 0..5 {
        let attached = Instance::attach(vm.socket().expect("a socket")).await.expect("nobody is before us");
        assert_eq!(attached.query_state().await.expect("answered"), State::Running);
    }
}

#[tokio::test]
async fn defect_04_a_stopped_qemu_is_an_error_and_a_state_not_a_hang() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = LaunchOptions { command_timeout: Duration::from_millis(300), ..LaunchOptions::default() };
    let vm = Instance::start_with(&config(Guest::Deaf, dir.path()), &options).await.expect("started");
    signal(&vm, Signal::STOP);
    let brief = Options {
        greeting: Duration::from_millis(300),
        ready: Duration::from_millis(300),
        ..Options::default()
    };
    let socket = vm.socket().expect("a socket");
    let error = Instance::attach_with(socket, &brief).await.expect_err("nobody answers");
    assert!(matches!(error, Error::Unresponsive { .. }), "{error}");
    vm.query_state().await.expect_err("no answer in time");
    let mut states = vm.states();
    let silent = states.wait_for(|state| *state == State::Unresponsive);
    timeout(GENEROUS, silent).await.expect("in time").expect("alive");
    signal(&vm, Signal::CONT);
    let back = states.wait_for(|state| *state == State::Running);
    timeout(GENEROUS, back).await.expect("in time").expect("alive");

    signal(&vm, Signal::STOP);
    let outcome = vm.stop(Duration::from_secs(1)).await.expect("stopped");
    assert_eq!((outcome.step, outcome.reason), (StopStep::Kill, ExitReason::Killed { signal: 9 }));
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn defect_05_giving_up_on_a_launch_leaves_nothing_and_dropping_what_started_it_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(Guest::Deaf, dir.path());
    for after_ms in [0, 1, 5, 10, 20, 40, 80] {
        // Whether the launch has come far or not: either it is undone, or it has succeeded and is dropped.
        let _ = timeout(Duration::from_millis(after_ms), Instance::start(&config)).await;
        assert_eq!(leftovers(dir.path()), [""; 0], "after {after_ms} ms");
    }
    let vm = tokio::spawn(async move { Instance::start(&config).await })
        .await
        .expect("no panic")
        .expect("started");
    assert_eq!(vm.query_state().await.expect("answered"), State::Running);
}

#[tokio::test]
async fn defect_06_firmware_is_wired_to_the_machine_and_its_variables_come_from_the_template() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "firmware = \"uefi\"").await;
        let flash = vm.block_devices().await.expect("told");
        let mut seen = Vec::new();
        for device in &flash {
            let inserted = device.inserted.as_ref().expect("firmware is there");
            let node = inserted.node_name.clone().expect("it has a name");
            seen.push((
                device.qdev.clone(),
                inserted.ro,
                std::fs::metadata(&inserted.file).expect("a file").len(),
                node,
            ));
        }
        seen.sort();
        let [code, vars] = &seen[..] else { panic!("{version}: {seen:?}") };
        assert_eq!(property(&vm, "/machine", "pflash0").await, json!(code.3), "{version}");
        assert_eq!(property(&vm, "/machine", "pflash1").await, json!(vars.3), "{version}");
        assert!(code.1 && !vars.1, "{version}: only the variables are written to");
        assert!(vars.2 > 0, "{version}: the template was copied");
    }
}

#[tokio::test]
async fn defect_07_scsi_disks_have_a_controller_and_a_disks_settings_arrive() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let lines = r#"disks = [
            { backend = "DIR/a.raw", interface = "virtio-scsi", cache = "none", discard = true, read_only = true },
        ]"#;
        let vm = launch(version, dir.path(), lines).await;
        assert_eq!(driver(&vm, "disk0").await, "scsi-hd", "{version}");
        let block = vm.block_devices().await.expect("told");
        let inserted = block[0].inserted.as_ref().expect("an image");
        assert!(inserted.ro && inserted.cache.direct && !inserted.cache.no_flush, "{version}");
    }
}

#[tokio::test]
async fn defect_08_a_socket_network_with_a_path_is_refused_with_what_takes_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = r#"
        [[networks]]
        backend = { type = "stream", address = "DIR/there.sock", server = true }"#;
    let vm = launch("10.0", dir.path(), lines).await;
    assert_eq!(vm.state(), State::Prelaunch);
    let wrong = r#"
        [[networks]]
        backend = { type = "socket", mode = "listen", address = "/there.sock" }"#;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let error = refused("10.0", elsewhere.path(), wrong).await;
    assert!(error.contains("networks[0]"), "{error}");
}

#[tokio::test]
async fn defect_09_devices_have_ids_of_their_own_and_more_can_come_and_running_out_is_told() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a.raw", "b.raw", "c.raw"] {
            image(dir.path(), name);
        }
        let lines = "disks = [\"DIR/a.raw\", \"DIR/b.raw\"]\nnetworks = [\"user\", \"user\"]";
        let vm = launch(version, dir.path(), lines).await;
        for id in ["disk0", "disk1", "net0", "net1"] {
            driver(&vm, id).await;
        }
        assert_eq!(vm.plug(&Disk::file(dir.path().join("c.raw"))).await.expect(version), "disk2");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let many = VmConfig {
        disks: (0..300).map(|_| Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) }))).collect(),
        ..crate::seed_rows::config("10.0", dir.path(), "machine = \"pc\"")
    };
    let error = Box::pin(Instance::start(&many)).await.expect_err("it has 30 slots");
    assert!(error.to_string().contains("pci.0 is full"), "{error}");
}

#[tokio::test]
async fn defect_10_commas_in_paths_and_names_stay_what_they_are() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let name = "a,readonly=on,b='\" .raw";
        image(dir.path(), name);
        let disk = Disk { serial: Some("s,share-rw=on".into()), ..Disk::file(dir.path().join(name)) };
        let config = VmConfig { disks: vec![disk], ..crate::seed_rows::config(version, dir.path(), "") };
        let vm = Box::pin(Instance::start(&config)).await.expect(version);
        let block = vm.block_devices().await.expect("told");
        let inserted = block[0].inserted.as_ref().expect("an image");
        assert_eq!(
            (inserted.file.as_str(), inserted.ro),
            (dir.path().join(name).to_str().expect("UTF-8"), false)
        );
        let path = "/machine/peripheral/disk0";
        assert_eq!(property(&vm, path, "serial").await, "s,share-rw=on", "{version}");
        assert_eq!(property(&vm, path, "share-rw").await, false, "{version}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let vm = launch("10.0", dir.path(), "name = \"a,process=b\"").await;
    assert_eq!(ask(&vm, "query-name", json!({})).await["name"], "a,process=b");
}

#[tokio::test]
async fn defect_11_a_password_is_set_and_in_nobodys_arguments() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            secrets = [{ id = "door", value = "sesame" }]
            vnc = { listen = { type = "none" }, password_secret = "door" }"#;
        let vm = launch(version, dir.path(), lines).await;
        let servers = ask(&vm, "query-vnc-servers", json!({})).await;
        assert_eq!(servers[0]["auth"], "vnc", "{version}");
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{}/{file}", vm.pid().expect("a process"));
            let text = std::fs::read(path).expect("readable");
            assert!(!String::from_utf8_lossy(&text).contains("sesame"), "{version}: {file}");
        }
    }
}

#[tokio::test]
async fn defect_12_another_architecture_gets_tcg_and_a_processor_that_it_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let foreign = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let mut config = crate::seed_rows::config("10.0", dir.path(), &format!("arch = \"{foreign}\""));
    config.machine.accel = qemuctl::config::AccelChoice::Auto;
    let vm = Box::pin(Instance::start(&config)).await.expect("it falls back");
    assert_eq!(ask(&vm, "query-kvm", json!({})).await["enabled"], false);
}

#[tokio::test]
async fn defect_13_events_are_not_lost_and_a_reset_is_not_a_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let paused = VmConfig { paused: true, ..config(Guest::Reboot, dir.path()) };
    let vm = Instance::start(&paused).await.expect("started");
    assert_eq!(vm.state(), State::Prelaunch);
    let mut resets = vm.events_of::<Reset>();
    vm.reset().await.expect("reset");
    let event = timeout(GENEROUS, resets.recv()).await.expect("in time").expect("open").event;
    assert!(matches!(&event, AnyEvent::Reset(reset) if !reset.guest), "{event:?}");
    assert_eq!(vm.query_state().await.expect("answered"), State::Prelaunch, "a reset does not run the guest");

    let mut all = vm.events();
    vm.resume().await.expect("resumed");
    for _ in 0..20 {
        let event = timeout(GENEROUS, resets.recv()).await.expect("in time").expect("open").event;
        assert!(matches!(&event, AnyEvent::Reset(reset) if reset.guest), "{event:?}");
    }
    assert_eq!(vm.state(), State::Running);
    let first = timeout(GENEROUS, all.recv()).await.expect("in time").expect("nothing is missed").event;
    assert!(matches!(first, AnyEvent::Resume(_)), "{first:?}");
}

#[tokio::test]
async fn defect_14_leaving_an_attached_vm_leaves_its_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(Guest::Deaf, dir.path())).await.expect("started");
    let socket = vm.socket().expect("a socket").to_owned();
    for _ in 0..3 {
        let attached = Instance::attach(&socket).await.expect("nobody took it away");
        drop(attached);
        assert!(socket.exists());
    }
    assert_eq!(vm.query_state().await.expect("answered"), State::Running);
}

#[tokio::test]
async fn defect_15_a_limit_sets_no_burst() {
    let dir = tempfile::tempdir().expect("a directory");
    image(dir.path(), "a.raw");
    let vm = launch("10.0", dir.path(), "disks = [\"DIR/a.raw\"]").await;
    let limits = IoLimits { bytes_total: 1 << 20, requests_total: 100, ..IoLimits::default() };
    vm.set_io_limits("disk0", limits).await.expect("set");
    assert_eq!(vm.io_limits("disk0").await.expect("told"), limits);
    let block = vm.block_devices().await.expect("told");
    let inserted = block[0].inserted.as_ref().expect("an image");
    assert_eq!(
        (inserted.bps, inserted.bps_max.unwrap_or(0), inserted.iops_max.unwrap_or(0)),
        (1 << 20, 0, 0)
    );
}
