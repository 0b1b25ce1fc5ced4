//! Starts passt, one for each network, with one end of a pair of sockets; the other is QEMU's.
//!
//! QEMU can start passt too, since 10.1, but closes its end twice while other threads run: what one of them has opened in
//! between is lost, be it the monitor or the kernel's image. Here it happens before QEMU is there, for every version, and
//! beside the filter that QEMU runs under. passt serves one client and ends with it, so it needs nobody to end it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu_argv::{FdRole, FdSlot, NetBackend, PasstNet, VmConfig};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::error::Error;
use qemu_discovery::process::{FdMapping, Program, Watcher, spawn};

use super::LaunchOptions;

/// How long passt may take to set itself up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of what it complains about is kept, in bytes.
const COMPLAINT: u64 = 4096;

/// The number of the socket in passt.
const SOCKET: i32 = 3;

/// Starts those that the slots want and the options do not bring.
pub(super) async fn start_all(
    slots: &[FdSlot],
    config: &VmConfig,
    options: &LaunchOptions,
) -> Result<Vec<(FdRole, OwnedFd)>, Error> {
    let mut started = Vec::new();
    for slot in slots {
        let FdRole::NetSocket { network } = &slot.role else { continue };
        if options.descriptors.iter().any(|(role, _)| *role == slot.role) {
            continue;
        }
        if let Some(NetBackend::Passt(net)) = super::descriptors::backend(network, config) {
            started.push((slot.role.clone(), start(net).await?));
        }
    }
    Ok(started)
}

/// Starts one, and returns QEMU's end once it is ready.
pub(crate) async fn start(net: &PasstNet) -> Result<OwnedFd, Error> {
    let path = find(net.path.as_deref())?;
    let fail = |source| Error::Io { action: "start", path: path.clone(), source };
    let (ours, its) = UnixStream::pair().map_err(fail)?;
    let (complaints, printed) = io::pipe().map_err(fail)?;
    let nothing = std::fs::File::open("/dev/null").map_err(fail)?;
    let descriptors = vec![
        FdMapping { parent_fd: nothing.into(), child_fd: 0 },
        FdMapping { parent_fd: printed.try_clone().map_err(fail)?.into(), child_fd: 1 },
        FdMapping { parent_fd: printed.into(), child_fd: 2 },
        FdMapping { parent_fd: its.into(), child_fd: SOCKET },
    ];
    let program = Program { path: path.clone(), args: arguments(net), descriptors, ..Program::default() };
    let process = spawn(program).await.map_err(fail)?;
    let watcher = Watcher::new(process.clone()).map_err(fail)?;
    let complaints = pipe::Receiver::from_owned_fd(complaints.into()).map_err(fail)?;
    let mut text = Vec::new();
    // Once it is ready it goes on as a process of its own, which has let go of the pipe.
    let ready = async {
        // What cannot be read is not told.
        let _ = complaints.take(COMPLAINT).read_to_end(&mut text).await;
        watcher.ended().await
    };
    let ended = tokio::time::timeout(PATIENCE, ready).await;
    if matches!(ended, Ok(exit) if exit.is_success()) {
        return Ok(ours.into());
    }
    process.kill_blocking(Duration::from_secs(1));
    let text = String::from_utf8_lossy(&text).trim_end().to_owned();
    Err(fail(match ended {
        Err(_) => io::ErrorKind::TimedOut.into(),
        Ok(exit) if text.is_empty() => io::Error::other(format!("it ended with {exit}")),
        Ok(_) => io::Error::other(text),
    }))
}

/// An absolute path: the given one, or `passt` on the search path.
fn find(path: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = path {
        return Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&dirs).map(|dir| dir.join("passt")).find(|file| file.is_file());
    found.ok_or_else(|| Error::Io {
        action: "find",
        path: "passt".into(),
        source: io::Error::new(
            io::ErrorKind::NotFound,
            "it is not on the search path; set `path`, or install it",
        ),
    })
}

fn arguments(net: &PasstNet) -> Vec<std::ffi::OsString> {
    let mut args = vec!["--quiet".to_owned(), "--fd".to_owned(), SOCKET.to_string()];
    let mut option = |name: &str, value: Option<String>| {
        args.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
    };
    option("address", net.address.map(|address| address.to_string()));
    option("netmask", net.netmask.clone());
    option("gateway", net.gateway.map(|address| address.to_string()));
    option("interface", net.interface.clone());
    option("dns", net.dns.clone());
    option("mtu", net.mtu.map(|mtu| mtu.to_string()));
    for port in &net.tcp_ports {
        option("tcp-ports", Some(port.clone()));
    }
    for port in &net.udp_ports {
        option("udp-ports", Some(port.clone()));
    }
    args.into_iter().map(Into::into).collect()
}
