//! QEMUs as a program without this library would start them.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use qemuctl::qemu_argv::Plan;

/// A QEMU that runs. Dropping it kills it.
pub struct Bare {
    child: Child,
    /// Kept open for as long as QEMU runs.
    monitor: Option<UnixStream>,
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What QEMU is given for a plan.
pub fn arguments(plan: &Plan) -> Vec<OsString> {
    plan.command_line().args().map(OsString::from).collect()
}

impl Bare {
    /// Starts a QEMU whose monitor is its standard input, without having shaken hands.
    fn start(
        qemu: &Path,
        args: &[OsString],
        before: impl FnOnce(&mut Command),
    ) -> io::Result<(Self, UnixStream)> {
        let (ours, qemus) = UnixStream::pair()?;
        let mut command = Command::new(qemu);
        command
            .args(args)
            .stdin(Stdio::from(OwnedFd::from(qemus)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        before(&mut command);
        let child = command.spawn()?;
        Ok((Self { child, monitor: None }, ours))
    }

    fn shaken(mut self, monitor: UnixStream) -> io::Result<Self> {
        shake_hands(&monitor)?;
        self.monitor = Some(monitor);
        Ok(self)
    }

    /// The floor: start, and shake hands over a descriptor made before.
    pub fn floor(qemu: &Path, args: &[OsString]) -> io::Result<Self> {
        let (bare, monitor) = Self::start(qemu, args, |_| ())?;
        bare.shaken(monitor)
    }

    /// The same by a fork, as anything that runs between fork and exec makes it.
    #[expect(unsafe_code, reason = "to show what is not done")]
    pub fn by_fork(qemu: &Path, args: &[OsString]) -> io::Result<Self> {
        let fork = |command: &mut Command| {
            // SAFETY: the function does nothing.
            unsafe { command.pre_exec(|| Ok(())) };
        };
        let (bare, monitor) = Self::start(qemu, args, fork)?;
        bare.shaken(monitor)
    }

    /// Many at once: all are started, then hands are shaken with each.
    pub fn many(qemu: &Path, lines: &[Vec<OsString>]) -> io::Result<Vec<Self>> {
        let started: io::Result<Vec<_>> = lines.iter().map(|args| Self::start(qemu, args, |_| ())).collect();
        started?.into_iter().map(|(bare, monitor)| bare.shaken(monitor)).collect()
    }

    /// Looks for the socket every 100 ms, makes a connection to try it, and then another.
    pub fn by_polling(qemu: &Path, args: &[OsString], socket: &Path) -> io::Result<Self> {
        let (mut bare, _monitor) = Self::start(qemu, args, |_| ())?;
        loop {
            sleep(Duration::from_millis(100));
            if socket.exists() && UnixStream::connect(socket).is_ok() {
                break;
            }
        }
        let monitor = UnixStream::connect(socket)?;
        shake_hands(&monitor)?;
        bare.monitor = Some(monitor);
        Ok(bare)
    }
}

fn shake_hands(monitor: &UnixStream) -> io::Result<()> {
    let mut reader = BufReader::new(monitor);
    line(&mut reader)?;
    let mut writer = monitor;
    writer.write_all(b"{\"execute\": \"qmp_capabilities\"}\n")?;
    line(&mut reader)
}

fn line(reader: &mut BufReader<impl Read>) -> io::Result<()> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "QEMU has ended"));
    }
    Ok(())
}
