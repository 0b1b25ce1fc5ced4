//! passt: started for a machine, and joined by a stream or by shared memory.

use std::net::Ipv4Addr;

use qemuctl::{
    Instance, LaunchOptions,
    config::{NetBackend, PasstNet, SocketAddress, StreamNet, VhostUserNet},
};

use super::user::{GUEST_PORT, addressed, heard, mac, serve};
use super::{GENEROUS, interface, ip, linux, start};
use crate::servers::{Server, isolated, program, scratch, until};

#[test]
fn passt_moves_packets_as_netdev_stream_and_vhost_user() {
    isolated(passt_moves_packets_as_netdev_stream_and_vhost_user, async {
        let dir = scratch();
        // What passt takes the host's network for.
        ip("link add outside type bridge");
        ip("address add 192.0.2.1/24 dev outside");
        ip("link set outside up");
        ip("route add default via 192.0.2.254");
        let mut servers = Vec::new();
        let mut passt = |number: u8, options: &[&str]| {
            let socket = dir.path().join(format!("passt{number}.sock"));
            servers.push(Server::start(dir.path(), program("passt"), |command| {
                command.arg("--foreground").arg("--socket").arg(&socket).args(options);
                command.args(["--address", &format!("10.88.{number}.2"), "--netmask", "24"]);
                command.args(["--gateway", &format!("10.88.{number}.1")]);
                command.args(["--tcp-ports", &format!("127.0.0.1/555{number}:{GUEST_PORT}")]);
            }));
            socket
        };
        let stream =
            StreamNet { address: SocketAddress::unix(passt(1, &[])), server: false, reconnect_ms: None };
        let vhost_user = VhostUserNet { path: passt(2, &["--vhost-user"]), server: false };
        for (server, number) in servers.iter_mut().zip([1, 2]) {
            let socket = dir.path().join(format!("passt{number}.sock"));
            server.ready(|| socket.exists().then_some(())).await;
        }
        // The launcher starts it, for every version, and beside the filter that QEMU runs under.
        let own = |number: u8| {
            NetBackend::Passt(PasstNet {
                path: Some(program("passt")),
                address: Some(Ipv4Addr::new(10, 88, number, 2).into()),
                netmask: Some("24".into()),
                gateway: Some(Ipv4Addr::new(10, 88, number, 1).into()),
                tcp_ports: vec![format!("127.0.0.1/555{number}:{GUEST_PORT}")],
                ..PasstNet::default()
            })
        };
        let machines = [
            (
                "11.1",
                vec![(1, NetBackend::Stream(stream)), (2, NetBackend::VhostUser(vhost_user)), (3, own(3))],
            ),
            ("10.0", vec![(4, own(4))]),
            // Plugged in.
            ("7.2", vec![]),
        ];
        for (version, backends) in machines {
            let mut config = linux(version, dir.path(), "vm");
            let mut numbers: Vec<u8> = backends.iter().map(|(number, _)| *number).collect();
            config.networks =
                backends.into_iter().map(|(number, backend)| interface(mac(number), backend)).collect();
            let vm = start(&config, &LaunchOptions::default()).await;
            let agent = vm.wait_agent(GENEROUS).await.expect("it comes up");
            if numbers.is_empty() {
                vm.plug(&interface(mac(5), own(5))).await.expect("plugged in");
                numbers.push(5);
            }
            for number in numbers {
                addressed(&agent, &[&format!("10.88.{number}.2")]).await;
                serve(&agent, "guest").await;
                let port = 5550 + u16::from(number);
                assert_eq!(heard((Ipv4Addr::LOCALHOST, port).into()).await, "guest\n", "{version}: {port}");
            }
            vm.kill().await.expect("killed");
            // passt ends with its client, and its ports are free.
            let port = Ipv4Addr::LOCALHOST;
            for number in [3, 4, 5] {
                let gone = || std::net::TcpStream::connect((port, 5550 + number)).is_err().then_some(());
                until("passt that is gone", gone).await;
            }
        }
    });
}

#[test]
fn a_passt_that_does_not_start_says_why() {
    isolated(a_passt_that_does_not_start_says_why, async {
        let dir = scratch();
        let refusal = async |net: PasstNet| {
            let mut config = linux("10.0", dir.path(), "vm");
            config.networks = vec![interface(mac(0), NetBackend::Passt(net))];
            let error = Instance::start(&config).await.expect_err("there is no passt");
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            (error.to_string(), cause.unwrap_or_default())
        };
        let nowhere = dir.path().join("passt");
        let (told, cause) = refusal(PasstNet { path: Some(nowhere.clone()), ..PasstNet::default() }).await;
        assert_eq!(told, format!("cannot start {}", nowhere.display()));
        assert!(cause.contains("No such file"), "{cause}");
        let net = PasstNet {
            path: Some(program("passt")),
            interface: Some("nosuch0".into()),
            ..PasstNet::default()
        };
        let (told, cause) = refusal(net).await;
        assert_eq!(told, format!("cannot start {}", program("passt").display()));
        assert!(cause.contains("Invalid interface name nosuch0"), "{cause}");
    });
}
