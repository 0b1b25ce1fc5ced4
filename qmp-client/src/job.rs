//! A long-running job of QEMU's, such as a backup or a mirror, followed to its end.
//!
//! QEMU says how a job ended in different places: a job that is kept after its end (`auto-dismiss: false`) has the reason in
//! `query-jobs`, one that vanishes has told it in a block job's event just before. Both are looked at.

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

/// The events of block jobs, whose types belong to a module of QMP that following a job does not need.
const COMPLETED: &str = "BLOCK_JOB_COMPLETED";
const CANCELLED: &str = "BLOCK_JOB_CANCELLED";

/// How QEMU, in the C library's words, calls the error of a job that was cancelled.
const CANCELLED_WORDS: [&str; 2] = ["Operation canceled", "Operation cancelled"];

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEnd {
    /// It did what it was to do.
    Done,
    /// It was cancelled.
    Cancelled,
    /// It failed, for this reason in QEMU's words.
    Failed(String),
}

/// Why the end of a job is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// There is no such job, and none has been seen since the handle was made.
    #[error(
        "no job is called {id}; create the handle before starting the job, or start it with `auto-dismiss: false`"
    )]
    NotFound {
        /// The job.
        id: String,
    },
    /// The job is gone, and what it said at its end was missed.
    #[error("the job {id} has ended, but its result was missed; start it with `auto-dismiss: false`")]
    Missed {
        /// The job.
        id: String,
    },
    /// The connection has ended first. The job may go on.
    #[error("following the job {id}: the connection has ended")]
    Closed {
        /// The job.
        id: String,
        /// Why.
        source: CloseReason,
    },
    /// QEMU could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A handle on one job, made by [`Session::job`]. Dropping it leaves the job alone.
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
    /// The state that was seen last.
    status: Option<JobStatus>,
    /// What a block job said of its end.
    told: Option<JobEnd>,
    end: Option<JobEnd>,
    /// QEMU is to be asked where the job stands.
    ask: bool,
}

#[derive(Deserialize)]
struct BlockJobEnd {
    device: String,
    error: Option<String>,
}

impl Session {
    /// A handle on the job `id`, which sees all that happens to the job from now on. Make it before the command that starts
    /// the job, so that the end of a short one is not missed.
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

/// Commands that take nothing but the job's name.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident $command:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// As [`Session::execute`]; QEMU refuses what the job's state does not allow.
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
    /// The job's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the job stands, and how far it is. None: there is no such job, or not any more.
    ///
    /// # Errors
    ///
    /// As [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn query(&self) -> Result<Option<JobInfo>, ClientError> {
        let jobs = self.session.execute(QueryJobs {}).await?;
        Ok(jobs.into_iter().find(|job| job.id == self.id))
    }

    commands! {
        /// Pauses the job.
        pause JobPause;
        /// Resumes the job.
        resume JobResume;
        /// Cancels the job. It goes on until it has stopped by itself: [`Job::wait`] returns then. A mirror that is ready
        /// ends well instead, without switching to its target.
        cancel JobCancel;
        /// Has a job that is ready, such as a mirror, switch over and end.
        complete JobComplete;
        /// Has a job that is pending because of `auto-finalize: false` make its changes.
        finalize JobFinalize;
        /// Removes a job that has concluded. Only then its name can be used again.
        dismiss JobDismiss;
    }

    /// Waits until the job has concluded, and returns how. A job that is kept (`auto-dismiss: false`) is still there then.
    ///
    /// A job that waits for [`Job::complete`] or [`Job::finalize`] does not conclude by itself; [`Job::wait_for`] shows that.
    /// Nothing is sent while nothing happens.
    ///
    /// # Errors
    ///
    /// - [`JobError::NotFound`] if there is no such job.
    /// - [`JobError::Missed`] if it vanished and its last events came faster than they were taken.
    /// - [`JobError::Closed`] if the connection ends first, [`JobError::Client`] if QEMU does not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next call goes on.
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
    /// States that were passed through quickly are seen as well, if they came after the handle was made.
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

    /// Takes one more step towards the end: an event that has come, the answer to a question, or the next event.
    async fn advance(&mut self) -> Result<(), JobError> {
        if self.take_event()? || !self.ask {
            return if self.ask { Ok(()) } else { self.next_event().await };
        }
        let info = self.query().await?;
        self.ask = false;
        // What came before the answer counts now; what came behind it may have it asked again.
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

    /// Takes an event that has come. Returns whether there was one.
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
            // What was missed may have been the end.
            Err(_) => {
                self.ask = true;
                return Ok(());
            }
        };
        let data = event.data().get();
        if &*event.name == JobStatusChange::NAME {
            // Another program's malformed event is none of this job's.
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
