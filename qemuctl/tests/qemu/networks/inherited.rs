//! Sockets of the caller's as networks, plugged into a running machine.

use std::os::unix::net::{UnixDatagram, UnixStream};

use qemuctl::{
    Instance,
    config::{InheritedNet, NetBackend, Network, SocketKind},
    qemu_argv::FdRole,
};

use crate::boot_sector::Guest;
use crate::support::{VERSIONS, qemu};

/// QEMU knows it by a name there: the number of its place at a launch is that of a descriptor of its own.
#[tokio::test]
async fn a_socket_that_is_plugged_in_is_the_one_that_was_given() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        config.machine.kind = Some("q35".into());
        config.disks.clear();
        let vm = Instance::start(&config).await.expect(version);
        let (stream, its_stream) = UnixStream::pair().expect("a pair");
        let (datagram, its_datagram) = UnixDatagram::pair().expect("a pair");
        let given = [
            ("stream", SocketKind::Stream, its_stream.into()),
            ("datagram", SocketKind::Dgram, its_datagram.into()),
        ];
        for (id, kind, socket) in given {
            let backend = NetBackend::Inherited(InheritedNet { kind });
            let network = Network { id: Some(id.into()), ..Network::new(backend) };
            let role = FdRole::NetSocket { network: id.into() };
            vm.plug_with(&network, vec![(role, socket)]).await.expect(version);
        }
        let told = vm.human_monitor("info network").await.expect("its monitor is there");
        for id in ["stream", "datagram"] {
            let is_connected = |line: &str| {
                line.contains(&format!("{id}: index")) && line.contains("fd=") && !line.contains("nic")
            };
            assert!(told.lines().any(is_connected), "{version}: {id} in {told}");
        }
        // It holds their other ends, and lets go of them when it ends.
        stream.set_nonblocking(true).expect("set");
        assert!(
            std::io::Read::read(&mut &stream, &mut [0]).is_err(),
            "{version}: nothing is sent, nothing has ended"
        );
        datagram.send(&[0; 60]).expect("QEMU receives");
        vm.kill().await.expect("killed");
        stream.set_nonblocking(false).expect("set");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("set");
        assert_eq!(std::io::Read::read(&mut &stream, &mut [0]).expect("the end"), 0, "{version}");
        datagram.send(&[0; 60]).expect_err("nobody receives any more");
    }
}
