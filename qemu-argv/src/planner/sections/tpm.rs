//! `-tpmdev` and the TPM device.

use super::chardev;
use crate::config::{CharBackend, TpmModel, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::Family;
use crate::value::Props;

pub(super) fn tpm(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(tpm) = &config.tpm else { return };
    let at = At::section("tpm");
    let backend = CharBackend::unix_client(&tpm.socket);
    chardev::add(builder, at, "tpm0-chardev", &backend, None);
    let tpmdev = Props::new().with("type", "emulator").with("id", "tpm0").with("chardev", "tpm0-chardev");
    builder.option(at, "-tpmdev", tpmdev);
    let model_at = at.field("model");
    let (driver, there) = match (tpm.model, builder.board.family()) {
        (TpmModel::Tis, Family::VirtArm | Family::VirtLoongarch | Family::VirtRiscv) => {
            ("tpm-tis-device", true)
        }
        (TpmModel::Tis, _) => ("tpm-tis", builder.board.is_pc()),
        (TpmModel::Crb, _) => ("tpm-crb", builder.board.is_pc()),
        (TpmModel::Spapr, family) => ("tpm-spapr", family == Family::Pseries),
    };
    if !there {
        builder.not_here(model_at, driver, "");
    }
    builder.fixed_device(at, driver, "tpm0", Props::new().with("tpmdev", "tpm0"));
}
