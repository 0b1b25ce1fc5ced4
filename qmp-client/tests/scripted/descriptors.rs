//! Descriptors over a Unix socket, and that none is left behind.

use std::io::{IoSliceMut, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use qmp_client::{ClientError, Session};
use serde_json::{Value, json};
use std::os::fd::AsRawFd;

use crate::peer::{GREETING, options, with_id};

/// Receives some commands and how many descriptors came with the first of them.
fn receive(socket: &UnixStream) -> Option<(Vec<Value>, usize)> {
    let mut bytes = vec![0; 4096];
    let mut space = cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).ok()?;
    let mut count = 0;
    for part in message.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(fds) = part {
            count += fds.len();
            for fd in fds {
                nix::unistd::close(fd).unwrap();
            }
        }
    }
    let length = message.bytes;
    let commands = serde_json::Deserializer::from_slice(&bytes[..length]).into_iter().map(Result::unwrap);
    (length > 0).then(|| (commands.collect(), count))
}

/// A QEMU that answers every command, and keeps a list of what came with how many descriptors.
fn start() -> (UnixStream, std::thread::JoinHandle<Vec<String>>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        theirs.write_all(GREETING.as_bytes()).unwrap();
        let mut bytes = [0; 200];
        assert!(theirs.read(&mut bytes).unwrap() > 0);
        theirs.write_all(b"{\"return\": {}}\r\n").unwrap();
        let mut log = Vec::new();
        while let Some((commands, fds)) = receive(&theirs) {
            for (place, command) in commands.iter().enumerate() {
                let name = command["execute"].as_str().unwrap();
                let reply = if name == "add-fd" { json!({"fdset-id": 3, "fd": 17}) } else { json!({}) };
                let arguments =
                    command.get("arguments").map_or_else(String::new, |value| format!(" {value}"));
                let fds = if place == 0 { fds } else { 0 };
                log.push(format!("{name}{arguments} fds {fds}"));
                let line = with_id(&format!("\"return\": {reply}"), command);
                // A client that has closed its end does not want the reply.
                let _ = theirs.write_all(line.as_bytes());
            }
        }
        log
    });
    (ours, peer)
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_come_with_their_command_and_go_with_their_guard() {
    let (ours, peer) = start();
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let named = session.getfd(&null).await.unwrap();
    let name = named.name().to_owned();
    let added = session.add_fd(&null, None).await.unwrap();
    assert_eq!((added.fdset_id(), added.fd(), added.path().as_str()), (3, 17, "/dev/fdset/3"));
    let again = session.add_fd(&null, Some(3)).await.unwrap();
    session.call_raw("x-take", None).with_fd(&null).send().await.unwrap();
    drop(added);
    drop(named);
    drop(session);
    drop(again);
    let log = peer.join().unwrap().join("\n").replace(&name, "NAME");
    insta::assert_snapshot!(log, @r#"
    getfd {"fdname":"NAME"} fds 1
    add-fd fds 1
    add-fd {"fdset-id":3} fds 1
    x-take fds 1
    remove-fd {"fd":17,"fdset-id":3} fds 0
    closefd {"fdname":"NAME"} fds 0
    remove-fd {"fd":17,"fdset-id":3} fds 0
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_getfd_is_closed_in_qemu() {
    let (ours, peer) = start();
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    {
        let mut getfd = std::pin::pin!(session.getfd(&null));
        // Sent at the first poll, and then given up; should the reply be there already, so is the guard.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = getfd.as_mut().poll(&mut context);
    }
    session.execute_raw("done", None).await.unwrap();
    drop(session);
    let log = peer.join().unwrap();
    let kinds: Vec<_> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["getfd", "closefd", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_duplicate_stays_open() {
    let (ours, peer) = start();
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    let (mut pending, count) = (Vec::new(), open_descriptors());
    for _ in 0..20 {
        let null = std::fs::File::open("/dev/null").unwrap();
        pending.push(session.getfd(null).await.unwrap());
    }
    assert_eq!(open_descriptors(), count, "none of the duplicates stays open here");
    drop(pending);
    session.close();
    let null = std::fs::File::open("/dev/null").unwrap();
    let error = session.getfd(null).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
    assert_eq!(peer.join().unwrap().iter().filter(|line| line.starts_with("getfd")).count(), 20);
}

/// How many descriptors to `/dev/null` this process holds.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target == std::path::Path::new("/dev/null"))
        .count()
}
