//! Plans a machine: the config sections add their parts to a builder and the topology assigns places. The result is a
//! plan, or all problems.

mod at;
mod builder;
mod fingerprint;
mod ids;
mod machine_type;
mod new_device;
mod order;
mod place;
mod plug;
mod sections;
mod unplug;

use crate::config::VmConfig;
use crate::endpoints::Endpoints;
use crate::error::PlanError;
use crate::plan::Plan;
use crate::qemu_target::Target;
use crate::topology::Topology;
use builder::Builder;

pub use new_device::NewDevice;
#[cfg(feature = "import")]
pub(crate) use sections::provides;

/// Plans a machine for a QEMU.
///
/// No I/O; the result is deterministic.
///
/// # Errors
///
/// All problems at once, each with its place in the config: invalid values, references to missing parts, conflicts,
/// features that this QEMU does not support, devices that cannot be placed.
pub fn plan(config: &VmConfig, target: &Target, endpoints: &Endpoints) -> Result<Plan, PlanError> {
    replan(config, target, endpoints, None)
}

/// Plans a machine that was planned before. Entries that still exist keep their ids, MAC addresses and places.
///
/// # Errors
///
/// As [`plan`].
pub fn replan(
    config: &VmConfig,
    target: &Target,
    endpoints: &Endpoints,
    earlier: Option<&Plan>,
) -> Result<Plan, PlanError> {
    let mut builder =
        Builder::new(config, target, endpoints, earlier.map_or(&[], |earlier| &earlier.bundles));
    sections::all(&mut builder, config);
    let topology = place::place(&mut builder, config.hotplug_ports, earlier.map(|earlier| &earlier.topology));
    match topology.filter(|_| builder.problems.is_empty()) {
        Some(topology) => Ok(finished(builder, topology, config.extra_args.clone())),
        None => Err(PlanError { problems: builder.problems }),
    }
}

fn finished(builder: Builder<'_>, topology: Topology, extra_args: Vec<String>) -> Plan {
    let Target { version, arch, ref devices, .. } = *builder.target;
    let target = Target { accel: builder.accel, devices: devices.clone(), ..Target::new(version, arch) };
    Plan {
        name: builder.name.into_owned(),
        target,
        endpoints: builder.endpoints.clone(),
        machine: builder.board.kind,
        options: builder.options,
        bundles: order::sort(builder.bundles, &builder.early),
        topology,
        extra_args,
    }
}
