//! Has the topology find a place for every device, and takes its answer into the builder.

use smol_str::SmolStr;

use super::builder::Builder;
use crate::error::{Fault, Problem};
use crate::plan::{Device, Owner};
use crate::topology::{Controller, Topology, TopologyError};

/// The places of all devices; what finds none is added to the problems.
pub(super) fn place(
    builder: &mut Builder<'_>,
    hotplug_ports: Option<u8>,
    earlier: Option<&Topology>,
) -> Option<Topology> {
    let mut requests = Vec::with_capacity(builder.requests.len());
    let mut waiting = Vec::with_capacity(builder.requests.len());
    for (bundle, device, request) in builder.requests.drain(..) {
        waiting.push((bundle, device));
        requests.push(request);
    }
    let topology = match Topology::plan(builder.board.machine, &requests, hotplug_ports, earlier) {
        Ok(topology) => topology,
        Err(problems) => {
            for problem in problems {
                if is_told(&builder.problems, &problem) {
                    continue;
                }
                let number = requests.iter().position(|request| problem.device() == Some(&request.id));
                let bundle = number.and_then(|number| builder.bundles.get(waiting[number].0));
                let path = bundle.map(|bundle| bundle.owner.to_string()).unwrap_or_default();
                builder.problems.push(Problem { path, fault: Fault::NoPlace(problem) });
            }
            return None;
        }
    };
    for ((bundle, device), request) in waiting.into_iter().zip(&requests) {
        if let Some(placement) = topology.placement(&request.id) {
            builder.bundles[bundle].devices[device].place = placement.clone();
        }
    }
    if let Some(first) = builder.bundles.first_mut().filter(|bundle| bundle.owner == Owner::Controllers) {
        first.devices = topology.controllers().iter().map(device).collect();
    }
    Some(topology)
}

/// Whether it is a name that two devices have, of which the builder has told both places.
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
