//! Short forms in config files: a string or number in place of a table.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A type that has a short form in config files.
pub(super) trait Short: FromStr<Err: fmt::Display> {
    /// Parses a number as the short form, if the type has one.
    fn from_number(number: u64) -> Result<Self, String> {
        Err(format!("the number {number} is not allowed here; expected a string or a table"))
    }

    /// Returns the schema of the short form.
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema;
}

/// Adds the short form to the schema of a section.
#[cfg(feature = "schema")]
pub(super) fn or_short<T: Short>(schema: &mut schemars::Schema) {
    let description = schema.remove("description");
    let table = std::mem::take(schema);
    if let Some(description) = description {
        schema.insert("description".into(), description);
    }
    let forms = [T::short_schema(), table].map(schemars::Schema::to_value);
    schema.insert("anyOf".into(), forms.to_vec().into());
}

/// Looks up a word among the short forms of a type.
pub(super) fn word<T: Clone>(what: &str, forms: &[(&str, T)], text: &str) -> Result<T, String> {
    forms.iter().find(|(word, _)| *word == text).map(|(_, form)| form.clone()).ok_or_else(|| {
        let words: Vec<_> = forms.iter().map(|(word, _)| *word).collect();
        format!("{text:?} is not {what}; expected one of {}, or a table", words.join(", "))
    })
}

/// Parses a port number. Only digits are accepted, while Rust would also accept a sign.
pub(super) fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Deserializes a variant without fields. (serde itself would accept any fields there.)
pub(super) fn nothing_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}

struct TextOrTable<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Short> Visitor<'de> for TextOrTable<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or a table")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let number = u64::try_from(number);
        number
            .map_err(|_| E::custom("a number here cannot be negative"))
            .and_then(|number| self.visit_u64(number))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de, T: Deserialize<'de> + Short> DeserializeSeed<'de> for TextOrTable<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Deserializes a `T` from its short form or its table.
pub(super) fn one<'de, T: Deserialize<'de> + Short, D>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    TextOrTable(PhantomData).deserialize(deserializer)
}

/// Deserializes an optional `T`; `null` means none.
pub(super) fn optional<'de, T: Deserialize<'de> + Short, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Optional<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Short> Visitor<'de> for Optional<T> {
        type Value = Option<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("nothing, a string or a table")
        }

        fn visit_none<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
            one(deserializer).map(Some)
        }
    }

    deserializer.deserialize_option(Optional(PhantomData))
}

/// Deserializes a list whose elements are short forms or tables.
pub(super) fn list<'de, T: Deserialize<'de> + Short, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Short> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element_seed(TextOrTable(PhantomData))? {
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(List(PhantomData))
}
