//! Start, states, control and the end of a VM, on every supported QEMU.

use std::path::Path;
use std::time::Duration;

use qemuctl::{ExitReason, Instance, State, VmConfig, control::StopStep};

use crate::boot_sector::{Guest, leftovers};
use crate::support::{VERSIONS, qemu};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(60);

fn config(version: &str, guest: Guest, dir: &Path) -> VmConfig {
    guest.config(&qemu(version, "qemu-system-x86_64"), dir, "vm")
}

fn private_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn a_guest_runs_pauses_resumes_and_obeys_the_power_button() {
    for version in VERSIONS {
        let dir = private_dir();
        let vm = Instance::start(&config(version, Guest::Obedient, dir.path())).await.expect(version);
        assert_eq!(vm.name(), "vm");
        assert_eq!(vm.state(), State::Running);
        let mut console = vm.console().await.expect("it has one").reader_with_history();
        console.expect("R\n", GENEROUS).await.expect("not one byte is lost");

        vm.pause().await.expect("paused");
        assert_eq!(vm.state(), State::Paused);
        let status = vm.execute(qmp_proto::QueryStatus {}).await.expect("answered");
        assert!(!status.running);
        vm.resume().await.expect("resumed");
        assert_eq!(vm.state(), State::Running);

        let outcome = vm.stop(GENEROUS).await.expect("stopped");
        assert_eq!(
            (outcome.step, outcome.reason),
            (StopStep::PowerButton, ExitReason::GuestShutdown),
            "{version}"
        );
        assert_eq!(vm.state(), State::Shutdown);
        assert_eq!(leftovers(dir.path()), [""; 0], "{version}");
        let error = vm.pause().await.expect_err("it is gone");
        assert_eq!(error.to_string(), "pause: vm is no longer running: guest shut down");
    }
}

#[tokio::test]
async fn the_end_is_told_as_it_was() {
    let ends: [(Guest, &[&str], ExitReason); 4] = [
        (Guest::PowerOff, &[], ExitReason::GuestShutdown),
        (Guest::Reboot, &["-no-reboot"], ExitReason::GuestReset),
        (Guest::TripleFault, &["-no-reboot"], ExitReason::GuestReset),
        (Guest::Panic, &["-device", "pvpanic"], ExitReason::GuestPanicked),
    ];
    for version in VERSIONS {
        for (guest, extra, expected) in &ends {
            let dir = private_dir();
            let mut config = config(version, *guest, dir.path());
            config.extra_args = extra.iter().map(|&word| word.into()).collect();
            let vm = Instance::start(&config).await.expect(version);
            let reason = tokio::time::timeout(GENEROUS, vm.wait()).await.expect("it ends");
            assert_eq!(&reason, expected, "{guest:?} on {version}");
            assert_eq!(vm.state(), reason.state());
        }
    }
}

#[tokio::test]
async fn a_guest_that_ignores_the_button_is_stopped_by_quit() {
    let dir = private_dir();
    let vm = Instance::start(&config("10.0", Guest::Deaf, dir.path())).await.expect("started");
    let outcome = vm.stop(Duration::from_millis(300)).await.expect("stopped");
    assert_eq!((outcome.step, outcome.reason), (StopStep::Quit, ExitReason::HostQuit));
}

#[tokio::test]
async fn a_signal_is_named_in_the_exit_reason() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, expected) in [(Signal::KILL, "killed by SIGKILL"), (Signal::SEGV, "crashed with SIGSEGV")] {
        let dir = private_dir();
        let vm = Instance::start(&config("11.1", Guest::Deaf, dir.path())).await.expect("started");
        let pid = vm.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a process");
        kill_process(pid, signal).expect("signalled");
        let reason = tokio::time::timeout(GENEROUS, vm.wait()).await.expect("it ends");
        assert_eq!(reason.to_string().replace(" (core dumped)", ""), expected);
        assert_eq!(leftovers(dir.path()), [""; 0]);
    }
}

#[tokio::test]
async fn dropping_the_last_handle_leaves_nothing() {
    for version in VERSIONS {
        let dir = private_dir();
        let vm = Instance::start(&config(version, Guest::Deaf, dir.path())).await.expect(version);
        let pid = vm.pid().expect("a process");
        let clone = vm.clone();
        drop(vm);
        assert_eq!(clone.query_state().await.expect("alive"), State::Running);
        drop(clone);
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "not even a zombie");
        assert_eq!(leftovers(dir.path()), [""; 0]);
    }
}

#[tokio::test]
async fn a_second_vm_of_the_same_name_is_refused_and_the_first_lives() {
    let dir = private_dir();
    let config = config("10.0", Guest::Deaf, dir.path());
    let vm = Instance::start(&config).await.expect("started");
    let error = Instance::start(&config).await.expect_err("refused");
    assert_eq!(error.to_string(), "a VM called vm is already running (another launcher)");
    assert_eq!(vm.query_state().await.expect("alive"), State::Running);
    Instance::attach(vm.socket().expect("a socket")).await.expect("its socket is still there");
}
