//! No text becomes an option.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use qemu_argv::{
    Boot, Channel, CharBackend, Chardev, Disk, FileChardev, FwCfg, NetBackend, Network, Plan, Serial, Smbios,
    SmbiosSystem, UserNet, VmConfig, Vnc,
};
use serde_json::json;

use super::world::{Running, World};
use crate::support::VERSIONS;

/// A field that takes a text.
struct Field {
    name: &'static str,
    set: fn(&mut VmConfig, &str),
}

const FIELDS: [Field; 19] = [
    Field { name: "name", set: |vm, text| vm.name = Some(text.into()) },
    Field { name: "uuid", set: |vm, text| vm.uuid = Some(text.into()) },
    Field { name: "machine.type", set: |vm, text| vm.machine.kind = Some(text.into()) },
    Field { name: "cpu.model", set: |vm, text| vm.cpu.model = Some(text.into()) },
    Field { name: "cpu.features", set: |vm, text| vm.cpu.features.set("vendor", text.to_owned()) },
    Field { name: "disks.id", set: |vm, text| vm.disks[0].id = Some(text.into()) },
    Field { name: "disks.serial", set: |vm, text| vm.disks[0].serial = Some(text.into()) },
    Field { name: "networks.id", set: |vm, text| vm.networks[0].id = Some(text.into()) },
    Field { name: "user.hostname", set: |vm, text| user(vm).hostname = Some(text.into()) },
    Field { name: "user.dns_search", set: |vm, text| user(vm).dns_search = vec![text.into()] },
    Field { name: "user.bootfile", set: |vm, text| user(vm).bootfile = Some(text.into()) },
    Field { name: "user.net", set: |vm, text| user(vm).net = Some(text.into()) },
    Field {
        name: "boot.append",
        set: |vm, text| vm.boot = Boot { append: Some(text.into()), ..vm.boot.clone() },
    },
    Field {
        name: "smbios",
        set: |vm, text| {
            let system = SmbiosSystem { serial: Some(text.into()), ..SmbiosSystem::default() };
            vm.smbios = Some(Box::new(Smbios { system: Some(system), ..Smbios::default() }));
        },
    },
    Field {
        name: "fw_cfg",
        set: |vm, text| {
            vm.fw_cfg = vec![FwCfg { name: "opt/org.example/x".into(), text: Some(text.into()), file: None }];
        },
    },
    Field {
        name: "serials.path",
        set: |vm, text| {
            // In the machine's own directory, where QEMU is started.
            let path = text.replace('/', "_").into();
            vm.serials = vec![Serial::new(CharBackend::File(FileChardev { path, append: false }))];
        },
    },
    Field { name: "chardevs.id", set: |vm, text| vm.chardevs = vec![Chardev::new(text, CharBackend::Null)] },
    Field { name: "channels.name", set: |vm, text| vm.channels = vec![Channel::new(text)] },
    Field {
        name: "vnc.keyboard",
        set: |vm, text| vm.vnc = Some(Vnc { keyboard: Some(text.into()), ..Vnc::default() }),
    },
];

fn user(vm: &mut VmConfig) -> &mut UserNet {
    match &mut vm.networks[0].backend {
        NetBackend::User(net) => net,
        other => panic!("the network is no user network but {other:?}"),
    }
}

fn hostile_texts() -> Vec<String> {
    [
        "a,logfile=pwned",
        "a=b,c==d,,e",
        "help",
        "?",
        "on,guestfwd=tcp:10.0.2.100:80-cmd:touch pwned",
        "\"},{\"driver\":\"edu\",\"id\":\"pwned",
        "-device edu,id=pwned",
        "line\nfeed\ttab '\"\\ \u{7f}",
        "größer 尺寸 \u{1f980}",
        "nul\0byte",
        "../../etc/passwd",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["x".repeat(4096)])
    .collect()
}

fn base(world: &World) -> VmConfig {
    let mut disk = Disk::file(world.dir.path().join("disk, \"0\".raw"));
    disk.read_only = true;
    VmConfig {
        disks: vec![disk],
        networks: vec![Network::default()],
        boot: Boot { kernel: Some(world.dir.path().join("vmlinuz")), ..Boot::default() },
        ..VmConfig::default()
    }
}

#[test]
fn no_text_becomes_an_option() {
    let texts = hostile_texts();
    let jobs: Vec<_> = FIELDS.iter().flat_map(|field| texts.iter().map(move |text| (field, text))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = String::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((field, text)) = jobs.get(number) else { return faults };
            // Every version sees every field, and every text.
            let version = VERSIONS[(number + number / texts.len()) % VERSIONS.len()];
            if let Err(fault) = harmless(field, text, version) {
                let start: String = text.chars().take(60).collect();
                writeln!(faults, "{} = {start:?} on {version}: {fault}", field.name)
                    .expect("a String takes it");
            }
        }
    };
    let faults = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().expect("a worker ends")).concat()
    });
    assert!(faults.is_empty(), "{faults}");
}

/// Whether we refuse the text, or QEMU has exactly what was planned. QEMU may refuse a value for what it is.
fn harmless(field: &Field, text: &str, version: &'static str) -> Result<(), String> {
    let world = World::new(version);
    let mut config = base(&world);
    (field.set)(&mut config, text);
    let Ok(plan) = world.plan(&config) else { return Ok(()) };
    world.furnish(&config, &plan);
    let mut vm = world.start(&config, &plan);
    let outcome = match vm.ready() {
        Ok(()) => exactly_the_planned(&mut vm, &plan),
        // A word that is no CPU model or machine type, or too long a one, is QEMU's to know. Exit code 0 would be a `help`.
        Err(said) if said.starts_with("exit status: 1") => Ok(()),
        Err(said) => Err(said),
    };
    if world.dir.path().join("pwned").exists() {
        return Err("a file was made".into());
    }
    outcome
}

fn exactly_the_planned(vm: &mut Running, plan: &Plan) -> Result<(), String> {
    devices_and_objects(vm, plan)?;
    let forwards = vm.monitor("info usernet");
    if forwards.contains("FORWARD") {
        return Err(format!("unplanned forwards: {forwards}"));
    }
    Ok(())
}

/// Whether QEMU has exactly the devices and objects of the plan.
pub fn devices_and_objects(vm: &mut Running, plan: &Plan) -> Result<(), String> {
    let names = |vm: &mut Running, path: &str| -> Vec<String> {
        let mut names: Vec<String> = vm
            .query("qom-list", &json!({ "path": path }))
            .as_array()
            .expect("a list")
            .iter()
            .filter(|item| item["type"].as_str().is_some_and(|kind| kind.starts_with("child<")))
            .map(|item| item["name"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    };
    let mut planned: Vec<_> = plan.devices().map(|device| device.id.clone()).collect();
    planned.sort();
    let there = names(vm, "/machine/peripheral");
    if there != planned {
        return Err(format!("planned {planned:?}, there is {there:?}"));
    }
    let unnamed = names(vm, "/machine/peripheral-anon");
    if !unnamed.is_empty() {
        return Err(format!("unplanned devices {unnamed:?}"));
    }
    let mut planned: Vec<_> = plan.objects().map(|object| object.id.clone()).collect();
    planned.sort();
    let mut there = names(vm, "/objects");
    // The board's memory, and since 11.1 the monitors, are objects too.
    there.retain(|name| !["pc.ram", "qmp0", "qmp1"].contains(&name.as_str()));
    if there != planned {
        return Err(format!("planned {planned:?}, there is {there:?}"));
    }
    Ok(())
}
