//! QEMU's arguments, as a list, as a shell script or as JSON.

use std::ffi::OsStr;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::json::{Described, write_json, write_key_value};
use crate::plan::{Bundle, CharNode, CliOption, FdSlot, OptionValue, Part, Plan};
use crate::value::{Props, Value};

/// A command line, without the program.
///
/// `Display` formats it as a shell script, `Serialize` as JSON. Both, and `Debug`, hide what looks like a password in
/// `extra_args`; planned arguments never contain passwords.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLine {
    /// All arguments, concatenated.
    text: Vec<u8>,
    /// The end of each argument in `text`.
    ends: Vec<usize>,
    /// The file descriptors that must be passed.
    pub fds: Vec<FdSlot>,
}

impl CommandLine {
    pub(crate) fn new(plan: &Plan) -> Self {
        let bundles = || plan.bundles.iter();
        let parts = |bundle: &Bundle| {
            let Bundle { objects, chardevs, block_nodes, netdevs, devices, .. } = bundle;
            objects.len() + chardevs.len() + block_nodes.len() + netdevs.len() + devices.len()
        };
        let parts = plan.options.len() + bundles().map(parts).sum::<usize>();
        let mut line = Self {
            text: Vec::with_capacity(parts * 128),
            ends: Vec::with_capacity(2 * parts + plan.extra_args.len()),
            fds: plan.fds().cloned().collect(),
        };
        for CliOption { name, value } in &plan.options {
            line.add(name);
            match value {
                OptionValue::Flag => {}
                OptionValue::Plain(value) => line.plain(value),
                OptionValue::KeyValue(props) => line.key_value(&[], props),
                OptionValue::Json(props) => line.json(props),
            }
        }
        // In this order, parts come before those that refer to them.
        bundles().for_each(|bundle| line.parts("-object", &bundle.objects));
        for CharNode { kind, id, props } in plan.chardevs() {
            line.add("-chardev");
            line.key_value(&[("backend", kind), ("id", id)], props);
        }
        bundles().for_each(|bundle| line.parts("-netdev", &bundle.netdevs));
        bundles().for_each(|bundle| line.parts("-blockdev", &bundle.block_nodes));
        bundles().for_each(|bundle| line.parts("-device", &bundle.devices));
        plan.extra_args.iter().for_each(|argument| line.add(argument));
        line
    }

    /// Returns the arguments, for `Command::args`.
    ///
    /// ```no_run
    /// # fn start(plan: &qemu_argv::Plan) -> std::io::Result<std::process::Child> {
    /// std::process::Command::new("qemu-system-x86_64").args(plan.command_line().args()).spawn()
    /// # }
    /// ```
    pub fn args(&self) -> impl ExactSizeIterator<Item = &OsStr> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&end| os_str(&self.text[std::mem::replace(&mut start, end)..end]))
    }

    /// Ends the argument that was written.
    fn end(&mut self) {
        self.ends.push(self.text.len());
    }

    fn add(&mut self, argument: &str) {
        self.text.extend_from_slice(argument.as_bytes());
        self.end();
    }

    fn plain(&mut self, value: &Value) {
        match value {
            Value::Str(text) => self.text.extend_from_slice(text.as_bytes()),
            Value::Bytes(bytes) => self.text.extend_from_slice(bytes),
            other => write_json(other, &mut self.text),
        }
        self.end();
    }

    fn key_value(&mut self, texts: &[(&str, &str)], props: &Props) {
        write_key_value(texts, props, &mut self.text);
        self.end();
    }

    fn json(&mut self, value: &impl Serialize) {
        write_json(value, &mut self.text);
        self.end();
    }

    fn parts<P: Part>(&mut self, option: &str, parts: &[P]) {
        for part in parts {
            self.add(option);
            self.json(&Described(part));
        }
    }

    /// The arguments as text with secrets hidden, option by option: each inner list is an option and its argument.
    fn shown(&self) -> Vec<Vec<String>> {
        let mut options: Vec<Vec<String>> = Vec::new();
        for arg in self.args() {
            let text = redact(&arg.to_string_lossy());
            match options.last_mut() {
                // An argument belongs to the option before it, which has none yet.
                Some(option) if option.len() == 1 && !text.starts_with('-') => option.push(text),
                _ => options.push(vec![text]),
            }
        }
        options
    }
}

fn os_str(bytes: &[u8]) -> &OsStr {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        OsStr::from_bytes(bytes)
    }
    // Elsewhere paths that are not UTF-8 never get this far.
    #[cfg(not(unix))]
    OsStr::new(str::from_utf8(bytes).unwrap_or_default())
}

/// Keys that hold secrets when people write them by hand.
const SECRET_KEYS: [&str; 3] = ["password", "data", "cookie"];

/// `text` without the values of keys that hold secrets, written as JSON or as `key=value`.
pub(crate) fn redact(text: &str) -> String {
    if text.starts_with('{')
        && SECRET_KEYS.iter().any(|key| text.contains(key))
        && let Ok(props) = serde_json::from_str::<Props>(text)
    {
        return redacted(&props).to_json();
    }
    let mut shown = text.to_owned();
    for key in SECRET_KEYS.map(|key| format!("{key}=")) {
        let mut from = 0;
        while let Some(found) = shown[from..].find(&key) {
            let key_start = from + found;
            let start = key_start + key.len();
            let whole_key = key_start == 0 || !shown.as_bytes()[key_start - 1].is_ascii_alphanumeric();
            let end = shown[start..].find(',').map_or(shown.len(), |length| start + length);
            from = start;
            if whole_key && !matches!(&shown[start..end], "on" | "off") {
                shown.replace_range(start..end, "***");
                from = start + 3;
            }
        }
    }
    shown
}

/// The same with nested tables.
fn redacted(props: &Props) -> Props {
    let hidden = |(key, value): (&str, &Value)| {
        let value = match value {
            Value::Str(_) if SECRET_KEYS.contains(&key) => Value::from("***"),
            Value::Map(map) => redacted(map).into(),
            other => other.clone(),
        };
        (key.to_owned(), value)
    };
    props.iter().map(hidden).fold(Props::new(), |props, (key, value)| props.with(key, value))
}

/// `text` as one word of a POSIX shell.
fn quote(text: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(harmless) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, option) in self.shown().iter().enumerate() {
            if position > 0 {
                formatter.write_str(" \\\n")?;
            }
            for (position, word) in option.iter().enumerate() {
                if position > 0 {
                    formatter.write_str(" ")?;
                }
                formatter.write_str(&quote(word))?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "`args` shows both")]
impl fmt::Debug for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<_> = self.args().map(|arg| redact(&arg.to_string_lossy())).collect();
        formatter.debug_struct("CommandLine").field("args", &args).field("fds", &self.fds).finish()
    }
}

impl Serialize for CommandLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let args: Vec<_> = self.args().map(|arg| redact(&arg.to_string_lossy())).collect();
        let mut out = serializer.serialize_struct("CommandLine", 2)?;
        out.serialize_field("args", &args)?;
        out.serialize_field("fds", &self.fds)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quote("a=b,c:/d.e"), "a=b,c:/d.e");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn passwords_of_extra_arguments_are_hidden() {
        assert_eq!(redact("secret,id=s,data=hunter2,format=raw"), "secret,id=s,data=***,format=raw");
        assert_eq!(redact("port=1,password=x"), "port=1,password=***");
        assert_eq!(redact("vnc=:1,password=on"), "vnc=:1,password=on");
        assert_eq!(redact("metadata=1"), "metadata=1");
        assert_eq!(
            redact(r#"{"qom-type":"secret","id":"s","data":"hunter2","x":{"password":"a"}}"#),
            r#"{"qom-type":"secret","id":"s","data":"***","x":{"password":"***"}}"#
        );
        assert_eq!(redact(r#"{"driver":"ssh","id":"data1"}"#), r#"{"driver":"ssh","id":"data1"}"#);
    }
}
