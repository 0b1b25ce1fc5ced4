//! The machines of `tests/machines`, planned as a launcher would.

pub mod files;

use qemu_argv::{Arch, Endpoints, Plan, PlanError, Target, Version, VmConfig, plan};

/// The versions that every machine is planned for.
pub const VERSIONS: [Version; 3] = [
    Version { major: 7, minor: 2, micro: 22 },
    Version { major: 10, minor: 0, micro: 13 },
    Version { major: 11, minor: 1, micro: 3 },
];

/// A machine of a file.
pub struct Machine {
    /// The file's name without its ending.
    pub name: String,
    pub config: VmConfig,
}

/// Every file of `tests/machines`, by name.
pub fn machines() -> Vec<Machine> {
    let machine = |(name, text): (String, String)| {
        let config = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Machine { name, config }
    };
    files::machine_files().into_iter().map(machine).collect()
}

/// The plan as a launcher would ask for it.
pub fn planned(config: &VmConfig, version: Version) -> Result<Plan, PlanError> {
    let target = Target::new(version, config.arch.unwrap_or(Arch::X86_64));
    let endpoints =
        Endpoints { qmp_fd: Some(0), socket_dir: Some("/run/vms".into()), ..Endpoints::default() };
    plan(config, &target, &endpoints)
}
