//! A Linux guest: its console, its agent, and how it obeys.

use std::path::Path;
use std::time::{Duration, Instant};

use qemuctl::qmp_client::agent::Exec;
use qemuctl::{
    ExitReason, Instance, State, VmConfig,
    config::{AccelChoice, Arch, Boot, Machine, Memory, Size},
    control::StopStep,
};
use tokio::time::timeout;

use crate::boot_sector::leftovers;
use crate::support::{guest_file, qemu};

/// Longer than the guest needs to boot on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(240);

fn config(dir: &Path) -> VmConfig {
    VmConfig {
        name: Some("linux".into()),
        qemu: Some(qemu("10.0", "qemu-system-x86_64")),
        socket_dir: Some(dir.into()),
        arch: Some(Arch::X86_64),
        machine: Machine { accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(512)),
        boot: Boot {
            kernel: Some(guest_file("x86_64", "vmlinuz")),
            initrd: Some(guest_file("x86_64", "initramfs")),
            append: Some("console=ttyS0".into()),
            ..Boot::default()
        },
        ..VmConfig::default()
    }
}

#[tokio::test]
async fn a_guest_is_asked_through_its_agent_and_shut_down_by_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(dir.path()).with_guest_agent()).await.expect("started");
    let agent = vm.wait_agent(GENEROUS).await.expect("it comes up");
    let output = agent.exec(&Exec::with_args("/bin/sh", ["-c", "uname -s; exit 42"]), GENEROUS).await;
    let output = output.expect("executed");
    assert_eq!((output.code, output.stdout.as_slice()), (Some(42), &b"Linux\n"[..]));

    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    agent.write_file("/tmp/copy", &content).await.expect("copied in");
    let back = agent.read_file("/tmp/copy").await.expect("copied out");
    assert!(back == content, "{} bytes came back", back.len());

    let mut exits = Instant::now();
    let stop = async {
        let outcome = vm.stop(GENEROUS).await.expect("stopped");
        (outcome, Instant::now())
    };
    let end = async {
        vm.wait().await;
        exits = Instant::now();
    };
    let ((outcome, stopped), ()) = tokio::join!(stop, end);
    assert_eq!((outcome.step, outcome.reason), (StopStep::Agent, ExitReason::GuestShutdown));
    assert!(stopped.saturating_duration_since(exits) < Duration::from_secs(1), "it returns with QEMU's end");
    assert_eq!(vm.state(), State::Shutdown);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn a_guest_without_agent_obeys_the_power_button() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(dir.path())).await.expect("started");
    let mut console = vm.console().await.expect("it has one").reader_with_history();
    console.expect("guest ready", GENEROUS).await.expect("it comes up");
    let outcome = vm.stop(GENEROUS).await.expect("stopped");
    assert_eq!((outcome.step, outcome.reason), (StopStep::PowerButton, ExitReason::GuestShutdown));
}

#[tokio::test]
async fn a_guest_killed_in_mid_execution_is_an_error_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(dir.path()).with_guest_agent()).await.expect("started");
    let agent = vm.wait_agent(GENEROUS).await.expect("it comes up");
    let hour = Duration::from_secs(3600);
    let sleep = Exec::with_args("/bin/sleep", ["3600"]);
    let (result, killed) = tokio::join!(timeout(GENEROUS, agent.exec(&sleep, hour)), vm.kill());
    result.expect("long before the hour").expect_err("the guest is gone");
    assert_eq!(killed.expect("killed"), ExitReason::Killed { signal: 9 });
}
