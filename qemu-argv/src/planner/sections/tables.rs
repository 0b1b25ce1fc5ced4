//! `-smbios` and `-fw_cfg`.

use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn smbios(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(smbios) = &config.smbios else { return };
    let at = At::section("smbios");
    let table = |number: &'static str| Props::new().with("type", number);
    if let Some(bios) = &smbios.bios {
        let props = table("0")
            .with_some("vendor", bios.vendor.as_ref())
            .with_some("version", bios.version.as_ref())
            .with_some("date", bios.date.as_ref());
        builder.option(at.field("bios"), "-smbios", props);
    }
    if let Some(system) = &smbios.system {
        let props = table("1")
            .with_some("manufacturer", system.manufacturer.as_ref())
            .with_some("product", system.product.as_ref())
            .with_some("version", system.version.as_ref())
            .with_some("serial", system.serial.as_ref())
            .with_some("sku", system.sku.as_ref())
            .with_some("family", system.family.as_ref());
        builder.option(at.field("system"), "-smbios", props);
    }
    for (field, number, part) in [("baseboard", "2", &smbios.baseboard), ("chassis", "3", &smbios.chassis)] {
        let Some(part) = part else { continue };
        let at = at.field(field);
        if number == "3" && part.product.is_some() {
            builder.conflict(at.field("product"), "`product` is not supported for the chassis");
        }
        let props = table(number)
            .with_some("manufacturer", part.manufacturer.as_ref())
            .with_some("product", part.product.as_ref())
            .with_some("version", part.version.as_ref())
            .with_some("serial", part.serial.as_ref())
            .with_some("asset", part.asset.as_ref());
        builder.option(at, "-smbios", props);
    }
    for (index, text) in smbios.oem_strings.iter().enumerate() {
        builder.option(at.item("oem_strings", index), "-smbios", table("11").with("value", text));
    }
    for (index, path) in smbios.oem_files.iter().enumerate() {
        let at = at.item("oem_files", index);
        let path = builder.raw_path(at, path);
        builder.option(at, "-smbios", table("11").with("path", path));
    }
}

pub(super) fn fw_cfg(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, file) in config.fw_cfg.iter().enumerate() {
        let at = At::entry("fw_cfg", index);
        let good = file.name.strip_prefix("opt/").is_some_and(|rest| !rest.is_empty())
            && file.name.len() < 56
            && file.name.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            let why =
                "is not a valid fw_cfg name; expected opt/… of visible ASCII characters, at most 55 bytes";
            builder.invalid(at.field("name"), &file.name, why);
        }
        if config.fw_cfg[..index].iter().any(|other| other.name == file.name) {
            builder.conflict(at.field("name"), "an earlier file has the same name");
        }
        let mut props = Props::new().with("name", &file.name);
        match (&file.text, &file.file) {
            (Some(text), None) => props.set("string", text),
            (None, Some(path)) => props.set("file", builder.raw_path(at.field("file"), path)),
            _ => builder.conflict(at, "set either `text` or `file`"),
        }
        builder.option(at, "-fw_cfg", props);
    }
}
