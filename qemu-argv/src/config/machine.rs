//! The machine type, its accelerator and board-wide switches.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use crate::qemu_target::Accelerator;
use crate::value::Props;

/// The board. In files also just its type: `machine = "q35"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// The machine type, such as `q35`, `pc`, `virt` or a versioned name. Left out:
    /// [`Arch::default_machine`](crate::Arch::default_machine).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What executes the guest.
    pub accel: AccelChoice,
    /// The board's own USB controller. Left out: none.
    pub usb: Option<bool>,
    /// Whether guest memory goes into QEMU's core dump. Left out: no, since it holds the guest's secrets.
    pub dump_guest_core: bool,
    /// System Management Mode (x86). Secure boot firmware needs it and switches it on by itself.
    pub smm: Option<bool>,
    /// ACPI tables. Left out: as the machine type has it.
    pub acpi: Option<bool>,
    /// The `VMware` I/O port (x86). Left out: as the machine type has it.
    pub vmport: Option<bool>,
    /// The High Precision Event Timer (x86). Left out: as the machine type has it.
    pub hpet: Option<bool>,
    /// The version of Arm's interrupt controller (`virt`): `2`, `3`, `4`, `host` or `max`.
    pub gic_version: Option<String>,
    /// Arm's virtualization extensions for the guest (`virt`, TCG).
    pub virtualization: Option<bool>,
    /// `TrustZone` for the guest (`virt`, TCG).
    pub secure: Option<bool>,
    /// The bus of virtio devices. Defaults to what is usual on the board: memory-mapped slots on `microvm`, channel I/O on
    /// `s390-ccw-virtio`, PCI elsewhere. An address of a device's own takes precedence.
    pub virtio: Option<VirtioBus>,
    /// The size of TCG's cache of translated code.
    pub tcg_cache: Option<super::Size>,
    /// Further properties of `-machine`, passed on as they are.
    pub options: Props,
}

impl FromStr for Machine {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { kind: Some(text.to_owned()), ..Self::default() })
    }
}

impl flexible::Short for Machine {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}

/// The bus of virtio devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VirtioBus {
    /// PCI: the drivers `virtio-…-pci`.
    Pci,
    /// The board's memory-mapped slots: the drivers `virtio-…-device`. The slots of `virt` follow the virtio 0.9 standard unless
    /// QEMU's property `virtio-mmio.force-legacy` is off.
    Mmio,
}

/// Which accelerator is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccelChoice {
    /// The best that is known to work: whatever the [`Target`](crate::Target) has.
    #[default]
    Auto,
    /// Linux's KVM.
    Kvm,
    /// macOS's Hypervisor framework.
    Hvf,
    /// Windows' Hypervisor Platform.
    Whpx,
    /// QEMU's translator.
    Tcg,
}

impl AccelChoice {
    /// The accelerator that is asked for by name.
    pub const fn named(self) -> Option<Accelerator> {
        match self {
            Self::Auto => None,
            Self::Kvm => Some(Accelerator::Kvm),
            Self::Hvf => Some(Accelerator::Hvf),
            Self::Whpx => Some(Accelerator::Whpx),
            Self::Tcg => Some(Accelerator::Tcg),
        }
    }
}
