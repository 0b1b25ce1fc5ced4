//! The VNC server.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// A VNC server inside QEMU. In files also just where it listens: `vnc = ":1"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Vnc {
    /// Where it listens. In files also `"5901"`, `"127.0.0.1:5901"`, `":1"` (a display, which is port 5901) or the absolute
    /// path of a Unix socket. Default: the first free port of 127.0.0.1 from 5900 to 5999.
    #[serde(deserialize_with = "flexible::one")]
    pub listen: VncListen,
    /// The TCP port for WebSocket clients. Only with a TCP `listen`; it is on the same address.
    pub websocket_port: Option<u16>,
    /// The id of the secret that holds the password; VNC uses its first 8 bytes.
    pub password_secret: Option<String>,
    /// Whether a password is needed that is set later over QMP. Until then nobody gets in.
    pub password: bool,
    /// The id of TLS credentials for a server. Left out: no TLS.
    pub tls: Option<String>,
    /// Whether SASL checks who connects.
    pub sasl: bool,
    /// Whether pictures may lose quality.
    pub lossy: bool,
    /// Whether the encoding stays as the client asks for it, whatever changes on the screen.
    pub non_adaptive: bool,
    /// Who may connect at the same time.
    pub share: Option<VncShare>,
    /// Whether clients may switch the machine off and reset it.
    pub power_control: bool,
    /// The id of the audio whose sound clients may hear.
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
    /// Nowhere: the only clients are connections that are handed over as descriptors.
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
    /// With what it cannot do without.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VncInet {
    /// The address. Left out: 127.0.0.1.
    #[serde(default)]
    pub host: Option<String>,
    /// The port, at least 5900.
    pub port: u16,
    /// The last port to try when `port` is busy. Left out: only `port`.
    #[serde(default)]
    pub last_port: Option<u16>,
}

impl VncInet {
    /// With what it cannot do without; the rest as when left out of a file.
    pub fn new(port: u16) -> Self {
        Self { host: None, port, last_port: None }
    }
}

impl VncListen {
    /// The port of display 0.
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

    /// Reads `[ADDRESS:]PORT`, `[ADDRESS]:DISPLAY` or the absolute path of a Unix socket.
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
            // A display has a colon in front; a number alone is a port.
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

/// Who may use a VNC server at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VncShare {
    /// A client that asks to be alone is alone.
    AllowExclusive,
    /// Nobody is ever thrown out.
    ForceShared,
    /// Whoever comes is let in, whatever they ask for.
    Ignore,
}
