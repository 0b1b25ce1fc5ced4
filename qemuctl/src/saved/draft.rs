//! Writing a saved state.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use qemu_argv::{DiskBackend, Plan, Version, VmConfig};

use super::{Header, MAGIC, Stamp};

/// What the header's length is a multiple of, as for direct I/O.
const BLOCK: usize = 4096;

/// A state that is being saved.
#[derive(Debug)]
pub(crate) struct Draft {
    header: Box<Header>,
    /// The length of the header, with room for what is known at the end.
    length: usize,
}

impl Draft {
    pub(crate) fn new(
        name: &str,
        qemu: Version,
        running: bool,
        config: VmConfig,
        plan: Plan,
    ) -> io::Result<Self> {
        let images =
            images(&config).map(|path| Stamp { path, size: u64::MAX, modified: (i64::MIN, i64::MIN) });
        let images = images.collect();
        let header = Header {
            name: name.to_owned(),
            qemu,
            running,
            config,
            plan,
            offset: u64::MAX,
            stream: u64::MAX,
            images,
        };
        // The longest that it can become.
        let length = (MAGIC.len() + serde_json::to_vec(&header)?.len() + 1).next_multiple_of(BLOCK);
        Ok(Self { header: Box::new(Header { offset: length as u64, stream: 0, ..header }), length })
    }

    pub(crate) fn offset(&self) -> u64 {
        self.length as u64
    }

    /// Writes the header, as one of a state that is not whole.
    pub(crate) fn begin(&self, file: &File) -> io::Result<()> {
        self.write(file)
    }

    /// Marks it as whole.
    pub(crate) fn complete(&mut self, file: &File) -> io::Result<()> {
        self.header.images.clear();
        self.header.stream = file.metadata()?.len().saturating_sub(self.offset());
        self.write(file)?;
        file.sync_all()
    }

    /// Notes how the images are after QEMU's end.
    pub(crate) fn stamp(&mut self, file: &File) -> io::Result<()> {
        // An image that cannot be looked at will be missed by QEMU.
        self.header.images = images(&self.header.config).filter_map(|path| Stamp::of(&path).ok()).collect();
        self.write(file)?;
        file.sync_all()
    }

    fn write(&self, file: &File) -> io::Result<()> {
        let mut text = MAGIC.to_vec();
        serde_json::to_writer(&mut text, &self.header)?;
        if text.len() >= self.length {
            return Err(io::Error::other("the header has grown"));
        }
        text.resize(self.length - 1, b' ');
        text.write_all(b"\n")?;
        file.write_all_at(&text, 0)
    }
}

/// The images that a machine writes to.
fn images(config: &VmConfig) -> impl Iterator<Item = PathBuf> + use<'_> {
    config.disks.iter().filter(|disk| !disk.snapshot).filter_map(|disk| match &disk.backend {
        DiskBackend::File(file) => Some(file.path.clone()),
        _ => None,
    })
}
