//! Long-running jobs, such as backups.

use qmp_client::Job;

use crate::instance::Instance;

/// # Jobs
impl Instance {
    /// Returns a handle to the job `id`, which tracks the job from now on. Create it before the command that starts the
    /// job, so that the end of a short job is not missed. See [`Job`] for an example.
    pub fn job(&self, id: impl Into<String>) -> Job {
        self.qmp().job(id)
    }
}
