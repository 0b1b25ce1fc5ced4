//! A blocking interface for programs without an async runtime.
//!
//! Each type here has the methods of the async type of the same name, with the same arguments; methods that wait are
//! blocking. They run on a private runtime with one thread for all VMs, which is started on first use. What has no
//! blocking counterpart, such as [`qmp_client::Session`], is available through [`Instance::as_async`] and [`block_on`].
//! Called from async code these methods panic, like all blocking calls into a runtime.
//!
//! ```no_run
//! use std::time::Duration;
//! use qemuctl::{blocking::Instance, Exec, VmConfig};
//!
//! let vm = Instance::start(&VmConfig::default().with_guest_agent())?;
//! let _states = vm.on_state(|state| println!("now {state}"))?;
//!
//! // Use the serial console.
//! let console = vm.console()?;
//! let mut reader = console.reader_with_history();
//! reader.expect("login: ", Duration::from_secs(120))?;
//! console.write_all(b"root\n")?;
//!
//! // Use the guest agent.
//! let agent = vm.wait_agent(Duration::from_secs(120))?;
//! agent.write_file("/tmp/greeting", b"hello")?;
//! let output = agent.exec(&Exec::with_args("cat", ["/tmp/greeting"]), Duration::from_secs(10))?;
//! assert_eq!(output.stdout, b"hello");
//!
//! println!("{}", vm.stop(Duration::from_secs(30))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod console;
mod follow;
mod instance;
mod job;
mod process;

pub use agent::{Agent, Frozen, GuestFile};
pub use console::{Console, ConsoleReader};
pub use follow::{Events, States};
pub use instance::Instance;
pub use job::Job;
pub use process::GuestProcess;

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use crate::error::Error;

/// The runtime that is shared by all VMs of this module.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let fail = |source| Error::Io { action: "start the runtime for", path: "blocking calls".into(), source };
    check_room().map_err(fail)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("qemuctl")
        .enable_all()
        .build()
        .map_err(fail)?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Whether the file descriptors that an async runtime needs can be opened; without them it panics.
fn check_room() -> io::Result<()> {
    let pipes: io::Result<Vec<_>> = (0..4).map(|_| io::pipe()).collect();
    pipes.map(drop)
}

/// Blocks until `work` is done, for methods without a blocking counterpart. It runs on this module's runtime.
///
/// ```no_run
/// # fn example(vm: &qemuctl::blocking::Instance) -> Result<(), Box<dyn std::error::Error>> {
/// use qemuctl::blocking::block_on;
/// use qemuctl::qmp_proto::QueryMigrate;
///
/// let call = vm.as_async().qmp().call(QueryMigrate {});
/// println!("{:?}", block_on(call.timeout(std::time::Duration::from_secs(1)).send())??.status);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Io`] if the runtime cannot be started.
pub fn block_on<F: Future>(work: F) -> Result<F::Output, Error> {
    Ok(runtime()?.block_on(work))
}

/// Defines methods that block on those of the same name of the async type.
macro_rules! blocking {
    ($of:literal; $($name:ident $(<$generic:ident: $bound:path>)? $([$life:lifetime])? ($($argument:ident: $type:ty),* $(,)?) -> $output:ty;)*) => {$(
        #[doc = concat!("Blocks on [`", stringify!($name), "`](", $of, "::", stringify!($name), ").")]
        ///
        /// # Errors
        ///
        /// As that method.
        pub fn $name $(<$generic: $bound>)? $(<$life>)? (&self $(, $argument: $type)*) -> $output {
            self.runtime.block_on(self.inner.$name($($argument),*))
        }
    )*};
}

/// Defines methods that do not wait and forward to the async type.
macro_rules! same {
    ($of:literal; $($name:ident() -> $output:ty;)*) => {$(
        #[doc = concat!("As [`", stringify!($name), "`](", $of, "::", stringify!($name), ").")]
        pub fn $name(&self) -> $output {
            self.inner.$name()
        }
    )*};
}

use {blocking, same};

/// Wraps a blocking stream as an async one. It may block, since the thread has nothing else to do.
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
