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
