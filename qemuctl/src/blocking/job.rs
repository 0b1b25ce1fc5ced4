//! A long-running job, for blocking code.

use qmp_client::{ClientError, JobEnd, JobError};
use qmp_proto::{JobInfo, JobStatus};
use tokio::runtime::Runtime;

use super::blocking;

/// A handle to one job. Dropping it leaves the job alone.
#[derive(Debug)]
pub struct Job {
    inner: qmp_client::Job,
    runtime: &'static Runtime,
}

impl Job {
    pub(super) fn new(inner: qmp_client::Job, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// As [`id`](qmp_client::Job::id).
    pub fn id(&self) -> &str {
        self.inner.id()
    }

    blocking! {"qmp_client::Job";
        query() -> Result<Option<JobInfo>, ClientError>;
        pause() -> Result<(), ClientError>;
        resume() -> Result<(), ClientError>;
        cancel() -> Result<(), ClientError>;
        complete() -> Result<(), ClientError>;
        finalize() -> Result<(), ClientError>;
        dismiss() -> Result<(), ClientError>;
    }

    /// Blocks on [`wait`](qmp_client::Job::wait).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn wait(&mut self) -> Result<JobEnd, JobError> {
        self.runtime.block_on(self.inner.wait())
    }

    /// Blocks on [`wait_for`](qmp_client::Job::wait_for).
    ///
    /// # Errors
    ///
    /// As that method.
    pub fn wait_for(&mut self, wanted: impl FnMut(&JobStatus) -> bool) -> Result<JobStatus, JobError> {
        self.runtime.block_on(self.inner.wait_for(wanted))
    }
}
