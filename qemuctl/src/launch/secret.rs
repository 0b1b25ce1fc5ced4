//! Where the secrets of a launch come from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

/// Longer than any key or passphrase, and what a pipe holds.
const LARGEST_SECRET: usize = 64 * 1024;

/// A function that tells a secret when it is needed.
pub type SecretCallback = dyn Fn() -> io::Result<Zeroizing<Vec<u8>>> + Send + Sync;

/// Where a secret comes from that the config only names. `Debug` never shows one.
#[derive(Clone)]
#[non_exhaustive]
pub enum SecretSource {
    /// The secret itself; wiped from memory when the options are dropped.
    Value(Zeroizing<Vec<u8>>),
    /// A file that holds it, to the last byte.
    /// At most 64 KiB. What gives no end, such as a FIFO that nobody writes to, is waited for until the launch's deadline.
    File(PathBuf),
    /// An environment variable of this process that holds it. QEMU does not inherit it.
    Variable(String),
    /// A function that tells it.
    Callback(Arc<SecretCallback>),
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(name) => f.debug_tuple("Variable").field(name).finish(),
            Self::Callback(_) => f.write_str("Callback(…)"),
        }
    }
}

impl SecretSource {
    /// Reads the secret. Blocks for as long as a callback does, or a FIFO that nobody writes to.
    pub(crate) fn read(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => read_file(path),
            Self::Variable(name) => std::env::var(name)
                .map(|value| Zeroizing::new(value.into_bytes()))
                .map_err(|error| io::Error::new(io::ErrorKind::NotFound, error)),
            Self::Callback(tell) => tell(),
        }
    }
}

/// Reads a secret from a file, or from a pipe as a shell makes it of `<(pass show vm)`.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // All of it at once: a buffer that grows leaves copies of the secret behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(LARGEST_SECRET + 1));
    File::open(path)?.take(LARGEST_SECRET as u64 + 1).read_to_end(&mut secret)?;
    if secret.len() > LARGEST_SECRET {
        let text = format!("it is larger than {} KiB", LARGEST_SECRET / 1024);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(secret)
}
