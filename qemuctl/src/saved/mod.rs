//! The file of a saved machine: what it is, where its disks were, and QEMU's own state behind that.
//!
//! ```text
//! qemuctl saved state 1\n     the magic line
//! {"name": …}\n               JSON, filled up with spaces to a multiple of 4096 bytes
//! …                           QEMU's migration stream to the end of the file
//! ```

#[cfg(feature = "image")]
mod draft;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::{CliOption, Plan, Version, VmConfig};
use qmp_client::{ClientError, FdsetFd, NamedFd, Session};
use qmp_proto::{MigrateIncoming, MigrationStatus, QueryMigrate};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::runtime::open_regular;

#[cfg(feature = "image")]
pub(crate) use draft::Draft;

/// The first line.
const MAGIC: &[u8] = b"qemuctl saved state 1\n";

/// The options whose change QEMU notices only while it loads.
const BOARD: [&str; 4] = ["-machine", "-cpu", "-smp", "-m"];

/// The longest header that is read. A plan of a thousand devices takes a megabyte.
const MOST: u64 = 64 << 20;

/// A saved machine: memory and devices in a file, its disks in their images.
#[derive(Clone, Debug)]
pub struct SavedState {
    path: PathBuf,
    header: Arc<Header>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    name: String,
    /// Of the QEMU that wrote it.
    qemu: Version,
    /// Whether the guest ran.
    running: bool,
    config: VmConfig,
    plan: Plan,
    /// Where the stream begins.
    offset: u64,
    /// The length of the stream; 0 until it is whole.
    stream: u64,
    /// The images, as they were when QEMU had ended.
    images: Vec<Stamp>,
}

/// What changes when anybody writes to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let file = path.metadata()?;
        Ok(Self { path: path.into(), size: file.len(), modified: (file.mtime(), file.mtime_nsec()) })
    }
}

impl SavedState {
    /// Reads what a file contains. The stream itself is only looked at by QEMU.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, is not a saved state, or is not whole.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = std::path::absolute(path.as_ref()).unwrap_or_else(|_| path.as_ref().into());
        let read = || -> io::Result<Header> {
            let file = open_regular(&path, OpenOptions::new().read(true))?;
            let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text);
            let mut reader = BufReader::new((&file).take(MOST));
            let mut head = [0; MAGIC.len()];
            if reader.read_exact(&mut head).is_err() || head != MAGIC {
                return Err(invalid("not a saved state"));
            }
            let mut documents = serde_json::Deserializer::from_reader(reader).into_iter::<Header>();
            let header = documents.next().ok_or_else(|| invalid("it is not whole"))??;
            if header.stream == 0 || Some(file.metadata()?.len()) != header.offset.checked_add(header.stream)
            {
                return Err(invalid("it is not whole"));
            }
            Ok(header)
        };
        let fail = |source| Error::Io { action: "read the saved state", path: path.clone(), source };
        let header = read().map_err(fail)?;
        Ok(Self { path, header: Arc::new(header) })
    }

    /// Returns the machine's name.
    pub fn name(&self) -> &str {
        &self.header.name
    }

    /// Returns the machine's config, for launching it with [`resume`](crate::LaunchOptions::resume).
    pub fn config(&self) -> &VmConfig {
        &self.header.config
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the version of the QEMU that saved it.
    pub fn qemu(&self) -> Version {
        self.header.qemu
    }

    /// Returns the size of memory and devices in the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.header.stream
    }

    /// Whether the guest ran when it was saved.
    pub fn was_running(&self) -> bool {
        self.header.running
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.header.plan
    }

    pub(crate) fn offset(&self) -> u64 {
        self.header.offset
    }

    /// What prevents a QEMU with this plan from loading it, if anything.
    pub(crate) fn obstacle(&self, plan: &Plan) -> Option<String> {
        let (saved, now) = (self.plan(), plan);
        if saved.machine() != now.machine() || saved.arch() != now.arch() {
            return Some(format!(
                "it is of a {} machine, and this one is {}",
                saved.machine(),
                now.machine()
            ));
        }
        let is_versioned = saved.machine().rsplit('-').next().is_some_and(|end| end.contains('.'));
        if self.qemu() > now.version() || (self.qemu() != now.version() && !is_versioned) {
            return Some(format!(
                "it was saved by QEMU {}, and this is {}; use that QEMU, or a machine type with a version",
                self.qemu(),
                now.version()
            ));
        }
        if saved.accel() != now.accel() {
            let (saved, now) = (saved.accel().qemu_name(), now.accel().qemu_name());
            return Some(format!("it was saved with {saved}, and this host would use {now}"));
        }
        let parts =
            |plan: &Plan| -> Vec<String> { plan.devices().map(|device| device.id.to_string()).collect() };
        let (before, after) = (parts(saved), parts(now));
        if let Some(missing) = before.iter().find(|id| !after.contains(id)) {
            return Some(format!("the machine has no {missing} any more"));
        }
        if let Some(new) = after.iter().find(|id| !before.contains(id)) {
            return Some(format!("the machine had no {new} then"));
        }
        let board = |plan: &Plan| -> Vec<CliOption> {
            plan.options().iter().filter(|option| BOARD.contains(&&*option.name)).cloned().collect()
        };
        let is_same = saved.devices().eq(now.devices()) && saved.objects().eq(now.objects());
        if !is_same || board(saved) != board(now) {
            return Some("the machine has changed since".to_owned());
        }
        self.changed_image().map(|path| format!("{} was changed since", path.display()))
    }

    fn changed_image(&self) -> Option<&Path> {
        let changed = |stamp: &&Stamp| Stamp::of(&stamp.path).ok().as_ref() != Some(*stamp);
        self.header.images.iter().find(changed).map(|stamp| &*stamp.path)
    }
}

/// The first QEMU with `file:`; later ones refuse `fd:` for files.
const FILE_SINCE: Version = Version::new(8, 2);

/// A file that QEMU reads or writes a migration stream from. It is QEMU's until this is dropped.
pub(crate) struct Stream {
    pub(crate) uri: String,
    _passed: Passed,
}

enum Passed {
    Named { _fd: NamedFd },
    Set { _fd: FdsetFd },
}

impl Stream {
    /// QEMU uses the file from `offset` on.
    pub(crate) async fn pass(
        session: &Session,
        mut file: &File,
        offset: u64,
        qemu: Version,
    ) -> Result<Self, ClientError> {
        if qemu >= FILE_SINCE {
            let fd = session.add_fd(file, None).await?;
            let uri = format!("file:{},offset={offset}", fd.path());
            return Ok(Self { uri, _passed: Passed::Set { _fd: fd } });
        }
        // The offset belongs to the open file, which QEMU shares. Seeking in a regular file cannot fail.
        let _ = file.seek(SeekFrom::Start(offset));
        let fd = session.getfd(file).await?;
        Ok(Self { uri: format!("fd:{}", fd.name()), _passed: Passed::Named { _fd: fd } })
    }
}

/// Has a QEMU that was started for it load a saved state.
pub(crate) async fn load(session: &Session, saved: &SavedState, qemu: Version) -> Result<(), LoadError> {
    let file = open_regular(saved.path(), OpenOptions::new().read(true))?;
    let stream = Stream::pass(session, &file, saved.offset(), qemu).await?;
    session.execute(MigrateIncoming { uri: Some(stream.uri.clone()), ..MigrateIncoming::default() }).await?;
    let mut looks = tokio::time::interval(LOOKS);
    loop {
        looks.tick().await;
        let info = session.execute(QueryMigrate {}).await?;
        match info.status {
            Some(MigrationStatus::Completed) => return Ok(()),
            Some(MigrationStatus::Failed) => {
                return Err(LoadError::Failed(info.error_desc.unwrap_or_default()));
            }
            _ => {}
        }
    }
}

/// How often the progress is looked at. QEMU tells by an event only that it is done.
pub(crate) const LOOKS: Duration = Duration::from_millis(10);

/// Why a state was not loaded. If QEMU ends instead, its own words say more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot open the saved state")]
    Open(#[from] io::Error),
    #[error(transparent)]
    Qmp(#[from] ClientError),
    #[error("QEMU could not load the saved state: {0}")]
    Failed(String),
}
