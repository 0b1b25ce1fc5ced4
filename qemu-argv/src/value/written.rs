//! How QEMU reads properties: JSON, and `key=value,…`. Escaping happens here and nowhere else.

use super::{Props, Value};

impl Props {
    /// The list as one line of JSON, as `-device` and QMP take it.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(128);
        self.write_json(&mut out);
        // Texts and what JSON puts around them are text.
        String::from_utf8(out).unwrap_or_default()
    }

    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = JsonObject::new(out);
        object.props(self);
        object.end();
    }
}

/// Writes `key=value,key=value` of some texts and all properties of a list, with commas in values doubled.
pub(crate) fn write_key_value(texts: &[(&str, &str)], props: &Props, out: &mut Vec<u8>) {
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
    for (key, value) in &props.0 {
        key_is(key, out);
        value.write_key_value(out);
    }
}

/// An object of JSON while it is written.
pub(crate) struct JsonObject<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> JsonObject<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, is_empty: true }
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key, b"\":\"");
        write_inside(text, self.out);
        self.out.push(b'"');
    }

    pub(crate) fn value(&mut self, key: &str, value: &Value) {
        if let Value::Str(text) = value {
            self.text(key, text);
        } else {
            self.key(key, b"\":");
            value.write_json(self.out);
        }
    }

    pub(crate) fn props(&mut self, props: &Props) {
        props.iter().for_each(|(key, value)| self.value(key, value));
    }

    pub(crate) fn end(self) {
        self.out.extend_from_slice(if self.is_empty { b"{}" } else { b"}" });
    }

    fn key(&mut self, key: &str, end: &[u8]) {
        self.out.extend_from_slice(if self.is_empty { b"{\"" } else { b",\"" });
        self.is_empty = false;
        write_inside(key, self.out);
        self.out.extend_from_slice(end);
    }
}

impl Value {
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Uint(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Str(text) => write_json_str(text, out),
            // The draft refuses such paths for JSON options; the lossy form is for people's eyes only.
            Self::Bytes(bytes) => write_json_str(&String::from_utf8_lossy(bytes), out),
            Self::List(items) => {
                out.push(b'[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Self::Map(map) => map.write_json(out),
        }
    }

    fn write_key_value(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(true) => out.extend_from_slice(b"on"),
            Self::Bool(false) => out.extend_from_slice(b"off"),
            Self::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Uint(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Str(text) => double_commas(text.as_bytes(), out),
            Self::Bytes(bytes) => double_commas(bytes, out),
            // Structures, which no `key=value` option of ours uses.
            other => {
                let mut text = Vec::new();
                other.write_json(&mut text);
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

fn write_json_str(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_inside(text, out);
    out.push(b'"');
}

/// Writes what is between the quotes.
fn write_inside(text: &str, out: &mut Vec<u8>) {
    if has_escaped(text.as_bytes()) {
        write_escaped(text, out);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Whether JSON writes one of these bytes in another way. Nearly no text has one, so that eight are looked at together.
fn has_escaped(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    // In each byte of `word` that is less than `limit` the top bit is set; above such a byte it may be set wrongly.
    let less = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & TOPS;
    let equal = |word: u64, byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let escaped = |word| less(word, 0x20) | equal(word, b'"') | equal(word, b'\\') != 0;
    match (bytes.last_chunk(), bytes.first_chunk(), bytes.last_chunk()) {
        (Some(&last), ..) => {
            let (words, _) = bytes.as_chunks();
            words.iter().any(|&word| escaped(u64::from_le_bytes(word))) || escaped(u64::from_le_bytes(last))
        }
        (None, Some(&first), Some(&last)) => {
            escaped(u64::from(u32::from_le_bytes(first)) | u64::from(u32::from_le_bytes(last)) << 32)
        }
        _ => bytes.iter().any(|&byte| is_escaped(byte)),
    }
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escaped(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control if is_escaped(control) => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
            plain => out.push(plain),
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
        let back: serde_json::Value = serde_json::from_str(&props.to_json()).expect("is JSON");
        assert_eq!(back["a\"b"], "x\\y\n\u{1}é");
    }

    /// Texts of every length, with what must be escaped in every place.
    #[test]
    fn texts_are_written_as_by_serde() {
        for text in ["abcdefghijklmnopqrst", "äöüßéàèçñø"] {
            let cuts = text.char_indices().map(|(cut, _)| cut).chain([text.len()]);
            for (cut, special) in
                cuts.flat_map(|cut| ["", "\"", "\\", "\u{1f}", "\t", "\u{7f}"].map(|special| (cut, special)))
            {
                for text in [
                    format!("{}{special}{}", &text[..cut], &text[cut..]),
                    format!("{}{special}", &text[..cut]),
                ] {
                    let mut out = Vec::new();
                    write_json_str(&text, &mut out);
                    assert_eq!(out, serde_json::to_vec(&text).expect("is text"));
                }
            }
        }
    }

    #[test]
    fn keyval_doubles_commas_only() {
        let mut out = Vec::new();
        let props = Props::new()
            .with("path", "/a,b=c \"d\"")
            .with("server", true)
            .with("raw", Value::Bytes(b"\xff,".to_vec()));
        write_key_value(&[("id", "x")], &props, &mut out);
        assert_eq!(out, b"id=x,path=/a,,b=c \"d\",server=on,raw=\xff,,");
    }
}
