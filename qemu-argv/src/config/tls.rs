//! TLS credentials.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// TLS credentials that other parts refer to by their id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The id that other parts refer to.
    pub id: String,
    /// The directory with `ca-cert.pem`, `server-cert.pem`, `client-cert.pem` and so on, or `keys.psk`.
    pub dir: PathBuf,
    /// Whether QEMU is the client or the server.
    pub endpoint: TlsEndpoint,
    /// The kind of credentials.
    #[serde(default)]
    pub kind: TlsKind,
    /// Whether the peer's certificate is verified. Defaults to true.
    #[serde(default)]
    pub verify_peer: Option<bool>,
    /// The id of the secret that unlocks the private key.
    #[serde(default)]
    pub password_secret: Option<String>,
    /// The user of pre-shared keys. Defaults to `qemu`.
    #[serde(default)]
    pub username: Option<String>,
    /// The allowed algorithms, as a `GnuTLS` priority string.
    #[serde(default)]
    pub priority: Option<String>,
}

impl Tls {
    /// Makes credentials from the X.509 certificates in `dir`.
    pub fn new(id: impl Into<String>, dir: impl Into<PathBuf>, endpoint: TlsEndpoint) -> Self {
        Self {
            id: id.into(),
            dir: dir.into(),
            endpoint,
            kind: TlsKind::default(),
            verify_peer: None,
            password_secret: None,
            username: None,
            priority: None,
        }
    }
}

/// The side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TlsEndpoint {
    /// The client (disks).
    Client,
    /// The server (VNC).
    Server,
}

/// The kind of TLS credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TlsKind {
    /// Certificates.
    #[default]
    X509,
    /// Pre-shared keys.
    Psk,
    /// Anonymous: encrypted, but without authentication.
    Anonymous,
}
