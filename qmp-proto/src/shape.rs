//! How the generated types read and write JSON.
//!
//! Serde's derive makes four impls and an identifier type of each struct, which for a thousand structs
//! is most of the bill. The macros here make one small generic function each way instead: nothing is
//! compiled to machine code until somebody uses the type. The one surprising rule: a member that comes
//! twice counts the last time, as in `serde_json::Value`.

mod macros;
mod tape;
mod text;

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};

pub(crate) use macros::{
    alternate, any_event, branches, command, deserialize, discreet, either, empty_record, event,
    event_wrapper, flag, got, open_record, pick, put, record, serialize, show, tagged, words, wrapper,
};
pub use tape::{Kind, Tape};
pub use text::Text;

/// An object that can be read.
pub trait Record: Sized {
    fn read<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

/// Something whose members can be written into an object, alone or beside others.
pub trait Fields {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// The part of a union that its discriminator decides.
pub trait Branch: Sized {
    /// The discriminator's name on the wire.
    const TAG: &'static str;
}

pub trait ReadBranch: Branch {
    fn from_parts<E: Error>(tag: &str, members: Tape<'_>) -> Result<Self, E>;
}

struct RecordVisitor<T>(PhantomData<T>);

impl<'de, T: Record> Visitor<'de> for RecordVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::read(map)
    }
}

pub fn read<'de, T: Record, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(RecordVisitor(PhantomData))
}

pub fn write<T: Fields, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    value.write(&mut map)?;
    map.end()
}

pub fn write_some<T: Serialize, M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(name, value),
        None => Ok(()),
    }
}

/// Reads the word of an enum.
pub fn read_word<'de, T: for<'a> From<&'a str>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Word<T>(PhantomData<T>);
    impl<T: for<'a> From<&'a str>> Visitor<'_> for Word<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            Ok(T::from(text))
        }
    }
    deserializer.deserialize_str(Word(PhantomData))
}

/// What belongs to a union beside its own members: the word of its discriminator, and the members that the
/// word decides.
pub struct Rest<'de, T> {
    tag: Option<Text<'de>>,
    members: Tape<'de>,
    branch: PhantomData<T>,
}

impl<'de, T: ReadBranch> Rest<'de, T> {
    pub fn new() -> Self {
        Self { tag: None, members: Tape::object(), branch: PhantomData }
    }

    /// Takes the member `name`, whose value comes next in `map`.
    pub fn add<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        if name.as_str() == T::TAG {
            self.tag = Some(map.next_value()?);
            return Ok(());
        }
        self.members.add(name, map)
    }

    pub fn branch<E: Error>(self) -> Result<T, E> {
        let tag = self.tag.ok_or_else(|| E::missing_field(T::TAG))?;
        T::from_parts(tag.as_str(), self.members)
    }
}

/// Reads a union that has nothing beside its branches.
pub fn read_tagged<'de, T: ReadBranch, A: MapAccess<'de>>(mut map: A) -> Result<T, A::Error> {
    let mut rest = Rest::new();
    while let Some(name) = map.next_key()? {
        rest.add(name, &mut map)?;
    }
    rest.branch()
}
