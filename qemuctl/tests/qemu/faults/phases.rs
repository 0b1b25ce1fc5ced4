//! QEMU or its launcher dies or stops, in each phase of a launch.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use qemuctl::runtime::Record;
use qemuctl::{
    ExitReason, Instance, LaunchOptions, ProcessExit, State,
    error::{Cause, Phase},
};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::{failure, fake, runtime, seen, soon, without_core};
use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{Holdings, alone, command, is_role};
use crate::support::qemu;

/// What QEMU does to itself, and what is told of it.
const DEEDS: [(&str, Cause, Option<i32>, &str); 3] = [
    ("KILL", Cause::Killed, Some(9), "killed by SIGKILL"),
    ("SEGV", Cause::QemuBug, Some(11), "crashed with SIGSEGV"),
    ("STOP", Cause::Timeout, None, "killed by SIGKILL"),
];

/// Where the stand-in tells that it has come to its step.
fn ear(dir: &Path) -> (PathBuf, UnixListener) {
    let path = dir.join("images").join("tell");
    std::fs::create_dir_all(dir.join("images")).expect("a directory");
    let listener = UnixListener::bind(&path).expect("bound");
    (path, listener)
}

/// The connection of the stand-in, once it has come to its step.
async fn told(listener: &UnixListener) -> UnixStream {
    let (mut connection, _) = soon(listener.accept()).await.expect("it connects");
    assert_eq!(soon(connection.read_u8()).await.expect("it tells"), b'!');
    connection
}

/// Waits for the end of whoever tells; a reset is an end too.
async fn gone(mut connection: UnixStream) {
    let _ = soon(connection.read(&mut [0])).await;
}

#[test]
fn a_qemu_that_dies_or_stops_in_any_phase_is_told_and_cleaned_up() {
    const NAME: &str = "faults::phases::a_qemu_that_dies_or_stops_in_any_phase_is_told_and_cleaned_up";
    if fake::is_fake(NAME) {
        fake::play();
    }
    alone(NAME, || {
        runtime().block_on(async {
            // What a first launch starts stays: a thread.
            one(NAME, fake::STEPS[0], DEEDS[0]).await;
            let before = Holdings::now();
            let mut rows = JoinSet::new();
            for step in fake::STEPS {
                for deed in DEEDS {
                    rows.spawn(one(NAME, step, deed));
                }
            }
            rows.join_all().await;
            // The tasks that held the connections end in their own time.
            soon(async {
                while Holdings::now() != before {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        });
    });
    seen("deaths and stops of QEMU during its launch", fake::STEPS.len() * DEEDS.len());
}

async fn one(name: &str, step: &str, (deed, cause, signal, end): (&str, Cause, Option<i32>, &str)) {
    let dir = tempfile::tempdir().expect("a directory");
    let (tell, listener) = ear(dir.path());
    let program = fake::script(dir.path(), name, step, deed, &tell);
    let config = Guest::Deaf.config(&program, dir.path(), "vm");
    let options = LaunchOptions {
        // Ten copies of the test program start at once.
        ready_timeout: Duration::from_secs(if deed == "STOP" { 15 } else { 120 }),
        command_timeout: Duration::from_secs(if deed == "STOP" { 2 } else { 120 }),
        ..LaunchOptions::default()
    };
    let launched = Instance::start_with(&config, &options).await;
    let context = format!("{deed} at {step}");
    if step == "query-status" || (step == "cont" && deed != "STOP") {
        // The guest runs by then, or may have run: that is a VM, which comes to its end.
        let vm = launched.expect(&context);
        if deed == "STOP" {
            let mut states = vm.states();
            soon(async { states.wait_for(|state| *state == State::Unresponsive).await.map(drop) })
                .await
                .expect("it is watched");
            assert_eq!(vm.kill().await.expect("killed"), ExitReason::Killed { signal: 9 });
        }
        let reason = soon(vm.wait()).await.to_string();
        assert_eq!(reason.replace(" (core dumped)", ""), end, "{context}");
    } else {
        let failure = failure(launched);
        let exit = signal.map(|number| ProcessExit::Signal { number, core_dumped: false });
        let phase = if step == "cont" { Phase::Run } else { Phase::Handshake };
        let told = (failure.phase, failure.cause, without_core(failure.exit));
        // A command has its own deadline, before the launch's.
        let cause = if (step, deed) == ("cont", "STOP") { Cause::Other } else { cause };
        assert_eq!(told, (phase, cause, exit), "{context}: {failure}");
        let console: &[&str] = if step == "cont" { &[fake::LAST_LINE] } else { &[] };
        assert_eq!(failure.console, console, "{context}");
    }
    assert_eq!(leftovers(dir.path()), [""; 0], "{context}");
    // It came that far, and is no more.
    gone(told(&listener).await).await;
}

#[test]
fn a_launcher_that_is_killed_in_any_phase_takes_qemu_with_it_and_does_not_keep_the_name() {
    const NAME: &str = "faults::phases::a_launcher_that_is_killed_in_any_phase_takes_qemu_with_it_and_does_not_keep_the_name";
    if fake::is_fake(NAME) {
        fake::play();
    }
    if is_role(NAME) {
        let dir = PathBuf::from(std::env::var_os("QEMUCTL_TEST_DIR").expect("told"));
        let program = PathBuf::from(std::env::var_os("QEMUCTL_TEST_QEMU").expect("told"));
        return runtime().block_on(async {
            let vm = Instance::start(&Guest::Deaf.config(&program, &dir, "vm")).await.expect("started");
            vm.wait().await;
        });
    }
    runtime().block_on(async {
        for step in fake::STEPS {
            let dir = tempfile::tempdir().expect("a directory");
            let (tell, listener) = ear(dir.path());
            let program = fake::script(dir.path(), NAME, step, "wait", &tell);
            let mut launcher = command(NAME)
                .env("QEMUCTL_TEST_DIR", dir.path())
                .env("QEMUCTL_TEST_QEMU", program)
                .stdout(Stdio::null())
                .spawn()
                .expect("the test program starts");
            let connection = told(&listener).await;
            launcher.kill().expect("killed");
            assert_eq!(launcher.wait().expect("reaped").signal(), Some(9), "{step}");
            gone(connection).await;
            // A process closes its descriptors a moment before it is dead, and a living one keeps the name.
            soon(async {
                while Record::read(dir.path(), "vm")
                    .is_ok_and(|record| record.is_some_and(|it| it.is_alive()))
                {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let next = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
            let vm = Instance::start(&next).await.expect(step);
            vm.kill().await.expect("killed");
            assert_eq!(leftovers(dir.path()), [""; 0], "{step}");
        }
    });
    seen("deaths of the launcher", fake::STEPS.len());
}
