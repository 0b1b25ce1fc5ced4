//! `-bios`, or flash memory wired to the machine: nodes alone would be ignored, and another firmware boot.

use std::path::Path;

use super::backend::Opening;
use super::block::{Image, image};
use crate::config::{Backing, BlockFormat, DiskBackend, Firmware, Size, UefiFirmware, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::Family;
use crate::value::Props;

pub(super) fn firmware(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("firmware");
    match &config.firmware {
        None => {}
        Some(Firmware::Bios(bios)) => {
            let path = builder.raw_path(at.field("path"), &bios.path);
            builder.plain(at, "-bios", path);
        }
        Some(Firmware::None) => builder.plain(at, "-bios", "none"),
        Some(Firmware::Uefi(uefi)) => flash(builder, at, config, uefi),
    }
}

fn flash(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig, uefi: &UefiFirmware) {
    let has_flash = matches!(
        builder.board.family(),
        Family::Q35
            | Family::I440fx
            | Family::VirtArm
            | Family::VirtRiscv
            | Family::VirtLoongarch
            | Family::Unknown
    );
    if !has_flash {
        builder.not_here(at, "flash memory for UEFI", "");
    }
    let Some(code) = &uefi.code else {
        let what = "the path of the UEFI code (only a launcher can find it)".into();
        return builder.fault(at.field("code"), crate::error::Fault::Missing { what });
    };
    let code_format = uefi.code_format.or(Some(BlockFormat::Raw));
    unit(builder, at, ("pflash0", "code"), code, Part { format: code_format, size: None, read_only: true });
    if let Some(vars) = &uefi.vars {
        let by_name = BlockFormat::of_name(vars).filter(|format| *format == BlockFormat::Qcow2);
        let format = uefi.vars_format.or(by_name).or(Some(BlockFormat::Raw));
        let part = Part { format, size: uefi.vars_size, read_only: false };
        unit(builder, at, ("pflash1", "vars"), vars, part);
    } else if uefi.vars_size.is_some() {
        builder.conflict(at.field("vars_size"), "`vars_size` requires `vars`");
    }
    // Outside of PCs the flash is written by the guest's own secure world, which is no matter of QEMU's options.
    if uefi.secure_boot && builder.board.is_x86() {
        if builder.board.family() != Family::Q35 {
            builder.not_here(
                at.field("secure_boot"),
                "firmware secured by System Management Mode",
                "; it requires q35",
            );
        }
        if config.machine.smm == Some(false) {
            builder.conflict(at.field("secure_boot"), "it requires `machine.smm`, which is off");
        }
        builder.machine.set("smm", true);
        let props =
            Props::new().with("driver", "cfi.pflash01").with("property", "secure").with("value", true);
        builder.option(at, "-global", props);
    }
}

/// How the image of a unit is read.
struct Part {
    format: Option<BlockFormat>,
    size: Option<Size>,
    read_only: bool,
}

fn unit(
    builder: &mut Builder<'_>,
    at: At<'_>,
    (name, field): (&'static str, &'static str),
    path: &Path,
    Part { format, size, read_only }: Part,
) {
    if path.to_str().is_none_or(str::is_empty) {
        // It is no disk of the configuration, so that the problem is told here.
        builder.path(at.field(field), path);
        return;
    }
    let backend = DiskBackend::file(path);
    let (key_secret, backing) = (None, &Backing::Header);
    let part = Image { field, backend: &backend, format, key_secret, backing, offset: None, size };
    let opening = Opening { read_only, cache: None, aio: None, discard: false };
    image(builder, at, name, part, opening, Props::new());
    builder.machine.set(name, name);
}
