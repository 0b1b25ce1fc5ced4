//! A config file as a value, with the position of each part in the text.
//!
//! Both formats are turned into a JSON value and a tree of positions, so that a problem can be shown in the file even
//! if it is found long after parsing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::fault::MOST;
use super::hint::short;
use super::path::Step;

/// A syntax error and its place.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) span: Range<usize>,
}

/// The first syntax errors of a text, and the number of further ones.
#[derive(Debug, Default)]
pub(super) struct SyntaxErrors {
    pub(super) first: Vec<SyntaxError>,
    pub(super) left_out: usize,
}

/// An empty file is an error, since a config that was lost on its way must not become a default machine.
const EMPTY: &str = "the file is empty";

impl SyntaxErrors {
    fn one(message: String, span: Range<usize>) -> Self {
        Self { first: vec![SyntaxError { message, span }], left_out: 0 }
    }

    fn push(&mut self, message: impl FnOnce() -> String, span: Range<usize>) {
        if self.first.len() < MOST {
            self.first.push(SyntaxError { message: message(), span });
        } else {
            self.left_out += 1;
        }
    }
}

/// The position of a value and of its parts.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The position of the key, in a table.
    pub(super) key: Option<Range<usize>>,
    pub(super) value: Range<usize>,
    inner: Inner,
}

#[derive(Debug, Default)]
enum Inner {
    #[default]
    Leaf,
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    /// Returns the node at the end of `steps`, or the last one that exists on the way.
    pub(super) fn nearest(&self, steps: &[Step]) -> &Self {
        let mut node = self;
        for step in steps {
            let next = match (&node.inner, step) {
                (Inner::Table(table), Step::Field(name)) => table.get(name),
                (Inner::List(list), Step::Item(index)) => list.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node
    }
}

/// Parses TOML. Returns what could be parsed, and all errors.
pub(super) fn from_toml(text: &str) -> (Value, Node, SyntaxErrors) {
    if text.trim().is_empty() {
        return (Value::Object(Map::new()), Node::default(), SyntaxErrors::one(EMPTY.to_owned(), 0..0));
    }
    let (table, found) = DeTable::parse_recoverable(text);
    let left_out = found.len().saturating_sub(MOST);
    let first = found
        .into_iter()
        .take(MOST)
        .map(|error| SyntaxError {
            message: error.message().to_owned(),
            span: error.span().unwrap_or(text.len()..text.len()),
        })
        .collect();
    let errors = SyntaxErrors { first, left_out };
    let span = table.span();
    let (value, inner) = toml_table(table.get_ref());
    (value, Node { key: None, value: span, inner }, errors)
}

fn toml_table(table: &DeTable<'_>) -> (Value, Inner) {
    let mut map = Map::new();
    let mut nodes = BTreeMap::new();
    for (key, entry) in table {
        let (value, inner) = toml_value(entry.get_ref());
        let name = key.get_ref().to_string();
        map.insert(name.clone(), value);
        nodes.insert(name, Node { key: Some(key.span()), value: entry.span(), inner });
    }
    (Value::Object(map), Inner::Table(nodes))
}

fn toml_value(value: &DeValue<'_>) -> (Value, Inner) {
    let leaf = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Integer(number) => integer(number.as_str(), number.radix()),
        DeValue::Float(number) => float(number.as_str()),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(array) => {
            let (values, nodes) = array
                .iter()
                .map(|entry| {
                    let (value, inner) = toml_value(entry.get_ref());
                    (value, Node { key: None, value: entry.span(), inner })
                })
                .unzip();
            return (Value::Array(values), Inner::List(nodes));
        }
        DeValue::Table(table) => return toml_table(table),
    };
    (leaf, Inner::Leaf)
}

/// A number that does not fit into 64 bits remains a string, which no number field accepts.
fn integer(digits: &str, radix: u32) -> Value {
    u64::from_str_radix(digits, radix)
        .map(Number::from)
        .or_else(|_| i64::from_str_radix(digits, radix).map(Number::from))
        .map_or_else(|_| Value::String(digits.to_owned()), Value::Number)
}

/// JSON has no infinities; they remain a string, which no number field accepts.
fn float(digits: &str) -> Value {
    digits
        .parse()
        .ok()
        .and_then(Number::from_f64)
        .map_or_else(|| Value::String(digits.to_owned()), Value::Number)
}

/// Parses JSON.
pub(super) fn from_json(text: &str) -> (Value, Node, SyntaxErrors) {
    match serde_json::from_str(text) {
        Ok(value) => {
            let mut errors = SyntaxErrors::default();
            let whole = text.len() - text.trim_start().len()..text.trim_end().len();
            let node = json_node(text, whole, None, &mut errors);
            (value, node, errors)
        }
        Err(error) => {
            let at = offset(text, error.line(), error.column());
            let message = error.to_string();
            // The span has the place already.
            let message = match message.split_once(" at line ") {
                _ if text.trim().is_empty() => EMPTY.to_owned(),
                Some((message, _)) => message.to_owned(),
                None => message,
            };
            (Value::Object(Map::new()), Node::default(), SyntaxErrors::one(message, at..at))
        }
    }
}

/// Converts `serde_json`'s line and column, which count bytes from 1, to a position in the text.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// Returns the positions within `text[span]`, which is known to be one JSON value.
fn json_node(text: &str, span: Range<usize>, key: Option<Range<usize>>, errors: &mut SyntaxErrors) -> Node {
    let raw = &text[span.clone()];
    let inner = match raw.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Entries<'_>>(raw) {
            Ok(entries) => json_table(text, &entries, errors),
            Err(_) => Inner::Leaf,
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(items) => Inner::List(
                items.iter().map(|item| json_node(text, position(text, item), None, errors)).collect(),
            ),
            Err(_) => Inner::Leaf,
        },
        _ => Inner::Leaf,
    };
    Node { key, value: span, inner }
}

fn json_table(text: &str, entries: &Entries<'_>, errors: &mut SyntaxErrors) -> Inner {
    let mut nodes = BTreeMap::new();
    for (name, raw) in &entries.0 {
        let value = position(text, raw);
        let key = json_key(text, value.start);
        if nodes.contains_key(name) {
            errors.push(|| format!("`{}` is set twice", short(name)), key.clone());
        }
        nodes.insert(name.clone(), json_node(text, value, Some(key), errors));
    }
    Inner::Table(nodes)
}

/// Returns the position of a value that was borrowed from `text`.
fn position(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + raw.get().len()
}

/// Returns the position of the key before the value at `value`, including its quotes.
fn json_key(text: &str, value: usize) -> Range<usize> {
    let end = text[..value].trim_end().trim_end_matches(':').trim_end().len();
    let bytes = text.as_bytes();
    let mut start = end.saturating_sub(1);
    while start > 0 {
        start -= 1;
        let escapes = bytes[..start].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if bytes[start] == b'"' && escapes % 2 == 0 {
            break;
        }
    }
    start..end
}

/// The entries of a JSON object in the order of the text, including duplicates.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
