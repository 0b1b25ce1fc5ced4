//! Passwords and keys. They reach QEMU through a file or a descriptor, never through its arguments.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

/// A password or key that others refer to by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The name that others refer to.
    pub id: String,
    /// A file that holds it, which QEMU reads at start.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The secret itself. The launcher hands it over by the planned descriptor; it is never written out again, not even
    /// when the configuration is saved. With neither `file` nor `value`, whoever starts QEMU fills the descriptor.
    #[serde(default, skip_serializing)]
    pub value: Option<SecretValue>,
    /// How `file` or `value` is written.
    #[serde(default)]
    pub format: SecretFormat,
}

impl Secret {
    /// A secret given as it is.
    pub fn new(id: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            file: None,
            value: Some(SecretValue(value.into())),
            format: SecretFormat::default(),
        }
    }

    /// A secret in a file.
    pub fn file(id: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self { id: id.into(), file: Some(file.into()), value: None, format: SecretFormat::default() }
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// The text itself.
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
        /// What is not text must not be quoted by an error: it is a secret written without its quotes.
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

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecretFormat {
    /// As it is.
    #[default]
    Raw,
    /// In base64, as Ceph's keys are.
    Base64,
}
