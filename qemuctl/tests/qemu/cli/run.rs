//! `run`: a VM in the foreground.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{DEAF, OBEDIENT, POWER_OFF, config, disk};
use super::program::{Place, alive, until};

/// A place with a config and its guest.
fn place(guest: &[u8]) -> Place {
    let place = Place::new();
    place.write("guest.raw", disk(guest));
    place.write("vm.toml", config("vm"));
    place
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}

#[test]
fn a_disk_path_with_a_comma_a_quote_and_a_space_boots() {
    let place = Place::new();
    place.write("a, \"b\" 'c'.raw", disk(POWER_OFF));
    place.write("vm.toml", config("vm").replace("\"guest.raw\"", "'''a, \"b\" 'c'.raw'''"));
    let answer = place.qemuctl(&["run", "vm.toml"]);
    insta::assert_snapshot!(answer.whole(), @"
    R
    started vm (process N)
    vm: guest shut down
    exit code 0
    ");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn sigterm_stops_a_guest_that_obeys() {
    let place = place(OBEDIENT);
    let mut program = place.background(&["run", "vm.toml"], "R");
    send(program.pid(), Signal::SIGTERM);
    insta::assert_snapshot!(place.answer(&program.end()).whole(), @"
    started vm (process N)
    SIGTERM: asking vm to shut down within 1m; repeat to stop QEMU
    vm: guest shut down
    exit code 0
    ");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn a_guest_that_does_not_obey_is_stopped_by_asking_twice() {
    let place = place(DEAF);
    let mut program = place.background(&["run", "vm.toml", "--grace", "600"], "R");
    send(program.pid(), Signal::SIGINT);
    until("the first signal is told", || place.qemuctl(&["qmp", "vm", "query-status"]).code == Some(0));
    // Two of a kind at once would be one.
    send(program.pid(), Signal::SIGTERM);
    let answer = place.answer(&program.end());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.ends_with("vm: host quit\n"), "{answer:?}");
}

#[test]
fn kill_9_of_qemu_is_told_at_once() {
    let place = place(DEAF);
    let mut program = place.background(&["run", "vm.toml"], "R");
    send(place.pid("vm"), Signal::SIGKILL);
    insta::assert_snapshot!(place.answer(&program.end()).whole(), @"
    started vm (process N)
    error: vm: killed by SIGKILL
    exit code 137
    ");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn kill_9_of_the_program_takes_qemu_along() {
    let place = place(DEAF);
    let mut program = place.background(&["run", "vm.toml"], "R");
    let qemu = place.pid("vm");
    send(program.pid(), Signal::SIGKILL);
    program.end();
    until("QEMU ends with the program that ran it", || !alive(qemu));
    until("nobody takes it for running", || place.qemuctl(&["list", "--names"]).out.is_empty());
    // The next VM of that name finds nothing in its way.
    place.write("guest.raw", disk(POWER_OFF));
    assert_eq!(place.qemuctl(&["run", "vm.toml"]).code, Some(0));
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn a_running_vm_is_watched_and_controlled_by_others() {
    let place = place(OBEDIENT);
    let mut program = place.background(&["run", "vm.toml"], "R");
    let told: Vec<String> = [
        &["list", "--names"][..],
        &["pause", "vm"],
        &["qmp", "vm", "query-status"],
        &["resume", "vm"],
        &["hmp", "vm", "info", "status"],
        &["wait", "vm", "--for", "running"],
        &["stop", "vm", "--json"],
    ]
    .iter()
    .map(|args| format!("$ qemuctl {}\n{}", args.join(" "), place.qemuctl(args).whole()))
    .collect();
    let told = told.join("\n");
    let told = told.split("\"seconds\":").next().expect("the first part");
    insta::assert_snapshot!(told, @r#"
    $ qemuctl list --names
    vm
    exit code 0
    $ qemuctl pause vm
    paused vm
    exit code 0
    $ qemuctl qmp vm query-status
    {"running":false,"status":"paused"}
    exit code 0
    $ qemuctl resume vm
    resumed vm
    exit code 0
    $ qemuctl hmp vm info status
    VM status: running
    exit code 0
    $ qemuctl wait vm --for running
    exit code 0
    $ qemuctl stop vm --json
    {"name":"vm","reason":"guest shut down","how":"by the power button","clean":true,
    "#);
    let answer = place.answer(&program.end());
    assert_eq!(
        (answer.code, answer.err.lines().last()),
        (Some(0), Some("vm: guest shut down")),
        "{answer:?}"
    );
}
