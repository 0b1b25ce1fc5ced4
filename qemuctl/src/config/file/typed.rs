//! Deserializes a config from a plain value, finding all faults at once.
//!
//! serde stops at the first fault. So the faulty part is removed and the rest is deserialized again, until there are no
//! more faults.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::document::Node;
use super::fault::{ConfigFault, MOST, Place};
use super::hide::{Lines, is_word};
use super::hint::{Advice, advice, short};
use super::path::{Display, Step};

/// A fault at some place of a config.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) steps: Vec<Step>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Finding {
    pub(super) fn in_file(self, file: &Path, text: &str, lines: &Lines, root: &Node) -> ConfigFault {
        let node = root.nearest(&self.steps);
        // A long table is identified by its name, a single value by itself.
        let span = match &node.key {
            Some(key) if text.get(node.value.clone()).is_none_or(|value| value.contains('\n')) => key.clone(),
            Some(key) if is_unknown(&self.message) => key.clone(),
            _ => node.value.clone(),
        };
        let somewhere = !self.steps.is_empty() && !span.is_empty();
        // The message already contains the name of an unknown field.
        let known =
            if is_unknown(&self.message) { &self.steps[..self.steps.len().max(1) - 1] } else { &self.steps };
        // Users write the secret itself in place of its id.
        let hidden = matches!(self.steps.last(), Some(Step::Field(name)) if name.ends_with("_secret"));
        ConfigFault {
            file: file.into(),
            field: short(&Display(known).to_string()),
            message: self.message,
            help: self.help,
            place: somewhere.then(|| Place::of(text, lines, span, hidden)),
        }
    }
}

fn is_unknown(message: &str) -> bool {
    message.starts_with("unknown field ")
}

/// What could be deserialized of a value.
pub(super) struct Read<T> {
    /// The result without the faulty parts, if anything is left.
    pub(super) whole: Option<T>,
    pub(super) findings: Vec<Finding>,
    /// The paths in the file of the parts that were removed.
    pub(super) cut: Vec<Vec<Step>>,
}

/// Deserializes a `T`, and collects all faults.
pub(super) fn read<T: DeserializeOwned>(mut value: Value) -> Read<T> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut cut: Vec<Vec<Step>> = Vec::new();
    while findings.len() < MOST {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => {
                without_repetition(&mut findings);
                return Read { whole: Some(read), findings, cut };
            }
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let mut steps: Vec<Step> = error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(Step::Item(*index)),
                Segment::Map { key } => Some(Step::Field(key.clone())),
                Segment::Enum { .. } | Segment::Unknown => None,
            })
            .collect();
        locate(&message, &mut steps, &value);
        let original = in_the_file(&steps, &cut);
        let is_consequence = missing(&message).is_some_and(|name| {
            cut.iter().any(|cut| cut.split_last() == Some((&Step::Field(name.into()), &original)))
        });
        if !is_consequence {
            let Advice { mut message, help } = advice(&message);
            without_secrets(&mut message, &steps, &value);
            findings.push(Finding { steps: original.clone(), message, help });
        }
        if !remove(&mut value, &steps) {
            break;
        }
        cut.push(original);
    }
    without_repetition(&mut findings);
    Read { whole: None, findings, cut }
}

/// Removes what may be a secret from a message about the value at `steps`.
fn without_secrets(message: &mut String, steps: &[Step], value: &Value) {
    let is_word = |step: &Step| matches!(step, Step::Field(name) if is_word(name));
    let mut secrets = Vec::new();
    if let Some(value) = follow(value, steps) {
        collect_secrets(value, steps.iter().any(is_word), &mut secrets);
    }
    if secrets.is_empty() {
        return;
    }
    message.truncate(message.find(", found ").unwrap_or(message.len()));
    for secret in secrets {
        for (written, instead) in [(format!("{secret:?}"), "…"), (format!("`{secret}`"), "`…`")] {
            if message.contains(&written) {
                *message = message.replace(&written, instead);
            }
        }
    }
}

/// Returns the strings in `value` that may be secrets: all of them if it is itself in a field for secrets.
fn collect_secrets<'a>(value: &'a Value, is_secret: bool, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                collect_secrets(value, is_secret || is_word(key), found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_secrets(value, is_secret, found)),
        Value::String(text) if is_secret => found.push(text),
        // Its text is not quoted.
        Value::Number(_) if is_secret => found.push("number"),
        _ => {}
    }
}

/// A field with a misspelt name is not reported as missing, too.
fn without_repetition(findings: &mut Vec<Finding>) {
    let meant: Vec<(Vec<Step>, String)> = findings
        .iter()
        .filter_map(|finding| {
            let name = finding.help.as_ref()?.strip_prefix("did you mean `")?.strip_suffix("`?")?;
            let (_, table) = finding.steps.split_last()?;
            Some((table.to_vec(), format!("`{name}` is missing here")))
        })
        .collect();
    findings.retain(|finding| {
        !meant.iter().any(|(table, message)| *table == finding.steps && *message == finding.message)
    });
}

fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// Inside a tagged table serde loses the path, which is found again by the name in its message.
fn locate(message: &str, steps: &mut Vec<Step>, value: &Value) {
    let Some((name, _)) = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    else {
        return;
    };
    if steps.last() == Some(&Step::Field(name.to_owned())) {
        return;
    }
    if let Some(rest) = follow(value, steps).and_then(|value| find(value, name)) {
        steps.extend(rest);
    }
}

fn follow<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Item(index) => value.get(index),
    })
}

/// Returns the path of the first entry of this name in `value`, at any depth.
fn find(value: &Value, name: &str) -> Option<Vec<Step>> {
    let inside = |step: Step, value: &Value| {
        let mut way = vec![step];
        way.extend(find(value, name)?);
        Some(way)
    };
    match value {
        Value::Object(table) if table.contains_key(name) => Some(vec![Step::Field(name.to_owned())]),
        Value::Object(table) => table.iter().find_map(|(key, value)| inside(Step::Field(key.clone()), value)),
        Value::Array(list) => {
            list.iter().enumerate().find_map(|(index, value)| inside(Step::Item(index), value))
        }
        _ => None,
    }
}

/// Returns the path in the file of what is now at `steps`, after the elements in `cut` were removed from their lists.
pub(super) fn in_the_file(steps: &[Step], cut: &[Vec<Step>]) -> Vec<Step> {
    let mut way: Vec<Step> = Vec::new();
    for step in steps {
        let Step::Item(index) = step else {
            way.push(step.clone());
            continue;
        };
        let mut gone: Vec<usize> = cut
            .iter()
            .filter_map(|cut| match cut.split_last() {
                Some((Step::Item(index), list)) if list == way => Some(*index),
                _ => None,
            })
            .collect();
        gone.sort_unstable();
        way.push(Step::Item(gone.iter().fold(*index, |index, &gone| index + usize::from(gone <= index))));
    }
    way
}

/// Removes the part at `steps`. Returns whether there was one.
fn remove(value: &mut Value, steps: &[Step]) -> bool {
    let Some((last, way)) = steps.split_last() else { return false };
    let parent = way.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Object(table)), Step::Field(name)) => table.remove(name).is_some(),
        (Some(Value::Array(items)), Step::Item(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}
