//! Objects of the types `tls-creds-…`.

use crate::config::{TlsEndpoint, TlsKind, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn credentials(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, tls) in config.tls.iter().enumerate() {
        let at = At::entry("tls", index);
        builder.check_id(at.field("id"), &tls.id);
        let dir = builder.path(at.field("dir"), &tls.dir);
        let endpoint = match tls.endpoint {
            TlsEndpoint::Client => "client",
            TlsEndpoint::Server => "server",
        };
        let mut props = Props::new().with("dir", dir).with("endpoint", endpoint);
        let kind = match tls.kind {
            TlsKind::X509 => "tls-creds-x509",
            TlsKind::Psk => "tls-creds-psk",
            TlsKind::Anonymous => "tls-creds-anon",
        };
        if tls.kind == TlsKind::X509 {
            props.set("verify-peer", tls.verify_peer.unwrap_or(true));
        } else if tls.verify_peer.is_some() || tls.password_secret.is_some() {
            builder.conflict(at, "`verify_peer` and `key_secret` are only supported by certificates");
        }
        if let Some(secret) = &tls.password_secret {
            builder.secret(at.field("password_secret"), secret);
            props.set("passwordid", secret);
        }
        if tls.username.is_some() && tls.kind != TlsKind::Psk {
            builder.conflict(at.field("username"), "`username` is only supported by pre-shared keys");
        }
        let props =
            props.with_some("username", tls.username.as_ref()).with_some("priority", tls.priority.as_ref());
        builder.object(at, kind, &tls.id, props);
    }
}
