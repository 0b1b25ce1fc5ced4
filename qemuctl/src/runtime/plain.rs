//! Reads and opens the files of the private directories. Nothing there is believed to be what its name says.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// The largest file that is read; the record of a machine with a thousand disks has 2 MiB.
const LARGEST: u64 = 64 << 20;

/// Opens a regular file as `options` say. A symbolic link is not followed, and a FIFO or device does not keep the caller
/// waiting: it is an error.
pub(crate) fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without O_NONBLOCK a FIFO is waited at until somebody comes to its other end.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = options.custom_flags(flags.bits()).open(path).map_err(|error| {
        match error.raw_os_error().map(nix::errno::Errno::from_raw) {
            // A FIFO that nobody reads, or a socket.
            Some(nix::errno::Errno::ENXIO) => irregular(),
            _ => error,
        }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file")
}

/// The text of a regular file.
pub(crate) fn read_regular(path: &Path) -> io::Result<String> {
    let file = open_regular(path, OpenOptions::new().read(true))?;
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_a_regular_file_is_read_or_written_and_nothing_is_waited_for() {
        let base = tempfile::tempdir().expect("a directory");
        let path = |name: &str| base.path().join(name);
        std::fs::write(path("file"), "text").expect("written");
        symlink(path("file"), path("link")).expect("linked");
        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("made");
        drop(std::os::unix::net::UnixListener::bind(path("socket")).expect("bound"));
        std::fs::create_dir(path("folder")).expect("made");
        File::create(path("large")).and_then(|file| file.set_len(LARGEST + 1)).expect("made");
        assert_eq!(read_regular(&path("file")).expect("readable"), "text");
        for name in ["link", "fifo", "socket", "folder", "large"] {
            read_regular(&path(name)).expect_err(name);
        }
        for name in ["link", "fifo", "socket", "folder"] {
            open_regular(&path(name), OpenOptions::new().write(true)).expect_err(name);
        }
        assert_eq!(read_regular(&path("fifo")).expect_err("a FIFO").to_string(), "it is not a regular file");
    }
}
