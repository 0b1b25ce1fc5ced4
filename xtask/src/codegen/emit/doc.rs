//! Our own words about each thing: its wire name, since when, until when, and where QEMU describes it.

use std::fmt::Write;

use crate::codegen::merged::Status;
use crate::codegen::overrides;
use crate::codegen::store::Dialect;

/// The doc lines and attributes of an item: `kind` is QEMU's word for it.
pub fn item(dialect: Dialect, kind: &str, wire: &str, module: &str, status: &Status) -> String {
    let mut text = format!("/// {} `{wire}`{}", capital(shown(kind)), period(status));
    let (page, space) = match dialect {
        Dialect::Qmp => ("qemu-qmp-ref", "QMP"),
        Dialect::Agent => ("qemu-ga-ref", "QGA"),
    };
    if status.until.is_none() {
        let _ = write!(
            text,
            ": see [QEMU's manual](https://www.qemu.org/docs/master/interop/{page}.html#{kind}-{space}-{module}.{wire})"
        );
    }
    text.push_str(".\n");
    text
}

fn shown(kind: &str) -> &str {
    if kind == "object" { "struct" } else { kind }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// The doc line of a member, word or branch.
pub fn part(wire: &str, status: &Status) -> String {
    format!("/// `{wire}`{}.\n", period(status))
}

fn period(status: &Status) -> String {
    let mut text = String::new();
    if let Some(since) = &status.since {
        let _ = write!(text, ", since {since}");
    }
    if let Some(until) = &status.until {
        let _ = write!(text, ", until {until}");
    }
    if status.unstable {
        text.push_str(", unstable");
    }
    text
}

/// With which classes of errors the command `wire` may be refused, beyond those that any command may.
pub fn errors(wire: &str) -> String {
    let mut text = String::new();
    for (class, when, _) in overrides::ERRORS.iter().filter(|(_, _, commands)| commands.contains(&wire)) {
        let _ = write!(text, "///\n/// Refused with [`{class}`](crate::ErrorClass::{class}) {when}.\n");
    }
    text
}

/// `#[doc(alias)]` where the Rust name is not the wire name, and `#[deprecated]`.
pub fn attributes(wire: &str, rust: &str, status: &Status) -> String {
    let mut text = String::new();
    if wire != rust {
        let _ = writeln!(text, "#[doc(alias = \"{wire}\")]");
    }
    text.push_str(&deprecated(wire, status));
    text
}

/// `#[deprecated]` where QEMU says so.
pub fn deprecated(wire: &str, status: &Status) -> String {
    if status.deprecated {
        return format!("#[deprecated(note = \"QEMU deprecates `{wire}`\")]\n");
    }
    String::new()
}
