//! Wire names to Rust names. Rules here, exceptions in `overrides`.

use super::overrides;

/// Words that need `r#` as an identifier.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Words that even `r#` does not make an identifier.
const NEVER_RAW: [&str; 4] = ["self", "Self", "super", "crate"];

/// The name of a type, as QEMU has it but for a few rows.
pub fn type_name(name: &str) -> String {
    let renamed = overrides::TYPE_NAMES.iter().find(|(wire, _, _)| *wire == name);
    let name = renamed.map_or(name, |(_, rust, _)| rust);
    // A vendor's `__org.example_Thing` keeps its letters and digits.
    if name.starts_with("__") || name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return camel(name);
    }
    name.to_owned()
}

/// `query-status` as `QueryStatus`, `BLOCK_JOB_READY` as `BlockJobReady`, `x86_64` as `X86_64`.
pub fn camel(wire: &str) -> String {
    let is_shouting =
        wire.chars().any(|c| c.is_ascii_uppercase()) && !wire.chars().any(|c| c.is_ascii_lowercase());
    let mut name = String::new();
    for part in wire.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let part = if is_shouting { part.to_ascii_lowercase() } else { part.to_owned() };
        // Two numbers must not become one.
        let touches =
            name.ends_with(|c: char| c.is_ascii_digit()) && part.starts_with(|c: char| c.is_ascii_digit());
        if touches {
            name.push('_');
        }
        let mut chars = part.chars();
        name.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(chars.as_str());
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The variant of an enum's word or a union's branch. `Unknown` is taken by the catch-all.
pub fn variant(wire: &str) -> String {
    if let Some((_, rust, _)) = overrides::VARIANT_NAMES.iter().find(|(word, _, _)| *word == wire) {
        return (*rust).to_owned();
    }
    let is_acronym = wire.len() > 1 && wire.chars().all(|c| c.is_ascii_uppercase());
    match camel(wire).as_str() {
        _ if is_acronym => wire.to_owned(),
        "Self" => "Self_".to_owned(),
        name => name.to_owned(),
    }
}

/// The field of a member: `io-status` as `io_status`, `type` as `r#type`.
pub fn field(wire: &str) -> String {
    let mut name: String =
        wire.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if NEVER_RAW.contains(&name.as_str()) {
        name.push('_');
    }
    if KEYWORDS.contains(&name.as_str()) {
        name.insert_str(0, "r#");
    }
    name
}

/// The Rust module of a QAPI module.
pub fn module(wire: &str) -> String {
    wire.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::codegen::merge::merge;
    use crate::codegen::merged::{Merged, Payload, Shape};
    use crate::codegen::store::{self, Dialect};

    #[test]
    fn names_follow_the_rules() {
        let types = ["query-status", "BLOCK_JOB_READY", "x86_64", "cast5-128", "2_5", "__org.example_do-it"]
            .map(camel);
        assert_eq!(types, ["QueryStatus", "BlockJobReady", "X86_64", "Cast5_128", "_2_5", "OrgExampleDoIt"]);
        let variants = ["unknown", "DIMM", "GenericError", "self", "io_uring", "1", "kp_0"].map(variant);
        assert_eq!(variants, ["UnknownWord", "DIMM", "GenericError", "Self_", "IoUring", "_1", "Kp0"]);
        let fields = ["io-status", "type", "self", "2fast", "x-IOPS"].map(field);
        assert_eq!(fields, ["io_status", "r#type", "self_", "_2fast", "x_iops"]);
    }

    /// Letters and digits alone, to see that a name was not mangled.
    fn bare(name: &str) -> String {
        let name = name.strip_prefix("r#").unwrap_or(name);
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    }

    /// Checks that `names` (wire, Rust) neither collide nor lose a letter.
    fn check<'a>(place: &str, names: impl Iterator<Item = (&'a str, String)>, problems: &mut Vec<String>) {
        let mut seen = BTreeMap::new();
        for (wire, rust) in names {
            let excepted = overrides::TYPE_NAMES.iter().chain(overrides::VARIANT_NAMES);
            if bare(wire) != bare(&rust) && !excepted.into_iter().any(|(name, _, _)| *name == wire) {
                problems.push(format!("{place}: {wire} is mangled to {rust}"));
            }
            if let Some(other) = seen.insert(rust.clone(), wire) {
                problems.push(format!("{place}: {wire} and {other} are both {rust}"));
            }
        }
    }

    fn payload(place: &str, payload: &Payload, problems: &mut Vec<String>) {
        if let Payload::Members(members) = payload {
            check(place, members.iter().map(|m| (m.name.as_str(), field(&m.name))), problems);
        }
    }

    fn all_names(merged: &Merged, problems: &mut Vec<String>) {
        // A command may be the struct of its arguments: one item for both.
        let commands = merged.commands.iter().filter(|(wire, command)| {
            !matches!(&command.shape.data, Payload::Type(name) if type_name(name) == camel(wire))
        });
        let root = merged.types.keys().map(|name| (name.as_str(), type_name(name)));
        let branches = merged.types.iter().filter_map(|(name, entity)| match &entity.shape {
            Shape::Object(object) if object.tag.is_some() && !object.members.is_empty() => {
                Some((name.as_str(), format!("{}Branch", type_name(name))))
            }
            _ => None,
        });
        let taken: Vec<String> = branches.map(|(_, rust)| rust).collect();
        for name in merged.types.keys().filter(|name| taken.contains(&type_name(name))) {
            problems.push(format!("{name} is also the branch of a union"));
        }
        check("root", root.chain(commands.map(|(name, _)| (name.as_str(), camel(name)))), problems);
        check("events", merged.events.keys().map(|name| (name.as_str(), camel(name))), problems);
        for (name, command) in &merged.commands {
            payload(name, &command.shape.data, problems);
        }
        for (name, event) in &merged.events {
            payload(name, &event.shape, problems);
        }
        for (name, entity) in &merged.types {
            match &entity.shape {
                Shape::Enum { words } => {
                    check(name, words.iter().map(|w| (w.name.as_str(), variant(&w.name))), problems);
                }
                Shape::Object(object) => {
                    let tag = object.tag.iter().map(|tag| (tag.name.as_str(), field(&tag.name)));
                    let members = object.members.iter().map(|m| (m.name.as_str(), field(&m.name)));
                    check(name, members.chain(tag), problems);
                    for branch in object.tag.iter().flat_map(|tag| &tag.branches) {
                        if variant(&branch.value) == "Unknown" {
                            problems.push(format!("{name}: {} is the catch-all", branch.value));
                        }
                    }
                }
                Shape::Alternate { .. } => {}
            }
        }
    }

    #[test]
    fn no_wire_name_collides_or_is_mangled() {
        let mut problems = Vec::new();
        for dialect in Dialect::ALL {
            let merged = merge(store::read_all(dialect).expect("facts")).expect("merges");
            all_names(&merged, &mut problems);
        }
        assert_eq!(problems, Vec::<String>::new());
    }
}
