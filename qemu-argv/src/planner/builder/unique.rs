//! Numbers that only one device can have, and parts that only one can use.

use super::Builder;
use crate::config::MacAddress;
use crate::error::{Fault, short};
use crate::plan::{Bundle, CharNode, Device, PartKind, PartRef};
use crate::planner::at::At;
use crate::value::Value;

impl Builder<'_> {
    /// Claims a place in the boot order.
    pub(crate) fn boot_index(&mut self, at: At<'_>, index: u32) {
        let bundle = self.bundle_of(at);
        let at = at.field("boot_index");
        match self.boot_indexes.get(&index) {
            Some(&first) => {
                let first = self.holder(first);
                self.fault(at, Fault::Duplicate { what: "boot index", value: index.to_string(), first });
            }
            None => drop(self.boot_indexes.insert(index, bundle)),
        }
        if i32::try_from(index).is_err() {
            self.invalid(at, &index.to_string(), "is too large for a boot index");
        }
    }

    /// The next number among the drives of the board with this interface.
    pub(crate) fn next_drive(&mut self, interface: &'static str) -> u16 {
        let next = self.drives.entry(interface).or_default();
        *next += 1;
        *next - 1
    }

    /// Claims a MAC address.
    pub(crate) fn mac(&mut self, at: At<'_>, mac: MacAddress) {
        let bundle = self.bundle_of(at);
        match self.macs.get(&mac.0) {
            Some(&first) => {
                let first = self.holder(first);
                let fault = Fault::Duplicate { what: "MAC address", value: mac.to_string(), first };
                self.fault(at.field("mac"), fault);
            }
            None => drop(self.macs.insert(mac.0, bundle)),
        }
    }

    /// Claims the name of a channel, by which the guest finds it.
    pub(crate) fn port_name(&mut self, at: At<'_>, name: &str) {
        let is_it =
            |device: &Device| device.driver == "virtserialport" && device.props.get_str("name") == Some(name);
        let here = self.bundle_of(at);
        let first = self.bundles.iter().position(|bundle| bundle.devices.iter().any(is_it));
        if let Some(first) = first.filter(|first| *first != here) {
            let first = self.holder(first);
            self.fault(at, Fault::Duplicate { what: "channel name", value: short(name), first });
        }
    }

    /// Refuses a second user of a network, or of a character device that is not made for several.
    pub(super) fn sole_user(&mut self, at: At<'_>, user: usize, part: &PartRef) {
        let Some(provider) = self.named(part.kind, &part.name) else { return };
        // It means its own part, whose name is taken, as was told.
        if self.bundles[user].has(part) {
            return;
        }
        let Bundle { chardevs, devices, .. } = &self.bundles[provider];
        let (what, by_its_own) = match part.kind {
            PartKind::Netdev => ("the network", !devices.is_empty()),
            PartKind::Chardev => {
                let is_it = |node: &&CharNode| node.id == part.name;
                if chardevs.iter().find(is_it).is_some_and(|node| node.props.get("mux").is_some()) {
                    return;
                }
                ("the character device", false)
            }
            _ => return,
        };
        let key = (part.kind, part.name.clone());
        let first = self.users.get(&key).copied().or(by_its_own.then_some(provider));
        match first.filter(|first| *first != user) {
            Some(first) => {
                let first = self.holder(first);
                self.fault(at, Fault::Duplicate { what, value: part.name.to_string(), first });
            }
            None => drop(self.users.insert(key, user)),
        }
    }

    /// The entry of a bundle, or its device in the running machine.
    fn holder(&self, bundle: usize) -> String {
        let Some(found) = self.bundles.get(bundle) else { return String::new() };
        match found.main().filter(|_| bundle < self.there) {
            Some(device) => format!("{device} of the running machine"),
            None => found.owner.to_string(),
        }
    }

    /// Claims everything that a running machine has.
    pub(super) fn take_numbers(&mut self) {
        for (number, bundle) in self.bundles.iter().enumerate() {
            self.users.extend(bundle.uses.iter().map(|part| ((part.kind, part.name.clone()), number)));
            for device in &bundle.devices {
                if let Some(&Value::Uint(index)) = device.props.get("bootindex")
                    && let Ok(index) = u32::try_from(index)
                {
                    self.boot_indexes.insert(index, number);
                }
                if let Some(Ok(mac)) = device.props.get_str("mac").map(str::parse::<MacAddress>) {
                    self.macs.insert(mac.0, number);
                }
            }
        }
    }
}
