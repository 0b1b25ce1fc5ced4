//! The program in a real terminal: colours, progress, keys.

use std::os::unix::fs::PermissionsExt;

use super::guest::{DEAF, OBEDIENT, config, disk, linux};
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
    screen.wait_for("(process ");
    insta::assert_snapshot!("run_with_its_console", screen.shot());
    // Every key is the guest's, but for the one that opens the menu.
    screen.press("C-c");
    screen.press("C-]");
    screen.wait_for("s stop");
    screen.type_text("?s");
    screen.wait_for("guest shut down\n$");
    insta::assert_snapshot!("run_after_its_menu", screen.shot());
    // The terminal is as it was.
    screen.run("stty -a | grep -o 'isig icanon' && stty -a | grep -o ' echo '");
    screen.wait_for("isig icanon");
    screen.wait_for(" echo\n$");

    screen.run("qemuctl start deaf.toml; qemuctl list");
    screen.wait_for("64MiB\n$");
    let list = screen.shot();
    let list = regex::Regex::new(r"running(\S*) +[0-9]+ +[0-9ms ]+")
        .expect("valid")
        .replace(&list, "running$1 PID UPTIME ");
    // The columns are as wide as the process id is long.
    let list = regex::Regex::new(" {2,}").expect("valid").replace_all(&list, "  ");
    insta::assert_snapshot!("list", list);

    screen.run("qemuctl stop deaf --timeout 1000");
    screen.wait_for("waiting for deaf to shut down");
    insta::assert_snapshot!("stop_while_the_guest_is_asked", screen.shot());
    screen.press("C-c");
    screen.wait_for("^C");

    screen.run("qemuctl kill deaf");
    screen.wait_for("killed deaf");
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
    screen.wait_for_prompt("/ #");
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
    screen.wait_for("left the console of vm, which is still running\n$");
    // The terminal is as it was.
    screen.run("stty -a | grep -o ' echo ' && qemuctl status vm | head -n 1");
    screen.wait_for("vm: running\n$");
    insta::assert_snapshot!("after_the_console", screen.shot());
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
}

#[test]
fn the_console_of_run_gives_the_guest_every_key() {
    let place = Place::new();
    place.write("vm.toml", linux("vm").replace("console=ttyS0", "console=ttyS0 quiet"));
    let screen = Screen::new(&place);
    screen.run("qemuctl run --escape ^A vm.toml");
    screen.wait_for("/ #");
    screen.type_text("printf 'wait''ing\\r\\n'; sleep 1000");
    screen.press("Enter");
    screen.wait_for("\nwaiting");
    screen.press("C-c");
    screen.type_text("echo still-$((40 + 2))");
    screen.press("Enter");
    screen.wait_for("still-42");
    // The menu leads back, and can send its own key.
    screen.press("C-a");
    screen.wait_for("Ctrl-A send Ctrl-A");
    screen.type_text(
        "cstty -icanon -echo; printf 're''ady\\r\\n'; dd bs=1 count=1 2>/dev/null | od -An -tx1; stty sane",
    );
    screen.press("Enter");
    screen.wait_for("\nready");
    screen.press("C-a");
    screen.press("C-a");
    screen.wait_for("\n 01");
    screen.press("C-a");
    screen.type_text("k");
    screen.wait_for("killed by SIGKILL\n$");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

/// A job in the background is stopped by the kernel if it touches the terminal.
#[test]
fn in_the_background_the_terminal_is_left_alone_until_it_is_ours() {
    let place = Place::new();
    place.write("guest.raw", disk(OBEDIENT));
    place.write("vm.toml", config("vm"));
    let screen = Screen::new(&place);

    screen.run("timeout 5 qemuctl run vm.toml; echo ended with $?");
    screen.wait_for("vm: guest shut down");
    screen.wait_for("ended with 124");

    screen.run("qemuctl run vm.toml &");
    screen.wait_for("R");
    screen.wait_for("opens a menu");
    // The terminal is the shell's.
    screen.press("Enter");
    screen.type_text("stty -a | grep -o ' icanon '; qemuctl status vm | head -n 1");
    screen.press("Enter");
    screen.wait_for(" icanon");
    screen.wait_for("vm: running");
    // With the foreground it becomes the guest's.
    screen.type_text("fg");
    screen.press("Enter");
    screen.wait_for("\nqemuctl run vm.toml");
    screen.press("C-]");
    screen.wait_for("s stop");
    screen.type_text("s");
    screen.wait_for("vm: guest shut down\n");
    screen.press("Enter");
    screen.run("stty -a | grep -o ' icanon '");
    screen.wait_for(" icanon");
}
