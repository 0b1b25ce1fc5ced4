//! The machines of `tests/machines`, planned as a launcher would.

#![expect(clippy::disallowed_methods, reason = "the crate reads no file, its tests do")]

use std::path::{Path, PathBuf};

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
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("the machines are there")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no machines");
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a machine can be read");
            let config = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            Machine { name, config }
        })
        .collect()
}

/// The plan as a launcher would ask for it.
pub fn planned(config: &VmConfig, version: Version) -> Result<Plan, PlanError> {
    let target = Target::new(version, config.arch.unwrap_or(Arch::X86_64));
    let endpoints = Endpoints { qmp_fd: Some(0), socket_dir: Some("/run/vms".into()) };
    plan(config, &target, &endpoints)
}
