//! Access to a VM's guest agent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::CharNode;
use qmp_client::agent::{Agent, Exec, ExecOutput, Frozen, Output};
use qmp_client::{ClientError, Liveness, Options};
use qmp_proto::qga::{GuestNetworkGetInterfaces, GuestNetworkInterface, GuestSuspendRam};
use tokio::time::{Instant, timeout};

use crate::channel::{Device, lock_file, open_line};
use crate::error::Error;
use crate::instance::Instance;
use qemu_discovery::process::is_stopped;

use super::process::GuestProcess;

/// How long to wait for a guest to be suspended before the agent's silence is taken for success.
const FALLS_ASLEEP: Duration = Duration::from_secs(5);

/// How long a program that timed out may take to end.
const DIES: Duration = Duration::from_secs(5);

/// How long to wait for the VM's end to become known after a connection to it has ended.
const TELLS_WHY: Duration = Duration::from_secs(1);

/// # Guest agent
impl Instance {
    /// Returns a connection to the guest agent, which runs programs, copies files, freezes file systems and reports
    /// addresses.
    ///
    /// The connection can be opened before the agent is running; see [`wait_agent`](Self::wait_agent). An agent serves
    /// one client at a time, so all users of this library take turns, command by command, in this process and in
    /// others. The connection is not occupied while a program runs in the guest.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no agent channel, [`Error::Qmp`] if its socket cannot be connected.
    pub async fn agent(&self) -> Result<Agent, Error> {
        let mut known = self.agent_slot().lock().await;
        if let Some((agent, _)) = known.as_ref()
            && !matches!(*agent.liveness().borrow(), Liveness::Closed(_))
        {
            return Ok(agent.clone());
        }
        let socket = self.agent_socket().ok_or_else(|| self.missing("guest agent channel"))?;
        let options = Options::default();
        let (agent, state) = if lock_file(socket).exists() {
            let is_it =
                |node: &CharNode| node.props.get_str("path").is_some_and(|path| Path::new(path) == socket);
            let plan = self.plan();
            let node = plan.as_deref().and_then(|plan| plan.chardevs().find(|node| is_it(node)));
            let device =
                node.map(|node| Device { session: self.qmp().clone(), chardev: node.id.to_string() });
            let (stream, state) = open_line(socket.to_owned(), device, self.vm().exits());
            (Agent::over(stream, &options), state)
        } else {
            // Another launcher may not have created the lock file, or the VM is gone.
            let agent = Agent::connect(socket, &options).await;
            let agent = agent.map_err(|error| self.explain("connecting to the guest agent", error))?;
            (agent, Arc::default())
        };
        *known = Some((agent.clone(), state));
        Ok(agent)
    }

    /// Waits for the guest agent to answer, for example while the guest is booting, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if it does not answer in time.
    pub async fn wait_agent(&self, timeout: Duration) -> Result<Agent, Error> {
        let agent = self.agent().await?;
        match agent.wait_ready(timeout).await {
            Ok(()) => Ok(agent),
            Err(error) => Err(self.explain_line("waiting for the guest agent", error).await),
        }
    }

    /// Suspends the guest (ACPI S3) through its agent; [`wake`](Self::wake) wakes it.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if the agent refuses, since not all guests support it.
    pub async fn suspend(&self) -> Result<(), Error> {
        let agent = self.agent().await?;
        let asked = agent.execute_unanswered(GuestSuspendRam {}, FALLS_ASLEEP).await;
        asked.map_err(|error| self.explain("guest-suspend-ram", error))
    }

    /// Runs a program in the guest and waits until it has ended, for at most `timeout`. After that it is killed in the
    /// guest, together with its child processes.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// use std::time::Duration;
    /// use qemuctl::Exec;
    ///
    /// let output = vm.exec(&Exec::new("sort").arg("-r").stdin("a\nb\n"), Duration::from_secs(10)).await?;
    /// assert_eq!((output.code, output.stdout.as_slice()), (Some(0), &b"b\na\n"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if the VM has no agent channel.
    /// - [`Error::Gone`] as soon as the VM ends, [`Error::Interrupted`] as soon as the guest is reset or panics.
    /// - [`Error::Timeout`] if the program has not ended in time.
    /// - [`Error::Qmp`] if it cannot be started.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest.
    #[doc(alias = "guest-exec")]
    pub async fn exec(&self, exec: &Exec, timeout: Duration) -> Result<ExecOutput, Error> {
        let begin = Instant::now();
        let started = tokio::time::timeout(timeout, self.spawn_collected(exec)).await;
        let mut process = started.map_err(|_| self.program_is_late(timeout))??;
        match tokio::time::timeout(timeout.saturating_sub(begin.elapsed()), process.wait()).await {
            Ok(ended) => ended,
            Err(_) => Err(self.kill_late(process, timeout).await),
        }
    }

    /// Runs a program in the guest and passes its output to `output` while it runs, if the guest is a POSIX system. The
    /// result has the exit code, and no output that was passed on already.
    ///
    /// # Errors
    ///
    /// As [`exec`](Self::exec).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest, and its further output is lost.
    pub async fn exec_streamed(
        &self,
        exec: &Exec,
        timeout: Duration,
        mut output: impl FnMut(Output) + Send,
    ) -> Result<ExecOutput, Error> {
        let begin = Instant::now();
        let started = tokio::time::timeout(timeout, self.spawn(exec)).await;
        let mut process = started.map_err(|_| self.program_is_late(timeout))??;
        let follow = async {
            while let Some(piece) = process.next().await? {
                output(piece);
            }
            process.wait().await
        };
        match tokio::time::timeout(timeout.saturating_sub(begin.elapsed()), follow).await {
            Ok(ended) => ended,
            Err(_) => Err(self.kill_late(process, timeout).await),
        }
    }

    /// Kills a program that timed out.
    async fn kill_late(&self, mut process: GuestProcess, timeout: Duration) -> Error {
        match tokio::time::timeout(DIES, process.kill()).await {
            Ok(Err(error @ (Error::Gone { .. } | Error::Interrupted { .. }))) => error,
            // If it is not known to have ended, dropping it kills it once more.
            _ => self.program_is_late(timeout),
        }
    }

    fn program_is_late(&self, after: Duration) -> Error {
        Error::Timeout { action: "running a program in the guest of", name: self.name().to_owned(), after }
    }

    /// Returns the guest's network interfaces and addresses, as reported by its agent.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if the agent refuses or does not answer.
    #[doc(alias = "guest-network-get-interfaces")]
    pub async fn network_interfaces(&self) -> Result<Vec<GuestNetworkInterface>, Error> {
        let interfaces = self.agent().await?.execute(GuestNetworkGetInterfaces {}).await;
        interfaces.map_err(|error| self.explain("guest-network-get-interfaces", error))
    }

    /// Freezes the guest's file systems, or only those at `mount_points`, until the guard is dropped or
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

    /// Turns the end of a connection to the guest into the end of the VM, if that is the reason.
    pub(super) async fn explain_end(&self, action: &'static str, error: ClientError) -> Error {
        if let ClientError::Closed { .. } = error {
            // The connection ends a moment before the reason is known.
            let _ = timeout(TELLS_WHY, self.wait_exit()).await;
        }
        self.explain_line(action, error).await
    }

    /// Reports an agent that could not be reached, with the process that occupied its connection.
    async fn explain_line(&self, action: &'static str, error: ClientError) -> Error {
        if let ClientError::NoAgent { .. } = error
            && let Some((_, state)) = self.agent_slot().lock().await.as_ref()
            && let Some(pid) = state.held_by()
        {
            let (name, what) = (self.name().to_owned(), "guest agent");
            return Error::InUse { name, what, by: describe(pid) };
        }
        self.explain(action, error)
    }
}

/// Describes a process by name and id.
pub(super) fn describe(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim_end().chars().filter(|letter| !letter.is_control()).collect();
    let stopped = if is_stopped(pid) { ", which is stopped" } else { "" };
    if name.is_empty() { format!("process {pid}") } else { format!("{name} (process {pid}{stopped})") }
}
