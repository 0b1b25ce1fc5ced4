//! Finds UEFI for a config that leaves it to the launcher, and makes the VM's own copy of its variables.

use std::path::{Path, PathBuf};

use qemu_argv::{BlockFormat, DiskBackend, FileDisk, Firmware, Target, UefiFirmware, VmConfig};
use qemu_discovery::Places;
use qemu_discovery::firmware::{self, ImageFile, Loading, VarsFormat, Wanted, create_vars};

use crate::error::Error;

use super::complete::pvpanic;
use super::images::{self, with_block_devices};

/// The config with what it leaves to the launcher, for the QEMU `program`: the paths of UEFI, and the device by which a
/// guest tells that it panicked. Nothing is made: the variables' template
/// is named, and a launch copies it.
///
/// # Errors
///
/// [`Error::Discovery`] if no firmware fits; it says what to install. [`Error::Unsupported`] if the one that fits keeps
/// code and variables in one file.
pub fn with_firmware(config: &VmConfig, program: &Path, target: &Target) -> Result<VmConfig, Error> {
    let mut config = config.clone();
    let kind = config.machine.kind.as_deref().unwrap_or_else(|| target.arch.default_machine());
    let machine = target.machines.get(kind).map_or(kind, String::as_str);
    config.pvpanic = pvpanic(&config, machine, target);
    let Some(Firmware::Uefi(uefi @ UefiFirmware { code: None, .. })) = &mut config.firmware else {
        return Ok(config);
    };
    let wanted = Wanted::uefi(target.arch, machine);
    let wanted = if uefi.secure_boot { wanted.secure() } else { wanted };
    let found = firmware::find_in(&Places::host().beside(program), &wanted)?;
    if found.loading == Loading::CombinedFlash {
        return Err(Error::Unsupported {
            action: "setting up the firmware of",
            name: found.code.path.display().to_string(),
            reason: "it has code and variables in one file; set `firmware.code` to another one".to_owned(),
        });
    }
    uefi.code = Some(found.code.path);
    uefi.code_format = uefi.code_format.or(format_of(&found.code.format));
    uefi.vars_template = uefi.vars_template.take().or(found.vars_template.map(|file| file.path));
    // Where nothing plainer is installed, also a VM that boots anything gets the code that needs it.
    uefi.secure_boot |= found.requires_smm;
    Ok(config)
}

/// A config that is ready to be planned, and the copy of the variables that was made for it alone.
pub(super) struct Completed {
    pub(super) config: VmConfig,
    pub(super) copy: Option<PathBuf>,
}

/// Completes the config, checks what its images hold, and copies the template of the variables to `vars`, with the ending of
/// its format, unless the config says where they are. What is there already stays.
pub(super) async fn complete(
    config: &VmConfig,
    program: &Path,
    target: &Target,
    vars: &Path,
) -> Result<Completed, Error> {
    let mut config = with_firmware(&with_block_devices(config.clone()), program, target)?;
    images::refuse(images::image_faults(&config))?;
    let snapshots = takes_snapshots(&config);
    let Some(Firmware::Uefi(uefi)) = &mut config.firmware else {
        return Ok(Completed { config, copy: None });
    };
    let Some(template) = uefi.vars_template.clone().map(ImageFile::by_name) else {
        return Ok(Completed { config, copy: None });
    };
    let named = uefi.vars.as_ref().map(|path| ImageFile::by_name(path).format == "qcow2");
    let qcow2 = uefi.vars_format.map(|format| format == BlockFormat::Qcow2).or(named);
    let wanted = match qcow2 {
        Some(true) => VarsFormat::Qcow2,
        Some(false) => VarsFormat::Raw,
        None if snapshots => VarsFormat::Qcow2,
        None => VarsFormat::Template,
    };
    let ending = match wanted {
        VarsFormat::Qcow2 => "qcow2",
        VarsFormat::Template if template.format == "qcow2" => "qcow2",
        _ => "fd",
    };
    let copy = uefi.vars.is_none().then(|| {
        let mut path = vars.as_os_str().to_owned();
        path.push(".");
        path.push(ending);
        PathBuf::from(path)
    });
    let path = copy.clone().or_else(|| uefi.vars.clone()).unwrap_or_default();
    let made = create_vars(&template, &path, wanted, Some(&qemu_img(program))).await?;
    uefi.vars_format = uefi.vars_format.or(format_of(&made.format));
    uefi.vars = Some(made.path);
    Ok(Completed { config, copy })
}

/// Whether QEMU can keep the machine's state in its disks: then the variables must be able to hold it too.
fn takes_snapshots(config: &VmConfig) -> bool {
    let mut writable = config.disks.iter().filter(|disk| !disk.read_only).peekable();
    let is_qcow2 = |disk: &qemu_argv::Disk| match (disk.format, &disk.backend) {
        (Some(format), _) => format == BlockFormat::Qcow2,
        (None, DiskBackend::File(FileDisk { path })) => {
            BlockFormat::of_name(path) == Some(BlockFormat::Qcow2)
        }
        (None, _) => false,
    };
    writable.peek().is_some() && writable.all(is_qcow2)
}

fn format_of(name: &str) -> Option<BlockFormat> {
    match name {
        "raw" => Some(BlockFormat::Raw),
        "qcow2" => Some(BlockFormat::Qcow2),
        _ => None,
    }
}

/// The tool that belongs to this QEMU, else the one in the search path.
fn qemu_img(program: &Path) -> PathBuf {
    let beside = program.with_file_name("qemu-img");
    if beside.exists() { beside } else { PathBuf::from("qemu-img") }
}

#[cfg(test)]
mod tests {
    use qemu_argv::Disk;

    use super::*;

    #[test]
    fn variables_hold_snapshots_where_all_writable_disks_do() {
        let takes = |disks: &[&str]| {
            let disks = disks.iter().map(|path| Disk::file(*path)).collect();
            takes_snapshots(&VmConfig { disks, ..VmConfig::default() })
        };
        assert_eq!(
            [takes(&[]), takes(&["a.qcow2"]), takes(&["a.qcow2", "b.raw"]), takes(&["a.raw"])],
            [false, true, false, false]
        );
        let read_only = Disk { read_only: true, ..Disk::file("b.raw") };
        let mixed = VmConfig { disks: vec![Disk::file("a.qcow2"), read_only], ..VmConfig::default() };
        assert!(takes_snapshots(&mixed));
    }
}
