//! The device drivers of a QEMU.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The names of the device drivers that a QEMU has. There are hundreds, and every plan keeps them for devices that come
/// later: a copy shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drivers(Arc<BTreeSet<String>>);

impl Drivers {
    /// Whether `driver`, such as `virtio-net-pci`, is among them.
    pub fn contains(&self, driver: &str) -> bool {
        self.0.contains(driver)
    }

    /// The names in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl From<BTreeSet<String>> for Drivers {
    fn from(names: BTreeSet<String>) -> Self {
        Self(Arc::new(names))
    }
}

impl<T: Into<String>> FromIterator<T> for Drivers {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        names.into_iter().map(Into::into).collect::<BTreeSet<_>>().into()
    }
}

impl Serialize for Drivers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Drivers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeSet::deserialize(deserializer).map(Self::from)
    }
}
