//! What QEMU would refuse, ignore or crash on is refused first, at its place.

mod support;

use qemu_argv::VmConfig;
use support::{VERSIONS, planned};

#[test]
fn what_qemu_cannot_take_is_refused_at_its_place() {
    let files = [
        // QEMU 10.0 and later refuse more than 20; before, they cut it.
        r#"disks = [{ backend = "/a.raw", interface = "virtio-scsi", serial = "123456789012345678901" }]"#,
        r#"disks = [{ backend = "/a.raw", interface = "usb", serial = "123456789012345678901" }]"#,
        // Every version crashes.
        r#"chardevs = [{ id = "a-b", backend = { type = "dbus", name = "org.example" } }]"#,
        // Every version asks for the password alone.
        r#"vnc = { password = true, sasl = true }"#,
        r#"networks = [{ backend = { type = "user", ipv6 = false, ipv6_net = "fec0::/64" } }]"#,
        r#"networks = [{ backend = { type = "user", ipv4 = false, dns = "10.0.2.3" } }]"#,
        r#"memory = { size = "1GiB", backend = { type = "file", path = "a\u0000b" } }"#,
        r#"cdroms = [{ medium = { type = "http", url = "http://a/b", cookie_secret = "none" } }]"#,
    ];
    let said = files.map(|text| {
        let config: VmConfig = toml::from_str(text).expect("is a machine");
        planned(&config, VERSIONS[1]).expect_err(text).to_string()
    });
    insta::assert_snapshot!(said.join("\n"), @"");
}

/// A number of its own for the disk leaves the serial number its length.
#[test]
fn a_scsi_disk_with_a_device_id_has_room_for_a_long_serial_number() {
    let text = r#"disks = [{ backend = "/a.raw", interface = "virtio-scsi", serial = "123456789012345678901", properties = { device_id = "a" } }]"#;
    let config: VmConfig = toml::from_str(text).expect("is a machine");
    planned(&config, VERSIONS[2]).expect("can be planned");
}
