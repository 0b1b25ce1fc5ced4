//! What is passed on to QEMU as it is, and who has its standard input.

use super::guest::{POWER_OFF, config, disk};
use super::program::Place;
use crate::support::{VERSIONS, qemu};

/// The config of a VM with these further arguments.
fn with_args(args: &[&str]) -> String {
    config("vm").replace("[\"-display\", \"none\"]", &format!("{args:?}"))
}

#[test]
fn options_that_the_launcher_makes_void_or_that_break_it_are_refused() {
    let place = Place::new();
    place.write("guest.raw", disk(POWER_OFF));
    // Each with what to use instead.
    let refused: [(&[&str], &str); 30] = [
        (&["-S"], "paused = true"),
        (&["--S"], "paused = true"),
        (&["-snapshot"], "snapshot = true"),
        (&["-daemonize"], "qemuctl start"),
        (&["-nographic"], "qemuctl console"),
        (&["-monitor", "stdio"], "qemuctl hmp"),
        (&["-qmp", "stdio"], "qemuctl qmp"),
        (&["-qmp-pretty", "stdio"], "qemuctl qmp"),
        (&["-serial", "stdio"], "serials"),
        (&["-serial", "mon:stdio"], "serials"),
        (&["-parallel", "stdio"], "serials"),
        (&["-debugcon", "stdio"], "serials"),
        (&["-chardev", "stdio,id=a"], "serials"),
        (&["-chardev", "id=a,backend=stdio,mux=on"], "serials"),
        (&["-gdb", "stdio"], "tcp:127.0.0.1:1234"),
        (&["-curses"], "vnc = {}"),
        (&["-display", "curses,charset=CP437"], "vnc = {}"),
        (&["-preconfig"], "remove it"),
        (&["-add-fd", "fd=3,set=1"], "LaunchOptions::descriptors"),
        (&["-runas", "nobody"], "allow_elevate"),
        (&["-chroot", "/"], "allow_elevate"),
        (&["-run-with", "user=nobody"], "allow_elevate"),
        (&["-enable-kvm"], "machine = { accel"),
        (&["-accel", "kvm"], "machine = { accel"),
        (&["-help"], "without the launcher"),
        (&["-version"], "without the launcher"),
        (&["-device", "help"], "without the launcher"),
        (&["-device", "virtio-blk-pci,help"], "without the launcher"),
        (&["-machine", "dumpdtb=a.dtb"], "without the launcher"),
        (&["-dump-vmstate", "a"], "without the launcher"),
    ];
    for (args, instead) in refused {
        place.write("vm.toml", with_args(args));
        let answer = place.qemuctl(&["check", "vm.toml"]);
        assert!(answer.code == Some(4) && answer.err.contains(instead), "{args:?}: {answer:?}");
        assert!(answer.err.contains(args[0]), "{args:?}: {answer:?}");
    }
    // Alone, QEMU has its standard input for itself.
    place.write("vm.toml", with_args(&["-monitor", "stdio", "-S"]));
    let answer = place.qemuctl(&["argv", "vm.toml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
}

#[test]
fn other_options_work_as_they_always_do() {
    let place = Place::new();
    place.write("guest.raw", disk(POWER_OFF));
    let given: [&[&str]; 8] = [
        &["-pidfile", "qemu.pid"],
        &["-monitor", "unix:hmp.sock,server=on,wait=off"],
        &["-qmp", "unix:qmp.sock,server=on,wait=off"],
        &["-no-reboot", "-msg", "timestamp=on"],
        &["-gdb", "unix:gdb.sock,server=on,wait=off"],
        &["-fw_cfg", "name=opt/org.example/a,string=-S"],
        // An argument of an option is no option, whatever it looks like.
        &["-name", "-S"],
        &["-serial", "file:stdio"],
    ];
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64").display().to_string();
        for args in given {
            place.write("vm.toml", with_args(args));
            let answer = place.qemuctl(&["run", "vm.toml", "--qemu", &program]);
            assert!(
                answer.code == Some(0) && answer.out.starts_with("R\n"),
                "{args:?} on {version}: {answer:?}"
            );
        }
    }
}

#[test]
fn a_serial_port_on_stdio_is_on_the_launchers_own() {
    let place = Place::new();
    place.write("guest.raw", disk(POWER_OFF));
    let with = |line: &str| config("vm").replace("disks =", &format!("{line}\ndisks ="));
    place.write("vm.toml", with("serials = [\"stdio\"]"));
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64").display().to_string();
        let answer = place.qemuctl(&["run", "vm.toml", "--qemu", &program]);
        assert!(answer.code == Some(0) && answer.out.starts_with("R\n"), "{version}: {answer:?}");
    }
    let others = "chardevs = [{ id = \"a\", backend = \"stdio\" }]\nserials = [{ chardev = \"a\" }]";
    place.write("vm.toml", with(others));
    let answer = place.qemuctl(&["run", "vm.toml"]);
    assert!(answer.code == Some(0) && answer.out.starts_with("R\n"), "{answer:?}");
}
