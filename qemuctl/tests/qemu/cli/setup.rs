//! What a guest is set up with arrives in it: a disk that it can mount, and files and strings of its firmware.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::guest::linux;
use super::program::Place;
use crate::support::{VERSIONS, qemu};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ alice@host";

const GUEST: &str = r#"
[[secrets]]
id = "login"
value = "canary-login"

[guest]
user = "alice"
password_secret = "login"
timezone = "Europe/Berlin"
packages = ["nginx"]
run = ["echo 'it''s'"]
files = [{ path = "/etc/motd", text = "hello\n", mode = "0600" }]
"#;

/// What a command in the guest prints.
fn inside(place: &Place, command: &str) -> String {
    let output = place
        .command(&["exec", "vm", "--timeout", "60", "--", "sh", "-c", command])
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{command}: {:?}", place.answer(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn start(place: &Place, text: &str) {
    place.write("vm.toml", text);
    std::fs::create_dir_all(place.file("user/.ssh")).expect("made");
    place.write("user/.ssh/id_ed25519.pub", format!("{KEY}\n"));
    place.write("user/.ssh/other.pub", "not a key\n");
    let mut command = place.command(&["start", "vm.toml"]);
    let started = command.env("HOME", place.file("user")).output().expect("the program starts");
    assert!(started.status.success(), "{:?}", place.answer(&started));
    assert_eq!(place.qemuctl(&["wait", "vm", "--for", "agent", "--timeout", "600"]).code, Some(0));
}

/// Random keys and hashes are masked.
fn steady(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, mask) in [
        (r"AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]+ qemuctl", "PUBLIC qemuctl"),
        (r"-----BEGIN [^-]*-----[^-]*-----END [^-]*-----", "PRIVATE"),
        (r"\$6\$[A-Za-z0-9./$=]+", "HASH"),
        (r"qemuctl-[0-9a-f]{16}", "qemuctl-ID"),
    ] {
        text = regex::Regex::new(pattern).expect("valid").replace_all(&text, mask).into_owned();
    }
    text
}

#[test]
fn a_guest_finds_its_disk_and_its_credentials() {
    for version in VERSIONS {
        let place = Place::new();
        let old = qemu("10.0", "qemu-system-x86_64").display().to_string();
        let new = qemu(version, "qemu-system-x86_64").display().to_string();
        start(
            &place,
            &(linux("vm").replace(&old, &new).replace("[machine]", "networks = [\"user\"]\n[machine]")
                + GUEST),
        );
        // The label of FAT12 and FAT16 is in the first sector.
        assert_eq!(
            inside(&place, "dd if=/dev/vda bs=1 skip=43 count=11 2> /dev/null"),
            "cidata     ",
            "{version}"
        );
        inside(&place, "mount -t vfat -o ro /dev/vda /mnt");
        assert_eq!(inside(&place, "ls /mnt"), "meta-data\nuser-data\n", "{version}");
        insta::assert_snapshot!("cloud-init", steady(&inside(&place, "cat /mnt/meta-data /mnt/user-data")));
        let refused = place.qemuctl(&["exec", "vm", "--", "mount", "-o", "remount,rw", "/mnt"]);
        assert_ne!(refused.code, Some(0), "the disk is read-only: {refused:?}");

        let folder = "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials";
        inside(&place, "modprobe qemu_fw_cfg");
        let credentials = inside(
            &place,
            &format!("cd {folder} && for name in *; do echo \"$name: $(cat $name/raw)\"; done"),
        );
        let strings = inside(&place, "strings /sys/firmware/dmi/tables/DMI | grep credential");
        insta::assert_snapshot!("systemd", steady(&decoded(&format!("{credentials}{strings}"))));

        // Nothing of it is seen by other users of the host.
        let arguments = std::fs::read(format!("/proc/{}/cmdline", place.pid("vm"))).expect("it runs");
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        for secret in ["canary", "$6$", "BEGIN", "AAAAC3"] {
            assert!(!arguments.contains(secret), "{arguments}");
        }
        for name in place.leftovers().iter().filter(|name| name.strip_suffix(".sock").is_none()) {
            let mode = place.sockets().join(name).metadata().expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
        let list: Value = {
            let output = place.command(&["status", "vm", "--json"]).output().expect("the program starts");
            serde_json::from_slice(&output.stdout).expect("JSON")
        };
        assert_eq!(list["ports"][0]["guest_port"], 22, "{list}");
        assert!(place.qemuctl(&["status", "vm"]).out.contains("guest port 22: qemuctl ssh vm\n"));
        let settings = place.qemuctl(&["ssh-config", "vm"]);
        let port = list["ports"][0]["host_port"].to_string();
        insta::assert_snapshot!("ssh-config", settings.whole().replace(&port, "PORT"));
        assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
        assert_eq!(place.leftovers(), [""; 0]);
    }
}

/// Shows the base64 of credentials as text.
fn decoded(text: &str) -> String {
    use base64::Engine as _;
    let word = regex::Regex::new(r"[A-Za-z0-9+/]{8,}={0,2}(?:\n|$)").expect("valid");
    let show = |found: &regex::Captures<'_>| {
        let encoded = found[0].trim_end();
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok();
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(text) => format!("\n    {}\n", text.trim_end().replace('\n', "\n    ")),
            None => found[0].to_owned(),
        }
    };
    word.replace_all(text, show).into_owned()
}

#[test]
fn a_login_without_a_guest_that_answers_ends_in_time() {
    let place = Place::new();
    start(&place, &(linux("vm").replace("[machine]", "networks = [\"user\"]\n[machine]") + "[guest]\n"));
    let late = place.qemuctl(&["ssh", "vm", "--timeout", "2s", "--", "true"]);
    insta::assert_snapshot!(late.whole());
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));

    place.write("vm.toml", linux("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    insta::assert_snapshot!(place.qemuctl(&["ssh", "vm"]).whole());
    insta::assert_snapshot!(place.qemuctl(&["ssh", "vm", "--user", "alice"]).whole());
}

/// A machine keeps its keys, so that its guest is the same one at its next start, and a clone has its own.
#[test]
fn a_machine_keeps_its_keys_and_a_clone_has_others() {
    let place = Place::new();
    place.write("guest.raw", super::guest::disk(super::guest::POWER_OFF));
    let qemu = qemu("10.0", "qemu-system-x86_64").display().to_string();
    let args =
        ["create", "web", "guest.raw", "--qemu", &qemu, "-m", "64M", "--accel", "tcg", "--arch", "x86_64"];
    let created = place.qemuctl(&[&args[..], &["--user", "alice"]].concat());
    assert_eq!(created.code, Some(0), "{created:?}");
    let keys = |name: &str| {
        let read = |file: &str| std::fs::read_to_string(place.file(&format!("home/machines/{name}/{file}")));
        ["ssh_key", "ssh_host_key"].map(|file| read(file).unwrap_or_default())
    };
    for _ in 0..2 {
        let ran = place.qemuctl(&["run", "web", "--no-console"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let first = keys("web");
    assert!(first.iter().all(|key| key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----")), "{first:?}");
    assert_eq!(place.qemuctl(&["run", "web", "--no-console"]).code, Some(0));
    assert!(keys("web") == first, "they are the same");
    assert_eq!(place.qemuctl(&["clone", "web", "copy"]).code, Some(0));
    assert_eq!(place.qemuctl(&["run", "copy", "--no-console"]).code, Some(0));
    assert!(keys("copy").iter().zip(&first).all(|(one, other)| !one.is_empty() && one != other));
    assert_eq!(place.leftovers(), [""; 0]);
}
