//! Devices of the host given to the guest, and devices that have no section of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::topology::Address;
use crate::value::Props;

/// A PCI device of the host, given to the guest by VFIO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostDevice {
    /// The name of the device in plans and QMP. Left out: `hostdev0`, `hostdev1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The PCI address on the host, such as `0000:01:00.0`. Exactly one of `host` and `sysfs`.
    #[serde(default)]
    pub host: Option<String>,
    /// The directory of a mediated device, such as `/sys/bus/mdev/devices/UUID`.
    #[serde(default)]
    pub sysfs: Option<PathBuf>,
    /// A file instead of the device's own ROM.
    #[serde(default)]
    pub rom_file: Option<PathBuf>,
    /// The place in the boot order, 0 first.
    #[serde(default)]
    pub boot_index: Option<u32>,
    /// The PCI address in the guest. Left out: planned.
    #[serde(default)]
    pub address: Option<Address>,
    /// Further properties of the device, passed on as they are.
    #[serde(default)]
    pub properties: Props,
}

impl HostDevice {
    /// The device at a PCI address of the host, such as `0000:01:00.0`.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..Self::nowhere() }
    }

    /// The device below this directory of sysfs, such as a mediated one.
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
    /// The name of the device in plans and QMP. Left out: `device0`, `device1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// What it plugs into. Left out: nothing that is ours to say.
    #[serde(default)]
    pub bus: OtherBus,
    /// The address. Left out: planned.
    #[serde(default)]
    pub address: Option<Address>,
    /// Its properties, passed on as they are.
    #[serde(default)]
    pub properties: Props,
}

impl OtherDevice {
    /// A device of this driver, which plugs into nothing that is ours to plan.
    pub fn new(driver: impl Into<String>) -> Self {
        Self { driver: driver.into(), id: None, bus: OtherBus::None, address: None, properties: Props::new() }
    }
}

/// What another device plugs into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OtherBus {
    /// Nothing, or what QEMU finds by itself.
    #[default]
    None,
    /// The root PCI bus: conventional or integrated.
    Pci,
    /// A PCI Express port of its own.
    Pcie,
    /// Whatever carries virtio on this machine; `driver` has its full name.
    Virtio,
    /// A USB port.
    Usb,
}
