//! How QEMU reads properties: JSON, and `key=value,…`. What is special to a reader is escaped here and nowhere else.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::plan::Part;
use crate::value::{Props, Value};

impl Props {
    /// The list as one line of JSON, as `-device` and QMP take it.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(128);
        write_json(self, &mut out);
        // JSON is text.
        String::from_utf8(out).unwrap_or_default()
    }
}

/// Writes JSON without blanks.
pub(super) fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    // Memory takes everything, and keys are texts.
    let _ = serde_json::to_writer(out, value);
}

/// A part as its one object, without putting that together first.
pub(super) struct Described<'a, P>(pub(super) &'a P);

impl<P: Part> Serialize for Described<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, name) in self.0.names() {
            map.serialize_entry(key, name)?;
        }
        let mut placed = Ok(());
        self.0.each_of_place(|key, value| {
            if placed.is_ok() {
                placed = map.serialize_entry(key, &value);
            }
        });
        placed?;
        for (key, value) in self.0.props().iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Writes `key=value,key=value` of some texts and all properties of a list, with commas in values doubled.
pub(super) fn write_key_value(texts: &[(&str, &str)], props: &Props, out: &mut Vec<u8>) {
    let mut is_first = true;
    let mut key_is = |key: &str, out: &mut Vec<u8>| {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
    };
    for (key, text) in texts {
        key_is(key, out);
        double_commas(text.as_bytes(), out);
    }
    for (key, value) in props.iter() {
        key_is(key, out);
        match value {
            Value::Bool(true) => out.extend_from_slice(b"on"),
            Value::Bool(false) => out.extend_from_slice(b"off"),
            Value::Str(text) => double_commas(text.as_bytes(), out),
            Value::Bytes(bytes) => double_commas(bytes, out),
            // Numbers; and structures, which no `key=value` option of ours uses.
            other => {
                let mut text = Vec::new();
                write_json(other, &mut text);
                double_commas(&text, out);
            }
        }
    }
}

fn double_commas(bytes: &[u8], out: &mut Vec<u8>) {
    for piece in bytes.split_inclusive(|&byte| byte == b',') {
        out.extend_from_slice(piece);
        if piece.ends_with(b",") {
            out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_what_json_must() {
        let props = Props::new().with("a\"b", "x\\y\n\u{1}é").with("n", 3_u64).with("l", vec![Value::Null]);
        assert_eq!(props.to_json(), "{\"a\\\"b\":\"x\\\\y\\n\\u0001é\",\"n\":3,\"l\":[null]}");
    }

    #[test]
    fn keyval_doubles_commas_only() {
        let mut out = Vec::new();
        let props = Props::new()
            .with("path", "/a,b=c \"d\"")
            .with("server", true)
            .with("size", 3_u64)
            .with("raw", Value::Bytes(b"\xff,".to_vec()));
        write_key_value(&[("id", "x")], &props, &mut out);
        assert_eq!(out, b"id=x,path=/a,,b=c \"d\",server=on,size=3,raw=\xff,,");
    }
}
