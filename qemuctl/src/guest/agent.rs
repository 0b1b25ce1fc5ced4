//! From a VM to its guest agent.

use std::time::Duration;

use qmp_client::agent::{Agent, Exec, ExecOutput, Frozen, Output};
use qmp_client::{ClientError, Liveness, Options};
use qmp_proto::qga::{GuestNetworkGetInterfaces, GuestNetworkInterface, GuestSuspendRam};

use crate::error::Error;
use crate::instance::Instance;

/// How long a guest may take to fall asleep before an agent that stays silent is taken for one that obeys.
const FALLS_ASLEEP: Duration = Duration::from_secs(5);

/// How long the end of a VM may take to be known once a line to it has ended.
const TELLS_WHY: Duration = Duration::from_secs(1);

impl Instance {
    /// The line to the agent in the guest: it runs programs, copies files, freezes file systems and tells addresses.
    ///
    /// The line is there before the agent is; see [`wait_agent`](Self::wait_agent). It is opened at the first call and
    /// shared by the later ones: an agent serves one client.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no channel for an agent, [`Error::Qmp`] if its socket cannot be connected.
    pub async fn agent(&self) -> Result<Agent, Error> {
        let mut known = self.agent_slot().lock().await;
        if let Some(agent) = known.as_ref()
            && !matches!(*agent.liveness().borrow(), Liveness::Closed(_))
        {
            return Ok(agent.clone());
        }
        let socket = self.agent_socket().ok_or_else(|| self.missing("guest agent channel"))?;
        let agent = Agent::connect(socket, &Options::default()).await;
        let agent = agent.map_err(|error| self.explain("connecting to the guest agent", error))?;
        *known = Some(agent.clone());
        Ok(agent)
    }

    /// Waits until the guest's agent answers, as after the guest's start, for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if it does not answer in time.
    pub async fn wait_agent(&self, limit: Duration) -> Result<Agent, Error> {
        let agent = self.agent().await?;
        match agent.wait_ready(limit).await {
            Ok(()) => Ok(agent),
            Err(error) => Err(self.explain("waiting for the guest agent", error)),
        }
    }

    /// Puts the guest to sleep (ACPI S3) through its agent; [`wake`](Self::wake) wakes it.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if the agent refuses: not every guest can sleep.
    pub async fn suspend(&self) -> Result<(), Error> {
        let agent = self.agent().await?;
        let asked = agent.execute_unanswered(GuestSuspendRam {}, FALLS_ASLEEP).await;
        asked.map_err(|error| self.explain("guest-suspend-ram", error))
    }

    /// Runs a program in the guest and waits until it has ended, for at most `limit`.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// use std::time::Duration;
    /// use qemuctl::Exec;
    ///
    /// let sort = Exec { stdin: b"b\na\n".to_vec(), ..Exec::with_args("sort", ["-r"]) };
    /// let output = vm.exec(&sort, Duration::from_secs(10)).await?;
    /// assert_eq!((output.code, output.stdout.as_slice()), (Some(0), &b"b\na\n"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if the VM has no channel for an agent.
    /// - [`Error::Gone`] if the VM ends meanwhile.
    /// - [`Error::Qmp`] if the program cannot be started, or has not ended in time; it runs on in the guest then.
    ///
    /// # Cancel safety
    ///
    /// Once started, the program runs on in the guest even if the future is dropped.
    #[doc(alias = "guest-exec")]
    pub async fn exec(&self, exec: &Exec, limit: Duration) -> Result<ExecOutput, Error> {
        match self.agent().await?.exec(exec, limit).await {
            Ok(output) => Ok(output),
            Err(error) => Err(self.explain_end("guest-exec", error).await),
        }
    }

    /// Runs a program in a POSIX guest and hands over what it prints while it runs. What is returned at the end has the
    /// exit code, and no output.
    ///
    /// # Errors
    ///
    /// As [`exec`](Self::exec), and [`Error::Timeout`] if the program has not ended within `limit`; it runs on in the
    /// guest then.
    ///
    /// # Cancel safety
    ///
    /// Once started, the program runs on in the guest even if the future is dropped; its further output is lost.
    pub async fn exec_streamed(
        &self,
        exec: &Exec,
        limit: Duration,
        mut output: impl FnMut(Output) + Send,
    ) -> Result<ExecOutput, Error> {
        let agent = self.agent().await?;
        let run = async {
            let mut running = agent.exec_streamed(exec, limit).await?;
            while let Some(piece) = running.next().await? {
                output(piece);
            }
            running.wait().await
        };
        match tokio::time::timeout(limit, run).await {
            Ok(Ok(ended)) => Ok(ended),
            Ok(Err(error)) => Err(self.explain_end("guest-exec", error).await),
            Err(_) => Err(Error::Timeout {
                action: "a program in the guest",
                name: self.name().to_owned(),
                after: limit,
            }),
        }
    }

    /// The guest's network interfaces with their addresses, as its agent sees them.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if the agent refuses or does not answer.
    #[doc(alias = "guest-network-get-interfaces")]
    pub async fn network_interfaces(&self) -> Result<Vec<GuestNetworkInterface>, Error> {
        let interfaces = self.agent().await?.execute(GuestNetworkGetInterfaces {}).await;
        interfaces.map_err(|error| self.explain("guest-network-get-interfaces", error))
    }

    /// Freezes the guest's file systems, or those at `mount_points` only, until the guard is dropped or
    /// [thawed](Frozen::thaw).
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if the agent refuses or does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, or the agent answers too late, the file systems are thawed.
    #[doc(alias = "guest-fsfreeze-freeze")]
    pub async fn freeze(&self, mount_points: Option<&[&str]>) -> Result<Frozen, Error> {
        let frozen = self.agent().await?.freeze(mount_points).await;
        frozen.map_err(|error| self.explain("guest-fsfreeze-freeze", error))
    }

    /// The end of a line to the guest is told as the end of the VM, if that is what it was.
    pub(super) async fn explain_end(&self, action: &'static str, error: ClientError) -> Error {
        if let ClientError::Closed { .. } = error {
            // The line ends a moment before it is known why.
            let _ = tokio::time::timeout(TELLS_WHY, self.wait_exit()).await;
        }
        self.explain(action, error)
    }
}
