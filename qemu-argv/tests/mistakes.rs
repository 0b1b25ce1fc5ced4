//! What QEMU would refuse, ignore or crash on is refused first, at its place.

use qemu_argv::{Arch, Endpoints, Plan, PlanError, Target, Version, plan};

/// The plan of a file for QEMU 11.1.
fn planned(text: &str) -> Result<Plan, PlanError> {
    let config = toml::from_str(text).expect("is a machine");
    plan(&config, &Target::new(Version::new(11, 1), Arch::X86_64), &Endpoints::default())
}

#[test]
fn what_qemu_cannot_take_is_refused_at_its_place() {
    let files = [
        // QEMU 10.0 and later refuse more than 20; before, they cut it.
        r#"disks = [{ backend = "/a.raw", interface = "virtio-scsi", serial = "123456789012345678901" }]"#,
        r#"disks = [{ backend = "/a.raw", interface = "usb", serial = "123456789012345678901" }]"#,
        // Every version crashes.
        r#"chardevs = [{ id = "a-b", backend = { type = "dbus", name = "org.example" } }]"#,
        // Every version asks for the password alone.
        "vnc = { password = true, sasl = true }",
        r#"networks = [{ backend = { type = "user", ipv6 = false, ipv6_net = "fec0::/64" } }]"#,
        r#"networks = [{ backend = { type = "user", ipv4 = false, dns = "10.0.2.3" } }]"#,
        r#"memory = { size = "1GiB", backend = { type = "file", path = "a\u0000b" } }"#,
        r#"cdroms = [{ medium = { type = "http", url = "http://a/b", cookie_secret = "none" } }]"#,
    ];
    let said = files.map(|text| planned(text).expect_err(text).to_string());
    insta::assert_snapshot!(said.join("\n"), @r#"
cannot plan the machine: disks[0].serial: "123456789012345678901" is too long: serial numbers of this interface can have at most 20 bytes
cannot plan the machine: disks[0].serial: "123456789012345678901" is too long: serial numbers of this interface can have at most 20 bytes
cannot plan the machine: chardevs[0].id: "a-b" is not a valid D-Bus name: only letters, digits and `_` are allowed
cannot plan the machine: vnc.sasl: `sasl` cannot be combined with a password
cannot plan the machine: networks[0].backend.ipv6: IPv6 settings have no effect with `ipv6 = false`
cannot plan the machine: networks[0].backend.ipv4: IPv4 settings have no effect with `ipv4 = false`
cannot plan the machine: memory.backend.path: must not contain a NUL character
cannot plan the machine: cdroms[0].medium.cookie_secret: no secret has the id given here; there are none
"#);
}

/// A number of its own for the disk leaves the serial number its length.
#[test]
fn a_scsi_disk_with_a_device_id_has_room_for_a_long_serial_number() {
    let text = r#"disks = [{ backend = "/a.raw", interface = "virtio-scsi", serial = "123456789012345678901", properties = { device_id = "a" } }]"#;
    planned(text).expect("can be planned");
}

/// Its parts are called after it, and none of them need tell it again.
#[test]
fn an_id_that_is_taken_is_told_once() {
    let files = [
        r#"disks = [{ id = "a", backend = "/a.raw" }, { id = "a", backend = "/b.raw" }]"#,
        r#"networks = [{ id = "a" }, { id = "a" }]"#,
        r#"disks = [{ id = "a", backend = "/a.raw", boot_index = 0 }, { id = "a", backend = "/b.raw", boot_index = 0 }]"#,
    ];
    let said = files.map(|text| planned(text).expect_err(text).to_string());
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot plan the machine: disks[1]: device id "a" is already used by disks[0]
    cannot plan the machine, 2 problems:
      networks[1].mac: MAC address "52:54:00:76:99:87" is already used by networks[0]
      networks[1]: device id "a" is already used by networks[0]
    cannot plan the machine, 2 problems:
      disks[1].boot_index: boot index "0" is already used by disks[0]
      disks[1]: device id "a" is already used by disks[0]
    "#);
}

/// A port of the board is no device, and QEMU keeps its character device apart from devices.
#[test]
fn what_is_no_device_may_be_called_like_one() {
    planned("disks = [{ id = \"a\", backend = \"/a.raw\" }]\nserials = [{ id = \"a\" }]")
        .expect("can be planned");
}

/// Linux passes no longer one to a program, and its error does not say which it was.
#[test]
fn a_text_that_no_argument_has_room_for_is_refused_at_its_place() {
    let fits = "A".repeat(100_000);
    planned(&format!("fw_cfg = [{{ name = \"opt/a\", text = \"{fits}\" }}]")).expect("can be planned");
    let long = "A".repeat(200_000);
    let files = [
        format!("fw_cfg = [{{ name = \"opt/a\", text = \"{long}\" }}]"),
        format!("smbios = {{ oem_strings = [\"a\", \"{long}\"] }}"),
        format!("boot = {{ kernel = \"/k\", append = \"{long}\" }}"),
        format!("extra_args = [\"-name\", \"{long}\"]"),
    ];
    let said = files.map(|text| planned(&text).expect_err("too long").to_string());
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot plan the machine: fw_cfg[0]: the text has 200005 bytes, but a program argument can have at most 131071
    cannot plan the machine: smbios.oem_strings[1]: the text has 200002 bytes, but a program argument can have at most 131071
    cannot plan the machine: boot.append: the text has 200000 bytes, but a program argument can have at most 131071
    cannot plan the machine: extra_args[1]: the text has 200000 bytes, but a program argument can have at most 131071
    "#);
}

/// What the guest is to set up becomes names and lines of files there.
#[test]
fn what_the_guest_could_not_set_up_is_refused_at_its_place() {
    let files = [
        r#"guest = { user = "Alice Smith", password_secret = "login" }"#,
        r#"guest = { ssh_keys = ["key", "-----BEGIN OPENSSH PRIVATE KEY----- AAAA"] }"#,
        r#"guest = { hostname = "web_1", timezone = "/etc/passwd", packages = ["-y"] }"#,
        r#"guest = { files = [{ path = "motd", text = "a", mode = "rw", owner = "a b" }, { path = "/a/../b" }] }"#,
        r#"guest = { mounts = ["src", { share = "docs", path = "/mnt/my docs" }] }"#,
        r"guest = { provision = [] }",
        r#"guest = { provision = ["systemd"], packages = ["nginx"], run = ["true"], user_data = "/u" }"#,
        r#"guest = { provision = ["cloud-init", "ignition"] }"#,
    ];
    let said = files.map(|text| planned(text).expect_err("a mistake").to_string());
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot plan the machine, 2 problems:
      guest.user: "Alice Smith" is not a valid user name; expected lower-case letters, digits, _ and -, at most 31, a letter first
      guest.password_secret: no secret has the id given here; there are none
    cannot plan the machine, 2 problems:
      guest.ssh_keys[0]: expected the line of a public key, such as "ssh-ed25519 AAAA…"
      guest.ssh_keys[1]: expected the line of a public key, such as "ssh-ed25519 AAAA…"
    cannot plan the machine, 3 problems:
      guest.hostname: "web_1" is not a valid host name; expected letters, digits and - between dots, at most 64
      guest.timezone: "/etc/passwd" is not a time zone; expected a name such as Europe/Berlin
      guest.packages[0]: "-y" is not the name of a package
    cannot plan the machine, 5 problems:
      guest.files[0].path: "motd" is not a path of a file in the guest; expected an absolute path without spaces and ..
      guest.files[0].mode: "rw" is not a mode; expected octal digits such as 0755
      guest.files[0].owner: "a b" is not an owner; expected USER or USER:GROUP
      guest.files[1].path: "/a/../b" is not a path of a file in the guest; expected an absolute path without spaces and ..
      guest.files[1]: set either `text` or `source`
    cannot plan the machine, 3 problems:
      guest.mounts[0].share: "src" is not the tag of a share
      guest.mounts[1].share: "docs" is not the tag of a share
      guest.mounts[1].path: "/mnt/my docs" is not a path of a file in the guest; expected an absolute path without spaces and ..
    cannot plan the machine: guest.provision: the list is empty; remove the section [guest] instead
    cannot plan the machine, 3 problems:
      guest.packages: only `cloud-init` supports this; add it to `guest.provision`
      guest.run: only `cloud-init` supports this; add it to `guest.provision`
      guest.user_data: systemd has no user data; add `cloud-init` to `guest.provision`
    cannot plan the machine: guest.provision: `ignition` cannot be combined with the others
    "#);
}
