//! Starts processes from one thread that lives as long as this process.
//!
//! A parent-death signal fires when the *thread* that started the child ends, not the process. A thread of an
//! async runtime may end at any time and would take every QEMU with it; this one never ends.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

struct Job {
    command: Command,
    reply: oneshot::Sender<io::Result<Unclaimed>>,
}

/// A child on its way to whoever asked for it. If they are gone it is killed and reaped, wherever it has got to.
struct Unclaimed(Option<Child>);

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It was started and nobody knows of it, so there is nobody to tell of an error.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The thread's queue, and the process it belongs to: a fork has no threads but the one that forked.
static SPAWNER: Mutex<Option<(u32, Sender<Job>)>> = Mutex::new(None);

/// Starts `command` on the spawner thread.
///
/// # Cancel safety
///
/// If the future is dropped, a child already started is killed and reaped.
pub(crate) async fn spawn(command: Command) -> io::Result<Child> {
    let (reply, started) = oneshot::channel();
    queue()?.send(Job { command, reply }).map_err(|_| ended())?;
    let mut child = started.await.map_err(|_| ended())??;
    child.0.take().ok_or_else(ended)
}

fn ended() -> io::Error {
    io::Error::other("the thread that starts QEMU has ended")
}

fn queue() -> io::Result<Sender<Job>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    let this = std::process::id();
    if let Some((owner, queue)) = spawner.as_ref()
        && *owner == this
    {
        return Ok(queue.clone());
    }
    let (queue, jobs) = channel::<Job>();
    thread::Builder::new().name("qemuctl-spawn".into()).stack_size(64 * 1024).spawn(move || {
        for mut job in jobs {
            let result = job.command.spawn().map(|child| Unclaimed(Some(child)));
            // The pipes' ends for the child must not stay open here, or its end is never seen.
            drop(job.command);
            // An asker who is gone gets nothing, and the child ends with the answer.
            drop(job.reply.send(result));
        }
    })?;
    *spawner = Some((this, queue.clone()));
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use std::time::Duration;

    #[test]
    fn the_child_outlives_the_thread_and_runtime_that_asked_for_it() {
        let child = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--", "sleep", "600"]);
            runtime.block_on(spawn(command)).expect("setpriv starts")
        })
        .join()
        .expect("no panic");
        let process = Process::of_child(child).expect("a pidfd");
        assert!(
            !process.wait_blocking(Duration::from_millis(300)),
            "its starter is gone, this process is not"
        );
        process.kill_blocking(Duration::from_secs(30)).expect("dead");
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let error = spawn(Command::new("/nonexistent/program")).await.expect_err("not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
