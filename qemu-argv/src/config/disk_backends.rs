//! Where the content of a disk is, for each kind of backend.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;
use super::size::Size;

/// An image file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileDisk {
    /// The image.
    pub path: PathBuf,
}

impl FileDisk {
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A block device of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostDeviceDisk {
    /// The device, such as `/dev/vg0/web`.
    pub path: PathBuf,
}

impl HostDeviceDisk {
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A Network Block Device export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NbdDisk {
    /// The server's address. In config files, may be given as `HOST:PORT` or an absolute path.
    #[serde(deserialize_with = "flexible::one")]
    pub server: SocketAddress,
    /// The name of the export. Defaults to the server's default export.
    #[serde(default)]
    pub export: Option<String>,
    /// The id of TLS credentials. Defaults to no TLS.
    #[serde(default)]
    pub tls: Option<String>,
    /// The name in the server's certificate. Defaults to the host name.
    #[serde(default)]
    pub tls_hostname: Option<String>,
    /// How long requests wait for a lost connection to be restored, in seconds. By default they fail at once.
    #[serde(default)]
    pub reconnect_s: Option<u32>,
}

impl NbdDisk {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(server: SocketAddress) -> Self {
        Self { server, export: None, tls: None, tls_hostname: None, reconnect_s: None }
    }
}

/// A Ceph RADOS block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RbdDisk {
    /// The pool.
    pub pool: String,
    /// The image in the pool.
    pub image: String,
    /// The namespace in the pool.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The snapshot to open.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// The Ceph user without `client.`.
    #[serde(default)]
    pub user: Option<String>,
    /// The id of the secret that holds the user's key.
    #[serde(default)]
    pub key_secret: Option<String>,
    /// Ceph's configuration file.
    #[serde(default)]
    pub conf: Option<PathBuf>,
    /// Monitors as `HOST:PORT`. Defaults to those in `conf`.
    #[serde(default, deserialize_with = "flexible::list")]
    pub monitors: Vec<SocketAddress>,
}

impl RbdDisk {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(pool: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            pool: pool.into(),
            image: image.into(),
            namespace: None,
            snapshot: None,
            user: None,
            key_secret: None,
            conf: None,
            monitors: Vec::new(),
        }
    }
}

/// A LUN of an iSCSI target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IscsiDisk {
    /// `HOST` or `HOST:PORT` of the target.
    pub portal: String,
    /// The target's qualified name.
    pub target: String,
    /// The logical unit number. Defaults to 0.
    #[serde(default)]
    pub lun: u32,
    /// The CHAP user.
    #[serde(default)]
    pub user: Option<String>,
    /// The id of the secret that holds the CHAP password.
    #[serde(default)]
    pub password_secret: Option<String>,
    /// The initiator's qualified name. Defaults to one that QEMU derives from the VM's name.
    #[serde(default)]
    pub initiator: Option<String>,
    /// The header digest.
    #[serde(default)]
    pub header_digest: Option<HeaderDigest>,
    /// The timeout of a request, in seconds. Defaults to none.
    #[serde(default)]
    pub timeout_s: Option<u32>,
}

impl IscsiDisk {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(portal: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            portal: portal.into(),
            target: target.into(),
            lun: 0,
            user: None,
            password_secret: None,
            initiator: None,
            header_digest: None,
            timeout_s: None,
        }
    }
}

/// A file on an SSH server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SshDisk {
    /// The server.
    pub host: String,
    /// The port. Defaults to 22.
    #[serde(default)]
    pub port: Option<u16>,
    /// The file on the server.
    pub path: String,
    /// The user. Defaults to the one that QEMU runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// How the server's key is verified.
    #[serde(default)]
    pub host_key: SshHostKey,
}

impl SshDisk {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        Self { host: host.into(), port: None, path: path.into(), user: None, host_key: SshHostKey::default() }
    }
}

/// A file on a web server, read-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HttpDisk {
    /// The address, `http://…` or `https://…`.
    pub url: String,
    /// The user of basic authentication.
    #[serde(default)]
    pub user: Option<String>,
    /// The id of the secret that holds the user's password.
    #[serde(default)]
    pub password_secret: Option<String>,
    /// The id of the secret that holds a cookie.
    #[serde(default)]
    pub cookie_secret: Option<String>,
    /// Whether the server's certificate is verified. Defaults to true.
    #[serde(default)]
    pub verify: Option<bool>,
    /// The read-ahead size. Defaults to 256 KiB.
    #[serde(default)]
    pub readahead: Option<Size>,
    /// The timeout of a request, in seconds. Defaults to 5.
    #[serde(default)]
    pub timeout_s: Option<u32>,
}

impl HttpDisk {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password_secret: None,
            cookie_secret: None,
            verify: None,
            readahead: None,
            timeout_s: None,
        }
    }
}

/// An `NVMe` device of the host, used directly by QEMU through VFIO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NvmeDisk {
    /// The PCI address on the host, such as `0000:01:00.0`.
    pub device: String,
    /// The namespace, from 1.
    pub namespace: u32,
}

impl NvmeDisk {
    /// Makes one from the required fields.
    pub fn new(device: impl Into<String>, namespace: u32) -> Self {
        Self { device: device.into(), namespace }
    }
}

/// No storage: reads return zeroes, writes are discarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NullDisk {
    /// The size that the guest sees.
    pub size: Size,
}

impl NullDisk {
    /// Makes one from the required fields.
    pub fn new(size: Size) -> Self {
        Self { size }
    }
}

/// Against a SHA-256 fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sha256HostKey {
    /// The fingerprint in hexadecimal.
    pub hash: String,
}

impl Sha256HostKey {
    /// Makes one from the required fields.
    pub fn new(hash: impl Into<String>) -> Self {
        Self { hash: hash.into() }
    }
}

/// The header digest of iSCSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words are iSCSI's own")]
#[non_exhaustive]
pub enum HeaderDigest {
    Crc32c,
    None,
    Crc32cNone,
    NoneCrc32c,
}

/// How the key of an SSH server is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SshHostKey {
    /// Against the user's `known_hosts`.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    KnownHosts,
    /// Against a SHA-256 fingerprint.
    Sha256(Sha256HostKey),
    /// Not at all: an attacker in the network can read and change the disk.
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
}
