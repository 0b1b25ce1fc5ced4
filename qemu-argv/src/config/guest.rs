//! What the guest's operating system is to set up when it boots: a user, keys, files, packages.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// How the guest is set up. The launcher passes it to the guest in a way that its image understands; QEMU itself is not
/// told.
///
/// It takes effect at every start for `systemd`, and for `cloud-init` and `ignition` at the first one. For `cloud-init`,
/// a start after a change counts as a first one again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Guest {
    /// The user to log in as, who may use `sudo` without a password. Created if it does not exist. Defaults to `root`.
    pub user: Option<String>,
    /// The id of the secret with the user's password. Only its hash is passed to the guest, and QEMU does not get the
    /// secret. Defaults to none: the user can log in only with an SSH key.
    pub password_secret: Option<String>,
    /// SSH public keys that may log in, as lines of `authorized_keys`. Defaults to the keys in `~/.ssh/*.pub` of whoever
    /// starts the VM. The launcher adds a key of the machine's own.
    pub ssh_keys: Option<Vec<String>>,
    /// The host name. Defaults to the VM's name.
    pub hostname: Option<String>,
    /// The time zone, such as `Europe/Berlin`. Defaults to the image's.
    pub timezone: Option<String>,
    /// Packages to install (`cloud-init`).
    pub packages: Vec<String>,
    /// Commands to run as root at the end of the first boot, each by a shell (`cloud-init`).
    pub run: Vec<String>,
    /// Files to create.
    pub files: Vec<GuestFile>,
    /// Shares to mount. In config files, an entry may be just the share's tag.
    #[serde(deserialize_with = "flexible::list")]
    pub mounts: Vec<GuestMount>,
    /// A user-data file for cloud-init, or an Ignition config, passed on unchanged. For cloud-init, the other fields
    /// become vendor data, which applies where the user data says nothing; for Ignition they are not used.
    pub user_data: Option<PathBuf>,
    /// How the image is set up. Defaults to `["cloud-init", "systemd"]`, of which an image uses what it has.
    pub provision: Option<Vec<Provision>>,
}

impl Guest {
    /// Returns the user to log in as.
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("root")
    }

    /// Whether the guest is set up in this way.
    pub fn uses(&self, way: Provision) -> bool {
        match &self.provision {
            Some(ways) => ways.contains(&way),
            None => matches!(way, Provision::CloudInit | Provision::Systemd),
        }
    }
}

/// How an image is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Provision {
    /// cloud-init, by a `NoCloud` disk labelled `cidata`.
    CloudInit,
    /// systemd 252 or newer, by credentials. It has no packages and commands. Mounts require systemd 254, and the
    /// password of another user than root 256. If the image has a file `/etc/hostname`, the host name takes effect at
    /// the second start.
    Systemd,
    /// Ignition, by a file on the firmware configuration device. It has no packages and commands.
    Ignition,
}

/// A file to create in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GuestFile {
    /// The absolute path in the guest.
    pub path: String,
    /// The content, as text. Exactly one of `text` and `source`.
    #[serde(default)]
    pub text: Option<String>,
    /// A file of the host with the content, at most 1 MiB.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// The permissions in octal, such as `"0755"`. Defaults to `"0644"`.
    #[serde(default)]
    pub mode: Option<String>,
    /// The owner, `USER` or `USER:GROUP`. Defaults to `root:root`.
    #[serde(default)]
    pub owner: Option<String>,
}

impl GuestFile {
    /// Makes a file from a text.
    pub fn text(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: Some(text.into()), source: None, mode: None, owner: None }
    }

    /// Makes a file from one of the host.
    pub fn source(path: impl Into<String>, source: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), text: None, source: Some(source.into()), mode: None, owner: None }
    }
}

/// A share to mount in the guest. In config files, may be given as just the tag, which is mounted at `/mnt/TAG`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct GuestMount {
    /// The share's tag.
    pub share: String,
    /// The absolute path in the guest. Defaults to `/mnt/TAG`.
    #[serde(default)]
    pub path: Option<String>,
}

impl GuestMount {
    /// Makes one from a share's tag.
    pub fn new(share: impl Into<String>) -> Self {
        Self { share: share.into(), path: None }
    }

    /// Returns the path in the guest.
    pub fn path(&self) -> String {
        self.path.clone().unwrap_or_else(|| format!("/mnt/{}", self.share))
    }
}

impl FromStr for GuestMount {
    type Err = Infallible;

    fn from_str(tag: &str) -> Result<Self, Infallible> {
        Ok(Self::new(tag))
    }
}

impl flexible::Short for GuestMount {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}
