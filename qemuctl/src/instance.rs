//! The handle to a VM.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::Plan;
use qmp_client::agent::Agent;
use qmp_client::{ClientError, Session};
use qmp_proto::Command;
use serde_json::Value;
use tokio::sync::{OnceCell, watch};
use tokio::task::AbortHandle;

use crate::channel::{Console, LineState};
use crate::error::Error;
use crate::reason::ExitReason;
use crate::runtime::Plans;
use crate::state::State;
use crate::supervise::{Exit, Watched};

/// How long to wait for the VM's end to become known after a connection to it has ended.
const TELLS_WHY: Duration = Duration::from_secs(2);

/// Who owns a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// Started by this process and tied to it: it ends when the last handle is dropped, or with the process.
    Owned,
    /// Started by this process, but outlives its handles and this process.
    Detached,
    /// Started by another program. Dropping handles does not affect it.
    Attached,
}

/// A running QEMU. Clones are handles to the same VM.
///
/// A VM is supervised by the tokio runtime that it was started or attached on. After that has ended, such as the one of
/// a `#[tokio::test]`, [`state`](Self::state), [`wait`](Self::wait), [`stop`](Self::stop) and [`kill`](Self::kill)
/// still work in any other runtime; methods that need the connection to QEMU fail with [`Error::Unsupervised`]. A VM
/// that is shared by several tests should be started on a runtime that outlives them, such as that of the module
/// `blocking`.
///
/// Dropping the last handle to a VM that [`start`](Self::start) launched kills it and removes its files, which blocks
/// for a moment. To end it gently, call [`stop`](Self::stop) first.
///
/// ```no_run
/// # async fn example() -> Result<(), qemuctl::Error> {
/// use std::time::Duration;
/// use qemuctl::{Instance, VmConfig};
///
/// let config = VmConfig { name: Some("first".into()), ..VmConfig::default() };
/// let vm = Instance::start(&config).await?;
/// println!("started {} (process {:?}): {}", vm.name(), vm.pid(), vm.state());
/// let outcome = vm.stop(Duration::from_secs(30)).await?;
/// println!("{outcome}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Instance(Arc<Handle>);

/// The connection to the guest agent, once it was needed.
type AgentSlot = tokio::sync::Mutex<Option<(Agent, Arc<LineState>)>>;

/// Shared by the clones of a handle; dropped with the last of them.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) name: String,
    pub(crate) ownership: Ownership,
    pub(crate) vm: Arc<Watched>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) agent: Option<PathBuf>,
    pub(crate) agent_line: AgentSlot,
    pub(crate) console: OnceCell<Console>,
    pub(crate) plans: Arc<Plans>,
    pub(crate) warnings: Vec<String>,
    pub(crate) task: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        match self.ownership {
            Ownership::Owned => self.vm.kill_blocking(),
            // The process has to be waited for when it ends.
            Ownership::Detached => {}
            Ownership::Attached => self.task.abort(),
        }
    }
}

/// # Identity, state and QMP
impl Instance {
    pub(crate) fn new(handle: Handle) -> Self {
        Self(Arc::new(handle))
    }

    pub(crate) fn vm(&self) -> &Watched {
        &self.0.vm
    }

    pub(crate) fn agent_slot(&self) -> &AgentSlot {
        &self.0.agent_line
    }

    pub(crate) fn console_cell(&self) -> &OnceCell<Console> {
        &self.0.console
    }

    /// Returns the VM's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns QEMU's process id. `None` for an attached VM whose process is not visible, or is not known to be a QEMU,
    /// since a proxy may serve its monitor.
    pub fn pid(&self) -> Option<u32> {
        self.vm().process.as_ref().map(|process| process.pid())
    }

    /// Returns who owns the VM.
    pub fn ownership(&self) -> Ownership {
        self.0.ownership
    }

    /// Returns the monitor socket that other programs can attach to.
    pub fn socket(&self) -> Option<&Path> {
        self.0.socket.as_deref()
    }

    /// Returns the socket of the guest agent, if the VM has one.
    pub fn agent_socket(&self) -> Option<&Path> {
        self.0.agent.as_deref()
    }

    /// Returns the ids and addresses of the VM's devices, including [hotplugged](Self::plug) ones. `None` if the VM was
    /// not started by this library.
    pub fn plan(&self) -> Option<Arc<Plan>> {
        self.0.plans.now()
    }

    pub(crate) fn plans(&self) -> &Arc<Plans> {
        &self.0.plans
    }

    /// Returns the warnings of the launch, for example that KVM is not available.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// Returns the last lines of QEMU's own output. Empty for an attached VM.
    pub fn output(&self) -> Vec<String> {
        self.vm().output.lines()
    }

    /// Returns the last known state.
    pub fn state(&self) -> State {
        self.vm().state()
    }

    /// Returns a channel with the current state and all later ones. A slow reader gets only the newest.
    pub fn states(&self) -> watch::Receiver<State> {
        self.vm().states()
    }

    /// Asks QEMU for the current state.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the VM has ended, [`Error::Qmp`] if QEMU does not answer.
    pub async fn query_state(&self) -> Result<State, Error> {
        match self.vm().refresh().await {
            Ok(state) => Ok(state),
            Err(error) => Err(self.explain_closed("query-status", error).await),
        }
    }

    /// Asks QEMU for the current state, and returns [`State::Unresponsive`] if it does not answer `timeout` the timeout.
    /// For lists of many VMs, where a hanging one must not block the others.
    ///
    /// # Cancel safety
    ///
    /// A late answer is discarded, unless another query is waiting for it.
    pub async fn query_state_timeout(&self, timeout: Duration) -> State {
        match tokio::time::timeout(timeout, self.query_state()).await {
            Ok(Ok(state)) => state,
            Err(_) if self.exit_reason().is_none() => State::Unresponsive,
            Ok(Err(_)) | Err(_) => self.state(),
        }
    }

    /// Returns the connection to QEMU's monitor, for everything that has no method here.
    pub fn qmp(&self) -> &Session {
        &self.vm().session
    }

    /// Sends a QMP command and waits for its reply.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the VM has ended, [`Error::Qmp`] if QEMU rejects the command or does not answer in time.
    ///
    /// # Cancel safety
    ///
    /// Once sent, a command is executed even if the future is dropped.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Return, Error> {
        match self.vm().session.execute(command).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.explain_closed(C::NAME, error).await),
        }
    }

    /// Sends a QMP command by name, with its arguments as JSON.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_raw(&self, name: &str, arguments: Option<Value>) -> Result<Value, Error> {
        match self.vm().session.execute_raw(name, arguments).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.explain_closed(name.to_owned(), error).await),
        }
    }

    /// Waits until the VM has ended and returns the reason.
    ///
    /// # Cancel safety
    ///
    /// Can be called concurrently and repeatedly; nothing is lost if the future is dropped.
    pub async fn wait(&self) -> ExitReason {
        self.wait_exit().await.reason
    }

    /// Like [`wait`](Self::wait), but also returns how the process ended.
    pub async fn wait_exit(&self) -> Exit {
        self.vm().ended().await
    }

    /// Returns why the VM ended, if it has.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.vm().exit().map(|exit| exit.reason)
    }

    /// Returns how the VM ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.vm().exit()
    }

    pub(crate) async fn wait_for_exit(&self, action: &'static str, timeout: Duration) -> Result<Exit, Error> {
        tokio::time::timeout(timeout, self.wait_exit()).await.map_err(|_| Error::Timeout {
            action,
            name: self.name().to_owned(),
            after: timeout,
        })
    }

    /// Turns an error of the monitor into the end of the VM, if that is the reason.
    pub(crate) fn explain(&self, action: impl Into<Cow<'static, str>>, error: ClientError) -> Error {
        match self.exit_reason() {
            Some(reason) => Error::Gone { action: action.into(), name: self.name().to_owned(), reason },
            None if self.vm().is_left() => {
                Error::Unsupervised { action: action.into(), name: self.name().to_owned() }
            }
            None => Error::Qmp(error),
        }
    }

    /// Like [`explain`](Self::explain), for a connection that may have ended a moment before the reason is known.
    pub(crate) async fn explain_closed(
        &self,
        action: impl Into<Cow<'static, str>>,
        error: ClientError,
    ) -> Error {
        if matches!(error, ClientError::Closed { .. }) && !self.vm().is_left() {
            let _ = tokio::time::timeout(TELLS_WHY, self.wait_exit()).await;
        }
        self.explain(action, error)
    }
}
