//! A config together with its file, so that problems can be shown in the file.

use std::path::Path;

use qemu_argv::{Firmware, PlanError, VmConfig};
use qemuctl::Error;
use qemuctl::config::{ConfigError, ConfigFault, ConfigFile, Keep};
use qemuctl::home::StoredMachine;
use qemuctl::launch::{Qemu, image_faults, with_block_devices, with_firmware};
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;
use super::image::readable;

/// The most problems that are printed at once.
const MOST: usize = 50;

/// A config and the file it was read from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: VmConfig,
    file: Option<ConfigFile>,
    /// The problems of the file; `config` has the valid rest.
    faults: Vec<ConfigFault>,
    /// The machine that the config belongs to.
    machine: Option<StoredMachine>,
}

impl Loaded {
    /// A config with problems, without its invalid parts.
    pub(crate) fn in_part(config: VmConfig, file: Option<ConfigFile>, faults: Vec<ConfigFault>) -> Self {
        Self { config, file, faults, machine: None }
    }

    /// Adds the machine that the config belongs to.
    pub(crate) fn of_home(self, machine: StoredMachine) -> Self {
        Self { machine: Some(machine), ..self }
    }

    /// Returns the machine that the config belongs to.
    pub(crate) fn machine(&self) -> Option<&StoredMachine> {
        self.machine.as_ref()
    }

    /// Returns the `[keep]` section of the machine.
    pub(crate) fn keep(&self) -> Keep {
        self.file.as_ref().map(|file| file.keep().clone()).unwrap_or_default()
    }

    /// Returns the config if all of it is valid.
    pub(crate) fn whole(self) -> Result<Self, Failure> {
        if self.faults.is_empty() {
            Ok(self)
        } else {
            Err(ConfigError::Invalid { faults: self.faults }.into())
        }
    }

    /// Returns the problems of the file.
    pub(crate) fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }

    /// Whether any of the file could be parsed.
    pub(crate) fn has_rest(&self) -> bool {
        self.faults.is_empty() || self.file.is_some()
    }

    /// Returns the problems of a plan, except those that may be consequences of an invalid part.
    pub(crate) fn problems_of(&self, error: &PlanError) -> Vec<Problem> {
        let is_own = |problem: &&qemu_argv::Problem| match &self.file {
            Some(file) => !file.may_follow(problem),
            None => true,
        };
        let problems = error.problems.iter().filter(is_own).take(MOST);
        problems.map(|problem| self.problem(&problem.path, problem.fault.to_string(), None)).collect()
    }

    /// Returns the config with what a launch adds: firmware, and block devices of the host.
    pub(crate) fn complete(&self, qemu: &Qemu) -> Result<VmConfig, Failure> {
        let config = with_block_devices(self.config.clone());
        Ok(with_firmware(&config, &qemu.program, &qemu.target)?)
    }

    /// Returns the file that the config was read from.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(ConfigFile::path)
    }

    /// Turns a failed plan into a failure that shows the place in the file.
    pub(crate) fn explain(&self, error: &PlanError) -> Failure {
        match &self.file {
            Some(file) => file.explain(error).into(),
            None => Failure::of(Exit::BadConfig, error),
        }
    }

    /// Turns a failed launch into a failure, likewise.
    pub(crate) fn explain_launch(&self, error: Error) -> Failure {
        match error {
            Error::Plan(error) => self.explain(&error),
            Error::InvalidName { name, reason } if self.file.is_some() => {
                Self::refuse(vec![self.problem("name", format!("invalid name {name:?}: {reason}"), None)])
            }
            error => error.into(),
        }
    }

    /// Makes a problem of one field, with its place in the file.
    pub(crate) fn problem(&self, field: &str, message: String, help: Option<String>) -> Problem {
        match &self.file {
            Some(file) => file.fault(field, message, help).into(),
            None => Problem {
                text: match &help {
                    Some(help) => format!("{field}: {message}; {help}"),
                    None => format!("{field}: {message}"),
                },
                field: field.to_owned(),
                message,
                help,
                place: None,
            },
        }
    }

    /// Fails if there are any problems.
    pub(crate) fn check_files(&self) -> Result<(), Failure> {
        match self.missing_files() {
            problems if problems.is_empty() => Ok(()),
            problems => Err(Self::refuse(problems)),
        }
    }

    fn refuse(problems: Vec<Problem>) -> Failure {
        let lines: Vec<String> = problems.into_iter().map(|problem| problem.text).collect();
        Failure::new(Exit::BadConfig, lines.join("\n"))
    }

    /// Finds files that do not exist, and images whose format differs from the config.
    pub(crate) fn missing_files(&self) -> Vec<Problem> {
        let config = &self.config;
        let mut problems: Vec<Problem> = image_faults(config)
            .into_iter()
            .take(MOST)
            .map(|fault| {
                let help = fault.help(|format| format!("format = \"{format}\""));
                self.problem(&fault.field, fault.to_string(), help)
            })
            .collect();
        let mut look = |field: String, path: &Path, may_be_pipe: bool| {
            if let Err(error) = readable(path, may_be_pipe) {
                let message = format!("cannot open {}: {error}", path.display());
                problems.push(self.problem(&field, message, None));
            }
        };
        for (index, secret) in config.secrets.iter().enumerate() {
            if let Some(file) = &secret.file {
                look(format!("secrets[{index}].file"), file, true);
            }
        }
        if let Some(Firmware::Bios(bios)) = &config.firmware {
            look("firmware.path".to_owned(), &bios.path, false);
        }
        if let Some(guest) = &config.guest {
            if let Some(path) = &guest.user_data {
                look("guest.user_data".to_owned(), path, false);
            }
            for (index, file) in guest.files.iter().enumerate() {
                if let Some(path) = &file.source {
                    look(format!("guest.files[{index}].source"), path, false);
                }
            }
        }
        let boot =
            [("kernel", &config.boot.kernel), ("initrd", &config.boot.initrd), ("dtb", &config.boot.dtb)];
        for (field, path) in boot {
            if let Some(path) = path {
                look(format!("boot.{field}"), path, false);
            }
        }
        if let Some(splash) = &config.boot.splash {
            look("boot.splash".to_owned(), splash, false);
        }
        for (index, module) in config.boot.modules.iter().enumerate() {
            look(format!("boot.modules[{index}]"), &module.path, false);
        }
        for (index, entry) in config.fw_cfg.iter().enumerate() {
            if let Some(file) = &entry.file {
                look(format!("fw_cfg[{index}].file"), file, false);
            }
        }
        for (index, plugin) in config.debug.plugins.iter().enumerate() {
            look(format!("debug.plugins[{index}]"), &plugin.path, false);
        }
        for (index, device) in config.host_devices.iter().enumerate() {
            if let Some(rom) = &device.rom_file {
                look(format!("host_devices[{index}].rom_file"), rom, false);
            }
        }
        for (index, device) in config.devices.iter().enumerate() {
            if let Some(file) = device.properties.get_str("file").filter(|_| device.driver == "loader") {
                look(format!("devices[{index}].properties.file"), Path::new(file), false);
            }
        }
        problems
    }
}

/// A problem of a config.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    /// The part of the config, such as `disks[1].format`.
    pub(crate) field: String,
    pub(crate) message: String,
    /// How to fix it.
    pub(crate) help: Option<String>,
    /// The place in the file.
    pub(crate) place: Option<Position>,
    /// The text that is printed.
    #[serde(skip)]
    pub(crate) text: String,
}

/// A place in a file; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<ConfigFault> for Problem {
    fn from(fault: ConfigFault) -> Self {
        Self {
            text: fault.to_string(),
            place: fault.place.map(|place| Position { line: place.line, column: place.column }),
            field: fault.field,
            message: fault.message,
            help: fault.help,
        }
    }
}
