//! Many visitors at one VM at a time, and what serves a monitor and is no QEMU.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use qemu_discovery::instances;
use qemuctl::{Error, ExitReason, Instance, State};
use tokio::time::timeout;

use crate::boot_sector::Guest;
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(60);
/// How many visitors a VM serves at a time.
const SERVED: usize = 16;

async fn start(version: &str, dir: &Path) -> Instance {
    let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    Instance::start(&config).await.expect("started")
}

fn hasty() -> qmp_client::Options {
    qmp_client::Options { greeting: Duration::from_millis(300), ..qmp_client::Options::default() }
}

#[tokio::test]
async fn a_vm_serves_many_visitors_at_a_time_and_tells_one_too_many() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path()).await;
        let mut visitors = Vec::new();
        for _ in 0..SERVED {
            let visitor = Instance::attach_name_in(dir.path(), "vm").await.expect("one more is served");
            assert_eq!((visitor.pid(), visitor.state()), (vm.pid(), State::Running), "{version}");
            visitors.push(visitor);
        }
        let socket = vm.socket().expect("a socket");
        let error = Instance::attach_with(socket, &hasty()).await.expect_err("all are in use");
        assert!(matches!(error, Error::Busy { .. }), "{version}: {error}");

        // What one does is heard by all, the launcher included.
        visitors[3].pause().await.expect("paused");
        for handle in visitors.iter().chain([&vm]) {
            let mut states = handle.states();
            let paused = states.wait_for(|state| *state == State::Paused);
            timeout(GENEROUS, paused).await.expect("it is told").expect("it lives");
        }
        // Whoever waits is served as soon as somebody leaves.
        let waiting = tokio::spawn(Instance::attach(socket.to_owned()));
        tokio::task::yield_now().await;
        drop(visitors.pop());
        let served = timeout(GENEROUS, waiting).await.expect("in time").expect("no panic");
        assert_eq!(served.expect("served").state(), State::Paused, "{version}");
        drop(visitors);
        vm.kill().await.expect("killed");
    }
}

#[tokio::test]
async fn monitors_that_share_a_socket_are_found_as_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = start("10.0", dir.path()).await;
    let pid = vm.pid().expect("it is ours");
    let found = instances::find(pid).expect("it is a QEMU");
    assert!(found.ours);
    let listening: Vec<_> = found.monitors.iter().filter(|monitor| monitor.listens()).collect();
    let address = instances::Address::Unix(vm.socket().expect("a socket").into());
    assert_eq!(listening.iter().map(|monitor| &monitor.address).collect::<Vec<_>>(), [&address]);
    let attached = Instance::attach_pid(pid).await.expect("attached");
    assert_eq!(attached.pid(), Some(pid));
}

/// Passes bytes on between whoever connects to `from` and the socket `to`, as `socat` and `ssh -L` do.
fn proxy(from: &Path, to: &Path) {
    let listener = UnixListener::bind(from).expect("bound");
    let to = to.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&to) else { return };
            for (mut from, mut into) in
                [(client.try_clone().expect("copied"), server.try_clone().expect("copied")), (server, client)]
            {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        if into.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = into.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
}

#[tokio::test]
async fn what_serves_a_monitor_and_is_no_qemu_is_never_killed() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path()).await;
        // The proxy is this process: a kill that believed it would end the test.
        let path = dir.path().join("proxy.sock");
        proxy(&path, vm.socket().expect("a socket"));
        let attached = Instance::attach(&path).await.expect("attached");
        assert_eq!((attached.name(), attached.pid(), attached.state()), ("vm", None, State::Running));
        let error = attached.kill().await.expect_err("nobody knows what to kill");
        assert_eq!(
            error.to_string(),
            "killing vm failed: the process behind its monitor is not known to be a QEMU of this host",
            "{version}"
        );
        assert_eq!(vm.query_state().await.expect("it runs on"), State::Running);
        // What needs no process works: QEMU itself is asked to end.
        attached.quit(GENEROUS).await.expect("it ends");
        assert_eq!(timeout(GENEROUS, vm.wait()).await.expect("in time"), ExitReason::HostQuit);
    }
}
