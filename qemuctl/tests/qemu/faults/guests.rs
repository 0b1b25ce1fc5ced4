//! What a guest does to its VM, and what becomes of a QEMU that is signalled while the guest runs.

use std::path::Path;
use std::time::Duration;

use qemuctl::qmp_client::{Options, Session};
use qemuctl::qmp_proto::QueryStatus;
use qemuctl::{ExitReason, Instance, LaunchOptions, State, VmConfig};
use rustix::process::{Pid, Signal, kill_process};

use super::{GENEROUS, seen, soon, with};
use crate::boot_sector::{Guest, leftovers};
use crate::support::{VERSIONS, qemu};

fn config(version: &str, guest: Guest, dir: &Path, extra: &[&str]) -> VmConfig {
    with(guest.config(&qemu(version, "qemu-system-x86_64"), dir, "vm"), extra)
}

#[tokio::test]
async fn every_end_has_its_reason() {
    use ExitReason::{Exited, GuestPanicked, GuestReset, GuestShutdown, HostReset};
    let debug_exit = ["-device", "isa-debug-exit,iobase=0x501,iosize=1"];
    let rows: [(Guest, &[&str], ExitReason); 7] = [
        (Guest::PowerOff, &[], GuestShutdown),
        (Guest::Reboot, &["-no-reboot"], GuestReset),
        (Guest::TripleFault, &["-no-reboot"], GuestReset),
        // The launcher brings the device by which it is told.
        (Guest::Panic, &[], GuestPanicked),
        (Guest::Panic, &["-device", "pvpanic"], GuestPanicked),
        (Guest::Panic, &["-device", "pvpanic", "-action", "panic=exit-failure"], GuestPanicked),
        // Newer versions announce it as a shutdown: the exit code tells.
        (Guest::DebugExit, &debug_exit, Exited { code: 15 }),
    ];
    for version in VERSIONS {
        for (guest, extra, expected) in &rows {
            let dir = tempfile::tempdir().expect("a directory");
            let vm = Instance::start(&config(version, *guest, dir.path(), extra)).await.expect(version);
            assert_eq!(soon(vm.wait()).await, *expected, "{guest:?} {extra:?} on {version}");
            assert_eq!(vm.state(), expected.state());
            assert_eq!(leftovers(dir.path()), [""; 0]);
        }
        let dir = tempfile::tempdir().expect("a directory");
        let vm =
            Instance::start(&config(version, Guest::Deaf, dir.path(), &["-no-reboot"])).await.expect(version);
        vm.reset().await.expect("reset");
        assert_eq!(soon(vm.wait()).await, HostReset, "{version}");
        let vm = Instance::start(&config(version, Guest::Deaf, dir.path(), &[])).await.expect(version);
        // What a job is ended with is for the launcher, which asks the guest first.
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            signal_to(&vm, signal);
            assert_eq!(vm.query_state().await.expect("it answers"), State::Running, "{version}");
        }
        signal_to(&vm, Signal::KILL);
        assert_eq!(soon(vm.wait()).await, ExitReason::Killed { signal: 9 }, "{version}");
        assert_eq!(leftovers(dir.path()), [""; 0]);
    }
    seen("ends", (rows.len() + 2) * VERSIONS.len());
}

fn signal_to(vm: &Instance, signal: Signal) {
    let pid = vm.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a process");
    kill_process(pid, signal).expect("signalled");
}

/// Another client of the VM's monitor, which asks QEMU itself.
async fn witness(vm: &Instance) -> Session {
    Session::connect(vm.socket().expect("a socket"), &Options::default()).await.expect("connected")
}

#[tokio::test]
async fn a_guest_stays_in_the_state_that_qemu_tells() {
    let rows: [(Guest, &[&str], State, &str); 8] = [
        (Guest::Deaf, &[], State::Running, "running"),
        (Guest::PowerOff, &["-no-shutdown"], State::Shutdown, "shutdown"),
        (
            Guest::Panic,
            &["-device", "pvpanic", "-action", "panic=pause"],
            State::GuestPanicked,
            "guest-panicked",
        ),
        (Guest::Panic, &["-device", "pvpanic", "-action", "panic=none"], State::Running, "running"),
        (Guest::Watched, &["-device", "ib700", "-action", "watchdog=pause"], State::Watchdog, "watchdog"),
        (Guest::Sleeper, &[], State::Suspended, "suspended"),
        (Guest::Reboot, &[], State::Running, "running"),
        (Guest::Deaf, &["-incoming", "defer"], State::InMigrate, "inmigrate"),
    ];
    for version in VERSIONS {
        for (guest, extra, expected, word) in &rows {
            let dir = tempfile::tempdir().expect("a directory");
            let vm = Instance::start(&config(version, *guest, dir.path(), extra)).await.expect(version);
            let context = format!("{guest:?} {extra:?} on {version}");
            let mut states = vm.states();
            let reached = states.wait_for(|state| state == expected);
            tokio::time::timeout(GENEROUS, reached).await.expect(&context).expect("alive");
            let told = witness(&vm).await.execute(QueryStatus {}).await.expect("answered");
            assert_eq!(serde_json::to_value(told.status).expect("JSON"), *word, "{context}");
            assert_eq!(vm.query_state().await.expect("answered"), *expected, "{context}");
            if *guest == Guest::Sleeper {
                vm.wake().await.expect("awake");
                let awake = states.wait_for(|state| *state == State::Running);
                tokio::time::timeout(GENEROUS, awake).await.expect(&context).expect("alive");
            }
        }
        migrated(version).await;
    }
    seen("states a guest stays in", (rows.len() + 1) * VERSIONS.len());
}

/// A VM that has been migrated away is there, and does not run.
async fn migrated(version: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(version, Guest::Deaf, dir.path(), &[])).await.expect(version);
    let path = dir.path().join("images").join("sink");
    let sink = tokio::net::UnixListener::bind(&path).expect("bound");
    let drain = tokio::spawn(async move {
        let (mut stream, _) = sink.accept().await.expect("connected");
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.expect("drained");
    });
    let uri = serde_json::json!({ "uri": format!("unix:{}", path.display()) });
    vm.execute_raw("migrate", Some(uri)).await.expect("begun");
    let mut states = vm.states();
    let gone = states.wait_for(|state| *state == State::PostMigrate);
    tokio::time::timeout(GENEROUS, gone).await.expect(version).expect("alive");
    assert_eq!(vm.query_state().await.expect("answered"), State::PostMigrate, "{version}");
    vm.resume().await.expect("it may go on here");
    assert_eq!(vm.state(), State::Running);
    vm.kill().await.expect("killed");
    drain.await.expect("it ends with QEMU");
}

#[tokio::test]
async fn the_state_never_contradicts_query_status() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = Instance::start(&config(version, Guest::Reboot, dir.path(), &[])).await.expect(version);
        let witness = witness(&vm).await;
        let ask = || async { State::from(witness.execute(QueryStatus {}).await.expect("answered").status) };
        let mut random = 1_u32;
        for step in 0..150 {
            // A linear congruential generator: the same steps in each run.
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let command = ["stop", "cont", "system_reset", "query-name"][(random >> 16) as usize % 4];
            // By the launcher, or behind its back.
            if random >> 31 == 0 {
                vm.execute_raw(command, None).await.expect(command);
            } else {
                witness.execute_raw(command, None).await.expect(command);
            }
            let before = ask().await;
            let told = vm.query_state().await.expect("answered");
            assert_eq!(told, before, "{version}, step {step}: {command}");
            // Nobody else acts, so the state that is published settles there too.
            let mut states = vm.states();
            let settled = states.wait_for(|state| *state == before);
            tokio::time::timeout(GENEROUS, settled).await.expect(version).expect("alive");
        }
        vm.kill().await.expect("killed");
    }
}

#[tokio::test]
async fn a_qemu_that_is_stopped_is_unresponsive_and_comes_back() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let options =
            LaunchOptions { command_timeout: Duration::from_millis(500), ..LaunchOptions::default() };
        let config = config(version, Guest::Deaf, dir.path(), &[]);
        let vm = Instance::start_with(&config, &options).await.expect(version);
        signal_to(&vm, Signal::STOP);
        assert_eq!(
            vm.query_state_timeout(Duration::from_millis(100)).await,
            State::Unresponsive,
            "{version}"
        );
        vm.query_state().await.expect_err("no answer in time");
        let mut states = vm.states();
        let silent = states.wait_for(|state| *state == State::Unresponsive);
        tokio::time::timeout(GENEROUS, silent).await.expect(version).expect("alive");
        signal_to(&vm, Signal::CONT);
        let back = states.wait_for(|state| *state == State::Running);
        tokio::time::timeout(GENEROUS, back).await.expect(version).expect("alive");
        signal_to(&vm, Signal::STOP);
        drop(states);
        drop(vm);
        assert_eq!(leftovers(dir.path()), [""; 0], "a stopped QEMU is killed too");
    }
    seen("QEMUs that are stopped", VERSIONS.len());
}
