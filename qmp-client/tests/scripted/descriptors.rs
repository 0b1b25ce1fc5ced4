//! Descriptors over a Unix socket, and that none is left behind.

use std::io::{IoSlice, IoSliceMut, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use qmp_client::{ClientError, Session};
use serde_json::{Value, json};
use std::os::fd::AsRawFd;

use crate::peer::{negotiate, options, with_id};

/// Receives some bytes and how many descriptors came with them.
fn receive_bytes(socket: &UnixStream) -> Option<(Vec<u8>, usize)> {
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
    bytes.truncate(length);
    (length > 0).then_some((bytes, count))
}

/// Receives some commands and how many descriptors came with the first of them.
fn receive(socket: &UnixStream) -> Option<(Vec<Value>, usize)> {
    let (bytes, fds) = receive_bytes(socket)?;
    let commands = serde_json::Deserializer::from_slice(&bytes).into_iter().map(Result::unwrap);
    Some((commands.collect(), fds))
}

/// A QEMU that answers every command, and keeps a list of what came with how many descriptors.
fn start() -> (UnixStream, std::thread::JoinHandle<Vec<String>>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
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
    // A file of its own, because other tests of this process have descriptors as well.
    let file = tempfile::NamedTempFile::new().unwrap();
    let open = || std::fs::File::open(file.path()).unwrap();
    let (mut pending, count) = (Vec::new(), open_descriptors(file.path()));
    for _ in 0..20 {
        pending.push(session.getfd(open()).await.unwrap());
    }
    assert_eq!(open_descriptors(file.path()), count, "none of the duplicates stays open here");
    drop(pending);
    session.close();
    let error = session.getfd(open()).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
    assert_eq!(peer.join().unwrap().iter().filter(|line| line.starts_with("getfd")).count(), 20);
}

/// The socket takes a part of the command at a time; the descriptor goes with the first of them alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_command_carries_its_descriptor_once() {
    const TEXT: usize = 2 << 20;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
        let (mut taken, mut counts) = (Vec::new(), Vec::new());
        while !taken.trim_ascii_end().ends_with(b"}") {
            let (bytes, fds) = receive_bytes(&theirs).unwrap();
            taken.extend(bytes);
            counts.push(fds);
        }
        let command: Value = serde_json::from_slice(&taken).unwrap();
        theirs.write_all(with_id("\"return\": {}", &command).as_bytes()).unwrap();
        (command["arguments"]["text"].as_str().unwrap().len(), counts)
    });
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let call = session.call_raw("x-take", Some(json!({ "text": "x".repeat(TEXT) })));
    call.with_fd(&null).send().await.unwrap();
    let (length, counts) = peer.join().unwrap();
    assert_eq!((length, counts[0], counts.iter().sum::<usize>()), (TEXT, 1, 1));
    assert!(counts.len() > 2, "in several parts");
}

/// What comes with a descriptor is received alone; the rest of what the peer said is not forgotten for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_passes_descriptors_is_understood() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let passed = tempfile::NamedTempFile::new().unwrap();
    let file = passed.reopen().unwrap();
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
        while let Some((commands, _)) = receive(&theirs) {
            let fds = [file.as_raw_fd(); 100];
            let rights = [ControlMessage::ScmRights(&fds)];
            let reply = with_id("\"return\": 1", &commands[0]);
            let parts = [b"\r\n", b"\r\n", &reply.as_bytes()[..9], &reply.as_bytes()[9..], b"\r\n"];
            for part in parts {
                let parts = [IoSlice::new(part)];
                sendmsg::<()>(theirs.as_raw_fd(), &parts, &rights, MsgFlags::MSG_NOSIGNAL, None).unwrap();
            }
        }
    });
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(session.execute_raw("a", None).await.unwrap(), 1);
    }
    assert_eq!(open_descriptors(passed.path()), 2, "the two of this test");
    drop(session);
    peer.join().unwrap();
}

/// How many descriptors to a file this process holds.
fn open_descriptors(path: &std::path::Path) -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target == path)
        .count()
}
