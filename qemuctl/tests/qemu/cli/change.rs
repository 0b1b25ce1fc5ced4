//! What is added to a running VM and removed from it, one command each.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::guest::linux;
use super::program::{Answer, Place, until};
use crate::support::{VERSIONS, qemu};

fn done(place: &Place, args: &[&str]) -> Answer {
    let answer = place.qemuctl(args);
    assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    answer
}

/// What a shell in the guest prints.
fn inside(place: &Place, command: &str) -> String {
    done(place, &["exec", "vm", "--timeout", "60", "--", "sh", "-c", command]).out
}

/// A guest with room for more.
fn config(version: &str) -> String {
    let old = qemu("10.0", "qemu-system-x86_64").display().to_string();
    let new = qemu(version, "qemu-system-x86_64").display().to_string();
    let more = "networks = [\"user\"]\nusb = [\"xhci\"]\nballoon = {}\ncpu = { count = 1, max = 3 }\n\
                memory = { size = \"512MiB\", max = \"2GiB\", slots = 2 }\n";
    linux("vm").replace(&old, &new).replace("memory = \"512MiB\"\n", more)
}

#[test]
fn ports_interfaces_cpus_and_memory_come_and_go() {
    for version in VERSIONS {
        let place = Place::new();
        place.write("vm.toml", config(version));
        done(&place, &["start", "vm.toml"]);
        done(&place, &["wait", "vm", "--for", "agent", "--timeout", "600"]);

        // A port that leads to a program in the guest.
        inside(&place, "httpd -p 7 -h /etc");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let added = done(&place, &["forward", "add", "vm", &format!("{free}:7")]);
        assert_eq!(added.err, format!("forwarded 127.0.0.1:{free} to port 7 of vm\n"), "{version}");
        until("the guest's program answers", || {
            let mut text = String::new();
            let stream = TcpStream::connect(("127.0.0.1", free)).and_then(|mut stream| {
                stream.write_all(b"GET /os-release HTTP/1.0\r\n\r\n")?;
                stream.read_to_string(&mut text)
            });
            stream.is_ok() && text.contains("ID=qemuctl-guest")
        });
        let taken = place.qemuctl(&["forward", "add", "vm", &format!("{free}:8")]);
        assert_eq!(taken.code, Some(1), "{taken:?}");
        assert!(done(&place, &["forward", "list", "vm"]).out.contains(&format!("127.0.0.1:{free} ")));
        done(&place, &["forward", "remove", "vm", &free.to_string()]);
        assert!(TcpStream::connect(("127.0.0.1", free)).is_err(), "{version}");
        assert_eq!(place.qemuctl(&["forward", "remove", "vm", "1"]).code, Some(1));

        let count = |what: &str| inside(&place, &format!("ls {what} | wc -l")).trim().to_owned();
        assert_eq!(count("-d /sys/class/net/eth*"), "1");
        assert_eq!(done(&place, &["nic", "add", "vm"]).err, "added net1 to vm\n");
        until("the guest has another interface", || count("-d /sys/class/net/eth*") == "2");
        assert_eq!(done(&place, &["nic", "remove", "vm", "net1"]).err, "removed net1 from vm\n");
        assert_eq!(count("-d /sys/class/net/eth*"), "1");

        assert_eq!(done(&place, &["usb", "add", "vm", "tablet"]).err, "added usbdev0 to vm\n");
        assert_eq!(done(&place, &["usb", "remove", "vm", "usbdev0"]).err, "removed usbdev0 from vm\n");

        assert_eq!(done(&place, &["memory", "vm"]).out, "512MiB\n");
        assert_eq!(done(&place, &["memory", "vm", "1GiB"]).err, "added 512MiB of memory to vm\n");
        assert_eq!(done(&place, &["memory", "vm", "384MiB"]).err, "asked the guest of vm to use 384MiB\n");
        until("the guest gives memory back", || done(&place, &["memory", "vm"]).out == "384MiB of 1GiB\n");

        // Last: under TCG, QEMU may crash when its memory changes after a CPU was removed.
        assert_eq!(done(&place, &["cpus", "vm"]).out, "1 of at most 3\n");
        assert_eq!(done(&place, &["cpus", "vm", "3"]).err, "vm has 3 CPUs\n");
        until("the guest sees its CPUs", || count("-d /sys/devices/system/cpu/cpu[0-9]*") == "3");
        assert_eq!(done(&place, &["cpus", "vm", "2"]).err, "vm has 2 CPUs\n");
        assert_eq!(done(&place, &["cpus", "vm"]).out, "2 of at most 3\n");
        done(&place, &["kill", "vm"]);
        assert_eq!(place.leftovers(), [""; 0]);
    }
}

#[test]
fn what_a_vm_has_no_room_for_is_refused_with_a_cure() {
    let place = Place::new();
    place.write("guest.raw", super::guest::disk(super::guest::DEAF));
    place.write("vm.toml", super::guest::config("vm"));
    done(&place, &["start", "vm.toml"]);
    let commands: [&[&str]; 8] = [
        &["forward", "add", "vm", "0:80"],
        &["cpus", "vm", "2"],
        &["memory", "vm", "1GiB"],
        &["memory", "vm", "32MiB"],
        &["usb", "add", "vm", "tablet"],
        &["usb", "add", "vm", "1d6b:2"],
        &["nic", "remove", "vm", "net7"],
        &["forward", "remove", "vm", "http"],
    ];
    let told = commands.map(|args| format!("$ qemuctl {}\n{}", args.join(" "), place.qemuctl(args).whole()));
    insta::assert_snapshot!(told.join("\n\n"));
}
