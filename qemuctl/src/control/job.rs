//! Long-running jobs, such as backups.

use qmp_client::Job;

use crate::instance::Instance;

impl Instance {
    /// A handle on the job `id`, which sees all that happens to the job from now on. Make it before the command that starts
    /// the job, so that the end of a short one is not missed. See [`Job`] for an example.
    pub fn job(&self, id: impl Into<String>) -> Job {
        self.qmp().job(id)
    }
}
