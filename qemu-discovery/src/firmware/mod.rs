//! Finds firmware for a machine, and creates the machine's own copy of its variables.
//!
//! The descriptors installed by the distribution are used; a list of known paths is only the fallback.

mod descriptor;
mod found;
mod known;
#[cfg(test)]
mod tests;
mod vars;
mod wanted;

use std::path::{Path, PathBuf};

use qemu_argv::Arch;

pub use descriptor::{Descriptor, FlashFile, FlashMode, MachineTarget, Mapping, descriptors};
pub use found::{Firmware, ImageFile, Loading};
pub use vars::{VarsFormat, create_vars};
pub use wanted::{Interface, Wanted};

use crate::error::paths;
use crate::{DiscoveryError, Places};
use found::raw;

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
            paths(&folders)
        )
    } else {
        format!("install the package {package} (looked in {})", paths(&folders))
    }
}

/// The folders that descriptors are looked for in, the most specific first.
pub fn descriptor_folders(places: &Places) -> Vec<PathBuf> {
    descriptor::folders(places)
}
