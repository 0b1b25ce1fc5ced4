//! Texts of others on the terminal: whatever a guest, QEMU or a file name says, no terminal obeys it.

use std::process::Command;

use super::guest::{DEAF, config, disk};
use super::program::{Answer, Place};

/// Orders to a terminal: set the title, fill the clipboard, clear, write backwards, and the same as one C1 character.
const ORDERS: &str = "\x1b]0;OWNED\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\u{202e}\u{9b}2J\u{2066}";

fn assert_harmless(what: &str, answer: &Answer) {
    let obeyed = |c: char| {
        c != '\n' && (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    let all = format!("{}{}", answer.out, answer.err);
    assert!(!all.contains(obeyed), "{what}: {all:?}");
    assert!(all.contains("OWNED"), "the rest of the text is told, for {what}: {all:?}");
}

#[test]
fn no_text_of_qemus_or_a_files_reaches_the_terminal_as_an_order() {
    let place = Place::new();
    let image = format!("{ORDERS}.raw");
    place.write(&image, disk(DEAF));
    place.write("guest.raw", disk(DEAF));
    let quoted = serde_json::to_string(ORDERS).expect("JSON");
    let disks =
        format!(r#"disks = ["guest.raw", {{ backend = {}, format = "raw" }}]"#, serde_json::json!(image));
    place.write("vm.toml", config("vm").replace("disks = [\"guest.raw\"]", &disks));
    let started = place.qemuctl(&["start", "vm.toml"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let device = format!(r#"{{"id": {quoted}}}"#);
    let node = format!(r#"{{"node-name": {quoted}}}"#);
    let odd = format!("x{ORDERS}");
    let commands: &[&[&str]] = &[
        // QEMU's error texts repeat what it was given.
        &["qmp", "vm", "device_del", &device],
        &["qmp", "vm", "blockdev-del", &node],
        // File names, as text and as JSON.
        &["status", "vm"],
        &["status", "vm", "--json"],
        &["block", "list", "vm"],
        &["qmp", "vm", "query-block"],
        &["hmp", "vm", "info", "block"],
        &["hmp", "vm", &odd],
        // What was typed, in our own errors.
        &["status", &odd],
        &["block", "eject", "vm", &odd],
        &["send-key", "vm", &odd],
    ];
    for command in commands {
        assert_harmless(&format!("{command:?}"), &place.qemuctl(command));
    }
}

#[test]
fn the_name_of_a_qemu_of_others_is_no_order_either() {
    let place = Place::new();
    let socket = place.file("odd.sock");
    let qemu = crate::support::qemu("10.0", "qemu-system-x86_64");
    let name = format!("guest={ORDERS}");
    let mut child = Command::new(qemu)
        .args(["-machine", "none", "-nodefaults", "-display", "none", "-S", "-name", &name, "-qmp"])
        .arg(format!("unix:{},server=on,wait=off", socket.display()))
        .spawn()
        .expect("it starts");
    super::program::until("it listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let path = socket.display().to_string();
    let commands: &[&[&str]] = &[
        &["status", &path],
        &["status", &path, "--json"],
        &["pause", &path],
        &["stop", &path, "--timeout", "0"],
    ];
    for command in commands {
        assert_harmless(&format!("{command:?}"), &place.qemuctl(command));
    }
    let _ = child.kill();
    child.wait().expect("ended");
}
