//! A guest's serial console, for code that blocks.

use std::io::{self, Read, Write};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

use crate::guest::{ExpectError, Expected};

use super::{blocking, same};

/// A guest's serial console. Clones share the connection. What is written to it is typed into the guest.
#[derive(Clone, Debug)]
pub struct Console {
    inner: crate::Console,
    runtime: &'static Runtime,
}

impl Console {
    pub(super) fn new(inner: crate::Console, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// A reader that begins with what is printed from now on.
    pub fn reader(&self) -> ConsoleReader {
        ConsoleReader { inner: self.inner.reader(), runtime: self.runtime }
    }

    /// A reader that begins with the oldest byte still known: the last 64 KiB are kept.
    pub fn reader_with_history(&self) -> ConsoleReader {
        ConsoleReader { inner: self.inner.reader_with_history(), runtime: self.runtime }
    }

    /// The last lines that the guest printed, at most `count`, as text.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        self.inner.last_lines(count)
    }

    blocking! {"crate::Console";
        write_all(bytes: &[u8]) -> io::Result<()>;
    }

    /// Blocks until QEMU has closed the console: the VM has ended.
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

/// A place in a console's output. Reads like a file; ends when the VM ends.
#[derive(Clone, Debug)]
pub struct ConsoleReader {
    inner: crate::ConsoleReader,
    runtime: &'static Runtime,
}

impl ConsoleReader {
    same! {"crate::ConsoleReader";
        missed() -> u64;
    }

    /// Blocks on [`expect`](crate::ConsoleReader::expect).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn expect(&mut self, pattern: &str, within: Duration) -> Result<Expected, ExpectError> {
        self.runtime.block_on(self.inner.expect(pattern, within))
    }
}

impl Read for ConsoleReader {
    /// Blocks until the guest prints something; nothing is the end of the VM.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.inner.read(buffer))
    }
}
