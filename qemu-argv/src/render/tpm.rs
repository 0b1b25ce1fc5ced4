//! `-tpmdev` and the TPM device.

use super::chardev;
use crate::config::{CharBackend, TpmModel};
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::Family;
use crate::value::Props;

pub(super) fn tpm(draft: &mut Draft<'_>) {
    let Some(tpm) = &draft.config.tpm else { return };
    let root = At::ROOT;
    let at = root.field("tpm");
    let backend = CharBackend::unix_client(&tpm.socket);
    chardev::add(draft, at, "tpm0-chardev", &backend, None);
    let tpmdev = Props::new().with("type", "emulator").with("id", "tpm0").with("chardev", "tpm0-chardev");
    draft.option(at, "-tpmdev", tpmdev);
    let model_at = at.field("model");
    let (driver, there) = match (tpm.model, draft.board.family()) {
        (TpmModel::Tis, Family::VirtArm | Family::VirtLoongarch | Family::VirtRiscv) => {
            ("tpm-tis-device", true)
        }
        (TpmModel::Tis, _) => ("tpm-tis", draft.board.is_pc()),
        (TpmModel::Crb, _) => ("tpm-crb", draft.board.is_pc()),
        (TpmModel::Spapr, family) => ("tpm-spapr", family == Family::Pseries),
    };
    if !there {
        draft.not_here(model_at, driver, "");
    }
    draft.fixed_device(at, driver, "tpm0", Props::new().with("tpmdev", "tpm0"));
}
