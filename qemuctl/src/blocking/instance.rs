//! The handle to a VM, for blocking code.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::{FdRole, HostForward, NewDevice, Plan, Size, VmConfig};
use qmp_client::EventsError;
use qmp_proto::qga::GuestNetworkInterface;
use qmp_proto::{BlockInfo, Command, Event, TimedEvent};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::control::{
    Authentication, BalloonStats, ClientStream, DiskError, Expiry, ForwardedPort, IoLimits, MouseButton,
    NetworkInterface, Stats, StopOutcome,
};
use crate::error::Error;
use crate::events::Subscription;
use crate::guest::{CopyReport, Exec, ExecOutput, GuestEnd, Match, Output};
use crate::instance::Ownership;
use crate::launch::LaunchOptions;
use crate::reason::ExitReason;
#[cfg(feature = "image")]
use crate::saved::SavedState;
#[cfg(feature = "image")]
use crate::snapshot::{Snapshot, SnapshotOptions, SnapshotReport};
use crate::state::State;
use crate::supervise::Exit;

use super::{Agent, Blocking, Console, Events, Frozen, GuestProcess, Job, States, blocking, runtime, same};

/// A handle to a VM with blocking methods. Clones are handles to the same VM.
///
/// Dropping the last handle to a VM that [`start`](Self::start) launched kills it.
#[derive(Clone, Debug)]
pub struct Instance {
    inner: crate::Instance,
    runtime: &'static Runtime,
}

impl Instance {
    /// Blocks on [`start`](crate::Instance::start).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn start(config: &VmConfig) -> Result<Self, Error> {
        Self::made(crate::Instance::start(config))
    }

    /// Blocks on [`start_with`](crate::Instance::start_with).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn start_with(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        Self::made(crate::Instance::start_with(config, options))
    }

    /// Blocks on [`start_detached`](crate::Instance::start_detached).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn start_detached(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        Self::made(crate::Instance::start_detached(config, options))
    }

    /// Blocks on [`attach`](crate::Instance::attach).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach(socket: impl AsRef<Path>) -> Result<Self, Error> {
        Self::made(crate::Instance::attach(socket))
    }

    /// Blocks on [`attach_with`](crate::Instance::attach_with).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_with(socket: &Path, options: &qmp_client::Options) -> Result<Self, Error> {
        Self::made(crate::Instance::attach_with(socket, options))
    }

    /// Blocks on [`attach_pid`](crate::Instance::attach_pid).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_pid(pid: u32) -> Result<Self, Error> {
        Self::made(crate::Instance::attach_pid(pid))
    }

    /// Blocks on [`attach_name`](crate::Instance::attach_name).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_name(name: &str) -> Result<Self, Error> {
        Self::made(crate::Instance::attach_name(name))
    }

    /// Blocks on [`attach_name_in`](crate::Instance::attach_name_in).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_name_in(dir: &Path, name: &str) -> Result<Self, Error> {
        Self::made(crate::Instance::attach_name_in(dir, name))
    }

    fn made(making: impl Future<Output = Result<crate::Instance, Error>>) -> Result<Self, Error> {
        let runtime = runtime()?;
        Ok(Self { inner: runtime.block_on(making)?, runtime })
    }

    /// Returns the same VM for async code; see [`block_on`](super::block_on).
    pub fn as_async(&self) -> &crate::Instance {
        &self.inner
    }

    /// Converts the handle for async code.
    pub fn into_async(self) -> crate::Instance {
        self.inner
    }

    same! {"crate::Instance";
        name() -> &str;
        pid() -> Option<u32>;
        ownership() -> Ownership;
        socket() -> Option<&Path>;
        agent_socket() -> Option<&Path>;
        plan() -> Option<Arc<Plan>>;
        warnings() -> &[String];
        output() -> Vec<String>;
        state() -> State;
        exit_reason() -> Option<ExitReason>;
        exit() -> Option<Exit>;
    }

    blocking! {"crate::Instance";
        query_state() -> Result<State, Error>;
        query_state_timeout(timeout: Duration) -> State;
        execute<C: Command>(command: C) -> Result<C::Return, Error>;
        execute_raw(name: &str, arguments: Option<Value>) -> Result<Value, Error>;
        wait() -> ExitReason;
        wait_exit() -> Exit;
        guest_end() -> GuestEnd;
        pause() -> Result<(), Error>;
        resume() -> Result<(), Error>;
        reset() -> Result<(), Error>;
        shutdown() -> Result<(), Error>;
        wake() -> Result<(), Error>;
        stop(timeout: Duration) -> Result<StopOutcome, Error>;
        quit(timeout: Duration) -> Result<ExitReason, Error>;
        kill() -> Result<ExitReason, Error>;
        stats() -> Result<Stats, Error>;
        screenshot() -> Result<Vec<u8>, Error>;
        screenshot_to(path: impl AsRef<Path>) -> Result<(), Error>;
        send_keys(keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), Error>;
        type_text(text: &str) -> Result<(), Error>;
        type_text_at(pace: Duration, text: &str) -> Result<(), Error>;
        move_pointer_to(x: f64, y: f64) -> Result<(), Error>;
        move_pointer_by(dx: i64, dy: i64) -> Result<(), Error>;
        click(button: MouseButton) -> Result<(), Error>;
        block_devices() -> Result<Vec<BlockInfo>, Error>;
        disk_errors() -> Result<Vec<DiskError>, Error>;
        set_io_limits(disk: &str, limits: IoLimits) -> Result<(), Error>;
        io_limits(disk: &str) -> Result<IoLimits, Error>;
        eject(drive: &str) -> Result<(), Error>;
        change_medium(drive: &str, image: &Path, format: &str) -> Result<(), Error>;
        set_balloon(bytes: u64) -> Result<(), Error>;
        balloon() -> Result<u64, Error>;
        balloon_stats(timeout: Duration) -> Result<BalloonStats, Error>;
        plug['d](device: impl Into<NewDevice<'d>>) -> Result<String, Error>;
        plug_with['d](device: impl Into<NewDevice<'d>>, descriptors: Vec<(FdRole, OwnedFd)>) -> Result<String, Error>;
        unplug(id: &str, timeout: Duration) -> Result<(), Error>;
        plug_cpus(count: usize) -> Result<Vec<String>, Error>;
        plug_memory(size: Size) -> Result<String, Error>;
        human_monitor(command_line: &str) -> Result<String, Error>;
        forwarded_ports() -> Result<Vec<ForwardedPort>, Error>;
        add_forward(network: Option<&str>, forward: &HostForward) -> Result<ForwardedPort, Error>;
        remove_forward(port: &ForwardedPort) -> Result<(), Error>;
        networks() -> Result<Vec<NetworkInterface>, Error>;
        add_vnc_client(client: impl ClientStream, authentication: Authentication) -> Result<(), Error>;
        add_spice_client(client: impl ClientStream, authentication: Authentication) -> Result<(), Error>;
        set_vnc_password(password: &str) -> Result<(), Error>;
        expire_vnc_password(expiry: Expiry) -> Result<(), Error>;
        set_spice_password(password: &str) -> Result<(), Error>;
        expire_spice_password(expiry: Expiry) -> Result<(), Error>;
        exec(exec: &Exec, timeout: Duration) -> Result<ExecOutput, Error>;
        exec_streamed(exec: &Exec, timeout: Duration, output: impl FnMut(Output) + Send) -> Result<ExecOutput, Error>;
        network_interfaces() -> Result<Vec<GuestNetworkInterface>, Error>;
        suspend() -> Result<(), Error>;
    }

    /// As [`job`](crate::Instance::job).
    pub fn job(&self, id: impl Into<String>) -> Job {
        Job::new(self.inner.job(id), self.runtime)
    }

    /// Blocks on [`spawn`](crate::Instance::spawn).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn spawn(&self, exec: &Exec) -> Result<GuestProcess, Error> {
        Ok(GuestProcess::new(self.runtime.block_on(self.inner.spawn(exec))?, self.runtime))
    }

    /// Blocks on [`spawn_collected`](crate::Instance::spawn_collected).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn spawn_collected(&self, exec: &Exec) -> Result<GuestProcess, Error> {
        Ok(GuestProcess::new(self.runtime.block_on(self.inner.spawn_collected(exec))?, self.runtime))
    }

    /// Blocks on [`console`](crate::Instance::console).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn console(&self) -> Result<Console, Error> {
        Ok(Console::new(self.runtime.block_on(self.inner.console())?, self.runtime))
    }

    /// Blocks on [`agent`](crate::Instance::agent).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn agent(&self) -> Result<Agent, Error> {
        Ok(Agent::new(self.runtime.block_on(self.inner.agent())?, self.runtime))
    }

    /// Blocks on [`wait_agent`](crate::Instance::wait_agent).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn wait_agent(&self, timeout: Duration) -> Result<Agent, Error> {
        Ok(Agent::new(self.runtime.block_on(self.inner.wait_agent(timeout))?, self.runtime))
    }

    /// Blocks on [`freeze`](crate::Instance::freeze).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn freeze(&self, mount_points: Option<&[&str]>) -> Result<Frozen, Error> {
        Ok(Frozen::new(self.runtime.block_on(self.inner.freeze(mount_points))?, self.runtime))
    }

    /// Like [`copy_in`](crate::Instance::copy_in), from a file or anything else that can be read. `source` is read on this
    /// thread.
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn copy_in(
        &self,
        source: impl Read + Send,
        path: &str,
        progress: impl FnMut(u64) + Send,
    ) -> Result<CopyReport, Error> {
        self.runtime.block_on(self.inner.copy_in(&mut Blocking(source), path, progress))
    }

    /// Like [`copy_out`](crate::Instance::copy_out), into a file or anything else that can be written. `sink` is written
    /// on this thread.
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn copy_out(
        &self,
        path: &str,
        sink: impl Write + Send,
        progress: impl FnMut(u64) + Send,
    ) -> Result<CopyReport, Error> {
        self.runtime.block_on(self.inner.copy_out(path, &mut Blocking(sink), progress))
    }

    /// Blocks until the VM ends and returns the reason, or `None` if it does not end within `timeout`.
    pub fn wait_for(&self, timeout: Duration) -> Option<ExitReason> {
        self.runtime.block_on(async { tokio::time::timeout(timeout, self.inner.wait()).await }).ok()
    }

    /// Returns an iterator over the current state and each change. It blocks, and ends when the VM has ended. If states
    /// change faster than the iterator is read, it returns only the newest.
    pub fn states(&self) -> States {
        States::new(self.inner.state_changes(), self.runtime)
    }

    /// Returns an iterator over all events from now on. It blocks, and ends with the connection.
    pub fn events(&self) -> Events {
        Events::new(self.inner.events(), self.runtime)
    }

    /// Returns the events of one kind from now on, such as `events_of::<qmp_proto::event::Reset>()`.
    pub fn events_of<E: Event>(&self) -> Events {
        Events::new(self.inner.events_of::<E>(), self.runtime)
    }

    /// Calls `callback` with each event from now on, like [`on_event`](crate::Instance::on_event), on a separate
    /// thread, so it may use the VM's blocking methods.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refuses a thread.
    pub fn on_event(
        &self,
        callback: impl FnMut(Result<TimedEvent, EventsError>) + Send + 'static,
    ) -> Result<Subscription, Error> {
        Subscription::on_thread(self.inner.calls_with_events(callback))
    }

    /// Calls `callback` with the current state and each change, like [`on_state`](crate::Instance::on_state), on a
    /// separate thread, so it may use the VM's blocking methods.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system refuses a thread.
    pub fn on_state(&self, callback: impl FnMut(State) + Send + 'static) -> Result<Subscription, Error> {
        Subscription::on_thread(self.inner.calls_with_states(callback))
    }

    /// Waits until the console prints output that matches `pattern`. With `history`, buffered output is searched first.
    ///
    /// # Errors
    ///
    /// As [`console`](crate::Instance::console), and [`Error::Expect`] if there is no such output.
    pub fn expect(&self, pattern: &str, timeout: Duration) -> Result<Match, Error> {
        Ok(self.console()?.reader_with_history().expect(pattern, timeout)?)
    }
}

/// # Snapshots and saved states
#[cfg(feature = "image")]
impl Instance {
    blocking! {"crate::Instance";
        snapshots() -> Result<Vec<Snapshot>, Error>;
        create_snapshot(tag: &str, options: &SnapshotOptions) -> Result<SnapshotReport, Error>;
        revert_to_snapshot(tag: &str) -> Result<Snapshot, Error>;
        delete_snapshot(tag: &str) -> Result<Snapshot, Error>;
        save(path: impl AsRef<Path>, progress: impl FnMut(u64, u64) + Send) -> Result<SavedState, Error>;
    }
}
