//! The version of a QEMU.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A version of QEMU, such as 10.0.13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
    /// The micro version, with fixes only.
    pub micro: u32,
}

impl Version {
    /// Returns the first release of a minor version: `Version::new(9, 2)` is 9.2.0.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor, micro: 0 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The error for an invalid version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no QEMU version; versions look like 10.0 or 10.0.13")]
#[non_exhaustive]
pub struct ParseVersionError(String);

impl FromStr for Version {
    type Err = ParseVersionError;

    /// Parses `10.0` or `10.0.13`.
    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let mut numbers = text.split('.').map(|part| {
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten()
        });
        let read = match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Some(major)), Some(Some(minor)), None, None) => Some(Self { major, minor, micro: 0 }),
            (Some(Some(major)), Some(Some(minor)), Some(Some(micro)), None) => {
                Some(Self { major, minor, micro })
            }
            _ => None,
        };
        read.ok_or_else(|| ParseVersionError(text.to_owned()))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_print_and_compare() {
        let read = |text: &str| text.parse::<Version>();
        assert_eq!(read("10.0.13").map(|version| version.to_string()), Ok("10.0.13".into()));
        assert_eq!(read("7.2"), Ok(Version::new(7, 2)));
        assert!(Version::new(10, 0) > Version { major: 9, minor: 2, micro: 9 });
        for bad in ["", "7", "7.", "7.2.3.4", "+7.2", "7.2-rc1", "99999999999.0"] {
            assert_eq!(read(bad), Err(ParseVersionError(bad.into())));
        }
    }
}
