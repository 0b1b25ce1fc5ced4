//! Objects of the type `secret`: a file's name or a descriptor, never the secret.

use crate::config::SecretFormat;
use crate::draft::Draft;
use crate::error::At;
use crate::parts::FdRole;
use crate::value::{Props, Value};

pub(super) fn secrets(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    for (index, secret) in draft.config.secrets.iter().enumerate() {
        let at = root.item("secrets", index);
        draft.check_id(at.field("id"), &secret.id);
        if secret.file.is_some() && secret.value.is_some() {
            draft.conflict(at, "both `file` and `value` are given");
        }
        let file = if let Some(path) = &secret.file {
            draft.path(at.field("file"), path)
        } else {
            let fd = draft.fd(FdRole::Secret { id: secret.id.clone() });
            Value::from(format!("/dev/fd/{fd}"))
        };
        let format = match secret.format {
            SecretFormat::Raw => "raw",
            SecretFormat::Base64 => "base64",
        };
        draft.object(at, "secret", &secret.id, Props::new().with("file", file).with("format", format));
    }
}
