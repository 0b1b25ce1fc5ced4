//! Finds firmware for a machine, and makes the machine's own copy of the variable store.
//!
//! The descriptors that distributions ship decide; a list of known paths is asked only where no descriptor fits.

mod descriptor;
mod known;
mod vars;

use std::fmt;
use std::path::{Path, PathBuf};

use qemu_argv::Arch;
use serde::{Deserialize, Serialize};

pub use descriptor::{Descriptor, FlashFile, FlashMode, MachineTarget, Mapping, descriptors};
pub use vars::{VarsFormat, create_vars};

use crate::{DiscoveryError, Places};

/// What a firmware is to be good for. The default is UEFI that boots anything and keeps its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The architecture of the guest.
    pub arch: Arch,
    /// The *versioned* name of the machine type, such as `pc-q35-10.0`: descriptors do not know aliases.
    pub machine: String,
    /// What it is to the guest.
    pub interface: Interface,
    /// Whether only signed programs shall boot.
    pub secure_boot: bool,
    /// With `secure_boot`: whether the keys of well-known vendors are to be in the variables already. Without keys nothing
    /// is refused until somebody enrolls some.
    pub enrolled_keys: bool,
    /// Whether the machine can do without variables that outlive it; such firmware serves confidential guests.
    pub stateless: bool,
    /// Further features it must have, such as `amd-sev`.
    pub features: Vec<String>,
}

impl Wanted {
    /// UEFI for a machine type of this versioned name.
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

    /// The same with secure boot and the keys of well-known vendors.
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

/// What a firmware is to the guest.
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
    const fn name(self) -> &'static str {
        match self {
            Self::Uefi => "uefi",
            Self::Bios => "bios",
            Self::OpenFirmware => "openfirmware",
            Self::Uboot => "uboot",
        }
    }
}

/// A file with its image format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageFile {
    /// The file.
    pub path: PathBuf,
    /// Its image format: `raw` or `qcow2`.
    pub format: String,
}

impl ImageFile {
    /// A file whose format its name tells: qcow2 if it ends so, else raw.
    pub fn by_name(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let format = if path.extension().is_some_and(|ending| ending == "qcow2") { "qcow2" } else { "raw" };
        Self { path, format: format.to_owned() }
    }
}

/// How the firmware gets into the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Loading {
    /// As flash memory, read-only, with the variables in a second flash.
    Flash,
    /// As one flash memory that holds the variables too, so each machine needs its own copy of the whole.
    CombinedFlash,
    /// As flash memory, read-only; variables do not outlive the machine.
    StatelessFlash,
    /// By `-bios`.
    Bios,
    /// By `-kernel`.
    Kernel,
}

/// Firmware that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Firmware {
    /// The descriptor that told of it. `None`: it was found at a known path.
    pub descriptor: Option<PathBuf>,
    /// The code.
    pub code: ImageFile,
    /// Where the machine's own variables start from; see [`create_vars`].
    pub vars_template: Option<ImageFile>,
    /// How it gets into the machine.
    pub loading: Loading,
    /// Whether it works only with System Management Mode: `-machine smm=on` and `-global
    /// driver=cfi.pflash01,property=secure,value=on`. With `smm=off` it hangs without a word.
    pub requires_smm: bool,
    /// Whether it refuses unsigned programs once keys are enrolled.
    pub secure_boot: bool,
    /// Whether the keys of well-known vendors are in the template.
    pub enrolled_keys: bool,
    /// All features, as the descriptor has them.
    pub features: Vec<String>,
}

/// Finds firmware on this host.
///
/// # Errors
///
/// [`DiscoveryError::NoFirmware`] if nothing fits; the message says what was nearest and why it does not fit.
pub fn find(wanted: &Wanted) -> Result<Firmware, DiscoveryError> {
    find_in(&Places::host(), wanted)
}

/// [`find`] on a given host. File names in descriptors count from its root, and so do the paths in the answer.
///
/// # Errors
///
/// As [`find`].
pub fn find_in(places: &Places, wanted: &Wanted) -> Result<Firmware, DiscoveryError> {
    let mut rejected = Vec::new();
    let mut candidates = Vec::new();
    for read in descriptors(places) {
        match read.and_then(|(path, descriptor)| admit(places, wanted, path, &descriptor)) {
            Ok(Some(firmware)) => candidates.push(firmware),
            Ok(None) => {}
            Err(error) => rejected.push(error.to_string()),
        }
    }
    if candidates.is_empty() {
        candidates = known::firmware(places, wanted);
    }
    // Firmware with secure boot and no keys boots anything as well, but asks for SMM: only if there is no plainer one.
    let mut best = candidates.into_iter();
    let first = best.next();
    let plainer = first.iter().any(|firmware| firmware.secure_boot && !wanted.secure_boot);
    let chosen = if plainer { best.find(|firmware| !firmware.secure_boot).or(first) } else { first };
    chosen.ok_or_else(|| DiscoveryError::NoFirmware {
        wanted: wanted.to_string(),
        hint: hint(places, wanted, &rejected),
    })
}

/// Whether a descriptor's firmware fits. An error means that it would, but for a fault of its own.
fn admit(
    places: &Places,
    wanted: &Wanted,
    path: PathBuf,
    descriptor: &Descriptor,
) -> Result<Option<Firmware>, DiscoveryError> {
    let has = |feature: &str| descriptor.features.iter().any(|has| has == feature);
    let serves = |target: &MachineTarget| {
        target.architecture == wanted.arch.qemu_name()
            && target.machines.iter().any(|pattern| descriptor::fits(pattern, &wanted.machine))
    };
    let (secure_boot, enrolled_keys) = (has("secure-boot"), has("enrolled-keys"));
    let fits = descriptor.interface_types.iter().any(|name| name == wanted.interface.name())
        && descriptor.targets.iter().any(serves)
        && (secure_boot || !wanted.secure_boot)
        && enrolled_keys == wanted.enrolled_keys
        && wanted.features.iter().all(|feature| has(feature));
    let at = |name: &Path| descriptor::file(places, &path, name);
    let (loading, code, template) = match &descriptor.mapping {
        Mapping::Flash { mode, executable, nvram_template } => {
            let loading = match mode {
                FlashMode::Split => Loading::Flash,
                FlashMode::Combined => Loading::CombinedFlash,
                FlashMode::Stateless => Loading::StatelessFlash,
            };
            let image =
                |file: &FlashFile| ImageFile { path: at(&file.filename), format: file.format.clone() };
            (loading, image(executable), nvram_template.as_ref().map(image))
        }
        Mapping::Memory { filename } => (Loading::Bios, raw(at(filename)), None),
        Mapping::Kernel { filename } => (Loading::Kernel, raw(at(filename)), None),
        Mapping::Other => return Ok(None),
    };
    let keeps_variables = matches!(loading, Loading::Flash | Loading::CombinedFlash);
    // A PC BIOS has no variables to keep; asked for statelessness, UEFI must not have any.
    if !fits || (wanted.interface == Interface::Uefi && keeps_variables == wanted.stateless) {
        return Ok(None);
    }
    for file in std::iter::once(&code).chain(&template) {
        if let Err(error) = std::fs::File::open(&file.path) {
            let reason = format!("its file {} cannot be opened: {error}", file.path.display());
            return Err(DiscoveryError::Firmware { path, reason });
        }
    }
    Ok(Some(Firmware {
        descriptor: Some(path),
        code,
        vars_template: template,
        loading,
        requires_smm: has("requires-smm"),
        secure_boot,
        enrolled_keys,
        features: descriptor.features.clone(),
    }))
}

fn raw(path: PathBuf) -> ImageFile {
    ImageFile { path, format: "raw".into() }
}

fn hint(places: &Places, wanted: &Wanted, rejected: &[String]) -> String {
    let package = match wanted.arch {
        Arch::X86_64 | Arch::I386 => "ovmf (Debian), edk2-ovmf (Fedora, Arch)",
        Arch::Aarch64 => "qemu-efi-aarch64 (Debian), edk2-aarch64 (Fedora)",
        Arch::Arm => "qemu-efi-arm (Debian), edk2-arm (Fedora)",
        Arch::Riscv64 => "qemu-efi-riscv64 (Debian), edk2-riscv64 (Fedora)",
        Arch::Loongarch64 => "qemu-efi-loongarch64 (Debian), edk2-loongarch64 (Fedora)",
        _ => "the one with firmware for it",
    };
    if !rejected.is_empty() {
        return rejected.join("; ");
    }
    let folders = descriptor::folders(places);
    let near = descriptors(places).into_iter().flatten().any(|(_, descriptor)| {
        descriptor.targets.iter().any(|target| target.architecture == wanted.arch.qemu_name())
    });
    if near {
        format!(
            "the installed ones are for other machine types or lack a feature (looked in {})",
            crate::binary::paths(&folders)
        )
    } else {
        format!("install the package {package} (looked in {})", crate::binary::paths(&folders))
    }
}

/// The folders that descriptors are looked for in, the most specific first.
pub fn descriptor_folders(places: &Places) -> Vec<PathBuf> {
    descriptor::folders(places)
}

/// Whether the file can be read by the caller.
fn readable(path: &Path) -> bool {
    std::fs::File::open(path).is_ok()
}

#[cfg(test)]
mod tests;
