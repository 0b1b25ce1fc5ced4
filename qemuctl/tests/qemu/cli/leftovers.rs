//! What is left when nobody was there: VMs that ended unobserved, launchers that were killed, records that lie.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

use super::guest::{DEAF, config, disk};
use super::program::{Place, alive, until};

fn place(names: &[&str]) -> Place {
    let place = Place::new();
    for name in names {
        let image = format!("{name}.raw");
        place.write(&image, disk(DEAF));
        place.write(&format!("{name}.toml"), config(name).replace("guest.raw", &image));
    }
    place
}

fn start(place: &Place, name: &str) -> i32 {
    let answer = place.qemuctl(&["start", &format!("{name}.toml")]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    place.pid(name)
}

fn end(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it is ours");
    until("it ends", || !alive(pid));
}

/// The record of a VM, to be changed.
fn record(place: &Place, name: &str) -> Value {
    let text = std::fs::read_to_string(place.sockets().join(format!("{name}.json"))).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn write_record(place: &Place, name: &str, record: &Value) {
    std::fs::write(place.sockets().join(format!("{name}.json")), record.to_string()).expect("written");
}

#[test]
fn the_next_command_tells_of_an_end_that_nobody_saw_and_cleans_up() {
    let place = place(&["asked", "listed", "again"]);
    // This one's QEMU has something to say in its log.
    let talks = config("listed")
        .replace("guest.raw", "listed.raw")
        .replace("disks =", "cpu = { model = \"EPYC\" }\ndisks =");
    place.write("listed.toml", talks);
    let pids = ["asked", "listed", "again"].map(|name| start(&place, name));
    end(pids[0], Signal::SIGSEGV);
    end(pids[1], Signal::SIGABRT);
    end(pids[2], Signal::SIGKILL);
    for command in [&["status", "asked"][..], &["wait", "asked"]] {
        let answer = place.qemuctl(command);
        assert_eq!(answer.code, Some(3), "{answer:?}");
        let first = command[0] == "status";
        assert_eq!(answer.err.contains("asked ended unobserved (process N is gone)"), first);
    }
    assert!(!place.leftovers().iter().any(|file| file.starts_with("asked")), "{:?}", place.leftovers());

    let answer = place.qemuctl(&["start", "again.toml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    for name in ["again", "listed"] {
        assert!(answer.err.contains(&format!("{name} ended unobserved")), "{answer:?}");
    }
    assert!(
        answer.err.contains("TCG doesn't support requested feature"),
        "the end of the log is told: {answer:?}"
    );
    assert_eq!(place.qemuctl(&["list", "--names"]).out, "again\n");
    assert_eq!(place.qemuctl(&["kill", "again"]).code, Some(0));
    assert_eq!(place.leftovers(), [""; 0], "a killed VM leaves nothing");
}

#[test]
fn a_launcher_killed_between_start_and_record_leaves_a_vm_that_is_found() {
    let place = place(&["vm"]);
    let pid = start(&place, "vm");
    // What is written before QEMU is started has no process.
    let mut intent = record(&place, "vm");
    (intent["pid"], intent["started"]) = (0.into(), 0.into());
    write_record(&place, "vm", &intent);
    assert_eq!(place.pid("vm"), pid, "its command line tells");
    let taken = place.qemuctl(&["start", "vm.toml"]);
    assert_eq!((taken.code, taken.err.contains("already running (process N)")), (Some(1), true), "{taken:?}");
    assert_eq!(place.qemuctl(&["pause", "vm"]).code, Some(0));
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    assert!(!alive(pid));
    assert_eq!(place.leftovers(), [""; 0]);

    // Killed before there was a QEMU at all.
    write_record(&place, "vm", &intent);
    let list = place.qemuctl(&["list"]);
    assert!(list.err.contains("vm was not started: its launcher was killed"), "{list:?}");
    assert_eq!(place.leftovers(), [""; 0]);
}

#[test]
fn a_record_of_a_process_that_is_not_its_qemu_is_not_believed() {
    let place = place(&["vm"]);
    start(&place, "vm");
    let mut lying = record(&place, "vm");
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    let mut victim = Command::new("sleep").arg("600").spawn().expect("coreutils are installed");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", victim.id())).expect("it runs");
    let started: u64 = stat.split(' ').nth(21).expect("its start").parse().expect("a number");
    (lying["pid"], lying["started"]) = (victim.id().into(), started.into());
    for command in [&["kill", "vm"][..], &["stop", "vm"], &["status", "vm"]] {
        write_record(&place, "vm", &lying);
        let answer = place.qemuctl(command);
        assert_eq!(answer.code, Some(3), "{command:?}: {answer:?}");
        assert!(victim.try_wait().expect("ours").is_none(), "{command:?} ended a stranger");
    }
    write_record(&place, "vm", &lying);
    assert_eq!(place.qemuctl(&["list", "--names"]).out, "");
    assert!(victim.try_wait().expect("ours").is_none());
    victim.kill().and_then(|()| victim.wait()).expect("ended");
}

#[test]
fn every_command_refuses_a_directory_that_others_may_write_to() {
    let place = place(&["vm"]);
    start(&place, "vm");
    let mode = |mode| {
        std::fs::set_permissions(place.sockets(), PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    mode(0o777);
    let commands: &[&[&str]] = &[
        &["list"],
        &["status", "vm"],
        &["stop", "vm"],
        &["kill", "vm"],
        &["pause", "vm"],
        &["resume", "vm"],
        &["reset", "vm"],
        &["wait", "vm", "--timeout", "1"],
        &["events", "vm", "--timeout", "1"],
        &["qmp", "vm", "query-status"],
        &["hmp", "vm", "info", "status"],
        &["exec", "vm", "true"],
        &["cp", "vm:/etc/hostname", "-"],
        &["console", "vm"],
        &["screenshot", "vm", "x.png"],
        &["type", "vm", "x"],
        &["block", "list", "vm"],
        &["vnc", "vm"],
        &["start", "vm.toml"],
        &["run", "vm.toml"],
    ];
    for command in commands {
        let answer = place.qemuctl(command);
        assert!(matches!(answer.code, Some(1 | 125)), "{command:?}: {answer:?}");
        assert!(answer.err.contains("is not safe: other users can write to it"), "{command:?}: {answer:?}");
    }
    mode(0o700);
    assert_eq!(place.qemuctl(&["list", "--names"]).out, "vm\n");
}

#[test]
fn a_fifo_in_the_place_of_a_file_keeps_nobody_waiting() {
    let place = place(&["vm"]);
    std::fs::create_dir_all(place.sockets()).expect("made");
    std::fs::set_permissions(place.sockets(), PermissionsExt::from_mode(0o700)).expect("ours");
    for ending in ["json", "json.new", "lock", "log", "plan.json", "sock", "hotplug"] {
        let path = place.sockets().join(format!("vm.{ending}"));
        let _ = std::fs::remove_file(&path);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("made");
        let begin = Instant::now();
        for command in [&["status", "vm"][..], &["start", "vm.toml"], &["list"], &["kill", "vm"]] {
            let mut run = place.command(command);
            let run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut run = run.expect("the program starts");
            until(&format!("{command:?} ends with a FIFO at {ending}"), || {
                run.try_wait().expect("ours").is_some() || begin.elapsed() > Duration::from_secs(60)
            });
            let ended = run.try_wait().expect("ours").is_some();
            run.kill().and_then(|()| run.wait()).expect("ended");
            assert!(ended, "{command:?} hangs with a FIFO at {ending}");
        }
        let _ = std::fs::remove_file(&path);
    }
}

#[test]
fn a_vm_in_another_pid_namespace_is_not_taken_for_dead() {
    let place = place(&["vm"]);
    let pid = start(&place, "vm");
    // Numbers mean other processes there, or none.
    let inside = |args: &[&str]| {
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_qemuctl")]).args(args);
        command.current_dir(place.file("")).env("QEMUCTL_SOCKET_DIR", place.sockets());
        let output = command.stdin(Stdio::null()).output().expect("util-linux is installed");
        place.answer(&output)
    };
    let list = inside(&["list", "--json"]);
    let rows: Value = serde_json::from_str(&list.out).unwrap_or_else(|_| panic!("{list:?}"));
    assert_eq!((&rows[0]["name"], &rows[0]["pid"]), (&"vm".into(), &Value::Null), "{rows}");
    let taken = inside(&["start", "vm.toml"]);
    assert!(taken.code == Some(1) && taken.err.contains("a VM called vm is already running"), "{taken:?}");
    let killed = inside(&["kill", "vm"]);
    assert_eq!(killed.code, Some(1), "{killed:?}");
    assert_eq!(inside(&["status", "vm"]).code, Some(0));
    assert!(alive(pid) && place.leftovers().contains(&"vm.sock".to_owned()));
    assert_eq!(inside(&["stop", "vm", "--timeout", "0"]).code, Some(0));
    until("it ends", || !alive(pid));
    place.qemuctl(&["list"]);
    assert_eq!(place.leftovers(), [""; 0]);
}

#[test]
fn whatever_is_killed_nothing_is_left() {
    super::cycles::storm("cli::leftovers::whatever_is_killed_nothing_is_left", 20, 1);
}
