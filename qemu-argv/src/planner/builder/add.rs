//! Parts come in here, and nowhere else.

use smol_str::SmolStr;

use super::Builder;
use crate::error::Fault;
use crate::plan::{BlockNode, CharNode, CliOption, Device, Netdev, Object, OptionValue, Owner, PartKind};
use crate::planner::at::At;
use crate::property_kinds::typed;
use crate::topology::{Connector, DeviceRequest, Placement};
use crate::value::{Props, Value};

impl Builder<'_> {
    pub(crate) fn flag(&mut self, name: &'static str) {
        self.options.push(CliOption { name: name.into(), value: OptionValue::Flag });
    }

    pub(crate) fn plain(&mut self, at: At<'_>, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        if value.has_nul() {
            self.conflict(at, "must not contain a NUL character");
        }
        self.check_length(at, value.text_len());
        self.options.push(CliOption { name: name.into(), value: OptionValue::Plain(value) });
    }

    pub(crate) fn option(&mut self, at: At<'_>, name: &'static str, props: Props) {
        self.check_texts(at, &props, false);
        self.options.push(CliOption { name: name.into(), value: OptionValue::KeyValue(props) });
    }

    pub(crate) fn json_option(&mut self, at: At<'_>, name: &'static str, props: Props) {
        self.check_texts(at, &props, true);
        self.options.push(CliOption { name: name.into(), value: OptionValue::Json(props) });
    }

    pub(crate) fn object(
        &mut self,
        at: At<'_>,
        qom_type: &'static str,
        id: impl Into<SmolStr>,
        props: Props,
    ) {
        self.typed_object(at, SmolStr::new_static(qom_type), id.into(), props);
    }

    /// Adds an object whose type the configuration names.
    pub(crate) fn typed_object(&mut self, at: At<'_>, qom_type: SmolStr, id: SmolStr, props: Props) {
        let bundle = self.bundle_of(at);
        self.object_in(bundle, at, qom_type, id, props);
    }

    /// Adds an object that several entries share: it has a bundle of its own.
    pub(crate) fn shared_object(
        &mut self,
        at: At<'_>,
        owner: Owner,
        qom_type: &'static str,
        id: SmolStr,
        props: Props,
    ) {
        let bundle = self.new_bundle(owner, Some(id.clone()), None);
        self.object_in(bundle, at, SmolStr::new_static(qom_type), id, props);
    }

    fn object_in(&mut self, bundle: usize, at: At<'_>, qom_type: SmolStr, id: SmolStr, props: Props) {
        self.check_texts(at, &props, true);
        self.claim(at, bundle, PartKind::Object, &id);
        self.bundles[bundle].objects.push(Object { qom_type, id, props });
    }

    pub(crate) fn node(&mut self, at: At<'_>, driver: &'static str, node_name: SmolStr, props: Props) {
        // QEMU's limit, and a name longer than it comes from an id of ours with an ending.
        const LONGEST: usize = 31;
        if node_name.len() > LONGEST {
            self.invalid(
                at,
                &node_name,
                format!("is too long for a block node name (at most {LONGEST} bytes); shorten the id"),
            );
        }
        self.check_texts(at, &props, true);
        let bundle = self.bundle_of(at);
        self.claim(at, bundle, PartKind::BlockNode, &node_name);
        self.bundles[bundle].block_nodes.push(BlockNode {
            driver: SmolStr::new_static(driver),
            node_name,
            props,
        });
    }

    pub(crate) fn netdev(&mut self, at: At<'_>, kind: &'static str, id: &str, props: Props) {
        let id = id.into();
        self.check_texts(at, &props, true);
        let bundle = self.bundle_of(at);
        self.claim(at, bundle, PartKind::Netdev, &id);
        self.bundles[bundle].netdevs.push(Netdev { kind: SmolStr::new_static(kind), id, props });
    }

    pub(crate) fn chardev(&mut self, at: At<'_>, node: CharNode) {
        // `chardev-add` is JSON, `-chardev` is not.
        self.check_texts(at, &node.props, self.running);
        let bundle = self.bundle_of(at);
        self.claim(at, bundle, PartKind::Chardev, &node.id);
        self.bundles[bundle].chardevs.push(node);
    }

    /// Adds a device that sits on a bus which the driver finds by itself, or has none; says which bundle it went into.
    pub(crate) fn fixed_device(
        &mut self,
        at: At<'_>,
        driver: impl Into<SmolStr>,
        id: &str,
        props: Props,
    ) -> usize {
        self.one_device(at, driver.into(), id.into(), props).0
    }

    /// Adds a device that the topology finds a place for.
    pub(crate) fn device(
        &mut self,
        at: At<'_>,
        driver: impl Into<SmolStr>,
        id: &str,
        props: Props,
        connector: Connector,
    ) {
        self.request(at, driver, props, DeviceRequest::new(id, connector));
    }

    /// Adds a device that the topology finds a place for, and that may bring a bus along; says which bundle it went into.
    pub(crate) fn request(
        &mut self,
        at: At<'_>,
        driver: impl Into<SmolStr>,
        props: Props,
        request: DeviceRequest,
    ) -> usize {
        let (bundle, index) = self.one_device(at, driver.into(), request.id.clone(), props);
        self.requests.push((bundle, index, request));
        bundle
    }

    /// Adds a device, and says which bundle it went into, and its index in there.
    fn one_device(&mut self, at: At<'_>, driver: SmolStr, id: SmolStr, props: Props) -> (usize, usize) {
        self.check_texts(at, &props, true);
        let mut props = props;
        typed(&mut props);
        let bundle = self.bundle_of(at);
        self.claim(at, bundle, PartKind::Device, &id);
        self.uses_of(at, bundle, &props);
        if self.target.devices.as_ref().is_some_and(|known| !known.contains(&driver)) && !is_alias(&driver) {
            self.fault(at, Fault::NotBuilt { feature: format!("device {driver}") });
        }
        let devices = &mut self.bundles[bundle].devices;
        devices.push(Device { driver, id, place: Placement::Unplaced, props });
        (bundle, devices.len() - 1)
    }
}

/// Whether QEMU has the driver under another name, which it does not list.
fn is_alias(driver: &str) -> bool {
    const ALIASES: [&str; 18] = [
        "ac97",
        "ahci",
        "e1000-82540em",
        "es1370",
        "lsi",
        "virtio-9p",
        "virtio-balloon",
        "virtio-blk",
        "virtio-gpu",
        "virtio-input-host",
        "virtio-iommu",
        "virtio-keyboard",
        "virtio-mouse",
        "virtio-net",
        "virtio-rng",
        "virtio-scsi",
        "virtio-serial",
        "virtio-tablet",
    ];
    ALIASES.contains(&driver)
}
