//! Mistakes in config files, and how they are reported.

use super::{ConfigError, ConfigFile};

fn told(name: &str, text: &str) -> String {
    match ConfigFile::parse(name, text.to_owned()) {
        Ok(file) => format!("{:?}", file.config()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn both_formats_mean_the_same() {
    let toml = "name = \"web\"\nmemory = \"2GiB\"\ncpu = 4\n\n[[disks]]\nbackend = \"/vm/web.qcow2\"\nread_only = true\n";
    let json = r#"{"name": "web", "memory": "2GiB", "cpu": 4,
                   "disks": [{"backend": "/vm/web.qcow2", "read_only": true}]}"#;
    let [toml, json] = [("vm.toml", toml), ("vm.json", json)]
        .map(|(name, text)| ConfigFile::parse(name, text.into()).expect(name).into_config());
    assert_eq!(toml, json);
    assert_eq!(toml.name.as_deref(), Some("web"));
}

#[test]
fn a_slip_is_shown_in_its_line() {
    insta::assert_snapshot!(told("vm.toml", "name = \"web\"\nmemry = \"2GiB\"\n"), @r#"
    vm.toml:2:1: unknown field `memry`
     2 | memry = "2GiB"
       | ^^^^^ did you mean `memory`?
    "#);
}

#[test]
fn everything_is_told_at_once() {
    let toml = r#"
name = 7
ram = "2GiB"
memory = "2 gigs"

[cpu]
count = "many"
cors = 2

[[disks]]
backend = "/vm/a.qcow2"
fromat = "qcow2"

[[disks]]
format = "qcow3"

[[disks]]
backend = { type = "file", pth = "/x" }
interface = "scsy"

[[networks]]
backend = { type = "user", forwards = ["2222:ssh"] }
mac = "52:54"
"#;
    insta::assert_snapshot!(told("vm.toml", toml), @r#"
    vm.toml:2:8: name: expected a string in quotes, found integer 7
     2 | name = 7
       |        ^
    vm.toml:3:1: unknown field `ram`
     3 | ram = "2GiB"
       | ^^^ did you mean `memory`?
    vm.toml:4:10: memory: "2 gigs" is not a valid size; expected for example 2GiB, 512MiB, 64KiB or a number of bytes
     4 | memory = "2 gigs"
       |          ^^^^^^^^
    vm.toml:7:9: cpu.count: expected an integer from 0 to 4294967295, found the string "many"
     7 | count = "many"
       |         ^^^^^^
    vm.toml:8:1: cpu: unknown field `cors`
     8 | cors = 2
       | ^^^^ did you mean `cores`?
    vm.toml:12:1: disks[0]: unknown field `fromat`
     12 | fromat = "qcow2"
        | ^^^^^^ did you mean `format`?
    vm.toml:14:1: disks[1]: `backend` is missing here
     14 | [[disks]]
        | ^^^^^^^^^
    vm.toml:15:10: disks[1].format: unknown value `qcow3`
     15 | format = "qcow3"
        |          ^^^^^^^ did you mean `qcow2`?
    vm.toml:18:28: disks[2].backend: unknown field `pth`
     18 | backend = { type = "file", pth = "/x" }
        |                            ^^^ did you mean `path`?
    vm.toml:19:13: disks[2].interface: unknown value `scsy`
     19 | interface = "scsy"
        |             ^^^^^^ did you mean `scsi`?
    vm.toml:22:11: networks[0].backend: "2222:ssh" is not a valid port forwarding; expected for example 2222:22, tcp:127.0.0.1:2222-:22 or udp::5353-10.0.2.15:53 (IPv4 only)
     22 | backend = { type = "user", forwards = ["2222:ssh"] }
        |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    vm.toml:23:7: networks[0].mac: "52:54" is not a valid MAC address; expected for example 52:54:00:12:34:56
     23 | mac = "52:54"
        |       ^^^^^^^
    "#);
}

#[test]
fn json_is_shown_as_well() {
    let json = "{\n  \"name\": \"web\",\n  \"disks\": [\n    {\"backend\": \"/a\", \"fromat\": \"raw\"},\n    {\"formt\": 1}\n  ],\n  \"name\": \"x\"\n}\n";
    insta::assert_snapshot!(told("vm.json", json), @r#"
    vm.json:7:3: `name` is set twice
     7 |   "name": "x"
       |   ^^^^^^
    "#);
    insta::assert_snapshot!(told("vm.json", &json.replace(",\n  \"name\": \"x\"", "")), @r#"
    vm.json:4:23: disks[0]: unknown field `fromat`
     4 |     {"backend": "/a", "fromat": "raw"},
       |                       ^^^^^^^^ did you mean `format`?
    vm.json:5:5: disks[1]: `backend` is missing here
     5 |     {"formt": 1}
       |     ^^^^^^^^^^^^
    vm.json:5:6: disks[1]: unknown field `formt`
     5 |     {"formt": 1}
       |      ^^^^^^^ did you mean `format`?
    "#);
}

#[test]
fn text_that_is_no_config_is_shown_where_it_breaks() {
    insta::assert_snapshot!(told("vm.toml", "name = \"web\nmemory = 2GiB\ncpu = = 4\n"), @r#"
    vm.toml:1:12: invalid basic string, expected `"`
     1 | name = "web
       |            ^
    vm.toml:2:10: string values must be quoted, expected literal string
     2 | memory = 2GiB
       |          ^^^^
    vm.toml:3:7: extra `=`, expected nothing
     3 | cpu = = 4
       |       ^
    vm.toml:3:9: unexpected key or value, expected newline, `#`
     3 | cpu = = 4
       |         ^
    "#);
    insta::assert_snapshot!(told("vm.json", "{\"name\": \"web\",\n \"cpu\": 4,}\n"), @r#"
    vm.json:2:11: trailing comma
     2 |  "cpu": 4,}
       |           ^
    "#);
    insta::assert_snapshot!(told("vm.json", ""), @"
    vm.json:1:1: the file is empty
     1 | 
       | ^
    ");
    insta::assert_snapshot!(told("vm", "{\"name\": 1}"), @r#"
    vm:1:10: name: expected a string in quotes, found integer 1
     1 | {"name": 1}
       |          ^
    "#);
    insta::assert_snapshot!(told("vm.toml", "\u{1b}[2J = \t\u{7}\n"), @"
    vm.toml:1:1: invalid unquoted key, expected letters, numbers, `-`, `_`
     1 | �[2J = 	�
       | ^
    vm.toml:1:2: key with no value, expected `=`
     1 | �[2J = 	�
       |  ^
    ");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.toml");
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"name = \xff").expect("written");
    let huge = folder.path().join("huge.toml");
    std::fs::File::create(&huge).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let told = [&missing, &binary, &huge, &folder.path().to_path_buf()].map(|path| {
        let error = ConfigFile::read(path).expect_err("refused");
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}").replace(&folder.path().display().to_string(), "DIR")
    });
    insta::assert_snapshot!(told.join("\n"), @"
    cannot read the config file DIR/missing.toml: No such file or directory (os error 2)
    the config file DIR/binary.toml is not UTF-8 text: its byte 7 cannot be read
    the config file DIR/huge.toml is larger than 4194304 bytes; is it a disk image?
    cannot read the config file DIR: Is a directory (os error 21)
    ");
}

#[test]
fn relative_paths_count_from_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vm.toml");
    std::fs::write(&path, "disks = [\"images/a.qcow2\", \"/b.raw\"]\n[boot]\nkernel = \"../vmlinuz\"\n")
        .expect("written");
    let config = super::load(&path).expect("valid");
    let text =
        serde_json::to_string(&(&config.disks[0].backend, &config.disks[1].backend, &config.boot.kernel));
    let text = text.expect("plain data").replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @r#"[{"type":"file","path":"DIR/images/a.qcow2"},{"type":"file","path":"/b.raw"},"DIR/../vmlinuz"]"#);
}

#[test]
fn many_faults_are_cut_short() {
    let toml = (0..80).map(|number| format!("x{number} = 1\n")).collect::<Vec<_>>().concat();
    let Err(ConfigError::Invalid { faults }) = ConfigFile::parse("vm.toml", toml) else { panic!("refused") };
    assert_eq!(faults.len(), 50);
}
