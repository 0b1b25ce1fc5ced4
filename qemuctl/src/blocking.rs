//! The same VM for programs without an async runtime.
//!
//! Every method blocks until it is done. They run on a runtime of this module's own, with one thread for all VMs,
//! which is started at the first use. Do not call them from async code: there they panic, as every blocking call into a
//! runtime does.
//!
//! ```no_run
//! use std::time::Duration;
//! use qemuctl::{VmConfig, blocking::Instance};
//!
//! let vm = Instance::start(&VmConfig::default())?;
//! println!("{} is {}", vm.name(), vm.state());
//! println!("{}", vm.stop(Duration::from_secs(30))?);
//! # Ok::<(), qemuctl::Error>(())
//! ```

use std::io::{self, Read, Write};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use qemu_argv::{FdRole, NewDevice, Size, VmConfig};
use qmp_client::EventsError;
use qmp_proto::qga::GuestNetworkInterface;
use qmp_proto::{BlockInfo, Command, TimedEvent};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use crate::control::{
    Authentication, BalloonStats, ClientStream, Expiry, ForwardedPort, IoLimits, MouseButton, StopOutcome,
};
use crate::error::Error;
use crate::guest::{Agent, Console, Copied, Exec, ExecOutput, ExpectError, Expected, Frozen, Output};
use crate::launch::LaunchOptions;
use crate::reason::ExitReason;
use crate::state::State;
use crate::supervise::Exit;

/// The runtime that all VMs of this module share.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime =
        Builder::new_multi_thread().worker_threads(1).thread_name("qemuctl").enable_all().build().map_err(
            |source| Error::Io { action: "start the runtime for", path: "blocking calls".into(), source },
        )?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// A handle on a VM whose methods block. What does not wait (`name`, `pid`, `state`, …) comes from
/// [`crate::Instance`], to which it derefs.
#[derive(Clone, Debug)]
pub struct Instance(crate::Instance);

impl Deref for Instance {
    type Target = crate::Instance;

    fn deref(&self) -> &crate::Instance {
        &self.0
    }
}

/// Methods that wait for the one of the same name.
macro_rules! blocking {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {$(
        #[doc = concat!("Blocks on [`", stringify!($name), "`](crate::Instance::", stringify!($name), ").")]
        ///
        /// # Errors
        ///
        /// As that method.
        pub fn $name(&self $(, $argument: $type)*) -> Result<$output, Error> {
            runtime()?.block_on(self.0.$name($($argument),*))
        }
    )*};
}

impl Instance {
    /// Blocks on [`start`](crate::Instance::start).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn start(config: &VmConfig) -> Result<Self, Error> {
        Self::start_with(config, &LaunchOptions::default())
    }

    /// Blocks on [`start_with`](crate::Instance::start_with).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn start_with(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::start_with(config, options)).map(Self)
    }

    /// Blocks on [`start_detached`](crate::Instance::start_detached).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn start_detached(config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::start_detached(config, options)).map(Self)
    }

    /// Blocks on [`attach`](crate::Instance::attach).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach(socket: impl AsRef<Path>) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::attach(socket)).map(Self)
    }

    /// Blocks on [`attach_with`](crate::Instance::attach_with).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_with(socket: &Path, options: &qmp_client::Options) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::attach_with(socket, options)).map(Self)
    }

    /// Blocks on [`attach_pid`](crate::Instance::attach_pid).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_pid(pid: u32) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::attach_pid(pid)).map(Self)
    }

    /// Blocks on [`attach_name`](crate::Instance::attach_name).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_name(name: &str) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::attach_name(name)).map(Self)
    }

    /// Blocks on [`attach_name_in`](crate::Instance::attach_name_in).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn attach_name_in(dir: &Path, name: &str) -> Result<Self, Error> {
        runtime()?.block_on(crate::Instance::attach_name_in(dir, name)).map(Self)
    }

    /// The same VM for async code.
    pub fn into_async(self) -> crate::Instance {
        self.0
    }

    blocking! {
        query_state() -> State;
        execute_raw(name: &str, arguments: Option<Value>) -> Value;
        pause() -> ();
        resume() -> ();
        reset() -> ();
        shutdown() -> ();
        wake() -> ();
        stop(patience: Duration) -> StopOutcome;
        quit(limit: Duration) -> ExitReason;
        kill() -> ExitReason;
        screenshot() -> Vec<u8>;
        screenshot_to(path: impl AsRef<Path>) -> ();
        type_text(text: &str) -> ();
        move_pointer_to(x: f64, y: f64) -> ();
        move_pointer_by(dx: i64, dy: i64) -> ();
        click(button: MouseButton) -> ();
        block_devices() -> Vec<BlockInfo>;
        set_io_limits(disk: &str, limits: IoLimits) -> ();
        eject(drive: &str) -> ();
        change_medium(drive: &str, image: &Path, format: &str) -> ();
        set_balloon(bytes: u64) -> ();
        balloon() -> u64;
        balloon_stats(limit: Duration) -> BalloonStats;
        io_limits(disk: &str) -> IoLimits;
        unplug(id: &str, limit: Duration) -> ();
        plug_cpus(count: usize) -> Vec<String>;
        plug_memory(size: Size) -> String;
        human_monitor(command_line: &str) -> String;
        forwarded_ports() -> Vec<ForwardedPort>;
        add_vnc_client(client: impl ClientStream, authentication: Authentication) -> ();
        add_spice_client(client: impl ClientStream, authentication: Authentication) -> ();
        set_vnc_password(password: &str) -> ();
        expire_vnc_password(expiry: Expiry) -> ();
        set_spice_password(password: &str) -> ();
        expire_spice_password(expiry: Expiry) -> ();
        console() -> Console;
        wait_agent(limit: Duration) -> Agent;
        exec(exec: &Exec, limit: Duration) -> ExecOutput;
        exec_streamed(exec: &Exec, limit: Duration, output: impl FnMut(Output) + Send) -> ExecOutput;
        network_interfaces() -> Vec<GuestNetworkInterface>;
        freeze(mount_points: Option<&[&str]>) -> Frozen;
        suspend() -> ();
    }

    /// Blocks on [`execute`](crate::Instance::execute).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn execute<C: Command>(&self, command: C) -> Result<C::Return, Error> {
        runtime()?.block_on(self.0.execute(command))
    }

    /// Blocks on [`plug`](crate::Instance::plug).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn plug<'d>(&self, device: impl Into<NewDevice<'d>>) -> Result<String, Error> {
        runtime()?.block_on(self.0.plug(device))
    }

    /// Blocks on [`plug_with`](crate::Instance::plug_with).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn plug_with<'d>(
        &self,
        device: impl Into<NewDevice<'d>>,
        descriptors: Vec<(FdRole, OwnedFd)>,
    ) -> Result<String, Error> {
        runtime()?.block_on(self.0.plug_with(device, descriptors))
    }

    /// Blocks on [`send_keys`](crate::Instance::send_keys).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn send_keys<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Result<(), Error> {
        runtime()?.block_on(self.0.send_keys(keys))
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
    ) -> Result<Copied, Error> {
        runtime()?.block_on(self.0.copy_in(&mut Blocking(source), path, progress))
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
    ) -> Result<Copied, Error> {
        runtime()?.block_on(self.0.copy_out(path, &mut Blocking(sink), progress))
    }

    /// Blocks on [`state_within`](crate::Instance::state_within).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no runtime to wait with.
    pub fn state_within(&self, within: Duration) -> Result<State, Error> {
        Ok(runtime()?.block_on(self.0.state_within(within)))
    }

    /// Blocks until the VM has ended and tells why.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no runtime to wait with.
    pub fn wait(&self) -> Result<ExitReason, Error> {
        Ok(runtime()?.block_on(self.0.wait()))
    }

    /// Blocks until the VM has ended and tells why, and how the process ended.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_exit(&self) -> Result<Exit, Error> {
        Ok(runtime()?.block_on(self.0.wait_exit()))
    }

    /// Blocks until the VM has ended and tells why; `None` if it has not within `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no runtime to wait with.
    pub fn wait_for(&self, limit: Duration) -> Result<Option<ExitReason>, Error> {
        let waited = async { tokio::time::timeout(limit, self.0.wait()).await };
        Ok(runtime()?.block_on(waited).ok())
    }

    /// Every event from now on. The iterator blocks, and ends with the connection.
    pub fn events(&self) -> Events {
        Events(self.0.events())
    }

    /// Waits until the console prints what `pattern` matches; `history` is looked through first.
    ///
    /// # Errors
    ///
    /// As [`console`](crate::Instance::console), and [`Error::Expect`] if it does not come.
    pub fn expect(&self, pattern: &str, within: Duration) -> Result<Expected, Error> {
        let mut reader = self.console()?.reader_with_history();
        let found: Result<Expected, ExpectError> = runtime()?.block_on(reader.expect(pattern, within));
        found.map_err(Error::Expect)
    }
}

/// A stream that blocks, where one is wanted that does not. The thread that waits for the result has nothing else to do.
struct Blocking<S>(S);

impl<S> Unpin for Blocking<S> {}

impl<S: Read> AsyncRead for Blocking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.0.read(buffer.initialize_unfilled())?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Write> AsyncWrite for Blocking<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(piece))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

/// Events as they come. See [`Instance::events`].
#[derive(Debug)]
pub struct Events(qmp_client::Events);

impl Iterator for Events {
    type Item = Result<TimedEvent, EventsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match runtime().ok()?.block_on(self.0.recv()) {
            Err(EventsError::Closed(_)) => None,
            other => Some(other),
        }
    }
}
