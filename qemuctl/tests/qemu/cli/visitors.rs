//! Several programs at one VM at a time: none holds up another.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qemuctl::runtime::Record;
use tokio::time::timeout;

use super::guest::{DEAF, config, disk, linux};
use super::program::{GENEROUS, Place, until};

/// How many visitors a VM serves at a time.
const SERVED: usize = 16;

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("process ids fit")), signal).expect("it is there");
}

/// `events`, once it listens.
fn listener(place: &Place) -> Child {
    let mut child =
        place.command(&["events", "vm"]).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("text");
    assert_eq!(line, "listening to vm\n");
    child
}

#[test]
fn visitors_that_are_stopped_hold_up_nobody() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let mut stuck: Vec<_> = (0..4).map(|_| listener(&place)).collect();
    for visitor in &stuck {
        signal(visitor, Signal::SIGSTOP);
    }
    let mut waiter = place.command(&["wait", "vm"]).spawn().expect("the program starts");
    for args in [&["status", "vm"][..], &["pause", "vm"], &["resume", "vm"], &["qmp", "vm", "query-name"]] {
        let answer = place.qemuctl(args);
        assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    }
    let list = place.qemuctl(&["list"]).out;
    assert!(list.contains(" running "), "{list}");
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    let ended = waiter.wait().expect("it ends with the VM");
    assert_ne!(ended.code(), Some(0), "it was killed: nobody knows of a better end");
    for visitor in &mut stuck {
        signal(visitor, Signal::SIGCONT);
        assert_eq!(visitor.wait().expect("it ends with the VM").code(), Some(0));
    }
}

#[test]
fn an_end_and_liveness_need_no_free_monitor() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let socket = place.sockets().join("vm.sock");
    let served: Vec<_> = (0..SERVED).map(|_| greeted(&socket)).collect();
    let list = place.qemuctl(&["list"]).out;
    assert!(list.contains(" busy ") && !list.contains("unresponsive"), "{list}");
    let refused = place.qemuctl(&["status", "vm"]);
    assert_eq!(
        (refused.code, &*refused.err),
        (
            Some(1),
            "error: all monitors of vm are in use by other programs\nhelp: QEMU serves 16 monitor clients at a time, or one if qemuctl did not start it; close one of them\n"
        )
    );
    // The end is waited for all the same; only how it came about could not be told.
    let waited = place.qemuctl(&["wait", "vm", "--timeout", "6"]);
    assert_eq!((waited.code, &*waited.err), (Some(5), "error: vm is still running after 6s\n"));
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    drop(served);
}

/// A monitor's client that QEMU has greeted.
fn greeted(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("connected");
    stream.set_read_timeout(Some(GENEROUS)).expect("set");
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).expect("greeted");
    assert_eq!(&greeting, b"{\"QMP");
    stream
}

#[test]
fn a_vm_is_waited_for_before_it_is_there() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    let answer = place.qemuctl(&["wait", "vm", "--for", "running"]);
    assert_eq!(answer.code, Some(3), "{answer:?}");
    let answer = place.qemuctl(&["wait", "vm", "--for", "running", "--appear", "--timeout", "1"]);
    assert_eq!((answer.code, &*answer.err), (Some(5), "error: no VM called vm was started within 1s\n"));
    let mut waiter =
        place.command(&["wait", "vm", "--for", "running", "--appear"]).spawn().expect("the program starts");
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    assert_eq!(waiter.wait().expect("it ends").code(), Some(0));
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
}

#[test]
fn a_record_tells_the_end_of_its_process() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let record = Record::read(&place.sockets(), "vm").expect("readable").expect("there is one");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        timeout(Duration::from_millis(50), record.ended()).await.expect_err("it runs");
        kill(Pid::from_raw(place.pid("vm")), Signal::SIGKILL).expect("it runs");
        timeout(GENEROUS, record.ended()).await.expect("in time").expect("watched");
        timeout(GENEROUS, record.ended()).await.expect("in time").expect("it has ended before");
    });
    assert!(!record.is_alive());
}

#[test]
fn a_console_that_is_in_use_is_told_with_its_user() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let mut first =
        place.command(&["console", "vm"]).stdin(Stdio::null()).spawn().expect("the program starts");
    let lock = place.sockets().join("vm.console0.lock");
    until("it has the console", || {
        std::fs::read_to_string(&lock).is_ok_and(|pid| pid == first.id().to_string())
    });
    let second = place.command(&["console", "vm"]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&second.stderr);
    let wanted = format!("error: the console of vm is in use by qemuctl (process {})\n", first.id());
    assert!(second.status.code() == Some(1) && text.starts_with(&wanted), "{text}");
    // Everything else works meanwhile, and whoever comes after it gets the console.
    assert_eq!(place.qemuctl(&["pause", "vm"]).code, Some(0));
    signal(&first, Signal::SIGTERM);
    first.wait().expect("it ends");
    let mut third =
        place.command(&["console", "vm"]).stdin(Stdio::null()).spawn().expect("the program starts");
    until("it has the console", || {
        std::fs::read_to_string(&lock).is_ok_and(|pid| pid == third.id().to_string())
    });
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    assert_eq!(third.wait().expect("it ends with the VM").code(), Some(0));
}

#[test]
fn a_process_that_is_stopped_with_the_agents_line_loses_it() {
    let place = Place::new();
    place.write("vm.toml", linux("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    assert_eq!(place.qemuctl(&["wait", "vm", "--for", "agent", "--timeout", "600"]).code, Some(0));
    let script = "until [ -e /tmp/go ]; do usleep 10000; done; echo gone on";
    let mut first = place
        .command(&["exec", "vm", "--wait", "60", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lock = place.sockets().join("vm.agent.lock");
    let has_it = || std::fs::read_to_string(&lock).is_ok_and(|pid| pid == first.id().to_string());
    until("it has asked the agent", has_it);
    signal(&first, Signal::SIGSTOP);
    for number in ["1", "2"] {
        let answer = place.qemuctl(&["exec", "vm", "--wait", "60", "echo", number]);
        assert_eq!((answer.code, answer.out.trim()), (Some(0), number), "{answer:?}");
    }
    assert_eq!(place.qemuctl(&["exec", "vm", "--wait", "60", "touch", "/tmp/go"]).code, Some(0));
    signal(&first, Signal::SIGCONT);
    // It may have been stopped in the middle of an answer, which is lost then: that is told.
    let mut output = String::new();
    first.stdout.take().expect("piped").read_to_string(&mut output).expect("text");
    let code = first.wait().expect("it ends").code();
    assert!((code == Some(0) && output == "gone on\n") || code == Some(125), "{code:?} {output}");
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn many_programs_use_one_vm_at_the_same_time() {
    super::crowd::crowd(&linux("vm"), Duration::from_secs(10));
}
