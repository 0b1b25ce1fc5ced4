//! Has the topology find a place for every device, and takes its answer into the draft.

use std::borrow::Cow;

use super::topology::{Controller, Property, Topology};
use crate::draft::Draft;
use crate::error::{Fault, Problem};
use crate::parts::Device;
use crate::value::{Props, Value};

/// The places of all devices; what finds none is added to the problems.
pub(super) fn place(draft: &mut Draft<'_>, earlier: Option<&Topology>) -> Option<Topology> {
    let (requests, origins): (Vec<_>, Vec<_>) = std::mem::take(&mut draft.requests)
        .into_iter()
        .map(|(index, request, path)| (request, (index, path)))
        .unzip();
    let placed = Topology::plan(draft.board.machine, &requests, draft.config.hotplug_ports, earlier);
    let topology = match placed {
        Ok(topology) => topology,
        Err(problems) => {
            for problem in problems {
                let origin = requests
                    .iter()
                    .zip(&origins)
                    .find(|(request, _)| Some(request.id.as_str()) == problem.device());
                let path = origin.map(|(_, (_, path))| path.clone()).unwrap_or_default();
                draft.problems.push(Problem { path, fault: Fault::NoPlace(problem) });
            }
            return None;
        }
    };
    for (request, (index, _)) in requests.iter().zip(origins) {
        if let Some(placement) = topology.placement(&request.id) {
            draft.devices[index].place = properties(placement.properties());
        }
    }
    // A bus is declared before the devices on it.
    let mut devices: Vec<_> = topology.controllers().iter().map(device).collect();
    devices.append(&mut draft.devices);
    draft.devices = devices;
    Some(topology)
}

/// A controller that the topology created.
pub(super) fn device(controller: &Controller) -> Device {
    Device {
        driver: Cow::Borrowed(controller.driver()),
        id: controller.id.clone(),
        place: properties(controller.properties()),
        props: Props::new(),
    }
}

pub(super) fn properties(list: Vec<(&'static str, Property)>) -> Props {
    list.into_iter().fold(Props::new(), |props, (key, value)| {
        props.with(
            key,
            match value {
                Property::Flag(flag) => Value::Bool(flag),
                Property::Number(number) => Value::from(number),
                Property::Text(text) => Value::from(text),
            },
        )
    })
}
