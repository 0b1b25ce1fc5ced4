//! Reads the text of a config file, exactly once, since it may come through a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ConfigError;

/// Larger than any config. The limit keeps a disk image that was given by mistake from being read whole.
const LARGEST: u64 = 4 << 20;

/// How long to wait for data from a pipe or a terminal.
const PATIENCE: Duration = Duration::from_secs(60);

/// The text of a config.
pub(super) struct Source {
    pub(super) text: String,
    /// Whether it is from a regular file, whose folder relative paths are resolved against.
    pub(super) is_file: bool,
}

pub(super) fn read(path: &Path) -> Result<Source, ConfigError> {
    let fail = |source| ConfigError::Read { path: path.into(), source };
    // Opening a pipe without a writer would block.
    let file =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(fail)?;
    let kind = file.metadata().map_err(fail)?.file_type();
    let mut bytes = Vec::new();
    if kind.is_file() || kind.is_dir() || kind.is_block_device() {
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    } else {
        match read_slowly(file, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(ConfigError::NothingCame { path: path.into(), within: PATIENCE });
            }
            done => done.map_err(fail)?,
        }
    }
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::TooLarge { path: path.into(), limit: LARGEST });
    }
    let text = String::from_utf8(bytes).map_err(|error| ConfigError::NotText {
        path: path.into(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    Ok(Source { text, is_file: kind.is_file() })
}

/// Reads data that arrives in pieces, up to its end.
fn read_slowly(mut file: File, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 8 << 10];
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    while bytes.len() as u64 <= LARGEST {
        let mut ready = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, patience) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
