//! How the generated types read and write JSON.
//!
//! Serde's derive makes four impls and an identifier type of each struct, which for a thousand structs
//! is most of the bill. The macros here make one small generic function each way instead: nothing is
//! compiled to machine code until somebody uses the type. The one surprising rule: a member that comes
//! twice counts the last time, as in `serde_json::Value`.

mod macros;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use macros::{
    alternate, any_event, branches, command, deserialize, discreet, either, empty_record, event,
    event_wrapper, flag, got, open_record, pick, put, record, serialize, show, tagged, words, wrapper,
};

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
    fn from_parts<E: Error>(tag: String, rest: Map<String, Value>) -> Result<Self, E>;
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

/// A member's name: borrowed where the input allows it.
pub struct Key<'de>(std::borrow::Cow<'de, str>);

impl Key<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(text.to_owned().into()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }
        }
        deserializer.deserialize_str(Text)
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

/// Takes the discriminator out of a union's members.
pub fn take_tag<E: Error>(rest: &mut Map<String, Value>, tag: &'static str) -> Result<String, E> {
    match rest.remove(tag) {
        Some(Value::String(word)) => Ok(word),
        Some(other) => Err(E::custom(format_args!("`{tag}` is not a string but {other}"))),
        None => Err(E::missing_field(tag)),
    }
}

/// Reads a branch's type from the members that are not the union's own.
pub fn from_rest<T: DeserializeOwned, E: Error>(rest: Map<String, Value>) -> Result<T, E> {
    T::deserialize(Value::Object(rest)).map_err(E::custom)
}

/// Reads one alternative.
pub fn from_value<T: DeserializeOwned, E: Error>(value: Value) -> Result<T, E> {
    T::deserialize(value).map_err(E::custom)
}

pub fn read_branch<T: ReadBranch, E: Error>(mut rest: Map<String, Value>) -> Result<T, E> {
    let tag = take_tag(&mut rest, T::TAG)?;
    T::from_parts(tag, rest)
}

/// Reads a union that has nothing beside its branches.
pub fn read_tagged<'de, T: ReadBranch, A: MapAccess<'de>>(mut map: A) -> Result<T, A::Error> {
    let mut rest = Map::new();
    while let Some((name, value)) = map.next_entry::<String, Value>()? {
        rest.insert(name, value);
    }
    read_branch(rest)
}
