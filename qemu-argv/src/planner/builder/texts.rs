//! Texts and paths, as far as QEMU can take them.

use std::path::Path;

use super::Builder;
use crate::error::Fault;
use crate::planner::at::At;
use crate::value::{Props, Value};

impl Builder<'_> {
    /// A path for JSON, which must be UTF-8.
    pub(crate) fn path(&mut self, at: At<'_>, path: &Path) -> Value {
        let Some(text) = path.to_str() else {
            self.fault(at, Fault::NotUtf8 { path: path.display().to_string() });
            return Value::from("");
        };
        if text.is_empty() {
            self.invalid(at, text, "is not a valid path");
        }
        if text.contains('\0') {
            self.conflict(at, "must not contain a NUL character");
            return Value::from("");
        }
        Value::from(text)
    }

    /// A path for an option that is not JSON, where any bytes but NUL will do.
    pub(crate) fn raw_path(&mut self, at: At<'_>, path: &Path) -> Value {
        #[cfg(unix)]
        if path.to_str().is_none() {
            use std::os::unix::ffi::OsStrExt;
            return Value::Bytes(path.as_os_str().as_bytes().to_vec());
        }
        self.path(at, path)
    }

    /// The path of a Unix socket: what fits into `sun_path`.
    pub(crate) fn check_socket_path(&mut self, at: At<'_>, path: &Path) {
        const SUN_PATH: usize = 108;
        let length = path.as_os_str().len();
        if length >= SUN_PATH {
            self.invalid(
                at,
                &path.display().to_string(),
                format!(
                    "has {length} bytes, but the path of a Unix socket can have at most {}",
                    SUN_PATH - 1
                ),
            );
        }
    }

    /// Refuses a text that Linux passes to no program: one argument has room for 128 KiB, with the zero at its end.
    pub(crate) fn check_length(&mut self, at: At<'_>, length: usize) {
        const ROOM: usize = 128 << 10;
        if length >= ROOM {
            let longest = ROOM - 1;
            self.conflict(
                at,
                format!("the text has {length} bytes, but a program argument can have at most {longest}"),
            );
        }
    }

    /// Refuses a NUL in any text: it would end the text early, or the argument altogether. And what is too long.
    pub(super) fn check_texts(&mut self, at: At<'_>, props: &Props, json: bool) {
        self.check_length(at, props.iter().map(|(_, value)| value.text_len()).sum());
        if props.iter().any(|(_, value)| value.has_nul()) {
            self.conflict(at, "must not contain a NUL character");
        }
        if json && let Some((_, value)) = props.iter().find(|(_, value)| value.has_bytes()) {
            let path = match value {
                Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            };
            self.fault(at, Fault::NotUtf8 { path });
        }
    }

    /// Names of properties that people choose themselves.
    pub(crate) fn check_keys(&mut self, at: At<'_>, props: &Props) {
        self.check_keys_but(at, props, "");
    }

    /// The same, where one of the names that are planned otherwise is the driver's own.
    pub(crate) fn check_keys_but(&mut self, at: At<'_>, props: &Props, own: &str) {
        for (key, value) in props.iter() {
            let good = is_key(key);
            let inner = match value {
                Value::Map(inner) => bad_key(inner),
                _ => None,
            };
            if let Some(key) = inner {
                self.invalid(at, key, "is not a property that can be set here");
            }
            if !good || key != own && matches!(key, "driver" | "id" | "bus" | "addr" | "help") {
                self.invalid(at, key, "is not a property that can be set here");
            }
        }
    }

    /// The host of a listener whose address QEMU reads as one text: an IPv6 address gets its brackets.
    pub(crate) fn host(&mut self, at: At<'_>, host: &str) -> String {
        if host.parse::<std::net::Ipv6Addr>().is_ok() {
            return format!("[{host}]");
        }
        let good = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !good {
            self.invalid(at, host, "is not a valid address or host name");
        }
        host.to_owned()
    }
}

/// Whether a text can be the name of a property.
fn is_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphanumeric())
        && key.len() <= 64
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The first name in a table, and those in it, that no property has.
fn bad_key(props: &Props) -> Option<&str> {
    props.iter().find_map(|(key, value)| match value {
        _ if !is_key(key) => Some(key),
        Value::Map(inner) => bad_key(inner),
        _ => None,
    })
}
