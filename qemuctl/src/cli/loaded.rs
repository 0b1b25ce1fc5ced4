//! A config with the file it is from, so that whatever goes wrong can be shown there.

use std::fs::File;
use std::path::Path;

use qemu_argv::{DiskBackend, Firmware, PlanError, UefiFirmware, VmConfig};
use qemuctl::Error;
use qemuctl::config::{ConfigError, ConfigFault, ConfigFile};
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;

/// A config, and the file it is from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: VmConfig,
    file: Option<ConfigFile>,
}

impl Loaded {
    pub(crate) fn new(config: VmConfig, file: Option<ConfigFile>) -> Self {
        Self { config, file }
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
                text: format!("{field}: {message}"),
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

    /// Files that QEMU would not find.
    pub(crate) fn missing_files(&self) -> Vec<Problem> {
        let config = &self.config;
        let mut problems = Vec::new();
        let mut look = |field: String, path: &Path| {
            if let Err(error) = File::open(path) {
                let message = format!("cannot open {}: {error}", path.display());
                problems.push(self.problem(&field, message, None));
            }
        };
        let mut look_at = |field: String, backend: &DiskBackend| {
            if let DiskBackend::File { path } | DiskBackend::HostDevice { path } = backend {
                look(field, path);
            }
        };
        for (index, disk) in config.disks.iter().enumerate() {
            look_at(format!("disks[{index}].backend"), &disk.backend);
        }
        for (index, drive) in config.cdroms.iter().enumerate() {
            if let Some(medium) = &drive.medium {
                look_at(format!("cdroms[{index}].medium"), medium);
            }
        }
        for (index, secret) in config.secrets.iter().enumerate() {
            if let Some(file) = &secret.file {
                look(format!("secrets[{index}].file"), file);
            }
        }
        match &config.firmware {
            Some(Firmware::Bios(bios)) => look("firmware.path".to_owned(), &bios.path),
            Some(Firmware::Uefi(UefiFirmware { code: Some(code), .. })) => {
                look("firmware.code".to_owned(), code);
            }
            _ => {}
        }
        let boot =
            [("kernel", &config.boot.kernel), ("initrd", &config.boot.initrd), ("dtb", &config.boot.dtb)];
        for (field, path) in boot {
            if let Some(path) = path {
                look(format!("boot.{field}"), path);
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

/// Why there is no machine to speak of.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The text of the config is wrong, in these places.
    Config(Vec<ConfigFault>),
    Other(Failure),
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Invalid { faults } => Self::Config(faults),
            error => Self::Other(error.into()),
        }
    }
}

impl From<Failure> for LoadError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Config(faults) => ConfigError::Invalid { faults }.into(),
            LoadError::Other(failure) => failure,
        }
    }
}
