//! A service that is killed: its VMs end with it, and one call removes what they left.

use std::path::PathBuf;
use std::process::Stdio;

use qemuctl::runtime::{Record, sweep};
use qemuctl::{Instance, VmConfig};

use super::{runtime, seen};
use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{command, is_role};
use crate::support::qemu;

const NAMES: [&str; 3] = ["one", "two", "three"];

#[test]
fn a_killed_service_leaves_what_one_call_removes() {
    const NAME: &str = "faults::leftovers::a_killed_service_leaves_what_one_call_removes";
    if is_role(NAME) {
        let dir = PathBuf::from(std::env::var_os("QEMUCTL_TEST_DIR").expect("told"));
        runtime().block_on(async {
            let mut vms = Vec::new();
            for name in NAMES {
                let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), &dir, name);
                // Two do not write to one disk.
                let config = VmConfig { disks: Vec::new(), ..config };
                vms.push(Instance::start(&config.with_guest_agent()).await.expect("started"));
            }
            // No destructor runs, as if killed.
            std::process::abort();
        });
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut service = command(NAME);
    service.env("QEMUCTL_TEST_DIR", dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(!service.status().expect("the test program starts").success());
    // The kernel ends the VMs a moment after the service.
    let deadline = std::time::Instant::now() + super::GENEROUS;
    let lives = || Record::all(dir.path()).expect("readable").iter().any(Record::is_alive);
    while lives() {
        assert!(std::time::Instant::now() < deadline, "the VMs live on");
        std::thread::yield_now();
    }
    assert!(leftovers(dir.path()).len() >= NAMES.len());

    // A VM that lives keeps all of its files.
    runtime().block_on(async {
        let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "alive");
        let alive = Instance::start(&config).await.expect("started");
        let ended = sweep(dir.path()).expect("swept");
        let mut names: Vec<_> = ended.iter().map(|vm| vm.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["one", "three", "two"]);
        assert!(ended.iter().all(|vm| vm.pid.is_some() && !vm.detached), "{ended:?}");
        assert!(
            leftovers(dir.path()).iter().all(|file| file.starts_with("alive.")),
            "{:?}",
            leftovers(dir.path())
        );
        let visitor = Instance::attach_name_in(dir.path(), "alive").await.expect("attached");
        drop(visitor);
        alive.kill().await.expect("killed");
        assert_eq!(leftovers(dir.path()), [""; 0]);
    });

    // One record at a time.
    let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    runtime().block_on(async {
        Instance::start_detached(&config, &qemuctl::LaunchOptions::default()).await.expect("started");
    });
    let record = Record::read(dir.path(), "vm").expect("readable").expect("there");
    record.remove().expect_err("it lives");
    record.kill().expect("killed");
    assert!(!record.is_alive());
    assert_eq!(leftovers(dir.path()), [""; 0]);
    record.kill().expect("it is dead already");
    seen("killed services", 1);
}
