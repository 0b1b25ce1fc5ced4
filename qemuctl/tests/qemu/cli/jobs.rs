//! The program as part of a job: signals to all of it, descriptors and a umask that it inherits, output that nobody reads.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{DEAF, OBEDIENT, config, disk};
use super::program::{Place, alive, until};
use crate::support::{VERSIONS, qemu};

fn place(guest: &[u8], version: &str) -> Place {
    let place = Place::new();
    place.write("guest.raw", disk(guest));
    let (ten, other) = (qemu("10.0", "qemu-system-x86_64"), qemu(version, "qemu-system-x86_64"));
    place.write("vm.toml", config("vm").replace(&ten.display().to_string(), &other.display().to_string()));
    place
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}

/// The program below a shell that does something first.
fn below_a_shell(place: &Place, first: &str, args: &[&str]) -> std::process::Output {
    let program = place.command(args);
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(format!("{first}; exec \"$0\" \"$@\""))
        .arg(program.get_program())
        .args(program.get_args());
    shell.current_dir(place.file("")).env("QEMUCTL_SOCKET_DIR", place.sockets()).stdin(Stdio::null());
    shell.output().expect("sh starts")
}

#[test]
fn a_signal_to_every_process_of_a_job_shuts_the_guest_down_in_order() {
    for version in VERSIONS {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let place = place(OBEDIENT, version);
            let mut program = place.background(&["run", "vm.toml"], "R");
            // QEMU first: it must still be there when the guest is asked.
            send(place.pid("vm"), signal);
            send(program.pid(), signal);
            let answer = place.answer(&program.end());
            assert_eq!(answer.code, Some(0), "{version} {signal}: {answer:?}");
            assert!(answer.err.ends_with("vm: guest shut down\n"), "{version} {signal}: {answer:?}");
        }
    }
}

#[test]
fn qemu_inherits_no_descriptor_and_what_it_creates_is_private() {
    for version in VERSIONS {
        let place = place(DEAF, version);
        let mut more = std::fs::read_to_string(place.file("vm.toml")).expect("written");
        let place_for = |name: &str| place.file(name).display().to_string();
        more = more.replace(
            "[machine]",
            &format!(
                "video = [\"vga\"]\nserials = [\"launcher\", {{ backend = {{ type = \"file\", path = \"{}\" }} }}]\n\
                 vnc = {{ listen = {{ type = \"unix\", path = \"{}\" }} }}\n[machine]",
                place_for("serial.txt"),
                place_for("vnc.sock")
            ),
        );
        place.write("vm.toml", more);
        std::fs::create_dir(place.sockets()).expect("made");
        std::fs::set_permissions(place.sockets(), PermissionsExt::from_mode(0o755)).expect("set");
        let started = below_a_shell(&place, "umask 000; exec 9> lock", &["start", "vm.toml"]);
        assert!(started.status.success(), "{version}: {}", String::from_utf8_lossy(&started.stderr));
        let qemu = place.pid("vm");

        let fds = std::fs::read_dir(format!("/proc/{qemu}/fd")).expect("proc");
        let open: Vec<_> = fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()).collect();
        assert!(!open.is_empty() && !open.contains(&place.file("lock")), "{version}: {open:?}");
        let status = std::fs::read_to_string(format!("/proc/{qemu}/status")).expect("proc");
        assert!(status.contains("Umask:\t0077"), "{version}: from the first moment on\n{status}");

        let shot = below_a_shell(&place, "umask 000", &["screenshot", "vm", "shot.png"]);
        assert!(shot.status.success(), "{version}: {}", String::from_utf8_lossy(&shot.stderr));
        let mut made = vec![place.file("serial.txt"), place.file("vnc.sock"), place.file("shot.png")];
        made.extend(place.leftovers().into_iter().map(|name| place.sockets().join(name)));
        for path in made {
            let bits = path.symlink_metadata().expect("there").permissions().mode();
            assert_eq!(bits & 0o077, 0, "{version}: {} has mode {bits:o}", path.display());
        }
        assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    }
}

#[test]
fn a_signal_ends_a_program_that_is_blocked() {
    let place = place(DEAF, "10.0");
    // Standard error is a pipe that is full and that nobody reads.
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(writer.as_fd(), nix::fcntl::FcntlArg::F_SETFL(flags)).expect("set");
    while writer.write(&[b'x'; 1]).is_ok() {}
    nix::fcntl::fcntl(writer.as_fd(), nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()))
        .expect("set");
    let mut program = place
        .command(&["run", "vm.toml"])
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the program starts");
    until("the VM is there", || place.qemuctl(&["list", "--names"]).out == "vm\n");
    let qemu = place.pid("vm");
    send(i32::try_from(program.id()).expect("process ids fit"), Signal::SIGTERM);
    let status = program.wait().expect("it ends");
    assert_eq!(status.code(), Some(143), "{status}");
    until("QEMU ends with it", || !alive(qemu));
    drop(reader);
}

#[test]
fn a_flood_on_a_console_that_nobody_reads_keeps_nobody_from_ending_the_vm() {
    // mov al,'x'; mov dx,0x3f8; out dx,al; jmp back to the out
    let place = place(&[0xb0, b'x', 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfd], "10.0");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let program = place
        .command(&["run", "vm.toml", "--grace", "0"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let pid = i32::try_from(program.id()).expect("process ids fit");
    until("the pipe fills", || rustix::io::ioctl_fionread(&reader).expect("asked") >= 32 * 1024);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("there").to_owned();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number")
    };
    assert!(resident() < 64 * 1024, "{} KiB", resident());
    send(pid, Signal::SIGTERM);
    let output = program.wait_with_output().expect("it ends");
    let answer = place.answer(&output);
    assert!(answer.err.contains("SIGTERM: asking vm to shut down"), "{answer:?}");
    drop(reader);
}

#[test]
fn too_few_descriptors_are_an_error() {
    let place = place(DEAF, "10.0");
    let output = below_a_shell(&place, "ulimit -n 6", &["list"]);
    insta::assert_snapshot!(place.answer(&output).whole(), @r"
    error: Too many open files
    help: raise the limit on open files, for example with `ulimit -n 1024`
    exit code 1
    ");
}
