//! Firmware: one file, or flash memory for code and variables.

use super::bag::{Why, as_flag};
use super::drive::{Drive, drive};
use super::general;
use super::image::{self, Image};
use super::line::Line;
use crate::config::{BiosFirmware, BlockFormat, DiskBackend, Firmware, UefiFirmware, VmConfig};

/// `-bios`, `-pflash`, `-drive if=pflash`, and flash memory wired to the machine.
pub(super) fn firmware(line: &mut Line, config: &mut VmConfig) {
    if let Some((_, path)) = line.last("bios") {
        config.firmware = match path.as_str() {
            "none" => Some(Firmware::None),
            // What a board has anyway.
            "default" => None,
            _ => Some(Firmware::Bios(BiosFirmware::new(path))),
        };
    }
    let mut units: Vec<(usize, u32, Image)> = Vec::new();
    for at in line.open("pflash") {
        let text = line.options[at].text().to_owned();
        units.push((at, units.len().try_into().unwrap_or(u32::MAX), Image::of(DiskBackend::file(text))));
    }
    for at in line.open("drive") {
        if line.bag(at).peek("if") == Some("pflash") && !line.planned {
            match drive(line, line.bag(at)) {
                Ok(Drive { image: Some(image), index, .. }) => {
                    let next = units.len().try_into().unwrap_or(u32::MAX);
                    units.push((at, index.unwrap_or(next), image));
                }
                Ok(_) => line.extra(at, "it has no medium"),
                Err(why) => line.extra(at, why),
            }
        }
    }
    let wired = !units.is_empty() || wired(line, config, &mut units);
    if !wired {
        return;
    }
    match uefi(&units) {
        Ok(mut uefi) => {
            for (at, _, image) in &units {
                line.typed(*at);
                line.typed_all(&image.options);
            }
            for name in ["pflash0", "pflash1"] {
                remove(config, name);
            }
            uefi.secure_boot = secure(line);
            if uefi.secure_boot && line.is_q35() {
                // It comes with secured firmware.
                config.machine.smm = None;
            }
            config.firmware = Some(Firmware::Uefi(uefi));
        }
        Err(why) => {
            let kept: Vec<_> = units.iter().map(|(at, ..)| *at).collect();
            line.extra_all(&kept, &why);
        }
    }
}

/// Flash memory that `-machine` refers to.
fn wired(line: &Line, config: &VmConfig, units: &mut Vec<(usize, u32, Image)>) -> bool {
    for (number, name) in [(0, "pflash0"), (1, "pflash1")] {
        let Some(node) = config.machine.options.get_str(name) else { continue };
        let Some(at) = line.definition("blockdev", node) else { continue };
        if let Ok(image) = image::of_node(line, node, &[]) {
            units.push((at, number, image));
        }
    }
    !units.is_empty()
}

fn remove(config: &mut VmConfig, name: &str) {
    let kept = config.machine.options.iter().filter(|(key, _)| *key != name);
    config.machine.options = kept
        .fold(crate::value::Props::new(), |props, (key, value)| props.with(key.to_owned(), value.clone()));
}

fn uefi(units: &[(usize, u32, Image)]) -> Result<UefiFirmware, Why> {
    let mut uefi = UefiFirmware::default();
    for (_, number, image) in units {
        let DiskBackend::File(file) = &image.backend else {
            return Err("flash memory of a config is a file".into());
        };
        let format = image.format.unwrap_or(BlockFormat::Raw);
        match number {
            0 if image.read_only => {
                uefi.code = Some(file.path.clone());
                uefi.code_format = (format != BlockFormat::Raw).then_some(format);
            }
            0 => return Err(
                "code of a config's firmware cannot be written to; give its variables a file of their own"
                    .into(),
            ),
            1 if !image.read_only => {
                uefi.vars = Some(file.path.clone());
                uefi.vars_size = image.size;
                let by_name = BlockFormat::of_name(&file.path).filter(|format| *format == BlockFormat::Qcow2);
                uefi.vars_format = (format != by_name.unwrap_or(BlockFormat::Raw)).then_some(format);
            }
            _ => return Err("a config has flash memory for code and for variables".into()),
        }
    }
    if uefi.code.is_none() {
        return Err("the code of the firmware is missing".into());
    }
    Ok(uefi)
}

/// Whether flash memory is secured, as firmware with System Management Mode needs it.
fn secure(line: &mut Line) -> bool {
    let mut secure = false;
    for at in line.open("global") {
        let Some((driver, property, value)) = general::global(line.options[at].text()) else {
            continue;
        };
        if (driver.as_str(), property.as_str()) == ("cfi.pflash01", "secure") {
            secure = as_flag(&value.as_str().into()) == Some(true);
            line.typed(at);
        }
    }
    secure
}
