//! The ways into a VM, as `start` and `status` tell them.

use serde_json::Value;

use super::guest::{DEAF, config, disk};
use super::program::Place;
use crate::support::{VERSIONS, qemu};

fn json(place: &Place, args: &[&str]) -> Value {
    let output = place.command(args).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {text}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn ports_networks_and_screens_are_told() {
    for version in VERSIONS {
        let place = Place::new();
        place.write("guest.raw", disk(DEAF));
        let more = "networks = [{ mac = \"52:54:00:12:34:56\", backend = { type = \"user\", forwards = \
                    [\"tcp:127.0.0.1:0-:22\", \"udp:127.0.0.1:0-:53\"] } }]\ndisks =";
        let text = config("vm").replace("disks =", more);
        let program = |version| qemu(version, "qemu-system-x86_64").display().to_string();
        place.write("vm.toml", text.replace(&program("10.0"), &program(version)));

        let started = json(&place, &["start", "vm.toml", "--json"]);
        let told = json(&place, &["status", "vm", "--json"]);
        for key in ["ports", "networks", "vnc", "spice"] {
            assert_eq!(started[key], told[key], "{version}: {key}");
        }
        assert_eq!(told["arch"], "x86_64", "{version}");
        assert_eq!(told["config"], place.file("vm.toml").display().to_string(), "{version}");
        assert_eq!(
            told["networks"],
            serde_json::json!([{
                "id": "net0", "backend": "user", "model": "virtio-net-pci", "mac": "52:54:00:12:34:56", "addresses": [],
            }]),
            "{version}"
        );
        let ports = told["ports"].as_array().expect("a list");
        let [ssh, names] = &ports[..] else { panic!("{version}: {ports:?}") };
        let port = ssh["host_port"].as_u64().expect("a port");
        assert_ne!(port, 0, "{version}: the port that the system chose");
        std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).expect("it fits")))
            .expect("QEMU listens");
        assert_eq!((&ssh["protocol"], &ssh["guest_port"]), (&"tcp".into(), &22.into()), "{version}");
        assert_eq!((&names["protocol"], &names["guest_port"]), (&"udp".into(), &53.into()), "{version}");

        let status = place.qemuctl(&["status", "vm"]).out;
        let line = format!("tcp 127.0.0.1:{port} is forwarded to guest port 22: ssh -p {port} 127.0.0.1\n");
        assert!(status.contains(&line), "{version}: {status}");
        assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
        // Started for people, it says the same.
        let said = place.qemuctl(&["start", "vm.toml"]).err;
        let lines: Vec<&str> = said.lines().collect();
        let [first, second, _] = lines[..] else { panic!("{version}: {said}") };
        assert_eq!(first, "started vm (process N)");
        assert!(second.contains("is forwarded to guest port 22: ssh -p "), "{version}: {said}");
        assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    }
}
