//! A machine being built: its bundles of parts, names, file descriptors and problems so far.
//!
//! All parts are added through `add`, which enforces the rules for all parts: names are unique in QEMU's namespaces and
//! consist of harmless characters, no text contains a NUL, and paths in JSON are UTF-8. The config place that a part is
//! added for determines its bundle.

mod add;
mod bundles;
mod names;
mod outside;
mod problems;
mod references;
mod registry;
mod texts;
mod unique;

use std::borrow::Cow;
use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::config::VmConfig;
use crate::endpoints::Endpoints;
use crate::error::Problem;
use crate::plan::{Bundle, CliOption, Owner, PartKind, Plan};
use crate::planner::machine_type::Board;
use crate::qemu_target::{Accelerator, Target};
use crate::topology::DeviceRequest;
use crate::value::Props;
use registry::Names;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the machine")]
pub(crate) struct Builder<'c> {
    pub(crate) target: &'c Target,
    pub(crate) endpoints: &'c Endpoints,
    /// What executes the guest: the accelerator asked for by name, else the target's.
    pub(crate) accel: Accelerator,
    pub(crate) board: Board,
    pub(crate) name: Cow<'c, str>,
    pub(crate) has_spice: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) options: Vec<CliOption>,
    pub(crate) bundles: Vec<Bundle>,
    /// How many of the bundles a running machine has already. They are there to be looked at.
    pub(crate) there: usize,
    /// The bundle that the last part went into.
    current: usize,
    /// Where the bundles of the list begin whose ids were made last.
    list_start: usize,
    /// For each device that waits for a place: its bundle, its index in there, and its request.
    pub(crate) requests: Vec<(usize, usize, DeviceRequest)>,
    /// The number of the last descriptor that was given out.
    last_fd: Option<u32>,
    /// Properties of `-machine` that devices and firmware add.
    pub(crate) machine: Props,
    /// What the sandbox must let through.
    pub(crate) sandbox: SandboxNeeds,
    /// Whether a helper process must see guest memory.
    pub(crate) shared_memory: bool,
    /// The bundles of an earlier plan, whose chosen ids are kept.
    earlier: &'c [Bundle],
    /// The bundles with a place in the boot order, and those with a MAC address.
    boot_indexes: BTreeMap<u32, usize>,
    macs: BTreeMap<[u8; 6], usize>,
    /// Who uses which part of others.
    users: BTreeMap<(PartKind, SmolStr), usize>,
    names: Names,
    /// Whether disks and networks are part of a recording.
    pub(crate) has_replay: bool,
    /// Whether the machine has a secure world.
    pub(crate) machine_is_secure: bool,
    /// The next number of a drive of the board, by its interface.
    drives: BTreeMap<&'static str, u16>,
    /// How many serial consoles the launcher serves so far.
    pub(crate) consoles: u32,
    /// Bundles with devices that must be there before others, and whether they must be there before all others.
    pub(crate) early: Vec<(usize, bool)>,
    /// Whether QEMU runs already, and gets descriptors by name.
    pub(crate) running: bool,
}

/// What chosen devices need of QEMU's sandbox beyond running the guest.
#[derive(Clone, Copy, Default)]
pub(crate) struct SandboxNeeds {
    /// Starting a program.
    pub(crate) spawn: bool,
    /// Starting a program that gains privileges.
    pub(crate) elevate: bool,
}

impl<'c> Builder<'c> {
    pub(crate) fn new(
        config: &'c VmConfig,
        target: &'c Target,
        endpoints: &'c Endpoints,
        earlier: &'c [Bundle],
    ) -> Self {
        let kind = config.machine.kind.as_deref().unwrap_or_else(|| target.arch.default_machine());
        let kind = target.machines.get(kind).map_or(kind, String::as_str);
        let mut builder = Self::empty(target, endpoints, Board::new(target.arch, kind, &config.machine));
        builder.accel = config.machine.accel.named().unwrap_or(target.accel);
        builder.name = config.name.as_deref().map_or(Cow::Borrowed("vm"), Cow::Borrowed);
        builder.has_spice = config.spice.is_some();
        builder.machine_is_secure = config.machine.secure == Some(true);
        builder.earlier = earlier;
        // Those that the topology makes come before what sits on them.
        builder.bundles.push(Bundle::new(Owner::Controllers, None, None));
        builder
    }

    /// A builder of what comes to a machine that runs: its names, its MAC addresses and its places in the boot order are taken.
    pub(crate) fn joining(plan: &'c Plan) -> Self {
        let board =
            Board { kind: plan.machine.clone(), machine: plan.topology.machine(), arch: plan.target.arch };
        let mut builder = Self::empty(&plan.target, &plan.endpoints, board);
        builder.name = Cow::Borrowed(&plan.name);
        builder.has_spice = plan.options.iter().any(|option| option.name == "-spice");
        builder.running = true;
        builder.bundles.clone_from(&plan.bundles);
        builder.there = builder.bundles.len();
        builder.take_all_names();
        builder
    }

    fn empty(target: &'c Target, endpoints: &'c Endpoints, board: Board) -> Self {
        Self {
            target,
            endpoints,
            accel: target.accel,
            board,
            name: Cow::Borrowed(""),
            has_spice: false,
            problems: Vec::new(),
            options: Vec::with_capacity(16),
            bundles: Vec::with_capacity(16),
            there: 0,
            current: 0,
            list_start: 0,
            requests: Vec::with_capacity(16),
            last_fd: None,
            machine: Props::new(),
            sandbox: SandboxNeeds::default(),
            shared_memory: false,
            earlier: &[],
            boot_indexes: BTreeMap::new(),
            macs: BTreeMap::new(),
            users: BTreeMap::new(),
            names: Names::default(),
            has_replay: false,
            machine_is_secure: false,
            drives: BTreeMap::new(),
            consoles: 0,
            early: Vec::new(),
            running: false,
        }
    }
}
