//! Addresses that a configuration can insist on, on each kind of bus.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pci::{ParsePciAddressError, PciAddress};

/// A place that the configuration insists on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A PCI slot and function.
    Pci(PciAddress),
    /// A device number of the channel subsystem, written `fe.0.NNNN`.
    Ccw(u16),
    /// A memory-mapped virtio slot, written `virtio-mmio-bus.N`.
    VirtioMmio(u8),
}

impl From<PciAddress> for Address {
    fn from(address: PciAddress) -> Self {
        Self::Pci(address)
    }
}

const CCW: &str = "fe.0.";
const MMIO: &str = "virtio-mmio-bus.";

impl FromStr for Address {
    type Err = ParsePciAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(number) = text.strip_prefix(CCW) {
            let plain = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = plain.then(|| u16::from_str_radix(number, 16).ok()).flatten();
            return number.map(Self::Ccw).ok_or(ParsePciAddressError::Syntax);
        }
        if let Some(number) = text.strip_prefix(MMIO) {
            let plain = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = plain.then(|| number.parse().ok()).flatten();
            return number.map(Self::VirtioMmio).ok_or(ParsePciAddressError::Syntax);
        }
        text.parse().map(Self::Pci)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => address.fmt(formatter),
            Self::Ccw(number) => write!(formatter, "{CCW}{number:04x}"),
            Self::VirtioMmio(number) => write!(formatter, "{MMIO}{number}"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transport_has_its_spelling() {
        for text in ["0000:00:1f.2", "rp3:00.0", "fe.0.00ff", "virtio-mmio-bus.7"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["fe.0.1", "fe.0.00000", "fe.0.+001", "virtio-mmio-bus.", "virtio-mmio-bus.300", "fe.1.0000"]
        {
            assert_eq!(text.parse::<Address>(), Err(ParsePciAddressError::Syntax), "{text}");
        }
    }
}
