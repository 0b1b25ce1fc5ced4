//! Passwords and keys. They are passed to QEMU through a file or a file descriptor, never as arguments.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

/// A password or key that other parts refer to by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The id that other parts refer to.
    pub id: String,
    /// A file with the secret, which QEMU reads at startup.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The secret itself. The launcher passes it through a file descriptor; it is never written, not even when the
    /// config is saved. With neither `file` nor `value`, whoever starts QEMU provides the content.
    #[serde(default, skip_serializing)]
    pub value: Option<SecretValue>,
    /// The encoding of `file` or `value`.
    #[serde(default)]
    pub format: SecretFormat,
}

impl Secret {
    /// Makes a secret from its value.
    pub fn new(id: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            file: None,
            value: Some(SecretValue(value.into())),
            format: SecretFormat::default(),
        }
    }

    /// Makes a secret from a file.
    pub fn file(id: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self { id: id.into(), file: Some(file.into()), value: None, format: SecretFormat::default() }
    }
}

/// A string that `Debug` does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// Returns the string.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretValue {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// An error must not quote a value that is not a string: it may be a secret written without quotes.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Text(String),
            Other(IgnoredAny),
        }
        match Given::deserialize(deserializer)? {
            Given::Text(text) => Ok(Self(text)),
            Given::Other(_) => Err(D::Error::custom("expected a string in quotes")),
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretValue(…)")
    }
}

/// The encoding of a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecretFormat {
    /// Plain.
    #[default]
    Raw,
    /// Base64, as for Ceph's keys.
    Base64,
}
