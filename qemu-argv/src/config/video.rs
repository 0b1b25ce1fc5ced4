//! Video devices.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::size::Size;
use crate::topology::Address;
use crate::value::Props;

/// A video device. In config files, may be given as just its model: `video = ["virtio-vga"]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Video {
    /// The device's id in plans and QMP. Defaults to `video0`, `video1`, ….
    pub id: Option<String>,
    /// The model.
    pub model: VideoModel,
    /// The size of the frame buffer (`vga`, `cirrus`, `qxl`, `bochs`).
    pub vga_memory: Option<Size>,
    /// The size of the memory for commands and off-screen images (`qxl`).
    pub ram: Option<Size>,
    /// The size of the memory for surfaces (`qxl`).
    pub vram: Option<Size>,
    /// The maximum host memory for the guest's images (`virtio`).
    pub host_memory: Option<Size>,
    /// The number of screens (`virtio`, `qxl`). Defaults to 1.
    pub outputs: Option<u8>,
    /// The preferred width, in pixels.
    pub width: Option<u32>,
    /// The preferred height, in pixels.
    pub height: Option<u32>,
    /// The address (PCI, channel I/O or memory-mapped slot). Defaults to an address chosen by the plan.
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
}

impl Default for Video {
    fn default() -> Self {
        Self::new(VideoModel::default())
    }
}

impl Video {
    /// Makes a video device of this model.
    pub fn new(model: VideoModel) -> Self {
        Self {
            id: None,
            model,
            vga_memory: None,
            ram: None,
            vram: None,
            host_memory: None,
            outputs: None,
            width: None,
            height: None,
            address: None,
            properties: Props::new(),
        }
    }
}

impl FromStr for Video {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "std" => return Ok(Self::new(VideoModel::Vga)),
            "none" => return Err("no video device is the default; leave `video` out".into()),
            "virtio" => {
                return Err("\"virtio\" is virtio-vga on x86, and virtio-gpu on other machines".into());
            }
            _ => {}
        }
        let models = VideoModel::ALL.map(|(model, word, _)| (word, model));
        flexible::word("a video device", &models, text).map(Self::new)
    }
}

impl flexible::Short for Video {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(VideoModel::ALL.iter().map(|(_, word, _)| *word).chain(["std"]))
    }
}

/// The model of a video device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VideoModel {
    /// The standard VGA card, which works with all guests.
    #[default]
    Vga,
    /// `virtio-vga`: virtio with VGA for firmware and early boot (x86).
    VirtioVga,
    /// `virtio-vga-gl`: the same, with OpenGL of the host.
    VirtioVgaGl,
    /// `virtio-gpu`: virtio without VGA, for machines other than x86.
    VirtioGpu,
    /// `virtio-gpu-gl`: the same, with OpenGL of the host.
    VirtioGpuGl,
    /// QXL with VGA, for SPICE.
    QxlVga,
    /// QXL without VGA, for additional screens.
    Qxl,
    /// Cirrus Logic GD5446.
    Cirrus,
    /// `VMware` SVGA.
    Vmware,
    /// The standard card without VGA.
    Bochs,
    /// A frame buffer in RAM that is set up by firmware.
    Ramfb,
    /// ATI Rage 128 Pro.
    Ati,
}

impl VideoModel {
    /// Each model with its word in config files and QEMU's driver. QEMU's names are case-sensitive: `VGA`, not `vga`.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 12] = [
        (Self::Vga, "vga", "VGA"),
        (Self::VirtioVga, "virtio-vga", "virtio-vga"),
        (Self::VirtioVgaGl, "virtio-vga-gl", "virtio-vga-gl"),
        (Self::VirtioGpu, "virtio-gpu", "virtio-gpu"),
        (Self::VirtioGpuGl, "virtio-gpu-gl", "virtio-gpu-gl"),
        (Self::QxlVga, "qxl-vga", "qxl-vga"),
        (Self::Qxl, "qxl", "qxl"),
        (Self::Cirrus, "cirrus", "cirrus-vga"),
        (Self::Vmware, "vmware", "vmware-svga"),
        (Self::Bochs, "bochs", "bochs-display"),
        (Self::Ramfb, "ramfb", "ramfb"),
        (Self::Ati, "ati", "ati-vga"),
    ];

    /// QEMU's driver, without the bus suffix of the virtio ones.
    pub(crate) fn driver(self) -> &'static str {
        Self::ALL.iter().find(|(model, _, _)| *model == self).map_or("VGA", |(_, _, driver)| driver)
    }
}
