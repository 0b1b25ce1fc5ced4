//! The machine type, its accelerator and settings of the board.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use crate::qemu_target::Accelerator;
use crate::value::Props;

/// The board. In config files, may be given as just its type: `machine = "q35"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// The machine type, such as `q35`, `pc`, `virt` or a versioned name. Defaults to
    /// [`Arch::default_machine`](crate::Arch::default_machine).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The accelerator.
    pub accel: AccelChoice,
    /// The board's own USB controller. Defaults to none.
    pub usb: Option<bool>,
    /// Whether QEMU's core dump contains guest memory. Defaults to false, since that contains the guest's secrets.
    pub dump_guest_core: bool,
    /// System Management Mode (x86). Secure boot firmware requires it and turns it on.
    pub smm: Option<bool>,
    /// ACPI tables. Defaults to the machine type's setting.
    pub acpi: Option<bool>,
    /// The `VMware` I/O port (x86). Defaults to the machine type's setting.
    pub vmport: Option<bool>,
    /// The High Precision Event Timer (x86). Defaults to the machine type's setting.
    pub hpet: Option<bool>,
    /// The version of Arm's interrupt controller (`virt`): `2`, `3`, `4`, `host` or `max`.
    pub gic_version: Option<String>,
    /// Arm's virtualization extensions for the guest (`virt`, TCG).
    pub virtualization: Option<bool>,
    /// `TrustZone` for the guest (`virt`, TCG).
    pub secure: Option<bool>,
    /// The bus of virtio devices. Defaults to memory-mapped slots on `microvm`, channel I/O on `s390-ccw-virtio`, and PCI on other
    /// boards. The address of a device takes precedence.
    pub virtio: Option<VirtioBus>,
    /// The size of TCG's translation cache.
    pub tcg_cache: Option<super::Size>,
    /// Whether TCG executes each CPU of the guest in a thread of its own. Defaults to QEMU's choice.
    pub tcg_threads: Option<TcgThreads>,
    /// Whether TCG maps its cache twice, so that no page is both writable and executable. Defaults to QEMU's choice.
    pub tcg_split_wx: Option<bool>,
    /// Who emulates the interrupt controllers under KVM. Defaults to the board's choice. Has no effect with other accelerators.
    pub kernel_irqchip: Option<KernelIrqchip>,
    /// The size of KVM's ring of dirty pages for each CPU, a power of two from 1024 to 65536. Defaults to a bitmap. Has no effect with
    /// other accelerators.
    pub dirty_ring_size: Option<u32>,
    /// Additional properties of `-accel`, passed on unchanged.
    pub accel_options: Props,
    /// Additional properties of `-machine`, passed on unchanged.
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

/// How many threads TCG uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TcgThreads {
    /// One for all CPUs.
    Single,
    /// One for each CPU.
    Multi,
}

/// Who emulates the interrupt controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KernelIrqchip {
    /// The kernel.
    On,
    /// QEMU.
    Off,
    /// The kernel the local ones, QEMU the others (x86).
    Split,
}

/// The choice of an accelerator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccelChoice {
    /// The best one that is known to work, as set in the [`Target`](crate::Target). In config files, also `kvm:tcg`, as QEMU's
    /// option has it.
    #[default]
    #[serde(alias = "kvm:tcg")]
    Auto,
    /// Linux's KVM.
    Kvm,
    /// macOS's Hypervisor framework.
    Hvf,
    /// Windows' Hypervisor Platform.
    Whpx,
    /// QEMU's translator, which works everywhere.
    Tcg,
}

impl AccelChoice {
    /// Returns the accelerator, if one was chosen by name.
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
