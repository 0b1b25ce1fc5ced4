//! One schema over all releases: what `merge` makes and the emitter reads.

use std::collections::BTreeMap;

/// All entities of one dialect. Types, commands and events have name spaces of their own.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    pub types: BTreeMap<String, Entity<Shape>>,
    pub commands: BTreeMap<String, Entity<Command>>,
    pub events: BTreeMap<String, Entity<Payload>>,
}

/// What every entity has, whatever its shape.
#[derive(Clone, Debug)]
pub struct Entity<T> {
    pub name: String,
    pub module: String,
    pub status: Status,
    pub shape: T,
}

/// When a thing exists and how firm it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The release that brought it, if QEMU says so.
    pub since: Option<String>,
    /// The last of our releases that has it, if the newest lacks it.
    pub until: Option<String>,
    pub deprecated: bool,
    pub unstable: bool,
}

/// A type.
#[derive(Clone, Debug)]
pub enum Shape {
    Enum { words: Vec<Word> },
    Object(Object),
    Alternate { alternatives: Vec<Alternative> },
}

/// A word of an enum.
#[derive(Clone, Debug)]
pub struct Word {
    pub name: String,
    pub status: Status,
}

/// A struct or union with the members of its bases.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub members: Vec<Member>,
    pub tag: Option<Tag>,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub r#type: String,
    /// Optional in some release, or lacking in one that has the object.
    pub optional: bool,
    pub status: Status,
}

/// The discriminator of a union. It is not among the members.
#[derive(Clone, Debug)]
pub struct Tag {
    pub name: String,
    /// One for each word of the discriminator's enum.
    pub branches: Vec<Branch>,
}

#[derive(Clone, Debug)]
pub struct Branch {
    pub value: String,
    pub r#type: Option<String>,
    pub status: Status,
}

#[derive(Clone, Debug)]
pub struct Alternative {
    pub name: String,
    pub r#type: String,
}

/// What a command takes or an event carries.
#[derive(Clone, Debug)]
pub enum Payload {
    Members(Vec<Member>),
    Type(String),
}

#[derive(Clone, Debug)]
pub struct Command {
    pub data: Payload,
    pub returns: Option<String>,
    /// Takes members beyond the listed ones (`gen: false`).
    pub open: bool,
    pub allow_oob: bool,
    pub success_response: bool,
}
