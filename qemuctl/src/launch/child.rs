//! The child process of a launch: its command, its standard streams, and who it lives and dies with.

use std::error::Error as StdError;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use nix::fcntl::OFlag;
use qemu_argv::CommandLine;
use tokio::io::AsyncRead;
use tokio::net::unix::pipe;

use crate::process::{Guard, Tail, setsid_program};

use super::{Cause, LaunchFailure, Phase};

/// How much of a log file is read for an error.
const LOG_END: u64 = 16 * 1024;

/// Who the child lives and dies with.
#[derive(Clone, Debug)]
pub(super) enum Tie {
    /// It dies with this process; its output comes to us.
    Guarded(Guard),
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
}

impl ChildSpec {
    /// The command with its streams: QEMU's monitor is its standard input, one end of a pair of sockets.
    /// Returns our end of the monitor, and what the child prints.
    pub(super) fn pipes(
        &self,
        descriptors: Vec<FdMapping>,
    ) -> io::Result<(Command, UnixStream, Box<dyn AsyncRead + Send + Unpin>)> {
        let (ours, qemus) = UnixStream::pair()?;
        let mut command = self.command();
        command.stdin(Stdio::from(OwnedFd::from(qemus)));
        if !descriptors.is_empty() {
            command.fd_mappings(descriptors).map_err(io::Error::other)?;
        }
        let output: Box<dyn AsyncRead + Send + Unpin> = match &self.tie {
            Tie::Guarded(_) => {
                let (reader, writer) = io::pipe()?;
                command.stdout(writer.try_clone()?).stderr(writer);
                Box::new(pipe::Receiver::from_owned_fd(reader.into())?)
            }
            Tie::Detached { log } => {
                let file = OpenOptions::new()
                    .create(true)
                    .truncate(true)
                    .write(true)
                    .mode(0o600)
                    .custom_flags(OFlag::O_NOFOLLOW.bits())
                    .open(log)?;
                command.stdout(file.try_clone()?).stderr(file);
                Box::new(tokio::io::empty())
            }
        };
        Ok((command, ours, output))
    }

    fn command(&self) -> Command {
        let mut words = Vec::new();
        let mut option = &[][..];
        match &self.tie {
            Tie::Guarded(Guard::Wrapper(wrapper)) => words.clone_from(wrapper),
            Tie::Guarded(Guard::Option(words)) => option = words,
            Tie::Detached { .. } => words.extend(setsid_program().map(Into::into)),
        }
        words.push(self.program.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(&self.line.args).args(option);
        if matches!(self.tie, Tie::Guarded(_)) {
            // Ctrl-C in a terminal is for us to handle, not for QEMU. (A session of its own needs no group.)
            command.process_group(0);
        }
        command
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
