//! Starts processes from one thread that lives as long as this process.
//!
//! A parent-death signal fires when the *thread* that started the child ends, not the process. A thread of an
//! async runtime may end at any time and would take every QEMU with it; this one never ends.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Process;
use super::exec::Program;

/// How long a child that nobody asks for any more is waited for after its SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(10);

struct Job {
    program: Program,
    reply: oneshot::Sender<io::Result<Unclaimed>>,
    /// Dropped when the reply has been taken, or has been dropped.
    done: Sender<()>,
}

/// A start that is on its way. Dropped, it waits until the child is there and killed: this process may be about to end, and a
/// child that is not bound to it would be left.
struct Pending {
    started: oneshot::Receiver<io::Result<Unclaimed>>,
    done: Receiver<()>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.started.close();
        // A start takes milliseconds. Whether it ended by itself or not, there is nothing more to wait for.
        let _ = self.done.recv_timeout(KILL_LIMIT);
    }
}

/// A child on its way to whoever asked for it. If they are gone it is killed and reaped, wherever it has got to.
struct Unclaimed(Option<Arc<Process>>);

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            process.kill_blocking(KILL_LIMIT);
        }
    }
}

/// The thread's queue, and the process it belongs to: a fork has no threads but the one that forked.
static SPAWNER: Mutex<Option<(u32, Sender<Job>)>> = Mutex::new(None);

/// Starts `program` on the spawner thread.
///
/// # Cancel safety
///
/// If the future is dropped, a child already started is killed and reaped; the drop waits for that.
pub async fn spawn(program: Program) -> io::Result<Arc<Process>> {
    let (reply, started) = oneshot::channel();
    let (sender, done) = channel();
    queue()?.send(Job { program, reply, done: sender }).map_err(|_| ended())?;
    let mut pending = Pending { started, done };
    let mut child = (&mut pending.started).await.map_err(|_| ended())??;
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
        for Job { program, reply, done } in jobs {
            let result = program.spawn().map(|child| Unclaimed(Some(Process::of_child(child))));
            // An asker who is gone gets nothing, and the child ends with the answer.
            drop(reply.send(result));
            drop(done);
        }
    })?;
    *spawner = Some((this, queue.clone()));
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::task::Poll;

    use super::super::exec::{Bond, FdMapping};
    use super::*;

    fn program(path: &str, args: &[&str]) -> Program {
        let args = args.iter().map(Into::into).collect();
        Program { path: path.into(), args, ..Program::default() }
    }

    #[test]
    fn the_child_outlives_the_thread_and_runtime_that_asked_for_it() {
        let process = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(spawn(program("/bin/sh", &["-c", "exec sleep 600"]))).expect("sh starts")
        })
        .join()
        .expect("no panic");
        assert!(
            !process.wait_blocking(Duration::from_millis(300)),
            "its starter is gone, this process is not"
        );
        process.kill_blocking(Duration::from_secs(30)).expect("dead");
    }

    #[tokio::test]
    async fn a_dropped_start_leaves_no_child() {
        // A start may be through when it is polled for the first time; then it is tried again.
        for _ in 0..1000 {
            let (mut reader, writer) = UnixStream::pair().expect("a pair");
            reader.set_nonblocking(true).expect("set");
            let output = FdMapping { parent_fd: writer.into(), child_fd: 1 };
            let sleep =
                Program { descriptors: vec![output], ..program("/bin/sh", &["-c", "exec sleep 600"]) };
            let mut start = Box::pin(spawn(Program { bond: Bond::Nobody, ..sleep }));
            let polled = std::future::poll_fn(|context| Poll::Ready(start.as_mut().poll(context))).await;
            // Sent to the thread, and dropped wherever it has got to.
            drop(start);
            match polled {
                Poll::Ready(process) => {
                    process.expect("sh starts").kill_blocking(Duration::from_secs(30)).expect("dead");
                }
                Poll::Pending => {
                    let mut output = Vec::new();
                    reader.read_to_end(&mut output).expect("at once: nobody holds the other end");
                    return;
                }
            }
        }
        panic!("every start was through at its first poll");
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let error = spawn(program("/nonexistent/program", &[])).await.expect_err("not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
