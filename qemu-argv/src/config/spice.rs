//! The SPICE server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;

/// A SPICE server inside QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Spice {
    /// Where it listens.
    pub listen: SpiceListen,
    /// The id of the secret that holds the password.
    pub password_secret: Option<String>,
    /// Whether anybody who can connect gets in. Otherwise, without `password_secret`, nobody does until a password is set
    /// over QMP.
    pub disable_ticketing: bool,
    /// Whether SASL checks who connects.
    pub sasl: bool,
    /// The directory of the server's certificates, for a `tls_port`.
    pub x509_dir: Option<PathBuf>,
    /// How pictures are compressed.
    pub image_compression: Option<SpiceCompression>,
    /// Whether pictures lose quality on slow links.
    pub jpeg_wan_compression: Option<SpiceAuto>,
    /// Whether zlib compresses on slow links.
    pub zlib_glz_wan_compression: Option<SpiceAuto>,
    /// What becomes a video stream.
    pub streaming_video: Option<SpiceStreaming>,
    /// Whether sound is compressed. Left out: yes.
    pub playback_compression: Option<bool>,
    /// Whether the agent moves the pointer. Left out: yes.
    pub agent_mouse: Option<bool>,
    /// Whether clients stay connected when the VM migrates.
    pub seamless_migration: bool,
    /// Whether the clipboard is shared. Left out: yes.
    pub copy_paste: Option<bool>,
    /// Whether clients can send files to the guest. Left out: yes.
    pub file_transfer: Option<bool>,
    /// Whether OpenGL draws; only for clients on a Unix socket.
    pub gl: bool,
    /// The device that draws.
    pub render_node: Option<PathBuf>,
}

/// Where a SPICE server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SpiceListen {
    /// Nowhere: connections are handed over as descriptors.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
    /// A Unix socket.
    Unix(SpiceUnix),
    /// TCP ports.
    Inet(SpiceInet),
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpiceUnix {
    /// The socket.
    pub path: PathBuf,
}

impl SpiceUnix {
    /// With what it cannot do without.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// TCP ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpiceInet {
    /// The address. Left out: 127.0.0.1.
    pub host: Option<String>,
    /// The port without TLS.
    pub port: Option<u16>,
    /// The port with TLS.
    pub tls_port: Option<u16>,
}

/// How SPICE compresses pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are SPICE's own")]
#[non_exhaustive]
pub enum SpiceCompression {
    AutoGlz,
    AutoLz,
    Quic,
    Glz,
    Lz,
    Off,
}

/// A switch that SPICE may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words are SPICE's own")]
#[non_exhaustive]
pub enum SpiceAuto {
    Auto,
    Never,
    Always,
}

/// What SPICE sends as a video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words are SPICE's own")]
#[non_exhaustive]
pub enum SpiceStreaming {
    Off,
    All,
    Filter,
}
