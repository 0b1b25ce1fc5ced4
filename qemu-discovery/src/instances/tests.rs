//! Running QEMUs as a small `/proc` shows them.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

struct Host {
    _dir: tempfile::TempDir,
    places: Places,
    unix: String,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        let header = "Num       RefCount Protocol Flags    Type St Inode Path\n";
        let host = Self { _dir: dir, places, unix: header.into() };
        host.file("/proc/stat", "cpu 1 2 3\nbtime 1700000000\n");
        host.file("/proc/sys/kernel/osrelease", "6.1\n");
        host
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.places.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.places.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn process(&self, pid: u32, state: &str, program: &str, arguments: &[&str]) {
        let fields = ["0"; 18].join(" ");
        self.file(&format!("/proc/{pid}/stat"), format!("{pid} (a) b) {state} {fields} {pid}00 0"));
        let argv: Vec<&str> = [program].iter().chain(arguments).copied().collect();
        self.file(&format!("/proc/{pid}/cmdline"), format!("{}\0", argv.join("\0")));
        self.link(&format!("/proc/{pid}/exe"), program);
        self.link(&format!("/proc/{pid}/cwd"), "/srv");
        fs::create_dir_all(self.places.at(format!("/proc/{pid}/fd"))).unwrap();
    }

    fn qemu(&self, pid: u32, arguments: &[&str]) {
        self.process(pid, "S", "/usr/bin/qemu-system-x86_64", arguments);
    }

    /// A socket that takes connections, open in the process as `fd`.
    fn socket(&mut self, pid: u32, fd: u32, inode: u64, path: &str) {
        writeln!(self.unix, "0000000072145264: 00000002 00000000 00010000 0001 01 {inode:>5} {path}")
            .unwrap();
        self.file("/proc/net/unix", &self.unix);
        self.link(&format!("/proc/{pid}/fd/{fd}"), &format!("socket:[{inode}]"));
    }

    /// Each monitor in a line, and what there is to attach to.
    fn monitors(&self, pid: u32) -> String {
        let qemu = find_in(&self.places, pid).expect("it is a QEMU");
        let line = |monitor: &Monitor| {
            let server = if monitor.server { "" } else { ", no server" };
            format!("{:?} {}{server}", monitor.protocol, monitor.address)
        };
        let mut lines: Vec<String> = qemu.monitors.iter().map(line).collect();
        lines.push(match qemu.attachable() {
            Ok(monitor) => format!("=> {}", monitor.address),
            Err(obstacle) => format!("=> {obstacle}"),
        });
        lines.join("\n")
    }
}

#[test]
fn every_spelling_of_a_monitor_is_understood() {
    let host = Host::new();
    host.file("/srv/relative.sock", "");
    let spellings: [&[&str]; 13] = [
        &["-qmp", "unix:/run/a,,b.sock,server=on,wait=off"],
        &["--qmp-pretty", "unix:relative.sock,server,nowait"],
        &["-qmp", "tcp:[::1]:4444,server=on,wait=off"],
        &["-qmp", "tcp::4444,server=on"],
        &["-chardev", "socket,id=m,path=/run/m.sock,server=on,wait=off", "-mon", "chardev=m,mode=control"],
        &["-mon", "m,mode=control", "-chardev", "socket,path=/run/m.sock,server=yes,id=m"],
        &["-chardev", "socket,id=m,path=name,abstract=on,server=on,wait=off", "-qmp", "chardev:m"],
        &["-chardev", "socket,id=m,host=127.0.0.1,port=5,server=on", "-object", "monitor-qmp,id=o,chardev=m"],
        &[
            "-chardev",
            "socket,id=m,path=/run/m.sock,server=on",
            "-object",
            r#"{"qom-type":"monitor-qmp","id":"o","chardev":"m"}"#,
        ],
        &["-monitor", "unix:/run/human.sock,server=on", "-serial", "mon:stdio"],
        &["-qmp", "unix:/run/client.sock"],
        &["-qmp", "stdio"],
        &["-append", "-qmp", "-kernel", "unix:/run/a.sock,server=on"],
    ];
    let told: Vec<String> = spellings
        .iter()
        .enumerate()
        .map(|(index, arguments)| {
            let pid = 100 + u32::try_from(index).unwrap();
            host.qemu(pid, arguments);
            format!("{}\n{}\n", arguments.join(" "), host.monitors(pid))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    -qmp unix:/run/a,,b.sock,server=on,wait=off
    Qmp /run/a,b.sock
    => /run/a,b.sock

    --qmp-pretty unix:relative.sock,server,nowait
    Qmp /srv/relative.sock
    => /srv/relative.sock

    -qmp tcp:[::1]:4444,server=on,wait=off
    Qmp ::1:4444
    => ::1:4444

    -qmp tcp::4444,server=on
    Qmp localhost:4444
    => localhost:4444

    -chardev socket,id=m,path=/run/m.sock,server=on,wait=off -mon chardev=m,mode=control
    Qmp /run/m.sock
    => /run/m.sock

    -mon m,mode=control -chardev socket,path=/run/m.sock,server=yes,id=m
    Qmp /run/m.sock
    => /run/m.sock

    -chardev socket,id=m,path=name,abstract=on,server=on,wait=off -qmp chardev:m
    Qmp abstract socket name
    => abstract socket name

    -chardev socket,id=m,host=127.0.0.1,port=5,server=on -object monitor-qmp,id=o,chardev=m
    Qmp 127.0.0.1:5
    => 127.0.0.1:5

    -chardev socket,id=m,path=/run/m.sock,server=on -object {"qom-type":"monitor-qmp","id":"o","chardev":"m"}
    Qmp /run/m.sock
    => /run/m.sock

    -monitor unix:/run/human.sock,server=on -serial mon:stdio
    Human /run/human.sock
    Human stdio, no server
    => QEMU process 109 has no QMP monitor (help: start it with `-qmp unix:PATH,server=on,wait=off`)

    -qmp unix:/run/client.sock
    Qmp /run/client.sock, no server
    => QEMU process 110 has a QMP monitor, but none that accepts connections: /run/client.sock (help: start it with `-qmp unix:PATH,server=on,wait=off`)

    -qmp stdio
    Qmp stdio, no server
    => QEMU process 111 has a QMP monitor, but none that accepts connections: stdio (help: start it with `-qmp unix:PATH,server=on,wait=off`)

    -append -qmp -kernel unix:/run/a.sock,server=on
    => QEMU process 112 has no QMP monitor (help: start it with `-qmp unix:PATH,server=on,wait=off`)
    "#);
}

#[test]
fn configuration_files_are_read_as_the_process_sees_them() {
    let host = Host::new();
    let text = "[chardev \"m\"]\n  backend = \"socket\"\n  path = \"/run/m.sock\"\n  server = \"on\"\n\
                [mon \"monitor\"]\n  chardev = \"m\"\n  mode = \"control\"\n[name]\n  guest = \"filed\"\n";
    host.qemu(7, &["-readconfig", "machine.cfg"]);
    host.file("/srv/machine.cfg", text);
    host.qemu(8, &["-readconfig", "/etc/machine.cfg"]);
    host.file("/proc/8/root/etc/machine.cfg", text);
    host.qemu(9, &["-readconfig", "/etc/missing.cfg"]);
    insta::assert_snapshot!([host.monitors(7), host.monitors(8), host.monitors(9)].join("\n"), @r"
    Qmp /run/m.sock
    => /run/m.sock
    Qmp /run/m.sock
    => /run/m.sock
    => QEMU process 9 has no QMP monitor (help: start it with `-qmp unix:PATH,server=on,wait=off`)
    ");
    assert_eq!(find_in(&host.places, 8).unwrap().name.as_deref(), Some("filed"));
}

#[test]
fn a_daemon_is_followed_to_the_folder_that_it_was_started_in() {
    let host = Host::new();
    host.file("/start/relative.sock", "");
    for pid in [7, 8] {
        host.qemu(pid, &["-qmp", "unix:relative.sock,server=on,wait=off"]);
        fs::remove_file(host.places.at(format!("/proc/{pid}/cwd"))).unwrap();
        host.link(&format!("/proc/{pid}/cwd"), "/");
    }
    host.file("/proc/7/environ", "A=b\0PWD=/start\0");
    insta::assert_snapshot!([host.monitors(7), host.monitors(8)].join("\n"), @r"
    Qmp /start/relative.sock
    => /start/relative.sock
    Qmp relative.sock in a directory that the process has left
    => QEMU process 8 has a QMP monitor, but none that accepts connections: relative.sock in a directory that the process has left (help: start it with `-qmp unix:PATH,server=on,wait=off`)
    ");
}

#[test]
fn sockets_tell_what_the_command_line_does_not() {
    let mut host = Host::new();
    host.qemu(
        7,
        &[
            "-readconfig",
            "/dev/fd/9",
            "-vnc",
            "unix:/run/vnc.sock",
            "-chardev",
            "socket,id=s,path=/run/serial,server=on",
        ],
    );
    host.socket(7, 3, 31, "/run/perhaps a monitor.sock");
    host.socket(7, 4, 32, "/run/vnc.sock");
    host.socket(7, 5, 33, "/run/serial");
    host.qemu(8, &["-chardev", "socket,id=m,fd=3,server=on", "-qmp", "chardev:m"]);
    host.socket(8, 3, 34, "/run/bound-before.sock");
    host.qemu(9, &[]);
    insta::assert_snapshot!([host.monitors(7), host.monitors(8), host.monitors(9)].join("\n"), @r"
    Unknown /run/perhaps a monitor.sock
    => QEMU process 7 names no QMP monitor, but listens on /run/perhaps a monitor.sock (help: attach to the one that is its monitor by its path)
    Qmp /run/bound-before.sock
    => /run/bound-before.sock
    => QEMU process 9 has no QMP monitor (help: start it with `-qmp unix:PATH,server=on,wait=off`)
    ");
}

#[test]
fn only_qemus_are_listed() {
    let host = Host::new();
    host.qemu(5, &["-name", "guest=five,debug-threads=on", "-uuid", "2c1f8a5e-0000-4000-8000-000000000001"]);
    host.process(6, "S", "/usr/bin/vim", &["qemu-system-x86_64"]);
    host.process(7, "Z", "/usr/bin/qemu-system-arm", &[]);
    host.process(8, "R", "/nix/store/x/bin/.qemu-system-riscv64-wrapped", &["-name", "eight"]);
    host.process(9, "R", "/usr/bin/qemu-system-aarch64 (deleted)", &[]);
    host.process(10, "S", "/usr/bin/qemu-system-unheard-of", &[]);
    host.file("/proc/11/stat", "11 (kthread) S 2 0");
    let told: Vec<String> = list_in(&host.places)
        .into_iter()
        .map(|qemu| {
            let program = qemu.executable.unwrap();
            format!(
                "{} {:?} {} {:?} {:?}",
                qemu.process.pid,
                qemu.arch.unwrap(),
                program.display(),
                qemu.name,
                qemu.uuid
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    5 X86_64 /usr/bin/qemu-system-x86_64 Some("five") Some("2c1f8a5e-0000-4000-8000-000000000001")
    8 Riscv64 /nix/store/x/bin/.qemu-system-riscv64-wrapped Some("eight") None
    9 Aarch64 /usr/bin/qemu-system-aarch64 None None
    "#);
}

#[test]
fn accelerators_are_seen_rather_than_believed() {
    let host = Host::new();
    let asked = |pid: u32, arguments: &[&str]| {
        host.qemu(pid, arguments);
        find_in(&host.places, pid).unwrap().accelerator
    };
    assert_eq!(asked(1, &[]), Some(Accelerator::Tcg));
    assert_eq!(asked(2, &["-enable-kvm"]), Some(Accelerator::Kvm));
    assert_eq!(asked(3, &["-machine", "q35,accel=kvm:tcg"]), Some(Accelerator::Kvm));
    assert_eq!(asked(4, &["-accel", "tcg,thread=multi"]), Some(Accelerator::Tcg));
    assert_eq!(asked(5, &["-accel", "xen"]), None);
    // It fell back: the threads know better than the command line.
    host.file("/proc/6/task/60/comm", "CPU 0/TCG\n");
    assert_eq!(asked(6, &["-accel", "kvm", "-accel", "tcg"]), Some(Accelerator::Tcg));
    host.link("/proc/7/fd/9", "anon_inode:kvm-vm");
    assert_eq!(asked(7, &[]), Some(Accelerator::Kvm));
}

#[test]
fn a_recycled_pid_is_another_process() {
    let host = Host::new();
    host.qemu(7, &[]);
    let process = find_in(&host.places, 7).unwrap().process;
    assert_eq!(process, ProcessId { pid: 7, start_ticks: 700 });
    assert!(is_running_in(&host.places, process));
    assert!(!is_running_in(&host.places, ProcessId { start_ticks: 699, ..process }));
    fs::remove_dir_all(host.places.at("/proc/7")).unwrap();
    assert!(!is_running_in(&host.places, process));
    assert_eq!(find_in(&host.places, 7), None);
}

#[test]
fn ours_are_told_by_their_two_monitors() {
    let host = Host::new();
    let first = ["-chardev", "socket,id=q,fd=0", "-qmp", "chardev:q"];
    let second = ["-chardev", "socket,id=p,path=/run/vm.sock,server=on,wait=off", "-qmp", "chardev:p"];
    let ours = |pid, name: &str, arguments: &[&str]| {
        host.qemu(pid, &[&["-name", name], arguments].concat());
        find_in(&host.places, pid).unwrap().ours
    };
    assert!(ours(1, "vm", &[first, second].concat()));
    assert!(!ours(2, "another", &[first, second].concat()));
    assert!(!ours(3, "vm", &second));
    host.qemu(4, &first);
    insta::assert_snapshot!(host.monitors(4), @r"
    Qmp file descriptor 0, whose other end its launcher holds, no server
    => QEMU process 4 has a QMP monitor, but none that accepts connections: file descriptor 0, whose other end its launcher holds (help: start it with `-qmp unix:PATH,server=on,wait=off`)
    ");
}

#[test]
fn times_and_owners_are_told() {
    let host = Host::new();
    host.qemu(7, &["-m", "1G"]);
    let qemu = find_in(&host.places, 7).unwrap();
    assert_eq!(qemu.started, Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_007)));
    assert_eq!(qemu.uid, nix::unistd::Uid::effective().as_raw());
    assert_eq!(qemu.executable.as_deref(), Some(Path::new("/usr/bin/qemu-system-x86_64")));
    assert_eq!(qemu.argv, ["/usr/bin/qemu-system-x86_64", "-m", "1G"].map(OsString::from));
    fs::remove_dir(host.places.at("/proc/7/fd")).unwrap();
    insta::assert_snapshot!(host.monitors(7), @"=> QEMU process 7 has no QMP monitor, as far as is visible: its file descriptors cannot be read (No such file or directory (os error 2)) (help: start it with `-qmp unix:PATH,server=on,wait=off`)");
}
