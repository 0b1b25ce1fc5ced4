//! What is behind an option: keys and values, whether they were written as JSON or as `key=value,…`.

use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;

use super::keyval::key_value;
use super::property::property;
pub(super) use super::property::{as_flag, as_number, as_size};
pub(super) use super::why::{Why, short};
use crate::config::Size;
use crate::value::{Props, Value};

/// How deep keys with dots may nest; QEMU's own go no deeper than a handful.
const DEEPEST: usize = 16;

/// The keys and values of one option, in order. A key may be there several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bag {
    items: Vec<(String, Value)>,
    /// Whether it was JSON, where values have types.
    json: bool,
}

impl Bag {
    /// Reads JSON, or `key=value,…` whose first value may come without its key.
    ///
    /// # Errors
    ///
    /// What is malformed, for a message that names the argument.
    pub(super) fn read(text: &str, implied: Option<&str>, nested: bool) -> Result<Self, Why> {
        if text.starts_with('{') {
            let props: Props =
                serde_json::from_str(text).map_err(|error| format!("invalid JSON: {error}"))?;
            return Ok(Self::of(&props, true));
        }
        let flat = Self { items: key_value(text, implied)?, json: false };
        if nested { flat.nest() } else { Ok(flat) }
    }

    fn of(props: &Props, json: bool) -> Self {
        Self { items: props.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect(), json }
    }

    /// Keys with dots as tables in tables: `file.driver=file` is `{"file":{"driver":"file"}}`.
    fn nest(self) -> Result<Self, Why> {
        let mut items: Vec<(String, Value)> = Vec::new();
        for (key, value) in self.items {
            if key.matches('.').count() > DEEPEST {
                return Err(format!("the key {} is nested too deeply", short(&key)));
            }
            match key.split_once('.') {
                None => items.push((key, value)),
                Some((first, rest)) => {
                    let old = items.iter_mut().find(|(name, _)| name == first);
                    match old {
                        Some((_, Value::Map(map))) => insert(map, rest, value)?,
                        Some(_) => return Err(format!("{} is both a value and a table", short(first))),
                        None => {
                            let mut map = Props::new();
                            insert(&mut map, rest, value)?;
                            items.push((first.to_owned(), Value::Map(map)));
                        }
                    }
                }
            }
        }
        for (_, value) in &mut items {
            listed(value);
        }
        Ok(Self { items, json: self.json })
    }

    /// The text of a key, without taking it out.
    pub(super) fn peek(&self, key: &str) -> Option<&str> {
        self.items.iter().rev().find(|(name, _)| name == key).and_then(|(_, value)| match value {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.items.iter().any(|(name, _)| name == key)
    }

    /// Keys and values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.items.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.items.push((key.to_owned(), value));
    }

    /// Adds what another option of the same name said; later values win when they are taken.
    pub(super) fn append(&mut self, other: Self) {
        self.items.extend(other.items);
    }

    /// Takes every value of a key.
    pub(super) fn all(&mut self, key: &str) -> Vec<Value> {
        let mut found = Vec::new();
        self.items.retain_mut(|(name, value)| {
            let same = name == key;
            if same {
                found.push(std::mem::replace(value, Value::Null));
            }
            !same
        });
        found
    }

    /// Takes a key; the last value counts, as in QEMU.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.all(key).pop()
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Why> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.into())),
            Some(_) => Err(format!("`{key}` is not a text")),
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, key: &str) -> Result<String, Why> {
        self.text(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Why> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => as_flag(&value).map(Some).ok_or_else(|| format!("`{key}` is neither on nor off")),
        }
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, key: &str) -> Result<Option<T>, Why> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => as_number(&value)
                .and_then(|number| T::try_from(number).ok())
                .map(Some)
                .ok_or_else(|| format!("`{key}` is not a number in range")),
        }
    }

    /// A size in bytes, or with one of QEMU's suffixes.
    pub(super) fn size(&mut self, key: &str) -> Result<Option<Size>, Why> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => as_size(&value, 0).map(Some).ok_or_else(|| format!("`{key}` is not a size")),
        }
    }

    /// One of QEMU's words that a config has under the same names.
    pub(super) fn same_word<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Why> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        same_word(&text).map(Some).ok_or_else(|| no_word(key, &text))
    }

    /// One of some words.
    pub(super) fn word<T: Clone>(&mut self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Why> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| Some(value.clone())).ok_or_else(|| no_word(key, &text))
    }

    /// A table inside.
    pub(super) fn table(&mut self, key: &str) -> Result<Option<Self>, Why> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Map(map)) => Ok(Some(Self::of(&map, self.json))),
            Some(_) => Err(format!("`{key}` is not a table")),
        }
    }

    /// Nothing may be left.
    pub(super) fn done(&self) -> Result<(), Why> {
        match self.items.first() {
            None => Ok(()),
            Some((key, _)) => Err(format!("a config has no field for `{}`", short(key))),
        }
    }

    /// What is left of a device, as its `properties`.
    pub(super) fn properties(self) -> Result<Props, Why> {
        let mut props = Props::new();
        for (key, value) in self.items {
            let value = match value {
                Value::Str(text) if !self.json => property(&key, &text)?,
                other => other,
            };
            props.set(key, value);
        }
        Ok(props)
    }

    /// What is left of a sound backend: switches and numbers, and tables of them.
    pub(super) fn typed_options(self) -> Result<Props, Why> {
        let json = self.json;
        let mut props = Props::new();
        for (key, value) in self.items {
            let value = match value {
                Value::Str(text) if !json => match as_flag(&Value::Str(text.clone())) {
                    Some(on) => Value::Bool(on),
                    None => Value::number_or_text(&text),
                },
                Value::Map(map) => Self::of(&map, json).typed_options()?.into(),
                other => other,
            };
            props.set(key, value);
        }
        Ok(props)
    }

    /// What is left of an accelerator's options, whose values are words.
    pub(super) fn accel_options(self) -> Props {
        self.items.into_iter().fold(Props::new(), |props, (key, value)| {
            let value = match &value {
                Value::Str(text) if text == "on" => Value::Bool(true),
                Value::Str(text) if text == "off" => Value::Bool(false),
                Value::Str(text) => Value::number_or_text(text),
                _ => value,
            };
            props.with(key, value)
        })
    }

    /// What is left, for an option that is not JSON: there the types do not matter.
    pub(super) fn options(self) -> Props {
        self.items.into_iter().fold(Props::new(), |mut props, (key, value)| {
            let value = match &value {
                Value::Str(text) if text == "on" => Value::Bool(true),
                Value::Str(text) if text == "off" => Value::Bool(false),
                _ => value,
            };
            props.set(key, value);
            props
        })
    }
}

/// What a word means that QEMU and a config have under the same name.
pub(super) fn same_word<T: DeserializeOwned>(text: &str) -> Option<T> {
    T::deserialize(StrDeserializer::<serde::de::value::Error>::new(text)).ok()
}

fn no_word(key: &str, text: &str) -> Why {
    format!("a config has no `{key}={text}`")
}

fn insert(map: &mut Props, key: &str, value: Value) -> Result<(), Why> {
    let Some((first, rest)) = key.split_once('.') else {
        map.set(key.to_owned(), value);
        return Ok(());
    };
    let mut inner = match map.get(first) {
        None => Props::new(),
        Some(Value::Map(inner)) => inner.clone(),
        Some(_) => return Err(format!("{} is both a value and a table", short(first))),
    };
    insert(&mut inner, rest, value)?;
    map.set(first.to_owned(), inner);
    Ok(())
}

/// A table whose keys are 0, 1, … is a list.
fn listed(value: &mut Value) {
    let Value::Map(map) = value else { return };
    let mut items: Vec<(String, Value)> =
        map.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for (_, inner) in &mut items {
        listed(inner);
    }
    let is_list =
        !items.is_empty() && items.iter().enumerate().all(|(index, (key, _))| *key == index.to_string());
    *value = if is_list {
        Value::List(items.into_iter().map(|(_, value)| value).collect())
    } else {
        Value::Map(items.into_iter().fold(Props::new(), |props, (key, value)| props.with(key, value)))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let bag = Bag::read(text, Some("first"), true).expect("it is well-formed");
        bag.iter().map(|(key, value)| (key.to_owned(), format!("{value:?}"))).collect()
    }

    #[test]
    fn options_are_read_as_qemu_reads_them() {
        let pair = |key: &str, value: Value| (key.to_owned(), format!("{value:?}"));
        assert_eq!(
            read("a,,b,c=1,,2,server,nowait,x=,"),
            [
                pair("first", "a,b".into()),
                pair("c", "1,2".into()),
                pair("server", "on".into()),
                pair("wait", "off".into()),
                pair("x", "".into()),
            ]
        );
        assert_eq!(read("x=1,notify"), [pair("x", "1".into()), pair("notify", "on".into())]);
        let file = Props::new().with("driver", "file").with("list", vec!["a".into(), "b".into()]);
        assert_eq!(read("x=1,f.driver=file,f.list.0=a,f.list.1=b")[1], pair("f", file.into()));
        assert_eq!(read(r#"{"first":1}"#), [pair("first", 1_u64.into())]);
        assert!(Bag::read("a=1,a.b=2", None, true).is_err());
        assert!(Bag::read("a,=2", Some("x"), false).is_err());
        assert!(Bag::read("{\"a\":", None, false).is_err());
    }

    #[test]
    fn sizes_have_qemus_suffixes() {
        let size = |text: &str, plain| as_size(&Value::from(text), plain).map(Size::to_bytes);
        assert_eq!(
            (size("2G", 20), size("512", 20), size("64k", 0)),
            (Some(2 << 30), Some(512 << 20), Some(65536))
        );
        assert_eq!((size("x", 0), size("99999999999999999999", 0), size("99999999T", 0)), (None, None, None));
    }
}
