//! Network interfaces: device and backend.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::flexible;
use super::netdev::NetBackend;
use super::user_net::UserNet;
use crate::topology::Address;
use crate::value::Props;

/// A network interface. In config files, may be given as just `"user"`: a NAT network that needs no setup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The interface's id in plans, errors and QMP. Defaults to `net0`, `net1`, ….
    pub id: Option<String>,
    /// The backend. In config files, may be given as just `"user"`.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: NetBackend,
    /// The device that the guest sees.
    pub model: NicModel,
    /// The MAC address. Defaults to one derived from the VM's name and the interface's id, so it is the same each time.
    pub mac: Option<MacAddress>,
    /// The position in the boot order; 0 is first.
    pub boot_index: Option<u32>,
    /// Queue pairs (virtio-net with tap, vhost-user or vhost-vdpa). Defaults to 1.
    pub queues: Option<u16>,
    /// The MTU that is announced to the guest (virtio-net), in bytes.
    pub mtu: Option<u16>,
    /// The address (PCI, channel I/O or memory-mapped slot). Defaults to an address chosen by the plan.
    pub address: Option<Address>,
    /// A file into which all packets are written, in the format of libpcap (`filter-dump`). Not supported with vhost. Defaults to none.
    pub capture: Option<PathBuf>,
    /// Whether it must be hot-unpluggable; `false` lets it share a slot with other devices. By default it is
    /// hot-unpluggable if there is room.
    pub hotplug: Option<bool>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
}

impl Default for Network {
    fn default() -> Self {
        Self::new(NetBackend::User(UserNet::default()))
    }
}

impl Network {
    /// Makes a virtio interface with this backend.
    pub fn new(backend: NetBackend) -> Self {
        Self {
            id: None,
            backend,
            model: NicModel::default(),
            mac: None,
            boot_index: None,
            queues: None,
            mtu: None,
            address: None,
            capture: None,
            hotplug: None,
            properties: Props::new(),
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self::new)
    }
}

impl flexible::Short for Network {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        NetBackend::short_schema()
    }
}

/// The device that the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the devices' own")]
#[non_exhaustive]
pub enum NicModel {
    /// `virtio-net`: the fastest.
    #[default]
    Virtio,
    /// Intel 82540EM, PCI.
    E1000,
    /// Intel 82544GC, PCI.
    #[serde(rename = "e1000-82544gc")]
    E1000_82544gc,
    /// Intel 82545EM, PCI.
    #[serde(rename = "e1000-82545em")]
    E1000_82545em,
    /// Intel 82574L, PCI Express.
    E1000e,
    /// Intel 82576 with SR-IOV, PCI Express (QEMU ≥ 8.0).
    Igb,
    Rtl8139,
    Vmxnet3,
    Ne2kPci,
    Pcnet,
    Tulip,
    I82550,
    I82551,
    I82557b,
    I82558b,
    #[serde(rename = "i82559er")]
    I82559er,
    I82562,
    Sungem,
    Sunhme,
    /// IBM's virtual LAN (`pseries`).
    SpaprVlan,
    UsbNet,
    /// The next network interface of the board itself, as many microcontroller and single-board computer boards have.
    Board,
    /// No device, only the backend, as for a port of a hub.
    None,
}

/// QEMU's driver of each model that has one; the bus is missing from that of virtio.
const DRIVERS: [(NicModel, &str); 21] = [
    (NicModel::Virtio, "virtio-net"),
    (NicModel::E1000, "e1000"),
    (NicModel::E1000_82544gc, "e1000-82544gc"),
    (NicModel::E1000_82545em, "e1000-82545em"),
    (NicModel::E1000e, "e1000e"),
    (NicModel::Igb, "igb"),
    (NicModel::Rtl8139, "rtl8139"),
    (NicModel::Vmxnet3, "vmxnet3"),
    (NicModel::Ne2kPci, "ne2k_pci"),
    (NicModel::Pcnet, "pcnet"),
    (NicModel::Tulip, "tulip"),
    (NicModel::I82550, "i82550"),
    (NicModel::I82551, "i82551"),
    (NicModel::I82557b, "i82557b"),
    (NicModel::I82558b, "i82558b"),
    (NicModel::I82559er, "i82559er"),
    (NicModel::I82562, "i82562"),
    (NicModel::Sungem, "sungem"),
    (NicModel::Sunhme, "sunhme"),
    (NicModel::SpaprVlan, "spapr-vlan"),
    (NicModel::UsbNet, "usb-net"),
];

impl NicModel {
    /// Returns QEMU's name of the driver, without the bus of a virtio one. Empty if there is no device of its own.
    pub(crate) fn driver(self) -> &'static str {
        DRIVERS.iter().find(|(model, _)| *model == self).map_or("", |(_, driver)| driver)
    }

    /// Returns the model of that driver.
    pub(crate) fn of_driver(driver: &str) -> Option<Self> {
        DRIVERS.iter().find(|(_, known)| *known == driver).map(|(model, _)| *model)
    }
}

/// A MAC address, such as `52:54:00:12:34:56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    pub(crate) fn text(self) -> SmolStr {
        let digit = |number: u8| b"0123456789abcdef"[usize::from(number & 15)];
        let mut text = [b':'; 17];
        for (place, octet) in text.chunks_mut(3).zip(self.0) {
            (place[0], place[1]) = (digit(octet >> 4), digit(octet));
        }
        // Only digits and colons, so this is valid UTF-8.
        str::from_utf8(&text).unwrap_or_default().into()
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text())
    }
}

/// The error for an invalid MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid MAC address; expected for example 52:54:00:12:34:56")]
#[non_exhaustive]
pub struct ParseMacError(String);

impl FromStr for MacAddress {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let wrong = || ParseMacError(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
            let hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            *octet = u8::from_str_radix(part, 16).ok().filter(|_| hex).ok_or_else(wrong)?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(octets)) }
    }
}

impl Serialize for MacAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_read_and_print() {
        let text = "52:54:00:ab:cd:ef";
        assert_eq!(text.parse::<MacAddress>().map(|mac| mac.to_string()).as_deref(), Ok(text));
        for bad in ["", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:00", "52:54:00:ab:cd:+f", "5254.00ab.cdef"] {
            assert_eq!(bad.parse::<MacAddress>(), Err(ParseMacError(bad.into())));
        }
    }
}
