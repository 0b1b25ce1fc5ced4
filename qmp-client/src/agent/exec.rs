//! Programs inside the guest: what to run, and how it ended.

/// How much of each output stream is kept unless [`Exec::output_limit`] says otherwise, in bytes. The agent itself keeps no
/// more of a program whose output it collects (measured on the agent of 7.2 and later).
pub const OUTPUT_LIMIT: usize = 16 << 20;

/// A program to be run in the guest.
///
/// ```
/// use qmp_client::agent::Exec;
///
/// let sort = Exec::new("sort").arg("-r").env("LC_ALL", "C").current_dir("/tmp").stdin("b\na\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Exec {
    /// The program: a path, or a name to be looked up in the agent's `PATH`.
    pub program: String,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Its whole environment, as `NAME=value`. Defaults to the agent's own.
    pub env: Option<Vec<String>>,
    /// Variables to add to that environment, as `NAME=value`; they replace variables of the same name.
    pub extra_env: Vec<String>,
    /// The directory in the guest to run it in. Defaults to the agent's own, which is `/`.
    pub current_dir: Option<String>,
    /// What it reads from its standard input. The agent takes some 32 MiB.
    pub stdin: Vec<u8>,
    /// Whether its standard input is written to while it runs, with [`GuestProcess::write`](crate::agent::GuestProcess::write); `stdin` is not used then.
    pub piped_stdin: bool,
    /// How much of each of its output streams is collected, in bytes; the rest is read and thrown away. Defaults to
    /// [`OUTPUT_LIMIT`].
    pub output_limit: usize,
}

impl Default for Exec {
    fn default() -> Self {
        Self {
            program: String::new(),
            args: Vec::new(),
            env: None,
            extra_env: Vec::new(),
            current_dir: None,
            stdin: Vec::new(),
            piped_stdin: false,
            output_limit: OUTPUT_LIMIT,
        }
    }
}

impl Exec {
    /// Runs `program` without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Runs `program` with `args`.
    pub fn with_args<A: Into<String>>(program: impl Into<String>, args: impl IntoIterator<Item = A>) -> Self {
        Self::new(program).args(args)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.extra_env.push(format!("{name}={value}"));
        self
    }

    /// Runs the program in this directory of the guest.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<String>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Gives the program these bytes as its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Has the program's standard input written to while it runs.
    #[must_use]
    pub fn piped_stdin(mut self) -> Self {
        self.piped_stdin = true;
        self
    }

    /// Collects at most `bytes` of each output stream.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
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
    /// Whether it wrote more than [`Exec::output_limit`] allows, to either of them.
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

impl ExecOutput {
    /// Adds a piece of output, up to `limit` bytes of each stream.
    pub(super) fn collect(&mut self, piece: Output, limit: usize) {
        let (kept, bytes) = match piece {
            Output::Stdout(bytes) => (&mut self.stdout, bytes),
            Output::Stderr(bytes) => (&mut self.stderr, bytes),
        };
        let room = limit.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
        self.truncated |= room < bytes.len();
    }
}
