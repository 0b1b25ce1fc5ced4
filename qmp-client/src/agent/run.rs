//! Running and starting programs in the guest.

use std::time::Duration;

use super::exec::{Exec, ExecOutput};
use super::follow::Way;
use super::process::{self, GuestProcess};
use crate::agent::Agent;
use crate::error::ClientError;

/// How long a program that ran out of time may take to die.
const DIES: Duration = Duration::from_secs(5);

impl Agent {
    /// Runs a program in the guest and waits until it has ended, for at most `deadline`.
    ///
    /// A program that has not ended by then is killed in the guest, with all that it started; see [`GuestProcess::kill`].
    ///
    /// # Errors
    ///
    /// - [`ClientError::Refused`] if the program cannot be started.
    /// - [`ClientError::Timeout`] if it has not ended in time.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest.
    pub async fn exec(&self, exec: &Exec, deadline: Duration) -> Result<ExecOutput, ClientError> {
        let late = || ClientError::Timeout { command: "guest-exec".into(), after: deadline, sent: true };
        let begin = tokio::time::Instant::now();
        let started = tokio::time::timeout(deadline, self.spawn_collected(exec)).await;
        let mut process = started.map_err(|_| late())??;
        let ended = tokio::time::timeout(deadline.saturating_sub(begin.elapsed()), process.wait());
        if let Ok(ended) = ended.await {
            return ended;
        }
        // What is not known to be dead by then is killed once more by the drop.
        let _ = tokio::time::timeout(DIES, process.kill()).await;
        Err(late())
    }

    /// Starts a program in the guest and returns at once. Its output can be read while it runs, its input be written, and it
    /// can be sent signals.
    ///
    /// ```no_run
    /// # async fn example(agent: qmp_client::agent::Agent) -> Result<(), qmp_client::ClientError> {
    /// use qmp_client::agent::Exec;
    ///
    /// let mut process = agent.spawn(&Exec::new("make").arg("check").current_dir("/src")).await?;
    /// while let Some(piece) = process.next().await? {
    ///     println!("{piece:?}");
    /// }
    /// println!("{:?}", process.wait().await?.code);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The agent hands out a program's output only once it has ended. So a shell in the guest sends the output to files in
    /// `/tmp`, which are deleted as soon as the agent has opened them; that takes a POSIX guest with `sh`, `mkfifo` and
    /// `rm`. In other guests, such as Windows, the program runs all the same, and its output comes at its end.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Refused`] if the program cannot be started.
    /// - [`ClientError::Unsendable`] if the guest is no POSIX system and the program needs one: for `current_dir`,
    ///   `extra_env`, `piped_stdin`.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed in the guest as soon as it has started.
    pub async fn spawn(&self, exec: &Exec) -> Result<GuestProcess, ClientError> {
        process::spawn(self, exec, Way::Streamed).await
    }

    /// Starts a program in the guest whose output the agent collects: nothing is written to files in the guest, and
    /// [`GuestProcess::wait`] returns all of the output at the end.
    ///
    /// # Errors
    ///
    /// As [`Agent::spawn`]. `piped_stdin` is [`ClientError::Unsendable`].
    ///
    /// # Cancel safety
    ///
    /// As [`Agent::spawn`].
    pub async fn spawn_collected(&self, exec: &Exec) -> Result<GuestProcess, ClientError> {
        process::spawn(self, exec, Way::Collected).await
    }
}
