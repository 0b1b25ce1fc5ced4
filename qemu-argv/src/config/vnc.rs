//! The VNC server.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// A VNC server inside QEMU. In config files, may be given as just its address: `vnc = ":1"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Vnc {
    /// Where it listens. In config files, may be given as `"5901"`, `"127.0.0.1:5901"`, `":1"` (display 1, which is
    /// port 5901) or the absolute path of a Unix socket. Defaults to the first free port of 127.0.0.1 from 5900 to
    /// 5999.
    #[serde(deserialize_with = "flexible::one")]
    pub listen: VncListen,
    /// The TCP port for WebSocket clients, on the same address. Requires a TCP address in `listen`.
    pub websocket_port: Option<u16>,
    /// The id of the secret that holds the password; VNC uses its first 8 bytes.
    pub password_secret: Option<String>,
    /// Whether clients need a password, which is set later over QMP. Until then clients are refused.
    pub password: bool,
    /// The id of TLS credentials of a server. Defaults to no TLS.
    pub tls: Option<String>,
    /// Whether clients are authenticated by SASL.
    pub sasl: bool,
    /// Whether lossy compression is allowed.
    pub lossy: bool,
    /// Whether the client's encoding is used even for areas that change often.
    pub non_adaptive: bool,
    /// How concurrent clients are handled.
    pub share: Option<VncShare>,
    /// Whether clients may power off and reset the machine.
    pub power_control: bool,
    /// The id of the audio backend whose sound is sent to clients.
    pub audio: Option<String>,
    /// The keyboard layout of clients that send no key codes, such as `en-us`.
    pub keyboard: Option<String>,
}

impl FromStr for Vnc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { listen: text.parse()?, ..Self::default() })
    }
}

impl flexible::Short for Vnc {
    fn from_number(number: u64) -> Result<Self, String> {
        number.to_string().parse()
    }

    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::vnc_address()
    }
}

/// Where a VNC server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum VncListen {
    /// No address: connections are passed as file descriptors.
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
    /// A Unix socket.
    Unix(VncUnix),
    /// A TCP port.
    Inet(VncInet),
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VncUnix {
    /// The socket.
    pub path: PathBuf,
}

impl VncUnix {
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VncInet {
    /// The address. Defaults to 127.0.0.1.
    #[serde(default)]
    pub host: Option<String>,
    /// The port, at least 5900.
    pub port: u16,
    /// The last port to try if `port` is in use. Defaults to `port`.
    #[serde(default)]
    pub last_port: Option<u16>,
}

impl VncInet {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(port: u16) -> Self {
        Self { host: None, port, last_port: None }
    }
}

impl VncListen {
    /// Returns the port of display 0.
    const FIRST_PORT: u16 = 5900;
}

impl Default for VncListen {
    /// The first free port of 127.0.0.1 from 5900 to 5999.
    fn default() -> Self {
        Self::Inet(VncInet { host: None, port: Self::FIRST_PORT, last_port: Some(Self::FIRST_PORT + 99) })
    }
}

impl FromStr for VncListen {
    type Err = String;

    /// Parses `[ADDRESS:]PORT`, `[ADDRESS]:DISPLAY` or the absolute path of a Unix socket.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(VncUnix { path: text.into() }));
        }
        let (host, number) =
            text.rsplit_once(':').map_or((None, text), |(host, number)| (Some(host), number));
        let is_host =
            host.is_none_or(|host| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(address) => !address.is_empty() && !address.contains(['[', ']']),
                None => !host.contains([':', '[', ']']),
            });
        let is_plain = is_host && (number.len() == 1 || !number.starts_with('0'));
        let port = match flexible::port(number).filter(|_| is_plain) {
            Some(port @ Self::FIRST_PORT..) => port,
            // A display number has a colon in front of it; a bare number is a port.
            Some(display @ ..100) if host.is_some() => Self::FIRST_PORT + display,
            _ => {
                return Err(format!(
                    "{text:?} is not a valid VNC address; expected for example 5901, 127.0.0.1:5901, :1 or /path/to/socket (ports from 5900)"
                ));
            }
        };
        let host = host.filter(|host| !host.is_empty()).map(|host| host.trim_matches(['[', ']']).to_owned());
        Ok(Self::Inet(VncInet { host, port, last_port: None }))
    }
}

impl flexible::Short for VncListen {
    fn from_number(number: u64) -> Result<Self, String> {
        number.to_string().parse()
    }

    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::vnc_address()
    }
}

/// How a VNC server handles concurrent clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VncShare {
    /// A client that requests exclusive access disconnects the others.
    AllowExclusive,
    /// Only shared access: a client that requests exclusive access is refused.
    ForceShared,
    /// All clients are accepted, whatever they request.
    Ignore,
}
