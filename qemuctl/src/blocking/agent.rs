//! The agent in a guest, for blocking code.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use qmp_client::{ClientError, CloseReason, Liveness, Options};
use qmp_proto::Command;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::error::Error;
use crate::guest::{Exec, ExecOutput, OpenMode};

use super::{Blocking, GuestProcess, blocking, runtime, same};

/// A connection to the agent in a guest. Cheap to clone; all clones share the connection.
#[derive(Clone, Debug)]
pub struct Agent {
    inner: crate::Agent,
    runtime: &'static Runtime,
}

impl Agent {
    pub(super) fn new(inner: crate::Agent, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// Blocks on [`connect`](crate::Agent::connect).
    ///
    /// # Errors
    ///
    /// As that method, and [`Error::Io`] if the runtime cannot be started.
    pub fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let runtime = runtime()?;
        Ok(Self::new(runtime.block_on(crate::Agent::connect(path, options))?, runtime))
    }

    /// Uses a connected Unix socket, as [`from_unix_stream`](crate::Agent::from_unix_stream).
    ///
    /// # Errors
    ///
    /// As that method, and [`Error::Io`] if the runtime cannot be started.
    pub fn from_unix_stream(stream: UnixStream, options: &Options) -> Result<Self, Error> {
        let runtime = runtime()?;
        let _inside = runtime.enter();
        Ok(Self::new(crate::Agent::from_unix_stream(stream, options)?, runtime))
    }

    /// Returns the same connection for async code; see [`block_on`](super::block_on).
    pub fn as_async(&self) -> &crate::Agent {
        &self.inner
    }

    blocking! {"crate::Agent";
        execute<C: Command>(command: C) -> Result<C::Return, ClientError>;
        execute_timeout<C: Command>(command: C, deadline: Duration) -> Result<C::Return, ClientError>;
        execute_raw(name: &str, arguments: Option<Value>, deadline: Option<Duration>) -> Result<Value, ClientError>;
        execute_unanswered<C: Command>(command: C, grace: Duration) -> Result<(), ClientError>;
        wait_ready(deadline: Duration) -> Result<(), ClientError>;
        exec(exec: &Exec, deadline: Duration) -> Result<ExecOutput, ClientError>;
        read_file(path: &str) -> Result<Vec<u8>, ClientError>;
        write_file(path: &str, bytes: &[u8]) -> Result<(), ClientError>;
    }

    /// Blocks on [`spawn`](crate::Agent::spawn).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn spawn(&self, exec: &Exec) -> Result<GuestProcess<qmp_client::agent::GuestProcess>, ClientError> {
        Ok(GuestProcess::new(self.runtime.block_on(self.inner.spawn(exec))?, self.runtime))
    }

    /// Blocks on [`spawn_collected`](crate::Agent::spawn_collected).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn spawn_collected(
        &self,
        exec: &Exec,
    ) -> Result<GuestProcess<qmp_client::agent::GuestProcess>, ClientError> {
        Ok(GuestProcess::new(self.runtime.block_on(self.inner.spawn_collected(exec))?, self.runtime))
    }

    /// Blocks on [`open_file`](crate::Agent::open_file).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn open_file(&self, path: &str, mode: OpenMode) -> Result<GuestFile, ClientError> {
        let inner = self.runtime.block_on(self.inner.open_file(path, mode))?;
        Ok(GuestFile { inner, runtime: self.runtime })
    }

    /// Blocks on [`freeze`](crate::Agent::freeze).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn freeze(&self, mount_points: Option<&[&str]>) -> Result<Frozen, ClientError> {
        let inner = self.runtime.block_on(self.inner.freeze(mount_points))?;
        Ok(Frozen::new(inner, self.runtime))
    }

    /// Like [`copy_in`](crate::Agent::copy_in), from a file or anything else that can be read. `source` is read on this
    /// thread.
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn copy_in(&self, source: impl Read, path: &str) -> Result<u64, ClientError> {
        self.runtime.block_on(self.inner.copy_in(&mut Blocking(source), path))
    }

    /// Like [`copy_out`](crate::Agent::copy_out), into a file or anything else that can be written. `sink` is written on
    /// this thread.
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn copy_out(&self, path: &str, sink: impl Write) -> Result<u64, ClientError> {
        self.runtime.block_on(self.inner.copy_out(path, &mut Blocking(sink)))
    }

    /// Whether the agent answers.
    pub fn liveness(&self) -> Liveness {
        self.inner.liveness().borrow().clone()
    }

    /// Blocks until the connection has ended, and says why.
    pub fn closed(&self) -> CloseReason {
        self.runtime.block_on(self.inner.closed())
    }

    same! {"crate::Agent";
        close() -> ();
    }
}

/// An open file in the guest, closed when dropped.
#[derive(Debug)]
pub struct GuestFile {
    inner: crate::guest::GuestFile,
    runtime: &'static Runtime,
}

impl GuestFile {
    /// Blocks on [`read`](crate::guest::GuestFile::read).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn read(&mut self, limit: usize) -> Result<Vec<u8>, ClientError> {
        self.runtime.block_on(self.inner.read(limit))
    }

    /// Blocks on [`write_all`](crate::guest::GuestFile::write_all).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.runtime.block_on(self.inner.write_all(bytes))
    }

    /// Blocks on [`seek`](crate::guest::GuestFile::seek).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn seek(&mut self, offset: u64) -> Result<(), ClientError> {
        self.runtime.block_on(self.inner.seek(offset))
    }

    /// Blocks on [`close`](crate::guest::GuestFile::close).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn close(self) -> Result<(), ClientError> {
        self.runtime.block_on(self.inner.close())
    }
}

/// The guest's file systems, frozen for a snapshot. Dropping it thaws them.
#[derive(Debug)]
#[must_use = "dropping it thaws the file systems"]
pub struct Frozen {
    inner: crate::guest::Frozen,
    runtime: &'static Runtime,
}

impl Frozen {
    pub(super) fn new(inner: crate::guest::Frozen, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    same! {"crate::guest::Frozen";
        file_systems() -> u64;
    }

    /// Blocks on [`thaw`](crate::guest::Frozen::thaw).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn thaw(self) -> Result<u64, ClientError> {
        self.runtime.block_on(self.inner.thaw())
    }
}
