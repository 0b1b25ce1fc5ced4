//! Asks a live QEMU for its schema (`query-qmp-schema`). Types have numbers there instead of names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::talk::Talk;

/// What a live QEMU says about itself.
pub struct Live {
    /// The release, such as `10.0.13`.
    pub version: String,
    pub commands: BTreeMap<String, LiveCommand>,
    pub events: BTreeMap<String, LiveEvent>,
    pub types: BTreeMap<String, LiveType>,
}

/// One entry of the reply.
#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    entity: Entity,
}

#[derive(Deserialize)]
#[serde(tag = "meta-type", rename_all = "kebab-case")]
enum Entity {
    Command(LiveCommand),
    Event(LiveEvent),
    #[serde(untagged)]
    Type(LiveType),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LiveCommand {
    pub arg_type: String,
    pub ret_type: String,
    #[serde(default)]
    pub allow_oob: bool,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LiveEvent {
    pub arg_type: String,
    #[serde(default)]
    pub features: Vec<String>,
}

/// A type, by its kind.
#[derive(Deserialize)]
#[serde(tag = "meta-type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum LiveType {
    Builtin {},
    Enum {
        members: Vec<LiveWord>,
    },
    Array {
        element_type: String,
    },
    Object {
        members: Vec<LiveMember>,
        tag: Option<String>,
        #[serde(default)]
        variants: Vec<LiveVariant>,
    },
    Alternate {
        members: Vec<LiveAlternative>,
    },
}

#[derive(Deserialize)]
pub struct LiveWord {
    pub name: String,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
pub struct LiveMember {
    pub name: String,
    pub r#type: String,
    /// Present, and null, if the member is optional.
    #[serde(default, deserialize_with = "present")]
    pub default: bool,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
pub struct LiveVariant {
    pub case: String,
    pub r#type: String,
}

#[derive(Deserialize)]
pub struct LiveAlternative {
    pub r#type: String,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Value::deserialize(deserializer).map(|_| true)
}

/// Starts `qemu` without a machine and asks it.
pub fn ask(qemu: &Path) -> Result<Live> {
    let mut talk = Talk::start(qemu, &["-machine", "none", "-nodefaults"])?;
    let reply = talk.execute("query-qmp-schema", &Value::Object(serde_json::Map::new()))?;
    understand(talk.version()?, reply)
}

/// Sorts the reply to `query-qmp-schema`.
pub fn understand(version: String, reply: Value) -> Result<Live> {
    let entries: Vec<Entry> = serde_json::from_value(reply).context("cannot understand query-qmp-schema")?;
    let mut live =
        Live { version, commands: BTreeMap::new(), events: BTreeMap::new(), types: BTreeMap::new() };
    for Entry { name, entity } in entries {
        match entity {
            Entity::Command(command) => drop(live.commands.insert(name, command)),
            Entity::Event(event) => drop(live.events.insert(name, event)),
            Entity::Type(r#type) => drop(live.types.insert(name, r#type)),
        }
    }
    Ok(live)
}
