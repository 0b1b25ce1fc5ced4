//! Everything at once on one VM, from many programs: none is refused.

use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::program::{GENEROUS, Place, until};

/// Has many programs use one VM for that long. `config` is that of a Linux guest called `vm` with an agent.
pub fn crowd(config: &str, lasting: Duration) {
    let place = Place::new();
    let more = "video = [\"vga\"]\nnetworks = [\"user\"]\n[machine]";
    place.write("vm.toml", config.replace("[machine]", more));
    place.write("big", (0..3_000_000_u32).map(|number| (number % 251) as u8).collect::<Vec<_>>());
    let answer = place.qemuctl(&["start", "vm.toml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(place.qemuctl(&["wait", "vm", "--for", "agent", "--timeout", "600"]).code, Some(0));

    let mut watchers: Vec<(&str, Child)> = [&["wait", "vm"][..], &["events", "vm"], &["console", "vm"]]
        .into_iter()
        .map(|args| {
            let mut command = place.command(args);
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            (args[0], child.expect("the program starts"))
        })
        .collect();
    // A long program, a short one that prints, one that reads: none keeps the agent's line from the others.
    let commands: [(&[&str], &str); 9] = [
        (&["exec", "vm", "--wait", "60", "sleep", "3"], ""),
        (&["exec", "vm", "--wait", "60", "echo", "here"], "here"),
        (&["exec", "vm", "--wait", "60", "--json", "cat", "/proc/sys/kernel/ostype"], "Linux"),
        (&["cp", "--wait", "60", "big", "vm:/tmp/big"], ""),
        (&["screenshot", "vm", "screen.png"], ""),
        (&["status", "vm"], "vm: running"),
        (&["block", "list", "vm"], ""),
        (&["list"], " running "),
        (&["qmp", "vm", "query-status"], "running"),
    ];
    let refused = Mutex::new(Vec::new());
    let end = Instant::now() + lasting;
    std::thread::scope(|scope| {
        for (args, expected) in commands {
            let (place, refused) = (&place, &refused);
            scope.spawn(move || {
                loop {
                    let answer = place.qemuctl(args);
                    if answer.code != Some(0) || !answer.out.contains(expected) {
                        refused.lock().expect("no panic").push(format!("{args:?}: {answer:?}"));
                    }
                    if Instant::now() >= end {
                        return;
                    }
                }
            });
        }
    });
    let refused = refused.into_inner().expect("no panic");
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
    for (name, watcher) in &mut watchers {
        assert_eq!(watcher.try_wait().expect("it is ours"), None, "{name} watches still");
    }
    assert_eq!(place.qemuctl(&["kill", "vm"]).code, Some(0));
    let begin = Instant::now();
    until("all of them end with the VM", || {
        watchers.iter_mut().all(|(_, watcher)| watcher.try_wait().expect("it is ours").is_some())
    });
    assert!(begin.elapsed() < GENEROUS);
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}
