//! Saving a machine to a file, to go on later where it was.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu_argv::Version;
use qmp_proto::{Cont, Migrate, MigrateCancel, MigrationStatus, QueryMigrate};
use tempfile::NamedTempFile;

use crate::error::Error;
use crate::instance::Instance;
use crate::runtime::Record;
use crate::saved::{Draft, LOOKS, SavedState, Stream};
use crate::state::State;

const ACTION: &str = "saving";

/// How long QEMU may take to end when everything is saved.
const ENDS: Duration = Duration::from_secs(30);

/// # Saving
impl Instance {
    /// Saves the machine's memory and devices to the file `path`, which must not exist, and ends its QEMU. Its disks stay
    /// where they are, and must not be changed until it is resumed from there
    /// ([`LaunchOptions::resume`](crate::LaunchOptions::resume)). The guest notices nothing but its clock.
    ///
    /// `progress` is called with the bytes that are written so far, and with those that are left.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file exists or cannot be written, [`Error::Unsupported`] if QEMU cannot save the machine, such
    /// as with a device that was passed through, or if it was not started by this library. It goes on as it was then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the machine goes on as it was a moment later, unless everything was saved already; it
    /// ends then.
    pub async fn save(
        &self,
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<SavedState, Error> {
        let path = std::path::absolute(path.as_ref()).unwrap_or_else(|_| path.as_ref().into());
        let io = |action| {
            let path = path.clone();
            move |source| Error::Io { action, path, source }
        };
        let record = self.own_record()?;
        let plan = self.plan().ok_or_else(|| self.unsaved("it was not started by this library"))?;
        let qemu = plan.version();
        let running = self.query_state().await? == State::Running;
        let mut draft = Draft::new(self.name(), qemu, running, record.config, plan.as_ref().clone())
            .map_err(io("describe the machine in"))?;
        if path.symlink_metadata().is_ok() {
            return Err(io("create")(io::ErrorKind::AlreadyExists.into()));
        }
        let dir = path.parent().unwrap_or(Path::new("/"));
        let file = tempfile::Builder::new().prefix(".saving-").tempfile_in(dir).map_err(io("create"))?;
        draft.begin(file.as_file()).map_err(io("write"))?;

        let mut undo = Undo { vm: self.clone(), was_running: running, is_armed: true };
        if running {
            self.pause().await?;
        }
        self.write_stream(&file, draft.offset(), qemu, progress).await?;
        draft.complete(file.as_file()).map_err(io("write"))?;
        let file = file.persist_noclobber(&path).map_err(|error| io("create")(error.error))?;
        sync_folder(&path).map_err(io("write"))?;
        // From here on the file is the machine, whoever waits for this or does not.
        undo.is_armed = false;
        let vm = self.clone();
        let ending = tokio::spawn(async move {
            if vm.quit(ENDS).await.is_err() {
                vm.kill().await?;
            }
            Ok::<_, Error>(draft.stamp(&file))
        });
        match ending.await {
            Ok(ended) => ended?.map_err(io("write"))?,
            Err(error) => return Err(io("write")(io::Error::other(error))),
        }
        SavedState::open(&path)
    }

    async fn write_stream(
        &self,
        file: &NamedTempFile,
        offset: u64,
        qemu: Version,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<(), Error> {
        let fail = |source| Error::Io { action: "write", path: file.path().to_owned(), source };
        // QEMU compares the access of what it gets with what it would open.
        let writer = OpenOptions::new().write(true).open(file.path()).map_err(fail)?;
        let stream = Stream::pass(self.qmp(), &writer, offset, qemu).await;
        let stream = stream.map_err(|error| self.explain(ACTION, error))?;
        self.execute(Migrate { uri: Some(stream.uri.clone()), ..Migrate::default() }).await?;
        let mut looks = tokio::time::interval(LOOKS);
        loop {
            looks.tick().await;
            let info = self.execute(QueryMigrate {}).await?;
            if let Some(ram) = &info.ram {
                let number = |value: i64| u64::try_from(value).unwrap_or_default();
                progress(number(ram.transferred), number(ram.remaining));
            }
            match info.status {
                Some(MigrationStatus::Completed) => break,
                Some(MigrationStatus::Failed | MigrationStatus::Cancelled) => {
                    let reason = info.error_desc.unwrap_or_else(|| "QEMU gives no reason".to_owned());
                    return Err(self.unsaved(reason));
                }
                _ => {}
            }
        }
        // QEMU 7.2 says that it has completed before it has.
        while self.query_state().await? == State::FinishMigrate {
            looks.tick().await;
        }
        drop(stream);
        Ok(())
    }

    /// What was written down at the launch.
    fn own_record(&self) -> Result<Record, Error> {
        let none = || self.unsaved("it was not started by this library");
        let dir: PathBuf = self.socket().and_then(Path::parent).ok_or_else(none)?.into();
        Record::read(&dir, self.name())?.ok_or_else(none)
    }

    fn unsaved(&self, reason: impl Into<String>) -> Error {
        Error::Unsupported { action: ACTION, name: self.name().to_owned(), reason: reason.into() }
    }
}

/// Has the machine go on as it was, unless it was saved.
struct Undo {
    vm: Instance,
    was_running: bool,
    is_armed: bool,
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let (vm, was_running) = (self.vm.clone(), self.was_running);
        let undo = async move {
            // Each is refused where there is nothing to undo.
            let _ = vm.qmp().execute(MigrateCancel {}).await;
            let mut looks = tokio::time::interval(LOOKS);
            while let Ok(info) = vm.qmp().execute(QueryMigrate {}).await {
                match info.status {
                    // Before its end, QEMU would stop the guest again.
                    None
                    | Some(
                        MigrationStatus::None
                        | MigrationStatus::Completed
                        | MigrationStatus::Failed
                        | MigrationStatus::Cancelled,
                    ) => break,
                    Some(_) => {
                        looks.tick().await;
                    }
                }
            }
            if was_running {
                let _ = vm.qmp().execute(Cont {}).await;
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(undo);
        }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
