//! The error type.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use qemu_argv::Arch;

/// The error of a search or a query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The path given for QEMU does not exist, or is not an executable program.
    #[error("no QEMU at {}: {reason}", path.display())]
    ExplicitBinary {
        /// The given path.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// No QEMU for this architecture was found.
    #[error("no QEMU for {arch} guests found; {hint} (looked in {})", paths(searched))]
    NoBinary {
        /// The architecture of the guest.
        arch: Arch,
        /// What to install.
        hint: String,
        /// All directories that were searched, in order.
        searched: Vec<PathBuf>,
    },
    /// A program or file could not be started or read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation, such as `start`.
        action: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program was started, but did not answer like QEMU.
    #[error("{} does not answer like QEMU: {reason}", path.display())]
    NotQemu {
        /// The program.
        path: PathBuf,
        /// How it ended, with its last output.
        reason: String,
    },
    /// The program was started, but did not answer in time.
    #[error("{} did not answer within {after:?}", path.display())]
    Timeout {
        /// The program.
        path: PathBuf,
        /// The timeout.
        after: Duration,
    },
    /// An answer of QEMU did not have the documented form.
    #[error("{}: unexpected answer to {command}: {reason}", path.display())]
    Answer {
        /// The program.
        path: PathBuf,
        /// The QMP command.
        command: &'static str,
        /// The reason.
        reason: String,
    },
    /// The program is for a different architecture.
    #[error("{} runs {found} guests, not {wanted} guests", path.display())]
    WrongArch {
        /// The program.
        path: PathBuf,
        /// The architecture of the program.
        found: Arch,
        /// The requested architecture.
        wanted: Arch,
    },
    /// No suitable firmware was found.
    #[error("no firmware for {wanted}: {hint}")]
    NoFirmware {
        /// A description of the requested firmware.
        wanted: String,
        /// What was found instead, and advice.
        hint: String,
    },
    /// A firmware descriptor or file cannot be used.
    #[error("firmware {}: {reason}", path.display())]
    Firmware {
        /// The descriptor or firmware file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// Formats an error with its causes in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Formats a list of paths.
pub(crate) fn paths(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() { "no folder".into() } else { names.join(", ") }
}
