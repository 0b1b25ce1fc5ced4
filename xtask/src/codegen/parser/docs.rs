//! The facts in documentation blocks: which symbol they are about, and since when things exist.

use std::collections::BTreeMap;

/// The facts of one documentation block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocFacts {
    /// The line of the opening `##`.
    pub line: usize,
    /// What the block documents; nothing for free-form text.
    pub symbol: Option<String>,
    /// The release of the `Since:` line.
    pub since: Option<String>,
    /// The releases noted with single members, by their names.
    pub members: BTreeMap<String, String>,
}

/// Reads the block that starts on `line`.
pub fn facts(line: usize, lines: &[String]) -> DocFacts {
    let mut facts = DocFacts { line, ..DocFacts::default() };
    let mut lines = lines.iter().map(String::as_str);
    facts.symbol = lines.next().and_then(symbol).map(str::to_owned);
    if facts.symbol.is_none() {
        return facts;
    }
    // Notes such as "(since 8.1)" belong to the member described last; a section ends the members.
    let mut member: Option<&str> = None;
    let mut in_features = false;
    for line in lines {
        if let Some(release) = line.strip_prefix("Since:").and_then(release) {
            facts.since = Some(release);
        } else if line.starts_with("Features:") {
            in_features = true;
            member = None;
        } else if is_section(line) {
            member = None;
        } else if let Some((name, _)) = line.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
            member = (!in_features).then_some(name);
        }
        if let (Some(name), Some(release)) = (member, inline_release(line)) {
            facts.members.entry(name.to_owned()).or_insert(release);
        }
    }
    facts
}

/// `@NAME:`, the first line of a block about a definition.
fn symbol(line: &str) -> Option<&str> {
    let name = line.strip_prefix('@')?.strip_suffix(':')?;
    (!name.is_empty() && !name.contains(' ')).then_some(name)
}

fn is_section(line: &str) -> bool {
    ["Returns:", "Errors:", "Since:", "Example", "Examples", "Note:", "Notes:", "TODO:", ".. "]
        .iter()
        .any(|section| line.starts_with(section))
}

/// The release at the start of `text`, such as `2.11` or `1.1.0`.
fn release(text: &str) -> Option<String> {
    let text = text.trim_start().trim_start_matches("version ").trim_start_matches("QEMU ");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let digits = text[..end].trim_end_matches('.');
    digits.contains('.').then(|| digits.to_owned())
}

/// The release in "(since 8.1)" or "(Since: 2.3)".
fn inline_release(line: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let start = lower.find("since")?;
    if !lower[..start].trim_end().ends_with('(') && !lower[..start].contains('(') {
        return None;
    }
    release(lower[start + "since".len()..].trim_start_matches(':'))
}
