//! The blocking surface, and callbacks.

use std::sync::mpsc;
use std::time::Duration;

use qemuctl::qmp_proto::{AnyEvent, QueryName};
use qemuctl::{ExitReason, State, blocking, control::StopStep};

use crate::boot_sector::{Guest, leftovers};
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(60);

#[test]
fn a_program_without_async_does_the_same() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Obedient.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let vm = blocking::Instance::start(&config).expect(version);
        vm.expect("R\n", GENEROUS).expect("it runs");
        let mut events = vm.events();
        vm.pause().expect("paused");
        assert_eq!(vm.state(), State::Paused);
        let event = events.next().expect("open").expect("nothing is missed").event;
        assert!(matches!(event, AnyEvent::Stop(_)), "{event:?}");
        assert_eq!(vm.execute(QueryName {}).expect("answered").name.as_deref(), Some("vm"));
        let attached = blocking::Instance::attach(vm.socket().expect("a socket")).expect("attached");
        assert_eq!(attached.pid(), vm.pid());
        let outcome = vm.stop(GENEROUS).expect("stopped");
        assert_eq!((outcome.step, outcome.reason), (StopStep::PowerButton, ExitReason::GuestShutdown));
        assert_eq!(vm.wait_for(GENEROUS), Some(ExitReason::GuestShutdown));
        // The attached handle looks too whether something is left to remove.
        attached.wait_for(GENEROUS).expect("it has ended");
        assert_eq!(leftovers(dir.path()), [""; 0]);
    }
}

#[tokio::test]
async fn callbacks_are_called_for_states_and_events() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("11.1", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = qemuctl::Instance::start(&config).await.expect("started");
    let (states, seen_states) = mpsc::channel();
    let (events, seen_events) = mpsc::channel();
    let _states = vm.on_state(move |state| states.send(state).unwrap_or_default());
    let _events = vm.on_event(move |event| {
        events.send(event.expect("nothing is missed").event.name().to_owned()).unwrap_or_default();
    });
    tokio::task::yield_now().await;
    vm.pause().await.expect("paused");
    tokio::task::yield_now().await;
    vm.resume().await.expect("resumed");
    vm.kill().await.expect("killed");
    // Both channels end when their callbacks are gone, which the VM's end brings about.
    let seen_states: Vec<State> =
        tokio::task::spawn_blocking(|| seen_states.into_iter().collect()).await.expect("no panic");
    assert_eq!(seen_states, [State::Running, State::Paused, State::Running, State::Crashed]);
    let seen_events: Vec<String> =
        tokio::task::spawn_blocking(|| seen_events.into_iter().collect()).await.expect("no panic");
    assert_eq!(seen_events, ["STOP", "RESUME"]);
}
