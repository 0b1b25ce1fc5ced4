//! Passwords that no other user of the host sees: not on a command line, not in what is printed.

use std::io::Write;
use std::process::{Output, Stdio};

use super::guest::{DEAF, config, disk};
use super::program::Place;

const PASSWORD: &str = "hunter2";

/// Runs a command with that on its standard input. Nobody may have seen the password in what it said.
fn run(place: &Place, args: &[&str], input: &str) -> Output {
    let mut command = place.command(args);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    // It may be refused unread.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    for bytes in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(bytes);
        assert!(!said.contains(PASSWORD), "{args:?}: {said}");
    }
    output
}

#[test]
fn passwords_come_by_standard_input_or_from_a_file() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    let vnc = "vnc = { password = true }\nvideo = [\"vga\"]\n";
    place.write("vm.toml", config("vm").replace("disks =", &format!("{vnc}disks =")));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let object = format!(r#"{{"protocol": "vnc", "password": "{PASSWORD}"}}"#);
    place.write("password", format!("{PASSWORD}\n"));
    place.write("arguments.json", &object);
    let hmp = format!("set_password vnc {PASSWORD}\n");
    let cases: &[(&[&str], &str, i32)] = &[
        (&["vnc", "vm", "--password-stdin"], PASSWORD, 0),
        (&["vnc", "vm", "--password-file", "password"], "", 0),
        (&["vnc", "vm", "--password-file", "gone"], "", 1),
        (&["vnc", "vm", "--password"], PASSWORD, 2),
        (&["vnc", "vm", "--password", "--password-stdin"], PASSWORD, 2),
        (&["-v", "qmp", "vm", "set_password", "-"], &object, 0),
        (&["-v", "qmp", "vm", "set_password", "@arguments.json"], "", 0),
        // What is wrong with it is told without it.
        (&["-v", "qmp", "vm", "set_password", "-"], &object[..object.len() - 1], 2),
        (&["qmp", "vm", "set_password", &object[..object.len() - 1]], "", 2),
        (&["qmp", "vm", "set_password", "@gone.json"], "", 1),
        (&["-v", "hmp", "vm", "-"], &hmp, 0),
    ];
    for (args, input, code) in cases {
        let output = run(&place, args, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
    }
    let seen = run(&place, &["qmp", "vm", "set_password", &object], "");
    let said = String::from_utf8_lossy(&seen.stderr).into_owned();
    assert!(said.contains("other users of this host could see the password"), "{said}");
}
