//! The failure of a command, with advice.

use std::error::Error as StdError;
use std::io;

use qemu_discovery::DiscoveryError;
use qemuctl::config::ConfigError;
use qemuctl::error::LaunchFailure;

use super::exit::Exit;

/// An error message with details and advice.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Printed with `--verbose` only.
    pub(crate) detail: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: without_numbers(&message.into()), help: None, detail: None }
    }

    /// A failure with the message of an error and its causes.
    pub(crate) fn of(exit: Exit, error: &dyn StdError) -> Self {
        Self::new(exit, qemuctl::error::explain(error))
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A failure without a message: it was printed already, or there is nobody to read it.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

/// Removes Rust's ` (os error 2)` from a message.
pub(crate) fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')')
    })
}

/// Returns how to add a missing part to a machine.
fn remedy(what: &str) -> Option<&'static str> {
    match what {
        "screen" => Some("add one with `video = [\"vga\"]` in the config"),
        "serial console" => Some("remove `serials` from the config to get the default one"),
        "VNC display" => Some("add one with `vnc = {}` in the config"),
        _ => None,
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // The reader has closed the pipe, as `head` does.
            return Self::silent(Exit::Done);
        }
        Self::of(Exit::Failed, &error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = if matches!(error, ConfigError::Read { .. }) { Exit::Failed } else { Exit::BadConfig };
        Self::of(exit, &error)
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}

impl From<LaunchFailure> for Failure {
    fn from(failure: LaunchFailure) -> Self {
        let lines = failure.output.iter().chain(&failure.console);
        let message = lines.fold(failure.headline(), |message, line| format!("{message}\n  {line}"));
        let help =
            failure.cause.advice().map_or_else(|| "-v shows QEMU's command line".to_owned(), str::to_owned);
        let detail = Some(failure.command);
        Self { detail, ..Self::new(Exit::Failed, message).with_help(help) }
    }
}

impl From<qemuctl::Error> for Failure {
    fn from(error: qemuctl::Error) -> Self {
        use qemuctl::Error;
        let error = match error {
            Error::Config(error) => return error.into(),
            Error::Launch(failure) => return (*failure).into(),
            error => error,
        };
        let exit = match &error {
            Error::InvalidName { .. } | Error::Plan(_) => Exit::BadConfig,
            Error::NotFound { .. } | Error::NoSuchMachine { .. } => Exit::NotFound,
            Error::Timeout { .. } => Exit::TimedOut,
            _ => Exit::Failed,
        };
        let help = match &error {
            Error::NameTaken { name, .. } => Some(format!(
                "`qemuctl status {name}` shows it; choose another name with --name"
            )),
            Error::NoSocketDir | Error::NoStateDir => {
                Some("or choose another directory with --socket-dir or QEMUCTL_SOCKET_DIR".to_owned())
            }
            Error::Io { action: "create the socket directory", .. } | Error::SocketDirUnsafe { .. } => {
                Some("choose another directory with --socket-dir or QEMUCTL_SOCKET_DIR".to_owned())
            }
            Error::NoSuchMachine { .. } => Some("`qemuctl list --all` lists the machines".to_owned()),
            Error::MachineRuns { name, .. } => Some(format!("`qemuctl stop {name}` stops it")),
            Error::NoHome | Error::HomeUnsafe { .. } => {
                Some("or choose another directory with QEMUCTL_HOME".to_owned())
            }
            Error::NotFound { .. } => Some("`qemuctl list` lists the running VMs".to_owned()),
            Error::InUse { what: "console", .. } => Some(
                "a VM started by `qemuctl run` has its console there; one started by `start` is free until `console` \
                 has it"
                    .to_owned(),
            ),
            Error::InUse { .. } | Error::MachineBusy { .. } => Some("try again when it has finished".to_owned()),
            Error::Missing { what, .. } => remedy(what).map(str::to_owned),
            _ => None,
        };
        Self { help, ..Self::of(exit, &error) }
    }
}
