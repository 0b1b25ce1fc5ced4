//! The JSON Schema that is published is the one of this version's configs.

use serde_json::{Value, json};

const PUBLISHED: &str = include_str!("../schema/vm-1.json");

/// The schema of a file: that of a `VmConfig`, and in JSON files the name of the schema itself.
fn schema() -> Value {
    let mut schema = Value::from(qemu_argv::json_schema());
    schema["properties"]["$schema"] = json!({
        "type": "string",
        "description": "The schema that editors check the file by; not read otherwise.",
    });
    schema["properties"]["keep"] = json!({
        "type": "object",
        "description": "How a machine of the home is kept; ignored elsewhere.",
        "additionalProperties": false,
        "properties": {
            "restart": {
                "description": "Whether the machine is started again when its VM ends.",
                "enum": ["no", "on-failure", "always"],
                "default": "no",
            },
        },
    });
    schema
}

#[test]
fn the_schema_knows_how_a_machine_is_kept() {
    use qemuctl::config::{ConfigFile, Restart};
    let schema = schema();
    let words = schema["properties"]["keep"]["properties"]["restart"]["enum"].as_array().expect("a list");
    for (word, known) in words.iter().zip([Restart::No, Restart::OnFailure, Restart::Always]) {
        let file = ConfigFile::parse("vm.json", json!({ "keep": { "restart": word } }).to_string());
        assert_eq!(file.expect("valid").keep().restart, known);
    }
}

#[test]
fn the_published_schema_is_current() {
    let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    if std::env::var_os("QEMUCTL_WRITE_SCHEMA").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/vm-1.json");
        std::fs::write(path, &text).expect("written");
        return;
    }
    assert!(
        text == PUBLISHED,
        "renew it: QEMUCTL_WRITE_SCHEMA=1 cargo test -p qemuctl --features schema --test schema"
    );
}

#[test]
fn a_json_config_may_name_its_schema() {
    let text = r#"{"$schema": "./vm-1.json", "name": "web"}"#;
    let file = qemuctl::config::ConfigFile::parse("vm.json", text.to_owned()).expect("valid");
    assert_eq!(file.config().name.as_deref(), Some("web"));
}
