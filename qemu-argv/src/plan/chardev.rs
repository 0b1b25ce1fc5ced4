//! A character device, in the words of `-chardev`, and how `chardev-add` says the same.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::value::{Props, Value};

/// A character device: `-chardev` at start, `chardev-add` at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CharNode {
    /// QEMU's type, such as `socket`.
    pub kind: SmolStr,
    /// The id.
    pub id: SmolStr,
    /// Options in the words of `-chardev`.
    pub props: Props,
}

impl CharNode {
    /// The arguments of `chardev-add`, whose words differ from those of `-chardev`.
    pub fn arguments(&self) -> Props {
        let backend = Props::new().with("type", &self.kind).with("data", self.data());
        Props::new().with("id", &self.id).with("backend", backend)
    }

    /// The options as `chardev-add` has them: another name for some, and addresses nested.
    fn data(&self) -> Props {
        let mut data = Props::new();
        for (key, value) in self.props.iter() {
            match (self.kind.as_str(), key) {
                ("file", "path") => data.set("out", value.clone()),
                ("pipe" | "serial" | "parallel", "path") => data.set("device", value.clone()),
                ("spicevmc", "name") => data.set("type", value.clone()),
                ("spiceport", "name") => data.set("fqdn", value.clone()),
                ("ringbuf", "size") => data.set("size", number(value)),
                ("hub", _) => data.set("chardevs", self.above()),
                ("socket", "path") => {
                    data.set("addr", nested("unix", Props::new().with("path", value.clone())));
                }
                ("socket", "fd") => {
                    data.set("addr", nested("fd", Props::new().with("str", text(value))));
                    // It is one unless told otherwise.
                    data.set("server", false);
                }
                ("socket", "host") => data.set("addr", self.inet("host", "port")),
                ("udp", "host") => data.set("remote", self.inet("host", "port")),
                ("udp", "localaddr") => data.set("local", self.inet("localaddr", "localport")),
                // Said with the host; and several devices on one is nothing that `chardev-add` can.
                ("socket" | "udp", "port") | ("udp", "localport") | (_, "mux") => {}
                _ => data.set(key.to_owned(), value.clone()),
            }
        }
        data
    }

    fn inet(&self, host: &str, port: &str) -> Props {
        let value = |key| self.props.get(key).cloned();
        nested("inet", Props::new().with_some("host", value(host)).with_some("port", value(port)))
    }

    /// The devices of a hub: `chardevs.0`, `chardevs.1`, …
    fn above(&self) -> Vec<Value> {
        self.props
            .iter()
            .filter(|(key, _)| key.starts_with("chardevs."))
            .map(|(_, value)| value.clone())
            .collect()
    }
}

/// An address as `chardev-add` has it.
fn nested(kind: &'static str, address: Props) -> Props {
    Props::new().with("type", kind).with("data", address)
}

/// A number that `-chardev` has as text.
fn number(value: &Value) -> Value {
    match value {
        Value::Str(text) => text.parse().map_or_else(|_| value.clone(), Value::Uint),
        other => other.clone(),
    }
}

/// A text that `-chardev` has as a number.
fn text(value: &Value) -> Value {
    match value {
        Value::Uint(number) => Value::from(number.to_string()),
        other => other.clone(),
    }
}
