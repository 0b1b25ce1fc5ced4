//! TLS credentials.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// TLS credentials that others refer to by their id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The name that others refer to.
    pub id: String,
    /// The directory with `ca-cert.pem`, `server-cert.pem`, `client-cert.pem` and so on, or `keys.psk`.
    pub dir: PathBuf,
    /// Which end of a connection QEMU is.
    pub endpoint: TlsEndpoint,
    /// What the credentials are.
    #[serde(default)]
    pub kind: TlsKind,
    /// Whether the other end's certificate is checked. Left out: yes.
    #[serde(default)]
    pub verify_peer: Option<bool>,
    /// The id of the secret that unlocks the private key.
    #[serde(default)]
    pub password_secret: Option<String>,
    /// The user of pre-shared keys. Left out: `qemu`.
    #[serde(default)]
    pub username: Option<String>,
    /// Which algorithms are allowed, in the words of `GnuTLS`.
    #[serde(default)]
    pub priority: Option<String>,
}

impl Tls {
    /// The credentials in `dir`, of the usual kind: X.509 certificates.
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

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TlsEndpoint {
    /// The one that connects (disks).
    Client,
    /// The one that listens (VNC).
    Server,
}

/// What TLS credentials are.
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
    /// None: encrypted, but with anybody.
    Anonymous,
}
