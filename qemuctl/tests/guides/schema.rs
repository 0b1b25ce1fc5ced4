//! The JSON Schema that the program prints, read by somebody else's validator: it takes every machine
//! in the guides and refuses mistakes, where they are.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use jsonschema::Validator;
use serde_json::Value;

use crate::page::{self, Step};

fn validator() -> Validator {
    let output = Command::new(env!("CARGO_BIN_EXE_qemuctl")).arg("schema").output().expect("qemuctl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let schema: Value = serde_json::from_slice(&output.stdout).expect("a schema is JSON");
    assert_eq!(jsonschema::meta::validate(&schema).map_err(|error| error.to_string()), Ok(()));
    jsonschema::validator_for(&schema).expect("the schema can be used")
}

fn document(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_machine_of_every_page_is_valid() {
    let validator = validator();
    let pages = crate::GUIDES.iter().chain(crate::OTHERS).map(|name| crate::docs().join(name));
    let mut machines = 0;
    for path in pages.chain([crate::docs().join("../../README.md")]) {
        for step in page::steps(&crate::read(&path)) {
            let text = match step {
                Step::File { name, content }
                    if Path::new(&name).extension().is_some_and(|ending| ending == "toml")
                        && name != "Cargo.toml" =>
                {
                    content
                }
                Step::Machine(content) => content,
                _ => continue,
            };
            let verdict = validator.validate(&document(&text)).map_err(|error| error.to_string());
            assert_eq!(verdict, Ok(()), "{}: {text}", path.display());
            machines += 1;
        }
    }
    assert!(machines > 20, "only {machines} machines were found");
}

/// Mistakes that people make: a wrong word, unit, kind, place or type.
const MISTAKES: [&str; 20] = [
    "memroy = \"2GiB\"",
    "memory = \"2GB\"",
    "memory = \"lots\"",
    "memory = -1",
    "cpu = true",
    "cpu = { cores = -2 }",
    "arch = \"x86-65\"",
    "name = 7",
    "disks = \"web.qcow2\"",
    "disks = [{ path = \"web.qcow2\" }]",
    "disks = [{ backend = \"web.qcow2\", interface = \"scsy\" }]",
    "disks = [{ backend = { type = \"nbd\" } }]",
    "disks = [{ backend = { type = \"ftp\", url = \"ftp://x\" } }]",
    "disks = [{ backend = \"a.raw\", read_only = \"yes\" }]",
    "networks = [\"usr\"]",
    "networks = [{ backend = { type = \"user\", forwards = [\"tcp:22\"] } }]",
    "networks = [{ backend = \"user\", mac = \"52:54:00:12:34\" }]",
    "firmware = \"efi\"",
    "video = [\"vgaa\"]",
    "machine = { type = \"q35\", accel = \"xen\" }",
];

#[test]
fn twenty_mistakes_are_refused() {
    let validator = validator();
    let mut listed = String::new();
    for mistake in MISTAKES {
        let document = document(mistake);
        let error = validator.validate(&document).expect_err(mistake);
        let serde: Result<qemuctl::VmConfig, _> = toml::from_str(mistake);
        assert!(serde.is_err(), "{mistake} is one for the schema alone");
        writeln!(listed, "{mistake}\n    at \"{}\"", error.instance_path())
            .expect("a string can be written to");
    }
    insta::assert_snapshot!(listed);
}
