//! What refers to other parts of the configuration must find them.

use super::Draft;
use crate::config::TlsEndpoint;
use crate::error::{At, Fault, short};

impl Draft<'_> {
    /// Checks that `id` is one of `known`; a problem that lists them if not.
    pub(crate) fn refer<'a>(
        &mut self,
        at: At<'_>,
        kind: &'static str,
        id: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> bool {
        if known.clone().any(|other| other == id) {
            return true;
        }
        let list: Vec<_> = known.take(8).collect();
        let known =
            if list.is_empty() { "there is none".to_owned() } else { format!("known: {}", list.join(", ")) };
        self.fault(at, Fault::UnknownReference { kind, id: short(id), known });
        false
    }

    /// Checks that a secret is there.
    pub(crate) fn secret(&mut self, at: At<'_>, id: &str) {
        let config = self.config;
        self.refer(at, "secret", id, config.secrets.iter().map(|secret| secret.id.as_str()));
    }

    /// Checks that TLS credentials for a client are there.
    pub(crate) fn tls_client(&mut self, at: At<'_>, id: &str) {
        self.tls(at, id, TlsEndpoint::Client);
    }

    /// Checks that TLS credentials for a server are there.
    pub(crate) fn tls_server(&mut self, at: At<'_>, id: &str) {
        self.tls(at, id, TlsEndpoint::Server);
    }

    fn tls(&mut self, at: At<'_>, id: &str, end: TlsEndpoint) {
        let config = self.config;
        if !self.refer(at, "TLS credentials", id, config.tls.iter().map(|tls| tls.id.as_str())) {
            return;
        }
        if config.tls.iter().any(|tls| tls.id == id && tls.endpoint != end) {
            self.conflict(at, format!("the TLS credentials {id:?} are for the other end of a connection"));
        }
    }

    /// Checks that an audio backend is there.
    pub(crate) fn audio(&mut self, at: At<'_>, id: &str) {
        let config = self.config;
        let known: Vec<_> = config
            .audio
            .iter()
            .enumerate()
            .map(|(index, audio)| audio.id.clone().unwrap_or_else(|| format!("audio{index}")))
            .collect();
        self.refer(at, "audio", id, known.iter().map(String::as_str));
    }
}
