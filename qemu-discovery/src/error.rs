//! What can go wrong while looking around.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use qemu_argv::Arch;

/// Something that was asked for could not be found or understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The path given for QEMU leads nowhere, or to something that cannot be run.
    #[error("no QEMU at {}: {reason}", path.display())]
    ExplicitBinary {
        /// The path as it was given.
        path: PathBuf,
        /// What is there instead, and what was expected.
        reason: String,
    },
    /// No QEMU for this architecture is installed in any known place.
    #[error("no QEMU for {arch} guests found; {hint} (looked in {})", paths(searched))]
    NoBinary {
        /// The architecture of the guest.
        arch: Arch,
        /// What to install.
        hint: String,
        /// Every folder that was looked into, in order.
        searched: Vec<PathBuf>,
    },
    /// The program could not be started or looked at.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done, such as `start`.
        action: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program was started, but did not answer as a QEMU does.
    #[error("{} does not answer like QEMU: {reason}", path.display())]
    NotQemu {
        /// The program.
        path: PathBuf,
        /// How it ended, with its last words.
        reason: String,
    },
    /// The program was started and did not answer in time.
    #[error("{} did not answer within {after:?}", path.display())]
    Timeout {
        /// The program.
        path: PathBuf,
        /// The time it was given.
        after: Duration,
    },
    /// An answer of QEMU was not of the documented shape.
    #[error("{}: unexpected answer to {command}: {reason}", path.display())]
    Answer {
        /// The program.
        path: PathBuf,
        /// The QMP command.
        command: &'static str,
        /// What was wrong with the answer.
        reason: String,
    },
    /// The binary is for another architecture than the one asked for.
    #[error("{} runs {found} guests, not {wanted} guests", path.display())]
    WrongArch {
        /// The program.
        path: PathBuf,
        /// The architecture of the binary.
        found: Arch,
        /// The architecture asked for.
        wanted: Arch,
    },
    /// No firmware fits.
    #[error("no firmware for {wanted}: {hint}")]
    NoFirmware {
        /// What was asked for, in words.
        wanted: String,
        /// What was found instead and what would help.
        hint: String,
    },
    /// A firmware descriptor or file cannot be used.
    #[error("firmware {}: {reason}", path.display())]
    Firmware {
        /// The descriptor or firmware file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// An error with its causes, in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Paths as a list in words.
pub(crate) fn paths(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() { "no folder".into() } else { names.join(", ") }
}
