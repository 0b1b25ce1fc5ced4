//! Damaged replies: decoded or refused with the command's name and a path, never a panic.

use proptest::prelude::*;
use qmp_proto::{QueryBlock, QueryMemorySizeSummary, QueryVersion, decode_reply};
use serde_json::{Value, json};

use super::{commands, replies};

/// Any JSON value, with numbers at the limits.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![json!(u64::MAX), json!(i64::MIN), json!(1e300), json!(0.5), json!(-1)]),
        "\\PC{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::hash_map("[a-z-]{1,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// How many values `value` holds, itself included.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// Puts `new` in the place of the value number `at`, or takes the value away where that can be.
fn damage(value: &mut Value, at: &mut usize, new: Option<&Value>) {
    if *at == 0 {
        *value = new.cloned().unwrap_or_default();
        *at = usize::MAX;
        return;
    }
    *at -= 1;
    match value {
        Value::Array(values) => {
            for value in values {
                if *at == usize::MAX {
                    return;
                }
                damage(value, at, new);
            }
        }
        Value::Object(members) => {
            let mut taken = None;
            for (name, value) in members.iter_mut() {
                if *at == usize::MAX {
                    return;
                }
                if *at == 0 && new.is_none() {
                    taken = Some(name.clone());
                    break;
                }
                damage(value, at, new);
            }
            if let Some(name) = taken {
                members.remove(&name);
                *at = usize::MAX;
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_replies_never_panic(which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(),
                                   new in prop::option::of(json_value())) {
        let replies = replies_once();
        let (command, value) = &replies[which.index(replies.len())];
        let mut value = value.clone();
        let mut at = place.index(size(&value));
        damage(&mut value, &mut at, new.as_ref());
        if let Err(error) = commands::replay(command).expect("a known command")(&value.to_string()) {
            prop_assert_eq!(&error.name, command);
            prop_assert!(!error.path.is_empty());
        }
    }

    #[test]
    fn cut_or_garbled_text_never_panics(which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
                                        garbage in "\\PC{0,3}") {
        let replies = replies_once();
        let (command, value) = &replies[which.index(replies.len())];
        let text = value.to_string();
        let mut end = cut.index(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let garbled = format!("{}{garbage}", &text[..end]);
        if let Err(error) = commands::replay(command).expect("a known command")(&garbled) {
            prop_assert_eq!(&error.name, command);
        }
    }
}

/// The recorded replies that are not huge, read once.
fn replies_once() -> &'static [(String, Value)] {
    static REPLIES: std::sync::OnceLock<Vec<(String, Value)>> = std::sync::OnceLock::new();
    REPLIES.get_or_init(|| {
        let all = replies().into_iter().map(|reply| (reply.command, reply.value));
        all.filter(|(_, value)| size(value) < 2000).collect()
    })
}

#[test]
fn refusals_name_command_and_path() {
    let version = |text: &str| decode_reply::<QueryVersion>(text).expect_err("bad").to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let refused = [
        version(r#"{"package": "", "qemu": {"major": 1, "minor": 2, "micro": 9223372036854775808}}"#),
        version(r#"{"package": "", "qemu": {"major": 1, "minor": 2.5, "micro": 3}}"#),
        version(r#"{"package": ""}"#),
        decode_reply::<QueryBlock>(r#"[{"device": "a", "locked": false, "removable": 1, "type": "x"}]"#)
            .expect_err("bad")
            .to_string(),
        decode_reply::<QueryBlock>(&deep).expect_err("bad").to_string(),
        decode_reply::<QueryMemorySizeSummary>(r#"{"base-memory": -1}"#).expect_err("bad").to_string(),
    ];
    assert_eq!(
        refused,
        [
            "query-version: unexpected JSON at qemu.micro",
            "query-version: unexpected JSON at qemu.minor",
            "query-version: unexpected JSON at $",
            "query-block: unexpected JSON at [0].removable",
            "query-block: unexpected JSON at [0]",
            "query-memory-size-summary: unexpected JSON at base-memory",
        ]
    );
}

#[test]
fn sizes_of_the_whole_range_survive_and_the_last_of_two_counts() {
    let reply = r#"{"base-memory": 1, "base-memory": 18446744073709551615, "plugged-memory": 0}"#;
    let summary = decode_reply::<QueryMemorySizeSummary>(reply).expect("decodes");
    assert_eq!((summary.base_memory, summary.plugged_memory), (u64::MAX, Some(0)));
    let back = serde_json::to_string(&summary).expect("encodes");
    assert_eq!(back, r#"{"base-memory":18446744073709551615,"plugged-memory":0}"#);
}
