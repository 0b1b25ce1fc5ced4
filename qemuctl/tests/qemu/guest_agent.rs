//! What the agent in a Linux guest does for us, and a Linux guest to share for it.

use std::path::Path;
use std::time::Duration;

use qemuctl::{
    Error, Exec, Instance, LaunchOptions, VmConfig,
    config::{AccelChoice, Arch, Boot, Machine, Memory, Size},
    guest::Output,
};

use crate::support::{guest_file, qemu};

/// Longer than anything takes on a loaded machine.
pub const GENEROUS: Duration = Duration::from_secs(300);

/// A Linux guest with an agent; `kind` is the folder of its kernel.
pub fn linux(version: &str, kind: &str, dir: &Path) -> VmConfig {
    let config = VmConfig {
        name: Some("linux".into()),
        qemu: Some(qemu(version, "qemu-system-x86_64")),
        socket_dir: Some(dir.into()),
        arch: Some(Arch::X86_64),
        machine: Machine { kind: Some("q35".into()), accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(512)),
        boot: Boot {
            kernel: Some(guest_file(kind, "vmlinuz")),
            initrd: Some(guest_file(kind, "initramfs")),
            append: Some("console=ttyS0 quiet panic=-1 no_timer_check".into()),
            ..Boot::default()
        },
        ..VmConfig::default()
    };
    config.with_guest_agent()
}

/// Boots it, and waits for its agent.
pub async fn boot(config: &VmConfig) -> Instance {
    let options = LaunchOptions { ready_timeout: GENEROUS, ..LaunchOptions::default() };
    boot_with(config, &options).await
}

/// Boots it with options.
pub async fn boot_with(config: &VmConfig, options: &LaunchOptions) -> Instance {
    // A launch is much to keep on a stack.
    let vm = Box::pin(Instance::start_with(config, options)).await.expect("started");
    vm.wait_agent(GENEROUS).await.expect("its agent comes up");
    vm
}

/// What a shell script prints in the guest.
pub async fn run(vm: &Instance, script: &str) -> String {
    let output = vm.exec(&Exec::with_args("/bin/sh", ["-c", script]), GENEROUS).await.expect(script);
    assert_eq!(output.code, Some(0), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_runs_programs() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = boot(&linux("10.0", "x86_64", dir.path())).await;
    programs_run_as_asked(&vm).await;
    output_streams(&vm).await;
    several_take_turns(&vm, dir.path()).await;
    vm.kill().await.expect("killed");
}

async fn programs_run_as_asked(vm: &Instance) {
    let exec = Exec {
        env: Some(vec!["WORD=a b".into(), "PATH=/bin:/usr/bin".into()]),
        stdin: b"from stdin\n".to_vec(),
        ..Exec::with_args("/bin/sh", ["-c", "cat; echo \"$WORD $1\"; echo oops >&2; exit 42", "sh", "c  d"])
    };
    let output = vm.exec(&exec, GENEROUS).await.expect("executed");
    let texts = (output.stdout.as_slice(), output.stderr.as_slice());
    assert_eq!((output.code, texts), (Some(42), (&b"from stdin\na b c  d\n"[..], &b"oops\n"[..])));

    let output =
        vm.exec(&Exec::with_args("/bin/sh", ["-c", "kill -9 $$"]), GENEROUS).await.expect("executed");
    assert_eq!((output.code, output.signal), (None, Some(9)));

    let error = vm.exec(&Exec::new("/no/such/program"), GENEROUS).await.expect_err("there is none");
    assert!(matches!(error, Error::Qmp(_)), "{error}");
    let moment = Duration::from_millis(200);
    let error = vm.exec(&Exec::with_args("/bin/sleep", ["60"]), moment).await.expect_err("too long");
    assert!(error.to_string().contains("200ms"), "{error}");
    // The agent is free again.
    assert_eq!(run(vm, "echo here").await, "here");
}

/// Handles on one VM, as programs of their own would have them, while a program runs by each.
async fn several_take_turns(vm: &Instance, dir: &Path) {
    let waits = Exec::with_args("/bin/sh", ["-c", "until [ -e /tmp/all ]; do usleep 10000; done; echo over"]);
    let (one, long) = (vm.clone(), waits.clone());
    let first = tokio::spawn(async move { one.exec(&long, GENEROUS).await });
    let other = Instance::attach_name_in(dir, "linux").await.expect("attached");
    let second = tokio::spawn(async move { other.exec_streamed(&waits, GENEROUS, |_| ()).await });
    let third = Instance::attach_name_in(dir, "linux").await.expect("attached");
    for number in 0..5 {
        let said = run(&third, &format!("echo {number}")).await;
        assert_eq!(said, number.to_string(), "an answer to this question");
    }
    run(vm, "touch /tmp/all").await;
    let output = first.await.expect("no panic").expect("executed");
    assert_eq!(output.stdout, b"over\n");
    assert_eq!(second.await.expect("no panic").expect("executed").code, Some(0));
}

async fn output_streams(vm: &Instance) {
    let (sender, mut pieces) = tokio::sync::mpsc::unbounded_channel();
    // It goes on only when its first line was seen, so the line is seen while it runs.
    let script = "echo first; until [ -e /tmp/go ]; do usleep 10000; done; echo last; echo bad >&2; exit 3";
    let exec = Exec::with_args("/bin/sh", ["-c", script]);
    let streamed = vm.exec_streamed(&exec, GENEROUS, move |piece| {
        sender.send(piece).expect("somebody listens");
    });
    let follow = async {
        let mut texts = [String::new(), String::new()];
        while let Some(piece) = pieces.recv().await {
            let (at, bytes) = match piece {
                Output::Stdout(bytes) => (0, bytes),
                Output::Stderr(bytes) => (1, bytes),
            };
            texts[at].push_str(&String::from_utf8(bytes).expect("text"));
            if texts[0] == "first\n" {
                run(vm, "touch /tmp/go").await;
            }
        }
        texts
    };
    let (ended, texts) = tokio::join!(streamed, follow);
    assert_eq!(ended.expect("executed").code, Some(3));
    assert_eq!(texts, ["first\nlast\n", "bad\n"]);

    let moment = Duration::from_secs(1);
    let sleep = Exec::with_args("/bin/sleep", ["60"]);
    let error = vm.exec_streamed(&sleep, moment, |_| ()).await.expect_err("too long");
    assert_eq!(error.to_string(), "running a program in the guest of linux: timed out after 1s");
}
