//! QEMUs that somebody else started, found by pid and attached to.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use qemuctl::qemu_discovery::instances::{self, Address, ProcessId, RunningQemu};
use qemuctl::qmp_client::{Options, Session};
use qemuctl::{Instance, config::Arch, qemu_argv::Accelerator, qmp_proto};

use crate::boot_sector::Guest;
use crate::own_process::{command, is_role};
use crate::support::{VERSIONS, qemu};

/// A QEMU in the background, as an administrator would start it; ended with the value.
struct Foreign(RunningQemu);

impl Foreign {
    /// Starts it in `dir` and finds it by its pid. QEMU's first process ends when the second is ready.
    fn start(version: &str, dir: &Path, arguments: &[&str]) -> Self {
        let pid_file = dir.join("pid");
        let output = Command::new(qemu(version, "qemu-system-x86_64"))
            .args(["-nodefaults", "-display", "none", "-daemonize", "-pidfile"])
            .arg(&pid_file)
            .args(arguments)
            .current_dir(dir)
            // As a shell does; the second process goes to `/`.
            .env("PWD", dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // The second process keeps it open, so it must not be a pipe that is read to its end.
            .stderr(fs::File::create(dir.join("stderr")).expect("a file"))
            .status()
            .expect("QEMU starts");
        let words = fs::read_to_string(dir.join("stderr")).unwrap_or_default();
        assert!(output.success(), "QEMU {version} {arguments:?}: {words}");
        let pid = fs::read_to_string(&pid_file).expect("its pid").trim().parse().expect("a number");
        Self(instances::find(pid).expect("it is found by its pid"))
    }

    fn process(&self) -> ProcessId {
        self.0.process
    }

    /// Ends it and waits until it is gone.
    fn end(&self) {
        let ProcessId { pid, .. } = self.process();
        let deadline = Instant::now() + Duration::from_secs(60);
        while instances::is_running(self.process()) {
            drop(Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status());
            assert!(Instant::now() < deadline, "process {pid} cannot be ended");
            std::thread::yield_now();
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if instances::is_running(self.process()) {
            self.end();
        }
    }
}

/// Attaches to the monitor and asks for the guest's name.
async fn name_by_monitor(address: &Address) -> String {
    let options = Options::default();
    let session = match address {
        Address::Unix(path) => Session::connect(path, &options).await,
        Address::Abstract(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name).expect("a name");
            let stream =
                std::os::unix::net::UnixStream::connect_addr(&address).expect("it takes connections");
            Session::from_unix_stream(stream, &options).await
        }
        other => panic!("{other} takes no connections"),
    };
    let session = session.expect("a QMP session");
    session.execute(qmp_proto::QueryName {}).await.expect("an answer").name.unwrap_or_default()
}

#[tokio::test]
async fn every_spelling_of_a_monitor_is_found_by_pid_and_attached_to() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let path = |name: &str| dir.join(name).to_str().expect("text").to_owned();
        let config = "[chardev \"m\"]\n  backend = \"socket\"\n  path = \"file.sock\"\n  server = \"on\"\n  wait = \"off\"\n\
                      [mon \"monitor\"]\n  chardev = \"m\"\n  mode = \"control\"\n";
        fs::write(dir.join("machine.cfg"), config).expect("written");
        let served = "server=on,wait=off";
        let abstract_name = format!("qemuctl-test-{}-{version}", std::process::id());
        let mut spellings: Vec<Vec<String>> = [
            format!("-qmp unix:{},{served}", path("a,,b.sock")),
            "-qmp-pretty unix:relative.sock,server,nowait".into(),
            format!("-chardev socket,id=m,path={},{served} -mon chardev=m,mode=control", path("mon.sock")),
            format!("-chardev socket,id=m,path={abstract_name},abstract=on,{served} -qmp chardev:m"),
            "-readconfig machine.cfg".into(),
            format!(
                "-monitor unix:{},{served} -qmp unix:{},{served}",
                path("human.sock"),
                path("machine.sock")
            ),
        ]
        .iter()
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect();
        if version == "11.1" {
            let object = r#"{"qom-type":"monitor-qmp","id":"o","chardev":"m"}"#;
            let chardev = format!("socket,id=m,path={},{served}", path("object.sock"));
            spellings.push(["-chardev", &chardev, "-object", object].map(str::to_owned).into());
        }
        for (index, spelling) in spellings.iter().enumerate() {
            let name = format!("guest{index}");
            let mut arguments = vec!["-machine", "none", "-name", &name];
            arguments.extend(spelling.iter().map(String::as_str));
            let foreign = Foreign::start(version, dir, &arguments);
            let monitor = foreign
                .0
                .attachable()
                .unwrap_or_else(|obstacle| panic!("{version} {spelling:?}: {obstacle}"));
            assert_eq!(name_by_monitor(&monitor.address).await, name, "{version} {spelling:?}");
            assert_eq!((foreign.0.name.as_deref(), foreign.0.ours), (Some(name.as_str()), false));
            assert!(instances::list().iter().any(|qemu| qemu.process == foreign.process()));
        }
    }
}

#[test]
fn a_qemu_without_a_monitor_says_so() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let foreign = Foreign::start(version, dir.path(), &["-machine", "none"]);
        let told = foreign.0.attachable().expect_err("there is none").to_string();
        let pid = foreign.process().pid.to_string();
        insta::allow_duplicates! {
            insta::assert_snapshot!(told.replace(&pid, "PID"), @"QEMU process PID has no QMP monitor (help: start it with `-qmp unix:PATH,server=on,wait=off`)");
        }
    }
}

#[test]
fn what_runs_the_guest_and_who_it_is_are_told() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let uuid = "2c1f8a5e-0000-4000-8000-000000000001";
        let foreign =
            Foreign::start(version, dir.path(), &["-machine", "q35", "-S", "-uuid", uuid, "-accel", "tcg"]);
        let qemu = &foreign.0;
        assert_eq!((qemu.accelerator, qemu.arch), (Some(Accelerator::Tcg), Some(Arch::X86_64)));
        assert_eq!((qemu.uuid.as_deref(), qemu.name.as_deref(), &qemu.hidden), (Some(uuid), None, &None));
        let age = qemu.started.expect("a time").elapsed().unwrap_or_default();
        assert!(age < Duration::from_secs(600), "{age:?}");
    }
}

#[tokio::test]
async fn a_machine_of_ours_is_told_from_foreign_ones() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "ours");
        let vm = Instance::start(&config).await.expect("it starts");
        let found = instances::find(vm.pid().expect("a process")).expect("it is a QEMU");
        assert_eq!((found.ours, found.name.as_deref()), (true, Some("ours")), "{:?}", found.monitors);
        vm.kill().await.expect("it ends");
        assert!(!instances::is_running(found.process));
    }
}

#[test]
fn a_recycled_pid_is_not_taken_for_the_same_qemu() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Foreign::start("10.0", dir.path(), &["-machine", "none"]);
    let process = first.process();
    assert!(instances::is_running(process));
    // The same pid at another time is another process.
    assert!(!instances::is_running(ProcessId { start_ticks: process.start_ticks + 1, ..process }));
    first.end();
    assert!(!instances::is_running(process));
    assert_eq!(instances::find(process.pid).map(|qemu| qemu.process), None);
    // This program's pid is taken, and not by a QEMU.
    assert_eq!(instances::find(std::process::id()), None);
}

#[test]
fn a_pid_that_was_given_out_again_is_another_qemu() {
    const NAME: &str = "discovery_instances::a_pid_that_was_given_out_again_is_another_qemu";
    if !is_role(NAME) {
        // In a pid namespace of one's own the next pid can be chosen.
        let copy = command(NAME);
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        if !nix::unistd::geteuid().is_root() {
            unshare.arg("--map-root-user");
        }
        unshare.arg(copy.get_program()).args(copy.get_args());
        unshare.envs(copy.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = unshare.output().expect("unshare starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        return;
    }
    let start = || {
        let mut qemu = Command::new(qemu("10.0", "qemu-system-x86_64"));
        qemu.args(["-machine", "none", "-nodefaults", "-display", "none", "-S"]);
        qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("QEMU starts")
    };
    // The program is a script at first.
    let process = |pid| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match instances::find(pid) {
                Some(found) => return found.process,
                None => assert!(Instant::now() < deadline, "process {pid} does not become a QEMU"),
            }
            std::thread::yield_now();
        }
    };
    let end = |mut child: Child| {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    };
    let first = start();
    let old = process(first.id());
    end(first);
    for _ in 0..100 {
        fs::write("/proc/sys/kernel/ns_last_pid", (old.pid - 1).to_string()).expect("the namespace is ours");
        let second = start();
        if second.id() == old.pid {
            let new = process(second.id());
            assert_eq!(new.pid, old.pid);
            if new.start_ticks == old.start_ticks {
                // The kernel counts in hundredths of a second, in which no host goes through all its pids.
                end(second);
                continue;
            }
            assert!(!instances::is_running(old), "the old one has ended");
            assert!(instances::is_running(new));
            return end(second);
        }
        // A thread was faster.
        end(second);
    }
    panic!("the pid {} is never given out again", old.pid);
}
