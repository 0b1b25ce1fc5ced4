//! passt: started by QEMU, and joined by a stream or by shared memory.

use std::net::Ipv4Addr;

use qemuctl::{
    Cause, Error, Instance, LaunchOptions, NetBackend, PasstNet, SocketAddress, StreamNet, VhostUserNet,
    VmConfig,
};

use super::user::{GUEST_PORT, addressed, heard, mac, serve};
use super::{GENEROUS, interface, ip, linux, start};
use crate::servers::{Server, isolated, program, scratch};

/// Starts a machine; anew if a QEMU that still runs has lost its monitor, by its own fault.
async fn started(config: &VmConfig) -> Instance {
    const TRIES: usize = 5;
    for _ in 1..TRIES {
        match Instance::start(config).await {
            Ok(vm) => return vm,
            Err(Error::Launch(failure)) if failure.exit.is_none() && failure.cause == Cause::Other => {
                eprintln!("{failure}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    start(config, &LaunchOptions::default()).await
}

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
        let stream = StreamNet {
            address: SocketAddress::Unix { path: passt(1, &[]) },
            server: false,
            reconnect_ms: None,
        };
        let vhost_user = VhostUserNet { path: passt(2, &["--vhost-user"]), server: false };
        for (server, number) in servers.iter_mut().zip([1, 2]) {
            let socket = dir.path().join(format!("passt{number}.sock"));
            server.ready(|| socket.exists().then_some(())).await;
        }
        let netdev = PasstNet {
            path: Some(program("passt")),
            address: Some(Ipv4Addr::new(10, 88, 3, 2).into()),
            netmask: Some("24".into()),
            gateway: Some(Ipv4Addr::new(10, 88, 3, 1).into()),
            tcp_ports: vec![format!("127.0.0.1/5553:{GUEST_PORT}")],
            ..PasstNet::default()
        };
        // Not all in one machine: where QEMU starts passt itself, 11.1 closes a descriptor twice. If another of its threads
        // has got the number in between, that one's is lost: vhost-user's memory, or the monitor.
        let machines: [(_, &[u8]); 2] = [
            (vec![NetBackend::Stream(stream), NetBackend::VhostUser(vhost_user)], &[1, 2]),
            (vec![NetBackend::Passt(netdev)], &[3]),
        ];
        for (backends, numbers) in machines {
            let mut config = linux("11.1", dir.path(), "vm");
            config.sandbox.enabled = false;
            let numbered = backends.into_iter().zip(numbers);
            config.networks = numbered.map(|(backend, number)| interface(mac(*number), backend)).collect();
            let vm = match numbers {
                [3] => started(&config).await,
                _ => start(&config, &LaunchOptions::default()).await,
            };
            let agent = vm.wait_agent(GENEROUS).await.expect("it comes up");
            for number in numbers {
                addressed(&agent, &[&format!("10.88.{number}.2")]).await;
                serve(&agent, "guest").await;
                let port = 5550 + u16::from(*number);
                assert_eq!(heard((Ipv4Addr::LOCALHOST, port).into()).await, "guest\n", "{port}");
            }
        }

        for version in ["7.2", "10.0"] {
            let mut config = linux(version, dir.path(), "old");
            config.sandbox.enabled = false;
            config.networks = vec![interface(mac(0), NetBackend::Passt(PasstNet::default()))];
            let error = Instance::start(&config).await.expect_err("it has no passt").to_string();
            let (told, target) = error.split_once(", target is ").expect("its version is told");
            assert_eq!(told, "cannot plan the machine: networks[0].backend: netdev passt needs QEMU ≥ 10.1");
            assert!(target.starts_with(version), "{target}");
        }
    });
}
