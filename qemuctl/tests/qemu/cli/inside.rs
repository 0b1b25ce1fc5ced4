//! What is done inside a Linux guest, and to its disks. One guest serves all of it: its start takes longest.

use std::io::Write;
use std::process::Stdio;

use super::guest::linux;
use super::program::{Answer, Place};

/// Runs a command with that on its standard input.
fn with_input(place: &Place, args: &[&str], input: &[u8]) -> Answer {
    let mut command = place.command(args);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    place.answer(&child.wait_with_output().expect("it ends"))
}

/// Times and temporary names differ from run to run.
fn steady(text: &str) -> String {
    let text = regex::Regex::new(r"in [0-9.]+ s").expect("valid").replace_all(text, "in N s").into_owned();
    let text = regex::Regex::new(r#""seconds":[0-9.]+"#).expect("valid").replace_all(&text, "\"seconds\":N");
    text.into_owned()
}

#[test]
fn programs_run_and_files_travel_inside_a_guest() {
    let place = Place::new();
    place.write("vm.toml", linux("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    assert_eq!(place.qemuctl(&["wait", "vm", "--for", "agent", "--timeout", "600"]).code, Some(0));
    let content: Vec<u8> = (0..2_500_000_u32).map(|number| (number % 251) as u8).collect();
    place.write("big", &content);
    place.write("tool.sh", "#!/bin/sh\necho $0 $*\n");
    std::fs::set_permissions(place.file("tool.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("executable");
    let commands: &[&[&str]] = &[
        &["exec", "vm", "uname", "-s"],
        &[
            "exec",
            "vm",
            "-e",
            "A=1 2",
            "-e",
            "QEMUCTL_SOCKET_DIR",
            "-w",
            "/tmp",
            "sh",
            "-c",
            "echo $A $QEMUCTL_SOCKET_DIR; pwd; echo err >&2; exit 7",
        ],
        &["exec", "vm", "--json", "--", "sh", "-c", "echo out; echo err >&2; kill -9 $$"],
        &["exec", "vm", "nosuch", "--help"],
        &["exec", "vm", "/etc"],
        &["exec", "vm", "-w", "/nosuch", "ls"],
        &["exec", "vm", "--timeout", "1", "sleep", "1000"],
        &["exec", "vm", "--env", "NOT_SET_HERE", "env"],
        &["exec", "wm", "ls"],
        &["cp", "big", "vm:/tmp/"],
        &["cp", "vm:/tmp/big", "back"],
        &["cp", "tool.sh", "vm:/tmp/tool.sh"],
        &["exec", "vm", "/tmp/tool.sh", "-x", "y"],
        &["cp", "vm:/proc/sys/kernel/ostype", "-"],
        &["cp", "--json", "vm:/tmp/tool.sh", "."],
        &["cp", "vm:/etc", "."],
        &["cp", ".", "vm:/tmp"],
        &["cp", "big", "vm:/nosuch/big"],
        &["cp", "vm:/nosuch", "."],
        &["cp", "vm:/tmp/big", "/nosuch/big"],
        &["cp", "gone", "vm:/tmp"],
        &["cp", "big", "back"],
        &["cp", "vm:/tmp/big", "vm:/tmp/other"],
        &["cp", "big", "vm:"],
    ];
    let mut told: Vec<String> = commands
        .iter()
        .map(|args| format!("$ qemuctl {}\n{}\n", args.join(" "), place.qemuctl(args).whole()))
        .collect();
    let typed = with_input(&place, &["exec", "vm", "--stdin", "wc", "-c"], &content);
    told.push(format!("$ qemuctl exec vm --stdin wc -c < big\n{}\n", typed.whole()));
    let piped = with_input(&place, &["cp", "-", "vm:/tmp/piped"], b"from a pipe");
    told.push(format!("$ qemuctl cp - vm:/tmp/piped\n{}\n", piped.whole()));
    // A file system that is full tells so, and what to do.
    let full = "mkdir /small && mount -t tmpfs -o size=1M none /small";
    assert_eq!(place.qemuctl(&["exec", "vm", "sh", "-c", full]).code, Some(0));
    told.push(format!(
        "$ qemuctl cp big vm:/small/\n{}\n",
        place.qemuctl(&["cp", "big", "vm:/small/"]).whole()
    ));
    // Nothing of all that is left lying about in the guest.
    told.push(place.qemuctl(&["exec", "vm", "ls", "/tmp"]).whole());
    insta::assert_snapshot!(steady(&told.join("\n")));
    assert!(std::fs::read(place.file("back")).expect("copied") == content, "the copy is the original");
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
}
