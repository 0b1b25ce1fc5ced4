//! The VNC server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;

/// A VNC server inside QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Vnc {
    /// Where it listens.
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

/// Where a VNC server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum VncListen {
    /// Nowhere: connections are handed over as descriptors.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
    /// A Unix socket.
    Unix {
        /// The socket.
        path: PathBuf,
    },
    /// A TCP port.
    Inet {
        /// The address. Left out: 127.0.0.1.
        #[serde(default)]
        host: Option<String>,
        /// The port, at least 5900.
        port: u16,
        /// The last port to try when `port` is busy. Left out: only `port`.
        #[serde(default)]
        last_port: Option<u16>,
    },
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
