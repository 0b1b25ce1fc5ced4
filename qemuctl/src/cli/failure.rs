//! A command that did not succeed, told so that one can act on it.

use std::error::Error as StdError;
use std::io;

use qemu_discovery::DiscoveryError;
use qemuctl::LaunchFailure;
use qemuctl::config::ConfigError;

use super::exit::Exit;

/// What went wrong, why, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// What only those who look closer want to see.
    pub(crate) detail: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: without_numbers(&message.into()), help: None, detail: None }
    }

    /// A failure with the message of an error and of everything that caused it.
    pub(crate) fn of(exit: Exit, error: &dyn StdError) -> Self {
        Self::new(exit, qemuctl::explain(error))
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A failure that needs no words: they have been said, or nobody reads them any more.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

/// Rust puts the kernel's number behind its words, as in ` (os error 2)`: of no use to people.
pub(crate) fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')')
    })
}

/// How a machine gets what it has not.
fn remedy(what: &str) -> Option<&'static str> {
    match what {
        "screen" => Some("a config gives it one with `video = [\"vga\"]`"),
        "serial console" => Some("a config that says nothing of `serials` has one"),
        "VNC display" => Some("a config gives it one with `vnc = {}`"),
        _ => None,
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever read our output has had enough, as `head` does.
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
                "see it with `qemuctl status {name}`, or give this one another name with --name"
            )),
            Error::NoSocketDir | Error::NoStateDir => {
                Some("or give a directory of your own with --socket-dir or QEMUCTL_SOCKET_DIR".to_owned())
            }
            Error::Io { action: "create the socket directory", .. } | Error::SocketDirUnsafe { .. } => {
                Some("give a directory of your own with --socket-dir or QEMUCTL_SOCKET_DIR".to_owned())
            }
            Error::NoSuchMachine { .. } => Some("`qemuctl list --all` shows the machines".to_owned()),
            Error::MachineRuns { name, .. } => Some(format!("`qemuctl stop {name}` stops it")),
            Error::MachineBusy { .. } => Some("try again when it has finished".to_owned()),
            Error::NoHome | Error::HomeUnsafe { .. } => {
                Some("or give a directory of your own with QEMUCTL_HOME".to_owned())
            }
            Error::NotFound { .. } => Some("`qemuctl list` shows the VMs that run".to_owned()),
            Error::InUse { what: "console", .. } => Some(
                "a VM started by `qemuctl run` has its console there; one started by `start` is free until `console` \
                 has it"
                    .to_owned(),
            ),
            Error::InUse { .. } => Some("try again when that has ended".to_owned()),
            Error::Missing { what, .. } => remedy(what).map(str::to_owned),
            _ => None,
        };
        Self { help, ..Self::of(exit, &error) }
    }
}
