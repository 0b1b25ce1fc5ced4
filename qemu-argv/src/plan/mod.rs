//! The plan: every part of a machine with its name, its place and its descriptors, decided once and kept.

mod addition;
pub(crate) mod ids;
pub mod pci;
mod place;
mod plug;
pub(crate) mod print;
pub mod topology;
mod unplug;

use serde::{Deserialize, Serialize};

use crate::command_line::CommandLine;
use crate::config::VmConfig;
use crate::draft::Draft;
use crate::endpoints::Endpoints;
use crate::error::PlanError;
use crate::parts::{BlockNode, CharNode, CliOption, Device, FdSlot, Netdev, Object, PlannedSocket};
use crate::render;
use crate::target::{Accelerator, Arch, Target, Version};
use topology::Topology;

pub use addition::{Addition, NewDevice, QmpCommand};
pub use unplug::Removal;

/// A machine, planned to the last detail. It is data: it can be looked at, saved and read back, and says the same
/// command line every time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    pub(crate) name: String,
    pub(crate) arch: Arch,
    pub(crate) version: Version,
    pub(crate) accel: Accelerator,
    pub(crate) machine: String,
    pub(crate) options: Vec<CliOption>,
    pub(crate) objects: Vec<Object>,
    pub(crate) chardevs: Vec<CharNode>,
    pub(crate) block_nodes: Vec<BlockNode>,
    pub(crate) netdevs: Vec<Netdev>,
    pub(crate) devices: Vec<Device>,
    pub(crate) topology: Topology,
    pub(crate) extra_args: Vec<String>,
    pub(crate) own_ids: Vec<ids::OwnId>,
    pub(crate) sockets: Vec<PlannedSocket>,
    pub(crate) fds: Vec<FdSlot>,
}

/// Plans a machine for a QEMU.
///
/// Pure: the same input gives the same plan, and nothing is opened, read or asked.
///
/// # Errors
///
/// Everything that is wrong, at once, each with its place in the configuration: bad values, references to what is
/// not there, conflicts, what this QEMU cannot do, devices without a free place.
pub fn plan(config: &VmConfig, target: &Target, endpoints: &Endpoints) -> Result<Plan, PlanError> {
    replan(config, target, endpoints, None)
}

/// Plans a machine that was planned before: what is still there keeps its name, its MAC address and its place.
///
/// # Errors
///
/// As for [`plan`].
pub fn replan(
    config: &VmConfig,
    target: &Target,
    endpoints: &Endpoints,
    earlier: Option<&Plan>,
) -> Result<Plan, PlanError> {
    let attempt = |explaining| {
        let earlier_ids = earlier.map_or(&[][..], |earlier| &earlier.own_ids);
        let mut draft = Draft::new(config, target, endpoints, earlier_ids);
        draft.explaining = explaining;
        render::all(&mut draft);
        let topology = place::place(&mut draft, earlier.map(|earlier| &earlier.topology));
        match topology.filter(|_| draft.problems.is_empty()) {
            Some(topology) => Ok(Plan::new(draft, topology)),
            None => Err(PlanError { problems: draft.problems }),
        }
    };
    // A machine with mistakes is planned twice: the places that its mistakes name are of no use to others.
    attempt(false).or_else(|_| attempt(true))
}

impl Plan {
    fn new(draft: Draft<'_>, topology: Topology) -> Self {
        let accel = draft.accel();
        Self {
            name: draft.name.into_owned(),
            arch: draft.target.arch,
            version: draft.target.version,
            accel,
            machine: draft.board.kind,
            options: draft.options,
            objects: draft.objects,
            chardevs: draft.chardevs,
            block_nodes: draft.nodes,
            netdevs: draft.netdevs,
            devices: draft.devices,
            topology,
            extra_args: draft.config.extra_args.clone(),
            own_ids: draft.own_ids,
            sockets: draft.sockets,
            fds: draft.fds,
        }
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The guest's architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The version of QEMU it was planned for.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What executes the guest.
    pub fn accel(&self) -> Accelerator {
        self.accel
    }

    /// The machine type, with its version where the target told it.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The sockets that QEMU will listen to.
    pub fn sockets(&self) -> &[PlannedSocket] {
        &self.sockets
    }

    /// The descriptors that QEMU must inherit.
    pub fn fds(&self) -> &[FdSlot] {
        &self.fds
    }

    /// Options of the command line that are none of the parts below, such as `-machine` and `-m`.
    pub fn options(&self) -> &[CliOption] {
        &self.options
    }

    /// Objects, in the order they are made.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Character devices.
    pub fn chardevs(&self) -> &[CharNode] {
        &self.chardevs
    }

    /// Nodes of the block graph, lower ones first.
    pub fn block_nodes(&self) -> &[BlockNode] {
        &self.block_nodes
    }

    /// Network backends.
    pub fn netdevs(&self) -> &[Netdev] {
        &self.netdevs
    }

    /// Devices, controllers before what sits on them.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Where every device sits, and which places are free.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The command line that makes this machine.
    pub fn command_line(&self) -> CommandLine {
        CommandLine::new(self)
    }
}
