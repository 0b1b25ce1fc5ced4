//! Descriptions of programs to run in the guest, and their results.

/// The default of [`Exec::output_limit`], in bytes. It is also the agent's own limit for output that it collects
/// (measured with 7.2 and later).
pub const OUTPUT_LIMIT: usize = 16 << 20;

/// A program to run in the guest.
///
/// ```
/// use qmp_client::agent::Exec;
///
/// let sort = Exec::new("sort").arg("-r").env("LC_ALL", "C").current_dir("/tmp").stdin("b\na\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Exec {
    /// The program: a path, or a name that is looked up in the agent's `PATH`.
    pub program: String,
    /// The arguments, without the program's name.
    pub args: Vec<String>,
    /// The complete environment, as `NAME=value`. Defaults to the agent's own.
    pub env: Option<Vec<String>>,
    /// Variables to add to the environment, as `NAME=value`. They replace variables of the same name.
    pub extra_env: Vec<String>,
    /// The working directory in the guest. Defaults to the agent's own, which is `/`.
    pub current_dir: Option<String>,
    /// The data for its standard input. The agent accepts some 32 MiB.
    pub stdin: Vec<u8>,
    /// Whether standard input is written while the program runs, with
    /// [`GuestProcess::write`](crate::agent::GuestProcess::write); `stdin` is then ignored.
    pub piped_stdin: bool,
    /// The maximum number of bytes to collect from each output stream; the rest is discarded. Defaults to
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
    /// Describes running `program` without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Describes running `program` with `args`.
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

    /// Sets the working directory in the guest.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<String>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Sets the data for standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Lets standard input be written while the program runs.
    #[must_use]
    pub fn piped_stdin(mut self) -> Self {
        self.piped_stdin = true;
        self
    }

    /// Sets the maximum number of bytes to collect from each output stream.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }
}

// Arguments, environment and input may contain secrets.
impl std::fmt::Debug for Exec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Exec").field("program", &self.program).finish_non_exhaustive()
    }
}

/// How a program in the guest ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecOutput {
    /// The exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that killed it, or the exception on Windows, if it did not exit.
    pub signal: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Whether either stream was truncated to [`Exec::output_limit`].
    pub truncated: bool,
}

/// A piece of output of a running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout(Vec<u8>),
    /// Standard error.
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
