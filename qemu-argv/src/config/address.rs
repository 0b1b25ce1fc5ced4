//! Addresses of sockets.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// An address of a stream socket. In files also `HOST:PORT`, or an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SocketAddress {
    /// A Unix socket.
    Unix {
        /// The socket, at most 107 bytes.
        path: PathBuf,
    },
    /// A TCP port.
    Inet {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// A text that is no socket address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no socket address; write HOST:PORT, [IPv6]:PORT or an absolute path")]
#[non_exhaustive]
pub struct ParseSocketAddressError(String);

impl FromStr for SocketAddress {
    type Err = ParseSocketAddressError;

    fn from_str(text: &str) -> Result<Self, ParseSocketAddressError> {
        if text.starts_with('/') {
            return Ok(Self::Unix { path: text.into() });
        }
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let unclear: &[char] = if bracketed.is_some() { &['[', ']'] } else { &['[', ']', ':'] };
            let host = bracketed.unwrap_or(host);
            (!host.is_empty() && !host.contains(unclear)).then_some((host, flexible::port(port)?))
        });
        let (host, port) = parts.ok_or_else(|| ParseSocketAddressError(text.to_owned()))?;
        Ok(Self::Inet { host: host.to_owned(), port })
    }
}

impl flexible::Short for SocketAddress {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema::socket_address()
    }
}
