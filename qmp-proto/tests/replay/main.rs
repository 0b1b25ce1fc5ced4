//! Recorded traffic of three QEMU releases, as it came, damaged, and as a QEMU of tomorrow might send it.
//!
//! Recorded by `cargo xtask schema record` from a q35 guest with disks, NICs, memory devices, a block
//! job and then a running migration.

mod commands;
mod fuzz;

use qmp_proto::{AnyEvent, Command, DecodeError, TimedEvent, Timestamp, decode_reply};
use serde::Serialize;
use serde_json::{Value, json};

/// Decodes a reply and encodes it again.
type Trip = fn(&str) -> Result<Value, DecodeError>;

fn trip<C: Command<Return: Serialize>>(reply: &str) -> Result<Value, DecodeError> {
    let typed = decode_reply::<C>(reply)?;
    Ok(serde_json::to_value(typed).expect("every reply can be encoded"))
}

const RECORDINGS: [(&str, &str); 3] = [
    ("7.2", include_str!("../traffic/7.2.jsonl")),
    ("10.0", include_str!("../traffic/10.0.jsonl")),
    ("11.1", include_str!("../traffic/11.1.jsonl")),
];

/// A recorded reply.
struct Reply {
    release: &'static str,
    command: String,
    value: Value,
}

fn messages() -> impl Iterator<Item = (&'static str, Value)> {
    RECORDINGS.into_iter().flat_map(|(release, text)| {
        text.lines().map(move |line| (release, serde_json::from_str(line).expect("a recorded line")))
    })
}

fn replies() -> Vec<Reply> {
    messages()
        .filter_map(|(release, mut message)| {
            let command = message["command"].as_str()?.to_owned();
            Some(Reply { release, command, value: message["return"].take() })
        })
        .collect()
}

fn events() -> Vec<Value> {
    messages().map(|(_, message)| message).filter(|message| message.get("event").is_some()).collect()
}

fn timed(message: &Value) -> TimedEvent {
    let empty = json!({});
    let name = message["event"].as_str().expect("an event's name");
    let stamp: Timestamp = serde_json::from_value(message["timestamp"].clone()).expect("a timestamp");
    TimedEvent::new(AnyEvent::decode(name, message.get("data").unwrap_or(&empty)), stamp)
}

/// `1` and `1.0` are the same number; JSON of QEMU does not tell them apart either.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

/// The first place where two values differ, for a message that can be read.
fn difference(path: &str, a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let names: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            names.into_iter().find_map(|name| match (x.get(name), y.get(name)) {
                (Some(x), Some(y)) => difference(&format!("{path}.{name}"), x, y),
                _ => Some(format!("{path}.{name} is on one side only")),
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(i, (x, y))| difference(&format!("{path}[{i}]"), x, y))
        }
        _ => (!same(a, b)).then(|| format!("{path}: {a} became {b}")),
    }
}

#[test]
fn every_recorded_reply_decodes_and_encodes_back() {
    let mut problems = Vec::new();
    let replies = replies();
    for Reply { release, command, value } in &replies {
        let back = commands::replay(command).expect("a known command")(&value.to_string());
        match back {
            Ok(back) => problems
                .extend(difference("", value, &back).map(|text| format!("{release} {command}: {text}"))),
            Err(error) => problems.push(format!("{release}: {error}: {}", error.source)),
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    assert!(replies.len() > 200, "only {} replies are recorded", replies.len());
}

#[test]
fn every_recorded_event_decodes_and_encodes_back() {
    let events = events();
    for message in &events {
        let event = timed(message);
        assert!(!matches!(event.event, AnyEvent::Unknown { .. }), "{message}");
        let mut back = serde_json::to_value(&event).expect("every event can be encoded");
        if message.get("data").is_none() {
            back.as_object_mut().expect("an object").remove("data");
        }
        assert_eq!(difference("", message, &back), None);
    }
    assert!(events.len() > 30, "only {} events are recorded", events.len());
}

/// Adds unknown members to every object and makes every word an unknown one.
fn tomorrow(value: &mut Value, words: bool) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(|value| tomorrow(value, words));
            members.insert("tomorrow".into(), json!({ "nested": [1, null, "x"] }));
            members.insert("x-tomorrow".into(), Value::Null);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| tomorrow(value, words)),
        Value::String(word) if words => word.push_str("-of-tomorrow"),
        _ => {}
    }
}

#[test]
fn a_qemu_of_tomorrow_decodes() {
    let mut problems = Vec::new();
    for Reply { release, command, value } in replies() {
        for words in [false, true] {
            let mut value = value.clone();
            tomorrow(&mut value, words);
            if let Err(error) = commands::replay(&command).expect("a known command")(&value.to_string()) {
                problems.push(format!("{release}, words {words}: {error}: {}", error.source));
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    for message in events() {
        for words in [false, true] {
            let mut message = message.clone();
            if let Some(data) = message.get_mut("data") {
                tomorrow(data, words);
            }
            assert_eq!(timed(&message).event.name(), message["event"]);
            assert!(!matches!(timed(&message).event, AnyEvent::Unknown { .. }), "{message}");
        }
    }
    let event = AnyEvent::decode("TOMORROW", &json!({ "a": 1 }));
    assert_eq!(event, AnyEvent::Unknown { name: "TOMORROW".into(), data: json!({ "a": 1 }) });
}
