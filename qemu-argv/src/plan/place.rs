//! Has the topology find a place for every device, and takes its answer into the draft.

use smol_str::SmolStr;

use super::topology::{Controller, Topology, TopologyError};
use crate::draft::{Draft, Space};
use crate::error::{Fault, Problem};
use crate::parts::Device;

/// The places of all devices; what finds none is added to the problems.
pub(super) fn place(draft: &mut Draft<'_>, earlier: Option<&Topology>) -> Option<Topology> {
    let (indexes, requests): (Vec<_>, Vec<_>) = std::mem::take(&mut draft.requests).into_iter().unzip();
    let placed = Topology::plan(draft.board.machine, &requests, draft.config.hotplug_ports, earlier);
    let topology = match placed {
        Ok(topology) => topology,
        Err(problems) => {
            for problem in problems {
                if is_told(&draft.problems, &problem) {
                    continue;
                }
                let path = problem.device().and_then(|device| draft.where_named(Space::Device, device));
                let path = path.unwrap_or_default().to_owned();
                draft.problems.push(Problem { path, fault: Fault::NoPlace(problem) });
            }
            return None;
        }
    };
    for (index, request) in indexes.into_iter().zip(&requests) {
        if let Some(placement) = topology.placement(&request.id) {
            draft.devices[index].place = placement.clone();
        }
    }
    // A bus is declared before the devices on it.
    let controllers = topology.controllers();
    let mut devices = Vec::with_capacity(controllers.len() + draft.devices.len());
    devices.extend(controllers.iter().map(device));
    devices.append(&mut draft.devices);
    draft.devices = devices;
    Some(topology)
}

/// Whether it is a name that two devices have, of which the draft has told both places.
fn is_told(told: &[Problem], problem: &TopologyError) -> bool {
    let TopologyError::DuplicateId { device } = problem else { return false };
    told.iter().any(|told| matches!(&told.fault, Fault::Duplicate { value, .. } if value == device))
}

/// A controller that the topology created.
pub(super) fn device(controller: &Controller) -> Device {
    Device {
        driver: SmolStr::new_static(controller.driver()),
        id: controller.id.clone(),
        place: controller.placement.clone(),
        props: controller.numbers(),
    }
}
