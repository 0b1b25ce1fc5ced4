//! Property values and ordered property lists, and the two ways QEMU reads them: JSON and `key=value,…`.
//!
//! Order is kept as given, so that the same plan is the same bytes.

mod serde;

use std::borrow::Cow;

use smol_str::SmolStr;

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
    Str(SmolStr),
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
            None => self.push(key, value),
        }
    }

    fn push(&mut self, key: Cow<'static, str>, value: Value) {
        if self.0.capacity() == 0 {
            // Cheaper than to grow, and most lists have a few.
            self.0 = Vec::with_capacity(4);
        }
        self.0.push((key, value));
    }

    /// Adds a property although the key may be there: `key=value` options repeat a key for a list.
    pub(crate) fn repeat(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.push(key.into(), value.into());
    }

    /// Appends all properties of `other`.
    pub(crate) fn extend(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (key, value) in other.0 {
            self.set(key, value);
        }
    }

    /// Adds those of another list; tables of the same name become one.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, value) in other.0 {
            match (self.0.iter_mut().find(|(own, _)| *own == key), value) {
                (Some((_, Value::Map(own))), Value::Map(more)) => own.merge(more),
                (_, value) => self.set(key, value),
            }
        }
    }

    /// Takes a property away.
    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
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

    /// Keys and values in order, to change the values.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.0.iter_mut().map(|(key, value)| (&**key, value))
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Each key must be there once.
impl<const COUNT: usize> From<[(&'static str, Value); COUNT]> for Props {
    fn from(pairs: [(&'static str, Value); COUNT]) -> Self {
        Self(pairs.map(|(key, value)| (Cow::Borrowed(key), value)).into())
    }
}

impl Value {
    /// A number only where it is written as a program would write it again, else the text.
    pub(crate) fn number_or_text(text: &str) -> Self {
        match text.parse::<u64>() {
            Ok(number) if number.to_string() == text => Self::Uint(number),
            _ => text.into(),
        }
    }

    /// Whether a NUL is inside.
    pub(crate) fn has_nul(&self) -> bool {
        match self {
            Self::Str(text) => text.as_bytes().contains(&0),
            Self::Bytes(bytes) => bytes.contains(&0),
            Self::List(items) => items.iter().any(Self::has_nul),
            Self::Map(map) => map.0.iter().any(|(_, value)| value.has_nul()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Uint(_) => false,
        }
    }

    /// How many bytes its texts have at least, written down.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::text_len).sum(),
            Self::Map(map) => map.0.iter().map(|(_, value)| value.text_len()).sum(),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Uint(_) => 0,
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

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<SmolStr> for Value {
    fn from(value: SmolStr) -> Self {
        Self::Str(value)
    }
}

impl From<&SmolStr> for Value {
    fn from(value: &SmolStr) -> Self {
        Self::Str(value.clone())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value.into())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Str(value.into())
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
