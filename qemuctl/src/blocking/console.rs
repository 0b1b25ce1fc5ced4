//! A guest's serial console, for blocking code.

use std::io::{self, Read, Write};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

use crate::guest::{ExpectError, Match};

use super::{blocking, same};

/// A guest's serial console. Clones share the connection. Data written to it is sent to the guest.
#[derive(Clone, Debug)]
pub struct Console {
    inner: crate::Console,
    runtime: &'static Runtime,
}

impl Console {
    pub(super) fn new(inner: crate::Console, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// Returns a reader that starts with the next output.
    pub fn reader(&self) -> ConsoleReader {
        ConsoleReader { inner: self.inner.reader(), runtime: self.runtime }
    }

    /// Returns a reader that starts with the oldest output in the buffer, which keeps the last 64 KiB.
    pub fn reader_with_history(&self) -> ConsoleReader {
        ConsoleReader { inner: self.inner.reader_with_history(), runtime: self.runtime }
    }

    /// Returns the last lines of output, at most `count`.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        self.inner.last_lines(count)
    }

    blocking! {"crate::Console";
        write_all(bytes: &[u8]) -> io::Result<()>;
    }

    /// Blocks until QEMU closes the console, which means that the VM has ended.
    pub fn closed(&self) {
        self.runtime.block_on(self.inner.closed());
    }

    same! {"crate::Console";
        is_closed() -> bool;
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write_all(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A position in a console's output. Reads like a file; ends when the VM ends.
#[derive(Clone, Debug)]
pub struct ConsoleReader {
    inner: crate::guest::ConsoleReader,
    runtime: &'static Runtime,
}

impl ConsoleReader {
    same! {"crate::guest::ConsoleReader";
        missed() -> u64;
    }

    /// Blocks on [`expect`](crate::guest::ConsoleReader::expect).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn expect(&mut self, pattern: &str, timeout: Duration) -> Result<Match, ExpectError> {
        self.runtime.block_on(self.inner.expect(pattern, timeout))
    }
}

impl Read for ConsoleReader {
    /// Blocks until the guest prints something. Returns nothing if the VM has ended.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.inner.read(buffer))
    }
}
