//! Logs in to Debian systems as they are installed, with what the section `guest` sets up. `cargo xtask login` runs it.

#[path = "../qemu/cli/program.rs"]
#[expect(dead_code, reason = "not every way to run the program is needed here")]
mod program;
#[path = "../qemu/support.rs"]
#[expect(dead_code, reason = "not everything is needed here")]
mod support;

use program::{Answer, Place};
use support::{dir_from, qemu};

/// Runs a command that has to succeed.
fn done(place: &Place, args: &[&str]) -> Answer {
    let answer = place.qemuctl(args);
    assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    answer
}

/// What a command in the guest prints.
fn inside(place: &Place, command: &str) -> String {
    done(place, &["ssh", "vm", "--timeout", "15m", "--", command]).out
}

/// Creates a machine of the image `name` with a user and more.
fn create(place: &Place, name: &str, more: &str) {
    let image = |file: &str| {
        let path = dir_from("QEMUCTL_CLOUD_DIR", "cloud").join(name).join(file);
        assert!(path.exists(), "{} is missing: run `cargo xtask login`", path.display());
        path.display().to_string()
    };
    std::fs::create_dir(place.file("share")).expect("made");
    place.write("share/file", "shared\n");
    place.write("password", "open sesame\n");
    place.write("notes", "from the host\n");
    let text = format!(
        r#"qemu = "{}"
arch = "x86_64"
memory = "1GiB"
cpu = 2
machine = {{ type = "q35", accel = "tcg" }}
networks = ["user"]
rng = {{}}
shares = [{{ type = "9p", tag = "src", path = "share" }}]
secrets = [{{ id = "login", file = "password" }}]
disks = [{{ backend = "{}", snapshot = true }}]
boot = {{ kernel = "{}", initrd = "{}", append = "console=ttyS0 root=/dev/vda rw" }}

[guest]
user = "alice"
password_secret = "login"
hostname = "box"
timezone = "Europe/Berlin"
mounts = [{{ share = "src", path = "/srv/src" }}]
files = [
  {{ path = "/etc/notes", source = "notes", mode = "0640", owner = "alice" }},
  {{ path = "/etc/motto", text = "one\ntwo\n" }},
]
{more}
"#,
        qemu("10.0", "qemu-system-x86_64").display(),
        image("root.raw"),
        image("vmlinuz"),
        image("initrd"),
    );
    place.write("vm.toml", text);
    done(place, &["create", "vm", "vm.toml"]);
}

/// What is the same however the image was set up.
fn check(place: &Place) {
    assert_eq!(
        inside(place, "id -un; date +%Z; cat /srv/src/file"),
        "alice\nCET\nshared\n".replace("CET", &zone())
    );
    assert_eq!(
        inside(place, "cat /etc/notes /etc/motto; stat -c %U:%a /etc/notes"),
        "from the host\none\ntwo\nalice:640\n"
    );
    assert_eq!(inside(place, "sudo -n id -un"), "root\n");
    let failed = place.qemuctl(&["ssh", "vm", "--", "exit 7"]);
    assert_eq!(failed.code, Some(7), "{failed:?}");
    // The password is the one of the file, by Perl's own crypt.
    let shadow = inside(place, "sudo -n getent shadow alice");
    let hash = shadow.split(':').nth(1).expect("a hash").to_owned();
    let checked = inside(place, &format!("perl -e 'print crypt(\"open sesame\", q({hash})), \"\\n\"'"));
    assert_eq!(checked.trim_end(), hash);
    // Other programs find it by the settings, and trust no other key than the guest's own.
    let settings =
        done(place, &["ssh-config", "vm"]).out.replace("DIR", &place.file("").display().to_string());
    place.write("ssh_config", settings);
    let other = std::process::Command::new("ssh")
        .arg("-F")
        .arg(place.file("ssh_config"))
        .args(["vm", "uname"])
        .output();
    assert_eq!(String::from_utf8_lossy(&other.expect("ssh is installed").stdout), "Linux\n");
}

/// The name of Berlin's time today.
fn zone() -> String {
    let date = std::process::Command::new("date").env("TZ", "Europe/Berlin").arg("+%Z").output();
    String::from_utf8_lossy(&date.expect("date is installed").stdout).trim_end().to_owned()
}

#[test]
fn an_image_with_cloud_init_is_logged_in_to() {
    let place = Place::new();
    create(&place, "cloud", "run = [\"echo ran > /etc/ran\"]\n");
    done(&place, &["start", "vm"]);
    check(&place);
    assert_eq!(inside(&place, "cloud-init status --wait > /dev/null; hostname; cat /etc/ran"), "box\nran\n");
    done(&place, &["stop", "vm", "--timeout", "5m"]);
    assert_eq!(place.leftovers(), [""; 0]);
}

#[test]
fn an_image_with_nothing_but_systemd_is_logged_in_to() {
    let place = Place::new();
    create(&place, "plain", "");
    done(&place, &["start", "vm"]);
    check(&place);
    // The image's own name is used until its next start.
    assert_eq!(inside(&place, "cat /etc/hostname; systemctl --failed --no-legend"), "box\n");
    done(&place, &["stop", "vm", "--timeout", "5m"]);
}

#[test]
fn a_port_is_made_for_a_guest_that_has_none() {
    let place = Place::new();
    create(&place, "plain", "");
    // The machine's own network is replaced by one that forwards nothing, as of a VM that runs already.
    done(&place, &["start", "vm"]);
    let ports = done(&place, &["hmp", "vm", "info usernet"]).out;
    let port = ports
        .lines()
        .find_map(|line| line.split_whitespace().nth(3).filter(|_| line.contains("HOST_FORWARD")));
    let port = port.unwrap_or_else(|| panic!("no port: {ports}"));
    done(&place, &["hmp", "vm", &format!("hostfwd_remove net0 tcp:127.0.0.1:{port}")]);
    assert_eq!(inside(&place, "id -un"), "alice\n");
}
