//! Tells replies, events and greetings apart, leaving their contents undecoded.
//!
//! Pure. Each message is looked through once; what a reply or event holds stays a slice of the line, to be
//! decoded by the one who wants it, straight into its type.

use std::borrow::Cow;
use std::fmt;

use qmp_proto::{ErrorClass, Timestamp, VersionInfo};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One message from QEMU or its guest agent.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Greeting(Greeting),
    Reply {
        id: Id,
        outcome: Result<&'a RawValue, Refusal>,
    },
    Event(Event<'a>),
    /// A JSON object of a kind that is not known: what a newer QEMU may send.
    Other,
}

/// The `id` of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Missing,
    Number(u64),
    /// Not one of ours.
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
    /// Whether the event says that QEMU ends because a client told it to.
    pub(crate) fn is_quit(&self) -> bool {
        self.name == "SHUTDOWN" && self.data.is_some_and(|data| data.get().contains("\"host-qmp-quit\""))
    }
}

/// What QEMU says first: its version and the capabilities it offers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Greeting {
    /// QEMU's version.
    pub version: VersionInfo,
    /// The capabilities on offer; `oob` is the only one so far.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

impl<'a> Message<'a> {
    /// Parses one line.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        let envelope: Envelope<'a> = serde_json::from_slice(line)?;
        Ok(envelope.classify())
    }
}

#[derive(Default)]
struct Envelope<'a> {
    returned: Option<&'a RawValue>,
    error: Option<Refusal>,
    event: Option<Cow<'a, str>>,
    data: Option<&'a RawValue>,
    timestamp: Option<Timestamp>,
    id: Option<&'a RawValue>,
    greeting: Option<Greeting>,
}

impl<'a> Envelope<'a> {
    fn classify(self) -> Message<'a> {
        let id = match self.id {
            None => Id::Missing,
            Some(raw) => raw.get().parse().map_or(Id::Foreign, Id::Number),
        };
        if let Some(returned) = self.returned {
            Message::Reply { id, outcome: Ok(returned) }
        } else if let Some(refusal) = self.error {
            Message::Reply { id, outcome: Err(refusal) }
        } else if let Some(name) = self.event {
            let unknown = Timestamp { seconds: -1, microseconds: -1 };
            Message::Event(Event { name, data: self.data, timestamp: self.timestamp.unwrap_or(unknown) })
        } else if let Some(greeting) = self.greeting {
            Message::Greeting(greeting)
        } else {
            Message::Other
        }
    }
}

/// A string that stays a slice of the input where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a QMP message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(Text(key)) = map.next_key()? {
                    match &*key {
                        // A `RawValue` keeps `null`, which an `Option` would swallow.
                        "return" => envelope.returned = Some(map.next_value()?),
                        "error" => envelope.error = Some(map.next_value()?),
                        "event" => envelope.event = Some(map.next_value::<Text>()?.0),
                        "data" => envelope.data = Some(map.next_value()?),
                        "timestamp" => envelope.timestamp = Some(map.next_value()?),
                        "id" => envelope.id = Some(map.next_value()?),
                        "QMP" => envelope.greeting = Some(map.next_value()?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        match Message::parse(line.as_bytes()) {
            Ok(Message::Reply { id, outcome: Ok(raw) }) => format!("reply {id:?} {raw}"),
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
            (r#"{"return": {}, "id": null}"#, "reply Foreign {}"),
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
            ("[]", "error: invalid type: sequence, expected a QMP message at line 1 column 0"),
            (r#"{"return": {}"#, "error: EOF while parsing an object at line 1 column 13"),
            (r#"{"return": {}} x"#, "error: trailing characters at line 1 column 16"),
            ("\0", "error: expected value at line 1 column 1"),
        ];
        for (line, expected) in table {
            assert_eq!(show(line), expected, "{line}");
        }
    }

    #[test]
    fn deep_nesting_is_passed_on_unread() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(show(&format!(r#"{{"return": {deep}, "id": 1}}"#)).starts_with("reply Number(1) [["));
    }
}
