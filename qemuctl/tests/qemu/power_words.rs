//! What is told after `pause`, `resume`, `reset` and `stop` is what the VM does then, whatever was asked for.

use std::path::Path;
use std::time::Duration;

use qemuctl::qmp_proto::event::Resume;
use qemuctl::{
    Error, ExitReason, Instance, State, VmConfig,
    control::{GuestAnswer, StopStep},
};

use crate::boot_sector::{Guest, leftovers};
use crate::support::{VERSIONS, qemu};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(120);

fn config(version: &str, guest: Guest, dir: &Path, extra: &[&str]) -> VmConfig {
    let config = guest.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    VmConfig { extra_args: extra.iter().map(|&word| word.into()).collect(), ..config }
}

async fn reached(vm: &Instance, wanted: State) {
    let mut states = vm.states();
    let reached = states.wait_for(|state| *state == wanted);
    tokio::time::timeout(GENEROUS, reached).await.expect("in time").expect("alive");
}

/// Starts the guest and waits until it has set itself up.
async fn booted(version: &str, guest: Guest, dir: &Path) -> Instance {
    let vm = Instance::start(&config(version, guest, dir, &[])).await.expect(version);
    let mut console = vm.console().await.expect("it has one").reader_with_history();
    console.expect("R\n", GENEROUS).await.expect("it boots");
    vm
}

#[tokio::test]
async fn without_patience_the_guest_is_not_asked_and_one_that_is_paused_stays_so() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(version, Guest::Obedient, dir.path()).await;
        vm.pause().await.expect("paused");
        let mut resumes = vm.events_of::<Resume>();
        let outcome = vm.stop(Duration::ZERO).await.expect("stopped");
        assert_eq!(
            (outcome.step, &outcome.reason, outcome.guest),
            (StopStep::Quit, &ExitReason::HostQuit, GuestAnswer::NotAsked),
            "{version}"
        );
        resumes.recv().await.expect_err("it has not been resumed");
    }
}

#[tokio::test]
async fn a_guest_that_does_not_obey_is_told_as_such() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(version, Guest::Deaf, dir.path()).await;
        let outcome = vm.stop(Duration::from_millis(300)).await.expect("stopped");
        assert_eq!((outcome.step, outcome.guest), (StopStep::Quit, GuestAnswer::Ignored), "{version}");
        let told = outcome.to_string();
        assert!(told.starts_with("the guest did not shut down, QEMU was stopped (by `quit`, "), "{told}");
        let vm = booted(version, Guest::Obedient, dir.path()).await;
        // No guest is waited for that long, and nothing overflows.
        let outcome = vm.stop(Duration::MAX).await.expect("stopped");
        assert_eq!(
            (outcome.step, outcome.guest),
            (StopStep::PowerButton, GuestAnswer::ShutDown),
            "{version}"
        );
        assert_eq!(leftovers(dir.path()), [""; 0], "{version}");
    }
}

#[tokio::test]
async fn a_guest_is_asked_after_a_snapshot_could_not_be_loaded() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(version, Guest::Obedient, dir.path()).await;
        vm.human_monitor("loadvm nothing").await.expect("the error is text");
        assert_eq!(vm.query_state().await.expect("answered"), State::RestoreVm, "{version}");
        let outcome = vm.stop(GENEROUS).await.expect("stopped");
        assert_eq!(
            (outcome.step, outcome.guest),
            (StopStep::PowerButton, GuestAnswer::ShutDown),
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_has_shut_down_is_neither_paused_nor_resumed_and_waits_after_a_reset() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = config(version, Guest::PowerOff, dir.path(), &["-no-shutdown"]);
        let vm = Instance::start(&config).await.expect(version);
        reached(&vm, State::Shutdown).await;
        let error = vm.pause().await.expect_err("it has shut down");
        assert!(matches!(error, Error::WrongState { state: State::Shutdown, .. }), "{error}");
        assert_eq!(error.to_string(), "cannot pause vm: the guest has shut down", "{version}");
        vm.resume().await.expect_err("it has to be reset first");
        vm.reset().await.expect("reset");
        assert_eq!(vm.state(), State::Prelaunch, "{version}");
        // It is stopped, and stays so.
        vm.pause().await.expect("it is");
        vm.resume().await.expect("resumed");
        reached(&vm, State::Shutdown).await;
        // The guest is over: nobody asks it, and nobody says that it did not obey.
        let outcome = vm.stop(GENEROUS).await.expect("stopped");
        assert_eq!((outcome.step, outcome.guest), (StopStep::Quit, GuestAnswer::NotAsked), "{version}");
    }
}

#[tokio::test]
async fn a_guest_that_shuts_down_and_stays_has_obeyed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config("10.0", Guest::Obedient, dir.path(), &["-no-shutdown"]);
    config.name = Some("stays".into());
    let vm = Instance::start(&config).await.expect("started");
    let mut console = vm.console().await.expect("it has one").reader_with_history();
    console.expect("R\n", GENEROUS).await.expect("it boots");
    let outcome = vm.stop(GENEROUS).await.expect("stopped");
    assert_eq!((outcome.step, outcome.guest), (StopStep::Quit, GuestAnswer::ShutDown));
}

#[tokio::test]
async fn an_error_after_the_end_names_the_operation() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = booted("10.0", Guest::Deaf, dir.path()).await;
    vm.kill().await.expect("killed");
    let errors = [
        vm.pause().await.map(drop),
        vm.resume().await.map(drop),
        vm.reset().await.map(drop),
        vm.shutdown().await.map(drop),
        vm.query_state().await.map(drop),
        vm.execute_raw("query-name", None).await.map(drop),
    ];
    // As `main` prints an error that it returns.
    let told = errors.map(|error| format!("{:?}", error.expect_err("it is gone")));
    insta::assert_snapshot!(told.join("\n"), @"
    pause: vm is no longer running: killed by SIGKILL
    resume: vm is no longer running: killed by SIGKILL
    reset: vm is no longer running: killed by SIGKILL
    shut down: vm is no longer running: killed by SIGKILL
    query-status: vm is no longer running: killed by SIGKILL
    query-name: vm is no longer running: killed by SIGKILL
    ");
}

#[tokio::test]
async fn a_vm_that_was_attached_to_and_killed_is_told_as_killed() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(version, Guest::Deaf, dir.path()).await;
        let attached = Instance::attach(vm.socket().expect("a socket")).await.expect("attached");
        assert_eq!(attached.kill().await.expect("killed"), ExitReason::Killed { signal: 9 }, "{version}");
        assert_eq!(tokio::time::timeout(GENEROUS, vm.wait()).await, Ok(ExitReason::Killed { signal: 9 }));
        assert_eq!(attached.exit_reason(), Some(ExitReason::Killed { signal: 9 }), "{version}");
    }
}

#[tokio::test]
async fn what_a_qemu_has_used_is_told_at_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = booted("10.0", Guest::Deaf, dir.path()).await;
    vm.quit(GENEROUS).await.expect("ended");
    let usage = vm.exit().and_then(|exit| exit.usage).expect("it was started here");
    assert!(usage.max_resident > 8 << 20, "{usage:?}");
    assert!(usage.user + usage.system > Duration::from_millis(10), "{usage:?}");
}
