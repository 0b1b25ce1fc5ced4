//! Serializes commands and deserializes replies.
//!
//! Commands are as short as possible, since QEMU reads its monitor one byte at a time, 4 µs each. So there are no
//! spaces, no newline, and no `arguments` if there are none.

use std::borrow::Cow;

use qmp_proto::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ClientError;
use crate::wire::message;

/// QEMU's limits on a command. Beyond them its parser answers without an id and may lose its place.
const MAX_BYTES: usize = 64 << 20;
const MAX_DEPTH: usize = 1024;
const MAX_TOKENS: usize = 2 << 20;

/// Serializes a command, except for its id and closing brace.
pub(crate) fn encode<A: Serialize + ?Sized>(name: &str, arguments: &A) -> Result<Vec<u8>, NotSent> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(b"{\"execute\":");
    serde_json::to_writer(&mut bytes, name).map_err(NotSent::Json)?;
    let bare = bytes.len();
    bytes.extend_from_slice(b",\"arguments\":");
    let start = bytes.len();
    serde_json::to_writer(&mut bytes, arguments).map_err(NotSent::Json)?;
    match &bytes[start..] {
        b"{}" | b"null" => bytes.truncate(bare),
        [b'{', ..] => check(&bytes).map_err(NotSent::Refused)?,
        _ => return Err(NotSent::Refused("the arguments are not a JSON object")),
    }
    Ok(bytes)
}

/// Serializes one of our own commands.
pub(crate) fn known(name: &'static str, arguments: &Value) -> Vec<u8> {
    encode(name, arguments).expect("a small object of strings and numbers is a command")
}

/// Why a command cannot be sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    Json(serde_json::Error),
    Refused(&'static str),
}

impl NotSent {
    /// Returns the error for the caller of `command`.
    pub(crate) fn of(self, command: Cow<'static, str>) -> ClientError {
        match self {
            Self::Json(source) => ClientError::Encode { command, source },
            Self::Refused(why) => ClientError::Unsendable { command, why },
        }
    }
}

/// Turns a command into an out-of-band one.
pub(crate) fn out_of_band(bytes: &[u8]) -> Vec<u8> {
    [b"{\"exec-oob\"", bytes.get("{\"execute\"".len()..).unwrap_or_default()].concat()
}

/// Rejects what QEMU's parser would not accept.
fn check(json: &[u8]) -> Result<(), &'static str> {
    if json.len() > MAX_BYTES - 64 {
        return Err("it is longer than 64 MiB, QEMU's limit");
    }
    if json.len() <= MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut tokens, mut quoted, mut bytes) = (1, 0, false, json.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                quoted = !quoted;
                tokens += usize::from(quoted);
            }
            b'\\' if quoted => drop(bytes.next()),
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                tokens += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                tokens += 2;
            }
            // Counts the punctuation, and a number or word before it.
            b',' | b':' => tokens += 2,
            _ => {}
        }
        if depth >= MAX_DEPTH {
            return Err("it is nested deeper than 1024 levels, QEMU's limit");
        }
    }
    if tokens >= MAX_TOKENS { Err("it has more than 2 million tokens, QEMU's limit") } else { Ok(()) }
}

/// Deserializes a reply.
pub(crate) fn decode<R: DeserializeOwned>(
    command: Cow<'static, str>,
    reply: &[u8],
) -> Result<R, ClientError> {
    let mut outcome = qmp_proto::decode(&command, reply);
    if outcome.is_err()
        && let Some(reply) = message::first_value(reply)
    {
        outcome = qmp_proto::decode(&command, reply);
    }
    outcome.map_err(|DecodeError { path, source, .. }| ClientError::Decode { command, path, source })
}

#[cfg(test)]
mod tests {
    use qmp_proto::QueryStatus;
    use serde_json::json;

    use super::*;

    fn text(name: &'static str, arguments: &Value) -> String {
        match encode(name, arguments) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.of(Cow::Borrowed(name)).to_string(),
        }
    }

    #[test]
    fn the_shortest_form() {
        let typed = encode("query-status", &QueryStatus {}).unwrap();
        assert_eq!(typed, br#"{"execute":"query-status""#);
        assert_eq!(out_of_band(&typed), br#"{"exec-oob":"query-status""#);
        assert_eq!(text("a", &Value::Null), r#"{"execute":"a""#);
        assert_eq!(
            text("a", &json!({"b": [1, null, "c d"]})),
            r#"{"execute":"a","arguments":{"b":[1,null,"c d"]}"#
        );
    }

    #[test]
    fn replies_are_read_whatever_else_was_told() {
        let read = |reply: &[u8]| match decode::<Value>(Cow::Borrowed("a"), reply) {
            Ok(value) => value.to_string(),
            Err(ClientError::Decode { path, source, .. }) => format!("{path}: {source}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(read(b"{\"b\": 1}"), r#"{"b":1}"#);
        assert_eq!(read(b"{\"b\": 1}, \"new\": 2"), r#"{"b":1}"#);
        assert_eq!(read(b"{\"b\": [1, tru]}"), "b[1]: expected ident at line 1 column 14");
        assert_eq!(read(b"{\"b\": \"\xff\"}"), "b: invalid unicode code point at line 1 column 8");
    }

    #[test]
    fn nothing_can_be_injected_by_the_name() {
        assert_eq!(
            text("a\",\"id\":9}{\"execute\":\"quit", &Value::Null),
            r#"{"execute":"a\",\"id\":9}{\"execute\":\"quit""#
        );
    }

    #[test]
    fn what_qemu_could_not_parse_is_refused() {
        let nested = |depth: usize| {
            let mut value = json!({});
            for _ in 0..depth {
                value = json!([value]);
            }
            text("a", &json!({ "b": value }))
        };
        assert!(nested(1000).starts_with("{\"execute\""));
        assert_eq!(nested(1030), "a: invalid command: it is nested deeper than 1024 levels, QEMU's limit");
        assert_eq!(
            text("a", &json!({ "b": "[\\\"".repeat(5000) })).len(),
            r#"{"execute":"a","arguments":{"b":""}"#.len() + 5 * 5000
        );
        assert_eq!(
            text("a", &json!({ "b": vec![0; 1 << 20] })),
            "a: invalid command: it has more than 2 million tokens, QEMU's limit"
        );
        assert_eq!(check(&vec![b' '; 64 << 20]), Err("it is longer than 64 MiB, QEMU's limit"));
        assert_eq!(text("a", &json!([1])), "a: invalid command: the arguments are not a JSON object");
    }
}
