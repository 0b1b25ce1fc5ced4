//! Why a device cannot be placed: the device, the bus, and advice.

/// A device that cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum TopologyError {
    #[error("two devices have the id {device}; choose another id for one of them")]
    DuplicateId { device: String },
    #[error("{device} requires {wanted}, but machine {machine} has none; {help}")]
    NoBus { device: String, wanted: &'static str, machine: &'static str, help: &'static str },
    #[error("{device} requires {bus}, which does not exist; {help}")]
    UnknownBus { device: String, bus: String, help: String },
    #[error("{device} requires {place}, which does not exist: {range}")]
    OutOfRange { device: String, place: String, range: String },
    #[error("{device} requires {place}, which is used by {holder}; {help}")]
    Taken { device: String, place: String, holder: String, help: &'static str },
    #[error("{device} must be hot-pluggable, but {bus} does not support that; {help}")]
    NoHotplug { device: String, bus: String, help: &'static str },
    #[error("no room for {device}{}: {bus} is full ({limit}); {help}", and_others(*.others))]
    Full { device: String, others: usize, bus: String, limit: String, help: &'static str },
    #[error("{bus} has room for only {free} of {wanted} hotplug_ports ({limit}); set a lower number")]
    FewPorts { bus: String, wanted: u8, free: usize, limit: String },
    #[error("the machine has no device {device}")]
    NoDevice { device: String },
    #[error("{device} is in use by {user}, which must be unplugged first")]
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
    /// Changes the device that the problem is about.
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

    /// Returns the id of the device that the problem is about, if any.
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

/// Adds a problem to the list. Further devices that do not fit on the same bus are only counted.
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

/// Adapts the problem for a device whose place was assigned by an earlier plan.
pub(super) fn keeps_its_place(problem: TopologyError) -> TopologyError {
    match problem {
        TopologyError::Taken { device, place, holder, .. } => {
            let help = "that place was assigned by the earlier plan; choose another one for the new device";
            TopologyError::Taken { device, place, holder, help }
        }
        other => other,
    }
}
