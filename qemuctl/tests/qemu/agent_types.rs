//! The guest-agent types against a real agent: a Linux guest on each QEMU.
//!
//! The commands go over the agent's socket as they are, without the client crate, so that only the
//! types are tested.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use qmp_proto::{Command, decode_reply, qga};
use serde_json::{Value, json};

use crate::support;

/// For the boot of an emulated guest on a loaded machine, and for anything it is asked.
const DEADLINE: Duration = Duration::from_secs(120);

/// A guest with an agent; ended when dropped.
struct Guest {
    qemu: Child,
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}

impl Guest {
    fn boot(version: &str, dir: &Path) -> Self {
        let socket = dir.join("agent.sock");
        let qemu = Process::new(support::qemu(version, "qemu-system-x86_64"))
            .args([
                "-machine",
                "q35",
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-m",
                "256",
                "-nodefaults",
                "-display",
                "none",
            ])
            .args(["-append", "console=hvc0 quiet"])
            .arg("-kernel")
            .arg(support::guest_file("x86_64", "vmlinuz"))
            .arg("-initrd")
            .arg(support::guest_file("x86_64", "initramfs"))
            .args(["-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,netdev=net0"])
            .args(["-device", "virtio-serial-pci"])
            .arg("-chardev")
            .arg(format!("socket,id=agent,path={},server=on,wait=off", socket.display()))
            .args(["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"])
            .stdin(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        let end = Instant::now() + DEADLINE;
        let writer = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > end => panic!("{}: {error}", socket.display()),
                // QEMU makes its sockets before it makes devices, but not before it starts.
                Err(_) => std::thread::yield_now(),
            }
        };
        writer.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        let reader = BufReader::new(writer.try_clone().expect("a second handle"));
        Self { qemu, writer, reader }
    }

    fn send(&mut self, name: &str, arguments: &Value) {
        let message = if *arguments == json!({}) {
            json!({ "execute": name })
        } else {
            json!({ "execute": name, "arguments": arguments })
        };
        self.writer.write_all(format!("{message}\n").as_bytes()).expect("the agent's channel takes it");
    }

    fn call<C: Command>(&mut self, command: &C) -> C::Return {
        self.send(C::NAME, &serde_json::to_value(command).expect("encodes"));
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap_or_else(|error| panic!("{}: {error}", C::NAME));
        // `guest-sync-delimited` answers with 0xFF first.
        let text = line.strip_prefix(&[0xff]).unwrap_or(&line);
        let reply: Value = serde_json::from_slice(text).expect("JSON");
        let value = reply.get("return").unwrap_or_else(|| panic!("{}: {reply}", C::NAME));
        decode_reply::<C>(&value.to_string()).unwrap_or_else(|error| panic!("{error}: {}", error.source))
    }
}

fn drive(version: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut guest = Guest::boot(version, dir.path());
    assert_eq!(guest.call(&qga::GuestSyncDelimited::new(4711)), 4711);
    guest.call(&qga::GuestPing {});

    let info = guest.call(&qga::GuestInfo {});
    let names: Vec<&str> = info.supported_commands.iter().map(|command| command.name.as_str()).collect();
    assert!(names.contains(&"guest-exec"), "{names:?}");
    assert!(!info.version.is_empty());

    // Output, exit code and input of a program; the agent speaks base64.
    let exec = qga::GuestExec {
        arg: Some(vec!["-c".into(), "cat; echo wrong >&2; exit 3".into()]),
        input_data: Some("aGVsbG8K".into()),
        capture_output: Some(qga::GuestExecCaptureOutput::Flag(true)),
        ..qga::GuestExec::new("/bin/sh")
    };
    let pid = guest.call(&exec).pid;
    let end = Instant::now() + DEADLINE;
    let status = loop {
        let status = guest.call(&qga::GuestExecStatus::new(pid));
        if status.exited {
            break status;
        }
        assert!(Instant::now() < end, "the program in the guest does not end");
    };
    assert_eq!(
        (status.exitcode, status.out_data.as_deref(), status.err_data.as_deref()),
        (Some(3), Some("aGVsbG8K"), Some("d3JvbmcK"))
    );

    // A file: written, sought, read, flushed, closed.
    let handle =
        guest.call(&qga::GuestFileOpen { mode: Some("w+".into()), ..qga::GuestFileOpen::new("/tmp/x") });
    let written = guest.call(&qga::GuestFileWrite::new(handle, "aGVsbG8gd29ybGQ="));
    assert_eq!((written.count, written.eof), (11, false));
    let whence = qga::GuestFileWhence::Name(qga::QGASeek::Set);
    assert_eq!(guest.call(&qga::GuestFileSeek::new(handle, 6, whence)).position, 6);
    let read = guest.call(&qga::GuestFileRead { count: Some(64), ..qga::GuestFileRead::new(handle) });
    assert_eq!((read.count, read.buf_b64.as_str(), read.eof), (5, "d29ybGQ=", true));
    guest.call(&qga::GuestFileFlush::new(handle));
    guest.call(&qga::GuestFileClose::new(handle));

    let interfaces = guest.call(&qga::GuestNetworkGetInterfaces {});
    let loopback = interfaces.iter().find(|interface| interface.name == "lo").expect("a loopback interface");
    assert_eq!(loopback.hardware_address.as_deref(), Some("00:00:00:00:00:00"));
    assert!(interfaces.len() > 1, "{interfaces:?}");
    assert!(guest.call(&qga::GuestGetTime {}) > 0);
    assert_eq!(guest.call(&qga::GuestGetVcpus {}).len(), 1);
    let os = guest.call(&qga::GuestGetOsinfo {});
    assert_eq!(os.machine.as_deref(), Some("x86_64"));
}

#[test]
fn the_types_drive_a_real_agent() {
    // The agent is the guest's own; QEMU's version only matters for the channel.
    drive("10.0");
}
