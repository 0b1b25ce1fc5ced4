//! `cargo xtask schema record`: real traffic for the replay test of qmp-proto.
//!
//! A q35 guest with disks, NICs, memory devices, a block job and then a running migration; every
//! side-effect-free query's reply and every event, one JSON value a line.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::import::release;
use super::talk::Talk;
use crate::run::{self, workspace};

/// Queries that need arguments or do not start with `query-`.
fn more_queries() -> [(&'static str, Value); 11] {
    [
        ("qom-list", json!({ "path": "/machine" })),
        ("qom-list-properties", json!({ "typename": "iothread" })),
        ("device-list-properties", json!({ "typename": "virtio-blk-pci" })),
        ("query-block", json!({ "flat": true })),
        ("query-blockstats", json!({ "query-nodes": true })),
        ("query-named-block-nodes", json!({ "flat": true })),
        ("query-cpu-model-expansion", json!({ "type": "static", "model": { "name": "qemu64" } })),
        ("query-rx-filter", json!({ "name": "nic0" })),
        ("query-stats", json!({ "target": "vm" })),
        ("query-stats-schemas", json!({ "provider": "kvm" })),
        ("trace-event-get-state", json!({ "name": "qmp_block_resize" })),
    ]
}

/// Asked again while the guest migrates.
const IN_MIGRATION: [&str; 6] = [
    "query-migrate",
    "query-migrate-capabilities",
    "query-migrate-parameters",
    "query-status",
    "query-blockstats",
    "query-yank",
];

/// Records `qemu`, which has its `qemu-img` beside it, into `qmp-proto/tests/traffic`.
pub fn run(qemu: &Path) -> Result<()> {
    let dir = workspace().join("target/record");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for name in ["base", "disk", "copy"] {
        let path = dir.join(format!("{name}.qcow2"));
        run::output(
            Command::new(qemu.with_file_name("qemu-img"))
                .args(["create", "-q", "-f", "qcow2"])
                .arg(path)
                .arg("64M"),
        )?;
    }
    let mut talk = start(qemu, &dir)?;
    let version = release(&talk.version()?)?;
    let lines = record(&mut talk)?;
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    // What is of this machine is of no interest.
    text = text.replace(&dir.display().to_string(), "/vm");
    if let Some(prefix) = qemu.parent().and_then(Path::parent) {
        text = text.replace(&prefix.display().to_string(), "/qemu");
    }
    let path = workspace().join(format!("qmp-proto/tests/traffic/{version}.jsonl"));
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {} messages", path.display(), text.lines().count());
    Ok(())
}

fn start(qemu: &Path, dir: &Path) -> Result<Talk> {
    let file = |name: &str| dir.join(name).display().to_string();
    let node = |name: &str, file: String, extra: Value| {
        let mut node = json!({
            "driver": "qcow2", "node-name": name, "discard": "unmap",
            "file": { "driver": "file", "filename": file },
        });
        if let (Value::Object(node), Value::Object(extra)) = (&mut node, extra) {
            node.extend(extra);
        }
        node.to_string()
    };
    let backing =
        json!({ "backing": serde_json::from_str::<Value>(&node("base", file("base.qcow2"), json!({})))? });
    let disk = node("disk", file("disk.qcow2"), backing);
    let copy = node("copy", file("copy.qcow2"), json!({}));
    Talk::start(
        qemu,
        &[
            "-machine",
            "q35",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2,maxcpus=4",
            "-m",
            "128,slots=4,maxmem=2G",
            "-nodefaults",
            "-name",
            "recorded",
            "-uuid",
            "c2a8f5a0-6a6c-4ca1-9d53-0f1a8d3d1e11",
            "-object",
            "iothread,id=io0",
            "-object",
            "memory-backend-ram,id=mem1,size=128M",
            "-object",
            "memory-backend-ram,id=mem2,size=256M",
            "-object",
            "rng-random,id=rng0,filename=/dev/urandom",
            "-object",
            "throttle-group,id=tg0,x-iops-total=1000",
            "-device",
            "pc-dimm,id=dimm0,memdev=mem1",
            "-device",
            "pcie-root-port,id=rp0,chassis=1",
            "-device",
            "pcie-root-port,id=rp1,chassis=2",
            "-device",
            "virtio-mem-pci,id=vmem0,memdev=mem2,requested-size=64M",
            "-blockdev",
            &disk,
            "-blockdev",
            &copy,
            "-blockdev",
            r#"{"driver":"null-co","node-name":"null","size":1048576,"read-zeroes":true}"#,
            "-blockdev",
            r#"{"driver":"throttle","node-name":"slow","throttle-group":"tg0","file":"null"}"#,
            "-device",
            "virtio-blk-pci,id=disk0,drive=disk,iothread=io0",
            "-device",
            "virtio-scsi-pci,id=scsi0",
            "-device",
            "scsi-hd,id=disk1,drive=slow",
            "-device",
            "scsi-cd,id=cd0",
            "-device",
            "ide-hd,id=disk2,drive=copy,serial=recorded",
            "-netdev",
            "user,id=net0",
            "-device",
            "virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:12:34:56,bus=rp0",
            "-netdev",
            "hubport,id=net1,hubid=0",
            "-device",
            "e1000e,id=nic1,netdev=net1,mac=52:54:00:12:34:57",
            "-device",
            "virtio-balloon-pci,id=balloon0",
            "-device",
            "virtio-rng-pci,id=rng1,rng=rng0",
            "-device",
            "qemu-xhci,id=usb0",
            "-device",
            "usb-tablet,id=tablet0",
            "-device",
            "virtio-serial-pci,id=vser0",
            "-chardev",
            "ringbuf,id=ring0,size=4096",
            "-device",
            "virtconsole,chardev=ring0,id=con0",
            "-chardev",
            "null,id=ch0",
            "-serial",
            "chardev:ch0",
            "-device",
            "vmgenid,guid=auto,id=gen0",
            "-device",
            "bochs-display,id=vga0",
            "-vnc",
            "none",
        ],
    )
}

fn record(talk: &mut Talk) -> Result<Vec<Value>> {
    let mut lines = vec![talk.greeting.clone()];
    talk.execute("stop", &json!({}))?;
    talk.execute("cont", &json!({}))?;
    talk.execute("block-dirty-bitmap-add", &json!({ "node": "disk", "name": "bitmap0" }))?;
    talk.execute(
        "blockdev-mirror",
        &json!({ "job-id": "job0", "device": "base", "target": "null", "sync": "none", "speed": 1 }),
    )
    .or_else(|_| {
        talk.execute(
            "block-stream",
            &json!({ "job-id": "job0", "device": "disk", "speed": 1, "auto-finalize": false }),
        )
    })?;
    let commands = talk.execute("query-commands", &json!({}))?;
    let mut queries: Vec<(String, Value)> = Vec::new();
    for command in commands.as_array().context("query-commands returned no list")? {
        let name = command["name"].as_str().context("a command without a name")?;
        if name.starts_with("query-") || name.starts_with("x-query-") {
            queries.push((name.to_owned(), json!({})));
        }
    }
    queries.sort_by(|a, b| a.0.cmp(&b.0));
    queries.extend(more_queries().map(|(name, arguments)| (name.to_owned(), arguments)));
    for (name, arguments) in &queries {
        ask(talk, &mut lines, name, arguments)?;
    }
    talk.ask("block-job-cancel", &json!({ "device": "job0", "force": true }))?.ok();
    talk.wait_for("BLOCK_JOB_CANCELLED")?;
    talk.execute(
        "migrate-set-capabilities",
        &json!({ "capabilities": [{ "capability": "events", "state": true }] }),
    )?;
    // Slow enough to be caught under way.
    talk.execute("migrate-set-parameters", &json!({ "max-bandwidth": 100 }))?;
    talk.execute("migrate", &json!({ "uri": "exec:cat >/dev/null" }))?;
    loop {
        let reply = talk.execute("query-migrate", &json!({}))?;
        match reply["status"].as_str() {
            Some("active") if reply.get("ram").is_some() => break,
            Some("setup" | "active") => {}
            other => anyhow::bail!("the migration is {other:?}"),
        }
    }
    for name in IN_MIGRATION {
        ask(talk, &mut lines, name, &json!({}))?;
    }
    talk.execute("migrate_cancel", &json!({}))?;
    lines.append(&mut talk.events);
    Ok(lines)
}

/// Adds the reply, if it is not an error.
fn ask(talk: &mut Talk, lines: &mut Vec<Value>, name: &str, arguments: &Value) -> Result<()> {
    if let Ok(mut value) = talk.ask(name, arguments)? {
        drop_help(&mut value);
        lines.push(json!({ "command": name, "arguments": arguments, "return": value }));
    }
    Ok(())
}

/// Help texts are QEMU's words, not facts.
fn drop_help(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(drop_help),
        Value::Object(members) => {
            for (name, value) in members {
                if (name == "help" || name == "description" || name == "human-readable-text")
                    && value.is_string()
                {
                    *value = json!("…");
                }
                drop_help(value);
            }
        }
        _ => {}
    }
}
