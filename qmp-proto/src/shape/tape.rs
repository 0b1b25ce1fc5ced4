//! Values read before it is known what they are.
//!
//! QEMU sends the members of an object in any order, so the word that decides the type of the others may come
//! last. Until then they are kept here: a flat list without an allocation of its own for each string and
//! container, which is twice as fast as a `serde_json::Value`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::Error as Trouble;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::text::Text;

/// What `serde_json` calls a number's only member if some crate turns on its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// One scalar or the beginning of a container. A member's name is a text before its value.
enum Token<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'de, str>),
    /// How many of the tokens that follow belong to it, and how many elements they are.
    Array(usize, u32),
    /// How many of the tokens that follow belong to it.
    Object(usize),
}

/// So many tokens hold most unions; more of them would not fit what allocators hand out fastest.
const USUAL: usize = 40;

/// The JSON type of a value.
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// One value, or the members of an object.
pub struct Tape<'de>(Vec<Token<'de>>);

impl<'de> Tape<'de> {
    /// An object that has no members yet.
    pub fn object() -> Self {
        let mut tokens = Vec::with_capacity(USUAL);
        tokens.push(Token::Object(0));
        Self(tokens)
    }

    /// Takes the value that comes next in `map` as the member `name`.
    pub fn add<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        self.0.push(Token::Text(name.0));
        map.next_value_seed(Recorder(&mut self.0))?;
        let count = self.0.len() - 1;
        if let Some(first) = self.0.first_mut() {
            *first = Token::Object(count);
        }
        Ok(())
    }

    /// Takes one value.
    pub fn record<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tokens = Vec::new();
        Recorder(&mut tokens).deserialize(deserializer)?;
        Ok(Self(tokens))
    }

    pub fn kind(&self) -> Kind {
        match self.0.first() {
            Some(Token::Null) | None => Kind::Null,
            Some(Token::Bool(_)) => Kind::Boolean,
            Some(Token::Unsigned(_) | Token::Signed(_) | Token::Float(_)) => Kind::Number,
            Some(Token::Text(_)) => Kind::String,
            Some(Token::Array(..)) => Kind::Array,
            Some(Token::Object(_)) => Kind::Object,
        }
    }

    /// Reads it as what it turned out to be.
    pub fn read<T: Deserialize<'de>, E: Error>(self) -> Result<T, E> {
        T::deserialize(&mut Player(self.0.into_iter())).map_err(E::custom)
    }
}

/// Appends the value that comes next.
struct Recorder<'a, 'de>(&'a mut Vec<Token<'de>>);

impl<'de> DeserializeSeed<'de> for Recorder<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Recorder<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push(Token::Null);
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.push(Token::Bool(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.push(Token::Unsigned(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.push(Token::Signed(value));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.push(Token::Float(value));
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.0.push(Token::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<(), E> {
        self.0.push(Token::Text(Cow::Owned(text)));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(Token::Array(0, 0));
        let mut length = 0_u32;
        while array.next_element_seed(Recorder(self.0))?.is_some() {
            length = length.saturating_add(1);
        }
        self.0[start] = Token::Array(self.0.len() - start - 1, length);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(Token::Object(0));
        while let Some(name) = object.next_key::<Text<'de>>()? {
            if name.as_str() == NUMBER {
                let digits: Text<'de> = object.next_value()?;
                self.0[start] = number(digits.as_str()).ok_or_else(|| Error::custom("not a number"))?;
                return Ok(());
            }
            self.0.push(Token::Text(name.0));
            object.next_value_seed(Recorder(self.0))?;
        }
        self.0[start] = Token::Object(self.0.len() - start - 1);
        Ok(())
    }
}

fn number(digits: &str) -> Option<Token<'static>> {
    let whole = digits.parse().map(Token::Unsigned).or_else(|_| digits.parse().map(Token::Signed));
    whole.ok().or_else(|| digits.parse().map(Token::Float).ok())
}

/// Gives back what was recorded.
struct Player<'de>(std::vec::IntoIter<Token<'de>>);

impl<'de> Player<'de> {
    fn next(&mut self) -> Result<Token<'de>, Trouble> {
        self.0.next().ok_or_else(|| Error::custom("a value is missing"))
    }

    fn skip(&mut self, count: usize) {
        if let Some(last) = count.checked_sub(1) {
            self.0.nth(last);
        }
    }

    /// Lets `visit` look at the next `count` tokens, and goes behind them.
    fn inside<T>(
        &mut self,
        count: usize,
        length: Option<u32>,
        visit: impl FnOnce(Inside<'_, 'de>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let after = self.0.len().saturating_sub(count);
        let value = visit(Inside { player: self, after, length })?;
        self.skip(self.0.len().saturating_sub(after));
        Ok(value)
    }
}

/// Inside a container, up to where so many tokens are left.
struct Inside<'a, 'de> {
    player: &'a mut Player<'de>,
    after: usize,
    /// How many elements an array has.
    length: Option<u32>,
}

impl<'de> Inside<'_, 'de> {
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Trouble> {
        if self.player.0.len() <= self.after {
            return Ok(None);
        }
        seed.deserialize(&mut *self.player).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Inside<'_, 'de> {
    type Error = Trouble;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Trouble> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.length.and_then(|length| usize::try_from(length).ok())
    }
}

impl<'de> MapAccess<'de> for Inside<'_, 'de> {
    type Error = Trouble;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Trouble> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Trouble> {
        seed.deserialize(&mut *self.player)
    }
}

impl<'de> Deserializer<'de> for &mut Player<'de> {
    type Error = Trouble;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        match self.next()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Float(value) => visitor.visit_f64(value),
            Token::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Token::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Token::Array(count, length) => {
                self.inside(count, Some(length), |elements| visitor.visit_seq(elements))
            }
            Token::Object(count) => self.inside(count, None, |members| visitor.visit_map(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        if matches!(self.0.as_slice().first(), Some(Token::Null)) {
            self.skip(1);
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Trouble> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Trouble> {
        match self.next()? {
            Token::Text(word) => visitor.visit_enum(word.into_deserializer()),
            _ => Err(Error::custom("not a word")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        if let Token::Array(count, _) | Token::Object(count) = self.next()? {
            self.skip(count);
        }
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_was_recorded_comes_back() {
        let value = json!({
            "a": [1, -2, 2.5, u64::MAX, i64::MIN, true, null, "text", "esc\"aped", [], {}],
            "b": {"c": {"d": [[[1]], {"e": null}]}},
            "": "",
        });
        let text = value.to_string();
        let tape = Tape::record(&mut serde_json::Deserializer::from_str(&text)).unwrap();
        assert_eq!(tape.read::<Value, serde_json::Error>().unwrap(), value);
        // From an owner as well as from text.
        let tape = Tape::record(value.clone()).unwrap();
        assert_eq!(tape.read::<Value, serde_json::Error>().unwrap(), value);
    }

    #[test]
    fn options_newtypes_enums_and_the_ignored_are_read() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Newtype(Option<u8>);
        #[derive(Debug, PartialEq, Deserialize)]
        struct All {
            none: Option<u8>,
            newtype: Newtype,
            class: crate::ErrorClass,
            empty: crate::Empty,
            last: bool,
        }
        let text = r#"{"skip": [1, {"a": 2}], "none": null, "newtype": 3, "class": "DeviceNotFound",
            "empty": {"later": [1]}, "skip too": {}, "last": true}"#;
        let tape = Tape::record(&mut serde_json::Deserializer::from_str(text)).unwrap();
        let expected = All {
            none: None,
            newtype: Newtype(Some(3)),
            class: crate::ErrorClass::DeviceNotFound,
            empty: crate::Empty {},
            last: true,
        };
        assert_eq!(tape.read::<All, serde_json::Error>().unwrap(), expected);
    }

    #[test]
    fn numbers_of_any_precision_are_numbers() {
        for (digits, expected) in
            [("18446744073709551615", json!(u64::MAX)), ("-3", json!(-3)), ("2.5", json!(2.5))]
        {
            let tape = Tape::record(json!({ NUMBER: digits })).unwrap();
            assert_eq!(tape.read::<Value, serde_json::Error>().unwrap(), expected);
        }
        assert!(Tape::record(json!({ NUMBER: "x" })).is_err());
    }
}
