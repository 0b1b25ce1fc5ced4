//! How QEMU reads properties: JSON, and `key=value,…`. Escaping happens here and nowhere else.

use std::fmt::Write as _;

use super::{Props, Value};

impl Props {
    /// The list as one line of JSON, as `-device` and QMP take it.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(128);
        self.write_json(&mut out);
        out
    }

    pub(crate) fn write_json(&self, out: &mut String) {
        write_json_object(&[], &[self], out);
    }

    /// Appends `key=value,key=value` with commas in values doubled.
    pub(crate) fn write_keyval(&self, out: &mut Vec<u8>) {
        for (position, (key, value)) in self.0.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            value.write_keyval(out);
        }
    }
}

/// Writes one object of some texts and all properties of some lists, which have no key in common.
pub(crate) fn write_json_object(texts: &[(&str, &str)], lists: &[&Props], out: &mut String) {
    let mut between = '{';
    for (key, text) in texts {
        out.push(std::mem::replace(&mut between, ','));
        write_json_str(key, out);
        out.push(':');
        write_json_str(text, out);
    }
    for (key, value) in lists.iter().flat_map(|list| &list.0) {
        out.push(std::mem::replace(&mut between, ','));
        write_json_str(key, out);
        out.push(':');
        value.write_json(out);
    }
    if between == '{' {
        out.push('{');
    }
    out.push('}');
}

impl Value {
    pub(crate) fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) => out.push_str(itoa::Buffer::new().format(*number)),
            Self::Uint(number) => out.push_str(itoa::Buffer::new().format(*number)),
            Self::Str(text) => write_json_str(text, out),
            // The draft refuses such paths for JSON options; the lossy form is for people's eyes only.
            Self::Bytes(bytes) => write_json_str(&String::from_utf8_lossy(bytes), out),
            Self::List(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(map) => map.write_json(out),
        }
    }

    fn write_keyval(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(true) => out.extend_from_slice(b"on"),
            Self::Bool(false) => out.extend_from_slice(b"off"),
            Self::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Uint(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Str(text) => double_commas(text.as_bytes(), out),
            Self::Bytes(bytes) => double_commas(bytes, out),
            // Structures, which no `key=value` option of ours uses.
            other => {
                let mut text = String::new();
                other.write_json(&mut text);
                double_commas(text.as_bytes(), out);
            }
        }
    }
}

fn double_commas(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if byte == b',' {
            out.push(b',');
        }
        out.push(byte);
    }
}

fn write_json_str(text: &str, out: &mut String) {
    let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    out.push('"');
    // Looked through without a stop, which many bytes at a time can be: nearly all texts have nothing to escape.
    if !text.bytes().fold(false, |found, byte| found | escaped(byte)) {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut plain = 0;
    for (position, byte) in text.bytes().enumerate().filter(|(_, byte)| escaped(*byte)) {
        out.push_str(&text[plain..position]);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            // Writing to a String cannot fail.
            control => drop(write!(out, "\\u{control:04x}")),
        }
        plain = position + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_what_json_must() {
        let props = Props::new().with("a\"b", "x\\y\n\u{1}é").with("n", 3_u64).with("l", vec![Value::Null]);
        assert_eq!(props.to_json(), "{\"a\\\"b\":\"x\\\\y\\n\\u0001é\",\"n\":3,\"l\":[null]}");
        let back: serde_json::Value = serde_json::from_str(&props.to_json()).expect("is JSON");
        assert_eq!(back["a\"b"], "x\\y\n\u{1}é");
    }

    #[test]
    fn keyval_doubles_commas_only() {
        let mut out = Vec::new();
        Props::new()
            .with("path", "/a,b=c \"d\"")
            .with("server", true)
            .with("raw", Value::Bytes(b"\xff,".to_vec()))
            .write_keyval(&mut out);
        assert_eq!(out, b"path=/a,,b=c \"d\",server=on,raw=\xff,,");
    }
}
