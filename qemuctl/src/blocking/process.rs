//! A program that runs in a guest, for blocking code.

use qmp_client::{ClientError, agent};
use tokio::runtime::Runtime;

use crate::error::Error;
use crate::guest::{ExecOutput, GuestSignal, Output};

use super::same;

/// A program running in the guest. Iterating returns its output, piece by piece, until it has ended. Dropping it kills
/// the program.
///
/// `P` is the async type: that of an [`Instance`](super::Instance), or that of an [`Agent`](super::Agent), which is
/// independent of a VM.
#[derive(Debug)]
#[must_use = "dropping it kills the program"]
pub struct GuestProcess<P = crate::guest::GuestProcess> {
    inner: P,
    runtime: &'static Runtime,
}

impl<P> GuestProcess<P> {
    pub(super) fn new(inner: P, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }
}

/// Defines methods that block on those of the same name of the async type.
macro_rules! blocking_mut {
    ($of:literal; $($name:ident ($($argument:ident: $type:ty),*) -> $output:ty;)*) => {$(
        #[doc = concat!("Blocks on [`", stringify!($name), "`](", $of, "::", stringify!($name), ").")]
        ///
        /// # Errors
        ///
        /// As that method.
        pub fn $name(&mut self $(, $argument: $type)*) -> $output {
            self.runtime.block_on(self.inner.$name($($argument),*))
        }
    )*};
}

impl GuestProcess {
    same! {"crate::guest::GuestProcess";
        id() -> i64;
    }

    blocking_mut! {"crate::guest::GuestProcess";
        wait() -> Result<ExecOutput, Error>;
        write(bytes: &[u8]) -> Result<usize, Error>;
        write_all(bytes: &[u8]) -> Result<(), Error>;
        signal(signal: GuestSignal) -> Result<bool, Error>;
        kill() -> Result<ExecOutput, Error>;
    }

    /// As [`close_stdin`](crate::guest::GuestProcess::close_stdin).
    pub fn close_stdin(&mut self) {
        self.inner.close_stdin();
    }

    /// As [`detach`](crate::guest::GuestProcess::detach).
    pub fn detach(self) {
        self.inner.detach();
    }
}

impl Iterator for GuestProcess {
    type Item = Result<Output, Error>;

    /// Blocks on [`next`](crate::guest::GuestProcess::next).
    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.inner.next()).transpose()
    }
}

impl GuestProcess<agent::GuestProcess> {
    same! {"agent::GuestProcess";
        id() -> i64;
    }

    blocking_mut! {"agent::GuestProcess";
        wait() -> Result<ExecOutput, ClientError>;
        write(bytes: &[u8]) -> Result<usize, ClientError>;
        write_all(bytes: &[u8]) -> Result<(), ClientError>;
        signal(signal: GuestSignal) -> Result<bool, ClientError>;
        kill() -> Result<ExecOutput, ClientError>;
    }

    /// As [`close_stdin`](agent::GuestProcess::close_stdin).
    pub fn close_stdin(&mut self) {
        self.inner.close_stdin();
    }

    /// As [`detach`](agent::GuestProcess::detach).
    pub fn detach(self) {
        self.inner.detach();
    }
}

impl Iterator for GuestProcess<agent::GuestProcess> {
    type Item = Result<Output, ClientError>;

    /// Blocks on [`next`](agent::GuestProcess::next).
    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.inner.next()).transpose()
    }
}
