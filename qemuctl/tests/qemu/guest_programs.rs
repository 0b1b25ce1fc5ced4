//! Programs in a Linux guest by their handles: everything that goes in and comes out, and how they end.

use std::time::Duration;

use qemuctl::{
    Error, Exec, Instance,
    guest::{GuestSignal, Output},
    qmp_client::ClientError,
};
use tokio::time::timeout;

use crate::guest_agent::{GENEROUS, boot, linux, run};
use crate::support::VERSIONS;

fn shell(script: &str) -> Exec {
    Exec::new("/bin/sh").arg("-c").arg(script)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_are_handled_on_every_version() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = boot(&linux(version, "x86_64", dir.path())).await;
        surroundings_are_as_asked(&vm).await;
        input_is_streamed(&vm).await;
        dropped_futures_lose_nothing(&vm).await;
        signals_reach_all(&vm).await;
        no_program_outlives_its_handle(&vm).await;
        errors_are_the_same_in_all_ways(&vm).await;
        assert_eq!(run(&vm, "ls -d /tmp/qemuctl-* 2>/dev/null | wc -l").await, "0");
        vm.kill().await.expect("killed");
    }
}

async fn surroundings_are_as_asked(vm: &Instance) {
    let script = "pwd; echo \"$WORD\"; echo \"$HOME\"; umask; cat; echo \"$1\" >&2; exit 7";
    let exec = shell(script).args(["sh", "c  d"]).env("WORD", "a 'b").current_dir("/proc/sys").stdin("in\n");
    let own = run(vm, "echo $HOME; umask").await;
    for collected in [true, false] {
        let process = if collected { vm.spawn_collected(&exec).await } else { vm.spawn(&exec).await };
        let output = process.expect("started").wait().await.expect("it ends");
        let stdout = String::from_utf8(output.stdout).expect("text");
        assert_eq!(stdout, format!("/proc/sys\na 'b\n{own}\nin\n"), "{collected}");
        assert_eq!((output.code, output.stderr.as_slice()), (Some(7), &b"c  d\n"[..]));
    }
    // What is given replaces the agent's own; what is added stays beside it.
    let exec =
        Exec { env: Some(vec!["A=1".into(), "B=2".into()]), ..Exec::new("/usr/bin/env") }.env("B", "3");
    let output = vm.exec(&exec, GENEROUS).await.expect("executed");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("A=1\n") && text.contains("B=3\n") && !text.contains("HOME="), "{text}");
}

async fn input_is_streamed(vm: &Instance) {
    // More than a pipe holds, to a program that begins to read late.
    let data: Vec<u8> = (0..700_001_u32).map(|number| (number * 7 % 251) as u8).collect();
    let mut process =
        vm.spawn(&shell("echo ready; read go; sleep 1; md5sum").piped_stdin()).await.expect("started");
    assert_eq!(process.next().await.expect("it writes"), Some(Output::Stdout(b"ready\n".to_vec())));
    process.write_all(b"go\n").await.expect("it reads");
    process.write_all(&data).await.expect("it reads");
    let output = process.wait().await.expect("it ends with its input");
    let mut sum = vm.spawn_collected(&Exec::new("md5sum").stdin(data)).await.expect("started");
    assert_eq!(output.stdout, sum.wait().await.expect("it ends").stdout);

    // A dialogue, and a program that reads no more.
    let mut process =
        vm.spawn(&shell("while read line; do echo \"<$line>\"; done").piped_stdin()).await.expect("started");
    for line in ["one", "two"] {
        process.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        assert_eq!(
            process.next().await.expect("it writes"),
            Some(Output::Stdout(format!("<{line}>\n").into_bytes()))
        );
    }
    process.close_stdin();
    assert_eq!(process.next().await.expect("it ends"), None);
    let error = process.write(b"more").await.expect_err("it was closed");
    assert!(matches!(error, Error::Qmp(ClientError::Stream { .. })), "{error}");
}

async fn dropped_futures_lose_nothing(vm: &Instance) {
    let mut process =
        vm.spawn(&shell("for i in $(seq 50); do echo $i; usleep 20000; done")).await.expect("started");
    let (mut text, mut dropped) = (Vec::new(), 0);
    loop {
        match timeout(Duration::from_millis(1), process.next()).await {
            Err(_) => dropped += 1,
            Ok(Ok(Some(Output::Stdout(piece)))) => text.extend(piece),
            Ok(Ok(None)) => break,
            Ok(other) => panic!("{other:?}"),
        }
    }
    let lines: Vec<usize> =
        String::from_utf8(text).expect("text").lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!((lines, dropped > 0), ((1..=50).collect(), true));
}

/// How many programs with `sleep MARK` there are in the guest.
async fn sleepers(vm: &Instance, mark: &str) -> String {
    run(vm, &format!("ps | grep -c '[s]leep {mark}' || true")).await
}

async fn signals_reach_all(vm: &Instance) {
    let script = "trap 'echo hung up' HUP; echo ready; while :; do usleep 10000; done";
    let mut process = vm.spawn(&shell(script)).await.expect("started");
    assert_eq!(process.next().await.expect("it writes"), Some(Output::Stdout(b"ready\n".to_vec())));
    assert!(process.signal(GuestSignal::Hup).await.expect("sent"));
    assert_eq!(process.next().await.expect("it writes"), Some(Output::Stdout(b"hung up\n".to_vec())));
    assert!(process.signal(GuestSignal::Term).await.expect("sent"));
    let output = process.wait().await.expect("it ends");
    assert_eq!((output.code, output.signal), (None, Some(15)));
    assert!(!process.signal(GuestSignal::Term).await.expect("answered"), "it has ended");

    let mut process =
        vm.spawn(&shell("sleep 7771 & (sleep 7771; true) & echo up; sleep 7771")).await.expect("started");
    process.next().await.expect("it writes");
    let output = process.kill().await.expect("killed");
    assert_eq!((output.signal, sleepers(vm, "7771").await.as_str()), (Some(9), "0"));
}

async fn no_program_outlives_its_handle(vm: &Instance) {
    let long = shell("sleep 7772 & sleep 7772");
    for collected in [true, false] {
        let moment = Duration::from_millis(500);
        let error = if collected {
            vm.exec(&long, moment).await.expect_err("too long")
        } else {
            vm.exec_streamed(&long, moment, |_| ()).await.expect_err("too long")
        };
        assert!(matches!(error, Error::Timeout { after, .. } if after == moment), "{error}");
        // Its time is up at once or after it has begun; it is killed before that is said.
        assert_eq!(sleepers(vm, "7772").await, "0");
    }
    drop(vm.spawn(&long).await.expect("started"));
    drop(timeout(Duration::from_millis(1), vm.spawn_collected(&long)).await);
    run(vm, "while ps | grep -q '[s]leep 7772'; do usleep 10000; done").await;
    vm.spawn(&Exec::new("sleep").arg("7773")).await.expect("started").detach();
    run(vm, "until ps | grep -q '[s]leep 7773'; do usleep 10000; done; sleep 1").await;
    assert_eq!(sleepers(vm, "7773").await, "1");
}

async fn errors_are_the_same_in_all_ways(vm: &Instance) {
    let nowhere = Exec::new("ls").current_dir("/no/such");
    for (exec, why) in [
        (Exec::new("/no/such/program"), "“/no/such/program” (No such file or directory)"),
        (Exec::new("nosuch"), "“nosuch” (No such file or directory)"),
        (Exec::new("/etc"), "“/etc” (Permission denied)"),
        (nowhere, "Failed to change to directory “/no/such” (No such file or directory)"),
    ] {
        let ways = [
            vm.exec(&exec, GENEROUS).await.expect_err("it cannot start"),
            vm.exec_streamed(&exec, GENEROUS, |_| ()).await.expect_err("it cannot start"),
            vm.spawn(&exec).await.expect_err("it cannot start"),
        ];
        for error in ways {
            assert!(matches!(&error, Error::Qmp(ClientError::Refused { .. })), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_output_is_bounded() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = boot(&linux("10.0", "x86_64", dir.path())).await;
    // The agent keeps no more than 16 MiB, and says so.
    let zeros = Exec::with_args("head", ["-c", "17000000", "/dev/zero"]);
    let output = vm.exec(&zeros, GENEROUS).await.expect("executed");
    assert_eq!((output.stdout.len(), output.truncated), (16 << 20, true));
    let output = vm.exec(&zeros.clone().output_limit(17_000), GENEROUS).await.expect("executed");
    assert_eq!((output.stdout.len(), output.truncated), (17_000, true));
    // A streamed program that never ends.
    let mut process = vm.spawn(&Exec::new("yes").output_limit(100_000)).await.expect("started");
    timeout(Duration::from_secs(2), process.wait()).await.expect_err("it never ends");
    let output = process.kill().await.expect("killed");
    assert_eq!((output.stdout.len(), output.truncated, output.signal), (100_000, true, Some(9)));
    // The whole program, which prints nothing before it has all.
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_qemuctl"));
    program.args(["exec", "--json", "linux", "--", "sh", "-c", "tr '\\0' a </dev/zero | head -c 17000000"]);
    program.env("QEMUCTL_SOCKET_DIR", dir.path());
    let told =
        tokio::task::spawn_blocking(move || program.output()).await.expect("no panic").expect("it starts");
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["stdout"].as_str().map(str::len), Some(16 << 20));
    assert_eq!((&told["truncated"], &told["code"]), (&true.into(), &0.into()));
    vm.kill().await.expect("killed");
}
