//! The child process of a launch: its command, its standard streams, and who it lives and dies with.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use qemu_argv::CommandLine;
use tokio::io::AsyncRead;
use tokio::net::unix::pipe;

use crate::process::{Bond, FdMapping, Program, Tail};

use super::{Cause, LaunchFailure, Phase};

/// How much of a log file is read for an error.
const LOG_END: u64 = 16 * 1024;

/// Who the child lives and dies with.
#[derive(Clone, Debug)]
pub(super) enum Tie {
    /// It dies with this process; its output comes to us.
    Parent,
    /// It outlives this process; its output goes to this file.
    Detached {
        /// The file.
        log: PathBuf,
    },
}

/// What is started.
pub(super) struct ChildSpec {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) line: CommandLine,
    pub(super) tie: Tie,
    /// Variables of this process's environment that hold secrets.
    pub(super) hidden: Vec<OsString>,
}

impl ChildSpec {
    /// The program with its streams: QEMU's monitor is its standard input, one end of a pair of sockets.
    /// Returns our end of the monitor, and what the child prints.
    pub(super) fn pipes(
        &self,
        mut descriptors: Vec<FdMapping>,
    ) -> io::Result<(Program, UnixStream, Box<dyn AsyncRead + Send + Unpin>)> {
        let (ours, qemus) = UnixStream::pair()?;
        let (bond, printed, output): (_, OwnedFd, Box<dyn AsyncRead + Send + Unpin>) = match &self.tie {
            Tie::Parent => {
                let (reader, writer) = io::pipe()?;
                let output = Box::new(pipe::Receiver::from_owned_fd(reader.into())?);
                (Bond::Parent, writer.into(), output)
            }
            Tie::Detached { log } => {
                let file = OpenOptions::new()
                    .create(true)
                    .truncate(true)
                    .write(true)
                    .mode(0o600)
                    .custom_flags(OFlag::O_NOFOLLOW.bits())
                    .open(log)?;
                (Bond::Nobody, file.into(), Box::new(tokio::io::empty()))
            }
        };
        descriptors.push(FdMapping { parent_fd: qemus.into(), child_fd: 0 });
        descriptors.push(FdMapping { parent_fd: printed.try_clone()?, child_fd: 1 });
        descriptors.push(FdMapping { parent_fd: printed, child_fd: 2 });
        let program = Program {
            path: self.program.clone(),
            args: self.line.args().map(OsString::from).collect(),
            descriptors,
            bond,
            hidden: self.hidden.clone(),
        };
        Ok((program, ours, output))
    }

    /// The last lines that the child printed.
    pub(super) fn last_output(&self, tail: &Tail) -> Vec<String> {
        if let Tie::Detached { log } = &self.tie {
            let read = || {
                let mut file = OpenOptions::new().read(true).open(log)?;
                let length = file.metadata()?.len();
                file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
                let mut end = Vec::new();
                file.read_to_end(&mut end)?;
                io::Result::Ok(end)
            };
            // A log that cannot be read has nothing to tell.
            tail.push(&read().unwrap_or_default());
        }
        tail.lines()
    }

    /// A failure of this start that has nothing to tell yet but its class.
    pub(super) fn failure(
        &self,
        phase: Phase,
        cause: Cause,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> LaunchFailure {
        LaunchFailure {
            name: self.name.clone(),
            phase,
            cause,
            command: format!("{} {}", self.program.display(), self.line),
            exit: None,
            output: Vec::new(),
            console: Vec::new(),
            source,
        }
    }
}
