//! The files of `qmp-proto/schema/`: one per release and dialect, and where each comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::model::{Definition, Schema};
use super::patch::patch;
use crate::run::workspace;

/// Where the facts of a file in `qmp-proto/schema/` come from.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What was read: a source tree with its version, a manual, a program's answer.
    pub source: String,
    /// The SHA-256 of each file read, by its path in the source tree.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
}

/// The two schemas of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The machine protocol of `qemu-system-*`.
    Qmp,
    /// The guest agent.
    Agent,
}

impl Dialect {
    pub const ALL: [Self; 2] = [Self::Qmp, Self::Agent];

    /// The schema's first file in QEMU's source tree.
    pub fn root_file(self) -> &'static str {
        match self {
            Self::Qmp => "qapi/qapi-schema.json",
            Self::Agent => "qga/qapi-schema.json",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Qmp => "qmp",
            Self::Agent => "qga",
        }
    }
}

/// The releases that the types span, oldest first.
pub const RELEASES: [&str; 3] = ["7.2", "10.0", "11.1"];

fn dir() -> PathBuf {
    workspace().join("qmp-proto/schema")
}

/// The file with the facts of `version`.
pub fn file_name(version: &str, dialect: Dialect) -> String {
    format!("{version}-{}.json", dialect.suffix())
}

/// Reads one file of facts.
pub fn read(name: &str) -> Result<Schema> {
    let path = dir().join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// The facts of all releases for `dialect`, oldest first, each with what was learned about it.
pub fn read_all(dialect: Dialect) -> Result<Vec<Schema>> {
    let mut schemas = Vec::new();
    for version in RELEASES {
        schemas.push(read(&file_name(version, dialect))?);
    }
    if let (Dialect::Qmp, Some(newest)) = (dialect, schemas.last_mut()) {
        for definition in read_learned()? {
            patch(&mut newest.definitions, definition);
        }
    }
    Ok(schemas)
}

/// What `schema learn` found, on top of the newest release's facts.
pub const LEARNED: &str = "learned.json";

/// The learned facts; none if nothing was learned yet.
pub fn read_learned() -> Result<Vec<Definition>> {
    if !dir().join(LEARNED).exists() {
        return Ok(Vec::new());
    }
    Ok(read(LEARNED)?.definitions)
}

/// Writes one file of facts and its provenance.
pub fn write(name: &str, schema: &Schema, provenance: Provenance) -> Result<()> {
    let dir = dir();
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(name);
    std::fs::write(&path, schema.to_text()?).with_context(|| format!("cannot write {}", path.display()))?;
    let path = dir.join("provenance.json");
    let mut all: BTreeMap<String, Provenance> = match std::fs::read_to_string(&path) {
        Ok(text) => {
            serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    all.insert(name.to_owned(), provenance);
    let text = serde_json::to_string_pretty(&all)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
