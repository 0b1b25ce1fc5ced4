//! Passthrough devices, and devices without a section of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::topology::Address;
use crate::value::Props;

/// A PCI device of the host, passed through to the guest by VFIO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostDevice {
    /// The device's id in plans and QMP. Defaults to `hostdev0`, `hostdev1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The PCI address on the host, such as `0000:01:00.0`. Exactly one of `host` and `sysfs`.
    #[serde(default)]
    pub host: Option<String>,
    /// The directory of a mediated device, such as `/sys/bus/mdev/devices/UUID`.
    #[serde(default)]
    pub sysfs: Option<PathBuf>,
    /// A file that replaces the device's own ROM.
    #[serde(default)]
    pub rom_file: Option<PathBuf>,
    /// The position in the boot order; 0 is first.
    #[serde(default)]
    pub boot_index: Option<u32>,
    /// The PCI address in the guest. Defaults to an address chosen by the plan.
    #[serde(default)]
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    #[serde(default)]
    pub properties: Props,
}

impl HostDevice {
    /// Makes a device from a PCI address of the host, such as `0000:01:00.0`.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..Self::nowhere() }
    }

    /// Makes a device from a sysfs directory, such as that of a mediated device.
    pub fn at_sysfs(path: impl Into<PathBuf>) -> Self {
        Self { sysfs: Some(path.into()), ..Self::nowhere() }
    }

    fn nowhere() -> Self {
        Self {
            id: None,
            host: None,
            sysfs: None,
            rom_file: None,
            boot_index: None,
            address: None,
            properties: Props::new(),
        }
    }
}

/// Any other device, by QEMU's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OtherDevice {
    /// QEMU's driver, such as `edu`.
    pub driver: String,
    /// The device's id in plans and QMP. Defaults to `device0`, `device1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The kind of bus it is connected to, or the name of a bus, such as that of a root port or controller of `devices`. By default the
    /// bus of `address`, the root PCI bus for PCI bridges and controllers, and QEMU's choice for others.
    #[serde(default)]
    pub bus: OtherBus,
    /// The address. Defaults to an address chosen by the plan.
    #[serde(default)]
    pub address: Option<Address>,
    /// Properties of the device, passed on unchanged.
    #[serde(default)]
    pub properties: Props,
}

impl OtherDevice {
    /// Makes a device of this driver, whose place QEMU chooses.
    pub fn new(driver: impl Into<String>) -> Self {
        Self { driver: driver.into(), id: None, bus: OtherBus::None, address: None, properties: Props::new() }
    }
}

/// The kind of bus that a device is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum OtherBus {
    /// None, or one chosen by QEMU.
    #[default]
    None,
    /// The root PCI bus: conventional or integrated.
    Pci,
    /// A PCI Express port of its own.
    Pcie,
    /// The virtio transport of the machine; `driver` is the full name.
    Virtio,
    /// A USB port.
    Usb,
    /// The bus of that name. A PCI device is placed in its first free slot, unless `address` says which.
    Named(String),
}

impl From<String> for OtherBus {
    fn from(word: String) -> Self {
        match word.as_str() {
            "none" => Self::None,
            "pci" => Self::Pci,
            "pcie" => Self::Pcie,
            "virtio" => Self::Virtio,
            "usb" => Self::Usb,
            _ => Self::Named(word),
        }
    }
}

impl From<OtherBus> for String {
    fn from(bus: OtherBus) -> Self {
        match bus {
            OtherBus::None => "none".into(),
            OtherBus::Pci => "pci".into(),
            OtherBus::Pcie => "pcie".into(),
            OtherBus::Virtio => "virtio".into(),
            OtherBus::Usb => "usb".into(),
            OtherBus::Named(name) => name,
        }
    }
}
