//! From a VM to its guest agent.

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

/// How long a guest may take to fall asleep before an agent that stays silent is taken for one that obeys.
const FALLS_ASLEEP: Duration = Duration::from_secs(5);

/// How long a program that ran out of time may take to die.
const DIES: Duration = Duration::from_secs(5);

/// How long the end of a VM may take to be known once a line to it has ended.
const TELLS_WHY: Duration = Duration::from_secs(1);

impl Instance {
    /// The line to the agent in the guest: it runs programs, copies files, freezes file systems and tells addresses.
    ///
    /// The line is there before the agent is; see [`wait_agent`](Self::wait_agent). An agent serves one client at a time,
    /// so all who use this library take turns, command by command, in this process and in others: nobody has the line
    /// while a program runs in the guest.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no channel for an agent, [`Error::Qmp`] if its socket cannot be connected.
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
            // A launcher that knows nothing of turns, or a VM that is gone.
            let agent = Agent::connect(socket, &options).await;
            let agent = agent.map_err(|error| self.explain("connecting to the guest agent", error))?;
            (agent, Arc::default())
        };
        *known = Some((agent.clone(), state));
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
            Err(error) => Err(self.explain_line("waiting for the guest agent", error).await),
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

    /// Runs a program in the guest and waits until it has ended, for at most `limit`. A program that has not ended by then is
    /// killed in the guest, with all that it started.
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
    /// - [`Error::Missing`] if the VM has no channel for an agent.
    /// - [`Error::Gone`] if the VM ends meanwhile, [`Error::Interrupted`] if the guest is reset or panics: at once.
    /// - [`Error::Timeout`] if the program has not ended in time.
    /// - [`Error::Qmp`] if it cannot be started.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest.
    #[doc(alias = "guest-exec")]
    pub async fn exec(&self, exec: &Exec, limit: Duration) -> Result<ExecOutput, Error> {
        let begin = Instant::now();
        let started = timeout(limit, self.spawn_collected(exec)).await;
        let mut process = started.map_err(|_| self.program_is_late(limit))??;
        match timeout(limit.saturating_sub(begin.elapsed()), process.wait()).await {
            Ok(ended) => ended,
            Err(_) => Err(self.kill_late(process, limit).await),
        }
    }

    /// Runs a program in the guest and hands over what it prints while it runs, where the guest is a POSIX system. What is
    /// returned at the end has the exit code, and no output that was handed over.
    ///
    /// # Errors
    ///
    /// As [`exec`](Self::exec).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest; its further output is lost.
    pub async fn exec_streamed(
        &self,
        exec: &Exec,
        limit: Duration,
        mut output: impl FnMut(Output) + Send,
    ) -> Result<ExecOutput, Error> {
        let begin = Instant::now();
        let started = timeout(limit, self.spawn(exec)).await;
        let mut process = started.map_err(|_| self.program_is_late(limit))??;
        let follow = async {
            while let Some(piece) = process.next().await? {
                output(piece);
            }
            process.wait().await
        };
        match timeout(limit.saturating_sub(begin.elapsed()), follow).await {
            Ok(ended) => ended,
            Err(_) => Err(self.kill_late(process, limit).await),
        }
    }

    /// Kills a program whose time is up.
    async fn kill_late(&self, mut process: GuestProcess, limit: Duration) -> Error {
        match timeout(DIES, process.kill()).await {
            Ok(Err(error @ (Error::Gone { .. } | Error::Interrupted { .. }))) => error,
            // What is not known to be dead is killed once more by the drop.
            _ => self.program_is_late(limit),
        }
    }

    fn program_is_late(&self, after: Duration) -> Error {
        Error::Timeout { action: "running a program in the guest of", name: self.name().to_owned(), after }
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
            let _ = timeout(TELLS_WHY, self.wait_exit()).await;
        }
        self.explain_line(action, error).await
    }

    /// An agent that nobody could ask is told as such, with whoever kept its line.
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

/// A process for people: its number and its name, as far as that can be printed.
pub(super) fn describe(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim_end().chars().filter(|letter| !letter.is_control()).collect();
    let stopped = if is_stopped(pid) { ", which is stopped" } else { "" };
    if name.is_empty() { format!("process {pid}") } else { format!("{name} (process {pid}{stopped})") }
}
