//! Sections "Basic VM Control", "Event Handling", "Direct QMP Commands" and "VNC/SPICE Client Passthrough" without async code:
//! the rows of the machine itself are the same configuration.

use std::sync::mpsc;
use std::time::Duration;

use qemuctl::blocking::{Instance, block_on};
use qemuctl::{
    ExitReason, LaunchOptions, State,
    control::{Authentication, Expiry, IoLimits, StopStep},
};

use super::{config, image};
use crate::boot_sector::Guest;
use crate::guest_agent::GENEROUS;
use crate::support::{VERSIONS, qemu};

/// A guest of one sector that has said that it runs.
fn booted(guest: Guest, version: &str, dir: &std::path::Path) -> Instance {
    let vm = Instance::start(&guest.config(&qemu(version, "qemu-system-x86_64"), dir, "row")).expect(version);
    vm.expect("R\n", GENEROUS).expect("it boots");
    vm
}

/// A machine of a few lines, frozen before its first instruction.
fn launch(version: &str, dir: &std::path::Path, lines: &str) -> Instance {
    let options = LaunchOptions { ready_timeout: GENEROUS, paused: true, ..LaunchOptions::default() };
    Instance::start_with(&config(version, dir, lines), &options).expect(version)
}

#[test]
fn start_pause_continue_reset_shutdown_wait() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Obedient, version, dir.path());
        assert!(vm.pid().is_some() && vm.state() == State::Running, "{version}");
        vm.pause().expect(version);
        assert_eq!(vm.state(), State::Paused);
        vm.resume().expect(version);
        let mut console = vm.console().expect("it has one").reader();
        vm.reset().expect(version);
        console.expect("R\n", GENEROUS).expect("it boots again");
        vm.shutdown().expect(version);
        assert_eq!(vm.wait_for(GENEROUS), Some(ExitReason::GuestShutdown), "{version}");
        assert_eq!((vm.wait(), vm.state()), (ExitReason::GuestShutdown, State::Shutdown));
    }
}

#[test]
fn stop_force_stop_and_quit() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = booted(Guest::Deaf, version, dir.path());
        assert_eq!(vm.stop(Duration::from_millis(200)).expect(version).step, StopStep::Quit, "{version}");
        let vm = booted(Guest::Deaf, version, dir.path());
        assert_eq!(vm.kill().expect(version), ExitReason::Killed { signal: 9 });
        let vm = booted(Guest::Deaf, version, dir.path());
        assert_eq!(vm.quit(GENEROUS).expect(version), ExitReason::HostQuit);
    }
}

#[test]
fn attach_by_socket_pid_and_name() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "");
        let pid = vm.pid().expect("a process");
        for attach in [
            &(|| Instance::attach(vm.socket().expect("a socket"))) as &dyn Fn() -> _,
            &|| Instance::attach_pid(pid),
            &|| Instance::attach_name_in(dir.path(), "row"),
        ] {
            assert_eq!(attach().expect(version).pid(), Some(pid), "{version}");
        }
    }
}

#[test]
fn callbacks_and_event_stream() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "");
        let (sender, states) = mpsc::channel();
        let _states = vm.on_state(move |state| sender.send(state).expect("heard")).expect("a thread");
        let (sender, names) = mpsc::channel();
        let called = move |event: Result<qmp_proto::TimedEvent, _>| {
            sender.send(event.expect("nothing is missed").event.name().to_owned()).expect("heard");
        };
        let _events = vm.on_event(called).expect("a thread");
        let mut stream = vm.events_of::<qmp_proto::event::Resume>();
        assert_eq!(states.recv_timeout(GENEROUS), Ok(State::Prelaunch));
        vm.resume().expect("it runs");
        assert_eq!(states.recv_timeout(GENEROUS), Ok(State::Running));
        assert_eq!(names.recv_timeout(GENEROUS).as_deref(), Ok("RESUME"));
        let event = stream.next_timeout(GENEROUS).expect("open").expect("in time");
        assert_eq!(event.event.name(), "RESUME", "{version}");
    }
}

#[test]
fn passwords_commands_disks_screen_and_keys() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let lines = "vnc = { password = true }\nspice = {}\nvideo = [\"vga\"]\n\
                     disks = [{ id = \"drive0\", backend = \"DIR/a.raw\" }]";
        let vm = launch(version, dir.path(), lines);
        vm.set_vnc_password("secret12").expect(version);
        vm.expire_vnc_password(Expiry::Never).expect(version);
        vm.set_spice_password("secret123").expect(version);
        let (_ours, qemus) = std::os::unix::net::UnixStream::pair().expect("a pair");
        vm.add_vnc_client(qemus, Authentication::Skipped).expect(version);
        let typed = vm.execute(qmp_proto::QueryVersion {}).expect(version).qemu;
        let raw = vm.execute_raw("query-version", None).expect(version);
        assert_eq!(
            (raw["qemu"]["major"].as_i64(), raw["qemu"]["minor"].as_i64()),
            (Some(typed.major), Some(typed.minor))
        );
        let asked = block_on(vm.as_async().qmp().execute(qmp_proto::QueryName {})).expect("a runtime");
        assert_eq!(asked.expect(version).name.as_deref(), Some("row"));
        assert!(vm.human_monitor("info registers").expect(version).contains("IP="));
        assert_eq!(vm.block_devices().expect(version).len(), 1);
        let limits = IoLimits { bytes_total: 100 << 20, requests_total: 1000, ..IoLimits::default() };
        vm.set_io_limits("drive0", limits).expect(version);
        assert_eq!(vm.io_limits("drive0").expect(version), limits);
        let path = dir.path().join("screen.png");
        vm.screenshot_to(&path).expect(version);
        assert!(std::fs::read(path).expect("there").starts_with(b"\x89PNG"));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let vm = booted(Guest::Typist, "10.0", dir.path());
    let mut console = vm.console().expect("it has one").reader();
    vm.send_keys(["shift", "k"]).expect("typed");
    console.expect("K", GENEROUS).expect("it arrives");
    // The names that people use.
    for (key, typed) in [("Enter", "\r"), ("space", " "), ("Escape", "\x1b")] {
        vm.send_keys([key]).expect(key);
        console.expect(typed, GENEROUS).expect(key);
    }
    vm.send_keys(["Control", "Alt", "Del"]).expect("typed");
    console.expect("R\n", GENEROUS).expect("it boots again");
}
