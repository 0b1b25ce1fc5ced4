//! Descriptors handed to a real QEMU.

use std::io::Read;
use std::os::unix::net::UnixStream;

use qmp_proto::Cont;
use serde_json::{Value, json};

use super::{LONG, Qemu};
use crate::support::VERSIONS;

#[tokio::test]
async fn a_vnc_client_is_handed_over() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none", "-vnc", "none"]);
        let session = qemu.session().await;
        let (mut ours, theirs) = UnixStream::pair().expect("a socketpair");
        let named = session.getfd(&theirs).await.expect("QEMU takes the descriptor");
        drop(theirs);
        let client = json!({ "protocol": "vnc", "fdname": named.name(), "skipauth": true });
        session.execute_raw("add_client", Some(client)).await.expect("QEMU takes the client");
        ours.set_read_timeout(Some(LONG)).expect("a deadline");
        let greeting = tokio::task::spawn_blocking(move || {
            let mut greeting = [0; 12];
            ours.read_exact(&mut greeting).map(|()| greeting)
        });
        let greeting = greeting.await.expect("no panic").expect("a greeting");
        assert_eq!(&greeting, b"RFB 003.008\n");
    }
}

#[tokio::test]
async fn descriptors_sent_at_once_reach_their_own_commands() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none"]);
        let session = qemu.session().await;
        assert!(session.has_oob(), "without it QEMU could not mix them up");
        // QEMU closes what was removed from a set only while the machine runs.
        session.execute(Cont {}).await.expect("it runs");
        // Each descriptor is a file that QEMU can tell by its contents.
        let directory = tempfile::tempdir().expect("a temporary folder");
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let (session, path) = (session.clone(), directory.path().join(number.to_string()));
                tokio::spawn(async move {
                    std::fs::write(&path, vec![b'x'; 512 * (number + 1)]).expect("a file");
                    let file = std::fs::File::open(&path).expect("a file");
                    let added = session.add_fd(file, None).await.expect("QEMU takes it");
                    let node = format!("n{number}");
                    let file = json!({ "driver": "file", "filename": added.path(), "read-only": true });
                    let raw = json!({ "driver": "raw", "node-name": node, "read-only": true, "file": file });
                    session.execute_raw("blockdev-add", Some(raw)).await.expect("QEMU opens it");
                    drop(added);
                    node
                })
            })
            .collect();
        let mut nodes = Vec::new();
        for task in tasks {
            nodes.push(task.await.expect("no panic"));
        }
        let known = session.execute_raw("query-named-block-nodes", None).await.expect("the nodes");
        for (number, node) in nodes.iter().enumerate() {
            let known =
                known.as_array().and_then(|known| known.iter().find(|one| one["node-name"] == **node));
            let size = &known.expect("the node is there")["image"]["virtual-size"];
            assert_eq!(*size, Value::from(512 * (number + 1)), "{node} has its own descriptor");
        }
        let sets = session.execute_raw("query-fdsets", None).await.expect("the sets");
        for set in sets.as_array().expect("a list") {
            assert_eq!(set["fds"], json!([]), "{sets}");
        }
    }
}

#[tokio::test]
async fn no_descriptor_is_left_in_qemu() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none"]);
        let session = qemu.session().await;
        session.execute(Cont {}).await.expect("it runs");
        let pid = qemu.child.id();
        let open = || std::fs::read_dir(format!("/proc/{pid}/fd")).expect("QEMU runs").count();
        let null = std::fs::File::open("/dev/null").expect("/dev/null");
        drop(session.getfd(&null).await.expect("QEMU takes it"));
        session.execute_raw("query-fdsets", None).await.expect("in order, so the name is gone");
        let before = open();
        for _ in 0..100 {
            drop(session.getfd(&null).await.expect("QEMU takes it"));
            drop(session.add_fd(&null, None).await.expect("QEMU takes it"));
        }
        let sets = session.execute_raw("query-fdsets", None).await.expect("the sets");
        assert_eq!(sets, json!([]));
        assert_eq!(open(), before);
    }
}
