//! Short forms in files: a plain text or number where a table would say the same at more length.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What files may write in short.
pub(super) trait Short: FromStr<Err: fmt::Display> {
    /// Reads a number, where a number alone says it all.
    fn from_number(number: u64) -> Result<Self, String> {
        Err(format!("the number {number} is not allowed here; expected a string or a table"))
    }

    /// What the short form looks like.
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema;
}

/// Lets the schema of a section be its short form, too.
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

/// Looks up a word among the short forms of a kind.
pub(super) fn word<T: Clone>(what: &str, forms: &[(&str, T)], text: &str) -> Result<T, String> {
    forms.iter().find(|(word, _)| *word == text).map(|(_, form)| form.clone()).ok_or_else(|| {
        let words: Vec<_> = forms.iter().map(|(word, _)| *word).collect();
        format!("{text:?} is not {what}; expected one of {}, or a table", words.join(", "))
    })
}

/// Reads the number of a port: digits alone, where Rust would take a sign as well.
pub(super) fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads a variant that has no fields. (serde by itself lets any field pass there.)
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

/// Reads a `T` from its short form or its table.
pub(super) fn one<'de, T: Deserialize<'de> + Short, D>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    TextOrTable(PhantomData).deserialize(deserializer)
}

/// Reads an optional `T`, for a field that is there: `null` is none.
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

/// Reads a list whose elements are short forms or tables.
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
