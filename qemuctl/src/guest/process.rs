//! A program that runs in a guest, whose end is also the guest's and the VM's.

use std::fmt;
use std::pin::Pin;

use qmp_client::ClientError;
use qmp_client::agent::{Exec, ExecOutput, GuestSignal, Output};

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::GuestEnd;

/// What the errors of a running program name.
const ACTION: &str = "guest-exec";

/// A program that runs in the guest, made by [`Instance::spawn`]. Dropping it kills the program; see
/// [`detach`](Self::detach).
///
/// It is a handle on its VM as well.
#[must_use = "dropping it kills the program"]
pub struct GuestProcess {
    inner: qmp_client::agent::GuestProcess,
    life: Life,
}

/// What ends a program from outside.
struct Life {
    vm: Instance,
    end: Pin<Box<dyn Future<Output = GuestEnd> + Send>>,
    over: Option<GuestEnd>,
}

impl Life {
    /// Does `work` unless the guest is at its end.
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

impl Instance {
    /// Starts a program in the guest and returns at once. Its output can be read while it runs, its input be written, and it
    /// can be sent signals.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// use qemuctl::{Exec, Output};
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
    /// - [`Error::Missing`] if the VM has no channel for an agent.
    /// - [`Error::Gone`] if the VM ends meanwhile, [`Error::Interrupted`] if the guest is reset or panics: at once.
    /// - [`Error::Qmp`] if the program cannot be started.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest as soon as it has started.
    pub async fn spawn(&self, exec: &Exec) -> Result<GuestProcess, Error> {
        self.spawn_with(async |agent| agent.spawn(exec).await).await
    }

    /// Starts a program in the guest whose output the agent collects: nothing is written to files in the guest, and
    /// [`GuestProcess::wait`] returns all of the output at the end.
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
    /// The program's process number in the guest.
    pub fn id(&self) -> i64 {
        self.inner.id()
    }

    /// Waits for the next piece of output. None: the program has ended and all its output was taken.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the VM ends first, [`Error::Interrupted`] if the guest is reset or panics, [`Error::Qmp`] if the
    /// agent does not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Output>, Error> {
        self.life.during(self.inner.next()).await
    }

    /// Waits until the program has ended, and returns what of its output was not taken yet, up to
    /// [`Exec::output_limit`] bytes of each stream. Closes its standard input.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next call goes on.
    pub async fn wait(&mut self) -> Result<ExecOutput, Error> {
        self.life.during(self.inner.wait()).await
    }

    /// Hands over bytes for the program's standard input, and returns how many were taken: the first 64 KiB at most.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and [`Error::Qmp`] with a broken pipe if the program was not started with
    /// [`Exec::piped_stdin`], its input was closed, or it has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing was taken.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.life.during(self.inner.write(bytes)).await
    }

    /// Hands over all of `bytes` for the program's standard input.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part may have been taken if the future is dropped. Use [`write`](Self::write).
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.life.during(self.inner.write_all(bytes)).await
    }

    /// Closes the program's standard input behind what was handed over.
    pub fn close_stdin(&mut self) {
        self.inner.close_stdin();
    }

    /// Sends a signal to the program and all that it started. False: it has ended.
    ///
    /// See [`signal`](qmp_client::agent::GuestProcess::signal) of the client for how.
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

    /// Kills the program and all that it started, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next); [`Error::Qmp`] if it is not gone within 30 s.
    ///
    /// # Cancel safety
    ///
    /// As [`signal`](Self::signal).
    pub async fn kill(&mut self) -> Result<ExecOutput, Error> {
        self.life.during(self.inner.kill()).await
    }

    /// Lets the program run on in the guest, with nobody to read its output.
    pub fn detach(self) {
        self.inner.detach();
    }
}
