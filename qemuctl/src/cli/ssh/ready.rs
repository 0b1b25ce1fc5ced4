//! Waits until a guest accepts logins.
//!
//! QEMU accepts connections to a forwarded port before the guest has a server there, and a server that answers may not
//! know the user yet: cloud-init creates it while the guest boots, and other users than root are kept out until the
//! guest has booted.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::context::Context;
use super::super::duration::Span;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::super::signals::Signals;
use super::access::{Access, not_started};

/// The time between two attempts.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a server may take to say its name. A guest without KVM is slow.
const GREETING: Duration = Duration::from_secs(30);
/// The exit code of `ssh` if it could not log in.
const NO_LOGIN: i32 = 255;

pub(super) async fn wait(access: &mut Access, limit: Span, context: &Context) -> Result<(), Failure> {
    // Then only the guest's server is waited for, which may be rebooting.
    let proven = access.proven.as_ref().is_some_and(|path| path.exists());
    let mut signals = Signals::listen()?;
    let progress = Progress::start(context, format!("waiting for {}", access.name));
    let deadline = Instant::now() + limit.0;
    let mut last = String::new();
    let logged_in = timeout_at(deadline, attempts(access, proven, &progress, &mut last));
    tokio::select! {
        done = logged_in => {
            if let Ok(done) = done {
                done?;
            } else {
                let text = format!("{} did not accept a login within {limit}{last}", access.name);
                return Err(Failure::new(Exit::TimedOut, text)
                    .with_help(format!("`qemuctl console {0}` or `qemuctl logs {0}` shows what its guest does", access.name)));
            }
        },
        signal = signals.next() => return Err(signal.failure("the login")),
    }
    if let Some(path) = &access.proven {
        // If it cannot be written, the next command tries again.
        let _ = std::fs::write(path, "");
    }
    Ok(())
}

/// Tries until a login succeeds.
async fn attempts(
    access: &Access,
    proven: bool,
    progress: &Progress,
    last: &mut String,
) -> Result<(), Failure> {
    loop {
        match timeout(GREETING, greeting(access)).await {
            Ok(Ok(())) if proven => return Ok(()),
            Ok(Ok(())) => {
                progress.say(format!("logging in to {}", access.name));
                match login(access).await? {
                    None => return Ok(()),
                    Some(said) => *last = format!(": {said}"),
                }
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // QEMU itself listens there.
                return Err(Failure::new(Exit::Failed, format!("{} has ended", access.name)));
            }
            Ok(Err(_)) | Err(_) => ": its SSH server does not answer".clone_into(last),
        }
        sleep(AGAIN).await;
    }
}

/// Waits for the server's first words.
async fn greeting(access: &Access) -> io::Result<()> {
    let mut stream = TcpStream::connect(access.address).await?;
    let mut first = [0; 4];
    stream.read_exact(&mut first).await?;
    if first == *b"SSH-" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Logs in once. Returns what the client said if it could not.
async fn login(access: &Access) -> Result<Option<String>, Failure> {
    let mut ssh = access.command();
    ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=30"])
        .arg(&access.destination)
        .args(["--", "true"]);
    let mut ssh = tokio::process::Command::from(ssh);
    ssh.kill_on_drop(true).stdin(Stdio::null());
    let output = ssh.output().await.map_err(|error| not_started(&error))?;
    if output.status.code() != Some(NO_LOGIN) {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(Some(said.lines().last().unwrap_or("no login").to_owned()))
}
