//! The forms of texts, as the JSON Schema of a configuration has them.

use schemars::{Schema, json_schema};

pub(crate) const HEX: &str = "[0-9a-fA-F]";
pub(crate) const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const PORT: &str = "0*(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})";

/// Any text.
pub(crate) fn text() -> Schema {
    json_schema!({ "type": "string" })
}

/// A text of that form.
pub(crate) fn pattern(pattern: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": format!("^(?:{pattern})$") })
}

/// One of these words.
pub(crate) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Schema {
    json_schema!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

/// An amount of bytes: a number, or digits and a unit.
pub(crate) fn size() -> Schema {
    amount("[0-9]{1,19}\\s*B?", u64::MAX)
}

/// An amount of memory: a number of MiB, at most `most`, or digits and a unit.
pub(crate) fn memory(most: u64) -> Schema {
    amount("[0-9]{1,7}|[0-9]{1,19}\\s*B", most)
}

fn amount(plain: &str, most: u64) -> Schema {
    // So many digits fit into 64 bits with each unit.
    let forms =
        "[0-9]{1,16}\\s*K(?:iB)?|[0-9]{1,13}\\s*M(?:iB)?|[0-9]{1,10}\\s*G(?:iB)?|[0-9]{1,7}\\s*T(?:iB)?";
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": most },
            pattern(&format!("\\s*(?:{plain}|{forms})\\s*")),
        ],
    })
}

/// `HOST:PORT`, `[IPv6]:PORT` or an absolute path.
pub(crate) fn socket_address() -> Schema {
    pattern(&format!(r"/[\s\S]*|(?:\[[^\[\]]+\]|[^:\[\]]+):{PORT}"))
}

/// Where VNC listens: a port from 5900 on, `HOST:PORT`, `HOST:DISPLAY`, or an absolute path.
pub(crate) fn vnc_address() -> Schema {
    const PORT: &str =
        "59[0-9]{2}|[6-9][0-9]{3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]";
    let host = r"(?:\[[^\[\]]+\]|[^:\[\]/][^:\[\]]*)?";
    let text = pattern(&format!(r"/[\s\S]*|(?:{PORT})|{host}:(?:{PORT}|[0-9]|[1-9][0-9])"));
    json_schema!({ "anyOf": [{ "type": "integer", "minimum": 5900, "maximum": u16::MAX }, text] })
}

/// A port to forward, in QEMU's words.
pub(crate) fn host_forward() -> Schema {
    let address = format!("(?:{})?", ipv4());
    pattern(&format!("(?:tcp|udp)?:{address}:{PORT}-{address}:{PORT}|{PORT}:{PORT}"))
}

pub(crate) fn ipv4() -> String {
    format!("{BYTE}(?:\\.{BYTE}){{3}}")
}

pub(crate) fn ipv6() -> String {
    let four = ipv4();
    let group = format!("{HEX}{{1,4}}");
    let mut forms = vec![
        format!("(?:{group}:){{7}}{group}"),
        format!("(?:{group}:){{1,7}}:"),
        format!(":(?:(?::{group}){{1,7}}|:)"),
        format!("(?:{group}:){{6}}{four}"),
        format!(":(?::{group}){{0,5}}:{four}"),
    ];
    // So many groups before the gap, at most so many behind it.
    forms.extend((1..7).map(|before| format!("(?:{group}:){{1,{before}}}(?::{group}){{1,{}}}", 7 - before)));
    forms.extend(
        (1..6).map(|before| format!("(?:{group}:){{1,{before}}}(?::{group}){{0,{}}}:{four}", 5 - before)),
    );
    forms.join("|")
}
