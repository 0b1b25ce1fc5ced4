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
use nix::sched::CpuSet;
use qemu_argv::CommandLine;
use tokio::io::AsyncRead;
use tokio::net::unix::pipe;

use crate::error::{Cause, Error, LaunchFailure, Phase};
use crate::runtime::open_regular;
use qemu_discovery::process::{Bond, FdMapping, Limits, Program, Tail};

use super::{LaunchOptions, tie};

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

/// What keeps the child's streams from being made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PipeError {
    #[error("cannot write {}", path.display())]
    Log { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Host(#[from] io::Error),
}

impl PipeError {
    pub(super) fn io(&self) -> &io::Error {
        match self {
            Self::Log { source, .. } | Self::Host(source) => source,
        }
    }
}

/// What is started.
pub(super) struct ChildSpec {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) line: CommandLine,
    pub(super) tie: Tie,
    /// Variables of this process's environment that hold secrets.
    pub(super) hidden: Vec<OsString>,
    pub(super) limits: Limits,
}

/// The limits that the options ask for.
pub(super) fn limits(options: &LaunchOptions) -> Result<Limits, Error> {
    let cgroup = options.cgroup.as_ref().map(|group| {
        let path = group.join("cgroup.procs");
        let opened = OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
        opened.map(OwnedFd::from).map_err(|source| Error::Io {
            action: "open the control group's",
            path,
            source,
        })
    });
    let cpus = options.cpus.as_ref().map(|numbers| {
        let mut cpus = CpuSet::new();
        let fail = |number: usize| Error::Unsupported {
            action: "binding QEMU to",
            name: format!("CPU {number}"),
            reason: format!("the highest CPU number is {}", CpuSet::count() - 1),
        };
        numbers.iter().try_for_each(|&number| cpus.set(number).map_err(|_| fail(number)))?;
        Ok::<_, Error>(cpus)
    });
    Ok(Limits { nice: options.nice, cpus: cpus.transpose()?, cgroup: cgroup.transpose()? })
}

impl ChildSpec {
    /// The program with its streams: QEMU's monitor is its standard input, one end of a pair of sockets.
    /// Returns our end of the monitor, and what the child prints.
    pub(super) fn pipes(
        &mut self,
        mut descriptors: Vec<FdMapping>,
    ) -> Result<(Program, UnixStream, Box<dyn AsyncRead + Send + Unpin>), PipeError> {
        let (ours, qemus) = UnixStream::pair()?;
        tie::note_writers(&ours)?;
        let (bond, printed, output): (_, OwnedFd, Box<dyn AsyncRead + Send + Unpin>) = match &self.tie {
            Tie::Parent => {
                let (reader, writer) = io::pipe()?;
                let output = Box::new(pipe::Receiver::from_owned_fd(reader.into())?);
                (Bond::Parent, writer.into(), output)
            }
            Tie::Detached { log } => {
                let mut options = OpenOptions::new();
                // Appended to, so that whoever keeps it short may cut it while QEMU writes.
                let file = open_regular(log, options.create(true).append(true).mode(0o600))
                    .and_then(|file| file.set_len(0).map(|()| file))
                    .map_err(|source| PipeError::Log { path: log.clone(), source })?;
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
            limits: std::mem::take(&mut self.limits),
            ..Program::default()
        };
        Ok((program, ours, output))
    }

    /// The option whose argument is the longest, and how long that is.
    pub(super) fn longest_argument(&self) -> Option<String> {
        let args: Vec<_> = self.line.args().collect();
        let (index, longest) = args.iter().enumerate().max_by_key(|(_, argument)| argument.len())?;
        let option = index.checked_sub(1).and_then(|before| args.get(before)).unwrap_or(longest);
        Some(format!("{} has {} bytes", option.display(), longest.len()))
    }

    /// The last lines that the child printed.
    pub(super) fn last_output(&self, tail: &Tail) -> Vec<String> {
        if let Tie::Detached { log } = &self.tie {
            let read = || {
                let mut file =
                    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(log)?;
                let length = file.metadata()?.len();
                file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
                let mut end = Vec::new();
                file.take(LOG_END).read_to_end(&mut end)?;
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
