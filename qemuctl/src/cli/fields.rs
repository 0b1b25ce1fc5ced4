//! The fields of a config, as its JSON Schema describes them.

use serde_json::Value;

/// References between definitions are followed to this depth. The schema's own are at most four levels deep.
const DEEPEST: usize = 16;

/// A parsed JSON Schema.
#[derive(Debug)]
pub(crate) struct Schema(Value);

/// A field of a config, or the whole config.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    root: &'a Value,
    pub(crate) description: Option<&'a str>,
    pub(crate) default: Option<&'a Value>,
    /// Whether the field is a list, whose elements the rest describes.
    pub(crate) is_list: bool,
    /// The forms that a value may have.
    forms: Vec<&'a Value>,
}

/// A table that a field may be: a kind of backend, for example.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// The value of `type`, if the field has several kinds of tables.
    pub(crate) kind: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) fields: Vec<(&'a str, Field<'a>)>,
}

impl Schema {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// Returns the whole config.
    pub(crate) fn root(&self) -> Field<'_> {
        Field::new(&self.0, &self.0)
    }
}

impl<'a> Field<'a> {
    fn new(root: &'a Value, schema: &'a Value) -> Self {
        let mut field = Self {
            root,
            description: schema["description"].as_str(),
            default: schema.get("default").filter(|value| !value.is_null()),
            is_list: false,
            forms: Vec::new(),
        };
        field.collect(schema, 0);
        field
    }

    fn collect(&mut self, schema: &'a Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        if let Some(definition) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            let definition = &self.root["$defs"][definition];
            self.description = self.description.or_else(|| definition["description"].as_str());
            return self.collect(definition, depth + 1);
        }
        let choices = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[key].as_array());
        let choices: Vec<&Value> = choices.flatten().collect();
        if !choices.is_empty() {
            for choice in choices {
                self.collect(choice, depth + 1);
            }
        } else if schema["items"].is_object() && self.forms.is_empty() {
            self.is_list = true;
            self.collect(&schema["items"], depth + 1);
        } else if schema["type"] != "null" {
            self.forms.push(schema);
        }
    }

    /// Returns the words that the field may be, each with its description.
    pub(crate) fn words(&self) -> Vec<(&'a str, Option<&'a str>)> {
        let words = self.forms.iter().flat_map(|form| {
            let all = form["enum"].as_array().into_iter().flatten().chain(form.get("const"));
            all.filter_map(Value::as_str).map(|word| (word, form["description"].as_str()))
        });
        words.collect()
    }

    /// Returns the tables that the field may be.
    pub(crate) fn tables(&self) -> Vec<Table<'a>> {
        let tables = self.forms.iter().filter_map(|form| {
            let properties = form["properties"].as_object()?;
            let kind = properties.get("type").and_then(|kind| kind["const"].as_str());
            let fields = properties.iter().filter(|(name, _)| kind.is_none() || *name != "type");
            let fields = fields.map(|(name, schema)| (name.as_str(), Field::new(self.root, schema)));
            Some(Table { kind, description: form["description"].as_str(), fields: fields.collect() })
        });
        tables.collect()
    }

    /// Returns the field at a path such as `disks.cache`. Indices, as in `disks[0].cache`, are ignored.
    ///
    /// # Errors
    ///
    /// The first step that does not exist, and the names that do.
    pub(crate) fn find(self, path: &str) -> Result<Self, (String, Vec<&'a str>)> {
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        let mut found = self;
        for step in steps.filter(|step| step.parse::<usize>().is_err()) {
            let fields: Vec<_> = found.tables().into_iter().flat_map(|table| table.fields).collect();
            let named = |(name, field): &(&str, Self)| (*name == step).then(|| field.clone());
            let mut same = fields.iter().filter_map(named);
            let Some(mut first) = same.next() else {
                return Err((step.to_owned(), fields.iter().map(|(name, _)| *name).collect()));
            };
            // Several kinds of tables may have a field of this name.
            for form in same.flat_map(|other| other.forms) {
                if !first.forms.contains(&form) {
                    first.forms.push(form);
                }
            }
            found = first;
        }
        Ok(found)
    }

    /// Returns what a value looks like, in a few words.
    pub(crate) fn kind(&self) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for form in &self.forms {
            let kind = match form["type"].as_str() {
                _ if form.get("enum").is_some() || form.get("const").is_some() => "word",
                Some("object") => "table",
                Some("array") => "list",
                Some(kind) => kind,
                None => match form["type"].as_array() {
                    Some(several) => several
                        .iter()
                        .filter_map(Value::as_str)
                        .find(|kind| *kind != "null")
                        .unwrap_or("value"),
                    None => "value",
                },
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let kinds = kinds.join(" or ");
        if self.is_list { format!("list of: {kinds}") } else { kinds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_paths() {
        let schema = Schema::parse(super::super::schema::SCHEMA).expect("JSON");
        let found = |path: &str| schema.root().find(path).map(|field| (field.kind(), field.words().len()));
        assert_eq!(found("guest_agent"), Ok(("boolean".to_owned(), 0)));
        assert_eq!(found("disks[0].cache"), Ok(("word".to_owned(), 5)));
        assert_eq!(found("disks").expect("a field").0, "list of: string or table");
        assert!(found("disks.backend.server").is_ok());
        let (step, names) = found("disks.cahce").expect_err("no such field");
        assert_eq!((step.as_str(), names.contains(&"cache")), ("cahce", true));
    }

    #[test]
    fn every_field_has_a_description() {
        let schema = Schema::parse(super::super::schema::SCHEMA).expect("JSON");
        for (name, field) in schema.root().tables().into_iter().flat_map(|table| table.fields) {
            assert!(field.description.is_some(), "{name}");
        }
    }
}
