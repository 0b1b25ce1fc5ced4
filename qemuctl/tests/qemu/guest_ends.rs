//! A program that runs in a guest is over when the guest is, and whoever waits for it is told at once.

use std::process::Stdio;
use std::time::Duration;

use qemuctl::{Error, Exec, ExitReason, Instance, VmConfig, config::Pvpanic, guest::GuestEnd};
use tokio::time::timeout;

use crate::guest_agent::{GENEROUS, boot, linux};

/// Longer than the test.
const DAY: Duration = Duration::from_secs(24 * 3600);

fn shell(script: &str) -> Exec {
    Exec::with_args("/bin/sh", ["-c", script])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_is_reset_or_panics_ends_what_runs_in_it_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    // What the test guest has a driver for.
    let config = VmConfig { pvpanic: Some(Pvpanic::Pci), ..linux("10.0", "x86_64", dir.path()) };
    let vm = Instance::start(&config).await.expect("started");
    let mut console = vm.console().await.expect("it has one").reader();
    let script = "echo now it runs > /dev/ttyS0; sleep 86400";
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_qemuctl"));
    program.args(["exec", "--wait", "300", "linux", "--", "sh", "-c", script]).stdin(Stdio::null());
    program.env("QEMUCTL_SOCKET_DIR", dir.path());
    let told = tokio::task::spawn_blocking(move || program.output());
    console.expect("now it runs", GENEROUS).await.expect("it begins");
    vm.reset().await.expect("reset");
    let told = timeout(GENEROUS, told).await.expect("long before its end").expect("no panic");
    let told = told.expect("the program starts");
    let error = String::from_utf8_lossy(&told.stderr);
    assert!(error.contains("the guest of linux was reset while it was running"), "{error}");
    assert_eq!(told.status.code(), Some(125));

    vm.wait_agent(GENEROUS).await.expect("it boots again");
    let panic = shell("(sleep 1; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 & sleep 86400");
    let error = timeout(GENEROUS, vm.exec(&panic, DAY)).await.expect("at once").expect_err("it panics");
    assert!(matches!(&error, Error::Gone { reason: ExitReason::GuestPanicked, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_reboots_by_itself_ends_a_streamed_program() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = boot(&linux("11.1", "x86_64", dir.path())).await;
    let reboot = shell("(sleep 1; reboot -f) > /dev/null 2>&1 & sleep 86400");
    let run = vm.exec_streamed(&reboot, DAY, |_| {});
    let error = timeout(GENEROUS, run).await.expect("at once").expect_err("it reboots");
    assert!(matches!(&error, Error::Interrupted { end: GuestEnd::Reset, .. }), "{error}");
    assert_eq!(error.to_string(), "guest-exec: the guest of linux was reset in the meantime");
}
