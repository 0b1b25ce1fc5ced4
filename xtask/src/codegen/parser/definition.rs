//! One top-level expression to one definition, with every key checked.

use super::docs::DocFacts;
use super::error::{SyntaxError, fail};
use super::lexer::{Node, Value};
use crate::codegen::model::{
    Arguments, Branch, CommandFacts, Condition, Definition, Feature, Kind, Member, Word,
};

type Result<T> = std::result::Result<T, SyntaxError>;

/// The kinds of definition, each with the keys it may have beside its own, `if` and `features`.
const KINDS: [(&str, &[&str]); 6] = [
    ("enum", &["data", "prefix"]),
    ("struct", &["data", "base"]),
    ("union", &["data", "base", "discriminator"]),
    ("alternate", &["data"]),
    (
        "command",
        &["data", "boxed", "returns", "success-response", "gen", "allow-oob", "allow-preconfig", "coroutine"],
    ),
    ("event", &["data", "boxed"]),
];

/// The pragmas, and whether their value is a list of names.
const PRAGMAS: [(&str, bool); 5] = [
    ("doc-required", false),
    ("command-name-exceptions", true),
    ("command-returns-exceptions", true),
    ("documentation-exceptions", true),
    ("member-name-exceptions", true),
];

/// Checks the value of a `pragma` directive.
pub fn check_pragma(file: &str, node: &Node) -> Result<()> {
    let Value::Object(pragmas) = &node.value else {
        return fail(file, node.line, "an object after 'pragma'", node.what());
    };
    for (name, value) in pragmas {
        let Some((_, is_list)) = PRAGMAS.iter().find(|(known, _)| known == name) else {
            let known: Vec<_> = PRAGMAS.iter().map(|(known, _)| *known).collect();
            return fail(file, value.line, format!("one of {}", known.join(", ")), format!("'{name}'"));
        };
        match &value.value {
            Value::Bool(_) if !is_list => {}
            Value::List(names) if *is_list => {
                for name in names {
                    text(file, name)?;
                }
            }
            _ => {
                let expected = if *is_list { "a list of strings" } else { "a boolean" };
                return fail(file, value.line, format!("{expected} for '{name}'"), value.what());
            }
        }
    }
    Ok(())
}

/// Builds the definition whose members are `members`.
pub fn build(
    file: &str,
    module: &str,
    line: usize,
    members: &[(String, Node)],
    doc: Option<&DocFacts>,
) -> Result<Definition> {
    let Some((keyword, keys)) = KINDS.iter().find(|(kind, _)| members.iter().any(|(key, _)| key == kind))
    else {
        let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        let expected = format!("include, pragma or one of {}", kinds.join(", "));
        return fail(file, line, expected, "an object without any of them");
    };
    let parts = Parts { file, line, keyword, members, doc };
    for (key, node) in members {
        if key != keyword && key != "if" && key != "features" && !keys.contains(&key.as_str()) {
            let expected = format!("a key of '{keyword}' ({}, if, features)", keys.join(", "));
            return fail(file, node.line, expected, format!("'{key}'"));
        }
    }
    let name = parts.name()?;
    if let Some(DocFacts { line, symbol: Some(symbol), .. }) = doc
        && *symbol != name
    {
        return fail(file, *line, format!("documentation of '{name}'"), format!("'@{symbol}:'"));
    }
    Ok(Definition {
        since: doc.and_then(|doc| doc.since.clone()),
        features: parts.features(parts.get("features"))?,
        condition: parts.condition(parts.get("if"))?,
        kind: parts.kind()?,
        module: module.to_owned(),
        name,
    })
}

/// A definition's members, with what is needed to say where they are wrong.
struct Parts<'a> {
    file: &'a str,
    line: usize,
    keyword: &'a str,
    members: &'a [(String, Node)],
    doc: Option<&'a DocFacts>,
}

impl<'a> Parts<'a> {
    fn get(&self, key: &str) -> Option<&'a Node> {
        find(self.members, key)
    }

    fn need(&self, key: &str) -> Result<&'a Node> {
        match self.get(key) {
            Some(node) => Ok(node),
            None => fail(self.file, self.line, format!("'{key}' in this {}", self.keyword), "none"),
        }
    }

    fn name(&self) -> Result<String> {
        let node = self.need(self.keyword)?;
        checked_name(self.file, node, false)
    }

    fn kind(&self) -> Result<Kind> {
        Ok(match self.keyword {
            "enum" => {
                if let Some(prefix) = self.get("prefix") {
                    text(self.file, prefix)?;
                }
                Kind::Enum { values: self.words(self.need("data")?)? }
            }
            "struct" => Kind::Struct { base: self.type_name("base")?, members: self.object("data")? },
            "union" => self.union()?,
            "alternate" => Kind::Alternate { alternatives: self.object("data")? },
            "command" => Kind::Command(CommandFacts {
                data: self.arguments()?,
                returns: self.get("returns").map(|node| type_ref(self.file, node)).transpose()?,
                r#gen: self.flag("gen", true)?,
                success_response: self.flag("success-response", true)?,
                boxed: self.flag("boxed", false)?,
                allow_oob: self.flag("allow-oob", false)?,
                allow_preconfig: self.flag("allow-preconfig", false)?,
                coroutine: self.flag("coroutine", false)?,
            }),
            _ => {
                self.flag("boxed", false)?;
                Kind::Event { data: self.arguments()? }
            }
        })
    }

    fn union(&self) -> Result<Kind> {
        let (base, members) = match self.need("base")? {
            Node { value: Value::Text(name), .. } => (Some(name.clone()), Vec::new()),
            node => (None, self.members_of(node)?),
        };
        let mut branches = Vec::new();
        let data = self.need("data")?;
        let Value::Object(entries) = &data.value else {
            return fail(self.file, data.line, "an object of branches", data.what());
        };
        for (value, node) in entries {
            check_name(self.file, node.line, value, true)?;
            let (r#type, condition, _) = self.typed(node)?;
            branches.push(Branch { value: value.clone(), r#type, condition });
        }
        let discriminator = text(self.file, self.need("discriminator")?)?;
        Ok(Kind::Union { base, members, discriminator, branches })
    }

    fn arguments(&self) -> Result<Arguments> {
        match self.get("data") {
            None => Ok(Arguments::None),
            Some(Node { value: Value::Text(name), .. }) => Ok(Arguments::Type(name.clone())),
            Some(node) => {
                let members = self.members_of(node)?;
                Ok(if members.is_empty() { Arguments::None } else { Arguments::Members(members) })
            }
        }
    }

    fn type_name(&self, key: &str) -> Result<Option<String>> {
        self.get(key).map(|node| text(self.file, node)).transpose()
    }

    fn object(&self, key: &str) -> Result<Vec<Member>> {
        self.members_of(self.need(key)?)
    }

    fn members_of(&self, node: &Node) -> Result<Vec<Member>> {
        let Value::Object(entries) = &node.value else {
            return fail(self.file, node.line, "an object of members", node.what());
        };
        let mut members = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let name = key.strip_prefix('*').unwrap_or(key);
            check_name(self.file, node.line, name, false)?;
            let (r#type, condition, features) = self.typed(node)?;
            members.push(Member {
                name: name.to_owned(),
                r#type,
                optional: key.starts_with('*'),
                since: self.doc.and_then(|doc| doc.members.get(name).cloned()),
                features,
                condition,
            });
        }
        Ok(members)
    }

    /// A type with its condition and features: `'T'`, `['T']` or `{'type': …}`.
    fn typed(&self, node: &Node) -> Result<(String, Option<Condition>, Vec<Feature>)> {
        let Value::Object(parts) = &node.value else {
            return Ok((type_ref(self.file, node)?, None, Vec::new()));
        };
        only(self.file, parts, &["type", "if", "features"])?;
        let Some(r#type) = find(parts, "type") else {
            return fail(self.file, node.line, "'type' in this member", "none");
        };
        Ok((
            type_ref(self.file, r#type)?,
            self.condition(find(parts, "if"))?,
            self.features(find(parts, "features"))?,
        ))
    }

    fn words(&self, node: &Node) -> Result<Vec<Word>> {
        let mut words: Vec<Word> = Vec::new();
        for node in list(self.file, node, "a list of words")? {
            let (name, condition, features) = match &node.value {
                Value::Object(parts) => {
                    only(self.file, parts, &["name", "if", "features"])?;
                    let Some(name) = find(parts, "name") else {
                        return fail(self.file, node.line, "'name' in this word", "none");
                    };
                    (
                        checked_name(self.file, name, true)?,
                        self.condition(find(parts, "if"))?,
                        self.features(find(parts, "features"))?,
                    )
                }
                _ => (checked_name(self.file, node, true)?, None, Vec::new()),
            };
            if words.iter().any(|word| word.name == name) {
                return fail(self.file, node.line, "each word once", format!("'{name}' again"));
            }
            let since = self.doc.and_then(|doc| doc.members.get(&name).cloned());
            words.push(Word { name, since, features, condition });
        }
        Ok(words)
    }

    fn features(&self, node: Option<&Node>) -> Result<Vec<Feature>> {
        let Some(node) = node else { return Ok(Vec::new()) };
        let mut features: Vec<Feature> = Vec::new();
        for node in list(self.file, node, "a list of features")? {
            let (name, condition) = match &node.value {
                Value::Object(parts) => {
                    only(self.file, parts, &["name", "if"])?;
                    let Some(name) = find(parts, "name") else {
                        return fail(self.file, node.line, "'name' in this feature", "none");
                    };
                    (checked_name(self.file, name, false)?, self.condition(find(parts, "if"))?)
                }
                _ => (checked_name(self.file, node, false)?, None),
            };
            if features.iter().any(|feature| feature.name == name) {
                return fail(self.file, node.line, "each feature once", format!("'{name}' again"));
            }
            features.push(Feature { name, condition });
        }
        Ok(features)
    }

    fn condition(&self, node: Option<&Node>) -> Result<Option<Condition>> {
        node.map(|node| condition(self.file, node)).transpose()
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Node { value: Value::Bool(value), .. }) if *value != default => Ok(*value),
            Some(node) => {
                let found = match node.value {
                    Value::Bool(value) => value.to_string(),
                    _ => node.what().into(),
                };
                fail(self.file, node.line, format!("{} for '{key}'", !default), found)
            }
        }
    }
}

fn find<'a>(members: &'a [(String, Node)], key: &str) -> Option<&'a Node> {
    members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
}

fn only(file: &str, members: &[(String, Node)], known: &[&str]) -> Result<()> {
    match members.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        Some((key, node)) => {
            fail(file, node.line, format!("one of {}", known.join(", ")), format!("'{key}'"))
        }
        None => Ok(()),
    }
}

fn list<'a>(file: &str, node: &'a Node, expected: &str) -> Result<&'a [Node]> {
    match &node.value {
        Value::List(elements) => Ok(elements),
        _ => fail(file, node.line, expected, node.what()),
    }
}

fn text(file: &str, node: &Node) -> Result<String> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        _ => fail(file, node.line, "a string", node.what()),
    }
}

/// `'T'` as it is, `['T']` as `[T]`.
fn type_ref(file: &str, node: &Node) -> Result<String> {
    match &node.value {
        Value::Text(name) => Ok(name.clone()),
        Value::List(elements) => match elements.as_slice() {
            [Node { value: Value::Text(name), .. }] => Ok(format!("[{name}]")),
            _ => fail(file, node.line, "one type's name in the list", format!("{} elements", elements.len())),
        },
        _ => fail(file, node.line, "a type's name or a list with one", node.what()),
    }
}

fn condition(file: &str, node: &Node) -> Result<Condition> {
    let Value::Object(parts) = &node.value else {
        return Ok(Condition::Is(text(file, node)?));
    };
    let [(operator, operand)] = parts.as_slice() else {
        let found = format!("{} keys", parts.len());
        return fail(file, node.line, "exactly one of all, any, not", found);
    };
    let each = || -> Result<Vec<Condition>> {
        list(file, operand, "a list of conditions")?.iter().map(|node| condition(file, node)).collect()
    };
    match operator.as_str() {
        "all" => Ok(Condition::All(each()?)),
        "any" => Ok(Condition::Any(each()?)),
        "not" => Ok(Condition::Not(Box::new(condition(file, operand)?))),
        _ => fail(file, operand.line, "one of all, any, not", format!("'{operator}'")),
    }
}

fn checked_name(file: &str, node: &Node, is_word: bool) -> Result<String> {
    let name = text(file, node)?;
    check_name(file, node.line, &name, is_word)?;
    Ok(name)
}

/// Names are letters, digits, `-` and `_`, after an optional `__RFQDN_` of a vendor, and start with a
/// letter; the words of an enum may start with a digit.
fn check_name(file: &str, line: usize, name: &str, is_word: bool) -> Result<()> {
    let stem = match name.strip_prefix("__") {
        Some(vendor) => match vendor.split_once('_') {
            Some((domain, stem)) if domain.contains('.') || !domain.is_empty() => stem,
            _ => return fail(file, line, "a name after '__RFQDN_'", format!("'{name}'")),
        },
        None => name,
    };
    let legal_start = stem.starts_with(|c: char| c.is_ascii_alphabetic() || (is_word && c.is_ascii_digit()));
    let legal = stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !legal_start || !legal {
        let expected = "a name of letters, digits, '-' and '_' that starts with a letter";
        return fail(file, line, expected, format!("'{name}'"));
    }
    if stem.starts_with("q_") {
        return fail(
            file,
            line,
            "a name that does not start with 'q_', which is reserved",
            format!("'{name}'"),
        );
    }
    Ok(())
}
