//! The QMP client against real QEMUs.

mod descriptors;
mod jobs;
mod leaving;
mod reconnecting;
mod session;
mod sharing;
mod visitors;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qmp_client::{Options, Session};

use crate::support::qemu;

/// Far beyond what anything here takes, so that only a hang reaches it.
const LONG: Duration = Duration::from_secs(60);

/// A QEMU without a machine, killed when dropped. Its monitor is one end of a socketpair, as its stdin.
struct Qemu {
    child: Child,
    monitor: Option<UnixStream>,
}

impl Qemu {
    fn start(version: &str, args: &[&str]) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socketpair");
        let child = Command::new(qemu(version, "qemu-system-x86_64"))
            .args(["-nodefaults", "-display", "none", "-S"])
            .args(["-chardev", "socket,id=monitor,fd=0", "-qmp", "chardev:monitor"])
            .args(args)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .expect("QEMU starts");
        Self { child, monitor: Some(ours) }
    }

    /// Has it do nothing until it is killed.
    fn stop(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).expect("it is ours");
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it can be waited for");
    }

    async fn session(&mut self) -> Session {
        let monitor = self.monitor.take().expect("the monitor is taken once");
        Session::from_unix_stream(monitor, &options()).await.expect("QEMU negotiates")
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("QEMU can be waited for");
    }
}

/// Deadlines that a loaded machine keeps.
fn options() -> Options {
    Options { connect: LONG, greeting: LONG, ready: LONG, command: LONG, ..Options::default() }
}
