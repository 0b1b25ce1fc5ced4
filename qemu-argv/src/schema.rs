//! The JSON Schema of a config file, with which editors complete and check configs.
//!
//! It accepts exactly what `serde` accepts, including short forms; whether the machine can be planned is checked by
//! [`plan`](fn@crate::plan). Two things cannot be expressed in a schema: that `4.0` is not an integer here, and the
//! exact limit of sizes at 64 bits (the schema's limit is 10^19).

use std::borrow::Cow;

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use crate::config::{MacAddress, SecretValue, Size, VmConfig};
use crate::qemu_target::Arch;
use crate::schema_forms::{BYTE, HEX, ipv4, ipv6, pattern, size, words};
use crate::topology::Address;
use crate::value::{Props, Value};

/// Returns the JSON Schema (draft 2020-12) of [`VmConfig`], for files in JSON, TOML or YAML.
///
/// `$id` contains the version of this crate.
///
/// ```
/// let schema = qemu_argv::json_schema();
/// assert_eq!(schema.get("title").and_then(|title| title.as_str()), Some("qemuctl virtual machine"));
/// ```
pub fn json_schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<VmConfig>();
    Tidy.transform(&mut schema);
    let id = concat!("urn:qemuctl:vm-config:", env!("CARGO_PKG_VERSION"));
    schema.insert("$id".into(), id.into());
    schema.insert("title".into(), "qemuctl virtual machine".into());
    schema.insert("$comment".into(), concat!("qemu-argv ", env!("CARGO_PKG_VERSION")).into());
    schema
}

/// A schema that is written by hand, under the type's name.
macro_rules! by_hand {
    ($kind:ty, $name:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

by_hand!(Size, "Size", |_generator| {
    let mut schema = size();
    let description =
        "An amount of bytes: \"2GiB\", \"512M\" or a plain number of bytes; units are powers of 1024.";
    schema.insert("description".into(), description.into());
    schema
});

by_hand!(MacAddress, "MacAddress", |_generator| {
    let mut schema = pattern(&format!("{HEX}{{2}}(?::{HEX}{{2}}){{5}}"));
    schema.insert("description".into(), "A MAC address, as 52:54:00:12:34:56.".into());
    schema
});

by_hand!(SecretValue, "SecretValue", |_generator| json_schema!({
    "type": "string",
    "writeOnly": true,
}));

by_hand!(Arch, "Arch", |_generator| {
    let names: Vec<_> = Arch::names().collect();
    // Capital letters are understood, too.
    let either: Vec<_> = names.iter().map(|name| either_case(name)).collect();
    json_schema!({
        "description": "A guest architecture by QEMU's name (x86_64), Go's (amd64) or Rust's (powerpc64).",
        "anyOf": [words(names.iter().copied()), pattern(&either.join("|"))],
    })
});

fn either_case(name: &str) -> String {
    name.chars()
        .map(|each| match each {
            'a'..='z' => format!("[{each}{}]", each.to_ascii_uppercase()),
            _ => each.to_string(),
        })
        .collect()
}

by_hand!(Address, "Address", |_generator| {
    let bus = format!("(?:(?:0x)?{HEX}{{1,4}}:)?{HEX}{{2}}|[A-Za-z][A-Za-z0-9._-]*");
    let pci = format!("(?:(?:{bus}):)?(?:0x)?[01]?{HEX}(?:\\.(?:0x)?[0-7])?");
    let mut schema = pattern(&format!("fe\\.0\\.{HEX}{{4}}|virtio-mmio-bus\\.0*{BYTE}|{pci}"));
    let description = "An address: a PCI slot as 0000:00:1f.2, 1f.2 or rp1:00.0, a channel device as fe.0.0001, or a \
                       memory-mapped slot as virtio-mmio-bus.3.";
    schema.insert("description".into(), description.into());
    schema
});

by_hand!(Props, "Props", |generator| json_schema!({
    "description": "Properties by QEMU's names, passed on as they are.",
    "type": "object",
    "additionalProperties": generator.subschema_for::<Value>(),
}));

by_hand!(Value, "Value", |generator| json_schema!({
    "description": "The value of one property: true or false, a whole number, a text, a list or a table.",
    "anyOf": [
        { "type": ["boolean", "string", "null"] },
        { "type": "integer", "minimum": i64::MIN, "maximum": u64::MAX },
        { "type": "array", "items": generator.subschema_for::<Value>() },
        { "type": "object", "additionalProperties": generator.subschema_for::<Value>() },
    ],
}));

/// Says in standard words what schemars says in its own, and makes plain text of Rust's documentation.
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let format = schema.get("format").and_then(Json::as_str).unwrap_or_default().to_owned();
        let largest = match format.as_str() {
            "uint8" => Some(u64::from(u8::MAX)),
            "uint16" => Some(u64::from(u16::MAX)),
            "uint32" => Some(u64::from(u32::MAX)),
            "uint64" => Some(u64::MAX),
            _ => None,
        };
        if let Some(largest) = largest {
            schema.remove("format");
            schema.insert("minimum".into(), 0.into());
            schema.insert("maximum".into(), largest.into());
        }
        if format == "ipv4" {
            schema.insert("pattern".into(), format!("^{}$", ipv4()).into());
        }
        if format == "ip" {
            schema.remove("format");
            schema.insert("pattern".into(), format!("^(?:{}|{})$", ipv4(), ipv6()).into());
        }
        // Nothing, and tables that repeat the defaults of their own fields, tell a reader nothing.
        if matches!(schema.get("default"), Some(Json::Null | Json::Object(_) | Json::Array(_))) {
            schema.remove("default");
        }
        if let Some(Json::String(description)) = schema.get_mut("description") {
            *description = plain(description);
        }
    }
}

/// Documentation without its line breaks, links and examples.
fn plain(text: &str) -> String {
    let text = text.split("\n\n```").next().unwrap_or(text);
    let paragraphs: Vec<_> =
        text.split("\n\n").map(|paragraph| without_links(&paragraph.replace('\n', " "))).collect();
    paragraphs.join("\n\n").trim_end_matches(':').to_owned()
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let parts = link.split_once("](").and_then(|(label, after)| Some((label, after.split_once(')')?.1)));
        if let Some((label, after)) = parts.filter(|(label, _)| !label.contains(['[', ']'])) {
            out.push_str(label);
            rest = after;
        } else {
            out.push('[');
            rest = link;
        }
    }
    out.push_str(rest);
    out
}
