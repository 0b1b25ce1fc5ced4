//! What refers to other parts of the machine must find them, and is noted as their user.

use super::Builder;
use crate::config::VmConfig;
use crate::error::{Fault, short};
use crate::plan::{Bundle, Object, Owner, PartKind, PartRef};
use crate::planner::at::At;
use crate::value::{Props, Value};

/// Properties of devices by which they use other parts.
const REFERENCES: [(&str, PartKind); 7] = [
    ("netdev", PartKind::Netdev),
    ("chardev", PartKind::Chardev),
    ("drive", PartKind::BlockNode),
    ("iothread", PartKind::Object),
    ("memdev", PartKind::Object),
    ("rng", PartKind::Object),
    ("cryptodev", PartKind::Object),
];

impl Builder<'_> {
    /// Checks that there is an iothread of that id.
    pub(crate) fn iothread(&mut self, at: At<'_>, id: &str) {
        self.object_of_type(at, "iothread", "iothread", id);
    }

    /// Checks that there is a throttle group of that id.
    pub(crate) fn throttle_group(&mut self, at: At<'_>, id: &str) {
        self.object_of_type(at, "throttle group", "throttle-group", id);
    }

    /// Checks that a secret is there.
    pub(crate) fn secret(&mut self, at: At<'_>, id: &str) {
        if self.refer_to_object(at, "secret", id).is_none() {
            // What stands here may be the secret itself: it is not repeated.
            let known = listed(self.objects("secret").map(|secret| secret.id.as_str()));
            self.fault(at, Fault::UnknownSecret { known });
        }
    }

    /// Checks that TLS credentials for a client are there.
    pub(crate) fn tls_client(&mut self, at: At<'_>, id: &str) {
        self.tls(at, id, "client");
    }

    /// Checks that TLS credentials for a server are there.
    pub(crate) fn tls_server(&mut self, at: At<'_>, id: &str) {
        self.tls(at, id, "server");
    }

    fn tls(&mut self, at: At<'_>, id: &str, end: &str) {
        match self.object_of_type(at, "TLS credentials", "tls-creds-", id) {
            Some(tls) if tls.props.get_str("endpoint") != Some(end) => {
                self.conflict(
                    at,
                    format!("the TLS credentials {id:?} are for the other endpoint of a connection"),
                );
            }
            _ => {}
        }
    }

    /// Checks that the configuration has a character device of that id in its list.
    pub(crate) fn chardev_of_list(&mut self, at: At<'_>, kind: &'static str, id: &str) {
        fn is_listed(bundle: &Bundle) -> bool {
            matches!(&bundle.owner, Owner::Entry { list, .. } if list == "chardevs")
        }
        if self.bundle_named(PartKind::Chardev, id).is_some_and(is_listed) {
            return self.uses(at, PartRef { kind: PartKind::Chardev, name: id.into() });
        }
        let known =
            self.bundles.iter().filter(|bundle| is_listed(bundle)).flat_map(|bundle| &bundle.chardevs);
        let known = listed(known.map(|chardev| chardev.id.as_str()));
        self.fault(at, Fault::UnknownReference { kind, id: short(id), known });
    }

    /// Checks that there is a character device for a monitor, which shares it with a serial port or has it alone.
    pub(crate) fn monitor_chardev(&mut self, at: At<'_>, id: &str) {
        self.chardev_of_list(at, "character device", id);
    }

    /// Checks that there is a network backend of that id.
    pub(crate) fn netdev_above(&mut self, at: At<'_>, id: &str) {
        if self.named(PartKind::Netdev, id).is_some() {
            return self.uses(at, PartRef { kind: PartKind::Netdev, name: id.into() });
        }
        let known = self.bundles.iter().flat_map(|bundle| &bundle.netdevs);
        let known = listed(known.map(|netdev| netdev.id.as_str()));
        self.fault(at, Fault::UnknownReference { kind: "earlier network", id: short(id), known });
    }

    /// Checks that an audio backend is there.
    pub(crate) fn audio(&mut self, at: At<'_>, config: &VmConfig, id: &str) {
        let known: Vec<_> = config
            .audio
            .iter()
            .enumerate()
            .map(|(index, audio)| audio.id.clone().unwrap_or_else(|| format!("audio{index}")))
            .collect();
        if !known.iter().any(|known| known == id) {
            let known = listed(known.iter().map(String::as_str));
            self.fault(at, Fault::UnknownReference { kind: "audio", id: short(id), known });
        }
    }

    /// Notes what a device of the bundle uses of others, as far as its properties say it.
    pub(super) fn uses_of(&mut self, at: At<'_>, bundle: usize, props: &Props) {
        for (key, value) in props.iter() {
            let Value::Str(name) = value else { continue };
            let Some((_, kind)) = REFERENCES.iter().find(|(known, _)| *known == key) else { continue };
            if self.named(*kind, name).is_some_and(|owner| owner != bundle) {
                self.uses(at, PartRef { kind: *kind, name: name.clone() });
            }
        }
    }

    /// The object `id`, if its type starts like that; a problem that lists those there are if not.
    fn object_of_type(
        &mut self,
        at: At<'_>,
        kind: &'static str,
        qom_type: &'static str,
        id: &str,
    ) -> Option<Object> {
        let found = self.refer_to_object(at, qom_type, id);
        if found.is_none() {
            let known = listed(self.objects(qom_type).map(|object| object.id.as_str()));
            self.fault(at, Fault::UnknownReference { kind, id: short(id), known });
        }
        found
    }

    fn refer_to_object(&mut self, at: At<'_>, qom_type: &str, id: &str) -> Option<Object> {
        let is_it = |object: &&Object| object.id == id && object.qom_type.starts_with(qom_type);
        let found = self.bundle_named(PartKind::Object, id)?.objects.iter().find(is_it)?.clone();
        self.uses(at, PartRef { kind: PartKind::Object, name: found.id.clone() });
        Some(found)
    }

    fn objects(&self, qom_type: &str) -> impl Iterator<Item = &Object> {
        let objects = self.bundles.iter().flat_map(|bundle| &bundle.objects);
        objects.filter(move |object| object.qom_type.starts_with(qom_type))
    }
}

/// The first of the ids that could stand there.
fn listed<'a>(known: impl Iterator<Item = &'a str>) -> String {
    let list: Vec<_> = known.take(8).collect();
    if list.is_empty() { "there are none".to_owned() } else { format!("known: {}", list.join(", ")) }
}
