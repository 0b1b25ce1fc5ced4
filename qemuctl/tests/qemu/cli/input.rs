//! What people get wrong, and what the program answers. Nothing may be left behind.

use std::os::unix::fs::PermissionsExt;

use super::guest::{DEAF, config, disk};
use super::program::Place;

/// Runs the program and looks that nothing of the attempt is left.
fn refused(place: &Place, args: &[&str]) -> String {
    let answer = place.qemuctl(args);
    assert_ne!(answer.code, Some(0), "{answer:?}");
    assert!(place.leftovers().is_empty(), "{:?} after {answer:?}", place.leftovers());
    format!("$ qemuctl {}\n{}\n", args.join(" "), answer.whole())
}

#[test]
fn mistakes_in_a_config_are_told_before_anything_starts() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    let valid = config("vm");
    let files = [
        ("unknown-field.toml", format!("memry = \"2GiB\"\n{valid}")),
        ("missing-disk.toml", valid.replace("guest.raw", "gone.raw")),
        ("name-with-a-way-out.toml", valid.replace("\"vm\"", "\"../x\"")),
        ("empty-name.toml", valid.replace("\"vm\"", "\"\"")),
        ("name-with-nul.toml", valid.replace("\"vm\"", "\"a\\u0000b\"")),
        ("long-name.toml", valid.replace("\"vm\"", &format!("\"{}\"", "x".repeat(120)))),
        ("missing-qemu.toml", valid.replace("qemu = \"", "qemu = \"/nowhere")),
    ];
    let answers: Vec<String> = files
        .iter()
        .map(|(name, text)| {
            place.write(name, text);
            refused(&place, &["run", name])
        })
        .collect();
    let answers = answers.join("\n").replace(&"x".repeat(120), "x…");
    insta::assert_snapshot!(answers, @r#"
    $ qemuctl run unknown-field.toml
    error: unknown-field.toml:1:1: unknown field `memry`
     1 | memry = "2GiB"
       | ^^^^^ did you mean `memory`?
    exit code 4

    $ qemuctl run missing-disk.toml
    error: missing-disk.toml:5:10: disks[0].backend: cannot open DIR/gone.raw: No such file or directory
     5 | disks = ["gone.raw"]
       |          ^^^^^^^^^^
    exit code 4

    $ qemuctl run name-with-a-way-out.toml
    error: name-with-a-way-out.toml:1:8: name: invalid name "../x": it must not begin with a dot or a dash
     1 | name = "../x"
       |        ^^^^^^
    exit code 4

    $ qemuctl run empty-name.toml
    error: empty-name.toml:1:8: name: invalid name "": it is empty
     1 | name = ""
       |        ^^
    exit code 4

    $ qemuctl run name-with-nul.toml
    error: name-with-nul.toml:1:8: name: invalid name "a\0b": it contains a control character
     1 | name = "a\u0000b"
       |        ^^^^^^^^^^
    exit code 4

    $ qemuctl run long-name.toml
    error: long-name.toml:1:8: name: "DIR/run/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" has N bytes, but the path of a Unix socket can have at most 107
     1 | name = "x…"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    long-name.toml:1:8: name: "DIR/run/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" has N bytes, but the path of a Unix socket can have at most 107
     1 | name = "x…"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    exit code 4

    $ qemuctl run missing-qemu.toml
    error: no QEMU at /nowhere/QEMU: No such file or directory
    exit code 1
    "#);
}

#[test]
fn a_qemu_that_dies_at_once_is_told_in_its_own_words() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm").replace("\"none\"", "\"none\", \"-device\", \"nonsense\""));
    let not_qemu = place.write("not-qemu", "#!/bin/sh\necho nothing to see here >&2\nexit 3\n");
    std::fs::set_permissions(&not_qemu, PermissionsExt::from_mode(0o755)).expect("executable");
    let answers =
        [refused(&place, &["run", "vm.toml"]), refused(&place, &["run", "vm.toml", "--qemu", "./not-qemu"])];
    insta::assert_snapshot!(answers.join("\n"), @"
    $ qemuctl run vm.toml
    error: cannot start vm: unknown device while setting up the machine (QEMU exited with exit code 1)
      qemu-system-x86_64: -device nonsense: 'nonsense' is not a valid device model name
    help: choose one that this QEMU supports, or install the package that provides it
    exit code 1

    $ qemuctl run vm.toml --qemu ./not-qemu
    error: DIR/not-qemu does not answer like QEMU: nothing to see here
    exit code 1
    ");
}

#[test]
fn a_second_vm_of_the_same_name_is_refused_and_the_first_lives_on() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("other.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    place.write("other.toml", config("vm").replace("guest.raw", "other.raw"));
    let _first = place.background(&["run", "vm.toml"], "R");
    insta::assert_snapshot!(place.qemuctl(&["run", "other.toml"]).whole(), @"
    error: a VM called vm is already running (another launcher)
    help: `qemuctl status vm` shows it; choose another name with --name
    exit code 1
    ");
    assert_eq!(place.qemuctl(&["status", "vm"]).code, Some(0));
    insta::assert_snapshot!(place.qemuctl(&["run", "vm.toml", "--name", "twin"]).whole(), @r#"
    error: cannot start twin: a disk image is in use by another process while setting up the machine (QEMU exited with exit code 1)
      qemu-system-x86_64: -device {"driver":"virtio-blk-pci","id":"disk0","bus":"rp1","addr":"0x0","drive":"disk0"}: Failed to get "write" lock
      Is another process using the image [DIR/guest.raw]?
    help: stop the other VM or tool that uses the image, or open the image read-only in both
    exit code 1
    "#);
}

#[test]
fn mistakes_on_the_command_line_are_told_with_a_way_on() {
    let place = Place::new();
    place.write("vm.toml", config("vm"));
    place.write("image.img", b"QFI\xfb");
    let mistakes: &[&[&str]] = &[
        &["rum", "vm.toml"],
        &["run"],
        &["run", "vm.tml"],
        &["run", "image.img"],
        &["run", "vm.toml", "-m", "2 gigs"],
        &["run", "vm.toml", "--forward", "ssh:22"],
        &["run", "vm.toml", "--accel", "kvn"],
        &["run", "vm.toml", "--cpus", "0"],
        &["status", "web"],
        &["stop"],
        &["qmp", "web", "query-status", "{"],
        &["qmp", "web", "query-status", "[1]"],
        &["list", "--names", "--json"],
    ];
    let answers: Vec<String> = mistakes.iter().map(|args| refused(&place, args)).collect();
    insta::assert_snapshot!(answers.join("\n"), @r#"
    $ qemuctl rum vm.toml
    error: unrecognized subcommand 'rum'

      tip: some similar subcommands exist: 'run', 'resume'

    Usage: qemuctl [OPTIONS] <COMMAND>

    For more information, try '--help'.
    exit code 2

    $ qemuctl run
    error: the following required arguments were not provided:
      <FILE>

    Usage: qemuctl run <FILE>

    For more information, try '--help'.
    exit code 2

    $ qemuctl run vm.tml
    error: cannot open vm.tml: No such file or directory
    help: give a config file (.toml, .json), a disk image, an ISO image or a kernel
    exit code 1

    $ qemuctl run image.img
    error: image.img is a qcow2 image, but would be read as raw
    help: give its format with `--format qcow2`, or `--format raw` if the guest is meant to see the raw bytes; it is never guessed
    exit code 4

    $ qemuctl run vm.toml -m 2 gigs
    error: invalid value '2 gigs' for '--memory <SIZE>': "2 gigs" is not a valid size; expected for example 2GiB, 512MiB, 64KiB or a number of bytes

    For more information, try '--help'.
    exit code 2

    $ qemuctl run vm.toml --forward ssh:22
    error: invalid value 'ssh:22' for '--forward <PORTS>': expected for example 2222:22, 127.0.0.1:8080:80 or 5353:53/udp

    For more information, try '--help'.
    exit code 2

    $ qemuctl run vm.toml --accel kvn
    error: invalid value 'kvn' for '--accel <ACCEL>': possible values: auto, kvm, hvf, whpx, tcg

    For more information, try '--help'.
    exit code 2

    $ qemuctl run vm.toml --cpus 0
    error: invalid value '0' for '--cpus <COUNT>': 0 is not in 1..=4294967295

    For more information, try '--help'.
    exit code 2

    $ qemuctl status web
    error: no running VM called "web" (looked in DIR/run)
    help: no VM is running there; start one with `qemuctl run` or `qemuctl start`
    exit code 3

    $ qemuctl stop
    error: the following required arguments were not provided:
      <VM>...

    Usage: qemuctl stop <VM>...

    For more information, try '--help'.
    exit code 2

    $ qemuctl qmp web query-status {
    error: the arguments are not valid JSON: EOF while parsing an object at line 1 column 1
    help: give an object in single quotes: '{"id": "net1"}'
    exit code 2

    $ qemuctl qmp web query-status [1]
    error: the arguments are not a JSON object
    help: give an object in single quotes: '{"id": "net1"}'
    exit code 2

    $ qemuctl list --names --json
    error: the argument '--names' cannot be used with '--json'

    Usage: qemuctl list --names

    For more information, try '--help'.
    exit code 2
    "#);
}
