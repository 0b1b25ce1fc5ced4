//! Sections "VM Control", "VNC/SPICE Client Passthrough", "Direct QMP Commands", "Utility Functions" and "States".

use std::time::Duration;

use qemuctl::{
    ExitReason, Instance, LaunchOptions, State,
    control::{IoLimits, StopStep},
};
use serde_json::json;

use super::{image, launch};
use crate::boot_sector::Guest;
use crate::guest_agent::GENEROUS;
use crate::support::{VERSIONS, qemu};

/// A guest of one sector that has said that it runs.
async fn booted(guest: Guest, version: &str, dir: &std::path::Path) -> Instance {
    let config = guest.config(&qemu(version, "qemu-system-x86_64"), dir, "row");
    let vm = Instance::start(&config).await.expect(version);
    let mut console = vm.console().await.expect("it has one").reader_with_history();
    console.expect("R\n", GENEROUS).await.expect("it boots");
    vm
}

async fn becomes(vm: &Instance, state: State) {
    let mut states = vm.states();
    let reached = states.wait_for(|now| *now == state);
    tokio::time::timeout(GENEROUS, reached).await.expect("in time").expect("it says so");
}

#[tokio::test]
async fn pause_and_continue() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path()).await;
        vm.pause().await.expect(version);
        assert_eq!(vm.state(), State::Paused);
        vm.resume().await.expect(version);
        assert_eq!(vm.state(), State::Running);
    }
}

#[tokio::test]
async fn reset() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path()).await;
        let mut console = vm.console().await.expect("it has one").reader();
        vm.reset().await.expect(version);
        console.expect("R\n", GENEROUS).await.expect("it boots again");
    }
}

#[tokio::test]
async fn shutdown_sends_acpi_power_button() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Obedient, version, dir.path()).await;
        vm.shutdown().await.expect(version);
        let reason = tokio::time::timeout(GENEROUS, vm.wait()).await.expect("it obeys");
        assert_eq!((reason, vm.state()), (ExitReason::GuestShutdown, State::Shutdown));
    }
}

#[tokio::test]
async fn stop_with_timeout_then_force() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path()).await;
        let outcome = vm.stop(Duration::from_millis(200)).await.expect(version);
        assert_eq!(outcome.step, StopStep::Quit, "{version}");
    }
}

#[tokio::test]
async fn force_stop() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path()).await;
        assert_eq!(vm.kill().await.expect(version), ExitReason::Killed { signal: 9 });
    }
}

#[tokio::test]
async fn quit() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path()).await;
        assert_eq!(vm.quit(GENEROUS).await.expect(version), ExitReason::HostQuit);
    }
}

#[tokio::test]
async fn set_vnc_password_and_set_spice_password() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "vnc = { password = true }\nspice = {}").await;
        vm.set_vnc_password("secret12").await.expect(version);
        vm.set_spice_password("secret123").await.expect(version);
    }
}

#[tokio::test]
async fn direct_qmp_commands() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "").await;
        let found = vm.execute_raw("query-version", None).await.expect(version);
        let number = format!("{}.{}", found["qemu"]["major"], found["qemu"]["minor"]);
        assert_eq!(number, version);
        let typed = vm.execute(qmp_proto::QueryVersion {}).await.expect(version).qemu;
        assert_eq!(format!("{}.{}", typed.major, typed.minor), version);
    }
}

#[tokio::test]
async fn human_monitor_command() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "").await;
        let registers = vm.human_monitor("info registers").await.expect(version);
        assert!(registers.contains("EIP=") || registers.contains("RIP="), "{registers}");
    }
}

#[tokio::test]
async fn query_block_devices() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let vm = launch(version, dir.path(), "disks = [\"DIR/a.raw\"]\ncdroms = [{}]").await;
        let devices = vm.block_devices().await.expect(version);
        let seen: Vec<_> = devices.iter().map(|device| device.inserted.is_some()).collect();
        assert_eq!(seen, [true, false]);
    }
}

#[tokio::test]
async fn set_io_throttle() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let vm = launch(version, dir.path(), "disks = [{ id = \"drive0\", backend = \"DIR/a.raw\" }]").await;
        let limits = IoLimits { bytes_total: 100 << 20, requests_total: 1000, ..IoLimits::default() };
        vm.set_io_limits("drive0", limits).await.expect(version);
        assert_eq!(vm.io_limits("drive0").await.expect(version), limits);
    }
}

#[tokio::test]
async fn screendump() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "video = [\"vga\"]").await;
        let path = dir.path().join("screen.png");
        vm.screenshot_to(&path).await.expect(version);
        assert!(std::fs::read(path).expect("there").starts_with(b"\x89PNG"));
    }
}

#[tokio::test]
async fn send_key() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Typist, version, dir.path()).await;
        let mut console = vm.console().await.expect("it has one").reader();
        vm.send_keys(["shift", "k"]).await.expect(version);
        console.expect("K", GENEROUS).await.expect("it arrives");
        // The BIOS starts anew.
        vm.send_keys(["ctrl", "alt", "delete"]).await.expect(version);
        console.expect("R\n", GENEROUS).await.expect("it boots again");
    }
}

#[tokio::test]
async fn state_unknown_and_state_prelaunch() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = launch("10.0", dir.path(), "").await;
    assert_eq!(vm.state(), State::Prelaunch);
    assert_eq!(State::Unknown.to_string(), "unknown");
}

#[tokio::test]
async fn state_running_state_paused_and_state_shutdown() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Obedient, version, dir.path()).await;
        assert_eq!(vm.state(), State::Running);
        vm.pause().await.expect(version);
        becomes(&vm, State::Paused).await;
        vm.resume().await.expect(version);
        vm.shutdown().await.expect(version);
        becomes(&vm, State::Shutdown).await;
    }
}

#[tokio::test]
async fn state_crashed() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path()).await;
        let pid = rustix::process::Pid::from_raw(i32::try_from(vm.pid().expect("a process")).expect("small"));
        rustix::process::kill_process(pid.expect("a process"), rustix::process::Signal::SEGV).expect("sent");
        becomes(&vm, State::Crashed).await;
    }
}

#[tokio::test]
async fn state_suspended() {
    // A sleeping guest is in `guest_control`; here is the other end: QEMU's own word for it.
    let dir = tempfile::tempdir().expect("a directory");
    let vm = launch("10.0", dir.path(), "").await;
    let error = vm.wake().await.expect_err("it does not sleep");
    assert!(error.to_string().contains("suspended"), "{error}");
    let options = LaunchOptions::default();
    assert!(!options.paused);
    let states = super::ask(&vm, "query-qmp-schema", json!({})).await;
    assert!(states.to_string().contains("\"suspended\""));
}
