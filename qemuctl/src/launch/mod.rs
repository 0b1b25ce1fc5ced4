//! Launches QEMU from a config.
//!
//! ```text
//! setup ──▶ record ──▶ spawn ──▶ session ──▶ console ──▶ run ──▶ hand over
//!   │                    └────────── Start: QEMU's end or the deadline fails the step ──────────┘
//!   └ nothing has been started: a mistake in the config ends here
//! ```
//!
//! If it is dropped at any step, it kills QEMU and removes its files (`Claim`).

#[cfg(feature = "files")]
mod board;
mod child;
mod complete;
mod content;
mod descriptors;
mod firmware;
mod images;
mod kept;
mod monitors;
mod options;
mod overlay;
pub(crate) mod passt;
mod places;
#[cfg(feature = "provision")]
mod provision;
mod qemu;
mod secret;
mod setup;
mod start;
mod tap;
mod tie;

#[cfg(feature = "files")]
pub use board::check_board;
#[cfg(feature = "home")]
pub(crate) use content::backing_of;
#[cfg(feature = "image")]
pub(crate) use descriptors::in_memory;
pub use firmware::with_firmware;
pub(crate) use images::Plugged;
pub use images::{ImageFault, ImageProblem, check_image, check_medium, image_faults, with_block_devices};
pub use options::LaunchOptions;
pub use qemu::Qemu;
pub use secret::{SecretCallback, SecretSource};

use std::time::Duration;

use qemu_argv::{Plan, SocketRole, VmConfig};
use qmp_client::{LineEnds, Session};
use qmp_proto::{Cont, QueryStatus};
use tokio::sync::OnceCell;

use crate::channel::{Console, Turn};
use crate::error::{Error, Phase};
use crate::instance::{Handle, Instance, Ownership};
use crate::runtime::{Plans, make_private, socket_of};
use crate::saved;
use crate::state::State;
use crate::supervise::{Watched, watch_over};
use crate::trace;

use setup::{Setup, set_up};
use start::Start;

/// # Launching
impl Instance {
    /// Launches the VM and returns when the guest is running (or paused, according to the config).
    ///
    /// The VM does not outlive this process: it is killed when the last handle is dropped, and by the kernel when this
    /// process ends, however that happens.
    ///
    /// # Errors
    ///
    /// - [`Error::Plan`] with all problems of the config, before anything is started.
    /// - [`Error::NameTaken`] if a VM of that name is running.
    /// - [`Error::Launch`] if QEMU fails: at once, with its own messages.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, QEMU is killed and nothing is left behind.
    pub async fn start(config: &VmConfig) -> Result<Self, Error> {
        Self::start_with(config, &LaunchOptions::default()).await
    }

    /// Like [`start`](Self::start), with options.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        traced(config, options, Ownership::Owned).await
    }

    /// Launches a VM that outlives this process. Attach to it by its name with [`attach_name`](Self::attach_name).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_detached(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        traced(config, options, Ownership::Detached).await
    }
}

async fn traced(config: &VmConfig, options: &LaunchOptions, ownership: Ownership) -> Result<Instance, Error> {
    // Boxed, since the state of a launch is large.
    Box::pin(trace::launch(config.name.as_deref(), launch(config, options, ownership))).await
}

async fn launch(config: &VmConfig, options: &LaunchOptions, ownership: Ownership) -> Result<Instance, Error> {
    options.tell(Phase::Prepare);
    // Boxed separately, and freed when QEMU starts.
    let setup = Box::pin(set_up(config, options, ownership)).await?;
    let Setup { dir, spec, descriptors, mut claim, mut record, kept, mut warnings } = setup;
    // Written before QEMU is started, so that if this process is killed now, the next one finds QEMU or its leftovers.
    claim.residue.add_first(record.path(&dir));
    record.write(&dir)?;

    options.tell(Phase::Spawn);
    let (mut start, monitor) = Start::spawn(spec, descriptors, claim, options.timeout()).await?;
    record.pid = start.process().pid();
    record.started = start.process().started();
    // Meanwhile QEMU sets itself up.
    record.write(&dir)?;

    options.tell(Phase::Handshake);
    let is_owned = ownership == Ownership::Owned;
    let session = start.open_session(monitor, &session_options(options), is_owned).await?;

    options.tell(Phase::Connect);
    // The monitor's socket has been private since it was bound.
    for socket in record.plan.sockets().filter(|socket| socket.path != record.socket) {
        if let Err(error) = make_private(&socket.path) {
            warnings.push(format!("cannot make {} private: {error}", socket.path.display()));
        }
    }
    let console = connect_console(&mut start, &record.plan, options).await?;
    if let Some(kept) = kept {
        kept.write(&record.plan)?;
    }

    let events = session.events();
    let mut state = None;
    let mut is_to_run = !(options.paused || record.config.paused);
    if let Some(saved) = &options.resume {
        options.tell(Phase::Run);
        is_to_run = !options.paused && saved.was_running();
        start.step(Phase::Run, saved::load(&session, saved, record.plan.version())).await?;
    }
    if is_to_run {
        options.tell(Phase::Run);
        state = run(&mut start, &session).await?;
    }

    let started = start.finish();
    let vm = Watched::new(session, Some(started.process), started.output, started.residue);
    if let Some(state) = state {
        vm.publish(state);
    }
    let watch = watch_over(vm.clone(), Some(started.watcher), events, Some(started.drain));
    let task = tokio::spawn(watch).abort_handle();
    let instance = Instance::new(Handle {
        plans: Plans::recorded(&record),
        agent: socket_of(&record.plan, &SocketRole::Agent),
        name: record.name,
        ownership,
        vm,
        socket: Some(record.socket),
        agent_line: tokio::sync::Mutex::default(),
        console: OnceCell::new_with(console),
        warnings,
        task,
    });
    // A guest that has already ended is a success, too; its exit reason says how.
    instance.vm().known().await;
    Ok(instance)
}

/// The launch has its own deadline, which is earlier than the session's.
fn session_options(options: &LaunchOptions) -> qmp_client::Options {
    let after = options.timeout().saturating_add(Duration::from_secs(10));
    qmp_client::Options {
        greeting: after,
        ready: after,
        command: options.command_timeout,
        line_ends: LineEnds::Never,
        ..qmp_client::Options::default()
    }
}

/// Connects the serial console that the launcher serves, so that later failures include the guest's last lines.
async fn connect_console(
    start: &mut Start,
    plan: &Plan,
    options: &LaunchOptions,
) -> Result<Option<Console>, Error> {
    let Some(socket) = socket_of(plan, &SocketRole::Console(0)) else { return Ok(None) };
    // No other process can be connected yet, so a missing turn does not matter.
    let turn = Turn::try_take(&socket).ok().and_then(Result::ok);
    let connect = Console::connect(&socket, options.console_log.as_deref(), turn);
    let console = start.step(Phase::Connect, connect).await?;
    start.listen_to(console.clone());
    Ok(Some(console))
}

/// Starts the guest's CPUs. Returns the resulting state, unless it has ended already.
async fn run(start: &mut Start, session: &Session) -> Result<Option<State>, Error> {
    let run = async {
        // Sent together, so that the query takes no additional time.
        let (run, status) = tokio::join!(session.execute(Cont {}), session.execute(QueryStatus {}));
        run.map(|_| status.ok().map(|status| status.status.into()))
    };
    Ok(start.let_go(run).await?.flatten())
}
