//! Networks to the host in QEMU's own user mode.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use qemuctl::qmp_client::agent::Agent;
use qemuctl::{
    LaunchOptions,
    config::{HostForward, MacAddress, NetBackend, Transport, UserNet},
};

use super::{GENEROUS, interface, linux, sh, start};
use crate::servers::{isolated, scratch};
use crate::support::VERSIONS;

/// The port on which the guest waits; 1E61 in hexadecimal.
pub(super) const GUEST_PORT: u16 = 7777;

pub(super) fn mac(number: u8) -> MacAddress {
    MacAddress([0x52, 0x54, 0, 0, 1, number])
}

/// Has the guest say a word to the next who comes to its port, and waits until it listens.
pub(super) async fn serve(agent: &Agent, word: &str) {
    let script = format!(
        "echo {word} | nc -l -p {GUEST_PORT} >/dev/null 2>&1 & \
         until grep -q ':1E61 .* 0A ' /proc/net/tcp /proc/net/tcp6; do usleep 10000; done"
    );
    sh(agent, &script).await;
}

/// What the guest says to who connects from the host.
pub(super) async fn heard(address: SocketAddr) -> String {
    let listen = move || {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a deadline");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the guest speaks");
        text
    };
    tokio::task::spawn_blocking(listen).await.expect("no panic")
}

/// Waits until the guest has been given its addresses.
pub(super) async fn addressed(agent: &Agent, addresses: &[&str]) {
    for address in addresses {
        let script = format!(
            "for try in $(seq 1200); do ip -4 addr | grep -q 'inet {address}/' && exit; usleep 100000; done; \
             (ip addr; ps; dmesg | tail -n 30) >&2; exit 1"
        );
        sh(agent, &script).await;
    }
}

/// Says a word to everybody who comes, by a thread that ends with the test's process.
fn greet() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // One who has left heard nothing.
            let _ = client.write_all(b"hello from the host\n");
        }
    });
    port
}

#[test]
fn user_mode_forwards_serves_files_and_restricts() {
    isolated(user_mode_forwards_serves_files_and_restricts, async {
        let dir = scratch();
        let files = dir.path().join("files, 1");
        std::fs::create_dir(&files).expect("a directory");
        std::fs::write(files.join("motd"), "read over TFTP\n").expect("written");
        let open = UserNet {
            forwards: vec![HostForward::tcp(0, GUEST_PORT)],
            tftp: Some(files),
            ..UserNet::default()
        };
        let closed = UserNet { net: Some("10.0.3.0/24".into()), restrict: true, ..UserNet::default() };
        let mut config = linux("10.0", dir.path(), "vm");
        config.networks =
            vec![interface(mac(0), NetBackend::User(open)), interface(mac(1), NetBackend::User(closed))];
        let vm = start(&config, &LaunchOptions::default()).await;
        let agent = vm.wait_agent(GENEROUS).await.expect("it comes up");
        addressed(&agent, &["10.0.2.15", "10.0.3.15"]).await;

        let ports = vm.forwarded_ports().await.expect("told");
        let [port] = &ports[..] else { panic!("{ports:?}") };
        assert_ne!(port.host.port(), 0);
        let told = (port.network.as_str(), port.transport, port.host.ip(), port.guest.to_string());
        assert_eq!(told, ("net0", Transport::Tcp, &Ipv4Addr::LOCALHOST, "10.0.2.15:7777".into()));
        serve(&agent, "guest").await;
        assert_eq!(heard(port.host.into()).await, "guest\n");

        assert_eq!(
            sh(&agent, "tftp -g -r motd -l /tmp/motd 10.0.2.2 && cat /tmp/motd").await,
            "read over TFTP\n"
        );
        let port = greet();
        let ask = |gateway| format!("nc -w 30 {gateway} {port} </dev/null || echo cut off");
        assert_eq!(sh(&agent, &ask("10.0.2.2")).await, "hello from the host\n");
        assert_eq!(sh(&agent, &ask("10.0.3.2")).await, "cut off\n");
    });
}

#[tokio::test]
async fn the_port_that_the_system_chose_is_told_by_every_qemu() {
    for version in VERSIONS {
        let dir = scratch();
        let net = UserNet {
            forwards: vec![HostForward::tcp(0, 22), HostForward::tcp(0, 80)],
            ..UserNet::default()
        };
        let mut config = linux(version, dir.path(), "vm");
        config.networks = vec![interface(mac(0), NetBackend::User(net))];
        config.paused = true;
        let vm = start(&config, &LaunchOptions::default()).await;
        let mut guests = Vec::new();
        for port in vm.forwarded_ports().await.expect("told") {
            // Somebody listens there.
            TcpStream::connect(port.host).expect(version);
            guests.push(port.guest.to_string());
        }
        guests.sort();
        assert_eq!(guests, ["10.0.2.15:22", "10.0.2.15:80"], "{version}");
    }
}
