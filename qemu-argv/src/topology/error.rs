//! Why a device has no place: which device, which bus, and what would help.

/// A device that cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum TopologyError {
    #[error("two devices are called {device}; give one another id")]
    DuplicateId { device: String },
    #[error("{device} needs {wanted}, and machine {machine} has none; {help}")]
    NoBus { device: String, wanted: &'static str, machine: &'static str, help: &'static str },
    #[error("{device} asks for {bus}, which does not exist; {help}")]
    UnknownBus { device: String, bus: String, help: String },
    #[error("{device} asks for {place}, which is not there: {range}")]
    OutOfRange { device: String, place: String, range: String },
    #[error("{device} asks for {place}, which is taken by {holder}; {help}")]
    Taken { device: String, place: String, holder: String, help: &'static str },
    #[error("{device} must be hot-pluggable, and {bus} does not allow that; {help}")]
    NoHotplug { device: String, bus: String, help: &'static str },
    #[error("no room for {device}{}: {bus} is full ({limit}); {help}", and_others(*.others))]
    Full { device: String, others: usize, bus: String, limit: String, help: &'static str },
    #[error("{bus} has room for {free} of {wanted} hotplug_ports ({limit}); ask for fewer")]
    FewPorts { bus: String, wanted: u8, free: usize, limit: String },
    #[error("{device} is not in this machine")]
    NoDevice { device: String },
    #[error("{device} is in use by {user}; unplug that first")]
    InUse { device: String, user: String },
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " and 1 more device".to_owned(),
        many => format!(" and {many} more devices"),
    }
}

impl TopologyError {
    /// Says that the problem is about another device.
    pub(super) fn blame(&mut self, other: &str) {
        match self {
            Self::DuplicateId { device }
            | Self::NoBus { device, .. }
            | Self::UnknownBus { device, .. }
            | Self::OutOfRange { device, .. }
            | Self::Taken { device, .. }
            | Self::NoHotplug { device, .. }
            | Self::Full { device, .. }
            | Self::NoDevice { device }
            | Self::InUse { device, .. } => other.clone_into(device),
            Self::FewPorts { .. } => {}
        }
    }

    /// The id of the device that the problem is about, if it is about one.
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::DuplicateId { device }
            | Self::NoBus { device, .. }
            | Self::UnknownBus { device, .. }
            | Self::OutOfRange { device, .. }
            | Self::Taken { device, .. }
            | Self::NoHotplug { device, .. }
            | Self::Full { device, .. }
            | Self::NoDevice { device }
            | Self::InUse { device, .. } => Some(device),
            Self::FewPorts { .. } => None,
        }
    }
}

/// Adds a problem to the list; further devices that find the same bus full are counted, not listed.
pub(super) fn report(problems: &mut Vec<TopologyError>, problem: TopologyError) {
    if let TopologyError::Full { bus, .. } = &problem {
        let same = problems.iter_mut().find_map(|known| match known {
            TopologyError::Full { bus: full, others, .. } if full == bus => Some(others),
            _ => None,
        });
        if let Some(others) = same {
            *others += 1;
            return;
        }
    }
    problems.push(problem);
}

/// The same problem, for a device that has its place from an earlier plan.
pub(super) fn keeps_its_place(problem: TopologyError) -> TopologyError {
    match problem {
        TopologyError::Taken { device, place, holder, .. } => {
            let help = "it has that place from the earlier plan and would have to move; choose another one for the newcomer";
            TopologyError::Taken { device, place, holder, help }
        }
        other => other,
    }
}
