//! Tracks a long-running QEMU job, such as a backup or a mirror, to its end.
//!
//! QEMU reports how a job ended in different ways: a job that is kept after its end (`auto-dismiss: false`) has the
//! reason in `query-jobs`, others report it in a block job event just before they disappear. Both are used.

use std::sync::Arc;

use qmp_proto::event::JobStatusChange;
use qmp_proto::{
    Event, JobCancel, JobComplete, JobDismiss, JobFinalize, JobInfo, JobPause, JobResume, JobStatus,
    QueryJobs,
};
use serde::Deserialize;

use crate::error::{ClientError, CloseReason};
use crate::events::{Events, EventsError, RawEvent};
use crate::session::Session;

/// The events of block jobs. Their types are in a QMP module that is not required otherwise.
const COMPLETED: &str = "BLOCK_JOB_COMPLETED";
const CANCELLED: &str = "BLOCK_JOB_CANCELLED";

/// The C library's error messages for a cancelled job.
const CANCELLED_WORDS: [&str; 2] = ["Operation canceled", "Operation cancelled"];

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEnd {
    /// It succeeded.
    Done,
    /// It was cancelled.
    Cancelled,
    /// It failed, with QEMU's error message.
    Failed(String),
}

/// Why the result of a job is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// There is no such job, and there was none since the handle was created.
    #[error(
        "no job is called {id}; create the handle before starting the job, or start it with `auto-dismiss: false`"
    )]
    NotFound {
        /// The job.
        id: String,
    },
    /// The job is gone, and its result was missed.
    #[error("the job {id} has ended, but its result was missed; start it with `auto-dismiss: false`")]
    Missed {
        /// The job.
        id: String,
    },
    /// The connection ended first. The job may still be running.
    #[error("following the job {id}: the connection has ended")]
    Closed {
        /// The job.
        id: String,
        /// Why.
        source: CloseReason,
    },
    /// A query failed.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A handle to a job, created by [`Session::job`]. Dropping it does not affect the job.
///
/// ```no_run
/// # async fn example(session: qmp_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use qmp_client::JobEnd;
///
/// let mut job = session.job("backup0");
/// let arguments = serde_json::json!({
///     "job-id": "backup0", "device": "disk0", "target": "copy", "sync": "full", "auto-dismiss": false
/// });
/// session.execute_raw("blockdev-backup", Some(arguments)).await?;
/// match job.wait().await? {
///     JobEnd::Done => println!("saved"),
///     end => println!("not saved: {end:?}"),
/// }
/// job.dismiss().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Job {
    session: Session,
    id: String,
    events: Events,
    /// The last known state.
    status: Option<JobStatus>,
    /// The result reported by a block job's event.
    told: Option<JobEnd>,
    end: Option<JobEnd>,
    /// Whether the job has to be queried.
    ask: bool,
}

#[derive(Deserialize)]
struct BlockJobEnd {
    device: String,
    error: Option<String>,
}

impl Session {
    /// Returns a handle to the job `id`, which tracks the job from now on. Create it before the command that starts the
    /// job, so that the end of a short job is not missed.
    pub fn job(&self, id: impl Into<String>) -> Job {
        Job {
            session: self.clone(),
            id: id.into(),
            events: self.events_named([JobStatusChange::NAME, COMPLETED, CANCELLED]),
            status: None,
            told: None,
            end: None,
            ask: true,
        }
    }
}

/// Defines commands whose only argument is the job's id.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident $command:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// As [`Session::execute`]; QEMU rejects what the job's state does not allow.
        ///
        /// # Cancel safety
        ///
        /// As [`Session::execute`].
        pub async fn $name(&self) -> Result<(), ClientError> {
            self.session.execute($command::new(&self.id)).await.map(drop)
        }
    )*};
}

impl Job {
    /// Returns the job's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the job's state and progress, or `None` if the job does not exist.
    ///
    /// # Errors
    ///
    /// As [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn query(&self) -> Result<Option<JobInfo>, ClientError> {
        let jobs = self.session.execute(QueryJobs {}).await?;
        Ok(jobs.into_iter().find(|job| job.id == self.id))
    }

    commands! {
        /// Pauses the job.
        pause JobPause;
        /// Resumes the job.
        resume JobResume;
        /// Cancels the job. It stops some time later, when [`Job::wait`] returns. A mirror that is ready completes
        /// instead, without switching to its target.
        cancel JobCancel;
        /// Completes a job that is ready, such as a mirror, which then switches to its target.
        complete JobComplete;
        /// Finalizes a job that is pending because of `auto-finalize: false`.
        finalize JobFinalize;
        /// Removes a concluded job, so that its id can be used again.
        dismiss JobDismiss;
    }

    /// Waits until the job has concluded, and returns its result. A job with `auto-dismiss: false` still exists after
    /// that.
    ///
    /// A job that waits for [`Job::complete`] or [`Job::finalize`] does not conclude by itself; use [`Job::wait_for`]
    /// to detect that. There is no polling.
    ///
    /// # Errors
    ///
    /// - [`JobError::NotFound`] if there is no such job.
    /// - [`JobError::Missed`] if it disappeared, and its last events were missed.
    /// - [`JobError::Closed`] if the connection ends first, [`JobError::Client`] if QEMU does not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped: the next call continues.
    pub async fn wait(&mut self) -> Result<JobEnd, JobError> {
        loop {
            if let Some(end) = &self.end {
                return Ok(end.clone());
            }
            self.advance().await?;
        }
    }

    /// Waits until `wanted` accepts the job's state, or the job has concluded, and returns the state.
    ///
    /// Short-lived states are seen, too, if they occur after the handle was created.
    ///
    /// # Errors
    ///
    /// As [`Job::wait`].
    ///
    /// # Cancel safety
    ///
    /// As [`Job::wait`].
    pub async fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&JobStatus) -> bool,
    ) -> Result<JobStatus, JobError> {
        loop {
            if let Some(status) = &self.status
                && (self.end.is_some() || wanted(status))
            {
                return Ok(status.clone());
            }
            self.advance().await?;
        }
    }

    /// Advances by one step: a received event, the answer to a query, or the next event.
    async fn advance(&mut self) -> Result<(), JobError> {
        if self.take_event()? || !self.ask {
            return if self.ask { Ok(()) } else { self.next_event().await };
        }
        let info = self.query().await?;
        self.ask = false;
        // Process the events before the answer now; later ones may require another query.
        while self.take_event()? {}
        match info {
            Some(info) if info.status == JobStatus::Concluded => {
                self.status = Some(info.status);
                self.end = Some(match info.error {
                    None => JobEnd::Done,
                    Some(_) if self.told == Some(JobEnd::Cancelled) => JobEnd::Cancelled,
                    Some(words) if CANCELLED_WORDS.contains(&words.as_str()) => JobEnd::Cancelled,
                    Some(words) => JobEnd::Failed(words),
                });
            }
            Some(info) => {
                self.status.get_or_insert(info.status);
            }
            None => {
                let id = self.id.clone();
                match (self.told.take(), &self.status) {
                    (Some(end), _) => self.end = Some(end),
                    (None, _) if self.ask => {}
                    (None, None) => return Err(JobError::NotFound { id }),
                    (None, Some(_)) => return Err(JobError::Missed { id }),
                }
            }
        }
        Ok(())
    }

    async fn next_event(&mut self) -> Result<(), JobError> {
        let event = self.events.recv_raw().await;
        self.on_event(event)
    }

    /// Processes a received event. Returns whether there was one.
    fn take_event(&mut self) -> Result<bool, JobError> {
        let event = match self.events.try_recv_raw() {
            Ok(None) => return Ok(false),
            Ok(Some(event)) => Ok(event),
            Err(error) => Err(error),
        };
        self.on_event(event).map(|()| true)
    }

    fn on_event(&mut self, event: Result<Arc<RawEvent>, EventsError>) -> Result<(), JobError> {
        let event = match event {
            Ok(event) => event,
            Err(EventsError::Closed(source)) => return Err(JobError::Closed { id: self.id.clone(), source }),
            // The missed events may include the end.
            Err(_) => {
                self.ask = true;
                return Ok(());
            }
        };
        let data = event.data().get();
        if &*event.name == JobStatusChange::NAME {
            // Ignore malformed events, which do not belong to this job.
            let Ok(change) = serde_json::from_str::<JobStatusChange>(data) else { return Ok(()) };
            if change.id == self.id {
                self.ask |=
                    matches!(change.status, JobStatus::Concluded | JobStatus::Null) && self.end.is_none();
                self.status = Some(change.status);
            }
        } else if let Ok(ended) = serde_json::from_str::<BlockJobEnd>(data)
            && ended.device == self.id
        {
            self.told = Some(match ended.error {
                _ if &*event.name == CANCELLED => JobEnd::Cancelled,
                Some(words) => JobEnd::Failed(words),
                None => JobEnd::Done,
            });
        }
        Ok(())
    }
}
