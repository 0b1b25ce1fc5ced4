//! Watches a machine's folder with inotify, without polling.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Reports when files in a folder are written, replaced or closed after writing.
#[derive(Debug)]
pub struct Growth {
    kernel: AsyncFd<OwnedFd>,
}

impl Growth {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let what = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::DELETE_SELF;
        inotify::add_watch(&kernel, folder, what)?;
        // SAFETY: the descriptor is owned here, and nobody replaces it while it is watched.
        #[expect(unsafe_code, reason = "tokio has no safe way to watch a descriptor of another kind")]
        let kernel = unsafe { AsyncFd::register_with_interest(kernel, Interest::READABLE) }?;
        Ok(Self { kernel })
    }

    /// Waits until something happens to one of the files called `names`, or the kernel's event queue overflows.
    ///
    /// # Errors
    ///
    /// If the kernel reports an error.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn of_files(&self, names: &[&str]) -> io::Result<()> {
        loop {
            let mut ready = self.kernel.readable().await?;
            if let Ok(happened) = ready.try_io(|kernel| read(kernel.get_ref(), names))
                && happened?
            {
                return Ok(());
            }
        }
    }
}

/// Reads all events. Returns whether any was about one of these files.
fn read(kernel: &OwnedFd, names: &[&str]) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(kernel, &mut buffer);
    let mut happened = false;
    loop {
        match events.next() {
            // An event without a name is about the folder, or an overflow.
            Ok(event) => {
                let name = event.file_name().and_then(|name| name.to_str().ok());
                happened |= name.is_none_or(|name| names.contains(&name));
            }
            Err(rustix::io::Errno::AGAIN) if happened => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
