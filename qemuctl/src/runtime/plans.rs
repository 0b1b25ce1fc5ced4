//! The plan of a running VM, which changes as devices come and go: in memory, and in the record for later processes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use qemu_argv::Plan;

use crate::error::Error;

use super::{Record, SocketDir};

/// What the handles on one VM know of its devices.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    now: Mutex<Option<Arc<Plan>>>,
    /// Held while devices come and go, so that no two of them get one place.
    changing: Arc<tokio::sync::Mutex<()>>,
    record: Option<Place>,
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
    pub(crate) async fn change(&self) -> Result<tokio::sync::OwnedMutexGuard<()>, Error> {
        let guard = self.changing.clone().lock_owned().await;
        if let Some((_, record)) = self.read()? {
            self.keep(record.plan);
        }
        Ok(guard)
    }

    /// From now on this is the plan.
    pub(crate) fn set(&self, plan: Plan) -> Result<(), Error> {
        if let Some((dir, mut record)) = self.read()? {
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
        match Record::read(&place.dir, &place.name)? {
            Some(record) if (record.pid, record.started) == (place.pid, place.started) => {
                Ok(Some((SocketDir::open(&place.dir)?, record)))
            }
            _ => Ok(None),
        }
    }
}
