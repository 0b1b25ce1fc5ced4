//! What people get wrong, and what the program answers: one transcript, to be read aloud. Each answer should say what is
//! wrong, where, why, and what to do.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{DEAF, config, disk};
use super::program::Place;

/// Config files, each with one mistake: its name, and what is changed in a valid one.
const CONFIGS: &[(&str, &str, &str)] = &[
    ("wrong-field.toml", "memory = ", "memry = "),
    ("wrong-unit.toml", "\"64MiB\"", "\"64 megs\""),
    ("wrong-type.toml", "\"64MiB\"", "\"64MiB\"\ncpu = \"four\""),
    ("wrong-word.toml", "\"tcg\"", "\"kvn\""),
    ("wrong-format.toml", "[\"guest.raw\"]", "[{ backend = \"guest.raw\", format = \"qcow3\" }]"),
    ("no-quotes.toml", "\"64MiB\"", "64MiB"),
    ("no-such-image.toml", "guest.raw", "gone.raw"),
    (
        "no-such-secret-file.toml",
        "\n[machine]",
        "\nsecrets = [{ id = \"key\", file = \"gone.key\" }]\n[machine]",
    ),
    (
        "secret-in-the-wrong-field.toml",
        "\n[machine]",
        "\nsecrets = [{ id = \"key\", valeu = \"hunter2\" }]\n[machine]",
    ),
    ("secret-as-a-number.toml", "\n[machine]", "\n[[secrets]]\nid = \"key\"\nvalue = 4711\n[machine]"),
    ("secret-without-quotes.toml", "\n[machine]", "\n[[secrets]]\nid = \"key\"\nvalue = hunter2\n[machine]"),
    (
        "secret-that-is-not-there.toml",
        "[\"guest.raw\"]",
        "[{ backend = \"guest.raw\", key_secret = \"key\" }]",
    ),
    ("name-with-a-slash.toml", "\"vm\"", "\"a/b\""),
    ("unknown-device.toml", "\n[machine]", "\ndevices = [{ driver = \"virtio-nonsense\" }]\n[machine]"),
    (
        "unknown-property.toml",
        "\n[machine]",
        "\ndevices = [{ driver = \"virtio-rng-pci\", properties = { nonsense = 1 } }]\n[machine]",
    ),
    ("unknown-machine.toml", "accel = \"tcg\"", "accel = \"tcg\"\ntype = \"q53\""),
    ("unknown-cpu.toml", "\n[machine]", "\ncpu = { model = \"pentium9\" }\n[machine]"),
    (
        "address-twice.toml",
        "\n[machine]",
        "\ndevices = [{ id = \"a\", driver = \"virtio-rng-pci\", address = \"5\" }, { id = \"b\", driver = \"virtio-rng-pci\", address = \"5\" }]\n[machine]",
    ),
    ("too-much-memory.toml", "\"64MiB\"", "\"4096TiB\""),
];

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("other.raw", disk(DEAF));
    let valid = config("vm");
    for (name, part, mistake) in CONFIGS {
        assert!(valid.contains(part), "{part} is in the valid config");
        place.write(name, valid.replacen(part, mistake, 1));
    }
    place.write("empty.json", "");
    place.write("comma.json", "{\"name\": \"vm\",\n \"memory\": \"1GiB\",\n}\n");
    place.write("qcow2.img", b"QFI\xfb and more");
    place.write("text.sh", "#!/bin/sh\necho this is no QEMU >&2\nexit 1\n");
    std::fs::set_permissions(place.file("text.sh"), PermissionsExt::from_mode(0o755)).expect("executable");
    std::fs::create_dir(place.file("public")).expect("a directory");
    std::fs::set_permissions(place.file("public"), PermissionsExt::from_mode(0o777)).expect("for all");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port().to_string();
    let forward = format!("{port}:22");

    let web = "guest_agent = true\nserials = []\ncdroms = [{ id = \"cdrom0\" }]\n";
    place.write(
        "web.toml",
        config("web").replace("disks =", &format!("{web}disks =")).replace("guest", "other"),
    );
    place.write(
        "web.toml",
        std::fs::read_to_string(place.file("web.toml")).expect("text").replace("other_agent", "guest_agent"),
    );
    place.write("bare.toml", config("bare").replace("[\"guest.raw\"]", "[]"));
    for config in ["web.toml", "bare.toml"] {
        let started = place.qemuctl(&["start", config]);
        assert_eq!(started.code, Some(0), "{started:?}");
    }
    place.write("vm.toml", &valid);
    place.write("locked.toml", valid.replace("guest.raw", "other.raw"));
    kill(Pid::from_raw(place.pid("bare")), Signal::SIGSTOP).expect("the process is there");

    let mut transcript = Vec::new();
    let mut ask = |args: &[&str]| {
        let answer = place.qemuctl(args);
        assert_ne!(answer.code, Some(0), "{args:?}: {answer:?}");
        transcript.push(format!("$ qemuctl {}\n{}\n", args.join(" "), answer.whole()));
    };
    for (name, ..) in CONFIGS {
        ask(&["run", name]);
    }
    for args in [
        &["run", "empty.json"][..],
        &["run", "comma.json"],
        &["run", "qcow2.img"],
        &["run", "public"],
        &["run", "vm.tmol"],
        &["run", "vm.toml", "-m", "2gigs"],
        &["run", "vm.toml", "-p", "ssh:22"],
        &["run", "vm.toml", "-p", &forward],
        &["run", "vm.toml", "--initrd", "other.raw"],
        &["run", "vm.toml", "--qemu", "/nowhere/qemu"],
        &["run", "vm.toml", "--qemu", "./text.sh"],
        &["run", "vm.toml", "--accel", "hvf"],
        &["run", "vm.toml", "--arch", "vax"],
        &["run", "vm.toml", "--socket-dir", "public"],
        &["run", "locked.toml"],
        &["start", "web.toml"],
        &["statsu", "web"],
        &["status", "wbe"],
        &["status", "/nowhere/web.sock"],
        &["status", "bare"],
        &["qmp", "web", "query-statsu"],
        &["qmp", "web", "query-status", "{"],
        &["qmp", "web", "device_del", "{\"ib\": \"disk0\"}"],
        &["exec", "web", "--wait", "1", "ls"],
        &["exec", "web"],
        &["cp", "vm.toml", "web"],
        &["console", "web"],
        &["screenshot", "web"],
        &["send-key", "web", "ctrl-alt-dleete"],
        &["type", "web", "naïve"],
        &["vnc", "web", "--password-stdin"],
        &["block", "eject", "web", "cdrm0"],
        &["block", "insert", "web", "cdrom0", "gone.iso"],
        &["block", "insert", "web", "disk0", "guest.raw"],
        &["block", "add", "web", "gone.raw"],
        &["block", "add", "web", "guest.raw", "--interface", "scsi"],
        &["block", "add", "web", "other.raw", "--id", "disk0"],
        &["block", "remove", "web", "dsik0"],
        &["block", "remove", "web", "disk0", "--timeout", "1"],
        &["block", "resize", "web", "disk0", "1K"],
        &["throttle", "web", "disk7", "--bytes", "1M"],
        &["throttle", "web", "disk0", "--bytes", "1M", "--read-bytes", "1M"],
        &["wait", "web", "--for", "runing"],
        &["wait", "web", "--timeout", "0"],
        &["events", "web", "--only", "SHUTDWON", "--timeout", "0"],
        &["man", "rnu"],
    ] {
        ask(args);
    }
    let told = transcript.join("\n").replace(&port, "PORT");
    assert!(!told.contains("hunter2") && !told.contains("4711"), "a secret is told: {told}");
    insta::assert_snapshot!(told);
    drop(listener);
}
