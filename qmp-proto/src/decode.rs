//! Decoding with errors that say where.
//!
//! Nothing is tracked while decoding goes well. When it fails, the place that `serde_json` reports as
//! line and column is looked up in the text, which gives the path of the trouble. This needs neither a
//! second decoding nor a wrapped deserializer, whose code every reply type would have twice.

use std::fmt;

use serde::Deserialize;

use crate::traits::Command;

/// A reply, or other JSON from QEMU, that does not have the expected shape.
#[derive(Debug)]
#[non_exhaustive]
pub struct DecodeError {
    /// What was being decoded: a command's or event's name.
    pub name: String,
    /// Where the trouble is, such as `[0].inserted.image`; `$` is the whole.
    pub path: String,
    /// What the trouble is.
    pub source: serde_json::Error,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: unexpected JSON at {}", self.name, self.path)
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Decodes what QEMU returned for the command `C`.
///
/// # Errors
///
/// [`DecodeError`] with the command's name and the path in the reply.
///
/// ```
/// use qmp_proto::{QueryName, decode_reply};
///
/// let error = decode_reply::<QueryName>(r#"{"name": 5}"#).unwrap_err();
/// assert_eq!(error.to_string(), "query-name: unexpected JSON at name");
/// ```
pub fn decode_reply<C: Command>(reply: impl AsRef<[u8]>) -> Result<C::Return, DecodeError> {
    decode(C::NAME, reply.as_ref())
}

/// Decodes `text`, which belongs to the command or event `name`.
///
/// # Errors
///
/// [`DecodeError`] with `name` and the path in `text`.
pub fn decode<'de, T, B>(name: &str, text: &'de B) -> Result<T, DecodeError>
where
    T: Deserialize<'de>,
    B: AsRef<[u8]> + ?Sized,
{
    let text = text.as_ref();
    let outcome = match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str(text),
        // Looks into every string, and so finds the one that is not text.
        Err(_) => serde_json::from_slice::<serde_json::Value>(text)
            .and_then(|_| Err(serde::de::Error::custom("it is not UTF-8"))),
    };
    outcome.map_err(|source| DecodeError { name: name.to_owned(), path: error_path(text, &source), source })
}

/// The path in `text` of the value that `error`, which came of decoding `text`, is about.
pub fn error_path(text: impl AsRef<[u8]>, error: &serde_json::Error) -> String {
    let text = text.as_ref();
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let start: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let end = start.saturating_add(error.column()).min(text.len());
    // Such an error is about the object that ends there, not about its last member.
    let is_whole = error.is_data() && !error.to_string().starts_with("invalid ");
    render(&open_at(&text[..end]), is_whole)
}

/// Where a reader of JSON stands: a member's name or an element's index for each open container.
enum Step {
    /// In an object, after a member's name.
    Member(String),
    /// In an object, before the next member's name.
    Between,
    Element(usize),
}

/// The containers that are open at the end of `text`. Malformed text gives some path, never a panic.
fn open_at(text: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => steps.push(Step::Between),
            b'[' => steps.push(Step::Element(0)),
            // At the very end the container is still what the error is about.
            b'}' | b']' if at + 1 < text.len() => {
                steps.pop();
            }
            b',' if at + 1 < text.len() => match steps.last_mut() {
                Some(Step::Element(index)) => *index += 1,
                Some(step) => *step = Step::Between,
                None => {}
            },
            b'"' => {
                let mut name = Vec::new();
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => name.extend(bytes.next().map(|(_, byte)| byte)),
                        _ => name.push(byte),
                    }
                }
                if let Some(step @ Step::Between) = steps.last_mut() {
                    *step = Step::Member(String::from_utf8_lossy(&name).into_owned());
                }
            }
            _ => {}
        }
    }
    steps
}

fn render(steps: &[Step], is_whole: bool) -> String {
    let mut path = String::new();
    for (index, step) in steps.iter().enumerate() {
        let is_last = index + 1 == steps.len();
        match step {
            Step::Member(_) if is_last && is_whole => {}
            Step::Member(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Element(index) => {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
            }
            Step::Between => {}
        }
    }
    if path.is_empty() {
        path.push('$');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn path<'de, T: Deserialize<'de>>(text: &'de str) -> String {
        match serde_json::from_str::<T>(text) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error_path(text, &error),
        }
    }

    #[test]
    fn paths_name_the_value_in_trouble() {
        let cases = [
            path::<crate::StatusInfo>(r#"{"running": 1, "status": "running"}"#),
            path::<crate::StatusInfo>(r#"{"status": "running", "running": {"a": 1}}"#),
            path::<crate::StatusInfo>(r#"{"x": [{"y": 1}], "status": "running"}"#),
            path::<crate::StatusInfo>("[1]"),
            path::<Vec<crate::NameInfo>>(r#"[{}, {"name": "a"}, {"name": true}]"#),
            path::<Vec<crate::NameInfo>>("[{},\n {\"other\": \"}\\\"{\"},\n {\"name\": 7}]"),
            path::<crate::VersionInfo>(r#"{"package": "", "qemu": {"major": 1, "minor": 2}}"#),
            path::<Value>(r#"{"a": {"b": [1, 2, tru"#),
            path::<Value>(""),
        ];
        let expected = ["running", "running", "$", "$", "[2].name", "[2].name", "qemu", "a.b[2]", "$"];
        assert_eq!(cases, expected);
    }

    #[test]
    fn a_string_that_is_not_text_is_refused_by_its_path() {
        let reply = b"[{\"name\": \"a\"}, {\"name\": \"\xff\xfe\"}]";
        let error = decode::<Vec<crate::NameInfo>, _>("query-name", &reply[..]).unwrap_err();
        assert_eq!(error.to_string(), "query-name: unexpected JSON at [1].name");
        // The column is serde_json's own affair, and depends on its features.
        let source = error.source.to_string();
        assert!(source.starts_with("invalid unicode code point at line 1 "), "{source}");
        let outside = decode::<Value, _>("query-name", &b"\xff"[..]).unwrap_err();
        assert_eq!(outside.to_string(), "query-name: unexpected JSON at $");
    }
}
