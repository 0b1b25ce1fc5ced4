//! What the program says of an end, of a launch that the system refused, and of a word to the VM that was not obeyed.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{DEAF, OBEDIENT, POWER_OFF, config, disk};
use super::program::Place;
use crate::support::VERSIONS;

fn place(guest: &[u8], more: &str) -> Place {
    let place = Place::new();
    place.write("guest.raw", disk(guest));
    place.write("vm.toml", config("vm").replace("disks =", &format!("{more}disks =")));
    place
}

#[test]
fn a_guest_that_does_not_obey_has_an_exit_code_of_its_own() {
    let place = place(DEAF, "");
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let answer = place.qemuctl(&["stop", "vm", "--timeout", "1"]);
    assert_eq!(answer.code, Some(6), "{answer:?}");
    insta::assert_snapshot!(
        answer.err,
        @"error: vm did not shut down within 1 s; QEMU was stopped (by `quit`), like a power cut"
    );
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let answer = place.qemuctl(&["stop", "vm", "--timeout", "1", "--json"]);
    assert!(answer.code == Some(6) && answer.out.contains("\"clean\":false"), "{answer:?}");
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let answer = place.qemuctl(&["stop", "vm", "--timeout", "0"]);
    insta::assert_snapshot!(answer.err.split(", ").next().expect("a part"), @"stopped vm without a guest shutdown (by `quit`)");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn a_guest_that_panics_ends_run_without_a_word_in_its_config() {
    // mov dx,0x505; mov al,1; out dx,al
    const PANIC: &[u8] = &[0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd];
    let panics = place(PANIC, "");
    insta::assert_snapshot!(panics.qemuctl(&["run", "vm.toml"]).whole(), @"
    R
    started vm (process N)
    error: vm: guest panicked
    exit code 10
    ");
    let argv = |more: &str| place(PANIC, more).qemuctl(&["argv", "vm.toml"]).out;
    assert!(argv("").contains("pvpanic"));
    assert!(!argv("pvpanic = \"none\"\n").contains("pvpanic"));
}

#[test]
fn a_guest_that_does_not_obey_ends_run_with_a_code_of_its_own() {
    let place = place(DEAF, "");
    let mut program = place.background(&["run", "vm.toml", "--grace", "1"], "R");
    kill(Pid::from_raw(program.pid()), Signal::SIGTERM).expect("the process is there");
    let answer = place.answer(&program.end());
    assert_eq!(answer.code, Some(6), "{answer:?}");
    assert!(answer.err.contains("error: vm did not shut down within 1 s; QEMU was stopped"), "{answer:?}");
}

#[test]
fn words_of_power_tell_what_the_vm_does_then() {
    let place = place(POWER_OFF, "actions = { shutdown = \"pause\" }\n");
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    assert_eq!(place.qemuctl(&["wait", "vm", "--for", "shutdown", "--timeout", "60"]).code, Some(0));
    let told = [&["pause", "vm"][..], &["reset", "vm"], &["pause", "vm"], &["kill", "--quiet", "vm"]]
        .map(|args| place.qemuctl(args).whole());
    insta::assert_snapshot!(told.join("\n"), @"
    error: cannot pause vm: the guest has shut down
    exit code 1
    reset vm; it is paused, run `qemuctl resume vm`
    exit code 0
    paused vm
    exit code 0
    exit code 0
    ");
}

#[test]
fn the_monitors_errors_are_failures_on_every_version() {
    for version in VERSIONS {
        let place = Place::new();
        place.write("guest.raw", disk(OBEDIENT));
        place.write("vm.toml", config("vm").replace("/10.0/", &format!("/{version}/")));
        assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0), "{version}");
        for command in [
            "nonsense",
            "info nonsense",
            "device_del nothing",
            "sendkey nonsense",
            "sendkey",
            "drive_add 0 file=/nothing,if=none",
            "loadvm nothing",
            "hostfwd_add tcp::1-:1",
            "commit nothing",
            "trace-event nonsense on",
            "cont and more",
        ] {
            let answer = place.qemuctl(&["hmp", "vm", command]);
            assert!(answer.code == Some(1) && answer.out.is_empty(), "{command} on {version}: {answer:?}");
            assert!(answer.err.starts_with("error: "), "{command} on {version}: {answer:?}");
        }
        for command in ["info status", "info version", "info block", "help", "stop", "info qtree", "cont"] {
            let answer = place.qemuctl(&["hmp", "vm", command]);
            assert!(answer.code == Some(0) && answer.err.is_empty(), "{command} on {version}: {answer:?}");
        }
        assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    }
}

#[test]
fn a_launch_that_the_system_refused_tells_what_it_said() {
    let long = "A".repeat(200_000);
    let place = place(DEAF, "");
    let file = |name: &str, more: &str| {
        place.write(name, config("vm").replace("disks =", &format!("{more}disks =")));
    };
    file("text.toml", &format!("fw_cfg = [{{ name = \"opt/a\", text = \"{long}\" }}]\n"));
    for command in ["check", "run", "start"] {
        let answer = place.qemuctl(&[command, "text.toml"]);
        assert_eq!(answer.code, Some(4), "{command}: {}", &answer.err[..300.min(answer.err.len())]);
        let said = "the text has 200005 bytes, but a program argument can have at most 131071";
        assert!(answer.err.contains(said) && answer.err.contains("fw_cfg"), "{command}: {}", answer.err);
    }
    let answer = |script: &str| {
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", script, "bash", env!("CARGO_BIN_EXE_qemuctl")]).current_dir(place.file(""));
        bash.env("QEMUCTL_SOCKET_DIR", place.sockets()).stdin(Stdio::null());
        place.answer(&bash.output().expect("bash starts")).whole()
    };
    // Each of them fits; all of them do not.
    let texts = vec![format!("\"{}\"", "A".repeat(100_000)); 30].join(", ");
    file("texts.toml", &format!("smbios = {{ oem_strings = [{texts}] }}\n"));
    insta::assert_snapshot!(answer("ulimit -s 8192; exec \"$1\" run texts.toml"), @"
    error: cannot start vm: the command line is too long: Argument list too long (-smbios has 100014 bytes) while starting the process
    help: move long texts into files, for example with `file` in `fw_cfg`
    exit code 1
    ");

    let told = answer("ulimit -n 16; exec \"$1\" run vm.toml");
    assert!(told.contains("Too many open files") && told.contains("exit code 1"), "{told}");

    std::fs::create_dir_all(place.sockets().join("vm.log")).expect("a directory in its way");
    insta::assert_snapshot!(place.qemuctl(&["start", "vm.toml"]).whole(), @"
    error: cannot start vm: the system refused: cannot write DIR/run/vm.log: Is a directory while preparing
    help: -v shows QEMU's command line
    exit code 1
    ");
}
