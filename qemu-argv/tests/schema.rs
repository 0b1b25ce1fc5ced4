//! The JSON Schema says yes where `serde` does, and no where it does not, by a validator of other people's.

#[path = "support/files.rs"]
mod files;

use std::collections::BTreeSet;

use jsonschema::Validator;
use qemu_argv::VmConfig;
use serde_json::{Value, json};

fn validator() -> Validator {
    let schema = qemu_argv::json_schema().to_value();
    assert_eq!(jsonschema::meta::validate(&schema).map_err(|error| error.to_string()), Ok(()));
    jsonschema::options().build(&schema).expect("the schema can be used")
}

fn serde_says(document: &Value) -> Result<VmConfig, String> {
    serde_json::from_value(document.clone()).map_err(|error| error.to_string())
}

/// The same verdict of both, or what each said.
fn agree(validator: &Validator, document: &Value) -> Result<(), String> {
    let ours = serde_says(document);
    let theirs = validator.validate(document).map_err(|error| error.to_string());
    if ours.is_ok() == theirs.is_ok() {
        return Ok(());
    }
    Err(format!("serde: {:?}, schema: {theirs:?}", ours.map(|_| ())))
}

/// Every machine, as a file has it and as it is saved.
fn documents() -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    for (name, text) in files::machine_files() {
        let config: VmConfig = toml::from_str(&text).expect("a file is a machine");
        let saved = serde_json::to_value(&config).expect("a configuration is JSON");
        documents.push((format!("{name}, written"), toml::from_str(&text).expect("a file is TOML")));
        documents.push((format!("{name}, saved"), saved));
    }
    documents
}

#[test]
fn every_machine_is_valid() {
    let validator = validator();
    for (name, document) in documents() {
        assert_eq!(agree(&validator, &document), Ok(()), "{name}");
        assert!(validator.is_valid(&document), "{name}");
    }
}

/// Every place in a document, as a JSON pointer.
fn places(document: &Value) -> Vec<String> {
    fn walk(at: &str, value: &Value, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    walk(&format!("{at}/{key}"), value, found);
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    walk(&format!("{at}/{index}"), value, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk("", document, &mut found);
    found
}

/// What is put in the place of what is there. Lists in the place of tables are not tried: serde reads them field by field
/// in the order of the source, which nobody is meant to use.
fn wrong_values() -> Vec<Value> {
    let plain = json!([null, true, 0, -1, 1.5, 70_000, 5_000_000_000_u64, u64::MAX, "", "nonsense", {}]);
    let Value::Array(mut values) = plain else { return Vec::new() };
    values.extend(["nonsense", "null", "none"].map(|kind| json!({ "type": kind })));
    values.extend(TEXTS.map(Value::from));
    values
}

/// Texts at the edge of what sizes, ports and addresses are.
const TEXTS: [&str; 26] = [
    "help",
    "2GB",
    "-1GiB",
    " 3 GiB ",
    "1.5GiB",
    "99999999999TiB",
    "1f.2",
    "1f.8",
    "20.0",
    "rp1:00.0",
    "fe.0.00ab",
    "fe.0.1",
    "virtio-mmio-bus.255",
    "virtio-mmio-bus.256",
    "tcp::70000-:1",
    "tcp::+1-:1",
    "udp:127.0.0.1:0-10.0.2.15:53",
    "::1:80",
    "[::1]:80",
    "host:65536",
    "/a/socket",
    "::ffff:1.2.3.4",
    "1:2:3::8",
    "1:2:3:4:5:6:7:8:9",
    "10.0.0.01",
    "AMD64",
];

/// Each place of each kind is broken in every way, once: a field is the same wherever it is.
#[test]
fn broken_documents_are_refused_by_both() {
    let validator = validator();
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    let mut tried = 0;
    for (name, document) in documents() {
        for place in places(&document) {
            let kind: String =
                place.split('/').filter(|part| part.parse::<u32>().is_err()).collect::<Vec<_>>().join("/");
            // A variant's fields are another kind of place than those of its neighbour.
            let parent = place.rsplit_once('/').and_then(|(parent, _)| document.pointer(parent));
            let variant = parent.and_then(|parent| parent.get("type")).unwrap_or(&Value::Null).to_string();
            if !seen.insert((kind, variant)) {
                continue;
            }
            let mut broken: Vec<Value> = Vec::new();
            let is_tag = place.ends_with("/type") || place.ends_with("/mode");
            for (number, wrong) in wrong_values().into_iter().enumerate() {
                // serde takes a number for a variant inside of some variants, by its place in the source.
                let by_number = is_tag && wrong.is_u64();
                // Each text is tried at every fourth place, the others everywhere: a text is a text to most fields.
                let elsewhere = wrong.is_string() && number % 4 != seen.len() % 4;
                if by_number || elsewhere {
                    continue;
                }
                let mut changed = document.clone();
                *changed.pointer_mut(&place).expect("the place is there") = wrong;
                broken.push(changed);
            }
            let mut changed = document.clone();
            if let Some(Value::Object(map)) = changed.pointer_mut(&place) {
                let keys: Vec<_> = map.keys().cloned().collect();
                map.insert("no_such_field".into(), json!(1));
                broken.push(changed);
                for key in keys {
                    let mut changed = document.clone();
                    let table =
                        changed.pointer_mut(&place).and_then(Value::as_object_mut).expect("still there");
                    table.remove(&key);
                    broken.push(changed);
                }
            }
            for changed in broken {
                tried += 1;
                if let Err(fault) = agree(&validator, &changed) {
                    let value = changed.pointer(&place).unwrap_or(&Value::Null).to_string();
                    faults.push(format!("{name} {place} = {value:.100}: {fault:.300}"));
                }
            }
        }
    }
    assert!(tried > 5000, "only {tried} documents were tried");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
}

/// A field that takes texts of one form: its name, and a document with such a text.
type Field = (&'static str, fn(&str) -> Value);

/// Texts with a form of their own, each where it belongs.
#[test]
fn texts_with_a_form_are_checked() {
    let validator = validator();
    let fields: [Field; 10] = [
        ("memory", |text| json!({ "memory": text })),
        ("arch", |text| json!({ "arch": text })),
        ("mac", |text| json!({ "networks": [{ "mac": text }] })),
        ("address", |text| json!({ "balloon": { "address": text } })),
        ("dns", |text| json!({ "networks": [{ "backend": { "type": "user", "dns": text } }] })),
        ("gateway", |text| json!({ "networks": [{ "backend": { "type": "passt", "gateway": text } }] })),
        ("forward", |text| json!({ "networks": [{ "backend": { "type": "user", "forwards": [text] } }] })),
        ("vnc", |text| json!({ "vnc": text })),
        ("listen", |text| json!({ "vnc": { "listen": text } })),
        ("server", |text| json!({ "disks": [{ "backend": { "type": "nbd", "server": text } }] })),
    ];
    let more = [
        "52:54:00:12:34:56",
        "52:54:00:12:34:5g",
        "1:2:3:4:5:6:7:8",
        "::",
        "::1",
        "1::",
        "fe80::1.2.3.4",
        "0.0.0.0",
        ":1",
        ":100",
        ":01",
        "5899",
        "5900",
        "05900",
        "65535",
        "65536",
        "localhost:1",
        "[::1]:5901",
        "[]:5901",
        "::1:5901",
        "/run/vnc.sock",
    ];
    for (name, document) in fields {
        for text in TEXTS.iter().chain(&more) {
            assert_eq!(agree(&validator, &document(text)), Ok(()), "{name} = {text:?}");
        }
    }
}
