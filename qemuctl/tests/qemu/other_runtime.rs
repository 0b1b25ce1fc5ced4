//! A VM whose runtime has ended before it, as that of the first of several `#[tokio::test]`s does.

use std::path::Path;
use std::time::{Duration, Instant};

use qemuctl::{
    Error, ExitReason, Instance, State,
    control::{GuestAnswer, StopStep},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::boot_sector::{Guest, leftovers};
use crate::support::{VERSIONS, qemu};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(120);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Starts a VM on a runtime that has ended when this returns.
fn started_elsewhere(version: &str, guest: Guest, dir: &Path) -> Instance {
    let config = guest.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    std::thread::spawn(move || {
        runtime().block_on(async {
            let vm = Instance::start(&config).await.expect("started");
            let mut console = vm.console().await.expect("it has one").reader_with_history();
            console.expect("R\n", GENEROUS).await.expect("it boots");
            vm
        })
    })
    .join()
    .expect("no panic")
}

fn kill(vm: &Instance) {
    let pid = vm.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a process");
    kill_process(pid, Signal::KILL).expect("signalled");
}

#[test]
fn such_a_vm_tells_its_end_and_is_killed() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = started_elsewhere(version, Guest::Deaf, dir.path());
        assert_eq!((vm.state(), vm.exit_reason()), (State::Unknown, None), "{version}");
        runtime().block_on(async {
            let begin = Instant::now();
            let error = vm.query_state().await.expect_err("nobody reads the answer");
            assert!(matches!(error, Error::Unsupervised { .. }), "{error}");
            assert!(begin.elapsed() < Duration::from_secs(1), "at once");
            assert_eq!(vm.kill().await.expect("killed"), ExitReason::Killed { signal: 9 }, "{version}");
            assert_eq!(vm.wait().await, ExitReason::Killed { signal: 9 }, "{version}");
        });
        assert_eq!(vm.state(), State::Crashed);
        assert_eq!(leftovers(dir.path()), [""; 0], "{version}");
    }
}

#[test]
fn its_end_is_seen_without_any_runtime() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = started_elsewhere("10.0", Guest::Deaf, dir.path());
    kill(&vm);
    let deadline = Instant::now() + GENEROUS;
    while vm.exit_reason().is_none() {
        assert!(Instant::now() < deadline, "it is gone");
        std::thread::yield_now();
    }
    assert_eq!((vm.state(), vm.exit_reason()), (State::Crashed, Some(ExitReason::Killed { signal: 9 })));
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[test]
fn many_wait_for_it_wherever_they_are_and_since_when() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("11.1", "qemu-system-x86_64"), dir.path(), "vm");
    let first = runtime();
    let vm = first.block_on(Instance::start(&config)).expect("started");
    let waiter = |vm: Instance| {
        std::thread::spawn(move || {
            runtime().block_on(async {
                let waits = async { tokio::join!(vm.wait(), vm.wait()) };
                tokio::time::timeout(GENEROUS, waits).await
            })
        })
    };
    let before = waiter(vm.clone());
    drop(first);
    let after = waiter(vm.clone());
    kill(&vm);
    let killed = || ExitReason::Killed { signal: 9 };
    for waiter in [before, after] {
        assert_eq!(waiter.join().expect("no panic"), Ok((killed(), killed())));
    }
}

#[test]
fn it_is_stopped_in_order() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = started_elsewhere(version, Guest::Obedient, dir.path());
        let outcome = runtime().block_on(vm.stop(GENEROUS)).expect("stopped");
        assert_eq!(
            (outcome.step, outcome.guest),
            (StopStep::PowerButton, GuestAnswer::ShutDown),
            "{version}"
        );
        assert_eq!(leftovers(dir.path()), [""; 0], "{version}");
    }
}
