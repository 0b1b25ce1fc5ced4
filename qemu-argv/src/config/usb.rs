//! USB controllers and devices. A controller is added on demand; configure one only for special ports.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::chardev::CharBackend;
use super::flexible;
use crate::topology::Address;
use crate::value::Props;

/// A USB controller. In config files, may be given as just its model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct UsbController {
    /// The id that devices refer to. Defaults to `usb0`, `usb1`, ….
    pub id: Option<String>,
    /// The model.
    pub model: UsbModel,
    /// The number of ports (`xhci`), 1 to 15. Defaults to 15.
    pub ports: Option<u8>,
    /// The PCI address. Defaults to an address chosen by the plan.
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
}

impl UsbModel {
    /// Parses the short form, a single word.
    const SHORT: [(&str, Self); 3] =
        [("xhci", Self::Xhci), ("nec-xhci", Self::NecXhci), ("uhci", Self::Uhci)];
}

impl FromStr for UsbController {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let model = flexible::word("a USB controller", &UsbModel::SHORT, text)?;
        Ok(Self { model, ..Self::default() })
    }
}

impl flexible::Short for UsbController {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(UsbModel::SHORT.iter().map(|(word, _)| *word))
    }
}

/// The model of a USB controller. EHCI is not offered, since on its own it supports only high-speed devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UsbModel {
    /// `qemu-xhci`: USB 1 to 3.
    #[default]
    Xhci,
    /// `nec-usb-xhci`: the same, for guests that support only real hardware.
    NecXhci,
    /// `piix3-usb-uhci`: USB 1.
    Uhci,
}

/// A USB device. In config files, may be given as just its kind: `usb_devices = ["tablet"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct UsbDevice {
    /// The device's id in plans and QMP. Defaults to `usbdev0`, `usbdev1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The kind of device.
    #[serde(deserialize_with = "flexible::one")]
    pub device: UsbKind,
    /// The id of the controller. Defaults to any with a free port.
    #[serde(default)]
    pub controller: Option<String>,
    /// The port, with dots through hubs. Defaults to one chosen by the plan.
    #[serde(default)]
    pub port: Option<String>,
    /// Additional properties of the device, passed on unchanged.
    #[serde(default)]
    pub properties: Props,
}

impl UsbDevice {
    /// Makes a device on any free port.
    pub fn new(device: UsbKind) -> Self {
        Self { id: None, device, controller: None, port: None, properties: Props::new() }
    }
}

impl FromStr for UsbDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self::new)
    }
}

impl flexible::Short for UsbDevice {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        UsbKind::short_schema()
    }
}

/// The kind of a USB device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum UsbKind {
    /// A pointer with absolute coordinates, so that it follows the mouse of VNC and SPICE clients.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Tablet,
    /// A mouse.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Mouse,
    /// A keyboard.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Keyboard,
    /// A Wacom tablet.
    #[serde(deserialize_with = "flexible::nothing_more")]
    WacomTablet,
    /// A hub.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Hub,
    /// A device of the host, selected by vendor and product, by bus and port, or by bus and address.
    Host(UsbHost),
    /// A device of a SPICE client or of another host.
    Redirection(UsbRedirection),
    /// A smart card reader.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Ccid,
}

/// A device of the host, selected by vendor and product, by bus and port, or by bus and address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UsbHost {
    /// The vendor id.
    pub vendor: Option<u16>,
    /// The product id.
    pub product: Option<u16>,
    /// The host's bus.
    pub bus: Option<u8>,
    /// The port on the host's bus, such as `1.2`.
    pub port: Option<String>,
    /// The device's number on the host's bus, which is another one each time the device is plugged in.
    pub address: Option<u8>,
}

/// A device of a SPICE client or of another host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UsbRedirection {
    /// The source of the device. Defaults to a SPICE client.
    #[serde(deserialize_with = "flexible::optional")]
    pub backend: Option<CharBackend>,
}

impl UsbKind {
    /// Parses the short form, a single word.
    const SHORT: [(&str, Self); 7] = [
        ("tablet", Self::Tablet),
        ("mouse", Self::Mouse),
        ("keyboard", Self::Keyboard),
        ("wacom-tablet", Self::WacomTablet),
        ("hub", Self::Hub),
        ("redirection", Self::Redirection(UsbRedirection { backend: None })),
        ("ccid", Self::Ccid),
    ];
}

impl FromStr for UsbKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        flexible::word("a USB device", &Self::SHORT, text)
    }
}

impl flexible::Short for UsbKind {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(Self::SHORT.iter().map(|(word, _)| *word))
    }
}
