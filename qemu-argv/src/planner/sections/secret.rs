//! Objects of the type `secret`: a file's name or a descriptor, never the secret.

use crate::config::{SecretFormat, VmConfig};
use crate::plan::FdRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

pub(super) fn secrets(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, secret) in config.secrets.iter().enumerate() {
        let at = At::entry("secrets", index);
        builder.check_id(at.field("id"), &secret.id);
        if secret.file.is_some() && secret.value.is_some() {
            builder.conflict(at, "set either `file` or `value`, not both");
        }
        // The launcher passes a hash of it to the guest, so QEMU does not need it.
        let of_guest = config.guest.as_ref().and_then(|guest| guest.password_secret.as_ref());
        if of_guest == Some(&secret.id) {
            continue;
        }
        let file = if let Some(path) = &secret.file {
            builder.path(at.field("file"), path)
        } else {
            let fd = builder.fd(at, FdRole::Secret { id: secret.id.clone() });
            Value::from(format!("/dev/fd/{fd}"))
        };
        let format = match secret.format {
            SecretFormat::Raw => "raw",
            SecretFormat::Base64 => "base64",
        };
        builder.object(at, "secret", &secret.id, Props::new().with("file", file).with("format", format));
    }
}
