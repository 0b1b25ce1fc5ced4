//! Socket addresses.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// An address of a stream socket. In config files, may be given as `HOST:PORT` or an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SocketAddress {
    /// A Unix socket.
    Unix(UnixAddress),
    /// A TCP port.
    Inet(InetAddress),
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnixAddress {
    /// The path of the socket, at most 107 bytes.
    pub path: PathBuf,
}

impl UnixAddress {
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InetAddress {
    /// A host name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl InetAddress {
    /// Makes one from the required fields.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl SocketAddress {
    /// A Unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(UnixAddress::new(path))
    }

    /// A TCP port of a host, given by name or IP address.
    pub fn inet(host: impl Into<String>, port: u16) -> Self {
        Self::Inet(InetAddress::new(host, port))
    }
}

/// The error for an invalid socket address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid socket address; expected HOST:PORT, [IPv6]:PORT or an absolute path")]
#[non_exhaustive]
pub struct ParseSocketAddressError(String);

impl FromStr for SocketAddress {
    type Err = ParseSocketAddressError;

    fn from_str(text: &str) -> Result<Self, ParseSocketAddressError> {
        if text.starts_with('/') {
            return Ok(Self::Unix(UnixAddress { path: text.into() }));
        }
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let unclear: &[char] = if bracketed.is_some() { &['[', ']'] } else { &['[', ']', ':'] };
            let host = bracketed.unwrap_or(host);
            (!host.is_empty() && !host.contains(unclear)).then_some((host, flexible::port(port)?))
        });
        let (host, port) = parts.ok_or_else(|| ParseSocketAddressError(text.to_owned()))?;
        Ok(Self::Inet(InetAddress { host: host.to_owned(), port }))
    }
}

impl flexible::Short for SocketAddress {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::socket_address()
    }
}
