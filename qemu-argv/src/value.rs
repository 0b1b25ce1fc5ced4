//! Property values and ordered property lists, and the two ways QEMU reads them: JSON and `key=value,…`.
//!
//! Order is kept as given, so that the same plan is the same bytes. Escaping happens here and nowhere else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// JSON `null`; QEMU's block layer reads it as "none, whatever the image says".
    Null,
    /// `true`/`false` in JSON, `on`/`off` elsewhere.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// Text.
    Str(Cow<'static, str>),
    /// A path that is not UTF-8. Only plain arguments and `key=value` options can carry it, never JSON.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A nested structure.
    Map(Props),
}

/// Properties in the order they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Props(Vec<(Cow<'static, str>, Value)>);

impl Props {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a property and returns the list, for chains.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Adds a property if there is a value for it, and returns the list.
    #[must_use]
    pub fn with_some(mut self, key: impl Into<Cow<'static, str>>, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// Sets a property; one that is there already keeps its place and takes the new value.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let key = key.into();
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Adds a property although the key may be there: `key=value` options repeat a key for a list.
    pub(crate) fn repeat(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// Appends all properties of `other`.
    pub(crate) fn extend(&mut self, other: Self) {
        for (key, value) in other.0 {
            self.set(key, value);
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of `key`, when it is text.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Str(text)) => Some(text),
            _ => None,
        }
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as one line of JSON, as `-device` and QMP take it.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(128);
        self.write_json(&mut out);
        out
    }

    pub(crate) fn write_json(&self, out: &mut String) {
        out.push('{');
        for (position, (key, value)) in self.0.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            write_json_str(key, out);
            out.push(':');
            value.write_json(out);
        }
        out.push('}');
    }

    /// Appends `key=value,key=value` with commas in values doubled.
    pub(crate) fn write_keyval(&self, out: &mut Vec<u8>) {
        for (position, (key, value)) in self.0.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            value.write_keyval(out);
        }
    }
}

impl Value {
    pub(crate) fn write_json(&self, out: &mut String) {
        use fmt::Write as _;
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            // Writing to a String cannot fail.
            Self::Int(number) => drop(write!(out, "{number}")),
            Self::Uint(number) => drop(write!(out, "{number}")),
            Self::Str(text) => write_json_str(text, out),
            // The draft refuses such paths for JSON options; the lossy form is for people's eyes only.
            Self::Bytes(bytes) => write_json_str(&String::from_utf8_lossy(bytes), out),
            Self::List(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(map) => map.write_json(out),
        }
    }

    fn write_keyval(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(true) => out.extend_from_slice(b"on"),
            Self::Bool(false) => out.extend_from_slice(b"off"),
            Self::Str(text) => double_commas(text.as_bytes(), out),
            Self::Bytes(bytes) => double_commas(bytes, out),
            // Numbers, and the structures that no `key=value` option of ours uses, have no comma to double.
            other => {
                let mut text = String::new();
                other.write_json(&mut text);
                double_commas(text.as_bytes(), out);
            }
        }
    }

    /// Calls `check` on every text and byte string inside.
    pub(crate) fn each_text(&self, check: &mut impl FnMut(&[u8])) {
        match self {
            Self::Str(text) => check(text.as_bytes()),
            Self::Bytes(bytes) => check(bytes),
            Self::List(items) => items.iter().for_each(|item| item.each_text(check)),
            Self::Map(map) => map.0.iter().for_each(|(_, value)| value.each_text(check)),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Uint(_) => {}
        }
    }

    /// Whether a path that is not UTF-8 is inside.
    pub(crate) fn has_bytes(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::List(items) => items.iter().any(Self::has_bytes),
            Self::Map(map) => map.0.iter().any(|(_, value)| value.has_bytes()),
            _ => false,
        }
    }
}

fn double_commas(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if byte == b',' {
            out.push(b',');
        }
        out.push(byte);
    }
}

fn write_json_str(text: &str, out: &mut String) {
    use fmt::Write as _;
    out.push('"');
    let mut plain = 0;
    for (position, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..position]);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            // Writing to a String cannot fail.
            control => drop(write!(out, "\\u{control:04x}")),
        }
        plain = position + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_unsigned {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::Uint(u64::from(value))
            }
        }
    )*};
}
from_unsigned!(u8, u16, u32, u64);

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Str(Cow::Borrowed(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(Cow::Owned(value))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Str(Cow::Owned(value.clone()))
    }
}

impl From<Props> for Value {
    fn from(value: Props) -> Self {
        Self::Map(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(value)
    }
}

/// The key that marks a byte string in a saved plan; no QEMU property is called so.
const BYTES_KEY: &str = "$bytes";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(BYTES_KEY, bytes)?;
                map.end()
            }
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for Props {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Map(map) => Ok(map),
            _ => Err(de::Error::custom("expected a table of properties")),
        }
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a boolean, a whole number, text, a list or a table")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        // Unsigned whenever possible, so that a saved value reads back equal.
        Ok(u64::try_from(value).map_or(Value::Int(value), Value::Uint))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Uint(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Str(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut props = Props::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == BYTES_KEY {
                return Ok(Value::Bytes(map.next_value()?));
            }
            props.repeat(key, map.next_value::<Value>()?);
        }
        Ok(Value::Map(props))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_what_json_must() {
        let props = Props::new().with("a\"b", "x\\y\n\u{1}é").with("n", 3_u64).with("l", vec![Value::Null]);
        assert_eq!(props.to_json(), "{\"a\\\"b\":\"x\\\\y\\n\\u0001é\",\"n\":3,\"l\":[null]}");
        let back: serde_json::Value = serde_json::from_str(&props.to_json()).expect("is JSON");
        assert_eq!(back["a\"b"], "x\\y\n\u{1}é");
    }

    #[test]
    fn keyval_doubles_commas_only() {
        let mut out = Vec::new();
        Props::new()
            .with("path", "/a,b=c \"d\"")
            .with("server", true)
            .with("raw", Value::Bytes(b"\xff,".to_vec()))
            .write_keyval(&mut out);
        assert_eq!(out, b"path=/a,,b=c \"d\",server=on,raw=\xff,,");
    }

    #[test]
    fn values_survive_saving() {
        let props = Props::new()
            .with("bytes", Value::Bytes(vec![255, 0]))
            .with("int", -4_i64)
            .with("map", Props::new().with("z", true).with("a", Value::Null));
        let text = serde_json::to_string(&props).expect("serializes");
        assert_eq!(serde_json::from_str::<Props>(&text).expect("reads back"), props);
    }
}
