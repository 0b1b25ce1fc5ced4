//! A program that is run for a moment.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use super::{FdMapping, Process, ProcessExit, Program, Tail, Watcher, spawn};

/// How long a killed program is waited for.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How long its last words are waited for once it has ended. A program that it left behind may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A program that is run for a moment, and asked in English. Dropped, it is killed; that blocks until it is gone.
#[derive(Debug)]
pub struct Brief {
    process: Arc<Process>,
    watcher: Watcher,
    words: Tail,
    drain: JoinHandle<()>,
}

impl Brief {
    /// Starts it. What it prints to its standard error is kept; a standard stream that it is given nothing for is empty.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed.
    pub async fn start(mut program: Program) -> io::Result<Self> {
        let (errors, printed) = io::pipe()?;
        let errors = pipe::Receiver::from_owned_fd(errors.into())?;
        program.descriptors.push(FdMapping { parent_fd: printed.into(), child_fd: 2 });
        for stream in [0, 1] {
            if !program.descriptors.iter().any(|given| given.child_fd == stream) {
                let nothing = File::options().read(true).write(true).open("/dev/null")?;
                program.descriptors.push(FdMapping { parent_fd: nothing.into(), child_fd: stream });
            }
        }
        program.variables.push(("LC_ALL".into(), "C".into()));
        let process = spawn(program).await?;
        let watcher = Watcher::new(process.clone()).inspect_err(|_| {
            process.kill_blocking(KILL_LIMIT);
        })?;
        let words = Tail::default();
        // While it runs, so that a full pipe does not stop it.
        let drain = tokio::spawn(words.clone().drain(errors));
        Ok(Self { process, watcher, words, drain })
    }

    /// A pipe for its standard output: our end, and what goes to [`Program::descriptors`].
    pub fn output() -> io::Result<(pipe::Receiver, FdMapping)> {
        let (reader, writer) = io::pipe()?;
        let ours = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok((ours, FdMapping { parent_fd: writer.into(), child_fd: 1 }))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for its end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ended(&self) -> ProcessExit {
        self.watcher.ended().await
    }

    /// Kills it, if it still runs. Blocks until it is gone.
    pub fn kill(&self) -> ProcessExit {
        self.process.kill_blocking(KILL_LIMIT).unwrap_or(ProcessExit::Unknown)
    }

    /// The last lines that it printed to its standard error. To be called once it has ended.
    pub async fn last_words(&mut self) -> String {
        // Too late is no error: what was read so far counts.
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.drain).await;
        self.words.lines().join("\n")
    }
}

impl Drop for Brief {
    fn drop(&mut self) {
        self.process.kill_blocking(KILL_LIMIT);
        self.drain.abort();
    }
}
