//! A config with the file it is from, so that whatever goes wrong can be shown there.

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

/// More problems than a person can correct at a time are not shown.
const MOST: usize = 50;

/// A config, and the file it is from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: VmConfig,
    file: Option<ConfigFile>,
    /// What is wrong in the file; the rest of it is `config`.
    faults: Vec<ConfigFault>,
    /// The machine of the home that it describes.
    machine: Option<StoredMachine>,
}

impl Loaded {
    /// A config of which parts are wrong and left out.
    pub(crate) fn in_part(config: VmConfig, file: Option<ConfigFile>, faults: Vec<ConfigFault>) -> Self {
        Self { config, file, faults, machine: None }
    }

    /// The same, which is that of a machine of the home.
    pub(crate) fn of_home(self, machine: StoredMachine) -> Self {
        Self { machine: Some(machine), ..self }
    }

    /// The machine of the home that it describes.
    pub(crate) fn machine(&self) -> Option<&StoredMachine> {
        self.machine.as_ref()
    }

    /// How the machine is kept.
    pub(crate) fn keep(&self) -> Keep {
        self.file.as_ref().map(|file| file.keep().clone()).unwrap_or_default()
    }

    /// The config, if all of it is right.
    pub(crate) fn whole(self) -> Result<Self, Failure> {
        if self.faults.is_empty() {
            Ok(self)
        } else {
            Err(ConfigError::Invalid { faults: self.faults }.into())
        }
    }

    /// What is wrong in the file.
    pub(crate) fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }

    /// Whether anything of the file can be looked at: one whose text cannot be read at all has no rest.
    pub(crate) fn has_rest(&self) -> bool {
        self.faults.is_empty() || self.file.is_some()
    }

    /// The problems of a plan. Those that a left-out part may be the reason of are left out as well.
    pub(crate) fn problems_of(&self, error: &PlanError) -> Vec<Problem> {
        let is_own = |problem: &&qemu_argv::Problem| match &self.file {
            Some(file) => !file.may_follow(problem),
            None => true,
        };
        let problems = error.problems.iter().filter(is_own).take(MOST);
        problems.map(|problem| self.problem(&problem.path, problem.fault.to_string(), None)).collect()
    }

    /// The config with what a launch adds to it: firmware, and block devices as such.
    pub(crate) fn complete(&self, qemu: &Qemu) -> Result<VmConfig, Failure> {
        let config = with_block_devices(self.config.clone());
        Ok(with_firmware(&config, &qemu.program, &qemu.target)?)
    }

    /// The file that the config is from.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(ConfigFile::path)
    }

    /// A failed plan, told in terms of the file where there is one.
    pub(crate) fn explain(&self, error: &PlanError) -> Failure {
        match &self.file {
            Some(file) => file.explain(error).into(),
            None => Failure::of(Exit::BadConfig, error),
        }
    }

    /// A failed launch, likewise.
    pub(crate) fn explain_launch(&self, error: Error) -> Failure {
        match error {
            Error::Plan(error) => self.explain(&error),
            Error::InvalidName { name, reason } if self.file.is_some() => Self::refuse(vec![self.problem(
                "name",
                format!("the name {name:?} is not possible: {reason}"),
                None,
            )]),
            error => error.into(),
        }
    }

    /// Something wrong with one field, in the file where there is one.
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

    /// Refuses to start what cannot start.
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

    /// Files that QEMU would not find, and images that it would read as something else.
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
        let boot =
            [("kernel", &config.boot.kernel), ("initrd", &config.boot.initrd), ("dtb", &config.boot.dtb)];
        for (field, path) in boot {
            if let Some(path) = path {
                look(format!("boot.{field}"), path, false);
            }
        }
        problems
    }
}

/// Something wrong in a config.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    /// The part of the config, such as `disks[1].format`.
    pub(crate) field: String,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Where it stands in the file.
    pub(crate) place: Option<Position>,
    /// As it is printed for people.
    #[serde(skip)]
    pub(crate) text: String,
}

/// A place in a file, counted from 1.
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
