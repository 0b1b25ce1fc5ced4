//! Names that are cheap to compare, and cheap to put together: the machinery of `format!` is most of what a short one costs.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, SmolStrBuilder};

/// A name as a key of a map, in the order of its text. Most names differ in their first eight bytes, which compare as one
/// number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    head: u64,
    text: SmolStr,
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn text(&self) -> &SmolStr {
        &self.text
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SmolStr::deserialize(deserializer).map(Self::from)
    }
}

impl<T: Into<SmolStr>> From<T> for Name {
    fn from(text: T) -> Self {
        let text = text.into();
        let bytes = text.as_bytes();
        let head = bytes.first_chunk().copied().unwrap_or_else(|| {
            let mut head = [0; 8];
            head[..bytes.len()].copy_from_slice(bytes);
            head
        });
        let head = u64::from_be_bytes(head);
        Self { head, text }
    }
}

/// The parts in a row.
pub(crate) fn join<const COUNT: usize>(parts: [&str; COUNT]) -> SmolStr {
    let mut name = SmolStrBuilder::new();
    for part in parts {
        name.push_str(part);
    }
    name.finish()
}

/// A name that ends with a number.
pub(crate) fn numbered(prefix: &str, number: impl itoa::Integer) -> SmolStr {
    join([prefix, itoa::Buffer::new().format(number)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_texts() {
        let texts = [
            "",
            "\0",
            "a",
            "a\0",
            "a\0b",
            "disk0",
            "disk0-file",
            "disk1",
            "disk10",
            "ÿ",
            "网络",
            "\u{10ffff}x",
        ];
        for (one, other) in texts.iter().flat_map(|one| texts.iter().map(move |other| (one, other))) {
            assert_eq!(Name::from(*one).cmp(&Name::from(*other)), one.cmp(other), "{one:?} {other:?}");
        }
    }
}
