//! Distinguishes replies, events and greetings, without decoding their contents.
//!
//! The content of a reply or event stays a slice of the line. It is decoded by the receiver, directly into its type.

use std::borrow::Cow;
use std::fmt;

use qmp_proto::{ErrorClass, Timestamp, VersionInfo};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::members::{Malformed, Members};

/// One message from QEMU or its guest agent.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Greeting(Greeting),
    Reply {
        id: Id,
        /// A reply's undecoded text.
        outcome: Result<&'a [u8], Refusal>,
    },
    Event(Event<'a>),
    /// An unknown JSON object, such as a newer QEMU may send.
    Other,
}

/// The `id` of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Missing,
    Number(u64),
    /// Not a number like our ids.
    Foreign,
}

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default = "generic")]
    pub class: ErrorClass,
    #[serde(default)]
    pub desc: String,
}

fn generic() -> ErrorClass {
    ErrorClass::GenericError
}

/// An event whose data is not decoded yet.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub name: Cow<'a, str>,
    pub data: Option<&'a RawValue>,
    pub timestamp: Timestamp,
}

impl Event<'_> {
    /// Whether the event announces that QEMU ends because a client requested it.
    pub(crate) fn is_quit(&self) -> bool {
        self.name == "SHUTDOWN" && self.data.is_some_and(|data| data.get().contains("\"host-qmp-quit\""))
    }
}

/// QEMU's greeting: its version and capabilities.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Greeting {
    /// QEMU's version.
    pub version: VersionInfo,
    /// The supported capabilities; `oob` is the only one so far.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// Why a line is not a message.
#[derive(Debug)]
pub(crate) enum NotAMessage {
    Malformed(Malformed),
    /// A member of the message has an unexpected value.
    Member(serde_json::Error),
}

impl fmt::Display for NotAMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(formatter),
            Self::Member(error) => error.fmt(formatter),
        }
    }
}

/// A string that borrows from the input if it contains no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Message<'a> {
    /// Parses one line.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, NotAMessage> {
        if let Some((id, reply)) = plain_reply(line) {
            return Ok(Self::Reply { id, outcome: Ok(reply) });
        }
        let (mut returned, mut error, mut event, mut data, mut timestamp, mut id, mut greeting) =
            (None, None, None, None, None, None, None);
        let mut members = Members::of(line);
        while let Some((name, value)) = members.next().map_err(NotAMessage::Malformed)? {
            let place = match &*name {
                "return" => &mut returned,
                "error" => &mut error,
                "event" => &mut event,
                "data" => &mut data,
                "timestamp" => &mut timestamp,
                "id" => &mut id,
                "QMP" => &mut greeting,
                _ => continue,
            };
            *place = Some(value);
        }
        let id = match id {
            // As servers write it that repeat the id of a command without looking whether it has one.
            None | Some(b"null") => Id::Missing,
            Some(id) => number(id).map_or(Id::Foreign, Id::Number),
        };
        Ok(if let Some(returned) = returned {
            Self::Reply { id, outcome: Ok(returned) }
        } else if let Some(error) = error {
            Self::Reply { id, outcome: Err(read(error)?) }
        } else if let Some(event) = event {
            let Text(name) = read(event)?;
            let unknown = Timestamp { seconds: -1, microseconds: -1 };
            let timestamp = timestamp.map(read).transpose()?.unwrap_or(unknown);
            Self::Event(Event { name, data: data.map(read).transpose()?, timestamp })
        } else if let Some(greeting) = greeting {
            Self::Greeting(read(greeting)?)
        } else {
            Self::Other
        })
    }
}

/// A reply as QEMU writes it, taken apart without reading it: `{"return": REPLY, "id": NUMBER}` or, if the command had
/// no id, `{"return": REPLY}`.
///
/// The end of a JSON object that ends like the former cannot be anything but its member `id`. What stands before may be
/// more than the reply, if a newer QEMU tells more: see [`first_value`].
fn plain_reply(line: &[u8]) -> Option<(Id, &[u8])> {
    let rest = line.strip_prefix(b"{\"return\": ")?.strip_suffix(b"}")?;
    if matches!(rest.last()?, b'}' | b']') {
        // A member `id` may be the reply's own or the message's; that takes a closer look.
        let is_name = |at: usize| rest[at + 4..].trim_ascii_start().first() == Some(&b':');
        let named = memchr::memmem::find_iter(rest, b"\"id\"").any(is_name);
        return (!named).then_some((Id::Missing, rest));
    }
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, id) = rest.split_at(rest.len() - digits);
    Some((Id::Number(number(id)?), rest.strip_suffix(b", \"id\": ")?))
}

/// The reply alone, if members of the message follow it.
pub(crate) fn first_value(reply: &[u8]) -> Option<&[u8]> {
    let whole = [b"{\"\":", reply, b"}"].concat();
    let (_, value) = Members::of(&whole).next().ok()??;
    reply.get(..value.len()).filter(|value| value.len() < reply.len())
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, NotAMessage> {
    serde_json::from_slice(value).map_err(NotAMessage::Member)
}

/// A whole number, as it stands on the wire.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        match Message::parse(line.as_bytes()) {
            Ok(Message::Reply { id, outcome: Ok(raw) }) => {
                format!("reply {id:?} {}", String::from_utf8_lossy(raw))
            }
            Ok(Message::Reply { id, outcome: Err(refusal) }) => {
                format!("refusal {id:?} {:?} {}", refusal.class, refusal.desc)
            }
            Ok(Message::Event(event)) => format!(
                "event {} {:?} {}.{}",
                event.name,
                event.data.map(RawValue::get),
                event.timestamp.seconds,
                event.timestamp.microseconds
            ),
            Ok(Message::Greeting(greeting)) => {
                format!("greeting {} {:?}", greeting.version.qemu.major, greeting.capabilities)
            }
            Ok(Message::Other) => "other".into(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn kinds_of_messages() {
        let table = [
            (r#"{"return": {}, "id": 3}"#, "reply Number(3) {}"),
            (r#"{"id": 3, "return": [1, 2]}"#, "reply Number(3) [1, 2]"),
            (r#"{"return": null, "id": 0}"#, "reply Number(0) null"),
            (r#"{"return": {}}"#, "reply Missing {}"),
            (r#"{"return": {}, "id": "3"}"#, "reply Foreign {}"),
            (r#"{"return": {}, "id": -1}"#, "reply Foreign {}"),
            (r#"{"return": {}, "id": null}"#, "reply Missing {}"),
            (r#"{"return": 1, "id": null}"#, "reply Missing 1"),
            (r#"{"return": [1], "id" : null }"#, "reply Missing [1]"),
            (
                r#"{"id": 1, "error": {"class": "GenericError", "desc": "no"}}"#,
                "refusal Number(1) GenericError no",
            ),
            (r#"{"error": {"class": "New", "desc": "no"}}"#, r#"refusal Missing Unknown("New") no"#),
            (r#"{"error": {}}"#, "refusal Missing GenericError "),
            (
                r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "A\u0042", "data": {"a": 1}}"#,
                r#"event AB Some("{\"a\": 1}") 1.2"#,
            ),
            (r#"{"event": "STOP"}"#, "event STOP None -1.-1"),
            (
                r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 11}, "package": ""}}}"#,
                "greeting 11 []",
            ),
            (r#"{"tomorrow": [1]}"#, "other"),
            ("{}", "other"),
            ("[]", "error: expected an object at byte 0"),
            (r#"{"return": {}"#, "error: expected `,` or `}` at byte 13"),
            (r#"{"return": {}} x"#, "error: expected the end at byte 15"),
            ("\0", "error: expected an object at byte 0"),
            (r#"{"return": [tru}, "id": 1}"#, "reply Number(1) [tru}"),
            (r#"{"return": 1, "new": {}, "id": 1}"#, r#"reply Number(1) 1, "new": {}"#),
            (r#"{"return": 1, "new": {}, "id": 1 }"#, "reply Number(1) 1"),
            (r#"{"return": "\", \"id\": 5}", "id": 1}"#, r#"reply Number(1) "\", \"id\": 5}""#),
            (r#"{"return": {"id": 5}}"#, r#"reply Missing {"id": 5}"#),
            (r#"{"return": {"name": "id"}}"#, r#"reply Missing {"name": "id"}"#),
            (r#"{"return": [1], "id": 3, "new": {}}"#, "reply Number(3) [1]"),
            (r#"{"return": [1], "id" : 3, "new": []}"#, "reply Number(3) [1]"),
            (r#"{"return": [1], "new": {}}"#, r#"reply Missing [1], "new": {}"#),
            (r#"{"return": 1, "id": -5}"#, "reply Foreign 1"),
            (r#"{"return": 1, "id": 99999999999999999999}"#, "reply Foreign 1"),
            (r#"{"event": 5}"#, "error: invalid type: integer `5`, expected a string at line 1 column 1"),
            (r#"{"event": "A", "data": [}}"#, "error: expected value at line 1 column 2"),
        ];
        for (line, expected) in table {
            assert_eq!(show(line), expected, "{line}");
        }
    }

    #[test]
    fn what_a_newer_qemu_tells_besides_is_cut_off() {
        let cut = |reply: &'static str| first_value(reply.as_bytes()).map(String::from_utf8_lossy);
        assert_eq!(cut(r#"{"a": [1]}, "new": {}"#).as_deref(), Some(r#"{"a": [1]}"#));
        assert_eq!(cut(r#"{"a": [1]}"#), None);
        assert_eq!(cut(r#"{"a": [1}"#), None);
        assert_eq!(cut(""), None);
    }

    #[test]
    fn deep_nesting_is_passed_on_unread() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(show(&format!(r#"{{"return": {deep}, "id": 1}}"#)).starts_with("reply Number(1) [["));
    }
}
