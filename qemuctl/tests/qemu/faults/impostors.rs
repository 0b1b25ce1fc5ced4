//! Programs that take QEMU's place at the launch.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemuctl::{
    ProcessExit,
    error::{Cause, Phase},
};

use super::{refused, runtime, seen, without_core};
use crate::own_process::{Holdings, alone};
use crate::support::qemu;

const GREETING: &str = r#"printf '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}\r\n' >&0"#;

/// A program that is QEMU when it is looked at, and does something else when it is to run a VM.
pub(super) fn impostor(dir: &Path, instead: &str) -> PathBuf {
    let real = qemu("10.0", "qemu-system-x86_64");
    let images = dir.join("images");
    fs::create_dir_all(&images).expect("a directory");
    let path = images.join("impostor");
    // A signal that is ignored where the tests run, as in the background of a shell, is not ignored here.
    let script = format!(
        "#!/usr/bin/env -S --default-signal /bin/sh\ncase \" $* \" in *guest=vm*) ;; *) exec {} \"$@\";; esac\n{instead}\n",
        real.display()
    );
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("executable");
    path
}

/// How many there are, one for each signal that ends a process among them.
const ROWS: usize = 28;

/// One row of the matrix.
struct Fault {
    instead: &'static str,
    phase: Phase,
    cause: Cause,
    exit: Option<ProcessExit>,
    last_line: &'static str,
}

#[test]
fn a_qemu_that_misbehaves_at_launch_is_told_and_cleaned_up() {
    alone("faults::impostors::a_qemu_that_misbehaves_at_launch_is_told_and_cleaned_up", || {
        runtime().block_on(matrix());
    });
    seen("programs in QEMU's place", ROWS);
}

async fn matrix() {
    use Phase::Handshake;
    let row = |instead, cause, exit, last_line| Fault { instead, phase: Handshake, cause, exit, last_line };
    let greets = |rest: &str| -> &'static str { format!("{GREETING}\n{rest}").leak() };
    let signal = |number| Some(ProcessExit::Signal { number, core_dumped: false });
    let rows: [Fault; ROWS] = [
        row("echo 'odd' >&2; exit 3", Cause::Other, Some(ProcessExit::Code(3)), "odd"),
        row("echo 'help'; exit 0", Cause::NotQemu, Some(ProcessExit::Code(0)), "help"),
        row("exec sleep 600", Cause::Timeout, None, ""),
        row(greets("exec sleep 600"), Cause::Timeout, None, ""),
        row("kill -HUP $$", Cause::Killed, signal(1), ""),
        row("kill -INT $$", Cause::Killed, signal(2), ""),
        row("kill -QUIT $$", Cause::Killed, signal(3), ""),
        row("kill -ILL $$", Cause::QemuBug, signal(4), ""),
        row("kill -TRAP $$", Cause::QemuBug, signal(5), ""),
        row("kill -ABRT $$", Cause::QemuBug, signal(6), ""),
        row("kill -BUS $$", Cause::QemuBug, signal(7), ""),
        row("kill -FPE $$", Cause::QemuBug, signal(8), ""),
        row("kill -KILL $$", Cause::Killed, signal(9), ""),
        row("kill -USR1 $$", Cause::Killed, signal(10), ""),
        row("kill -SEGV $$", Cause::QemuBug, signal(11), ""),
        row("kill -USR2 $$", Cause::Killed, signal(12), ""),
        row("kill -PIPE $$", Cause::Killed, signal(13), ""),
        row("kill -ALRM $$", Cause::Killed, signal(14), ""),
        row("kill -TERM $$", Cause::Killed, signal(15), ""),
        row("kill -XCPU $$", Cause::Killed, signal(24), ""),
        row("kill -XFSZ $$", Cause::Killed, signal(25), ""),
        row("kill -SYS $$", Cause::QemuBug, signal(31), ""),
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
}
