//! Objects of the types `tls-creds-…`.

use crate::config::{TlsEndpoint, TlsKind};
use crate::draft::Draft;
use crate::error::At;
use crate::value::Props;

pub(super) fn credentials(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    for (index, tls) in draft.config.tls.iter().enumerate() {
        let at = root.item("tls", index);
        draft.check_id(at.field("id"), &tls.id);
        let dir = draft.path(at.field("dir"), &tls.dir);
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
            draft.conflict(at, "only certificates are checked and have a private key");
        }
        if let Some(secret) = &tls.password_secret {
            draft.secret(at.field("password_secret"), secret);
            props.set("passwordid", secret);
        }
        if tls.username.is_some() && tls.kind != TlsKind::Psk {
            draft.conflict(at.field("username"), "only pre-shared keys have a user");
        }
        let props =
            props.with_some("username", tls.username.as_ref()).with_some("priority", tls.priority.as_ref());
        draft.object(at, kind, &tls.id, props);
    }
}
