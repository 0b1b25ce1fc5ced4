//! Block backends: where the bytes of disks, CD-ROMs and backing images are.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;
use super::size::Size;

/// Where the bytes of a disk are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum DiskBackend {
    /// An image file.
    File {
        /// The image.
        path: PathBuf,
    },
    /// A block device of the host.
    HostDevice {
        /// The device, such as `/dev/vg0/web`.
        path: PathBuf,
    },
    /// A Network Block Device export.
    Nbd {
        /// Where the server listens. In files also `HOST:PORT` or an absolute path.
        #[serde(deserialize_with = "flexible::one")]
        server: SocketAddress,
        /// The name of the export. Left out: the default export.
        #[serde(default)]
        export: Option<String>,
        /// The id of TLS credentials. Left out: no TLS.
        #[serde(default)]
        tls: Option<String>,
        /// The name the server's certificate must have. Left out: the host.
        #[serde(default)]
        tls_hostname: Option<String>,
        /// How long requests wait for a lost server to come back, in seconds. Left out: they fail at once.
        #[serde(default)]
        reconnect_s: Option<u32>,
    },
    /// A Ceph RADOS block device.
    Rbd {
        /// The pool.
        pool: String,
        /// The image in the pool.
        image: String,
        /// The namespace in the pool.
        #[serde(default)]
        namespace: Option<String>,
        /// The snapshot to open.
        #[serde(default)]
        snapshot: Option<String>,
        /// The Ceph user without `client.`.
        #[serde(default)]
        user: Option<String>,
        /// The id of the secret that holds the user's key.
        #[serde(default)]
        key_secret: Option<String>,
        /// Ceph's configuration file.
        #[serde(default)]
        conf: Option<PathBuf>,
        /// Monitors as `HOST:PORT`. Left out: those of `conf`.
        #[serde(default, deserialize_with = "flexible::list")]
        monitors: Vec<SocketAddress>,
    },
    /// A LUN of an iSCSI target.
    Iscsi {
        /// `HOST` or `HOST:PORT` of the target.
        portal: String,
        /// The target's qualified name.
        target: String,
        /// The logical unit. Left out: 0.
        #[serde(default)]
        lun: u32,
        /// The CHAP user.
        #[serde(default)]
        user: Option<String>,
        /// The id of the secret that holds the CHAP password.
        #[serde(default)]
        password_secret: Option<String>,
        /// Our own qualified name. Left out: made from the VM's name by QEMU.
        #[serde(default)]
        initiator: Option<String>,
        /// The header digest.
        #[serde(default)]
        header_digest: Option<HeaderDigest>,
        /// How long a request may take, in seconds. Left out: for ever.
        #[serde(default)]
        timeout_s: Option<u32>,
    },
    /// A file on an SSH server.
    Ssh {
        /// The server.
        host: String,
        /// The port. Left out: 22.
        #[serde(default)]
        port: Option<u16>,
        /// The file on the server.
        path: String,
        /// The user. Left out: the one QEMU runs as.
        #[serde(default)]
        user: Option<String>,
        /// How the server's key is checked.
        #[serde(default)]
        host_key: SshHostKey,
    },
    /// A file on a web server; it can only be read.
    Http {
        /// The address, `http://…` or `https://…`.
        url: String,
        /// The user of basic authentication.
        #[serde(default)]
        user: Option<String>,
        /// The id of the secret that holds the user's password.
        #[serde(default)]
        password_secret: Option<String>,
        /// The id of the secret that holds a cookie.
        #[serde(default)]
        cookie_secret: Option<String>,
        /// Whether the server's certificate is checked. Left out: yes.
        #[serde(default)]
        verify: Option<bool>,
        /// How much is read ahead. Left out: 256 KiB.
        #[serde(default)]
        readahead: Option<Size>,
        /// How long a request may take, in seconds. Left out: 5.
        #[serde(default)]
        timeout_s: Option<u32>,
    },
    /// An `NVMe` device of the host, driven by QEMU itself through VFIO.
    Nvme {
        /// The PCI address on the host, such as `0000:01:00.0`.
        device: String,
        /// The namespace, from 1.
        namespace: u32,
    },
    /// Nothing: reads give zeroes, writes vanish.
    Null {
        /// The size the guest sees.
        size: Size,
    },
}

impl DiskBackend {
    /// An image file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into() }
    }
}

impl FromStr for DiskBackend {
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
        Ok(Self::file(path))
    }
}

impl flexible::Short for DiskBackend {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema::text()
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

/// How the key of an SSH server is checked.
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
    Sha256 {
        /// The fingerprint in hexadecimal.
        hash: String,
    },
    /// Not at all: anybody on the way can read and change the disk.
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
}
