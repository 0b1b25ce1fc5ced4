//! A QEMU that does not start, or not as it should: the error tells, at once, and nothing is left.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemuctl::{Cause, Error, Instance, LaunchFailure, LaunchOptions, Phase, ProcessExit};

use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{Holdings, alone};
use crate::support::qemu;

const GREETING: &str = r#"printf '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}\r\n' >&0"#;

/// A program that is QEMU when it is looked at, and does something else when it is to run a VM.
fn impostor(dir: &Path, instead: &str) -> PathBuf {
    let real = qemu("10.0", "qemu-system-x86_64");
    let images = dir.join("images");
    fs::create_dir_all(&images).expect("a directory");
    let path = images.join("impostor");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *guest=vm*) ;; *) exec {} \"$@\";; esac\n{instead}\n",
        real.display()
    );
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("executable");
    path
}

/// Launches a VM that must not start, and looks that nothing of it is left.
async fn refused(dir: &Path, program: &Path, extra: &[&str], within: Duration) -> LaunchFailure {
    let mut config = Guest::Deaf.config(program, dir, "vm");
    config.extra_args = extra.iter().map(|&word| word.into()).collect();
    let options = LaunchOptions { ready_within: within, ..LaunchOptions::default() };
    let error = Instance::start_with(&config, &options).await.expect_err("it cannot start");
    assert_eq!(leftovers(dir), [""; 0], "after {error}");
    match error {
        Error::Launch(failure) => *failure,
        other => panic!("not a failed launch: {other}"),
    }
}

/// One row of the matrix.
struct Fault {
    instead: &'static str,
    phase: Phase,
    cause: Cause,
    exit: Option<ProcessExit>,
    last_line: &'static str,
}

/// What the exit was, without what depends on the host's limits.
fn without_core(exit: Option<ProcessExit>) -> Option<ProcessExit> {
    match exit {
        Some(ProcessExit::Signal { number, .. }) => Some(ProcessExit::Signal { number, core_dumped: false }),
        other => other,
    }
}

#[test]
fn a_qemu_that_misbehaves_at_launch_is_told_and_cleaned_up() {
    alone("faults::a_qemu_that_misbehaves_at_launch_is_told_and_cleaned_up", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(matrix());
    });
}

async fn matrix() {
    use Phase::Handshake;
    let row = |instead, cause, exit, last_line| Fault { instead, phase: Handshake, cause, exit, last_line };
    let greets = |rest: &str| -> &'static str { format!("{GREETING}\n{rest}").leak() };
    let signal = |number| Some(ProcessExit::Signal { number, core_dumped: false });
    let rows = [
        row("echo 'odd' >&2; exit 3", Cause::Other, Some(ProcessExit::Code(3)), "odd"),
        row("echo 'help'; exit 0", Cause::NotQemu, Some(ProcessExit::Code(0)), "help"),
        row("exec sleep 600", Cause::Timeout, None, ""),
        row(greets("exec sleep 600"), Cause::Timeout, None, ""),
        row("kill -SEGV $$", Cause::QemuBug, signal(11), ""),
        row("kill -ABRT $$", Cause::QemuBug, signal(6), ""),
        row("kill -KILL $$", Cause::Killed, signal(9), ""),
        row("kill -TERM $$", Cause::Killed, signal(15), ""),
        row("kill -STOP $$", Cause::Timeout, None, ""),
        row("exec <&-; exec sleep 600", Cause::Other, None, ""),
        row(greets("printf '{\"retu' >&0; exit 1"), Cause::Other, Some(ProcessExit::Code(1)), ""),
        row("echo garbage >&0; exec sleep 600", Cause::Other, None, ""),
        row(
            "yes 'flood' | head -c 30000000 >&2; echo last >&2; exit 1",
            Cause::Other,
            Some(ProcessExit::Code(1)),
            "last",
        ),
        row(
            "echo 'qemu: -drive: Failed to get \"write\" lock' >&2; exit 1",
            Cause::DiskLocked,
            Some(ProcessExit::Code(1)),
            "qemu: -drive: Failed to get \"write\" lock",
        ),
    ];
    let count = rows.len();
    let mut before = None;
    for Fault { instead, phase, cause, exit, last_line } in rows {
        let dir = tempfile::tempdir().expect("a directory");
        let program = impostor(dir.path(), instead);
        let within = Duration::from_secs(if cause == Cause::Timeout { 1 } else { 60 });
        let failure = refused(dir.path(), &program, &[], within).await;
        let last = failure.output.last().map_or("", String::as_str);
        let seen = (failure.phase, failure.cause, without_core(failure.exit), last);
        assert_eq!(seen, (phase, cause, exit, last_line), "{instead}");
        assert!(failure.output.len() <= 64, "memory is bounded");
        let now = Holdings::now();
        assert_eq!(*before.get_or_insert(now), Holdings::now(), "{instead}");
    }
    println!("{count} faults at launch");
}

#[tokio::test]
async fn what_qemu_refuses_is_told_in_its_own_words() {
    let program = qemu("10.0", "qemu-system-x86_64");
    for (extra, cause) in [
        (["-device", "nonsense"], Cause::UnknownDevice),
        (["-blockdev", r#"{"driver":"file","filename":"/nope.raw","node-name":"n"}"#], Cause::NoSuchFile),
        (["-machine", "nonsense"], Cause::UnknownMachine),
        (["-nonsense", ""], Cause::UnknownOption),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let failure = refused(dir.path(), &program, &extra, Duration::from_secs(60)).await;
        let seen = (failure.phase, failure.cause, failure.exit);
        assert_eq!(seen, (Phase::Handshake, cause, Some(ProcessExit::Code(1))), "{failure}");
    }
}
