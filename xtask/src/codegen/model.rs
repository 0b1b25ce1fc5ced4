//! The facts of one QAPI schema: names, members, types, optionality, features, conditions, since.
//!
//! This is what `qmp-proto/schema/` holds, one definition a line. It carries no prose.

use serde::{Deserialize, Serialize};

/// One schema (QMP or guest agent) of one QEMU release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The release, such as `10.0`.
    pub version: String,
    /// False if integers are only known as `int`, as in a manual or by introspection.
    pub exact_integers: bool,
    /// Sorted by kind of entity and name.
    pub definitions: Vec<Definition>,
}

/// A named entity of a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    pub module: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    #[serde(flatten)]
    pub kind: Kind,
}

/// What an entity is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    Enum {
        values: Vec<Word>,
    },
    Struct {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        members: Vec<Member>,
    },
    Union {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// The members of an inline base.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        members: Vec<Member>,
        discriminator: String,
        branches: Vec<Branch>,
    },
    Alternate {
        alternatives: Vec<Member>,
    },
    Command(CommandFacts),
    Event {
        #[serde(default, skip_serializing_if = "Arguments::is_none")]
        data: Arguments,
    },
}

/// A command's arguments, reply and flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "the schema's own flags, each independent")]
pub struct CommandFacts {
    #[serde(default, skip_serializing_if = "Arguments::is_none")]
    pub data: Arguments,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<String>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub r#gen: bool,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub success_response: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub boxed: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub allow_oob: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub allow_preconfig: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub coroutine: bool,
}

impl Default for CommandFacts {
    fn default() -> Self {
        Self {
            data: Arguments::None,
            returns: None,
            r#gen: true,
            success_response: true,
            boxed: false,
            allow_oob: false,
            allow_preconfig: false,
            coroutine: false,
        }
    }
}

/// What a command takes or an event carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arguments {
    #[default]
    None,
    Members(Vec<Member>),
    Type(String),
}

impl Arguments {
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// A member of an object, or an alternative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    /// A type's name, in brackets for an array.
    pub r#type: String,
    #[serde(default, skip_serializing_if = "is_no")]
    pub optional: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// A word of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// One branch of a union.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The word of the discriminator.
    pub value: String,
    pub r#type: String,
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// A feature flag such as `deprecated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    pub name: String,
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// When a build of QEMU has a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    #[serde(untagged)]
    Is(String),
}

impl Definition {
    /// The features of each of its members or words.
    pub fn parts(&self) -> Vec<&[Feature]> {
        match &self.kind {
            Kind::Enum { values } => values.iter().map(|word| word.features.as_slice()).collect(),
            Kind::Struct { members, .. }
            | Kind::Union { members, .. }
            | Kind::Alternate { alternatives: members }
            | Kind::Command(CommandFacts { data: Arguments::Members(members), .. })
            | Kind::Event { data: Arguments::Members(members) } => {
                members.iter().map(|member| member.features.as_slice()).collect()
            }
            Kind::Command(_) | Kind::Event { .. } => Vec::new(),
        }
    }

    /// Where the definition stands in a sorted file. Commands, events and types do not share names in
    /// QMP, but a vendor's schema might.
    pub fn sort_key(&self) -> (u8, &str) {
        let group = match self.kind {
            Kind::Command(_) => 1,
            Kind::Event { .. } => 2,
            _ => 0,
        };
        (group, &self.name)
    }
}

/// The element type of `[x]`, or nothing for another type.
pub fn element(type_name: &str) -> Option<&str> {
    type_name.strip_prefix('[')?.strip_suffix(']')
}

/// Whether `features` has the one called `name`.
pub fn has_feature(features: &[Feature], name: &str) -> bool {
    features.iter().any(|feature| feature.name == name)
}

impl Schema {
    /// The JSON text as committed: one definition a line, so that a change shows as few lines.
    ///
    /// # Errors
    ///
    /// Never in practice: every part is plain data.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let mut lines = Vec::with_capacity(self.definitions.len());
        for definition in &self.definitions {
            lines.push(serde_json::to_string(definition)?);
        }
        Ok(format!(
            "{{\"version\":{},\"exact_integers\":{},\"definitions\":[\n{}\n]}}\n",
            serde_json::to_string(&self.version)?,
            self.exact_integers,
            lines.join(",\n")
        ))
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_no(value: &bool) -> bool {
    !*value
}
