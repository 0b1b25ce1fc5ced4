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
    let program = Program { path: "/bin/sh".into(), args, descriptors, bond, hidden, ..Program::default() };
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
fn signals_that_end_a_job_are_blocked_and_the_others_as_in_a_new_program() {
    // By the shell alone: dash unblocks all signals when it has waited for a program.
    let script = "while read -r name bits; do echo \"$name$bits\"; done < /proc/$$/status";
    let status = told(script, Bond::Parent, Vec::new());
    let bits = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("there");
        u64::from_str_radix(line[name.len()..].trim(), 16).expect("hexadecimal")
    };
    let held_back = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM].map(|signal| 1_u64 << (signal - 1));
    assert_eq!(bits("SigBlk:"), held_back.iter().sum::<u64>());
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
        let program = Program { path: path.into(), ..Program::default() };
        assert_eq!(program.spawn().expect_err("it cannot").kind(), kind);
    }
    let nul = Program { path: "/bin/sh".into(), args: vec!["a\0b".into()], ..Program::default() };
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

#[test]
fn only_the_descriptors_that_are_named_arrive() {
    let (reader, writer) = io::pipe().expect("a pipe");
    // As a shell's `exec 9>lock` leaves it to its programs.
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).expect("set");
    let leaked = writer.as_raw_fd();
    let named = vec![FdMapping { parent_fd: reader.into(), child_fd: 7 }];
    let script = format!("ls /proc/$$/fd; test ! -e /proc/$$/fd/{leaked}");
    let told = told(&script, Bond::Parent, named);
    let arrived: Vec<&str> = told.split_whitespace().filter(|fd| !["0", "1", "2"].contains(fd)).collect();
    assert_eq!(arrived, ["7"], "{told}");
}

#[test]
fn an_older_kernel_is_told_each_descriptor() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let open = open_descriptors().expect("listed");
    assert!(open.contains(&reader.as_raw_fd()) && open.contains(&writer.as_raw_fd()), "{open:?}");
    assert!(open.iter().all(|&fd| fd > 2), "{open:?}");
}

#[test]
fn what_the_program_creates_is_private_and_the_umask_here_stays() {
    let umask = || std::fs::read_to_string("/proc/thread-self/status").expect("proc");
    let line = |status: &str| status.lines().find(|line| line.starts_with("Umask:")).map(str::to_owned);
    let before = line(&umask());
    assert_eq!(told("umask", Bond::Parent, Vec::new()).trim(), "0077");
    assert_eq!(line(&umask()), before);
}

#[test]
fn limits_hold_in_the_program() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut cpus = CpuSet::new();
    cpus.set(0).expect("there is a first one");
    let script = "grep Cpus_allowed_list /proc/self/status; cut -d ' ' -f 19 /proc/$$/stat";
    let program = Program {
        path: "/bin/sh".into(),
        args: ["-c", script].map(OsString::from).to_vec(),
        descriptors: vec![FdMapping { parent_fd: writer.into(), child_fd: 1 }],
        limits: Limits { nice: Some(3), cpus: Some(cpus), cgroup: None },
        ..Program::default()
    };
    let process = Process::of_child(program.spawn().expect("sh starts"));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    assert!(process.wait_blocking(std::time::Duration::from_secs(30)));
    let own = std::fs::read_to_string("/proc/thread-self/stat").expect("proc");
    let own: i64 =
        own.rsplit_once(')').and_then(|(_, rest)| rest.split(' ').nth(17)?.parse().ok()).expect("a number");
    assert_eq!(text, format!("Cpus_allowed_list:\t0\n{}\n", (own + 3).min(19)));
}
