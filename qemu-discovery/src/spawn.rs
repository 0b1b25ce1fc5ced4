//! Starts programs that die with this process, however it ends.
//!
//! The signal at a parent's death fires when the *thread* that started the child ends. A thread of an async runtime may
//! end at any time, so one of our own starts them all, and lasts as long as the process.
//!
//! This copies the page tables of a large process, some 30 ms for 1 GiB, which answers that are kept make rare.
#![expect(unsafe_code, reason = "no safe interface binds a child to its parent before it runs")]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Job {
    command: Command,
    /// Whose child it becomes.
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// The thread's queue, and the process it belongs to: a fork has no threads but the one that forked.
static SPAWNER: Mutex<Option<(Pid, Sender<Job>)>> = Mutex::new(None);

/// Starts a program, and has it killed when the value is dropped or this process ends.
///
/// # Cancel safety
///
/// A child that is started already is killed.
pub(crate) async fn spawn(mut command: Command) -> io::Result<Child> {
    refuse_text(command.as_std().get_program().as_ref())?;
    let parent = getpid();
    // SAFETY: between fork and exec it makes two system calls; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(move || die_with(parent)) };
    command.kill_on_drop(true);
    let (reply, started) = oneshot::channel();
    let job = Job { command, runtime: Handle::current(), reply };
    queue(parent)?.send(job).map_err(|_| ended())?;
    started.await.map_err(|_| ended())?
}

/// Refuses what is no program, as the kernel does: after a fork, libc would hand it to a shell, line by line.
fn refuse_text(path: &Path) -> io::Result<()> {
    let mut start = [0; 4];
    // What cannot be read may still run, and what is not there is an error of its own.
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    let is_program = start == *b"\x7fELF" || start.starts_with(b"#!");
    if read.is_ok() && !is_program { Err(Errno::ENOEXEC.into()) } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before that took hold.
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

fn ended() -> io::Error {
    io::Error::other("the thread that starts QEMU has ended")
}

fn queue(this: Pid) -> io::Result<Sender<Job>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, queue)) = spawner.as_ref()
        && *owner == this
    {
        return Ok(queue.clone());
    }
    let (queue, jobs) = channel::<Job>();
    thread::Builder::new().name("qemu-probe".into()).spawn(move || {
        for Job { mut command, runtime, reply } in jobs {
            let _context = runtime.enter();
            // With the command goes its end of every channel; an asker who is gone gets nothing, and the child ends.
            let started = command.spawn();
            drop(command);
            drop(reply.send(started));
        }
    })?;
    *spawner = Some((this, queue.clone()));
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    #[test]
    fn the_child_outlives_the_thread_that_asked_for_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let child = thread::spawn(move || handle.block_on(spawn(shell("read -r line; echo alive"))).unwrap());
        let child = child.join().unwrap();
        let output = runtime.block_on(child.wait_with_output()).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "alive\n");
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let error = spawn(Command::new("/nonexistent/program")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
