//! A QEMU that never runs its guest: started with `-S`, asked where things are, and killed.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use qmp_client::{Options, Session};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::tree::Tree;

/// Longer than anything takes on a loaded machine: QEMU needs most of a minute of processor time for 500 devices.
const GENEROUS: Duration = Duration::from_secs(900);

pub struct Frozen {
    session: Session,
    // Killed when dropped.
    _child: Child,
}

impl Frozen {
    /// Starts QEMU with its monitor on descriptor 0 and the given arguments; `Err` has what it said when it refused.
    pub async fn start(program: &PathBuf, args: impl Iterator<Item: AsRef<OsStr>>) -> Result<Self, String> {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("QEMU starts");
        let mut stderr = child.stderr.take().expect("piped");
        let options = Options {
            connect: GENEROUS,
            greeting: GENEROUS,
            ready: GENEROUS,
            command: GENEROUS,
            ..Options::default()
        };
        match Session::from_unix_stream(ours, &options).await {
            Ok(session) => {
                // QEMU's warnings must not fill the pipe and stop it.
                tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
                Ok(Self { session, _child: child })
            }
            Err(error) => {
                let mut said = String::new();
                drop(tokio::time::timeout(GENEROUS, stderr.read_to_string(&mut said)).await);
                Err(format!("{error}\n{said}"))
            }
        }
    }

    /// A bare machine with these `-device`s.
    pub async fn bare(program: &PathBuf, machine: &str, devices: &[Value]) -> Result<Self, String> {
        let mut args: Vec<String> =
            ["-nodefaults", "-display", "none", "-S", "-M", machine].map(Into::into).into();
        if program.to_string_lossy().contains("riscv") {
            // Debian 12 has no firmware for 32 bits.
            args.extend(["-bios", "none"].map(Into::into));
        }
        args.extend(["-chardev", "socket,id=qmp,fd=0", "-qmp", "chardev:qmp"].map(Into::into));
        for device in devices {
            args.extend(["-device".into(), device.to_string()]);
        }
        Self::start(program, args.iter()).await
    }

    pub async fn ask(&self, command: &str) -> Value {
        self.session.execute_raw(command, None).await.expect(command)
    }

    /// All buses and devices.
    pub async fn tree(&self) -> Tree {
        let arguments = json!({ "command-line": "info qtree" });
        let text =
            self.session.execute_raw("human-monitor-command", Some(arguments)).await.expect("info qtree");
        Tree::parse(text.as_str().expect("it is text"))
    }
}
