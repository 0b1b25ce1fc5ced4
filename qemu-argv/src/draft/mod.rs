//! A machine while it is being put together: parts, names, descriptors and problems so far.
//!
//! Every part comes in through `add`, whose functions hold what is true of all parts: names are unique
//! in QEMU's namespaces and made of harmless characters, no text has a NUL, JSON has no path that is not UTF-8.

mod add;
mod names;
mod outside;
mod problems;
mod references;
mod texts;

pub(crate) use names::Space;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::board::Board;
use crate::config::VmConfig;
use crate::endpoints::Endpoints;
use crate::error::Problem;
use crate::name::Name;
use crate::parts::{BlockNode, CharNode, CliOption, Device, FdSlot, Netdev, Object, PlannedSocket};
use crate::plan::Plan;
use crate::plan::ids::OwnId;
use crate::plan::topology::DeviceRequest;
use crate::target::{Accelerator, Target};
use crate::value::{Props, Value};

pub(crate) struct Draft<'c> {
    pub(crate) config: &'c VmConfig,
    pub(crate) target: &'c Target,
    pub(crate) endpoints: &'c Endpoints,
    pub(crate) board: Board,
    pub(crate) name: Cow<'c, str>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) options: Vec<CliOption>,
    pub(crate) objects: Vec<Object>,
    pub(crate) chardevs: Vec<CharNode>,
    pub(crate) nodes: Vec<BlockNode>,
    pub(crate) netdevs: Vec<Netdev>,
    pub(crate) devices: Vec<Device>,
    /// For each device that waits for a place: its index in `devices`, and its request.
    pub(crate) requests: Vec<(usize, DeviceRequest)>,
    pub(crate) sockets: Vec<PlannedSocket>,
    pub(crate) fds: Vec<FdSlot>,
    /// Properties of `-machine` that devices and firmware add.
    pub(crate) machine: Props,
    /// What the sandbox must let through.
    pub(crate) sandbox: SandboxNeeds,
    /// Whether a helper process must see guest memory.
    pub(crate) shared_memory: bool,
    /// The names that an earlier plan chose, and those that this one does.
    earlier_ids: &'c [OwnId],
    pub(crate) own_ids: Vec<OwnId>,
    boot_indexes: BTreeMap<u32, String>,
    /// For each namespace its names, and where in the configuration they come from.
    names: [BTreeMap<Name, String>; Space::COUNT],
    /// Whether QEMU runs already, and gets descriptors by name.
    pub(crate) running: bool,
    /// Whether it is kept where in the configuration each name comes from: only problems tell it.
    pub(crate) explaining: bool,
}

/// What chosen devices need of QEMU's sandbox beyond running the guest.
#[derive(Clone, Copy, Default)]
pub(crate) struct SandboxNeeds {
    /// Starting a program.
    pub(crate) spawn: bool,
    /// Starting a program that gains privileges.
    pub(crate) elevate: bool,
}

impl<'c> Draft<'c> {
    pub(crate) fn new(
        config: &'c VmConfig,
        target: &'c Target,
        endpoints: &'c Endpoints,
        earlier_ids: &'c [OwnId],
    ) -> Self {
        let kind = config.machine.kind.as_deref().unwrap_or_else(|| target.arch.default_machine());
        let kind = target.machines.get(kind).map_or(kind, String::as_str);
        Self {
            config,
            target,
            endpoints,
            board: Board::new(target.arch, kind, &config.machine),
            name: config.name.as_deref().map_or(Cow::Borrowed("vm"), Cow::Borrowed),
            problems: Vec::new(),
            options: Vec::with_capacity(16),
            objects: Vec::new(),
            chardevs: Vec::new(),
            nodes: Vec::with_capacity(8),
            netdevs: Vec::new(),
            devices: Vec::with_capacity(16),
            requests: Vec::with_capacity(16),
            sockets: Vec::new(),
            fds: Vec::new(),
            machine: Props::new(),
            sandbox: SandboxNeeds::default(),
            shared_memory: false,
            earlier_ids,
            own_ids: Vec::with_capacity(8),
            boot_indexes: BTreeMap::new(),
            names: Default::default(),
            running: false,
            explaining: false,
        }
    }

    /// A draft of what comes to a machine that runs: its names and its places in the boot order are taken.
    pub(crate) fn joining(
        plan: &Plan,
        config: &'c VmConfig,
        target: &'c Target,
        endpoints: &'c Endpoints,
    ) -> Self {
        let mut draft = Self::new(config, target, endpoints, &[]);
        draft.running = true;
        draft.explaining = true;
        draft.board =
            Board { kind: plan.machine().to_owned(), machine: plan.topology().machine(), arch: plan.arch() };
        let devices = plan.devices().iter().map(|part| (Space::Device, &part.id));
        let objects = plan.objects().iter().map(|part| (Space::Object, &part.id));
        let nodes = plan.block_nodes().iter().map(|part| (Space::Node, &part.node_name));
        let netdevs = plan.netdevs().iter().map(|part| (Space::Netdev, &part.id));
        let chardevs = plan.chardevs().iter().map(|part| (Space::Chardev, &part.id));
        // A backend without a device has the id that a device could have been given.
        let without = plan.netdevs().iter().map(|part| (Space::Device, &part.id));
        for (space, name) in devices.chain(objects).chain(nodes).chain(netdevs).chain(chardevs).chain(without)
        {
            draft.record(space, name.clone(), "the running machine".to_owned());
        }
        for device in plan.devices() {
            let Some(&Value::Uint(index)) = device.props.get("bootindex") else { continue };
            if let Ok(index) = u32::try_from(index) {
                draft.boot_indexes.insert(index, format!("{} of the running machine", device.id));
            }
        }
        draft
    }

    /// The accelerator: the one asked for by name, else the target's.
    pub(crate) fn accel(&self) -> Accelerator {
        self.config.machine.accel.named().unwrap_or(self.target.accel)
    }
}
