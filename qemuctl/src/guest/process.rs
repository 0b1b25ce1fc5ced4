//! A program running in a guest, which also ends with the guest or the VM.

use std::fmt;
use std::pin::Pin;

use qmp_client::ClientError;
use qmp_client::agent::{Exec, ExecOutput, GuestSignal, Output};

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::GuestEnd;

/// The operation that errors of a running program name.
const ACTION: &str = "guest-exec";

/// A program running in the guest, started by [`Instance::spawn`]. Dropping it kills the program; see
/// [`detach`](Self::detach).
///
/// It is also a handle to its VM.
#[must_use = "dropping it kills the program"]
pub struct GuestProcess {
    inner: qmp_client::agent::GuestProcess,
    life: Life,
}

/// What can end a program from outside.
struct Life {
    vm: Instance,
    end: Pin<Box<dyn Future<Output = GuestEnd> + Send>>,
    over: Option<GuestEnd>,
}

impl Life {
    /// Runs `work`, unless the guest ends.
    async fn during<T>(&mut self, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, Error> {
        let done = tokio::select! {
            // What has been done counts.
            biased;
            done = work => Ok(done),
            end = async { match self.over { Some(end) => end, None => self.end.as_mut().await } } => Err(end),
        };
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.vm.explain_end(ACTION, error).await),
            Err(end) => {
                self.over = Some(end);
                Err(self.vm.explain_guest_end(ACTION, end).await)
            }
        }
    }
}

impl fmt::Debug for GuestProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, life } = self;
        f.debug_struct("GuestProcess")
            .field("vm", &life.vm.name())
            .field("id", &inner.id())
            .finish_non_exhaustive()
    }
}

/// # Programs in the guest
impl Instance {
    /// Starts a program in the guest and returns at once. While it runs, its output can be read, its input written, and
    /// signals can be sent to it.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// use qemuctl::{guest::Output, Exec};
    ///
    /// let build = Exec::new("make").arg("check").env("V", "1").current_dir("/src");
    /// let mut process = vm.spawn(&build).await?;
    /// while let Some(piece) = process.next().await? {
    ///     if let Output::Stderr(bytes) = piece {
    ///         eprint!("{}", String::from_utf8_lossy(&bytes));
    ///     }
    /// }
    /// println!("{:?}", process.wait().await?.code);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if the VM has no agent channel.
    /// - [`Error::Gone`] as soon as the VM ends, [`Error::Interrupted`] as soon as the guest is reset or panics.
    /// - [`Error::Qmp`] if the program cannot be started.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest as soon as it has started.
    pub async fn spawn(&self, exec: &Exec) -> Result<GuestProcess, Error> {
        self.spawn_with(async |agent| agent.spawn(exec).await).await
    }

    /// Starts a program in the guest whose output is collected by the agent: no files are created in the guest, and
    /// [`GuestProcess::wait`] returns all output at the end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_collected(&self, exec: &Exec) -> Result<GuestProcess, Error> {
        self.spawn_with(async |agent| agent.spawn_collected(exec).await).await
    }

    async fn spawn_with(
        &self,
        start: impl AsyncFnOnce(qmp_client::agent::Agent) -> Result<qmp_client::agent::GuestProcess, ClientError>,
    ) -> Result<GuestProcess, Error> {
        let mut life = Life { vm: self.clone(), end: Box::pin(self.guest_end()), over: None };
        let agent = self.agent().await?;
        let inner = life.during(start(agent)).await?;
        Ok(GuestProcess { inner, life })
    }
}

impl GuestProcess {
    /// Returns the program's process id in the guest.
    pub fn id(&self) -> i64 {
        self.inner.id()
    }

    /// Waits for the next piece of output. Returns `None` if the program has ended and all its output was returned.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the VM ends first, [`Error::Interrupted`] if the guest is reset or panics, [`Error::Qmp`] if the
    /// agent does not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Output>, Error> {
        self.life.during(self.inner.next()).await
    }

    /// Waits until the program has ended, and returns the rest of its output, up to [`Exec::output_limit`] bytes of
    /// each stream. Closes its standard input.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped: the next call continues.
    pub async fn wait(&mut self) -> Result<ExecOutput, Error> {
        self.life.during(self.inner.wait()).await
    }

    /// Writes to the program's standard input, and returns how many bytes were written: at most the first 64 KiB.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and [`Error::Qmp`] with a broken pipe if the program was not started with
    /// [`Exec::piped_stdin`], its input was closed, or it has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing was written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.life.during(self.inner.write(bytes)).await
    }

    /// Writes all of `bytes` to the program's standard input.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, part of the data may have been written. Use [`write`](Self::write).
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.life.during(self.inner.write_all(bytes)).await
    }

    /// Closes the program's standard input after the data that was written.
    pub fn close_stdin(&mut self) {
        self.inner.close_stdin();
    }

    /// Sends a signal to the program and its child processes. Returns false if it has ended.
    ///
    /// See [`signal`](qmp_client::agent::GuestProcess::signal) of the client for details.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the signal may or may not be sent.
    pub async fn signal(&mut self, signal: GuestSignal) -> Result<bool, Error> {
        self.life.during(self.inner.signal(signal)).await
    }

    /// Kills the program and its child processes, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next); [`Error::Qmp`] if it has not ended within 30 s.
    ///
    /// # Cancel safety
    ///
    /// As [`signal`](Self::signal).
    pub async fn kill(&mut self) -> Result<ExecOutput, Error> {
        self.life.during(self.inner.kill()).await
    }

    /// Leaves the program running in the guest, without reading its output.
    pub fn detach(self) {
        self.inner.detach();
    }
}
