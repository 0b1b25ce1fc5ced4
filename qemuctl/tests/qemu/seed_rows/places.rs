//! Sections "Socket Locations" and "QEMU Binary Discovery".

use std::process::Command;

use qemuctl::runtime::default_socket_dir;
use qemuctl::{config::Arch, qemu_discovery};

use crate::own_process::{command, is_role};
use crate::support::qemu;

/// The directory as a process with this environment sees it.
fn seen_by(name: &str, variables: &[(&str, &str)]) -> String {
    let mut command: Command = command(name);
    let output = command.envs(variables.iter().copied()).output().expect("the test program starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("answer: "));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

#[test]
fn socket_locations() {
    const NAME: &str = "seed_rows::places::socket_locations";
    if is_role(NAME) {
        println!("\nanswer: {}", default_socket_dir().expect("there is a place").display());
        return;
    }
    let expected =
        if rustix::process::geteuid().is_root() { "/var/run/qemu" } else { "/cache of mine/qemuctl" };
    assert_eq!(seen_by(NAME, &[("XDG_CACHE_HOME", "/cache of mine")]), expected);
}

#[test]
fn qemu_binary_discovery() {
    const NAME: &str = "seed_rows::places::qemu_binary_discovery";
    if is_role(NAME) {
        let found = qemu_discovery::find_binary(Arch::S390x, None).expect("it is in PATH");
        println!("\nanswer: {}", found.display());
        return;
    }
    // One that is named goes first, then PATH.
    let named = qemu("10.0", "qemu-system-s390x");
    assert_eq!(qemu_discovery::find_binary(Arch::S390x, Some(&named)).expect("it is there"), named);
    let bin = named.parent().expect("a directory").to_str().expect("UTF-8");
    assert_eq!(seen_by(NAME, &[("PATH", bin)]), named.display().to_string());
}
