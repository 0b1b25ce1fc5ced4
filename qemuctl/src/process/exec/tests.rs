//! What a started program gets, and whom it dies with.

use std::io::Read;

use super::*;
use crate::process::{Process, ProcessExit};

/// Runs a shell script with its output piped and the descriptors it gets.
fn shell(script: &str, bond: Bond, more: Vec<FdMapping>) -> (Child, io::PipeReader) {
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut descriptors = vec![FdMapping { parent_fd: writer.into(), child_fd: 1 }];
    descriptors.extend(more);
    let args = ["-c", script, "sh", "a b'\"$"].map(OsString::from).to_vec();
    let hidden = vec!["HOME".into()];
    let program = Program { path: "/bin/sh".into(), args, descriptors, bond, hidden };
    let child = program.spawn().expect("sh starts");
    (child, reader)
}

fn told(script: &str, bond: Bond, more: Vec<FdMapping>) -> String {
    let (child, mut reader) = shell(script, bond, more);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    let process = Process::of_child(child);
    assert!(process.wait_blocking(std::time::Duration::from_secs(30)));
    assert_eq!(process.reap(), Some(ProcessExit::Code(0)), "{text}");
    text
}

#[test]
fn arguments_and_environment_arrive() {
    let path = std::env::var("PATH").expect("set");
    std::env::var("HOME").expect("set");
    let told = told("echo \"$1\" \"$PATH\" \"${HOME-hidden}\"", Bond::Parent, Vec::new());
    assert_eq!(told, format!("a b'\"$ {path} hidden\n"));
}

#[test]
fn descriptors_arrive_under_their_numbers_even_when_they_cross() {
    let file = |text: &str| {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        io::Write::write_all(&mut writer, text.as_bytes()).expect("written");
        OwnedFd::from(reader)
    };
    let (one, two) = (file("one\n"), file("two\n"));
    let (first, second) = (one.as_raw_fd(), two.as_raw_fd());
    // Each gets the number that the other has here.
    let crossed =
        vec![FdMapping { parent_fd: one, child_fd: second }, FdMapping { parent_fd: two, child_fd: first }];
    let script = format!("cat /dev/fd/{first} /dev/fd/{second}");
    assert_eq!(told(&script, Bond::Parent, crossed), "two\none\n");
}

#[test]
fn signals_are_as_in_a_new_program() {
    let status = told("grep -E 'Sig(Blk|Ign)' /proc/self/status", Bond::Parent, Vec::new());
    let bits = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("there");
        u64::from_str_radix(line[name.len()..].trim(), 16).expect("hexadecimal")
    };
    assert_eq!(bits("SigBlk:"), 0);
    let pipe = 1 << (libc::SIGPIPE - 1);
    assert_eq!(bits("SigIgn:") & pipe, 0, "SIGPIPE ends the program");
}

#[test]
fn each_child_leads_a_group_or_a_session() {
    // Fields 1, 5 and 6: process id, group, session.
    let script = "read -r stat < /proc/$$/stat; set -- $stat; echo $1 $5 $6";
    let ids = |bond| -> Vec<u32> {
        told(script, bond, Vec::new()).split_whitespace().map(|id| id.parse().expect("a number")).collect()
    };
    let owned = ids(Bond::Parent);
    assert!(owned[0] == owned[1] && owned[0] != owned[2], "{owned:?}");
    let detached = ids(Bond::Nobody);
    assert!(detached[0] == detached[1] && detached[0] == detached[2], "{detached:?}");
}

#[test]
fn a_program_that_cannot_run_is_an_error_and_leaves_no_zombie() {
    for (path, kind) in
        [("/nonexistent/program", io::ErrorKind::NotFound), ("/etc/passwd", io::ErrorKind::PermissionDenied)]
    {
        let program = Program {
            path: path.into(),
            args: Vec::new(),
            descriptors: Vec::new(),
            bond: Bond::Parent,
            hidden: Vec::new(),
        };
        assert_eq!(program.spawn().expect_err("it cannot").kind(), kind);
    }
    let nul = Program {
        path: "/bin/sh".into(),
        args: vec!["a\0b".into()],
        descriptors: Vec::new(),
        bond: Bond::Parent,
        hidden: Vec::new(),
    };
    assert_eq!(nul.spawn().expect_err("no argument").kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_bound_child_dies_with_the_thread_that_started_it_and_an_unbound_one_does_not() {
    let started = |bond| {
        let thread = std::thread::spawn(move || shell("exec sleep 600", bond, Vec::new()).0);
        Process::of_child(thread.join().expect("no panic"))
    };
    let bound = started(Bond::Parent);
    assert!(bound.wait_blocking(std::time::Duration::from_secs(30)));
    assert_eq!(bound.reap(), Some(ProcessExit::Signal { number: 9, core_dumped: false }));
    let unbound = started(Bond::Nobody);
    assert!(!unbound.wait_blocking(std::time::Duration::from_millis(200)));
    unbound.kill_blocking(std::time::Duration::from_secs(30)).expect("dead");
}
