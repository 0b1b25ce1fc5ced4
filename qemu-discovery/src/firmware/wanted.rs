//! Requirements for firmware.

use std::fmt;

use qemu_argv::Arch;

/// Requirements for firmware. Defaults to UEFI that boots anything and keeps its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The architecture of the guest.
    pub arch: Arch,
    /// The *versioned* name of the machine type, such as `pc-q35-10.0`, since descriptors do not contain aliases.
    pub machine: String,
    /// The interface to the guest.
    pub interface: Interface,
    /// Whether only signed programs may boot.
    pub secure_boot: bool,
    /// With `secure_boot`, whether the keys of well-known vendors must be enrolled already. Without keys nothing is
    /// rejected until keys are enrolled.
    pub enrolled_keys: bool,
    /// Whether the machine does not need persistent variables; such firmware is used for confidential guests.
    pub stateless: bool,
    /// Additional required features, such as `amd-sev`.
    pub features: Vec<String>,
}

impl Wanted {
    /// Requires UEFI for the machine type of this versioned name.
    pub fn uefi(arch: Arch, machine: impl Into<String>) -> Self {
        Self {
            arch,
            machine: machine.into(),
            interface: Interface::Uefi,
            secure_boot: false,
            enrolled_keys: false,
            stateless: false,
            features: Vec::new(),
        }
    }

    /// Adds secure boot with the keys of well-known vendors.
    #[must_use]
    pub fn secure(self) -> Self {
        Self { secure_boot: true, enrolled_keys: true, ..self }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} ({}", self.arch, self.machine, self.interface.name())?;
        let flags = [
            (self.secure_boot, "secure boot"),
            (self.enrolled_keys, "enrolled keys"),
            (self.stateless, "stateless"),
        ];
        for name in flags.into_iter().filter_map(|(set, name)| set.then_some(name)) {
            write!(formatter, ", {name}")?;
        }
        for feature in &self.features {
            write!(formatter, ", {feature}")?;
        }
        formatter.write_str(")")
    }
}

/// The interface of firmware to the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interface {
    /// UEFI.
    #[default]
    Uefi,
    /// The PC BIOS.
    Bios,
    /// Open Firmware (IEEE 1275).
    OpenFirmware,
    /// U-Boot.
    Uboot,
}

impl Interface {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Uefi => "uefi",
            Self::Bios => "bios",
            Self::OpenFirmware => "openfirmware",
            Self::Uboot => "uboot",
        }
    }
}
