//! No secret of a running QEMU is seen by others.

use std::fs;
use std::net::TcpListener;

use qemu_argv::{DiskBackend, HttpDisk, IscsiDisk, RbdDisk, Secret, VmConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;

use super::world::{Running, World};
use crate::servers::GENEROUS;
use crate::support::VERSIONS;

/// What every secret of these machines has in it.
const CANARY: &str = "5d1c7a";

/// A secret of the length of Ceph's keys, and the same in base64, which Ceph's library is given.
const LONG: [&str; 2] = ["sixteen-b-5d1c7a", "c2l4dGVlbi1iLTVkMWM3YQ"];

/// What others see of the process.
fn seen(vm: &Running) -> Vec<(&'static str, String)> {
    let process = format!("/proc/{}", vm.child.id());
    let read = |name: &str| {
        let bytes = fs::read(format!("{process}/{name}")).expect("the process is there");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    vec![("argv", read("cmdline")), ("environment", read("environ")), ("messages", vm.messages())]
}

fn check(version: &str, places: Vec<(&'static str, String)>) {
    for (place, text) in places {
        let seen = [CANARY, LONG[1]].iter().any(|secret| text.contains(secret));
        assert!(!seen, "{version}: a secret is in the {place}: {text}");
    }
}

/// Disks, screens and keys of the host itself: every secret is used, and none is seen.
#[test]
fn secrets_open_what_they_are_for_and_are_not_seen() {
    for version in VERSIONS {
        let world = World::new(version);
        let config = world.machine("secrets");
        let values = config.secrets.iter().filter_map(|secret| secret.value.as_ref());
        assert!(values.filter(|value| value.expose().contains(CANARY)).count() == config.secrets.len());
        let plan = world.plan(&config).expect("a plan");
        world.furnish(&config, &plan);
        let mut vm = world.start(&config, &plan);
        vm.ready().expect(version);
        let mut places = seen(&vm);
        for secret in &config.secrets {
            let path = format!("/objects/{}", secret.id);
            places.push(("object", vm.query("qom-list", &json!({ "path": path })).to_string()));
        }
        for command in [
            "query-block",
            "query-named-block-nodes",
            "query-vnc",
            "query-spice",
            "query-command-line-options",
        ] {
            places.push(("reply", vm.query(command, &json!({})).to_string()));
        }
        // A wrong one opens nothing, and is not told either.
        places.push(("messages", vm.quit().1));
        for wrong in 0..4 {
            let mut config = config.clone();
            let id = config.secrets[wrong].id.clone();
            config.secrets[wrong] = Secret::new(id.clone(), format!("wrong-{CANARY}"));
            let mut vm = world.start(&config, &plan);
            let said = vm.ready().expect_err("a wrong secret");
            assert!(said.starts_with("exit status: 1"), "{version}, {id}: {said}");
            places.push(("refusal", said));
        }
        check(version, places);
    }
}

/// Disks of servers: QEMU waits for one that never answers, with all its secrets in hand.
#[test]
fn secrets_for_servers_are_not_seen() {
    for version in VERSIONS {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = server.local_addr().expect("an address").port();
        let world = World::new(version);
        let mut config = world.machine("network-disks");
        for secret in &mut config.secrets {
            // Ceph's keys have a form: a kind, the time of making, a length, and that many bytes.
            let head = if secret.id == "ceph" { "\u{1}\0\0\0\0\0\0\0\0\0\u{10}\0" } else { "" };
            *secret = Secret::new(secret.id.clone(), format!("{head}{}", LONG[0]));
        }
        config.tls.clear();
        config.disks.retain(|disk| {
            let iscsi =
                matches!(disk.backend, DiskBackend::Iscsi(IscsiDisk { password_secret: Some(_), .. }));
            iscsi || matches!(disk.backend, DiskBackend::Rbd(RbdDisk { .. }))
        });
        assert_eq!(config.disks.len(), 2, "the machine has a disk of each kind");
        point_at(&mut config, port);
        let plan = world.plan(&config).expect("a plan");
        world.furnish(&config, &plan);
        let vm = world.start(&config, &plan);
        // The first of them is asked for.
        let limit = Timespec { tv_sec: GENEROUS.as_secs().try_into().expect("not long"), tv_nsec: 0 };
        let asked = poll(&mut [PollFd::new(&server, PollFlags::IN)], Some(&limit)).expect("poll");
        assert_eq!(asked, 1, "{version}: {}", vm.messages());
        let connection = server.accept().expect("QEMU connects");
        check(version, seen(&vm));
        drop((connection, vm));
    }
}

/// Has every disk ask the server at `port`.
fn point_at(config: &mut VmConfig, port: u16) {
    let backends = config.disks.iter_mut().map(|disk| &mut disk.backend);
    for backend in backends {
        match backend {
            DiskBackend::Rbd(RbdDisk { monitors, conf, .. }) => {
                *conf = None;
                *monitors = vec![format!("127.0.0.1:{port}").parse().expect("an address")];
            }
            DiskBackend::Iscsi(IscsiDisk { portal, .. }) => *portal = format!("127.0.0.1:{port}"),
            other => panic!("nothing is known of {other:?}"),
        }
    }
    for cdrom in &mut config.cdroms {
        if let Some(DiskBackend::Http(HttpDisk { url, verify, .. })) = &mut cdrom.medium {
            (*url, *verify) = (format!("http://127.0.0.1:{port}/a"), None);
        }
    }
}
