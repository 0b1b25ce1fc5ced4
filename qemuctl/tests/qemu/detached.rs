//! VMs that outlive their launcher, and handles on VMs of others.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use qemuctl::runtime::Record;
use qemuctl::{
    Error, ExitReason, Instance, LaunchOptions, Ownership, State, config::Network, control::StopStep,
};

use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{command, is_role};
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(60);

#[test]
fn a_detached_vm_survives_its_launcher_and_is_stopped_by_another() {
    const NAME: &str = "detached::a_detached_vm_survives_its_launcher_and_is_stopped_by_another";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if is_role(NAME) {
        let dir = std::env::var("QEMUCTL_TEST_DIR").expect("set by the test");
        let version = std::env::var("QEMUCTL_TEST_VERSION").expect("set by the test");
        let config = Guest::Obedient.config(&qemu(&version, "qemu-system-x86_64"), Path::new(&dir), "vm");
        runtime.block_on(async {
            Instance::start_detached(&config, &LaunchOptions::default()).await.expect("started");
        });
        // No destructor runs, as if killed.
        std::process::abort();
    }
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let launcher = command(NAME)
            .env("QEMUCTL_TEST_DIR", dir.path())
            .env("QEMUCTL_TEST_VERSION", version)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(!launcher.expect("the test program starts").success());
        runtime.block_on(async {
            let record = Record::read(dir.path(), "vm").expect("readable").expect("there is one");
            assert!(record.is_alive() && record.detached, "{version}");
            let config = Guest::Obedient.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
            let error = Instance::start(&config).await.expect_err("the name is taken");
            assert_eq!(
                error.to_string(),
                format!("a VM called vm is already running (process {})", record.pid)
            );

            let vm = Instance::attach_name_in(dir.path(), "vm").await.expect("attached");
            assert_eq!(vm.pid(), Some(record.pid));
            assert_eq!((vm.ownership(), vm.state()), (Ownership::Attached, State::Running));
            drop(vm);
            let vm = Instance::attach_name_in(dir.path(), "vm").await.expect("one after the other");
            let outcome = vm.stop(GENEROUS).await.expect("stopped");
            assert_eq!((outcome.step, outcome.reason), (StopStep::PowerButton, ExitReason::GuestShutdown));
        });
        assert_eq!(leftovers(dir.path()), [""; 0], "{version}");
    }
}

#[tokio::test]
async fn a_visitor_outlives_the_launchers_handle_and_learns_of_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = Instance::start(&config).await.expect("started");
    let socket = vm.socket().expect("a socket");
    let first = Instance::attach(socket).await.expect("attached");
    assert_eq!((first.name(), first.pid()), ("vm", vm.pid()));
    first.pause().await.expect("paused");
    let mut states = vm.states();
    let paused = states.wait_for(|state| *state == State::Paused);
    tokio::time::timeout(GENEROUS, paused).await.expect("the launcher hears of it").expect("it lives");
    drop(first);
    let again = Instance::attach(socket).await.expect("the socket is still there");
    let reason = vm.kill().await.expect("killed");
    assert_eq!(reason, ExitReason::Killed { signal: 9 });
    // Who is not its parent is told by Linux from 6.15 on.
    let told = tokio::time::timeout(GENEROUS, again.wait()).await.expect("it is gone");
    assert!(matches!(told, ExitReason::Killed { signal: 9 } | ExitReason::Lost), "{told}");
}

#[tokio::test]
async fn attaching_to_nobody_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = Instance::attach_name_in(dir.path(), "vm").await.expect_err("no such VM");
    assert_eq!(error.to_string(), "no running VM named vm");
    let error = Instance::attach(dir.path().join("vm.sock")).await.expect_err("no such socket");
    assert!(matches!(error, Error::Attach { .. }), "{error}");
}

#[tokio::test]
async fn a_detached_vm_keeps_its_places_for_the_next_start() {
    let network = |id: &str| Network { id: Some(id.into()), ..Network::default() };
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    config.networks = vec![network("one"), network("two")];
    let places = |vm: &Instance| {
        let plan = vm.plan().expect("it was planned");
        ["one", "two"].map(|id| plan.topology().placement(id).cloned().expect("it is planned"))
    };
    let options = LaunchOptions::default();
    let first = Instance::start_detached(&config, &options).await.expect("started");
    let before = places(&first);
    first.kill().await.expect("killed");
    let kept = dir.path().join("vm.plan.json");
    assert_eq!(kept.metadata().expect("it is kept").permissions().mode() & 0o777, 0o600);

    config.networks.insert(0, network("zero"));
    let second = Instance::start_detached(&config, &options).await.expect("started");
    assert_eq!(places(&second), before);
    second.kill().await.expect("killed");

    // A plan that cannot be read is told, and no reason not to start.
    std::fs::write(&kept, "half a pl").expect("written");
    let third = Instance::start_detached(&config, &options).await.expect("started");
    assert_ne!(places(&third), before, "planned afresh");
    let told: Vec<_> = third.warnings().iter().filter(|line| line.contains("vm.plan.json")).collect();
    assert_eq!(told.len(), 1, "{:?}", third.warnings());
    third.kill().await.expect("killed");
}
