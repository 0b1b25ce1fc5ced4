//! The defects of an earlier library of this name, one test each, as far as they are about a running VM.

use std::path::Path;
use std::time::Duration;

use qemuctl::qmp_client::Options;
use qemuctl::qmp_proto::AnyEvent;
use qemuctl::qmp_proto::event::Reset;
use qemuctl::{Cause, Error, ExitReason, Instance, LaunchOptions, Rung, State, VmConfig};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::boot_sector::{Guest, leftovers};
use crate::support::qemu;

const GENEROUS: Duration = Duration::from_secs(60);

fn config(guest: Guest, dir: &Path) -> VmConfig {
    guest.config(&qemu("10.0", "qemu-system-x86_64"), dir, "vm")
}

fn signal(vm: &Instance, signal: Signal) {
    let pid = vm.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a process");
    kill_process(pid, signal).expect("signalled");
}

#[tokio::test]
async fn defect_01_a_power_off_does_not_cost_the_whole_timeout() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(Guest::Obedient, dir.path())).await.expect("started");
    let hour = Duration::from_secs(3600);
    let outcome = timeout(GENEROUS, vm.stop(hour)).await.expect("long before the hour").expect("no error");
    assert_eq!((outcome.rung, outcome.reason), (Rung::PowerButton, ExitReason::GuestShutdown));
    let again = vm.stop(hour).await.expect("no error");
    assert_eq!((again.rung, again.reason), (Rung::AlreadyEnded, ExitReason::GuestShutdown));
}

#[tokio::test]
async fn defect_02_a_bad_option_is_told_at_once_in_qemus_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config(Guest::Deaf, dir.path());
    config.extra_args = vec!["-device".into(), "nonsense".into()];
    let hour = LaunchOptions { ready_within: Duration::from_secs(3600), ..LaunchOptions::default() };
    let launch = timeout(GENEROUS, Instance::start_with(&config, &hour));
    let error = launch.await.expect("long before the hour").expect_err("refused");
    let Error::Launch(failure) = error else { panic!("{error}") };
    assert_eq!(failure.cause, Cause::UnknownDevice);
    let line = failure.output.last().expect("QEMU said why");
    assert!(line.ends_with("-device nonsense: 'nonsense' is not a valid device model name"), "{line}");
}

#[tokio::test]
async fn defect_03_the_launcher_leaves_the_monitor_socket_to_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&config(Guest::Deaf, dir.path())).await.expect("started");
    for _ in 0..5 {
        let attached = Instance::attach(vm.socket().expect("a socket")).await.expect("nobody is before us");
        assert_eq!(attached.query_state().await.expect("answered"), State::Running);
    }
}

#[tokio::test]
async fn defect_04_a_stopped_qemu_is_an_error_and_a_state_not_a_hang() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = LaunchOptions { command_within: Duration::from_millis(300), ..LaunchOptions::default() };
    let vm = Instance::start_with(&config(Guest::Deaf, dir.path()), &options).await.expect("started");
    signal(&vm, Signal::STOP);
    let brief = Options {
        greeting: Duration::from_millis(300),
        ready: Duration::from_millis(300),
        ..Options::default()
    };
    let socket = vm.socket().expect("a socket");
    let error = Instance::attach_with(socket, &brief).await.expect_err("nobody answers");
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    vm.query_state().await.expect_err("no answer in time");
    let mut states = vm.states();
    let silent = states.wait_for(|state| *state == State::Unresponsive);
    timeout(GENEROUS, silent).await.expect("in time").expect("alive");
    signal(&vm, Signal::CONT);
    let back = states.wait_for(|state| *state == State::Running);
    timeout(GENEROUS, back).await.expect("in time").expect("alive");

    signal(&vm, Signal::STOP);
    let outcome = vm.stop(Duration::from_secs(1)).await.expect("stopped");
    assert_eq!((outcome.rung, outcome.reason), (Rung::Kill, ExitReason::Killed { signal: 9 }));
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn defect_05_giving_up_on_a_launch_leaves_nothing_and_dropping_what_started_it_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(Guest::Deaf, dir.path());
    for after_ms in [0, 1, 5, 10, 20, 40, 80] {
        // Whether the launch has come far or not: either it is undone, or it has succeeded and is dropped.
        let _ = timeout(Duration::from_millis(after_ms), Instance::start(&config)).await;
        assert_eq!(leftovers(dir.path()), [""; 0], "after {after_ms} ms");
    }
    let vm = tokio::spawn(async move { Instance::start(&config).await })
        .await
        .expect("no panic")
        .expect("started");
    assert_eq!(vm.query_state().await.expect("answered"), State::Running);
}

#[tokio::test]
async fn defect_13_events_are_not_lost_and_a_reset_is_not_a_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let paused = VmConfig { paused: true, ..config(Guest::Reboot, dir.path()) };
    let vm = Instance::start(&paused).await.expect("started");
    assert_eq!(vm.state(), State::Prelaunch);
    let mut resets = vm.events_of::<Reset>();
    vm.reset().await.expect("reset");
    let event = timeout(GENEROUS, resets.recv()).await.expect("in time").expect("open").event;
    assert!(matches!(&event, AnyEvent::Reset(reset) if !reset.guest), "{event:?}");
    assert_eq!(vm.query_state().await.expect("answered"), State::Prelaunch, "a reset does not run the guest");

    let mut all = vm.events();
    vm.resume().await.expect("resumed");
    for _ in 0..20 {
        let event = timeout(GENEROUS, resets.recv()).await.expect("in time").expect("open").event;
        assert!(matches!(&event, AnyEvent::Reset(reset) if reset.guest), "{event:?}");
    }
    assert_eq!(vm.state(), State::Running);
    let first = timeout(GENEROUS, all.recv()).await.expect("in time").expect("nothing is missed").event;
    assert!(matches!(first, AnyEvent::Resume(_)), "{first:?}");
}
