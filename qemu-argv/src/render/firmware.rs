//! `-bios`, or flash memory wired to the machine: nodes alone would be ignored, and another firmware boot.

use std::path::Path;

use super::block::{Image, Opening, image};
use crate::config::{Backing, BlockFormat, DiskBackend, Firmware, UefiFirmware};
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::Family;
use crate::value::Props;

pub(super) fn firmware(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("firmware");
    match &draft.config.firmware {
        None => {}
        Some(Firmware::Bios(bios)) => {
            let path = draft.raw_path(at.field("path"), &bios.path);
            draft.plain(at, "-bios", path);
        }
        Some(Firmware::Uefi(uefi)) => flash(draft, at, uefi),
    }
}

fn flash(draft: &mut Draft<'_>, at: At<'_>, uefi: &UefiFirmware) {
    let has_flash = matches!(
        draft.board.family(),
        Family::Q35
            | Family::I440fx
            | Family::VirtArm
            | Family::VirtRiscv
            | Family::VirtLoongarch
            | Family::Unknown
    );
    if !has_flash {
        draft.not_here(at, "flash memory for UEFI", "");
    }
    let Some(code) = &uefi.code else {
        let what = "the path of the UEFI code (a launcher finds it, a plan alone cannot)".into();
        return draft.fault(at.field("code"), crate::error::Fault::Missing { what });
    };
    unit(draft, at, ("pflash0", "code"), code, uefi.code_format.or(Some(BlockFormat::Raw)), true);
    if let Some(vars) = &uefi.vars {
        let by_name = vars.extension().is_some_and(|ending| ending == "qcow2").then_some(BlockFormat::Qcow2);
        unit(
            draft,
            at,
            ("pflash1", "vars"),
            vars,
            uefi.vars_format.or(by_name).or(Some(BlockFormat::Raw)),
            false,
        );
    }
    // Outside of PCs the flash is written by the guest's own secure world, which is no matter of QEMU's options.
    if uefi.secure_boot && draft.board.is_x86() {
        if draft.board.family() != Family::Q35 {
            draft.not_here(
                at.field("secure_boot"),
                "firmware secured by System Management Mode",
                "; it is for q35",
            );
        }
        if draft.config.machine.smm == Some(false) {
            draft.conflict(at.field("secure_boot"), "it needs `machine.smm`, which is switched off");
        }
        draft.machine.set("smm", true);
        let props =
            Props::new().with("driver", "cfi.pflash01").with("property", "secure").with("value", true);
        draft.option(at, "-global", props);
    }
}

fn unit(
    draft: &mut Draft<'_>,
    at: At<'_>,
    (name, field): (&'static str, &'static str),
    path: &Path,
    format: Option<BlockFormat>,
    read_only: bool,
) {
    if path.to_str().is_none_or(str::is_empty) {
        // It is no disk of the configuration, so that the problem is told here.
        draft.path(at.field(field), path);
        return;
    }
    let backend = DiskBackend::file(path);
    let part = Image { field, backend: &backend, format, key_secret: None, backing: &Backing::Header };
    let opening = Opening { read_only, cache: None, aio: None, discard: false };
    image(draft, at, name, part, opening, Props::new());
    draft.machine.set(name, name);
}
