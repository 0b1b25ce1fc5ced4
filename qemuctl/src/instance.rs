//! The handle on a VM.

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

/// How long the end of a VM may take to be known once a line to it has ended.
const TELLS_WHY: Duration = Duration::from_secs(2);

/// Who decides over a VM's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// Started here and tied to this process: it ends when the last handle is dropped, or with the process.
    Owned,
    /// Started here to outlive its handles and this process.
    Detached,
    /// Started by somebody else. Dropping handles never touches it.
    Attached,
}

/// A running QEMU. Clones are handles on the same VM.
///
/// A VM is watched by the tokio runtime that it was started or attached on. When that has ended, as that of a `#[tokio::test]`
/// does, [`state`](Self::state), [`wait`](Self::wait), [`stop`](Self::stop) and [`kill`](Self::kill) still work in any
/// other; what needs the connection to QEMU fails with [`Error::Unsupervised`]. A VM that several tests have in common is started
/// on a runtime that outlives them, as that of the module `blocking` does.
///
/// Dropping the last handle on a VM that [`start`](Self::start) launched kills it and removes its files; that
/// blocks for the moment it takes. [`stop`](Self::stop) it first to end it gently.
///
/// ```no_run
/// # async fn example() -> Result<(), qemuctl::Error> {
/// use std::time::Duration;
/// use qemuctl::{Instance, VmConfig};
///
/// let config = VmConfig { name: Some("first".into()), ..VmConfig::default() };
/// let vm = Instance::start(&config).await?;
/// println!("{} runs as process {:?}: {}", vm.name(), vm.pid(), vm.state());
/// let outcome = vm.stop(Duration::from_secs(30)).await?;
/// println!("{outcome}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Instance(Arc<Handle>);

/// The line to the guest's agent, once it was needed.
type AgentSlot = tokio::sync::Mutex<Option<(Agent, Arc<LineState>)>>;

/// What the clones of one handle share. Its drop is the drop of the last of them.
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
            // Somebody must collect the process when it ends.
            Ownership::Detached => {}
            Ownership::Attached => self.task.abort(),
        }
    }
}

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

    /// The VM's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// QEMU's process id. `None` for an attached VM whose process cannot be seen from here, or is not known to be
    /// a QEMU: a proxy may serve its monitor.
    pub fn pid(&self) -> Option<u32> {
        self.vm().process.as_ref().map(|process| process.pid())
    }

    /// Who decides over the VM's life.
    pub fn ownership(&self) -> Ownership {
        self.0.ownership
    }

    /// The monitor socket that others may attach to.
    pub fn socket(&self) -> Option<&Path> {
        self.0.socket.as_deref()
    }

    /// The socket of the guest's agent, if the VM has one.
    pub fn agent_socket(&self) -> Option<&Path> {
        self.0.agent.as_deref()
    }

    /// Ids and addresses of the VM's devices, with those that were [plugged in](Self::plug). `None` if the VM was
    /// launched by something else.
    pub fn plan(&self) -> Option<Arc<Plan>> {
        self.0.plans.now()
    }

    pub(crate) fn plans(&self) -> &Arc<Plans> {
        &self.0.plans
    }

    /// What the launch found worth telling, such as that KVM cannot be used.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The last lines of QEMU's own output. Empty for an attached VM.
    pub fn output(&self) -> Vec<String> {
        self.vm().output.lines()
    }

    /// What the VM does, as far as it has been heard.
    pub fn state(&self) -> State {
        self.vm().state()
    }

    /// The state now and every later one. A slow reader sees the newest, not each.
    pub fn states(&self) -> watch::Receiver<State> {
        self.vm().states()
    }

    /// Asks QEMU what the VM does.
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

    /// What the VM does, asked for with a deadline: [`State::Unresponsive`] if QEMU does not answer `within` it. For lists of many
    /// VMs, where one that hangs must not hide the others.
    ///
    /// # Cancel safety
    ///
    /// A late answer is discarded, or becomes the state when another question waits for it.
    pub async fn state_within(&self, within: Duration) -> State {
        match tokio::time::timeout(within, self.query_state()).await {
            Ok(Ok(state)) => state,
            Err(_) if self.exit_reason().is_none() => State::Unresponsive,
            Ok(Err(_)) | Err(_) => self.state(),
        }
    }

    /// The connection to QEMU's monitor, for everything that has no method here.
    pub fn qmp(&self) -> &Session {
        &self.vm().session
    }

    /// Sends a QMP command and waits for its reply.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the VM has ended, [`Error::Qmp`] if QEMU refuses or does not answer in time.
    ///
    /// # Cancel safety
    ///
    /// QEMU carries out a command once sent, even if the future is dropped.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Return, Error> {
        match self.vm().session.execute(command).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.explain_closed(C::NAME, error).await),
        }
    }

    /// Sends a QMP command by its name, with its arguments as JSON.
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

    /// Waits until the VM has ended and tells why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; may be called by many and again.
    pub async fn wait(&self) -> ExitReason {
        self.wait_exit().await.reason
    }

    /// Like [`wait`](Self::wait), with how the process ended beside the reason.
    pub async fn wait_exit(&self) -> Exit {
        self.vm().ended().await
    }

    /// Why the VM ended, if it has.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.vm().exit().map(|exit| exit.reason)
    }

    /// How the VM ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.vm().exit()
    }

    pub(crate) async fn wait_for_exit(&self, action: &'static str, limit: Duration) -> Result<Exit, Error> {
        tokio::time::timeout(limit, self.wait_exit()).await.map_err(|_| Error::Timeout {
            action,
            name: self.name().to_owned(),
            after: limit,
        })
    }

    /// An error of the monitor of a VM that has ended is told as its end.
    pub(crate) fn explain(&self, action: impl Into<Cow<'static, str>>, error: ClientError) -> Error {
        match self.exit_reason() {
            Some(reason) => Error::Gone { action: action.into(), name: self.name().to_owned(), reason },
            None if self.vm().is_left() => {
                Error::Unsupervised { action: action.into(), name: self.name().to_owned() }
            }
            None => Error::Qmp(error),
        }
    }

    /// Like [`explain`](Self::explain), for a line that may have ended a moment before it is known why.
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
