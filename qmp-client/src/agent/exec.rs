//! Programs inside the guest.
//!
//! The agent hands out a program's output only once it has ended. To see it while it runs, a shell in the guest
//! sends it to files, which are read as they grow; that needs a POSIX guest with `sh`, `mktemp` and `rm`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::agent::{Agent, GuestFile, OpenMode, bad_reply, pause};
use crate::command;
use crate::error::ClientError;
use crate::outgoing::Outgoing;

/// How long the first wait between two questions to the agent is.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// How much output is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// A program to be run in the guest.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// The program: a path, or a name to be looked for in the agent's `PATH`.
    pub program: String,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Its environment, as `NAME=value`. None: the agent's own.
    pub env: Option<Vec<String>>,
    /// What it reads from its standard input.
    pub stdin: Vec<u8>,
}

impl Exec {
    /// Runs `program` without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Runs `program` with `args`.
    pub fn with_args<A: Into<String>>(program: impl Into<String>, args: impl IntoIterator<Item = A>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::new(program) }
    }
}

// Arguments, environment and input may hold secrets.
impl std::fmt::Debug for Exec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Exec").field("program", &self.program).finish_non_exhaustive()
    }
}

/// How a program in the guest ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecOutput {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that killed it, or on Windows the exception, if it did not exit.
    pub signal: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// The agent keeps 16 MiB of each; true if there was more.
    pub truncated: bool,
}

/// A piece of output of a running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// From its standard output.
    Stdout(Vec<u8>),
    /// From its standard error.
    Stderr(Vec<u8>),
}

#[derive(Deserialize)]
struct Started {
    pid: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    exited: bool,
    exitcode: Option<i32>,
    signal: Option<i32>,
    out_data: Option<String>,
    err_data: Option<String>,
    #[serde(default)]
    out_truncated: bool,
    #[serde(default)]
    err_truncated: bool,
}

impl Status {
    fn into_output(self) -> Result<ExecOutput, ClientError> {
        let bytes = |text: Option<String>, path| {
            let text = text.unwrap_or_default();
            STANDARD.decode(text).map_err(|error| bad_reply("guest-exec-status", path, error))
        };
        Ok(ExecOutput {
            code: self.exitcode,
            signal: self.signal,
            stdout: bytes(self.out_data, "out-data")?,
            stderr: bytes(self.err_data, "err-data")?,
            truncated: self.out_truncated || self.err_truncated,
        })
    }
}

impl Agent {
    /// Runs a program in the guest and waits until it has ended, for at most `deadline`.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Refused`] if the program cannot be started.
    /// - [`ClientError::Timeout`] if it has not ended in time; it goes on running in the guest.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Once started, the program runs on in the guest even if the future is dropped.
    pub async fn exec(&self, exec: &Exec, deadline: Duration) -> Result<ExecOutput, ClientError> {
        let begin = Instant::now();
        let pid = self.start_program(exec, true).await?;
        let mut step = FIRST_PAUSE;
        loop {
            let status = self.program_status(pid).await?;
            if status.exited {
                return status.into_output();
            }
            if begin.elapsed() + step > deadline {
                let command = "guest-exec-status".into();
                return Err(ClientError::Timeout { command, after: deadline, sent: true });
            }
            pause(&mut step).await;
        }
    }

    /// Starts a program in a POSIX guest, whose output can be had while it runs.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Refused`] if the guest has no `/bin/sh`.
    /// - [`ClientError::Decode`] if the guest cannot make a temporary folder.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Once started, the program runs on in the guest even if the future is dropped; a temporary folder
    /// may then stay behind in the guest.
    pub async fn exec_streamed(&self, exec: &Exec, deadline: Duration) -> Result<Running, ClientError> {
        let mktemp = Exec::with_args("/bin/sh", ["-c", "umask 077 && mktemp -d"]);
        let made = self.exec(&mktemp, deadline).await?;
        let folder = String::from_utf8_lossy(&made.stdout).trim_end().to_owned();
        if made.code != Some(0) || !folder.starts_with('/') {
            return Err(bad_reply("guest-exec", "$", String::from_utf8_lossy(&made.stderr)));
        }
        let folder = Folder { agent: self.clone(), path: folder };
        // The shell becomes the program, so that its exit code is the program's.
        // What the shell itself has to say begins with its name.
        let script = r#"d=$1 && shift && : >"$d/out" && : >"$d/err" && exec "$@" >"$d/out" 2>"$d/err""#;
        let name = "sh".to_owned();
        let mut args = vec!["-c".into(), script.into(), name, folder.path.clone(), exec.program.clone()];
        args.extend_from_slice(&exec.args);
        let shell = Exec { program: "/bin/sh".into(), args, ..exec.clone() };
        let pid = self.start_program(&shell, false).await?;
        let mut step = FIRST_PAUSE;
        let begin = Instant::now();
        let (stdout, stderr) = loop {
            // The shell makes the second file after the first, so both are there once the second is.
            match self.open_file(&format!("{}/err", folder.path), OpenMode::Read).await {
                Ok(stderr) => {
                    let stdout = self.open_file(&format!("{}/out", folder.path), OpenMode::Read).await?;
                    break (stdout, stderr);
                }
                Err(ClientError::Refused { .. }) if begin.elapsed() < deadline => pause(&mut step).await,
                Err(error) => return Err(error),
            }
        };
        Ok(Running { pid, stdout, stderr, folder, ended: None, step: FIRST_PAUSE })
    }

    async fn start_program(&self, exec: &Exec, capture: bool) -> Result<i64, ClientError> {
        let mut arguments = json!({ "path": exec.program, "arg": exec.args, "capture-output": capture });
        if let Some(env) = &exec.env {
            arguments["env"] = json!(env);
        }
        if !exec.stdin.is_empty() {
            arguments["input-data"] = Value::String(STANDARD.encode(&exec.stdin));
        }
        Ok(self.raw::<Started>("guest-exec", Some(arguments), None).await?.pid)
    }

    async fn program_status(&self, pid: i64) -> Result<Status, ClientError> {
        self.raw("guest-exec-status", Some(json!({ "pid": pid })), None).await
    }
}

/// A temporary folder in the guest, removed when dropped.
#[derive(Debug)]
struct Folder {
    agent: Agent,
    path: String,
}

impl Drop for Folder {
    fn drop(&mut self) {
        let arguments = json!({ "path": "rm", "arg": ["-rf", "--", self.path] });
        let remove = Outgoing::in_band(command::known("guest-exec", &arguments));
        self.agent.line.link.send_detached(remove);
    }
}

/// A program running in the guest. Dropping it leaves the program alone and removes the files its output went
/// through.
#[derive(Debug)]
pub struct Running {
    pid: i64,
    stdout: GuestFile,
    stderr: GuestFile,
    folder: Folder,
    ended: Option<Status>,
    step: Duration,
}

impl std::fmt::Debug for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "Status {{ exited: {} }}", self.exited)
    }
}

impl Running {
    /// The program's process number in the guest.
    pub fn pid(&self) -> i64 {
        self.pid
    }

    /// Waits for the next piece of output. None: the program has ended and all its output was taken.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a piece may be lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Output>, ClientError> {
        loop {
            let piece = self.stdout.read(PIECE).await?;
            if !piece.is_empty() {
                self.step = FIRST_PAUSE;
                return Ok(Some(Output::Stdout(piece)));
            }
            let piece = self.stderr.read(PIECE).await?;
            if !piece.is_empty() {
                self.step = FIRST_PAUSE;
                return Ok(Some(Output::Stderr(piece)));
            }
            if self.ended.is_some() {
                return Ok(None);
            }
            let status = self.folder.agent.program_status(self.pid).await?;
            if status.exited {
                // Once more for what was written between the last look and the end.
                self.ended = Some(status);
            } else {
                pause(&mut self.step).await;
            }
        }
    }

    /// Takes the rest of the output and says how the program ended.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: output is lost if the future is dropped.
    pub async fn wait(mut self) -> Result<ExecOutput, ClientError> {
        let mut output = ExecOutput::default();
        while let Some(piece) = self.next().await? {
            match piece {
                Output::Stdout(bytes) => output.stdout.extend(bytes),
                Output::Stderr(bytes) => output.stderr.extend(bytes),
            }
        }
        if let Some(status) = &self.ended {
            output.code = status.exitcode;
            output.signal = status.signal;
        }
        Ok(output)
    }
}
