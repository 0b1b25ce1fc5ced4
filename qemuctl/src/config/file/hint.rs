//! Turns serde's messages into ones for authors of config files, with suggestions.

/// The similarity, from 0 to 1, from which a word is taken for a misspelling of another.
const ALIKE: f64 = 0.82;

/// The most choices that are listed.
const LISTED: usize = 16;

/// A message and how to fix the problem.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Translates a message of serde.
pub(super) fn advice(message: &str) -> Advice {
    for (opening, what) in [("unknown field `", "field"), ("unknown variant `", "value")] {
        let Some((word, expected)) = message.strip_prefix(opening).and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        return Advice {
            message: format!("unknown {what} `{}`", short(word)),
            help: choose(word, &quoted(expected), what),
        };
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return Advice { message: format!("`{name}` is missing here"), help: None };
    }
    Advice { message: short(&with_plain_words(message)), help: None }
}

/// Shortens a user's text for a message.
pub(super) fn short(text: &str) -> String {
    const KEEP: usize = 300;
    match text.char_indices().nth(KEEP) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn choose(word: &str, choices: &[&str], what: &str) -> Option<String> {
    if let Some(choice) = nearest(word, choices.iter().copied()) {
        return Some(format!("did you mean `{choice}`?"));
    }
    match choices {
        [] => None,
        [only] => Some(format!("only `{only}` is allowed here")),
        many if many.len() <= LISTED => Some(format!("one of {}", many.join(", "))),
        _ => Some(format!("`qemuctl help config` lists the known {what}s")),
    }
}

/// Returns the choice that `word` most likely means, if any: a misspelling, or another tool's word.
pub fn nearest<'a>(word: &str, choices: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are not compared.
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let meant = synonym(&word);
    let mut best = None;
    for choice in choices {
        if meant.contains(&choice) {
            return Some(choice);
        }
        let score = strsim::jaro_winkler(&word, &plain(choice));
        if score >= ALIKE && best.is_none_or(|(_, other)| score > other) {
            best = Some((choice, score));
        }
    }
    best.map(|(choice, _)| choice)
}

/// Other tools' words and ours.
fn synonym(word: &str) -> &'static [&'static str] {
    match word {
        "ram" | "mem" => &["memory"],
        "cpus" | "vcpus" | "cores" | "processors" | "smp" => &["cpu", "count"],
        "drives" | "drive" | "hda" | "image" | "images" => &["disks", "backend"],
        "nics" | "nic" | "net" | "netdev" | "interfaces" => &["networks"],
        "cdrom" | "iso" => &["cdroms"],
        "uefi" | "efi" | "bios" | "pflash" => &["firmware"],
        "file" | "filename" => &["path", "backend"],
        "kernel" | "initrd" | "append" | "cmdline" => &["boot", "append"],
        "serial" => &["serials"],
        "accelerator" | "kvm" => &["accel"],
        "hostfwd" | "ports" | "portforward" | "forwards" => &["forward", "forwards", "host_forward"],
        "mac_address" | "macaddr" => &["mac"],
        "readonly" | "ro" => &["read_only"],
        _ => &[],
    }
}

/// Translates serde's names of Rust types into the terms of a config: numbers, strings, lists and tables.
fn with_plain_words(message: &str) -> String {
    let Some((before, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "usize" => "a non-negative integer",
        "i8" | "i16" | "i32" | "i64" => "an integer",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "a string in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged enum") => "a table",
        other => other,
    };
    let found = before.strip_prefix("invalid type: ").or_else(|| before.strip_prefix("invalid value: "));
    let Some(found) = found else { return message.to_owned() };
    let found = match (found, found.strip_prefix("string ")) {
        (_, Some(text)) => format!("the string {text}"),
        ("map", _) => "a table".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("null", _) => "nothing".to_owned(),
        _ => found.replace('`', ""),
    };
    format!("expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serdes_words_become_plain_ones() {
        let said = [
            "unknown field `memry`, expected one of `name`, `memory`, `disks`",
            "unknown field `ram`, expected one of `name`, `memory`, `disks`",
            "unknown field `colour`, expected one of `name`, `memory`, `disks`",
            "unknown field `x`, expected `name`",
            "unknown field `x`, there are no fields",
            "unknown variant `quow2`, expected one of `raw`, `qcow2`, `luks`",
            "unknown variant `read-only`, expected `read_only` or `read_write`",
            "missing field `backend`",
            "invalid type: string \"4\", expected u32",
            "invalid value: integer `-1`, expected u32",
            "invalid type: map, expected a sequence",
            "invalid type: boolean `true`, expected struct VmConfig",
            "\"2 gigs\" is no size; sizes look like 2GiB",
        ];
        let advice: Vec<String> = said
            .iter()
            .map(|message| {
                let Advice { message, help } = advice(message);
                format!("{message} | {}", help.unwrap_or_default())
            })
            .collect();
        insta::assert_snapshot!(advice.join("\n"), @r#"
        unknown field `memry` | did you mean `memory`?
        unknown field `ram` | did you mean `memory`?
        unknown field `colour` | one of name, memory, disks
        unknown field `x` | only `name` is allowed here
        unknown field `x` | 
        unknown value `quow2` | did you mean `qcow2`?
        unknown value `read-only` | did you mean `read_only`?
        `backend` is missing here | 
        expected an integer from 0 to 4294967295, found the string "4" | 
        expected an integer from 0 to 4294967295, found integer -1 | 
        expected a list, found a table | 
        expected a table, found boolean true | 
        "2 gigs" is no size; sizes look like 2GiB |
        "#);
    }
}
