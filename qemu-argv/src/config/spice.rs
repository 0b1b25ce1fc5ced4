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
    /// Whether clients can connect without a password. If false and without `password_secret`, clients are refused
    /// until a password is set over QMP.
    pub disable_ticketing: bool,
    /// Whether clients are authenticated by SASL.
    pub sasl: bool,
    /// The directory of the server's certificates, for a `tls_port`.
    pub x509_dir: Option<PathBuf>,
    /// The ciphers of a `tls_port`, in OpenSSL's words. Defaults to OpenSSL's.
    pub tls_ciphers: Option<String>,
    /// How images are compressed.
    pub image_compression: Option<SpiceCompression>,
    /// Whether lossy compression is used on slow links.
    pub jpeg_wan_compression: Option<SpiceAuto>,
    /// Whether zlib compression is used on slow links.
    pub zlib_glz_wan_compression: Option<SpiceAuto>,
    /// What is sent as a video stream.
    pub streaming_video: Option<SpiceStreaming>,
    /// Whether sound is compressed. Defaults to true.
    pub playback_compression: Option<bool>,
    /// Whether pointer positions are sent through the agent. Defaults to true.
    pub agent_mouse: Option<bool>,
    /// Whether clients stay connected when the VM migrates.
    pub seamless_migration: bool,
    /// Whether the clipboard is shared. Defaults to true.
    pub copy_paste: Option<bool>,
    /// Whether clients can send files to the guest. Defaults to true.
    pub file_transfer: Option<bool>,
    /// Whether to draw with OpenGL; requires a Unix socket.
    pub gl: bool,
    /// The GPU to render with.
    pub render_node: Option<PathBuf>,
}

/// Where a SPICE server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SpiceListen {
    /// No address: connections are passed as file descriptors.
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
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// TCP ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpiceInet {
    /// The address. Defaults to 127.0.0.1.
    pub host: Option<String>,
    /// The port without TLS.
    pub port: Option<u16>,
    /// The port with TLS.
    pub tls_port: Option<u16>,
}

/// How SPICE compresses images.
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

/// A setting that SPICE may choose automatically.
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
