//! The program in a real terminal: colours, progress, keys.

use std::os::unix::fs::PermissionsExt;

use super::guest::{DEAF, OBEDIENT, config, disk};
use super::inside::linux;
use super::program::Place;
use super::screen::Screen;
use crate::support::qemu;

/// A QEMU that starts a VM only once somebody writes to the pipe `gate`: what takes long is seen.
fn slow_qemu(place: &Place) {
    let real = qemu("10.0", "qemu-system-x86_64").display().to_string();
    let gate = place.file("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'-name guest='*) cat '{}' >&2;; esac\nexec {real} \"$@\"\n",
        gate.display()
    );
    let program = place.write("slow-qemu", script);
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).expect("executable");
}

#[test]
fn a_terminal_shows_progress_and_colours_and_takes_keys() {
    let place = Place::new();
    place.write("obedient.raw", disk(OBEDIENT));
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm").replace("guest.raw", "obedient.raw"));
    place.write("wrong.toml", config("vm").replace("memory", "memry"));
    place.write("deaf.toml", config("deaf"));
    slow_qemu(&place);
    let screen = Screen::new(&place);

    screen.run("qemuctl run wrong.toml");
    screen.wait_for("`?\n$");
    insta::assert_snapshot!("an_error_in_colour", screen.shot());

    screen.run("NO_COLOR=1 qemuctl run wrong.toml");
    screen.wait_for("`?\n$");
    insta::assert_snapshot!("an_error_without_colour", screen.shot());

    screen.run("qemuctl run vm.toml --qemu ./slow-qemu");
    screen.wait_for("setting up the machine");
    insta::assert_snapshot!("run_while_qemu_starts", screen.shot());
    std::fs::write(place.file("gate"), "").expect("opened");
    screen.wait_for("R");
    screen.wait_for("runs as process");
    insta::assert_snapshot!("run_with_its_console", screen.shot());
    screen.press("C-c");
    screen.wait_for("guest shut down\n$");
    insta::assert_snapshot!("run_after_ctrl_c", screen.shot());

    screen.run("qemuctl start deaf.toml; qemuctl list");
    screen.wait_for("64MiB\n$");
    let list = screen.shot();
    let list = regex::Regex::new(r"running +[0-9]+ +[0-9ms ]+")
        .expect("valid")
        .replace(&list, "running PID UPTIME ");
    // The columns are as wide as the process id is long.
    let list = regex::Regex::new(" {2,}").expect("valid").replace_all(&list, "  ");
    insta::assert_snapshot!("list", list);

    screen.run("qemuctl stop deaf --timeout 1000");
    screen.wait_for("waiting for deaf to shut down");
    insta::assert_snapshot!("stop_while_the_guest_is_asked", screen.shot());
    screen.press("C-c");
    screen.wait_for("^C");

    screen.run("qemuctl kill deaf");
    screen.wait_for("deaf is killed");
}

/// The console is the guest's: its shell gets every key, Ctrl-C too, and the size of the window; one key leaves it.
#[test]
fn the_console_is_a_terminal_of_the_guests() {
    let place = Place::new();
    place.write("vm.toml", linux("vm").replace("console=ttyS0", "console=ttyS0 quiet"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    assert_eq!(place.qemuctl(&["wait", "vm", "--for", "agent", "--timeout", "600"]).code, Some(0));
    let screen = Screen::new(&place);

    screen.run("qemuctl console vm");
    screen.wait_for("Ctrl-] leaves");
    // The guest is told the size of the window by its agent, in its own time.
    screen.type_text("PS1='guest# '; until [ \"$(stty size)\" = '30 100' ]; do :; done; clear; stty size");
    screen.press("Enter");
    screen.wait_for("30 100\nguest#");
    screen.resize(80, 24);
    // What is typed appears once: the guest echoes it, our side of the line does not.
    screen.type_text("until [ \"$(stty size)\" = '24 80' ]; do :; done; stty size");
    screen.press("Enter");
    screen.wait_for("\n24 80\nguest#");
    insta::assert_snapshot!("a_console", screen.shot());

    // To a terminal that is not raw these keys are commands; the guest gets their bytes.
    screen.type_text("stty raw -echo; printf 're''ady\\r\\n'; dd bs=1 count=3 2>/dev/null | od -An -tx1 > /tmp/keys; stty sane; cat /tmp/keys");
    screen.press("Enter");
    screen.wait_for("\nready");
    for key in ["C-c", "C-s", "C-z"] {
        screen.press(key);
    }
    screen.wait_for(" 03 13 1a\nguest#");
    insta::assert_snapshot!("a_console_after_keys", screen.shot());
    // To the guest's own terminal they are what they always are.
    screen.type_text("printf 'wait''ing\\r\\n'; sleep 1000");
    screen.press("Enter");
    screen.wait_for("\nwaiting");
    screen.press("C-c");
    screen.wait_for("^C\nguest#");

    screen.press("C-]");
    screen.wait_for("left vm, which runs on\n$");
    // The terminal is as it was.
    screen.run("stty -a | grep -o ' echo ' && qemuctl status vm | head -n 1");
    screen.wait_for("vm: running\n$");
    insta::assert_snapshot!("after_the_console", screen.shot());
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
}
