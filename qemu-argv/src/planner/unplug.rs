//! Plans unplug: whether a device can be removed, and which parts are removed with it.

use crate::plan::{Bundle, Device, Owner, Plan, QmpCommand, UnplugPlan};
use crate::topology::TopologyError;

impl Plan {
    /// Plans to remove the device `id`, whether it is from the config or was [hotplugged](Self::plug), together with
    /// all parts of its entry, and with a throttle group that no other disk uses. Parts of other entries are kept, and
    /// so are command-line options, and controllers that were added to make room.
    ///
    /// # Errors
    ///
    /// If there is no such device, if its bus does not support unplugging, or if other devices use it.
    pub fn unplug(&self, id: &str) -> Result<UnplugPlan, TopologyError> {
        let found = self.bundles.iter().position(|bundle| bundle.main().is_some_and(|main| main == id));
        let Some(position) = found.filter(|&found| self.bundles[found].owner != Owner::Controllers) else {
            return Err(self.not_on_its_own(id));
        };
        let mut left = self.bundles.clone();
        let gone = left.remove(position);
        if let Some(user) = left.iter().find(|bundle| bundle.uses.iter().any(|part| gone.has(part))) {
            let user = user.id.as_ref().map_or_else(|| user.owner.to_string(), ToString::to_string);
            return Err(TopologyError::InUse { device: id.to_owned(), user });
        }
        let mut topology = self.topology.clone();
        // One that has no place of ours leaves none behind.
        if !gone.devices.is_empty() && topology.place_of(id).is_some() {
            topology.unplug(id)?;
        }

        let mut all_gone = vec![gone];
        for part in all_gone[0].uses.clone() {
            let is_needed = left.iter().any(|bundle| bundle.uses.contains(&part));
            let group =
                left.iter().position(|bundle| bundle.has(&part)).filter(|&found| left[found].is_shared());
            all_gone.extend(group.filter(|_| !is_needed).map(|group| left.remove(group)));
        }
        let gone = &all_gone[0];
        for bundle in &mut left {
            bundle.owner.close_up(&gone.owner);
        }
        Ok(UnplugPlan {
            device: gone.devices.first().map(|device| QmpCommand::new("device_del", "id", &device.id)),
            backends: backends(&all_gone),
            sockets: gone.sockets.clone(),
            plan: self.with(left, topology),
        })
    }

    /// Why something cannot be unplugged that is nothing that an entry of the configuration is called by.
    fn not_on_its_own(&self, id: &str) -> TopologyError {
        let is_part = |bundle: &&Bundle| bundle.devices.iter().any(|device| device.id == id);
        let device = id.to_owned();
        match self.bundles.iter().find(is_part).filter(|bundle| bundle.owner != Owner::Controllers) {
            Some(whole) => TopologyError::NoHotplug {
                device,
                bus: whole.main().map(ToString::to_string).unwrap_or_default(),
                help: "unplug the whole of it",
            },
            None => TopologyError::NoDevice { device },
        }
    }
}

/// The commands that remove everything but devices, upper parts before those below them.
fn backends(bundles: &[Bundle]) -> Vec<QmpCommand> {
    let netdevs = bundles.iter().flat_map(|bundle| bundle.netdevs.iter().rev());
    let nodes = bundles.iter().flat_map(|bundle| bundle.block_nodes.iter().rev());
    let chardevs = bundles.iter().flat_map(|bundle| {
        bundle
            .chardevs
            .iter()
            .rev()
            .filter(|chardev| !bundle.devices.iter().any(|device| takes_along(device, &chardev.id)))
    });
    let objects = bundles.iter().flat_map(|bundle| bundle.objects.iter().rev());
    let netdevs = netdevs.map(|part| QmpCommand::new("netdev_del", "id", &part.id));
    let nodes = nodes.map(|part| QmpCommand::new("blockdev-del", "node-name", &part.node_name));
    let chardevs = chardevs.map(|part| QmpCommand::new("chardev-remove", "id", &part.id));
    let objects = objects.map(|part| QmpCommand::new("object-del", "id", &part.id));
    netdevs.chain(nodes).chain(chardevs).chain(objects).collect()
}

/// Whether a device takes its character device with it when it goes. Seen with QEMU 7.2, 10.0 and 11.1.
fn takes_along(device: &Device, chardev: &str) -> bool {
    matches!(device.driver.as_str(), "usb-redir" | "ccid-card-passthru")
        && device.props.get_str("chardev") == Some(chardev)
}

impl Bundle {
    /// Whether it is there only as long as something uses it.
    fn is_shared(&self) -> bool {
        matches!(self.owner, Owner::ThrottleGroup(_))
    }
}

impl Owner {
    /// Counts one entry less where it is behind the one that is gone.
    fn close_up(&mut self, gone: &Self) {
        if let (Self::Entry { list, index }, Self::Entry { list: same, index: before }) = (self, gone)
            && list == same
            && *index > *before
        {
            *index -= 1;
        }
    }
}
