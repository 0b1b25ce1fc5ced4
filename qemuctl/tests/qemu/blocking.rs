//! The same VM without async code.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use qemuctl::blocking::Instance;
use qemuctl::guest::OpenMode;
use qemuctl::qmp_client::Options;
use qemuctl::{
    Exec, ExitReason, State,
    config::{BlockFormat, Disk},
    control::IoLimits,
    guest::Output,
    qmp_client::EventsError,
};

use crate::boot_sector::Guest;
use crate::guest_agent::linux;
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(120);

/// The public methods of the types of `owners`, in the files of a folder of sources, as `Type::method`. A method that a macro
/// makes stands alone in its line, as `method(argument: Type) -> Output;`.
fn methods(dir: &Path, owners: &[&str], without: &[&str], found: &mut BTreeSet<String>) {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            if !without.iter().any(|name| path.ends_with(name)) {
                methods(&path, owners, without, found);
            }
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        for block in text.split("\nimpl ").skip(1) {
            // One without methods may be a single line.
            let Some((head, body)) = block.split_once(" {\n") else { continue };
            // What a type does as an iterator has the same name.
            let owner = head.strip_prefix("Iterator for ").unwrap_or(head);
            if !owners.contains(&owner) {
                continue;
            }
            for line in body.split("\n}\n").next().expect("one at least").lines() {
                let line = line.trim_start();
                let iterates = owner != head && line.starts_with("fn next");
                let rest = line
                    .strip_prefix("pub async fn ")
                    .or_else(|| line.strip_prefix("pub fn "))
                    .or_else(|| line.strip_prefix("fn ").filter(|_| iterates))
                    .or_else(|| {
                        let behind = line.trim_start_matches(is_letter);
                        let is_macros = behind.starts_with(['(', '<', '[']) && behind.contains(") -> ");
                        Some(line).filter(|line| is_macros && line.ends_with(';'))
                    });
                let name =
                    rest.map(|rest| rest.split(|letter| !is_letter(letter)).next().expect("one at least"));
                found.extend(name.filter(|name| !name.is_empty()).map(|name| format!("{owner}::{name}")));
            }
        }
    }
}

#[test]
fn every_method_has_a_blocking_twin() {
    const OWNERS: [&str; 8] =
        ["Instance", "Agent", "Console", "ConsoleReader", "GuestFile", "GuestProcess", "Frozen", "Job"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = BTreeSet::new();
    methods(&source, &OWNERS, &["cli", "blocking", "qemu"], &mut all);
    methods(&source.join("../../qmp-client/src"), &OWNERS, &[], &mut all);
    for known in [
        "Instance::start",
        "Instance::eject",
        "Agent::exec",
        "Console::write_all",
        "GuestProcess::next",
        "Job::wait",
    ] {
        assert!(all.contains(known), "{known} is not among {all:?}");
    }
    let mut blocking = BTreeSet::new();
    methods(&source.join("blocking"), &OWNERS, &[], &mut blocking);
    let missing: Vec<_> = all.difference(&blocking).collect();
    // A session's commands go through `execute`; an async stream is of no use to code that blocks.
    assert_eq!(missing, ["Agent::over", "Instance::qmp"]);
}

#[test]
fn a_vm_is_driven_without_async_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Typist.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = Instance::start(&config).expect("started");
    vm.expect("R\n", GENEROUS).expect("it boots");
    let mut events = vm.events();
    vm.pause().expect("paused");
    assert_eq!((vm.state(), vm.query_state().expect("answered")), (State::Paused, State::Paused));
    let event = events.next().expect("one").expect("whole");
    assert_eq!(event.event.name(), "STOP");
    vm.resume().expect("it goes on");
    vm.send_keys(["h"]).expect("typed");
    vm.type_text("i\n").expect("typed");
    vm.expect("hi\r", GENEROUS).expect("it arrives");
    vm.set_io_limits("disk0", IoLimits { bytes_total: 1 << 20, ..IoLimits::default() }).expect("set");
    assert_eq!(vm.io_limits("disk0").expect("told").bytes_total, 1 << 20);
    let image = dir.path().join("image");
    std::fs::write(&image, vec![0; 1 << 20]).expect("written");
    let disk = Disk { format: Some(BlockFormat::Raw), ..Disk::file(image) };
    assert_eq!(vm.plug(&disk).expect("plugged in"), "disk1");
    assert_eq!(vm.block_devices().expect("told").len(), 2);
    vm.unplug("disk1", Duration::from_millis(100)).expect_err("no system lets go of it");
    assert!(vm.human_monitor("info status").expect("told").contains("running"));
    assert_eq!(vm.wait_for(Duration::from_millis(50)), None);

    let attached = Instance::attach(vm.socket().expect("it has one")).expect("attached");
    assert_eq!((attached.name(), attached.pid()), ("vm", vm.pid()));
    drop(attached);
    assert_eq!(vm.kill().expect("killed"), ExitReason::Killed { signal: 9 });
}

#[test]
fn callbacks_block_too_and_are_told_of_gaps() {
    const ROUNDS: u64 = 100;
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let vm = Instance::start(&config).expect(version);
        let (states, seen) = mpsc::channel();
        let handle = vm.clone();
        let _states = vm.on_state(move |state| {
            // A callback may ask the VM.
            let asked = handle.query_state().ok();
            states.send((state, asked.is_some())).expect("heard");
        });
        assert_eq!(seen.recv_timeout(GENEROUS), Ok((State::Running, true)), "{version}");

        let (events, heard) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let options = Options { event_backlog: 50, ..Options::default() };
        let attached = Instance::attach_with(vm.socket().expect("it has one"), &options).expect("attached");
        let subscription = attached.on_event(move |event| {
            events.send(event.map(|event| event.event.name().to_owned())).expect("heard");
            // Stands still until it may go on, and so falls behind.
            gate.recv().expect_err("nothing is sent");
        });
        let subscription = subscription.expect("a thread");
        for _ in 0..ROUNDS {
            vm.pause().expect("paused");
            vm.resume().expect("resumed");
        }
        drop(go);
        let (mut told, mut missed) = (0, 0);
        while told < 2 * ROUNDS {
            told += match heard.recv_timeout(GENEROUS).expect("all are told or counted") {
                Ok(name) => {
                    assert!(["STOP", "RESUME"].contains(&name.as_str()), "{name}");
                    1
                }
                Err(EventsError::Missed(count)) => {
                    missed += count;
                    count
                }
                Err(error) => panic!("{error}"),
            };
        }
        assert!(told == 2 * ROUNDS && missed > 0, "{version}: {told}, of which {missed} were counted");
        drop(subscription);
        // Its thread has ended, and with it the sender.
        assert_eq!(heard.recv_timeout(GENEROUS), Err(mpsc::RecvTimeoutError::Disconnected));

        let mut changes = vm.states();
        assert_eq!(changes.next(), Some(State::Running));
        let mut stops = vm.events();
        vm.pause().expect("paused");
        assert_eq!(changes.wait_for(GENEROUS, |state| *state == State::Paused), Some(State::Paused));
        let event = stops.next_timeout(GENEROUS).expect("whole").expect("in time");
        assert_eq!(event.event.name(), "STOP");
        assert!(stops.next_timeout(Duration::from_millis(10)).expect("open").is_none());
        vm.kill().expect("killed");
        assert_eq!(changes.last(), Some(State::Crashed), "{version}");
        assert_eq!(seen.iter().last().map(|(state, _)| state), Some(State::Crashed), "{version}");
    }
}

#[test]
fn a_callback_needs_no_runtime() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = Instance::start(&config).expect("started");
    let (states, seen) = mpsc::channel();
    let _subscription = vm.as_async().on_state(move |state| states.send(state).expect("heard"));
    assert_eq!(seen.recv_timeout(GENEROUS), Ok(State::Running));
    vm.pause().expect("paused");
    assert_eq!(seen.recv_timeout(GENEROUS), Ok(State::Paused));
}

/// A Linux guest's console is typed into and read, and its agent does everything, without async code.
#[test]
fn a_guest_is_worked_in_without_async_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start(&linux("10.0", "x86_64", dir.path())).expect("started");
    let mut console = vm.console().expect("it has one");
    let mut reader = console.reader_with_history();
    reader.expect("guest ready", GENEROUS).expect("it boots");
    writeln!(console, "echo $((6 * 7)) said").expect("typed");
    reader.expect("42 said", GENEROUS).expect("the shell obeys");
    let mut rest = console.reader();
    console.write_all(b"echo to the end\n").expect("typed");
    rest.expect("to the end", GENEROUS).expect("the shell shows what is typed");
    let mut first = [0; 10];
    console.reader_with_history().read_exact(&mut first).expect("it is there");
    assert!(!console.is_closed() && console.last_lines(100).iter().any(|line| line.contains("42 said")));

    let agent = vm.wait_agent(GENEROUS).expect("it comes up");
    agent.execute(qmp_proto::qga::GuestPing {}).expect("answered");
    let output = agent.exec(&Exec::with_args("/bin/sh", ["-c", "echo out; exit 3"]), GENEROUS).expect("ran");
    assert_eq!((output.code, output.stdout.as_slice()), (Some(3), &b"out\n"[..]));
    agent.write_file("/tmp/whole", b"written").expect("written");
    assert_eq!(agent.read_file("/tmp/whole").expect("read"), b"written");
    let mut file = agent.open_file("/tmp/whole", OpenMode::Update).expect("opened");
    file.seek(4).expect("there");
    file.write_all(b"ing").expect("written");
    file.close().expect("closed");
    let mut copy = Vec::new();
    assert_eq!(agent.copy_out("/tmp/whole", &mut copy).expect("copied"), 7);
    assert_eq!(copy, b"writing");
    agent.copy_in(&b"other"[..], "/tmp/whole").expect("copied");
    let mut running = agent.spawn(&Exec::with_args("cat", ["/tmp/whole"])).expect("started");
    assert!(running.id() > 0);
    let piece = running.next().expect("one").expect("read");
    assert_eq!(piece, Output::Stdout(b"other".to_vec()));
    assert_eq!(running.wait().expect("ended").code, Some(0));
    let mut dialogue = vm.spawn(&Exec::new("cat").piped_stdin()).expect("started");
    dialogue.write_all(b"to and fro").expect("it reads");
    assert_eq!(dialogue.next().expect("one").expect("read"), Output::Stdout(b"to and fro".to_vec()));
    assert_eq!(dialogue.kill().expect("killed").signal, Some(9));
    let job = vm.job("nobody").wait().expect_err("there is none");
    assert!(matches!(job, qmp_client::JobError::NotFound { .. }), "{job}");
    let frozen = agent.freeze(None);
    // The guest has nothing but what lies in memory; the agent says so, or freezes nothing.
    frozen.map_or_else(drop, |frozen| frozen.thaw().map_or_else(drop, drop));

    assert_eq!(vm.stop(GENEROUS).expect("stopped").reason, ExitReason::GuestShutdown);
    console.closed();
    agent.closed();
    let mut end = String::new();
    rest.read_to_string(&mut end).expect("it ends");
    assert!(end.contains("to the end"), "{end}");
}
