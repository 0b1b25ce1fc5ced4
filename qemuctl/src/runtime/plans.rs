//! The plan of a running VM, which changes as devices come and go: in memory, and in the record for later processes.
//!
//! Several processes may change it. The one that does holds a lock of the VM's, and has read what the others have made of
//! the record.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use qemu_argv::{Plan, SocketRole};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

use crate::error::Error;

use super::{Record, SocketDir, open_regular};

/// The ending of the file that is locked while devices come and go.
pub(crate) const LOCK: &str = ".hotplug";

/// How long other processes may hold the lock. A guest may take its time to let go of a device.
const OTHERS: Duration = Duration::from_secs(60);

/// How often the lock is tried. A file lock wakes no task.
const AGAIN: Duration = Duration::from_millis(5);

/// What the handles to one VM know of its devices.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    now: Mutex<Option<Arc<Plan>>>,
    /// Held while devices come and go, so that no two of them get one place.
    changing: Arc<tokio::sync::Mutex<()>>,
    record: Option<Place>,
}

/// Nobody else adds or removes a device of the VM while this is held, here or in another process.
#[derive(Debug)]
pub(crate) struct Changing {
    _here: OwnedMutexGuard<()>,
    _everywhere: Option<Flock<File>>,
}

/// Where a VM's record is, and of which process.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    name: String,
    pid: u32,
    started: u64,
}

impl Plans {
    /// The plan in a record, which is kept up to date.
    pub(crate) fn recorded(record: &Record) -> Arc<Self> {
        let place = record.socket.parent().map(|dir| Place {
            dir: dir.to_owned(),
            name: record.name.clone(),
            pid: record.pid,
            started: record.started,
        });
        let now = Mutex::new(Some(Arc::new(record.plan.clone())));
        Arc::new(Self { now, changing: Arc::default(), record: place })
    }

    pub(crate) fn now(&self) -> Option<Arc<Plan>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody else adds or removes a device, and reads what other processes have added.
    pub(crate) async fn change(&self) -> Result<Changing, Error> {
        let here = self.changing.clone().lock_owned().await;
        let everywhere = match &self.record {
            Some(place) => place.lock().await?,
            None => None,
        };
        if let Some((_, record)) = self.read()? {
            self.keep(record.plan);
        }
        Ok(Changing { _here: here, _everywhere: everywhere })
    }

    /// From now on this is the plan.
    pub(crate) fn set(&self, plan: Plan) -> Result<(), Error> {
        if let Some((dir, mut record)) = self.read()? {
            record.owns(plan.sockets().map(|socket| socket.path.clone()));
            record.plan = plan.clone();
            record.write(&dir)?;
        }
        self.keep(plan);
        Ok(())
    }

    fn keep(&self, plan: Plan) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(plan));
    }

    /// The record, unless it is of another VM by now.
    fn read(&self) -> Result<Option<(SocketDir, Record)>, Error> {
        let Some(place) = &self.record else { return Ok(None) };
        let Some(dir) = SocketDir::find(&place.dir)? else { return Ok(None) };
        match Record::read_in(&dir, &place.name)? {
            Some(record) if (record.pid, record.started) == (place.pid, place.started) => {
                Ok(Some((dir, record)))
            }
            _ => Ok(None),
        }
    }
}

impl Place {
    /// Waits until no other process changes the VM's devices. `None` if the VM's directory is gone.
    async fn lock(&self) -> Result<Option<Flock<File>>, Error> {
        let Some(dir) = SocketDir::find(&self.dir)? else { return Ok(None) };
        let path = dir.file(&self.name, LOCK);
        let fail = |source| Error::Io { action: "lock the devices in", path: path.clone(), source };
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let mut file = open_regular(&path, options).map_err(fail)?;
        let deadline = Instant::now() + OTHERS;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Some(lock)),
                Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => file,
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(Error::Timeout {
                        action: "waiting for another process that is changing the devices of",
                        name: self.name.clone(),
                        after: OTHERS,
                    });
                }
                Err((_, errno)) => return Err(fail(errno.into())),
            };
            sleep(AGAIN).await;
        }
    }
}

/// The path of a socket that the plan has.
pub(crate) fn socket_of(plan: &Plan, role: &SocketRole) -> Option<PathBuf> {
    plan.sockets().find(|socket| socket.role == *role).map(|socket| socket.path.clone())
}
