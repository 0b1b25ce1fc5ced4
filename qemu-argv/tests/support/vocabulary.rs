//! The words of the JSON Schema: every field and every choice there is, and those that a document uses.
//!
//! A field is `Disk.serial`, a choice `BlockFormat=luks`, and a field of a choice `DiskBackend=rbd.pool`.

use std::collections::BTreeSet;

use qemu_argv::VmConfig;
use serde_json::Value;

/// The words of a schema.
pub struct Vocabulary(Value);

impl Vocabulary {
    pub fn new() -> Self {
        Self(qemu_argv::json_schema().to_value())
    }

    /// Every word.
    pub fn all(&self) -> BTreeSet<String> {
        let mut walk = Walk { schema: &self.0, found: BTreeSet::new(), seen: BTreeSet::new() };
        walk.visit(&self.0, "VmConfig", None);
        walk.found
    }

    /// The words of a file: its fields as they are written, and the choices that it makes, be it by leaving them out.
    pub fn used(&self, text: &str) -> BTreeSet<String> {
        let written = toml::from_str(text).expect("a file is TOML");
        let config: VmConfig = toml::from_str(text).expect("a file is a machine");
        let saved = serde_json::to_value(&config).expect("a configuration is JSON");
        let mut used = self.in_document(&written);
        used.extend(self.in_document(&saved).into_iter().filter(|word| !word.contains('.')));
        used
    }

    fn in_document(&self, document: &Value) -> BTreeSet<String> {
        let mut walk = Walk { schema: &self.0, found: BTreeSet::new(), seen: BTreeSet::new() };
        walk.visit(&self.0, "VmConfig", Some(document));
        walk.found
    }
}

struct Walk<'s> {
    schema: &'s Value,
    found: BTreeSet<String>,
    /// Definitions that were walked whole: some hold themselves.
    seen: BTreeSet<String>,
}

impl<'s> Walk<'s> {
    fn definition(&self, reference: &Value) -> (&'s str, &'s Value) {
        let name = reference.as_str().and_then(|path| path.strip_prefix("#/$defs/")).expect("a definition");
        let (name, node) =
            self.schema["$defs"].as_object().and_then(|defs| defs.get_key_value(name)).expect("is there");
        (name, node)
    }

    /// Whether the document could be of this part of the schema, as far as kinds, choices and names tell.
    fn fits(&self, node: &Value, document: &Value) -> bool {
        if let Some(reference) = node.get("$ref") {
            return self.fits(self.definition(reference).1, document);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = node.get(key).and_then(Value::as_array)
                && !branches.iter().any(|branch| self.fits(branch, document))
            {
                return false;
            }
        }
        if node.get("const").is_some_and(|word| word != document) {
            return false;
        }
        if node.get("enum").and_then(Value::as_array).is_some_and(|words| !words.contains(document)) {
            return false;
        }
        let kind = match document {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let kinds = match node.get("type") {
            None => true,
            Some(Value::Array(kinds)) => kinds.iter().any(|each| each == kind),
            Some(only) => only == kind || only == "number" && kind == "integer",
        };
        let Some(properties) = node.get("properties").and_then(Value::as_object) else { return kinds };
        let Some(map) = document.as_object() else { return kinds };
        let closed = node.get("additionalProperties") == Some(&Value::Bool(false));
        let known = map.keys().all(|key| !closed || properties.contains_key(key));
        let tags = properties.iter().filter(|(_, schema)| schema.get("const").is_some());
        kinds && known && tags.into_iter().all(|(key, schema)| map.get(key) == schema.get("const"))
    }

    /// Walks the part of the document that this part of the schema is about; without a document, everything.
    fn visit(&mut self, node: &'s Value, name: &str, document: Option<&Value>) {
        if let Some(reference) = node.get("$ref") {
            let (name, node) = self.definition(reference);
            if document.is_some() || self.seen.insert(name.to_owned()) {
                self.visit(node, name, document);
            }
            return;
        }
        for branch in ["anyOf", "oneOf"].iter().filter_map(|key| node[key].as_array()).flatten() {
            if document.is_none_or(|document| self.fits(branch, document)) {
                self.visit(branch, name, document);
            }
        }
        // A bare list of words is a short form, or has other spellings of one choice.
        let words = node.get("enum").filter(|_| node.get("type").is_some());
        let words = words.and_then(Value::as_array).into_iter().flatten();
        for word in words.chain(node.get("const")).filter_map(Value::as_str) {
            if document.is_none_or(|document| document == word) {
                self.found.insert(format!("{name}={word}"));
            }
        }
        if let Some(properties) = node.get("properties").and_then(Value::as_object) {
            self.fields(properties, name, document);
        }
        if let Some(items) = node.get("items") {
            match document {
                None => self.visit(items, name, None),
                Some(list) => {
                    let list = list.as_array().into_iter().flatten();
                    list.for_each(|item| self.visit(items, name, Some(item)));
                }
            }
        }
    }

    fn fields(
        &mut self,
        properties: &'s serde_json::Map<String, Value>,
        name: &str,
        document: Option<&Value>,
    ) {
        let tag = properties.values().find_map(|schema| schema.get("const").and_then(Value::as_str));
        let name = tag.map_or(name.to_owned(), |word| format!("{name}={word}"));
        if tag.is_some() {
            self.found.insert(name.clone());
        }
        for (key, schema) in properties.iter().filter(|(_, schema)| schema.get("const").is_none()) {
            let value = document.map(|document| document.get(key));
            if value == Some(None) {
                continue;
            }
            let field = format!("{name}.{key}");
            self.visit(schema, &field, value.flatten());
            self.found.insert(field);
        }
    }
}
