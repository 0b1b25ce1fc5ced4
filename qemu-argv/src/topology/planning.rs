//! Places for all devices of a machine at once.

use super::error::TopologyError;
use super::machine::Machine;
use super::names::Names;
use super::placement::Controller;
use super::request::DeviceRequest;
use super::{Topology, behind_controllers, place};

impl Topology {
    /// Places all `devices`: first those that insist on an address, then those that `earlier` knows, then the rest in
    /// order. `hotplug_ports` is the number of root ports to keep free; left out, there are
    /// [`DEFAULT_HOTPLUG_PORTS`](super::DEFAULT_HOTPLUG_PORTS), or as many as fit. An earlier topology of another kind of machine counts for nothing.
    ///
    /// # Errors
    ///
    /// Every device that finds no place, with the bus and what would help.
    pub fn plan(
        machine: Machine,
        devices: &[DeviceRequest],
        hotplug_ports: Option<u8>,
        earlier: Option<&Self>,
    ) -> Result<Self, Vec<TopologyError>> {
        let mut problems = Vec::new();
        let mut names = Names::default();
        for device in devices {
            if !names.insert(device.id.clone()) {
                problems.push(TopologyError::DuplicateId { device: device.id.to_string() });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let earlier = earlier.filter(|earlier| earlier.machine.family == machine.family);
        let children = behind_controllers::place(machine, devices, earlier, names, &mut problems);
        let mut topology = place::place(machine, devices, children, hotplug_ports, earlier, &mut problems);
        if problems.is_empty() {
            topology.controllers.sort_by_key(Controller::order);
            Ok(topology)
        } else {
            Err(problems)
        }
    }
}
